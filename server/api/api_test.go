package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/protocol"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
	"amphi/server/whip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLive runs streams on the record only.
type fakeLive struct {
	store *store.Store

	mu    sync.Mutex
	known map[string]bool // "room/peer"
	fail  error

	metadata []string // "room payload"
	playlist *Playlist
}

func (f *fakeLive) StartStream(ctx context.Context, roomID string, o StreamOptions) (store.LiveStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return store.LiveStream{}, f.fail
	}
	if _, err := f.store.ActiveLiveStream(ctx, roomID); err == nil {
		return store.LiveStream{}, protocol.Errorf(protocol.CodeConflict, "running")
	}
	session, err := f.store.OpenSession(ctx, store.NewID(), roomID, time.Now())
	if err != nil {
		return store.LiveStream{}, err
	}
	var kept store.StreamRecording
	if o.Recording != nil {
		kept = *o.Recording
	}
	return f.store.StartLiveStream(ctx, store.LiveStream{RoomID: roomID, SessionID: session.ID, Destination: o.Destination,
		MeetingURL: o.MeetingURL, Recording: kept, PlaybackURL: "https://live.example/master.m3u8"})
}

func (f *fakeLive) StopStream(ctx context.Context, roomID string) error {
	l, err := f.store.ActiveLiveStream(ctx, roomID)
	if err != nil {
		return protocol.Errorf(protocol.CodeNotFound, "hls not running")
	}
	return f.store.LiveStreamStopping(ctx, l.ID, "", time.Now())
}

func (f *fakeLive) SendMetadata(_ context.Context, roomID string, m protocol.TimedMetadata) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.metadata = append(f.metadata, roomID+" "+m.Payload)
	return f.fail
}

func (f *fakeLive) StartPlaylist(_ context.Context, _ string, p PlaylistSetup) (Playlist, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.playlist = &Playlist{PlaylistSetup: p, State: "playing", Duration: 60}
	return *f.playlist, nil
}

func (f *fakeLive) Playlist(string) (Playlist, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.playlist == nil {
		return Playlist{}, protocol.Errorf(protocol.CodeNotFound, "no playlist is played")
	}
	return *f.playlist, nil
}

func (f *fakeLive) ControlPlaylist(_, action string, volume int) (Playlist, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.playlist.State = action
	if volume > 0 {
		f.playlist.Volume = volume
	}
	return *f.playlist, nil
}

func (f *fakeLive) Knows(_ context.Context, roomID, peerID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[roomID+"/"+peerID]
}

// liveRooms is a registry of rooms on the store.
func liveRooms(t *testing.T, s *store.Store) *room.Registry {
	media, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.NewRegistry(room.Config{SFU: media, Records: records.Records{DB: s}, Streamer: func() room.Streamer { return nil },
		NewID: store.NewID, NodeID: "node-1", Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		rooms.Close()
		if err := media.Close(); err != nil {
			t.Error(err)
		}
	})
	return rooms
}

// bench is an API on a server of its own.
type bench struct {
	*API
	t      *testing.T
	path   string // of the database
	live   *fakeLive
	seed   store.Seeded
	server *httptest.Server
	admin  string // management token
	names  map[string]string
	body   []byte // of the last answer, as it was sent
	doc    any    // the description, read when it is needed
}

func newBench(t *testing.T, change func(*API)) *bench {
	t.Helper()
	return newBenchOn(t, filepath.Join(t.TempDir(), "amphi.db"), change)
}

// newBenchOn makes a bench on the database at path, a file or a URL.
func newBenchOn(t *testing.T, path string, change func(*API)) *bench {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	seed, err := s.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	live := &fakeLive{store: s, known: make(map[string]bool)}
	def := config.Default()
	rooms := liveRooms(t, s)
	a := &API{Store: s, Rooms: rooms, Live: live, WHIP: whip.New(rooms, slog.New(slog.DiscardHandler)), TokenLifetime: time.Hour, Limits: def.Limits, TrustedProxies: def.HTTP.TrustedProxies,
		MetricsFrom: def.HTTP.MetricsFrom, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(a)
	}
	mux := http.NewServeMux()
	a.Register(mux)
	b := &bench{API: a, t: t, path: path, live: live, seed: seed, server: httptest.NewServer(mux)}
	t.Cleanup(b.server.Close)
	if b.admin, err = auth.MintManagement(seed.Key, time.Hour); err != nil {
		t.Fatal(err)
	}
	b.names = map[string]string{seed.Workspace.ID: "WORKSPACE", seed.Workspace.AppID: "APP", seed.Room.ID: "ROOM", seed.Room.TemplateID: "TEMPLATE", seed.Template.Name: "KIT"}
	for _, c := range seed.Codes {
		b.names[c.Code] = "CODE-" + c.Role
	}
	return b
}

