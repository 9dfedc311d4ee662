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
	sample := func(key string, s sfu.Stream) (sample protocol.StatsSample, old sfu.Stream) {
		old = before[key]
		p.reporter.last[key] = s
		return protocol.StatsSample{At: float64(now.UnixMilli()), Bitrate: new(8 * float64(s.Bytes-old.Bytes) / seconds)}, old
	}
	var sent, received protocol.Stats
	for _, t := range f.Tracks {
		for _, l := range t.Layers {
			s, old := sample(t.ID+string(rune('0'+l.Rank)), l.Stream)
			s.FPS = new(float64(l.Frames-old.Frames) / seconds)
			s.Lost, s.Sent = new(float64(l.Lost)), new(float64(l.Packets+l.Lost))
			s.Jitter = new(float64(l.Jitter.Milliseconds()))
			track := protocol.TrackStats{TrackID: t.ID, Samples: []protocol.StatsSample{s}}
			if len(t.Layers) > 1 {
				track.RID = []string{"f", "h", "q"}[min(l.Rank, 2)]
			}
			add(&sent, t.Kind, track)
		}
	}
	for _, stream := range f.Subscriptions {
		s, old := sample(stream.TrackID, stream.Stream)
		s.Lost = new(float64(stream.Lost - min(old.Lost, stream.Lost)))
		s.Received = new(float64(stream.Packets - min(old.Packets, stream.Packets)))
		s.RTT = new(float64(f.Down.RTT.Milliseconds()))
		add(&received, stream.Kind, protocol.TrackStats{TrackID: stream.TrackID, Samples: []protocol.StatsSample{s}})
	}
	p.tellObserver(protocol.ReportPublisherStats, sent, now)
	p.tellObserver(protocol.ReportSubscriberStats, received, now)
}

func add(r *protocol.Stats, kind sfu.Kind, t protocol.TrackStats) {
	if kind == sfu.Audio {
		r.Audio = append(r.Audio, t)
	} else {
		r.Video = append(r.Video, t)
	}
}

// tellObserver hands a report over, unless there is nothing in it.
func (p *Peer) tellObserver(name string, report protocol.Stats, now time.Time) {
	if len(report.Audio)+len(report.Video) == 0 {
		return
	}
	info, err := json.Marshal(report)
	if err != nil {
		return // of our own making: cannot be
	}
	p.room.registry.cfg.Observer.Reported(p.room.Info(), p.stay(), protocol.Analytics{Name: name, Info: info, Timestamp: now.UnixMilli()})
}
