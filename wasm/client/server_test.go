//go:build !js

package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"

	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"
)

// Roles of the test server: one of each level.
func testRoles() map[string]policy.Role {
	video := &policy.VideoParams{BitRate: 700, Codec: "vp8", FrameRate: 30, Width: 1280, Height: 720}
	return map[string]policy.Role{
		"host": {
			Name: "host", Priority: 1,
			PublishParams: policy.PublishParams{
				Allowed: []policy.Publishable{policy.PublishAudio, policy.PublishVideo, policy.PublishScreen},
				Audio:   &policy.AudioParams{BitRate: 32, Codec: "opus"}, Video: video, Screen: video,
			},
			SubscribeParams: policy.SubscribeParams{SubscribeToRoles: []string{"host"}},
			Permissions:     policy.Permissions{EndRoom: true, ChangeRole: true},
		},
		"viewer":  {Name: "viewer", Priority: 2, SubscribeParams: policy.SubscribeParams{SubscribeToRoles: []string{"host"}}},
		"gallery": {Name: "gallery", Priority: 3},
	}
}

// testServer is a signalling server for one client. What it does is scripted by
// the test; what it gets is kept.
type testServer struct {
	t    *testing.T
	http *httptest.Server

	mu     sync.Mutex
	role   string
	conn   *websocket.Conn
	conns  int
	inits  int
	frames []protocol.Frame            // from the client, in order
	refuse map[string][]protocol.Error // by method: errors to answer with, one a request
	mutes  bool                        // answer nothing at all
	initDo http.HandlerFunc            // instead of the usual answer
	flags  []string

	pub, sub *rtc.Conn
	tracks   chan *rtc.RemoteTrack // published by the client
	prefers  chan string           // data channel messages of the client
	answered chan struct{}         // the client answered a subscribe offer
	came     chan struct{}         // a frame came
}

func newTestServer(t *testing.T, role string) *testServer {
	s := &testServer{
		t: t, role: role, refuse: map[string][]protocol.Error{}, flags: []string{"nonWebRTCDisableOffer"},
		tracks: make(chan *rtc.RemoteTrack, 16), prefers: make(chan string, 64), answered: make(chan struct{}, 16),
		came: make(chan struct{}, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/init", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.inits++
		do, flags := s.initDo, s.flags
		s.mu.Unlock()
		if do != nil {
			do(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"endpoint":         "ws" + strings.TrimPrefix(s.http.URL, "http") + "/ws?keep=1",
			"rtcConfiguration": map[string]any{"ice_servers": []any{}},
			"config":           map[string]any{"enabledFlags": flags},
		})
	})
	mux.HandleFunc("/ws", s.serve)
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.close)
	return s
}

func (s *testServer) close() {
	s.mu.Lock()
	conn, pub, sub := s.conn, s.pub, s.sub
	s.mu.Unlock()
	if conn != nil {
		_ = conn.CloseNow()
	}
	for _, c := range []*rtc.Conn{pub, sub} {
		if c != nil {
			_ = c.Close()
		}
	}
	s.http.Close()
	http.DefaultClient.CloseIdleConnections()
}

func (s *testServer) serve(w http.ResponseWriter, r *http.Request) {
	if q := r.URL.Query(); q.Get("peer") == "" || q.Get("token") == "" || q.Get("protocol_version") != "2.5" || q.Get("keep") != "1" {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(1 << 20)
	s.mu.Lock()
	s.conn = conn
	s.conns++
	s.mu.Unlock()
	s.sendPolicy()
	for {
		_, data, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		frame, err := protocol.ParseFrame(data)
		if err != nil {
			s.t.Errorf("client sent %q: %v", data, err)
			continue
		}
		s.handle(frame)
	}
}

func (s *testServer) send(data []byte) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		_ = conn.Write(context.Background(), websocket.MessageText, data)
	}
}

func (s *testServer) notify(method string, params any) { s.send(protocol.Notification(method, params)) }

func (s *testServer) sendPolicy() {
	s.mu.Lock()
	role := s.role
	s.mu.Unlock()
	s.notify(protocol.OnPolicyChange, protocol.PolicyChange[policy.Role]{Name: role, KnownRoles: testRoles(), TemplateID: "t1"})
}

func (s *testServer) setRole(role string) {
	s.mu.Lock()
	s.role = role
	s.mu.Unlock()
	s.sendPolicy()
}

