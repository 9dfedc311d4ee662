package dashboard

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"amphi/server/live"
	"amphi/server/policy"
)

// A picture is drawn once, few are drawn at a time, and what is kept has bounds.
func TestStills(t *testing.T) {
	var drawn, now, most atomic.Int32
	s := newStills(func(context.Context, live.Still) ([]byte, error) {
		drawn.Add(1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		return []byte("png"), nil
	})
	s.rate.SetBurst(1000)
	key := func(people int) string {
		k, err := s.add(live.Still{People: people, Layout: &policy.Layout{Mode: "grid"}})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if one, again := key(1), key(1); one != again || one == key(2) {
		t.Error("keys are not those of what is drawn")
	}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if png, err := s.get(t.Context(), key(i%4)); err != nil || string(png) != "png" {
				t.Errorf("%q %v", png, err)
			}
		})
	}
	all.Wait()
	if drawn.Load() > 8 || most.Load() > drawnAtOnce { // two may draw one picture at the same time
		t.Errorf("drawn %d times, %d at once", drawn.Load(), most.Load())
	}
	first := key(0)
	for i := range maxStills {
		key(100 + i)
	}
	if _, err := s.get(t.Context(), first); !errors.As(err, &problem{}) || len(s.kept) != maxStills || len(s.order) != maxStills {
		t.Errorf("kept %d, %v", len(s.kept), err)
	}
	for range 3 {
		if _, err := s.add(live.Still{Title: string(make([]byte, maxStillBytes/8))}); err != nil {
			t.Fatal(err)
		}
		s.add(live.Still{Title: string(make([]byte, maxStillBytes/7))})
	}
	if s.bytes > maxStillBytes {
		t.Errorf("%d bytes kept", s.bytes)
	}
	s.rate.SetBurst(0)
	if _, err := s.get(t.Context(), key(77)); !errors.Is(err, errBusy) {
		t.Errorf("without a limit: %v", err)
	}
}