// app mints an auth token for the seeded room.
func (b *bench) app(role string, life time.Duration) string {
	b.t.Helper()
	token, err := auth.MintApp(b.seed.Key, auth.Grant{RoomID: b.seed.Room.ID, Role: role, UserID: "u"}, life)
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

func (b *bench) code(role string) string {
	for _, c := range b.seed.Codes {
		if c.Role == role {
			return c.Code
		}
	}
	b.t.Fatal("no such code")
	return ""
}

var (
	someTime  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	someID    = regexp.MustCompile(`"[0-9a-f]{24}"`)
	someToken = regexp.MustCompile(`"[\w-]+\.[\w-]+\.[\w-]{40,}"`)
	someKey   = regexp.MustCompile(`"key":"[\w-]{32}"`)
	someCode  = regexp.MustCompile(`"[a-z]{3}-[a-z]{4}-[a-z]{3}"`)
	someUUID  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// call makes a request and returns the answer and its body, in which what differs from run to run has names.
func (b *bench) call(method, path, token, body string, header ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.body = raw
	b.conforms(req, body, resp.StatusCode, raw)
	text := strings.TrimSuffix(string(raw), "\n")
	for value, name := range b.names {
		text = strings.ReplaceAll(text, value, name)
	}
	text = someTime.ReplaceAllString(text, "TIME")
	text = someID.ReplaceAllString(text, `"ID"`)
	text = someCode.ReplaceAllString(text, `"CODE"`)
	text = someUUID.ReplaceAllString(text, "UUID")
	return resp, text
}

// want makes a request and compares status and body. header is as in call.
func (b *bench) want(status int, body, method, path, token, send string, header ...string) *http.Response {
	b.t.Helper()
	resp, got := b.call(method, path, token, send, header...)
	got = someToken.ReplaceAllString(got, `"TOKEN"`)
	got = someKey.ReplaceAllString(got, `"key":"KEY"`)
	if resp.StatusCode != status || got != body {
		b.t.Errorf("%s %s %s\ngot  %d %s\nwant %d %s", method, path, send, resp.StatusCode, got, status, body)
	}
	if ct := resp.Header.Get("Content-Type"); got != "" && ct != "application/json" && !strings.HasPrefix(got, "Hls ") {
		b.t.Errorf("%s %s: Content-Type %q", method, path, ct)
	}
	return resp
}

// raw returns the body of an answer to a request of the management API, as it was sent.
func (b *bench) raw(method, path, send string) []byte {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(send))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.admin)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		b.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, body, err)
	}
	return body
}

// field returns a field of such an answer.
func (b *bench) field(name, method, path, send string) string {
	b.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(b.raw(method, path, send), &v); err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprint(v[name])
}

const (
	noToken  = `{"code":401,"message":"Token validation error","details":["token is missing"]}`
	noRoom   = `{"code":404,"message":"room not found"}`
	disabled = `{"code":403,"message":"room is disabled"}`
	unknown  = "/65b0c1d2e3f405162738495a"
)

func badBody(detail string) string {
	return `{"code":400,"message":"Invalid body param","details":["Invalid body param: ` + detail + `"]}`
}

func badQuery(detail string) string {
	return `{"code":400,"message":"Invalid query param","details":["Invalid query param: ` + detail + `"]}`
}

func TestManagementAuth(t *testing.T) {
	b := newBench(t, nil)
	foreign, err := auth.MintManagement(store.AccessKey{AccessKey: store.NewID(), Secret: strings.Repeat("x", 40)}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := auth.MintManagement(b.seed.Key, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	refusal := func(detail string) string {
		return `{"code":401,"message":"Token validation error","details":["` + detail + `"]}`
	}
	for _, e := range b.endpoints() {
		if e.access != byServer {
			continue
		}
		path := strings.NewReplacer("{room_id}", b.seed.Room.ID, "{role}", "broadcaster", "{stream_id}", store.NewID(), "{template_id}", b.seed.Room.TemplateID, "{peer_id}", "p", "{session_id}", store.NewID()).Replace(e.path)
		resp := b.want(401, noToken, e.method, path, "", "")
		if resp.Header.Get("WWW-Authenticate") != "Bearer" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, resp.Header)
		}
		b.want(401, refusal("token is of the wrong type"), e.method, path, b.app("broadcaster", time.Hour), "")
		b.want(401, refusal("access key not found"), e.method, path, foreign, "")
		b.want(401, refusal("token is expired"), e.method, path, expired, "")
		b.want(401, refusal("token is malformed"), e.method, path, "abc", "")
		b.want(401, noToken, e.method, path, "", "", "Authorization", "Basic "+b.admin)
	}
}

