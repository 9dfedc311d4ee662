package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// layersOf720p are what a browser sends of a camera, about.
var layersOf720p = []layer{{"q", 150_000}, {"h", 500_000}, {"f", 1_500_000}}

// meeting measures n people who all send in three layers, and receive all: one large, three of middle size, the others
// small. They send by WHIP, as the Go client makes one layer only, and receive by the Go client, who says which layer.
func (b *bench) meeting(ctx context.Context, n int) error {
	room, err := newRoom(ctx, b.server, "meeting", 2*n+10)
	if err != nil {
		return err
	}
	keys := b.server.Keys()
	var viewers []*participant
	for i := range n {
		name := fmt.Sprint("speaker-", i)
		w, err := publish(ctx, endpoint{b.server.URL + "/whip?name=" + name, keys.AuthToken(room, "broadcaster", name)}, newTap(b.sent), layersOf720p...)
		if err != nil {
			return err
		}
		defer w.close()
		v, err := b.join(ctx, visit{room: room, role: "viewer-realtime", name: fmt.Sprint("viewer-", i), all: true, takes: true})
		if err != nil {
			return err
		}
		defer v.close()
		viewers = append(viewers, v)
	}
	for i, v := range viewers {
		if err := v.choose(i, n); err != nil {
			return err
		}
	}
	time.Sleep(settle)
	m, err := measure(b.server.PID(), taps(viewers), length)
	if err != nil {
		return err
	}
	got := map[string]int{}
	for _, v := range viewers {
		for _, t := range v.videos() {
			got[t.Layer]++
		}
	}
	for _, layer := range slices.Sorted(maps.Keys(got)) {
		fmt.Printf("sfu.meeting.layer.%s %d streams\n", layer, got[layer])
	}
	m.print(fmt.Sprintf("meeting.%d", n))
	return nil
}

// videos are those that come to somebody, in an order that is the same for all.
func (p *participant) videos() []client.Track {
	var list []client.Track
	tracks := p.client.State().Tracks
	for _, id := range slices.Sorted(maps.Keys(tracks)) {
		if tracks[id].Type == rtc.Video {
			list = append(list, tracks[id])
		}
	}
	return list
}

// choose asks for the layers of n videos: each viewer looks at somebody else.
func (p *participant) choose(number, n int) error {
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); len(p.videos()) < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d videos of %d are there", len(p.videos()), n)
		}
	}
	for i, t := range p.videos() {
		layer := "low"
		switch k := (i + number) % n; {
		case k == 0:
			layer = "high"
		case k <= 3:
			layer = "medium"
		}
		if err := p.client.SetPreferredLayer(t.ID, layer); err != nil {
			return err
		}
	}
	return nil
}
