package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/pion/webrtc/v4"

	"amphi/e2e/testserver"
	"amphi/server/protocol"
)

// socket is the signalling of one client, frame by frame, so that a test can say what no client would.
type socket struct {
	t    *testing.T
	name string
	ws   *websocket.Conn

	mu      sync.Mutex
	frames  []protocol.Frame // that nobody has asked for yet
	arrived chan struct{}    // has an item after a frame or the end
	ended   error            // of the socket, once it has ended
}

// frameTimeout is far more than an answer takes.
const frameTimeout = 10 * time.Second

// dial opens the WebSocket with a token.
func dial(t *testing.T, server *testserver.Server, token string) *socket {
	t.Helper()
	endpoint := strings.Replace(server.URL, "http", "ws", 1) + "/ws?" + url.Values{
		"peer": {uuid.NewString()}, "token": {token}, "protocol_version": {"2.5"}, "protocol_spec": {"20250115"},
	}.Encode()
	ws, _, err := websocket.Dial(t.Context(), endpoint, nil)
	if err != nil {
		t.Fatalf("open the socket: %v", err)
	}
	ws.SetReadLimit(1 << 20)
	s := &socket{t: t, ws: ws, arrived: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.read()
	}()
	t.Cleanup(func() {
		_ = ws.CloseNow()
		<-done
	})
	return s
}

func (s *socket) read() {
	for {
		_, data, err := s.ws.Read(context.Background())
		var frame protocol.Frame
		if err == nil {
			frame, err = protocol.ParseFrame(data)
		}
		s.mu.Lock()
		if err != nil {
			s.ended = err
		} else {
			s.frames = append(s.frames, frame)
		}
		s.mu.Unlock()
		select {
		case s.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// wait takes out the first frame that fits; the others stay, in any order they may come in. what says in an error what
// was waited for.
func (s *socket) wait(what string, fits func(protocol.Frame) bool) protocol.Frame {
	s.t.Helper()
	timeout := time.After(frameTimeout)
	for {
		s.mu.Lock()
		for i, frame := range s.frames {
			if fits(frame) {
				s.frames = slices.Delete(s.frames, i, i+1)
				s.mu.Unlock()
				return frame
			}
		}
		ended, others := s.ended, make([]string, len(s.frames))
		for i, frame := range s.frames {
			others[i] = frame.Method
		}
		s.mu.Unlock()
		if ended != nil {
			s.t.Fatalf("%s: the socket ended before %s: %v", s.name, what, ended)
		}
		select {
		case <-s.arrived:
		case <-timeout:
			s.t.Fatalf("%s: no %s; there came %q", s.name, what, others)
		}
	}
}

// told waits for a notification.
func (s *socket) told(method string) json.RawMessage {
	s.t.Helper()
	return s.wait(method, func(frame protocol.Frame) bool { return frame.Method == method }).Params
}

// closes waits until the server has closed the socket.
func (s *socket) closes() {
	s.t.Helper()
	timeout := time.After(frameTimeout)
	for {
		s.mu.Lock()
		ended := s.ended
		s.mu.Unlock()
		if ended != nil {
			return
		}
		select {
		case <-s.arrived:
		case <-timeout:
			s.t.Fatalf("%s: the server did not close the socket", s.name)
		}
	}
}

// sendRaw sends a text frame as it is.
func (s *socket) sendRaw(frame string) {
	s.t.Helper()
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		s.t.Fatalf("%s sends %.80s: %v", s.name, frame, err)
	}
}

// call sends a request and returns its answer.
func (s *socket) call(method string, params any) (json.RawMessage, *protocol.Error) {
	s.t.Helper()
	id := uuid.NewString()
	data, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		s.t.Fatal(err)
	}
	s.sendRaw(string(data))
	answer := s.wait("answer to "+method, func(frame protocol.Frame) bool { return frame.ID == id && frame.Method == "" })
	return answer.Result, answer.Error
}

// works checks that the connection is alive and answers.
func (s *socket) works() {
	s.t.Helper()
	if _, refused := s.call(protocol.MethodPing, map[string]any{"timestamp": 1}); refused != nil {
		s.t.Errorf("%s: ping is refused: %v", s.name, refused)
	}
}

// refused makes a request that must be refused with this code.
func (s *socket) refused(code int, method string, params any) {
	s.t.Helper()
	result, refusal := s.call(method, params)
	switch {
	case refusal == nil:
		s.t.Errorf("%s: %s is not refused: %s", s.name, method, result)
	case refusal.Code != code:
		s.t.Errorf("%s: %s is refused by %v, want code %d", s.name, method, refusal, code)
	}
}

// enter opens a socket for a role and joins the room.
func enter(t *testing.T, server *testserver.Server, room *testserver.Room, role, name string) *socket {
	t.Helper()
	s := dial(t, server, server.Keys().AuthToken(room.ID, role, name))
	s.name = name
	s.told(protocol.OnPolicyChange)
	params := map[string]any{"name": name, "data": "", "disableVidAutoSub": true}
	if role != hlsViewer {
		params["offer"] = map[string]any{"type": "offer", "sdp": offer(t)}
	}
	if _, refusal := s.call(protocol.MethodJoin, params); refusal != nil {
		t.Fatalf("%s does not get in: %v", name, refusal)
	}
	s.told(protocol.OnPeerList)
	return s
}

// offer makes a valid offer: a data channel, as every client's first one has, and the given media.
func offer(t *testing.T, media ...webrtc.RTPCodecType) string {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if _, err := pc.CreateDataChannel(protocol.DataChannelLabel, nil); err != nil {
		t.Fatal(err)
	}
	for _, kind := range media {
		_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			t.Fatal(err)
		}
	}
	description, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return description.SDP
}

// track is the metadata of a published track.
func track(kind string) map[string]any {
	return map[string]any{"track_id": "t-" + kind, "stream_id": "s", "type": kind, "source": "regular", "mute": false, "description": ""}
}