func TestRouting(t *testing.T) {
	b := newBench(t, nil)
	b.want(404, `{"code":404,"message":"no such path"}`, "GET", "/v2/frobnicate", b.admin, "")
	b.want(404, `{"code":404,"message":"no such path"}`, "POST", "/v2/", b.admin, "{}")
	resp := b.want(405, `{"code":405,"message":"method DELETE is not allowed here"}`, "DELETE", "/v2/rooms", b.admin, "")
	if got := resp.Header.Get("Allow"); got != "GET, POST, OPTIONS" {
		t.Errorf("Allow: %s", got)
	}
	b.want(405, `{"code":405,"message":"method other is not allowed here"}`, "BREW", "/init", "", "")
	resp = b.want(204, "", "OPTIONS", "/v2/rooms", "", "")
	if resp.Header.Get("Allow") != "GET, POST, OPTIONS" || resp.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("%v", resp.Header)
	}
	for _, path := range []string{"/init", "/v2/token", "/v2/layouts/ui", "/v2/client/report"} {
		resp = b.want(204, "", "OPTIONS", path, "", "")
		h := resp.Header
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "authorization, content-type" || h.Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("preflight of %s: %v", path, h)
		}
	}
	// A slash at the end means nothing.
	b.want(404, noRoom, "GET", "/v2/rooms"+unknown+"/", b.admin, "")
	b.want(401, noToken, "GET", "/init/", "", "")
	resp, body := b.call("HEAD", "/healthz", "", "")
	if resp.StatusCode != 200 || body != "" {
		t.Errorf("HEAD: %d %q", resp.StatusCode, body)
	}
}

func TestProbes(t *testing.T) {
	b := newBench(t, nil)
	b.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
	b.want(200, `{"status":"ready"}`, "GET", "/readyz", "", "")
	resp, body := b.call("GET", "/metrics", "", "")
	if resp.StatusCode != 200 || !strings.Contains(body, `amphi_http_request_seconds_count{method="GET",route="/readyz",status="200"} 1`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	b.want(403, `{"code":403,"message":"metrics are for the networks in http.metrics_from"}`, "GET", "/metrics", "", "", "X-Forwarded-For", "93.184.215.14")
	b.Drain()
	b.want(503, `{"code":503,"message":"shutting down"}`, "GET", "/readyz", "", "")
	b.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
}

func TestBrokenDatabase(t *testing.T) {
	b := newBench(t, nil)
	b.Store.Close()
	b.want(500, `{"code":500,"message":"internal error"}`, "GET", "/v2/rooms", b.admin, "")
	b.want(503, `{"code":503,"message":"the database does not answer"}`, "GET", "/readyz", "", "")
	b.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
}

func TestPanicIsContained(t *testing.T) {
	b := newBench(t, func(a *API) { a.Live = nil })
	b.want(500, `{"code":500,"message":"internal error"}`, "POST", "/v2/live-streams/room/"+b.seed.Room.ID+"/start", b.admin, "")
	b.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
}

func TestBodyLimits(t *testing.T) {
	b := newBench(t, func(a *API) { a.Limits.BodyBytes = 2048 })
	big := `{"name":"` + strings.Repeat("a", 2048) + `"}`
	b.want(413, `{"code":413,"message":"request body too large","details":["at most 2048 bytes"]}`, "POST", "/v2/rooms", b.admin, big)
	resp := b.want(413, `{"code":413,"message":"request body too large","details":["at most 2048 bytes"]}`, "POST", "/v2/token", "", big)
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("no CORS on 413")
	}
	b.want(413, `{"code":413,"message":"request body too large","details":["at most 2048 bytes"]}`, "POST", "/v2/client/report", "", big)
}

