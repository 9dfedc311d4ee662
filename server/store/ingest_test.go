package store

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// What an encoder does with a stream key is told, and only the key that is enabled opens anything.
func TestIngest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		db, seeded := hooked(t, where)
		testIngest(t, db, seeded)
	})
}

func testIngest(t *testing.T, db *Store, seeded Seeded) {
	ctx := t.Context()
	drain(t, db, seeded)
	k, err := db.NewStreamKey(ctx, seeded.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := db.KeyHolder(ctx, k.Key); err != nil || got.RoomID != seeded.Room.ID {
		t.Errorf("%+v %v", got, err)
	}
	began := time.Now()
	i := Ingest{ID: NewID(), RoomID: seeded.Room.ID, StreamID: "stream", StartedAt: began}
	for _, err := range []error{db.IngestStarted(ctx, i), db.IngestEnded(ctx, i, IngestClosed, began.Add(90*time.Second), began.Add(90*time.Second)), db.IngestRefused(ctx, i.RoomID, "already connected", began)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events, err := db.NextEvents(ctx, seeded.Room.ID, 10)
	check(t, err)
	type data struct {
		IngestID string `json:"ingest_id"`
		StreamID string `json:"stream_id"`
		Reason   string `json:"reason"`
		Duration int    `json:"duration"`
		Error    string `json:"error_message"`
	}
	want := []data{{i.ID, "stream", "", 0, ""}, {i.ID, "stream", "stream closed", 90, ""}, {"", "", "", 0, "already connected"}}
	kinds := []string{"ingest.start.success", "ingest.end.success", "ingest.start.failure"}
	if len(events) != len(want) {
		t.Fatalf("%d events", len(events))
	}
	for n, e := range events {
		var body struct{ Data data }
		if err := json.Unmarshal(e.Payload, &body); err != nil || e.Type != kinds[n] || body.Data != want[n] {
			t.Errorf("%s %+v %v, want %s %+v", e.Type, body.Data, err, kinds[n], want[n])
		}
	}
	if err := db.DisableStreamKey(ctx, seeded.Room.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.KeyHolder(ctx, k.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v with a key that was taken away", err)
	}
}
