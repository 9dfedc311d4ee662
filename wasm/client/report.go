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
	sample func(first, last rtc.Stat, all []rtc.Stat) map[string]any

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
	window []rtc.Stat // since the last sample
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
	t.window = append(t.window, s)
}

// tick ends one second; due tells that it is time to send.
func (r *report) tick(now time.Time) (due bool) {
	for _, t := range r.tracks {
		if len(t.window) >= r.config.Window {
			r.close(t, now)
		}
	}
	r.ticks++
	return r.ticks >= r.config.Push
}

func (r *report) close(t *reportTrack, now time.Time) {
	if n := len(t.window); n > 1 && len(t.Samples) < maxReportSamples {
		sample := r.sample(t.window[0], t.window[n-1], t.window)
		sample["timestamp"] = now.UnixMilli()
		t.Samples = append(t.Samples, sample)
	}
	t.window = nil
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

// grown is how much a counter grew, a second or (perSecond false) in all.
func (s sample) grown(key string, first, last rtc.Stat, stat string, perSecond bool) {
	v, ok := last.Number(stat)
	old, _ := first.Number(stat)
	if !ok {
		return
	}
	if perSecond {
		s[key] = rate(stat, last, first)
	} else {
		s[key] = v - old
	}
}

func (s sample) average(key string, all []rtc.Stat, stat string, factor float64) {
	sum, n := 0.0, 0.0
	for _, one := range all {
		if v, ok := one.Number(stat); ok {
			sum, n = sum+v, n+1
		}
	}
	if n > 0 {
		s[key] = sum / n * factor
	}
}

func (s sample) span(first, last rtc.Stat) {
	s.copy("sample_start_ts", first, "timestamp")
	s.copy("sample_end_ts", last, "timestamp")
}

func sentSample(first, last rtc.Stat, all []rtc.Stat) map[string]any {
	s := sample{}
	s.span(first, last)
	s.average("avg_bitrate_bps", all, "bitrate", 1)
	s.average("avg_fps", all, "framesPerSecond", 1)
	s.average("avg_jitter_ms", all, "jitter", 1000)
	s.average("avg_round_trip_time_ms", all, "roundTripTime", 1000)
	s.copy("total_packets_lost", last, "packetsLost") // since the track began, as is the next
	s.copy("total_packets_sent", last, "packetsSent")
	s.grown("total_pli_count", first, last, "pliCount", false)
	s.grown("total_nack_count", first, last, "nackCount", false)
	if width, ok := last.Number("frameWidth"); ok {
		height, _ := last.Number("frameHeight")
		s["resolution"] = map[string]float64{"width_px": width, "height_px": height}
	}
	return s
}

func receivedSample(first, last rtc.Stat, all []rtc.Stat) map[string]any {
	s := sample{}
	s.span(first, last)
	s.average("avg_bitrate_bps", all, "bitrate", 1)
	s.grown("total_packets_lost", first, last, "packetsLost", false)
	s.grown("total_packets_received", first, last, "packetsReceived", false)
	s.grown("total_pli_count", first, last, "pliCount", false)
	s.grown("total_nack_count", first, last, "nackCount", false)
	if last.Text("kind") == "video" {
		s.grown("avg_frames_received_per_sec", first, last, "framesReceived", true)
		s.grown("avg_frames_decoded_per_sec", first, last, "framesDecoded", true)
		s.grown("avg_frames_dropped_per_sec", first, last, "framesDropped", true)
		s.grown("freeze_count", first, last, "freezeCount", false)
		s.grown("freeze_duration_seconds", first, last, "totalFreezesDuration", false)
		s.average("frame_width", all, "frameWidth", 1)
		s.average("frame_height", all, "frameHeight", 1)
		return s
	}
	s.grown("audio_concealed_samples", first, last, "concealedSamples", false)
	s.grown("audio_total_samples_received", first, last, "totalSamplesReceived", false)
	s.grown("audio_concealment_events", first, last, "concealmentEvents", false)
	return s
}
