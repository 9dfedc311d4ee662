package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/compositor/label"
	"amphi/server/hls"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/storage"
	"amphi/server/store"
)

// house is a server without its front doors: store, rooms, SFU, origin and a manager.
type house struct {
	*Manager
	t      *testing.T
	store  *store.Store
	seed   store.Seeded
	rooms  *room.Registry
	sfu    *sfu.SFU
	origin *hls.Origin
	files  *storage.Storage // of recordings
	web    *httptest.Server
}

// roomRecords is the store as rooms see it, with templates that a test changes.
type roomRecords struct {
	records.Records
	change func(*policy.Template)
}

func (r roomRecords) LoadRoom(ctx context.Context, id string) (room.Record, error) {
	v, err := r.Records.LoadRoom(ctx, id)
	if err == nil {
		r.change(v.Template)
	}
	return v, err
}

var labels = sync.OnceValue(func() *label.Renderer {
	return label.New(label.Config{BuiltinOnly: true, Log: slog.New(slog.DiscardHandler)})
})

// newHouse opens a house whose workers are the program at path. change may alter the template.
func newHouse(t *testing.T, path string, cfg Config, change func(*policy.Template)) *house {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h := &house{t: t, origin: &hls.Origin{}}
	var err error
	if h.store, err = store.Open(t.Context(), filepath.Join(t.TempDir(), "amphi.db")); err != nil {
		t.Fatal(err)
	}
	n := 0
	if h.seed, err = h.store.Seed(t.Context(), func() string { n++; return fmt.Sprint("code-", n) }); err != nil {
		t.Fatal(err)
	}
	if err := h.store.SetWebhook(t.Context(), h.seed.Workspace.ID, store.Webhook{URL: "http://127.0.0.1/hook"}); err != nil {
		t.Fatal(err)
	}
	if h.sfu, err = sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if change == nil {
		change = func(*policy.Template) {}
	}
	mux := http.NewServeMux()
	mux.Handle(hls.Prefix, h.origin)
	h.web = httptest.NewServer(mux)
	endRecordings := h.openRecordings(path, &cfg, mux, log)
	h.rooms = room.NewRegistry(room.Config{
		SFU: h.sfu, Records: roomRecords{records.Records{DB: h.store}, change}, Streamer: func() room.Streamer { return h.Manager },
		NewID: store.NewID, NodeID: "node-1", Log: slog.New(slog.DiscardHandler),
	})
	cfg.Rooms, cfg.Store, cfg.Origin, cfg.PublicURL = h.rooms, h.store, h.origin, h.web.URL
	cfg.Worker, cfg.Labels, cfg.Log = path, labels(), log
	h.Manager = New(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Manager.Close(ctx); err != nil {
			t.Error(err)
		}
		endRecordings()
		h.rooms.Close()
		if err := h.sfu.Close(); err != nil {
			t.Error(err)
		}
		h.web.Close()
		http.DefaultClient.CloseIdleConnections()
		if n := h.Stats().Workers; n != 0 {
			t.Errorf("%d workers are left", n)
		}
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// openRecordings lets streams be recorded.
func (h *house) openRecordings(worker string, cfg *Config, mux *http.ServeMux, log *slog.Logger) (end func()) {
	h.t.Helper()
	dir := h.t.TempDir()
	local, err := storage.OpenDirectory(filepath.Join(dir, "assets"), h.web.URL, []byte("secret"))
	if err != nil {
		h.t.Fatal(err)
	}
	mux.Handle(storage.Prefix, local)
	h.files = &storage.Storage{Local: local, Log: log}
	cfg.Recordings, err = recording.New(recording.Config{Dir: filepath.Join(dir, "recording"), Storage: h.files, Store: h.store, Still: mediaworker.Stills(worker), Log: log})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- cfg.Recordings.Run(ctx) }()
	return func() {
		cancel()
		if err := errors.Join(<-done, local.Close()); err != nil {
			h.t.Error(err)
		}
	}
}

// open opens the seeded room until the test's end.
func (h *house) open() *room.Room {
	h.t.Helper()
	r, err := h.rooms.Open(h.t.Context(), h.seed.Room.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(r.Release)
	return r
}

// until waits for something to become true. Its time is for a machine that has other work.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (h *house) state(r *room.Room) protocol.HLSVariant {
	h.t.Helper()
	st, err := r.HLS(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if len(st.Variants) == 0 {
		return protocol.HLSVariant{}
	}
	if running := st.Variants[0].State == protocol.StateStarted || st.Variants[0].State == protocol.StateInitialised; running != st.Enabled {
		h.t.Errorf("enabled %v in state %q", st.Enabled, st.Variants[0].State)
	}
	return st.Variants[0]
}

// start starts the room's stream and waits until it is on the air.
func (h *house) start(r *room.Room) protocol.HLSVariant {
	h.t.Helper()
	if err := h.StartHLS(h.t.Context(), r, protocol.HLSStart{}, "peer-1"); err != nil {
		h.t.Fatal(err)
	}
	h.until("the stream on the air", func() bool { return h.state(r).State == protocol.StateStarted })
	return h.state(r)
}

// latest is the newest record of a stream.
func (h *house) latest() store.LiveStream {
	h.t.Helper()
	l, err := h.store.LiveStreams(h.t.Context(), h.seed.Workspace.ID, store.StreamFilter{}, store.Page{Limit: 1})
	if err != nil || len(l) != 1 {
		h.t.Fatalf("%d records: %v", len(l), err)
	}
	return l[0]
}

// events takes the hls events out of the outbox, as the API names them.
func (h *house) events() map[string]map[string]any {
	h.t.Helper()
	events := make(map[string]map[string]any)
	for {
		next, err := h.store.NextEvents(h.t.Context(), h.seed.Room.ID, 1)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(next) == 0 {
			return events
		}
		e := next[0]
		if strings.HasPrefix(e.Type, "hls.") {
			var body struct{ Data map[string]any }
			if err := json.Unmarshal(e.Payload, &body); err != nil {
				h.t.Fatal(err)
			}
			events[e.Type] = body.Data
		}
		if err := h.store.Settle(h.t.Context(), store.Outcome{Seq: e.Seq, Now: store.Delivered, At: time.Now()}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) get(url string) int {
	h.t.Helper()
	res, err := http.Get(url)
	if err != nil {
		h.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// wantCode checks for a refusal with one of the codes.
func wantCode(t *testing.T, err error, codes ...int) {
	t.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) || !slices.Contains(codes, e.Code) {
		t.Errorf("%v, want a refusal with code %v", err, codes)
	}
}