func (s *testServer) handle(f protocol.Frame) {
	s.mu.Lock()
	if f.Method != protocol.MethodPing && f.Method != protocol.MethodTrickle {
		s.frames = append(s.frames, f)
	}
	silent := s.mutes
	var refusal *protocol.Error
	if list := s.refuse[f.Method]; len(list) > 0 {
		refusal = &list[0]
		s.refuse[f.Method] = list[1:]
	}
	s.mu.Unlock()
	defer func() {
		select {
		case s.came <- struct{}{}:
		default:
		}
	}()
	switch {
	case silent:
	case refusal != nil:
		s.send(protocol.Failure(f.ID, refusal))
	default:
		s.answer(f)
	}
}

func (s *testServer) answer(f protocol.Frame) {
	switch f.Method {
	case protocol.MethodJoin:
		var p protocol.Join
		s.decode(f.Params, &p)
		result := protocol.AnswerResult{SFUNodeID: "node-1"}
		if p.Offer != nil {
			result.Type, result.SDP = "answer", s.publish(p.Offer.SDP)
		}
		s.send(protocol.Result(f.ID, result))
		s.notify(protocol.OnPeerList, protocol.PeerList{Peers: map[string]protocol.Peer{}, Room: protocol.RoomState{Name: "lab", SessionID: "s1"}})
		if p.Offer != nil {
			s.subscribe()
		}
	case protocol.MethodOffer:
		var p protocol.Offer
		s.decode(f.Params, &p)
		s.send(protocol.Result(f.ID, protocol.AnswerResult{Type: "answer", SDP: s.publish(p.Desc.SDP)}))
		s.subscribe()
	case protocol.MethodAnswer:
		var p protocol.Answer
		s.decode(f.Params, &p)
		if err := s.side(protocol.TargetSubscribe).SetAnswer(context.Background(), p.Desc.SDP); err != nil {
			s.t.Errorf("client's answer: %v", err)
		}
		s.answered <- struct{}{}
	case protocol.MethodTrickle:
		var p protocol.Trickle
		s.decode(f.Params, &p)
		_ = s.side(p.Target).AddCandidate(webrtc.ICECandidateInit{Candidate: p.Candidate.Candidate, SDPMid: p.Candidate.SDPMid, SDPMLineIndex: p.Candidate.SDPMLineIndex})
	case protocol.MethodBroadcast:
		s.send(protocol.Result(f.ID, protocol.BroadcastResult{MessageID: "m-" + f.ID, Timestamp: 1700000000000}))
	case protocol.MethodWhiteboardCreate, protocol.MethodWhiteboardGet:
		s.send(protocol.Result(f.ID, map[string]any{"id": "wb", "owner": "u1", "addr": "x", "token": "t", "permissions": []string{"write"}}))
	case protocol.MethodPing:
		s.send(protocol.Result(f.ID, protocol.Ping{Timestamp: 1}))
	default:
		if f.ID != "" {
			s.send(protocol.Result(f.ID, nil))
		}
	}
}

func (s *testServer) decode(data json.RawMessage, to any) {
	if err := json.Unmarshal(data, to); err != nil {
		s.t.Errorf("client sent params %s: %v", data, err)
	}
}

// newConn makes the server's side of a connection.
func (s *testServer) newConn(target int) *rtc.Conn {
	engine := &rtc.Engine{Loopback: true}
	conn, err := engine.NewConn(webrtc.Configuration{}, rtc.Handlers{
		Candidate: func(c webrtc.ICECandidateInit) {
			s.notify(protocol.MethodTrickle, protocol.Trickle{Target: target, Candidate: protocol.Candidate{
				Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex,
			}})
		},
		State: func(webrtc.PeerConnectionState) {},
		Track: func(t *rtc.RemoteTrack) {
			t.Discard()
			s.tracks <- t
		},
		Open: func() {}, Message: func([]byte) {},
	})
	if err != nil {
		s.t.Errorf("connection: %v", err)
	}
	return conn
}

// side is the server's side of a connection; nil before there is one.
func (s *testServer) side(target int) *rtc.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if target == protocol.TargetSubscribe {
		return s.sub
	}
	return s.pub
}

func (s *testServer) publish(offer string) (answer string) {
	conn := s.side(protocol.TargetPublish)
	if conn == nil {
		conn = s.newConn(protocol.TargetPublish)
		s.set(func() { s.pub = conn })
	}
	answer, err := conn.Answer(context.Background(), offer)
	if err != nil {
		s.t.Errorf("client's offer: %v", err)
	}
	return answer
}

