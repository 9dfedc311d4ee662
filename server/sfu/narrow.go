package sfu

import (
	"slices"
	"time"

	"github.com/pion/rtcp"

	"amphi/server/sfu/bandwidth"
	"amphi/server/sfu/transport"
)

// A subscriber whose way is narrow gets what fits: sound always, and of the pictures the layers that package bandwidth
// shares out. The transport finds out how much fits, see transport.Line.

const (
	// withheld is the rank of a picture that does not fit in any layer.
	withheld = 1 << 10
	// shareEvery is how often it is looked what fits, while not all does.
	shareEvery = 200 * time.Millisecond
	// spare is how much of the limit pictures do without: what is sent again has to fit, too.
	spare = 0.05
)

// LimitChanged is part of transport.Handler.
func (l *session) LimitChanged() {
	l.down.limits.Store(true)
	l.down.kick()
}

// share gives the subscriptions the layers that fit. It returns whether it has to be looked again soon.
func (l *session) share(now time.Time) (again bool) {
	limit := l.transport.Limit()
	if limit == 0 {
		if l.narrow {
			l.narrow = false
			l.down.peer.sfu.stats.narrow.Add(-1)
			l.down.log.Info("subscriber's network takes everything again")
			for _, sub := range l.subs {
				sub.down.allow(0)
			}
			l.tellLayers()
		}
		return false
	}
	if !l.narrow {
		l.narrow = true
		line := l.transport.Line()
		l.down.log.Info("subscriber's network is narrow", "kbit/s", int(limit/1000), "queue", line.Queue.Round(time.Millisecond), "arrived", line.Arrived, "lost", line.Lost)
		l.down.peer.sfu.stats.narrow.Add(1)
		l.transport.Drop()
	}
	left, most := limit*(1-spare), 0.0
	var downs []*downTrack
	var demands []bandwidth.Demand
	var choices [][]*source
	padding := false
	for _, sub := range l.subs {
		d := sub.down
		b := d.out.Load()
		// Clients stop asking for what is withheld, until they are told that it is not.
		if b == nil || !d.wanted.Load() && d.least.Load() != withheld || d.track.muted.Load() || d.track.held.Load() {
			continue
		}
		padding = padding || b.rtxPT != 0 && b.twcc != 0
		flowing := d.track.flowing(int(d.rank.Load()), now)
		if len(flowing) == 0 {
			continue
		}
		best := flowing[len(flowing)-1].bitrate()
		most += best
		if d.track.info.Kind == Audio {
			left -= best
			continue
		}
		demand := bandwidth.Demand{Priority: d.track.Priority()}
		for i, src := range flowing {
			demand.Rates = append(demand.Rates, src.bitrate())
			if int32(src.rank) >= d.least.Load() { // what it was given, which may be still to come
				demand.Now = i + 1
			}
		}
		downs, demands, choices = append(downs, d), append(demands, demand), append(choices, flowing)
	}
	l.transport.Demand(most, padding)
	for i, n := range bandwidth.Share(left, demands) {
		rank := int32(withheld)
		if n > 0 {
			rank = int32(choices[i][n-1].rank)
		}
		if n == len(choices[i]) {
			rank = 0 // nothing is in the way of what is wanted
		}
		downs[i].allow(rank)
	}
	l.tellLayers()
	return true
}

// arrives has a new picture wait where not all fits, until it is shared out again.
func (l *session) arrives(d *downTrack) {
	if l.narrow && d.track.info.Kind == Video {
		d.allow(withheld)
		l.LimitChanged()
	}
}

// flowing are the layers that come and are wanted, the least first. Where only better ones than wanted come that is the
// least of those.
func (t *Track) flowing(rank int, now time.Time) []*source {
	var all []*source
	for _, src := range *t.sources.Load() {
		if now.Sub(time.Unix(0, src.lastAt.Load())) < sourceTimeout {
			all = append(all, src)
		}
	}
	slices.SortFunc(all, func(a, b *source) int { return b.rank - a.rank })
	for n := len(all); n > 1 && all[n-1].rank < rank; n = len(all) {
		all = all[:n-1]
	}
	return all
}

// shown says whether the client wants the picture, or the sound, and its way takes it.
func (d *downTrack) shown() bool { return d.wanted.Load() && d.least.Load() != withheld }

// allow says what the best layer is that fits: the subscription gets no better one, or nothing.
func (d *downTrack) allow(least int32) {
	before := d.least.Swap(least)
	switch {
	case least == before:
		return
	case (least == withheld) != (before == withheld):
		n := int64(1)
		if before == withheld {
			n = -1
		}
		d.track.sfu.stats.withheld.Add(n)
	}
	if least < before {
		d.askKey()
	}
}

// Pad is part of transport.Handler: it sends packets that hold nothing, on a stream for repairs, where clients expect
// such (RFC 4588 packets too short to repeat something).
func (l *session) Pad(bytes int) {
	for _, d := range *l.streams.Load() {
		if b := d.out.Load(); b != nil && b.rtxPT != 0 && b.twcc != 0 {
			d.pad(b, bytes)
			return
		}
	}
}

// padLength is the longest padding of a packet: its last byte is its length (RFC 3550 §5.1).
const padLength = 255

var padBytes = [padLength]byte{padLength - 1: padLength}

// pad sends padding of at least so many bytes.
func (d *downTrack) pad(b *binding, bytes int) {
	d.repeat(func(r *repair) {
		d.mu.Lock()
		ts := d.munger.topTS
		d.mu.Unlock()
		for ; bytes > 0; bytes -= padLength {
			d.again.index++
			h := transport.Header{
				SSRC: b.rtxSSRC, Index: d.again.index, Timestamp: ts, PayloadType: b.rtxPT, Padding: true,
				TWCC: b.twcc, LevelID: b.level, Level: 127,
			}
			if !r.batch.Add(&h, nil, padBytes[:]) {
				return
			}
			d.track.sfu.stats.padding.Add(1)
		}
	})
}

// estimated takes what a client without transport-wide feedback estimates of its way (REMB,
// draft-alvestrand-rmcat-remb).
func (l *session) estimated(p *rtcp.ReceiverEstimatedMaximumBitrate, now time.Time) {
	sent := uint64(0)
	for _, d := range *l.streams.Load() {
		sent += d.tally.bytes.Load()
	}
	l.transport.Estimated(float64(p.Bitrate), sent, now)
}
