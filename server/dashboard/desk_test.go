package dashboard

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/account"
	"amphi/server/api"
	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/protocol"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
	"amphi/server/whip"
	"amphi/templates"
)

// desk is a dashboard with a real store, real rooms and the real API beside it, and somebody who is signed in.
type desk struct {
	t      *testing.T
	store  *store.Store
	seed   store.Seeded
	rooms  *room.Registry
	server *httptest.Server
	cookie string
	member string // who is signed in: an id
	path   string // of the database
}

// desked makes a desk; change completes the configuration.
func desked(t *testing.T, role account.Role, change func(*Config)) *desk {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	path := filepath.Join(t.TempDir(), "amphi.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	seed, err := s.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	media, err := sfu.New(sfu.Config{Loopback: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.NewRegistry(room.Config{SFU: media, Records: records.Records{DB: s}, Streamer: func() room.Streamer { return nil },
		NewID: store.NewID, NodeID: "node-1", Log: log})
	t.Cleanup(func() {
		rooms.Close()
		if err := media.Close(); err != nil {
			t.Error(err)
		}
	})
	def := config.Default()
	metrics := prometheus.NewRegistry()
	rest := &api.API{Store: s, Rooms: rooms, Live: onRecord{Store: s}, WHIP: whip.New(rooms, log), TokenLifetime: time.Hour, Limits: def.Limits,
		RTMPPort: 1935, MetricsFrom: def.HTTP.MetricsFrom, Metrics: metrics, Log: log}
	mux := http.NewServeMux()
	rest.Register(mux)
	accounts := &account.Accounts{Store: s}
	cfg := Config{Log: log, Store: s, Accounts: accounts, API: mux, Rooms: rooms,
		Assets:     func(name string) templates.Asset { return templates.Asset{URL: "/static/" + name} },
		ClientAddr: func(*http.Request) netip.Addr { return netip.IPv6Loopback() }}
	if change != nil {
		change(&cfg)
	}
	k := &desk{t: t, store: s, seed: seed, rooms: rooms, path: path, server: httptest.NewServer(New(cfg))}
	t.Cleanup(k.server.Close)
	now := time.Now() // a member without a password, whose hash takes its time
	link := store.MemberLink{ID: store.NewID(), Hash: "link", WorkspaceID: seed.Workspace.ID, Role: string(role), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	if err := s.AddMemberLink(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	m, err := s.UseMemberLink(t.Context(), link.Hash, store.Member{ID: store.NewID(), Email: "ann@example.org", Name: "Ann"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.member = m.ID
	who, err := accounts.Member(t.Context(), seed.Workspace.ID, m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if k.cookie, err = accounts.Open(t.Context(), who, account.ByPassword, "test", "::1"); err != nil {
		t.Fatal(err)
	}
	return k
}

// onRecord runs streams on the record only.
type onRecord struct {
	api.Live
	*store.Store
}

func (o onRecord) StartStream(ctx context.Context, roomID string, _ api.StreamOptions) (store.LiveStream, error) {
	if _, err := o.ActiveLiveStream(ctx, roomID); err == nil {
		return store.LiveStream{}, protocol.Errorf(protocol.CodeConflict, "running")
	}
	session, err := o.OpenSession(ctx, store.NewID(), roomID, time.Now())
	if err != nil {
		return store.LiveStream{}, err
	}
	return o.StartLiveStream(ctx, store.LiveStream{RoomID: roomID, SessionID: session.ID, Destination: "main", PlaybackURL: "https://live.example/master.m3u8"})
}

func (o onRecord) StopStream(ctx context.Context, roomID string) error {
	l, err := o.ActiveLiveStream(ctx, roomID)
	if err != nil {
		return protocol.Errorf(protocol.CodeNotFound, "hls not running")
	}
	return o.LiveStreamStopping(ctx, l.ID, "", time.Now())
}

// do makes a request and returns what came, without following it elsewhere.
func (k *desk) do(method, path string, form url.Values) (int, string, http.Header) {
	k.t.Helper()
	body := form.Encode()
	if strings.HasPrefix(path, "/dashboard/passkey/") {
		body = "{}" // these are asked in JSON
	}
	req, err := http.NewRequestWithContext(k.t.Context(), method, k.server.URL+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.AddCookie(&http.Cookie{Name: "amphi-session", Value: k.cookie})
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

// get returns a page, which must have all of the texts.
func (k *desk) get(path string, texts ...string) string {
	k.t.Helper()
	status, body, _ := k.do(http.MethodGet, path, nil)
	if status != http.StatusOK {
		k.t.Fatalf("GET %s: %d", path, status)
	}
	k.has(path, body, texts...)
	return body
}

func (k *desk) has(path, body string, texts ...string) {
	k.t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			k.t.Errorf("%s has no %q", path, text)
		}
	}
}

// post sends a form, given as pairs, and returns where it led. It must lead somewhere.
func (k *desk) post(path string, pairs ...string) string {
	k.t.Helper()
	status, _, header := k.do(http.MethodPost, path, values(pairs))
	if status != http.StatusSeeOther {
		k.t.Fatalf("POST %s %v: %d", path, pairs, status)
	}
	return header.Get("Location")
}

// refused sends a form that must be refused with a page that has all of the texts.
func (k *desk) refused(path string, pairs []string, texts ...string) {
	k.t.Helper()
	status, body, _ := k.do(http.MethodPost, path, values(pairs))
	if status != http.StatusUnprocessableEntity {
		k.t.Errorf("POST %s %v: %d", path, pairs, status)
	}
	k.has("POST "+path, body, texts...)
}

func values(pairs []string) url.Values {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

// join brings somebody into the first room.
func (k *desk) join(peerID, role string) (*room.Peer, *hears) {
	k.t.Helper()
	r, err := k.rooms.Open(k.t.Context(), k.seed.Room.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	defer r.Release()
	ears := &hears{}
	p, err := r.Connect(k.t.Context(), room.Identity{PeerID: peerID, UserID: "u-" + peerID, Role: role, TokenHash: sha256.Sum256([]byte(peerID))}, ears)
	if err == nil {
		_, err = p.Join(k.t.Context(), protocol.Join{Name: "name of " + peerID})
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return p, ears
}

// hears is the end of somebody's line.
type hears struct {
	mu     sync.Mutex
	frames []protocol.Frame
}

func (h *hears) Send(frame []byte) {
	f, err := protocol.ParseFrame(frame)
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frames = append(h.frames, f)
}

func (*hears) Close(string) {}

// heard says whether a frame of that method came.
func (h *hears) heard(method string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.frames, func(f protocol.Frame) bool { return f.Method == method })
}

// eventually waits for what happens on another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}
