package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/room"
	"amphi/server/sfu"
)

// mostRooms bounds the rooms that have series of their own; those with the fewest people are one, called "other". What
// is known of single peers and tracks, the API tells.
const mostRooms = 100

// roomMetrics exposes the media of live rooms: by room, kind and direction, where in is from publishers and out to
// subscribers. Rates are those since the last look, which may have been somebody else's: they are gauges, because
// counters of what is live would go down when it ends. amphi_sfu_… has the counters of the whole server.
type roomMetrics struct {
	rooms func() []*room.Room
}

var _ prometheus.Collector = roomMetrics{}

var (
	streamLabels = []string{"room", "kind", "direction"}
	roomPeers    = prometheus.NewDesc("amphi_room_peers", "People in the room, encoders included.", []string{"room"}, nil)
	roomTrip     = prometheus.NewDesc("amphi_room_round_trip_seconds", "Mean of the round trips to subscribers.", []string{"room"}, nil)
	roomJitter   = prometheus.NewDesc("amphi_room_jitter_seconds", "Mean jitter of the sound that comes from publishers.", []string{"room"}, nil)
	roomStreams  = prometheus.NewDesc("amphi_room_streams", "Streams on which packets flow.", streamLabels, nil)
	roomRates    = []struct {
		desc *prometheus.Desc
		of   func(sfu.Rates) float64
	}{
		{streamDesc("bits", "Bits of media."), func(r sfu.Rates) float64 { return r.Bits }},
		{streamDesc("packets", "Packets."), func(r sfu.Rates) float64 { return r.Packets }},
		{streamDesc("lost_packets", "Packets lost."), func(r sfu.Rates) float64 { return r.Lost }},
		{streamDesc("nacks", "Packets asked for again."), func(r sfu.Rates) float64 { return r.NACKs }},
		{streamDesc("plis", "Key frames asked for."), func(r sfu.Rates) float64 { return r.PLIs }},
	}
)

func streamDesc(what, help string) *prometheus.Desc {
	return prometheus.NewDesc("amphi_room_"+what+"_per_second", help, streamLabels, nil)
}

// Describe implements prometheus.Collector.
func (roomMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{roomPeers, roomTrip, roomJitter, roomStreams} {
		ch <- d
	}
	for _, r := range roomRates {
		ch <- r.desc
	}
}

// Collect implements prometheus.Collector.
func (m roomMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var all []*roomMedia
	for _, r := range m.rooms() {
		if peers, err := r.Media(ctx); err == nil { // else it has just ended
			all = append(all, sumMedia(r.ID(), peers))
		}
	}
	for _, r := range bounded(all, mostRooms) {
		r.collect(ch)
	}
}

// roomMedia is the media of a room in sum.
type roomMedia struct {
	id           string
	peers        int
	trip, jitter mean // seconds
	streams      map[stream]*flow
}

// stream is what the series of a room differ by.
type stream struct {
	kind      sfu.Kind
	direction string
}

type flow struct {
	streams int
	rates   sfu.Rates
}

type mean struct {
	sum float64
	n   int
}

func (m *mean) add(d time.Duration) {
	if d > 0 { // known
		m.sum += d.Seconds()
		m.n++
	}
}

func (m mean) value() float64 { return m.sum / float64(max(m.n, 1)) }

func newRoomMedia(id string) *roomMedia {
	r := &roomMedia{id: id, streams: map[stream]*flow{}}
	for _, kind := range []sfu.Kind{sfu.Audio, sfu.Video} {
		r.streams[stream{kind, "in"}], r.streams[stream{kind, "out"}] = &flow{}, &flow{}
	}
	return r
}

func sumMedia(id string, peers []room.AttendeeMedia) *roomMedia {
	r := newRoomMedia(id)
	r.peers = len(peers)
	for _, p := range peers {
		f := p.Figures
		r.trip.add(f.Down.RTT)
		r.jitter.add(f.Up.Jitter)
		for _, t := range f.Tracks {
			for _, l := range t.Layers {
				if l.Within {
					continue
				}
				r.streams[stream{t.Kind, "in"}].add(l.Flowing, l.Rates)
			}
		}
		for _, s := range f.Subscriptions {
			r.streams[stream{s.Kind, "out"}].add(s.Layer >= 0, s.Rates)
		}
	}
	return r
}

func (f *flow) add(flowing bool, r sfu.Rates) {
	if flowing {
		f.streams++
	}
	f.rates.Bits += r.Bits
	f.rates.Packets += r.Packets
	f.rates.Lost += r.Lost
	f.rates.NACKs += r.NACKs
	f.rates.PLIs += r.PLIs
}

// bounded keeps the rooms with most people, and sums up the others.
func bounded(all []*roomMedia, most int) []*roomMedia {
	if len(all) <= most {
		return all
	}
	slices.SortFunc(all, func(a, b *roomMedia) int { return cmp.Or(cmp.Compare(b.peers, a.peers), cmp.Compare(a.id, b.id)) })
	other := newRoomMedia("other")
	for _, r := range all[most:] {
		other.peers += r.peers
		other.trip = mean{other.trip.sum + r.trip.sum, other.trip.n + r.trip.n}
		other.jitter = mean{other.jitter.sum + r.jitter.sum, other.jitter.n + r.jitter.n}
		for s, f := range r.streams {
			sum := other.streams[s]
			sum.add(false, f.rates)
			sum.streams += f.streams
		}
	}
	return append(all[:most:most], other)
}

func (r *roomMedia) collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{r.id}, labels...)...)
	}
	gauge(roomPeers, float64(r.peers))
	gauge(roomTrip, r.trip.value())
	gauge(roomJitter, r.jitter.value())
	for s, f := range r.streams {
		gauge(roomStreams, float64(f.streams), s.kind.String(), s.direction)
		for _, rate := range roomRates {
			gauge(rate.desc, rate.of(f.rates), s.kind.String(), s.direction)
		}
	}
}
