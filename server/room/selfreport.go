package room

import (
	"encoding/json"
	"time"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

// reportEvery is how often the room tells the observer how good the media of a
// silent peer is; clients of the protocol tell that themselves, as often.
const reportEvery = 30 * time.Second

// reporter makes the reports of a silent peer.
type reporter struct {
	timer *time.Timer
	at    time.Time // of the last report, at first the beginning
	last  map[string]sfu.Stream
}

// statsReport is the info of publisher.stats and subscriber.stats (§8).
type statsReport struct {
	Audio []trackReport `json:"audio"`
	Video []trackReport `json:"video"`
}

type trackReport struct {
	TrackID string         `json:"track_id"`
	RID     string         `json:"rid,omitempty"`
	Source  string         `json:"source,omitempty"`
	Samples []sampleReport `json:"samples"`
}

// sampleReport has what is measured in a window. Packets of published tracks count
// from their beginning, those of received ones in the window.
type sampleReport struct {
	At       int64   `json:"timestamp"` // milliseconds since 1970
	Bitrate  float64 `json:"avg_bitrate_bps"`
	FPS      float64 `json:"avg_fps,omitempty"`
	RTT      float64 `json:"avg_round_trip_time_ms,omitempty"`
	Jitter   float64 `json:"avg_jitter_ms,omitempty"`
	Lost     uint64  `json:"total_packets_lost"`
	Sent     uint64  `json:"total_packets_sent,omitempty"`
	Received uint64  `json:"total_packets_received,omitempty"`
}

// reportLater has the next report made. It runs on the room's goroutine.
func (p *Peer) reportLater() {
	if p.room.registry.cfg.Observer == nil {
		return
	}
	if p.reporter.at.IsZero() {
		p.reporter.at = time.Now()
	}
	p.reporter.timer = p.room.after(reportEvery, func() {
		if p.phase == joined {
			p.reportMedia()
			p.reportLater()
		}
	})
}

// reportMedia tells the observer of the time since the last report.
func (p *Peer) reportMedia() {
	m := p.media.Load()
	if m == nil || p.room.registry.cfg.Observer == nil {
		return
	}
	f := m.Figures()
	now := time.Now()
	seconds := max(now.Sub(p.reporter.at).Seconds(), 1)
	before := p.reporter.last
	p.reporter.at, p.reporter.last = now, map[string]sfu.Stream{}
	sample := func(key string, s sfu.Stream) (sampleReport, sfu.Stream) {
		old := before[key]
		p.reporter.last[key] = s
		return sampleReport{
			At: now.UnixMilli(), Bitrate: 8 * float64(s.Bytes-old.Bytes) / seconds, FPS: float64(s.Frames-old.Frames) / seconds, Lost: s.Lost,
		}, old
	}
	var sent, received statsReport
	for _, t := range f.Tracks {
		for _, l := range t.Layers {
			report, _ := sample(t.ID+string(rune('0'+l.Rank)), l.Stream)
			report.Sent, report.Jitter = l.Packets+l.Lost, float64(l.Jitter.Milliseconds())
			track := trackReport{TrackID: t.ID, Samples: []sampleReport{report}}
			if len(t.Layers) > 1 {
				track.RID = []string{"f", "h", "q"}[min(l.Rank, 2)]
			}
			sent.add(t.Kind, track)
		}
	}
	for _, s := range f.Subscriptions {
		report, old := sample(s.TrackID, s.Stream)
		report.Received, report.Lost, report.RTT = s.Packets-min(old.Packets, s.Packets), s.Lost-min(old.Lost, s.Lost), float64(f.Down.RTT.Milliseconds())
		received.add(s.Kind, trackReport{TrackID: s.TrackID, Samples: []sampleReport{report}})
	}
	p.tellObserver(protocol.ReportPublisherStats, sent, now)
	p.tellObserver(protocol.ReportSubscriberStats, received, now)
}

func (r *statsReport) add(kind sfu.Kind, t trackReport) {
	if kind == sfu.Audio {
		r.Audio = append(r.Audio, t)
	} else {
		r.Video = append(r.Video, t)
	}
}

// tellObserver hands a report over, unless there is nothing in it.
func (p *Peer) tellObserver(name string, report statsReport, now time.Time) {
	if len(report.Audio)+len(report.Video) == 0 {
		return
	}
	info, err := json.Marshal(report)
	if err != nil {
		return // of our own making: cannot be
	}
	p.room.registry.cfg.Observer.Reported(p.room.Info(), p.stay(), protocol.Analytics{Name: name, Info: info, Timestamp: now.UnixMilli()})
}
