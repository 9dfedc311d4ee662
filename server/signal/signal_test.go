package signal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// records has one room, r1, and a disabled one, r2.
type records struct{ room.Records }

func (records) LoadRoom(_ context.Context, id string) (room.Record, error) {
	if id != "r1" && id != "r2" {
		return room.Record{}, room.ErrNotFound
	}
	return room.Record{RoomID: id, Name: "lab", TemplateID: "t1", Template: policy.StarterKit(), Enabled: id == "r1"}, nil
}
func (records) DisableRoom(context.Context, string) error {
	return errors.New("a secret of the database")
}
func (records) PeerJoined(context.Context, room.Session, room.Stay) error { return nil }
func (records) RoleChanged(context.Context, room.Session, room.Stay, room.RoleChange) error {
	return nil
}
func (records) PeerLeft(context.Context, room.Session, room.Stay, room.Departure) error { return nil }
func (records) SessionEnded(context.Context, room.Session, room.Ending) error           { return nil }
func (records) SessionOpened(context.Context, room.Session) error                       { return nil }
func (records) SessionClosed(context.Context, room.Session, time.Time) error            { return nil }
func (records) PeerRenamed(context.Context, room.Session, room.Stay) error              { return nil }
func (records) SaveState(context.Context, room.Session, []byte) error                   { return nil }
func (records) LinkedPolls(context.Context, string) ([]room.LinkedPoll, error)          { return nil, nil }

// authenticate takes tokens of the form room/role.
func authenticate(_ context.Context, token, _ string) (Grant, error) {
	roomID, role, ok := strings.Cut(token, "/")
	if !ok {
		return Grant{}, protocol.Errorf(protocol.CodeUnauthorized, "Token validation error")
	}
	return Grant{RoomID: roomID, UserID: "u1", Role: role}, nil
}

type stage struct {
	*Server
	url string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	media, err := sfu.New(sfu.Config{Loopback: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.NewRegistry(room.Config{
		SFU: media, Records: records{}, Streamer: func() room.Streamer { return nil },
		NewID: func() string { return "s1" }, NodeID: "node-1", Log: log,
		Limits: room.Limits{MessagesPerSecond: 1e6, MessageBurst: 1 << 20}, // room's own tests come to them
	})
	s := New(authenticate, rooms, log)
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		web.Close()
		rooms.Close()
		if err := media.Close(); err != nil {
			t.Error(err)
		}
	})
	return &stage{Server: s, url: "ws" + strings.TrimPrefix(web.URL, "http")}
}

// client is a socket of a test.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (s *stage) dial(t *testing.T, peer, token string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), fmt.Sprintf("%s/ws?peer=%s&token=%s", s.url, peer, token), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// until reads up to the first frame that match accepts.
func (c *client) until(match func(protocol.Frame) bool) protocol.Frame {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	for {
		_, data, err := c.ws.Read(ctx)
		if err != nil {
			c.t.Fatalf("the awaited frame did not come: %v", err)
		}
		f, err := protocol.ParseFrame(data)
		if err != nil {
			c.t.Fatal(err)
		}
		if match(f) {
			return f
		}
	}
}

func (c *client) notification(method string) protocol.Frame {
	c.t.Helper()
	return c.until(func(f protocol.Frame) bool { return f.Method == method })
}

