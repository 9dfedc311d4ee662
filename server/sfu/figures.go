package sfu

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/server/sfu/transport"
)

// Figures are what is counted of a peer's media, for people who look for what is
// wrong with it. They are read one by one, so two of them can be some packets
// apart.
type Figures struct {
	Publish       webrtc.PeerConnectionState
	Subscribe     webrtc.PeerConnectionState
	Up, Down      Path
	Line          transport.Line        // of the subscribe connection
	Tracks        []TrackFigures        // published, by id
	Subscriptions []SubscriptionFigures // by track id
}

// TrackFigures are those of a published track.
type TrackFigures struct {
	ID          string
	Kind        Kind
	Codec       Codec
	Muted       bool // by Mute
	Subscribers int
	Layers      []LayerFigures // one without simulcast, the best first
}

// LayerFigures are those of one stream of a track.
type LayerFigures struct {
	Rank    int  // 0 is the best
	Within  bool // a lesser picture in the stream of the best layer, where its packets are counted too
	Flowing bool
	Jitter  time.Duration // of sound; 0: not known
	Stream
}

// SubscriptionFigures are those of a track on its way to a subscriber.
type SubscriptionFigures struct {
	TrackID string
	Kind    Kind
	Wanted  bool // the subscriber asks for packets
	Layer   int  // rank of what is sent; -1: nothing
	Limited bool // the subscriber's network is why it is not better
	Stream
}

// Stream counts the packets of one stream.
type Stream struct {
	Packets       uint64 // received, or sent for the first time
	Bytes         uint64 // of them: with headers where received, payload where sent
	Frames        uint64 // whole ones of video that came
	Lost          uint64 // missing when later ones came, or reported lost by the subscriber
	NACKs         uint64 // sequence numbers asked for: by us, or by the subscriber
	PLIs          uint64 // key frames asked for: by us, or by the subscriber
	Retransmitted uint64 // packets that came, or were sent, again
	Dropped       uint64 // duplicate or too late to be of use, or not to be sent
	Rates         Rates
}

// Rates are changes per second, over the time between the last two looks that were
// at least a second apart.
type Rates struct {
	Packets, Bits, Frames, Lost, NACKs, PLIs float64
}

// tally is the live form of Stream.
type tally struct {
	packets, bytes, frames, lost, nacks, plis, repeats, dropped atomic.Uint64
}

func (c *tally) read() Stream {
	return Stream{
		Packets: c.packets.Load(), Bytes: c.bytes.Load(), Frames: c.frames.Load(), Lost: c.lost.Load(),
		NACKs: c.nacks.Load(), PLIs: c.plis.Load(), Retransmitted: c.repeats.Load(), Dropped: c.dropped.Load(),
	}
}

// looks are what was seen of streams the last time that somebody looked. Streams
// that have ended since are forgotten with the next look.
type looks struct {
	mu   sync.Mutex
	last map[any]look
}

type look struct {
	at time.Time
	Stream
}

// figures reads the tallies of a look that takes place now.
type figures struct {
	now          time.Time
	before, seen map[any]look
}

// rate fills in the rates of what key counts.
func (f *figures) rate(key any, s Stream) Stream {
	last, known := f.before[key]
	switch seconds := f.now.Sub(last.at).Seconds(); {
	case !known: // the rates come with the next look
		last = look{f.now, s}
	case seconds >= 1:
		per := func(now, before uint64) float64 { return float64(int64(now-before)) / seconds }
		s.Rates = Rates{
			Packets: per(s.Packets, last.Packets), Bits: 8 * per(s.Bytes, last.Bytes), Frames: per(s.Frames, last.Frames),
			Lost: per(s.Lost, last.Lost), NACKs: per(s.NACKs, last.NACKs), PLIs: per(s.PLIs, last.PLIs),
		}
		last = look{f.now, s}
	default:
		s.Rates = last.Rates
	}
	f.seen[key] = last
	return s
}

// Figures returns the peer's figures.
func (p *Peer) Figures() Figures {
	p.looks.mu.Lock()
	defer p.looks.mu.Unlock()
	r := &figures{now: time.Now(), before: p.looks.last, seen: map[any]look{}}
	f := Figures{Publish: p.State(Publish), Subscribe: p.State(Subscribe)}
	f.Up, f.Down = p.Quality()
	p.mu.Lock()
	tracks := make([]*Track, 0, len(p.tracks))
	for _, t := range p.tracks {
		tracks = append(tracks, t)
	}
	down := p.down
	p.mu.Unlock()
	for _, t := range tracks {
		f.Tracks = append(f.Tracks, r.track(t))
	}
	slices.SortFunc(f.Tracks, func(a, b TrackFigures) int { return strings.Compare(a.ID, b.ID) })
	if down != nil {
		if l := down.current.Load(); l != nil {
			f.Line = l.transport.Line()
			for _, d := range *l.tracks.Load() {
				f.Subscriptions = append(f.Subscriptions, r.subscription(d))
			}
		}
	}
	slices.SortFunc(f.Subscriptions, func(a, b SubscriptionFigures) int { return strings.Compare(a.TrackID, b.TrackID) })
	p.looks.last = r.seen
	return f
}

func (r *figures) track(t *Track) TrackFigures {
	f := TrackFigures{ID: t.info.ID, Kind: t.info.Kind, Codec: t.codec, Muted: t.muted.Load(), Subscribers: len(t.sinks.Load().downs)}
	for _, src := range *t.sources.Load() {
		f.Layers = append(f.Layers, LayerFigures{
			Rank: src.rank, Within: src.whole != nil, Flowing: r.now.Sub(time.Unix(0, src.lastAt.Load())) < sourceTimeout,
			Jitter: time.Duration(src.paced.Load()), Stream: r.rate(src, src.tally.read()),
		})
	}
	slices.SortFunc(f.Layers, func(a, b LayerFigures) int { return a.Rank - b.Rank })
	return f
}

func (r *figures) subscription(d *downTrack) SubscriptionFigures {
	s := d.tally.read()
	s.Lost = d.reception.losses()
	return SubscriptionFigures{
		TrackID: d.track.info.ID, Kind: d.track.info.Kind, Wanted: d.wanted.Load(), Layer: int(d.sent.Load()),
		Limited: d.least.Load() > d.rank.Load(), Stream: r.rate(d, s),
	}
}
