package client

import (
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// statsConfig is what /init says about reports, in seconds (§2.2).
type statsConfig struct {
	Window int `json:"maxSampleWindowSize"`
	Push   int `json:"maxSamplePushInterval"`
}

// Bounds of a report: what one track may have gathered when it is sent.
const (
	maxReportTracks  = 64
	maxReportSamples = 120
)

// report gathers samples of one connection's tracks, and is sent now and then,
// so that the server knows how good the media of its peers are (§8).
type report struct {
	name   string
	config statsConfig
	sample func(*window) map[string]any

	sequence int
	ticks    int // seconds since the last was sent
	tracks   map[string]*reportTrack
	order    []string
}

// reportTrack is one track, or one layer of it. Its tags are the protocol's.
type reportTrack struct {
	ID      string           `json:"track_id"`
	RID     string           `json:"rid,omitempty"`
	SSRC    float64          `json:"ssrc"`
	Source  string           `json:"source"`
	Samples []map[string]any `json:"samples"`

	kind   rtc.Kind
	window window // since the last sample
}

// window is what a sample is made of. It keeps the ends and sums of what is between: half a minute of fifty tracks was most of
// what the client held in memory, and had to be gone through by each collection of garbage.
type window struct {
	first, last rtc.Stat
	seconds     int
	averages    map[string]average
}

// average is that of the seconds that had a value.
type average struct {
	sum   float64
	times int
}

// reported are the values of webrtc-stats that samples are made of, and those by which one finds them.
var reported = []string{
	"type", "id", "kind", "timestamp", "mid", "rid", "ssrc", "trackIdentifier", "localId",
	"selectedCandidatePairId", "selected", "nominated",
	"bytesSent", "bytesReceived", "packetsSent", "packetsReceived", "packetsLost", "jitter", "roundTripTime", "pliCount", "nackCount",
	"framesPerSecond", "frameWidth", "frameHeight", "framesReceived", "framesDecoded", "framesDropped", "freezeCount", "totalFreezesDuration",
	"concealedSamples", "totalSamplesReceived", "concealmentEvents",
}

// averaged are the measurements whose averages samples have; of others the ends are enough.
var averaged = []string{"bitrate", "framesPerSecond", "jitter", "roundTripTime", "frameWidth", "frameHeight"}

func (w *window) add(s rtc.Stat) {
	if w.seconds == 0 {
		*w = window{first: s, averages: map[string]average{}}
	}
	w.last = s
	w.seconds++
	for _, stat := range averaged {
		if v, ok := s.Number(stat); ok {
			a := w.averages[stat]
			w.averages[stat] = average{a.sum + v, a.times + 1}
		}
	}
}

func newReport(name string, config statsConfig) *report {
	r := &report{name: name, config: config, tracks: map[string]*reportTrack{}, sample: sentSample}
	defaults := statsConfig{Window: 30, Push: 300}
	if name == protocol.ReportSubscriberStats {
		r.sample, defaults = receivedSample, statsConfig{Window: 10, Push: 60}
	}
	if r.config.Window <= 0 {
		r.config.Window = defaults.Window
	}
	if r.config.Push <= 0 {
		r.config.Push = defaults.Push
	}
	r.config.Window = min(r.config.Window, 300)
	return r
}

// add takes what was measured of a track just now.
func (r *report) add(track Track, s rtc.Stat) {
	key := track.ID + " " + s.Text("rid")
	t := r.tracks[key]
	if t == nil {
		if len(r.tracks) >= maxReportTracks {
			return
		}
		t = &reportTrack{ID: track.ID, RID: s.Text("rid"), Source: track.Source, kind: track.Type}
		r.tracks[key] = t
		r.order = append(r.order, key)
	}
	t.SSRC, _ = s.Number("ssrc")
	t.window.add(s)
}

// tick ends one second; due tells that it is time to send.
func (r *report) tick(now time.Time) (due bool) {
	for _, t := range r.tracks {
		if t.window.seconds >= r.config.Window {
			r.close(t, now)
		}
	}
	r.ticks++
	return r.ticks >= r.config.Push
}

func (r *report) close(t *reportTrack, now time.Time) {
	if t.window.seconds > 1 && len(t.Samples) < maxReportSamples {
		sample := r.sample(&t.window)
		sample["timestamp"] = now.UnixMilli()
		t.Samples = append(t.Samples, sample)
	}
	t.window = window{}
}

// take makes the report of what was gathered, and begins the next one. It is
// nil when nothing was measured.
func (r *report) take(now time.Time, joinedAt int64) map[string]any {
	audio, video := []*reportTrack{}, []*reportTrack{}
	for _, key := range r.order {
		t := r.tracks[key]
		r.close(t, now)
		switch {
		case len(t.Samples) == 0:
		case t.kind == rtc.Audio:
			audio = append(audio, t)
		default:
			video = append(video, t)
		}
	}
	r.ticks, r.tracks, r.order = 0, map[string]*reportTrack{}, nil
	if len(audio)+len(video) == 0 {
		return nil
	}
	r.sequence++
	return map[string]any{
		"sequence_num": r.sequence, "max_window_sec": r.config.Window, "joined_at": joinedAt, "audio": audio, "video": video,
	}
}

// sample is one window of a track; its keys are the protocol's.
type sample map[string]any

func (s sample) copy(key string, from rtc.Stat, stat string) {
	if v, ok := from.Number(stat); ok {
		s[key] = v
	}
}

// grown is how much a counter grew in the window.
func (s sample) grown(key string, w *window, stat string) {
	if v, ok := w.last.Number(stat); ok {
		old, _ := w.first.Number(stat)
		s[key] = v - old
	}
}

// rate is how much a counter grew a second.
func (s sample) rate(key string, w *window, stat string) {
	if _, ok := w.last.Number(stat); ok {
		s[key] = rate(stat, w.last, w.first)
	}
}

func (s sample) average(key string, w *window, stat string, factor float64) {
	if a := w.averages[stat]; a.times > 0 {
		s[key] = a.sum / float64(a.times) * factor
	}
}

func (s sample) span(w *window) {
	s.copy("sample_start_ts", w.first, "timestamp")
	s.copy("sample_end_ts", w.last, "timestamp")
}

func sentSample(w *window) map[string]any {
	s := sample{}
	s.span(w)
	s.average("avg_bitrate_bps", w, "bitrate", 1)
	s.average("avg_fps", w, "framesPerSecond", 1)
	s.average("avg_jitter_ms", w, "jitter", 1000)
	s.average("avg_round_trip_time_ms", w, "roundTripTime", 1000)
	s.copy("total_packets_lost", w.last, "packetsLost") // since the track began, as is the next
	s.copy("total_packets_sent", w.last, "packetsSent")
	s.grown("total_pli_count", w, "pliCount")
	s.grown("total_nack_count", w, "nackCount")
	if width, ok := w.last.Number("frameWidth"); ok {
		height, _ := w.last.Number("frameHeight")
		s["resolution"] = map[string]float64{"width_px": width, "height_px": height}
	}
	return s
}

func receivedSample(w *window) map[string]any {
	s := sample{}
	s.span(w)
	s.average("avg_bitrate_bps", w, "bitrate", 1)
	s.grown("total_packets_lost", w, "packetsLost")
	s.grown("total_packets_received", w, "packetsReceived")
	s.grown("total_pli_count", w, "pliCount")
	s.grown("total_nack_count", w, "nackCount")
	if w.last.Text("kind") == "video" {
		s.rate("avg_frames_received_per_sec", w, "framesReceived")
		s.rate("avg_frames_decoded_per_sec", w, "framesDecoded")
		s.rate("avg_frames_dropped_per_sec", w, "framesDropped")
		s.grown("freeze_count", w, "freezeCount")
		s.grown("freeze_duration_seconds", w, "totalFreezesDuration")
		s.average("frame_width", w, "frameWidth", 1)
		s.average("frame_height", w, "frameHeight", 1)
		return s
	}
	s.grown("audio_concealed_samples", w, "concealedSamples")
	s.grown("audio_total_samples_received", w, "totalSamplesReceived")
	s.grown("audio_concealment_events", w, "concealmentEvents")
	return s
}
