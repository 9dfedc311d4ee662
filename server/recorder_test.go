package main

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"amphi/compositor/label"
	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/hls"
	"amphi/server/live"
	"amphi/server/protocol"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/rtmp"
	"amphi/server/sfu"
	"amphi/server/store"
)

// heard is a socket that keeps what it is sent.
type heard struct {
	quiet
	mu     sync.Mutex
	frames []string
}

func (h *heard) Send(frame []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames = append(h.frames, string(frame))
}

// A recording, which this server cannot do, is on record as failed, and everybody in the room is told.
func TestRecorder(t *testing.T) {
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seeded, err := db.Seed(ctx, auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	media, err := sfu.New(sfu.Config{Loopback: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	files, err := openStorage(cfg, "http://localhost", "secret", log)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Local.Close()
	tapes, err := openRecordings(cfg, db, files, log)
	if err != nil {
		t.Fatal(err)
	}
	var lives *live.Manager
	rooms := room.NewRegistry(room.Config{SFU: media, Records: records.Records{DB: db},
		Recorder: recorder{db, func() *live.Manager { return lives }, &rtmp.Pushes{Store: db, Log: log}},
		Streamer: func() room.Streamer { return nil }, NewID: store.NewID, NodeID: "n", Log: log})
	defer rooms.Close()
	lives = live.New(live.Config{Rooms: rooms, Store: db, Origin: &hls.Origin{}, Worker: "/none", Dir: filepath.Join(cfg.Data, "live"), Recordings: tapes,
		Labels: label.New(label.Config{BuiltinOnly: true, Log: log}), Log: log})
	r, err := rooms.Open(ctx, seeded.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	in := &heard{}
	ann, err := r.Connect(ctx, room.Identity{PeerID: "ann", UserID: "u", Role: "broadcaster"}, in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Join(ctx, protocol.Join{Name: "Ann"}); err != nil {
		t.Fatal(err)
	}

	urls := []string{"rtmp://a.example/live/key"}
	for _, bad := range []protocol.RTMPStart{
		{RTMPURLs: []string{"http://a.example/live/key"}}, {RTMPURLs: []string{"rtmp://a.example/" + strings.Repeat("k", 2000)}},
		{RTMPURLs: []string{urls[0], urls[0], urls[0], urls[0], urls[0], urls[0]}},
		{Record: true, Resolution: &protocol.Resolution{Width: 1, Height: 1}}, {Record: true, MeetingURL: "ftp://a"}, {Record: true, MeetingURL: "::"},
	} {
		if err := ann.StartRTMP(ctx, bad); room.AsProtocol(err).Code != protocol.CodeBadRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := ann.StartRTMP(ctx, protocol.RTMPStart{Record: true, MeetingURL: "https://a.example", Resolution: &protocol.Resolution{Width: 1280, Height: 720}}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // there is no worker, and so it ends
		if _, err := db.ActiveJob(ctx, seeded.Room.ID, store.Recording); err != nil || time.Now().After(end) {
			break
		}
	}
	if err := lives.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := ann.StopRTMP(ctx, struct{}{}); room.AsProtocol(err).Code != protocol.CodeNotFound {
		t.Error(err)
	}
	for kind, want := range map[store.JobKind]string{store.Recording: "media worker: "} {
		jobs, err := db.Jobs(ctx, seeded.Workspace.ID, kind, store.StreamFilter{}, store.Page{Limit: 10})
		if err != nil || len(jobs) != 1 || jobs[0].Status != store.StatusFailed || !strings.Contains(jobs[0].Reason, want) || jobs[0].StartedBy != "ann" {
			t.Errorf("%s: %+v %v", kind, jobs, err)
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	var told []string
	for _, text := range in.frames {
		var f struct {
			Method string
			Params struct {
				Type, State string
				Error       *protocol.Error
			}
		}
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		if p := f.Params; f.Method == protocol.OnRTMPUpdate || f.Method == protocol.OnRecordUpdate {
			told = append(told, p.Type+" "+p.State)
			if (p.Error != nil) != (p.State == protocol.StateFailed) {
				t.Errorf("%s", text)
			}
		}
	}
	if got, want := strings.Join(told, ", "), "Browser initialised, Browser failed"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// The whiteboard store can trust what a token says.
func TestWhiteboardToken(t *testing.T) {
	cfg := config.Whiteboard{Addr: "board.example", Secret: "a secret of thirty-two bytes or more"}
	addr, token, err := whiteboards{cfg}.Access(room.WhiteboardAccess{BoardID: "b", PeerID: "p", Permissions: []string{"read"}})
	if err != nil || addr != cfg.Addr {
		t.Fatalf("%s %v", addr, err)
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(cfg.Secret), nil }); err != nil || claims["whiteboard_id"] != "b" || claims["permissions"].([]any)[0] != "read" {
		t.Errorf("%v %v", claims, err)
	}
}
