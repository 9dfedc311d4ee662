package room

import (
	"slices"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

// qualityMeter tells clients how good everybody's line is, from what is lost and
// how long it takes. It runs only while somebody has media connections, tells
// only changes, and tells them less often the more people there are. Owned by the
// room's goroutine.
type qualityMeter struct {
	timer *time.Timer
	last  []protocol.ConnectionQuality
}

// watch starts the meter if there is somebody to measure.
func (m *qualityMeter) watch(r *Room) {
	if m.timer == nil && slices.ContainsFunc(r.order, (*Peer).hasMedia) {
		m.timer = r.after(r.limits.QualityEvery+time.Duration(len(r.order))*10*time.Millisecond, func() { m.measure(r) })
	}
}

func (p *Peer) hasMedia() bool { return p.media.Load() != nil }

// measure tells of those whom clients list; who is not listed, though it has
// media, is told of itself as well.
func (m *qualityMeter) measure(r *Room) {
	m.timer = nil
	listed := []protocol.ConnectionQuality{}
	changed := map[*Peer]bool{} // those who are not listed
	for _, p := range r.order {
		was := p.line.score
		if media := p.media.Load(); media != nil {
			p.line.measure(media)
		} else {
			p.line = line{}
		}
		if p.listed && !p.hidden {
			listed = append(listed, p.quality())
		} else if p.line.score != was {
			changed[p] = true
		}
	}
	anew := !slices.Equal(listed, m.last)
	m.last = listed
	alone := func(p *Peer) bool { return !p.listed && p.hasMedia() }
	if anew {
		r.tell(protocol.OnConnectionQuality, protocol.QualityUpdate{Peers: listed}, func(p *Peer) bool { return !alone(p) })
	}
	for _, p := range r.order {
		if alone(p) && (anew || changed[p]) {
			p.notify(protocol.OnConnectionQuality, protocol.QualityUpdate{Peers: append(slices.Clone(listed), p.quality())})
		}
	}
	m.watch(r)
}

// tell brings somebody up to date who has come.
func (m *qualityMeter) tell(p *Peer) {
	if len(m.last) > 0 {
		p.notify(protocol.OnConnectionQuality, protocol.QualityUpdate{Peers: m.last})
	}
}

func (m *qualityMeter) stop() {
	if m.timer != nil {
		m.timer.Stop()
	}
}

// quality is the peer's line as clients are told.
func (p *Peer) quality() protocol.ConnectionQuality {
	return protocol.ConnectionQuality{PeerID: p.ID, Score: p.line.score.wire()}
}

// score is how good a line is: 1 to 5, the best; or one of these.
type score int

const (
	unknown      score = 0
	disconnected score = -1
)

// wire is the score in the client's numbers.
func (s score) wire() int {
	switch s {
	case unknown:
		return -1
	case disconnected:
		return 0
	}
	return int(s)
}

// line is what is known of a peer's line.
type line struct {
	media    *connections
	up, down direction
	score    score
}

// direction is one way of a line.
type direction struct {
	seen sfu.Path
	loss float64 // share of packets, smoothed
	rate score
}

// fewPackets say nothing about a line: it keeps the score that it has.
const fewPackets = 25

// measure brings the line up to date.
func (l *line) measure(media *connections) {
	if l.media != media {
		*l = line{media: media}
	}
	up, down := media.Quality()
	lost := false
	for _, target := range []sfu.Target{sfu.Publish, sfu.Subscribe} {
		state := media.State(target)
		lost = lost || state == webrtc.PeerConnectionStateDisconnected || state == webrtc.PeerConnectionStateFailed
	}
	l.take(up, down, lost)
}

// take rates the line by its worse direction: clients have one number for both.
func (l *line) take(up, down sfu.Path, lost bool) {
	l.up.add(up)
	l.down.add(down)
	switch {
	case lost:
		l.score = disconnected
	case l.up.rate == unknown || l.down.rate == unknown:
		l.score = max(l.up.rate, l.down.rate)
	default:
		l.score = min(l.up.rate, l.down.rate)
	}
}

// add takes what happened since the last time.
func (d *direction) add(now sfu.Path) {
	packets, lost := now.Packets-d.seen.Packets, now.Lost-d.seen.Lost
	if packets < fewPackets {
		return
	}
	d.seen = now
	loss := min(float64(lost)/float64(packets), 1)
	if d.rate != unknown {
		loss = (d.loss + loss) / 2
	}
	d.loss = loss
	d.rate = grade(loss, now.RTT/2+2*now.Jitter)
}

// grade says how good a line with that loss and delay, the buffer against jitter
// included, is for a talk: up to 150 ms nobody notices, beyond 400 ms people talk
// at the same time (ITU-T G.114); retransmission hides a loss of a few percent.
func grade(loss float64, delay time.Duration) score {
	for _, g := range []struct {
		score score
		loss  float64
		delay time.Duration
	}{
		{5, 0.01, 150 * time.Millisecond},
		{4, 0.03, 250 * time.Millisecond},
		{3, 0.08, 400 * time.Millisecond},
		{2, 0.20, 700 * time.Millisecond},
	} {
		if loss <= g.loss && delay <= g.delay {
			return g.score
		}
	}
	return 1
}
