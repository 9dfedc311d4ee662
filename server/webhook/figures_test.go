package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amphi/server/store"
	"amphi/server/store/storetest"
)

// TestFigures measures deliveries: of one room, of many, and of many while others go to a receiver that takes a second
// for each. go tool task bench:webhook
func TestFigures(t *testing.T) {
	if !*soak {
		t.Skip("measures only with -soak")
	}
	storetest.Each(t, func(t *testing.T, where string) {
		const rooms, slowRooms, window = 64, 64, 5 * time.Second
		h := newHouseAt(t, where, rooms+slowRooms+1)
		name := func(what string) string { return "webhook." + t.Name()[len("TestFigures/"):] + "." + what }

		var quick, slow atomic.Int64
		quickReceiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			quick.Add(1)
		}))
		defer quickReceiver.Close()
		slowReceiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-time.After(time.Second):
				slow.Add(1)
			case <-r.Context().Done():
			}
		}))
		defer slowReceiver.Close()
		h.webhook(quickReceiver.URL, nil)
		for _, room := range h.rooms[rooms : rooms+slowRooms] {
			h.roomWebhook(room, slowReceiver.URL)
		}
		// What is measured is sending, so the events are there before.
		fill := func(rooms []string, each int) {
			var wg sync.WaitGroup
			for _, room := range rooms {
				wg.Go(func() {
					for range each {
						h.happen(room, store.NewID())
					}
				})
			}
			wg.Wait()
		}
		measure := func(rooms []string, each int, count *atomic.Int64) float64 {
			fill(rooms, each)
			before := count.Load()
			_, stop := h.run(nil)
			ctx, cancel := context.WithTimeout(t.Context(), window)
			defer cancel()
			begin := time.Now()
			all := int64(len(rooms) * each)
			for count.Load()-before < all && sleep(ctx, time.Millisecond) {
			}
			rate := float64(count.Load()-before) / time.Since(begin).Seconds()
			stop()
			return rate
		}
		unit := "deliveries/s"
		figure(t, name("one_room"), measure(h.rooms[rooms+slowRooms:], 1000, &quick), unit)
		figure(t, name("alone"), measure(h.rooms[:rooms], 100, &quick), unit)
		fill(h.rooms[rooms:rooms+slowRooms], 10) // 64 rooms, four times what one host gets at once
		figure(t, name("beside_slow"), measure(h.rooms[:rooms], 100, &quick), unit)
		before, begin := slow.Load(), time.Now()
		_, stop := h.run(nil)
		time.Sleep(window)
		stop()
		figure(t, name("slow"), float64(slow.Load()-before)/time.Since(begin).Seconds(), unit)
		if n := slow.Load(); n == 0 {
			t.Error(fmt.Errorf("the slow receiver got nothing"))
		}
	})
}