// subscribe makes the subscribe connection, once, and offers it.
func (s *testServer) subscribe() {
	if s.side(protocol.TargetSubscribe) != nil {
		return
	}
	conn := s.newConn(protocol.TargetSubscribe)
	s.set(func() { s.sub = conn })
	if err := conn.CreateChannelFor(protocol.DataChannelLabel, func(m []byte, reply func([]byte)) {
		frame, err := protocol.ParseFrame(m)
		if err != nil {
			s.t.Errorf("client sent %q on the data channel", m)
			return
		}
		s.prefers <- frame.Method + " " + string(frame.Params)
		reply(protocol.Result(frame.ID, nil))
	}); err != nil {
		s.t.Errorf("data channel: %v", err)
	}
	s.offer()
}

func (s *testServer) offer() {
	sdp, err := s.side(protocol.TargetSubscribe).Offer(context.Background(), false)
	if err != nil {
		s.t.Errorf("offer: %v", err)
		return
	}
	s.notify(protocol.MethodOffer, protocol.SubscribeOffer{Type: "offer", SDP: sdp, SFUNodeID: "node-1"})
}

// wait blocks until a frame of the client fits, and returns it.
func (s *testServer) wait(method string, fits func(protocol.Frame) bool) protocol.Frame {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	for seen := 0; ; {
		s.mu.Lock()
		frames := s.frames
		s.mu.Unlock()
		for _, f := range frames[seen:] {
			if f.Method == method && (fits == nil || fits(f)) {
				return f
			}
		}
		seen = len(frames)
		select {
		case <-s.came:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			s.t.Fatalf("the client did not send %s", method)
		}
	}
}

func (s *testServer) count(method string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if f.Method == method {
			n++
		}
	}
	return n
}

func (s *testServer) drop() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	_ = conn.CloseNow()
}

func (s *testServer) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// testToken is signed by nobody: clients do not check.
func testToken(role string) string {
	payload := fmt.Sprintf(`{"room_id":"r1","user_id":"u1","role":%q}`, role)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig"
}

// participant is a client under test, with all it told.
type participant struct {
	*Client
	t     *testing.T
	media chan MediaEvent

	mu    sync.Mutex
	notes []Notification
	heard chan struct{}
}

func newParticipant(t *testing.T, capture *rtc.Capture) *participant {
	p := &participant{t: t, media: make(chan MediaEvent, 64), heard: make(chan struct{}, 1)}
	wake := func() {
		select {
		case p.heard <- struct{}{}:
		default:
		}
	}
	p.Client = New(Config{
		Engine: &rtc.Engine{Loopback: true}, Capture: capture,
		Sink: Sink{
			Patch: func(Patch) { wake() },
			Notification: func(n Notification) {
				p.mu.Lock()
				p.notes = append(p.notes, n)
				p.mu.Unlock()
				wake()
			},
		},
		OnMedia: func(e MediaEvent) { p.media <- e },
	})
	p.timing.retryMin, p.timing.retryMax = 10*time.Millisecond, 20*time.Millisecond
	p.timing.reconnectEvery = 20 * time.Millisecond
	t.Cleanup(p.Close)
	return p
}

func clips() *rtc.Capture {
	return &rtc.Capture{
		Video: rtc.File("../rtc/testdata/pattern.ivf"), Audio: rtc.File("../rtc/testdata/tone.ogg"),
		Shared: rtc.File("../rtc/testdata/pattern.ivf"),
	}
}

func (p *participant) config(s *testServer) JoinConfig {
	var role string
	s.set(func() { role = s.role })
	return JoinConfig{AuthToken: testToken(role), UserName: "Ann", InitEndpoint: s.http.URL + "/somewhere"}
}

func (p *participant) join(s *testServer) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := p.Join(ctx, p.config(s)); err != nil {
		p.t.Fatal(err)
	}
}

// until waits for the state to fit.
func (p *participant) until(what string, fits func(State) bool) State {
	p.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		st := p.State()
		if fits(st) {
			return st
		}
		select {
		case <-p.heard:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			text, _ := json.Marshal(p.State())
			p.t.Fatalf("never: %s\nstate: %s", what, text)
		}
	}
}

// told waits for a notification.
func (p *participant) told(kind NotificationType) Notification {
	p.t.Helper()
	var found Notification
	p.until("told "+string(kind), func(State) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, n := range p.notes {
			if n.Type == kind {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

func (p *participant) forget() {
	p.mu.Lock()
	p.notes = nil
	p.mu.Unlock()
}