func TestRateLimit(t *testing.T) {
	b := newBench(t, func(a *API) { a.Limits.RequestsPerSecond, a.Limits.RequestBurst = 1, 3 })
	now := time.Now()
	b.limiter.now = func() time.Time { return now }
	const refused = `{"code":429,"message":"rate limit exceeded, retry after 1 seconds"}`
	for range 3 {
		b.want(401, noToken, "GET", "/init", "", "")
	}
	resp := b.want(429, refused, "GET", "/init", "", "")
	if resp.Header.Get("Retry-After") != "1" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v", resp.Header)
	}
	b.want(429, refused, "GET", "/v2/rooms", b.admin, "")
	b.want(401, noToken, "GET", "/init", "", "", "X-Forwarded-For", "93.184.215.14") // somebody else, says our proxy
	b.want(200, `{"status":"ok"}`, "GET", "/healthz", "", "")
	now = now.Add(time.Second)
	b.want(401, noToken, "GET", "/init", "", "")
	b.want(429, refused, "GET", "/init", "", "")
	if n := b.limiter.refused.Load(); n != 3 {
		t.Errorf("%d refused", n)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(1, 2)
	now := time.Now()
	l.now = func() time.Time { return now }
	busy := netip.MustParseAddr("11.0.0.1")
	allowed := 0
	addr := netip.MustParseAddr("10.0.0.0")
	for range maxBuckets + 1000 {
		l.allow(addr)
		addr = addr.Next()
		if ok, _ := l.allow(busy); ok {
			allowed++
		}
		if n := len(l.young) + len(l.old); n > maxBuckets {
			t.Fatalf("%d buckets", n)
		}
	}
	if allowed != 2 {
		t.Errorf("a flood of others let somebody make %d requests at once", allowed)
	}
	// An IPv6 customer is one customer.
	for i, s := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"} {
		if ok, _ := l.allow(netip.MustParseAddr(s)); ok != (i < 2) {
			t.Errorf("%s: %v", s, ok)
		}
	}
}

func TestClientAddr(t *testing.T) {
	a := &API{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}
	for _, tc := range []struct{ remote, forwarded, want string }{
		{"93.1.1.1:5", "", "93.1.1.1"},
		{"93.1.1.1:5", "1.1.1.1", "93.1.1.1"}, // no proxy of ours
		{"127.0.0.1:5", "", "127.0.0.1"},
		{"127.0.0.1:5", "93.1.1.1", "93.1.1.1"},
		{"127.0.0.1:5", "6.6.6.6, 93.1.1.1", "93.1.1.1"},
		{"127.0.0.1:5", "6.6.6.6, 93.1.1.1, 10.0.0.1", "93.1.1.1"},
		{"127.0.0.1:5", "nonsense, 10.0.0.1", "10.0.0.1"},
		{"127.0.0.1:5", "2001:db8::1", "2001:db8::1"},
		{"[::ffff:127.0.0.1]:5", "93.1.1.1", "93.1.1.1"},
		{"@", "93.1.1.1", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: tc.remote, Header: http.Header{}}
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		if got := a.ClientAddr(r).String(); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

// FuzzBody: a body is understood or refused with a 400 that says why.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"name":"a","size":3,"recording_info":{"upload_info":{"type":"s3","location":"b"}},"webhook":{"url":"https://a","headers":{"a":"b"}}}`))
	f.Add([]byte(`{"name":1}`))
	f.Add([]byte(`{"polls":["65b0c1d2e3f405162738495a"],"recording_info":[]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(roomInput)
		err := decodeJSON(body, in, false)
		if err == nil {
			err = in.check()
		}
		room := store.Room{Name: "old"}
		if err == nil {
			err = in.apply(&room)
		}
		if err != nil {
			if e := asError(err); e.Code != 400 || e.Message == "" {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if room.Name == "" || room.Size < 0 || room.Size > maxLargeSize || room.Recording != nil && !json.Valid(room.Recording) {
			t.Errorf("%q made %+v", body, room)
		}
	})
}

// FuzzQuery: so is a query.
func FuzzQuery(f *testing.F) {
	f.Add("limit=20&start=65b0c1d2e3f405162738495a&enabled=true&after=2024-01-24T08:12:50Z")
	f.Add("limit=%zz&enabled=maybe")
	f.Add("limit=-99999999999999999999")
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = raw
		var in struct {
			roomQuery
			RoomID objectID `query:"room_id"`
		}
		if err := read(r, &in); err != nil {
			if e := asError(err); e.Code != 400 || len(e.Details) == 0 {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		page := in.page()
		if page.Limit < minPage || page.Limit > maxPage || page.Start != "" && !store.IsID(page.Start) {
			t.Errorf("%q: %+v", raw, page)
		}
	})
}

// TestErrorsAreJSON: whatever is an error encodes as {code, message, details}.
func TestErrorsAreJSON(t *testing.T) {
	for _, err := range []error{errInternal, auth.ErrExpired, protocol.Errorf(409, "x"), io.EOF, badParam("body", "x"), &http.MaxBytesError{Limit: 1}} {
		var body bytes.Buffer
		if e := json.NewEncoder(&body).Encode(asError(err)); e != nil {
			t.Error(e)
		}
		var v struct {
			Code    int
			Message string
		}
		if e := json.Unmarshal(body.Bytes(), &v); e != nil || v.Code < 400 || v.Message == "" {
			t.Errorf("%v: %s", err, body.String())
		}
	}
}
