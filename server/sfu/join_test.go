package sfu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// TestJoins: whoever joins gets a first frame, a whole one that needs no other, at every moment between two key frames and
// however many join at once. The publisher makes key frames only when it is asked, and nothing is asked for a second time:
// a join that would have to wait for either waits for ever here. So the longest wait is that of the throttle (half a
// second) and of one request, which needs no clock to be tested; how long it was is printed.
func TestJoins(t *testing.T) {
	t.Parallel()
	const joins, atOnce = 200, 8
	once := testTiming
	once.tick = time.Hour
	s, err := newSFU(Config{Loopback: true, Log: quiet()}, once)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	a := joined(t, s, "a", false)
	o := a.add(webrtc.MimeTypeVP8, "s", "v")
	o.period = time.Second / 30
	a.negotiate(nil)
	o.start()
	eventually(t, "media", func() bool { return o.sent.Load() > 20 })

	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for worker := range atOnce {
		all.Go(func() {
			for i := worker; i < joins; i += atOnce {
				time.Sleep(rand.N(100 * time.Millisecond))
				// A test of its own: it leaves at its end.
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					c := newClient(t, s, fmt.Sprint(i))
					begun := time.Now()
					c.peer.Subscribe([]*Track{a.peer.Track("v")})
					c.peer.StartSubscribe(true)
					in := c.in("v")
					eventually(t, "a first frame", func() bool { return in.count() > 0 })
					in.mu.Lock()
					defer in.mu.Unlock()
					if in.keys == 0 || in.torn > 0 {
						t.Errorf("it begins with no key frame, or %d are torn", in.torn)
					}
					mu.Lock()
					defer mu.Unlock()
					took = append(took, in.firstAt.Sub(begun))
				})
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	late, _ := slices.BinarySearch(took, 500*time.Millisecond)
	t.Logf("%d joins, %d key frames asked for: p50 %v, p95 %v, longest %v, %d over 500 ms", len(took), o.plis.Load(),
		took[len(took)/2].Round(time.Millisecond), took[len(took)*95/100].Round(time.Millisecond),
		took[len(took)-1].Round(time.Millisecond), len(took)-late)
}