func (c *client) request(id, method, params string) protocol.Frame {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"id":%q,"method":%q,"params":%s,"jsonrpc":"2.0"}`, id, method, params))
	return c.until(func(f protocol.Frame) bool { return f.ID == id })
}

func TestRefusedSockets(t *testing.T) {
	s := newStage(t)
	for name, tc := range map[string]struct {
		peer, token string
		code        int
	}{
		"bad token":     {"p1", "nonsense", protocol.CodeUnauthorized},
		"no token":      {"p1", "", protocol.CodeUnauthorized},
		"no peer":       {"", "r1/broadcaster", protocol.CodeBadRequest},
		"long peer":     {strings.Repeat("p", 65), "r1/broadcaster", protocol.CodeBadRequest},
		"unknown room":  {"p1", "r9/broadcaster", protocol.CodeBadRequest},
		"unknown role":  {"p1", "r1/king", protocol.CodeBadRequest},
		"disabled room": {"p1", "r2/broadcaster", protocol.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t, tc.peer, tc.token)
			f := c.notification(protocol.OnError)
			var e protocol.Error
			if err := json.Unmarshal(f.Params, &e); err != nil || e.Code != tc.code || e.Message == "" {
				t.Errorf("got %s, want code %d", f.Params, tc.code)
			}
			if _, _, err := c.ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Errorf("then %v, want a normal close", err)
			}
		})
	}
	if got := s.Stats().Refused; got != 7 {
		t.Errorf("%d refused, want 7", got)
	}
}

// What is wrong is answered, and the socket goes on.
func TestBadFrames(t *testing.T) {
	s := newStage(t)
	c := s.dial(t, "p1", "r1/hls-viewer")
	if f := c.until(func(protocol.Frame) bool { return true }); f.Method != protocol.OnPolicyChange {
		t.Fatalf("the first frame is %s", f.Method)
	}
	for _, bad := range []string{`hello`, `[]`, `{}`, `{"id":7,"method":"ping"}`, `{"id":"7","method":{}}`} {
		c.send(bad)
		c.notification(protocol.OnWarning)
	}
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"id":"1","method":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	c.notification(protocol.OnWarning)

	wantCode := func(f protocol.Frame, want int) {
		t.Helper()
		if f.Error == nil || f.Error.Code != want {
			t.Errorf("got %s %v, want code %d", f.Result, f.Error, want)
		}
	}
	wantCode(c.request("1", "fly", `{}`), protocol.CodeUnknown)
	wantCode(c.request("2", "broadcast", `{"info":{"message":"early"}}`), protocol.CodeConflict)
	wantCode(c.request("3", "join", `{"name":["Ann"]}`), protocol.CodeBadRequest)
	wantCode(c.request("4", "join", `"Ann"`), protocol.CodeBadRequest)
	if f := c.request("5", "join", `{"name":"Ann","data":"","disableVidAutoSub":true,"surplus":1}`); f.Error != nil || string(f.Result) != `{"sfu_node_id":"node-1"}` {
		t.Errorf("join: %s %v", f.Result, f.Error)
	}
	wantCode(c.request("6", "broadcast", `{"info":"hello"}`), protocol.CodeBadRequest)
	wantCode(c.request("7", "offer", `{"desc":{"type":"offer","sdp":"x"},"tracks":{}}`), protocol.CodeForbidden)
	wantCode(c.request("8", "hls-start", `{}`), protocol.CodeForbidden)
	c.send(`{"method":"answer","params":{"desc":{"type":"answer","sdp":"v=0"}}}`)
	c.send(`{"method":"trickle","params":{"target":7}}`)
	c.send(`{"id":"unasked","result":{}}`)
	if f := c.request("9", "ping", `{"timestamp":1}`); f.Error != nil {
		t.Errorf("ping: %v", f.Error)
	}
	if got := s.Stats().BadFrames; got != 6 {
		t.Errorf("%d bad frames, want 6", got)
	}
}

func TestTooManyBadFrames(t *testing.T) {
	s := newStage(t)
	c := s.dial(t, "p1", "r1/hls-viewer")
	for range maxBadFrames + 1 {
		c.send(`?`)
	}
	for {
		if _, _, err := c.ws.Read(t.Context()); err != nil {
			if websocket.CloseStatus(err) == -1 {
				t.Errorf("the socket ended by %v, want a close frame", err)
			}
			return
		}
	}
}

func TestTooFast(t *testing.T) {
	s := newStage(t)
	s.FramesPerSecond, s.FrameBurst = 0.001, 3
	c := s.dial(t, "p1", "r1/hls-viewer")
	for range 3 {
		c.request("a", "ping", `{}`)
	}
	if f := c.request("b", "ping", `{}`); f.Error == nil || f.Error.Code != protocol.CodeTooMany {
		t.Errorf("got %s %v, want code 429", f.Result, f.Error)
	}
}

// A reader that reads nothing is dropped, and the room goes on.
func TestSlowReader(t *testing.T) {
	s := newStage(t)
	s.QueueFrames, s.WriteTimeout = 16, time.Second
	slow := s.dial(t, "slow", "r1/hls-viewer")
	slow.request("1", "join", `{"name":"Slow"}`)
	s.QueueFrames = 512
	s.FrameBurst = 1 << 20
	fast := s.dial(t, "fast", "r1/hls-viewer")
	fast.request("1", "join", `{"name":"Fast"}`)
	go func() { // fast reads what it is answered
		for {
			if _, _, err := fast.ws.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	text := strings.Repeat("x", 16<<10)
	deadline := time.Now().Add(20 * time.Second)
	for s.Stats().SlowSocket == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the slow reader was not dropped")
		}
		fast.send(fmt.Sprintf(`{"id":"m","method":"peer-update","params":{"data":%q}}`, text[:4<<10]))
	}
}

func TestLeaveAndClose(t *testing.T) {
	s := newStage(t)
	ann, bob := s.dial(t, "ann", "r1/broadcaster"), s.dial(t, "bob", "r1/hls-viewer")
	ann.request("1", "join", `{"name":"Ann"}`)
	bob.request("1", "join", `{"name":"Bob"}`)
	bob.send(`{"method":"leave","params":{"client_reason":"user request"}}`)
	ann.notification(protocol.OnPeerLeave)

	go s.Close()
	for {
		_, _, err := ann.ws.Read(t.Context())
		if err == nil {
			continue
		}
		if errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return
	}
}

// Parts that do not exist say so.
func TestNotEnabled(t *testing.T) {
	for method, what := range map[string]string{
		protocol.MethodTranscriptionStart: "transcription", protocol.MethodTranscriptionStop: "transcription", protocol.MethodTranscriptionSet: "transcription",
	} {
		_, err := dispatch(t.Context(), nil, protocol.Frame{ID: "1", Method: method})
		if e := room.AsProtocol(err); e.Code != protocol.CodeForbidden || !strings.Contains(e.Message, what) || !strings.Contains(e.Message, "not enabled") {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestUnknownMethodIsTold(t *testing.T) {
	_, err := dispatch(t.Context(), nil, protocol.Frame{ID: "1", Method: "transcribe-me"})
	if e := room.AsProtocol(err); e.Code != protocol.CodeUnknown || !strings.Contains(e.Message, "transcribe-me") {
		t.Errorf("got %v", err)
	}
}

func FuzzDispatch(f *testing.F) {
	for method := range handlers {
		f.Add(method, []byte(`{}`))
	}
	f.Add("join", []byte(`{"name":1}`))
	f.Fuzz(func(t *testing.T, method string, params []byte) {
		if !json.Valid(params) {
			return // ParseFrame lets none through
		}
		rooms := room.NewRegistry(room.Config{
			Records: records{}, Streamer: func() room.Streamer { return nil },
			NewID: func() string { return "s1" }, Log: slog.New(slog.DiscardHandler),
		})
		defer rooms.Close()
		r, err := rooms.Open(t.Context(), "r1")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		peer, err := r.Connect(t.Context(), room.Identity{PeerID: "p", Role: policy.RoleHLSViewer}, deaf{})
		if err != nil {
			t.Fatal(err)
		}
		var join protocol.Join
		if method == protocol.MethodJoin && json.Unmarshal(params, &join) == nil && join.Offer != nil {
			return // media is the SFU's to fuzz
		}
		_, _ = dispatch(t.Context(), peer, protocol.Frame{ID: "1", Method: method, Params: params})
	})
}

// deaf is a sink for peers that nobody listens to.
type deaf struct{}

func (deaf) Send([]byte)  {}
func (deaf) Close(string) {}

// What was written to a socket has not arrived because its client still sends: it comes again on the next socket. What
// the client has read does not.
func TestWhatDidNotArriveComesAgain(t *testing.T) {
	s := newStage(t)
	ann := s.dial(t, "ann", "r1/broadcaster")
	ann.request("1", "join", `{"name":"Ann"}`)
	bob := s.dial(t, "bob", "r1/hls-viewer")
	bob.request("1", "join", `{"name":"Bob"}`)
	say := func(text string) { ann.request(text, "broadcast", `{"info":{"message":"`+text+`","type":"chat"}}`) }
	// The messages up to the answer to a request.
	heard := func(c *client, id string) (all []string) {
		c.send(`{"id":"` + id + `","method":"ping","params":{},"jsonrpc":"2.0"}`)
		c.until(func(f protocol.Frame) bool {
			var event protocol.BroadcastEvent
			if f.Method == protocol.OnBroadcast && json.Unmarshal(f.Params, &event) == nil {
				all = append(all, event.Info.Message)
			}
			return f.ID == id
		})
		return all
	}
	say("read")
	// The answer to the first shows bob a mark, with the second his library has answered it, and the third comes after that.
	got := slices.Concat(heard(bob, "2"), heard(bob, "3"), heard(bob, "4"))
	say("not read")
	before := s.Stats().FramesIn
	for range 5 {
		bob.send(`{"id":"5","method":"ping","params":{},"jsonrpc":"2.0"}`)
	}
	for end := time.Now().Add(20 * time.Second); s.Stats().FramesIn < before+5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not read")
		}
	}
	again := s.dial(t, "bob", "r1/hls-viewer")
	if got = append(got, heard(again, "6")...); !slices.Equal(got, []string{"read", "not read"}) {
		t.Errorf("bob heard %q", got)
	}

	// The library has answered the mark, as a browser does for a page that stands still; of the page nothing came since.
	say("waits")
	got = slices.Concat(heard(again, "7"), heard(again, "8"))
	if got = append(got, heard(s.dial(t, "bob", "r1/hls-viewer"), "9")...); !slices.Equal(got, []string{"waits", "waits"}) {
		t.Errorf("bob heard %q", got)
	}
}
