package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/room"
	"amphi/server/sfu"
)

// TestRoomMetrics sums up rooms, few and many.
func TestRoomMetrics(t *testing.T) {
	publisher := room.AttendeeMedia{Figures: sfu.Figures{
		Up:     sfu.Path{Jitter: 4 * time.Millisecond},
		Tracks: []sfu.TrackFigures{{Kind: sfu.Video, Layers: []sfu.LayerFigures{{Flowing: true, Stream: sfu.Stream{Rates: sfu.Rates{Bits: 1000, PLIs: 1}}}, {Stream: sfu.Stream{Rates: sfu.Rates{Bits: 500}}}}}},
	}}
	viewer := room.AttendeeMedia{Figures: sfu.Figures{
		Down:          sfu.Path{RTT: 20 * time.Millisecond},
		Subscriptions: []sfu.SubscriptionFigures{{Kind: sfu.Video, Layer: 0, Stream: sfu.Stream{Rates: sfu.Rates{Bits: 900, Lost: 2}}}, {Kind: sfu.Audio, Layer: -1}},
	}}
	r := sumMedia("r", []room.AttendeeMedia{publisher, viewer, {}})
	in, out := r.streams[stream{sfu.Video, "in"}], r.streams[stream{sfu.Video, "out"}]
	if r.peers != 3 || r.trip.value() != 0.02 || r.jitter.value() != 0.004 || in.streams != 1 || in.rates.Bits != 1500 || in.rates.PLIs != 1 ||
		out.streams != 1 || out.rates.Lost != 2 || r.streams[stream{sfu.Audio, "out"}].streams != 0 {
		t.Errorf("%+v %+v %+v", r, in, out)
	}

	var many []*roomMedia
	for i := range mostRooms + 5 {
		many = append(many, sumMedia(fmt.Sprint(i), []room.AttendeeMedia{publisher, viewer}[:1+i%2]))
	}
	few := bounded(many, mostRooms)
	if last := few[len(few)-1]; len(few) != mostRooms+1 || last.id != "other" || last.peers != 5 || last.streams[stream{sfu.Video, "in"}].rates.Bits != 5*1500 {
		t.Errorf("%d rooms, the last %+v", len(few), few[len(few)-1])
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(roomMetrics{func() []*room.Room { return nil }})
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	series := make(chan prometheus.Metric, 100)
	r.collect(series)
	if len(series) != 3+4*6 {
		t.Errorf("%d series", len(series))
	}
}
