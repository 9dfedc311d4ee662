package main

import (
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"amphi/server/analytics"
	"amphi/server/auth"
	"amphi/server/protocol"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

// quiet is a socket that nobody reads.
type quiet struct{}

func (quiet) Send([]byte)  {}
func (quiet) Close(string) {}

// TestObserver: what is refused in a room becomes a webhook in the order of the room, and what clients report is kept.
func TestObserver(t *testing.T) {
	ctx := t.Context()
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seeded, err := db.Seed(ctx, auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetWebhook(ctx, seeded.Workspace.ID, store.Webhook{URL: "https://app.example"}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	media, err := sfu.New(sfu.Config{Loopback: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	events := analytics.New(analytics.Config{Store: db, Keep: time.Hour, Most: 1000, Log: log})
	defer events.Close()
	rooms := room.NewRegistry(room.Config{SFU: media, Records: records.Records{DB: db}, Observer: observer{events, db},
		Streamer: func() room.Streamer { return nil }, NewID: store.NewID, NodeID: "n", Log: log})
	defer rooms.Close()

	r, err := rooms.Open(ctx, seeded.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	connect := func(id, role string) (*room.Peer, error) {
		return r.Connect(ctx, room.Identity{PeerID: id, UserID: "u", Role: role, TokenHash: sha256.Sum256([]byte(id))}, quiet{})
	}
	if _, err := connect("bo", "king"); err == nil {
		t.Error("there is no such role")
	}
	ada, err := connect("ada", "hls-viewer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ada.Join(ctx, protocol.Join{Name: "Ada"}); err != nil {
		t.Fatal(err)
	}
	if err := ada.EndRoom(ctx, protocol.EndRoom{}); err == nil {
		t.Error("a viewer ended the room")
	}
	if err := ada.Report(ctx, protocol.Analytics{Name: protocol.ReportSubscribeFailed, Info: []byte(`{"error_code":7}`)}); err != nil {
		t.Error(err)
	}
	cy, err := connect("cy", "broadcaster")
	if err != nil {
		t.Fatal(err)
	}
	if err := cy.Leave(ctx); err != nil {
		t.Error(err)
	}
	r.Release()
	rooms.Close()
	events.Close()

	list, err := db.NextEvents(ctx, seeded.Room.ID, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		var body struct {
			Data struct {
				Error string `json:"error_message"`
			}
		}
		if err := json.Unmarshal(e.Payload, &body); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Type+" "+body.Data.Error)
	}
	if want := []string{"session.open.success ", "peer.join.failure role not allowed", "peer.join.success ",
		"room.end.failure your role does not permit this", "peer.leave.failure Peer not joined", "peer.leave.success ", "session.close.success "}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	kept, _, err := db.AnalyticsEvents(ctx, seeded.Workspace.ID, store.AnalyticsFilter{RoomID: seeded.Room.ID, Newest: 1 << 40}, 0, 10)
	if err != nil || len(kept) != 1 || kept[0].Type != analytics.ClientSubscribeFailed || kept[0].PeerID != "ada" {
		t.Errorf("%+v %v", kept, err)
	}
}
