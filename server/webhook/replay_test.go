package webhook

import (
	"bytes"
	"io"
	"net/http"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"amphi/server/store"
)

// TestReplay: dead letters are sent again with the same id and a mark, in order, also by the next process; what fails
// again stays a dead letter.
func TestReplay(t *testing.T) {
	h := newHouse(t, 1)
	room := h.rooms[0]
	var replaying atomic.Bool
	bodies := make(chan string, 100)
	arrived := make(chan string)
	rec := newReceiver(t, func(r *http.Request, session string) int {
		if !replaying.Load() {
			return 500
		}
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Webhook-Id") + " " + string(body)
		arrived <- session
		if session == "bad" {
			return 500
		}
		return 200
	})
	h.webhook(rec.URL, nil)
	sessions := []string{"one", "two", "bad", "four", "five"}
	for _, id := range sessions {
		h.happen(room, id)
	}
	events, err := h.store.NextEvents(t.Context(), room, 100)
	if err != nil {
		t.Fatal(err)
	}
	_, stop := h.run(func(s *Sender) { s.RetryFor, s.replayEvery = 1, time.Hour })
	if _, dead := h.settled(); dead != len(sessions) {
		t.Fatalf("%d dead", dead)
	}
	replaying.Store(true)
	r, _, err := h.store.StartReplay(t.Context(), h.seed.Workspace.ID,
		store.ReplayFilter{HistoryFilter: store.HistoryFilter{State: store.Dead}, Limit: 100}, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{<-arrived}
	stop()
	h.run(func(s *Sender) { s.replayEvery = time.Millisecond })
	for range 5 { // the bad one is tried twice
		got = append(got, <-arrived)
	}
	if want := []string{"one", "two", "bad", "bad", "four", "five"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	want := events[0].ID + " " + string(bytes.TrimSuffix(events[0].Payload, []byte("}"))) + `,"is_replay":true}`
	if body := <-bodies; body != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	for {
		if r, err = h.store.Replay(t.Context(), h.seed.Workspace.ID, r.ID); err != nil || !r.FinishedAt.IsZero() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil || r.Delivered != 4 || r.Failed != 1 {
		t.Errorf("%+v %v", r, err)
	}
	if delivered, dead := h.settled(); delivered != 4 || dead != 1 {
		t.Errorf("%d delivered, %d dead", delivered, dead)
	}
}
