package sfu

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// A subscriber whose network takes less than there is gets a lesser layer, then none, and is told; when it takes more
// again the picture comes back. It is an old client, which estimates by itself.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b, c := joined(t, s, "a", false), joined(t, s, "b", false), joined(t, s, "c", true)
	a.simulcast()
	b.old.Store(true)
	for _, x := range []*client{b, c} {
		x.peer.Subscribe([]*Track{a.peer.Track("v")})
	}
	eventually(t, "the subscription", func() bool { return b.prefer("v", "high")["error"] == nil })
	in := b.in("v")
	eventually(t, "the best layer", func() bool { return in.count() > 100 && in.last()%10 == 2 })

	var takes atomic.Int64 // bit/s; 0: it says nothing
	stop, done := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-done }()
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if bits := takes.Load(); bits > 0 {
				b.mu.Lock()
				pc := b.sub
				b.mu.Unlock()
				_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: float32(bits), SSRCs: []uint32{1}}})
			}
		}
	}()
	told := func(current string, degraded bool) {
		t.Helper()
		b.event(func(m map[string]any) bool {
			params, _ := m["params"].(map[string]any)
			tracks, _ := params["tracks"].(map[string]any)
			v, _ := tracks["v"].(map[string]any)
			return m["method"] == "on-track-layer-update" && v["current_layer"] == current && v["expected_layer"] == "high" &&
				v["subscriber_degraded"] == degraded
		})
	}
	takes.Store(400_000)
	told("medium", true)
	eventually(t, "a lesser layer", func() bool { return in.last()%10 == 1 })
	takes.Store(100_000)
	told("none", true)
	if got := s.Stats(); got.Narrow != 1 || got.Withheld != 1 {
		t.Errorf("%d narrow, %d withheld", got.Narrow, got.Withheld)
	}
	f := b.peer.Figures()
	if len(f.Subscriptions) != 1 || !f.Subscriptions[0].Limited || f.Line.Limit == 0 {
		t.Errorf("%+v", f)
	}
	takes.Store(0)
	told("low", true)
	eventually(t, "the least layer", func() bool { return in.last()%10 == 0 })
	if all := c.in("v"); all.last()%10 != 2 {
		t.Error("others have to do with a lesser layer, too")
	}
	in.mu.Lock()
	if in.torn > 0 || in.holes() > fewHoles {
		t.Errorf("%d torn, %d holes", in.torn, in.holes())
	}
	in.mu.Unlock()
	b.peer.Close()
	eventually(t, "the end of it", func() bool { got := s.Stats(); return got.Narrow == 0 && got.Withheld == 0 })
}
