package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/e2e/testserver"
	"amphi/server/protocol"
)

// badTokens are tokens that let nobody in, for a room that exists.
func badTokens(keys testserver.Keys, roomID string) map[string]string {
	good := map[string]any{"type": "app", "room_id": roomID, "role": broadcaster, "user_id": "eve"}
	with := func(name string, value any) map[string]any {
		claims := map[string]any{name: value}
		for name, value := range good {
			if _, replaced := claims[name]; !replaced {
				claims[name] = value
			}
		}
		return claims
	}
	foreign := testserver.Keys{AccessKey: "5f9edc6bd238215aec7700df", Secret: strings.Repeat("another workspace ", 4)}
	forged := testserver.Keys{AccessKey: keys.AccessKey, Secret: strings.Repeat("guessed ", 8)}
	return map[string]string{
		"none":            "",
		"no token":        "abc.def.ghi",
		"expired":         keys.Token(with("exp", time.Now().Add(-time.Hour).Unix())),
		"not yet valid":   keys.Token(with("nbf", time.Now().Add(time.Hour).Unix())),
		"foreign":         foreign.AuthToken(roomID, broadcaster, "eve"),
		"forged":          forged.AuthToken(roomID, broadcaster, "eve"),
		"management type": keys.Token(with("type", "management")),
		"without a room":  keys.Token(with("room_id", "")),
	}
}

// TestBadInput sends what no proper client sends, and looks that the answer is the documented one, that the connection
// goes on, and that a witness in the same room notices nothing.
func TestBadInput(t *testing.T) {
	server := testserver.Run(t)
	room, err := server.NewRoom(t.Context(), "bad-input", "")
	if err != nil {
		t.Fatal(err)
	}
	keys := server.Keys()
	witness := enter(t, server, room, broadcaster, "witness")
	stillFine := func(t *testing.T) {
		t.Helper()
		witness.works()
		if server.Exited() {
			t.Fatalf("the server has ended:\n%s", server.Log())
		}
	}

	t.Run("tokens", func(t *testing.T) {
		for name, token := range badTokens(keys, room.ID) {
			if status, code := initAs(t, server, token); status != http.StatusUnauthorized || code != http.StatusUnauthorized {
				t.Errorf("/init with token %q: status %d, code %d, want 401", name, status, code)
			}
			s := dial(t, server, token)
			s.name = name
			expectRefusal(t, s, protocol.CodeUnauthorized)
		}
		// §2.4: never 404, which clients take for an unreachable server
		unknownRoom := keys.AuthToken("65b0c1d2e3f405162738495a", broadcaster, "eve")
		if status, _ := initAs(t, server, unknownRoom); status < 400 || status > 403 {
			t.Errorf("/init for a room that is not there: status %d", status)
		}
		s := dial(t, server, unknownRoom)
		s.name = "unknown room"
		expectRefusal(t, s, protocol.CodeBadRequest)
		stillFine(t)
	})

	t.Run("role that the template lacks", func(t *testing.T) {
		token := keys.AuthToken(room.ID, "emperor", "eve")
		if status, _ := initAs(t, server, token); status < 400 || status > 403 {
			t.Errorf("/init: status %d", status)
		}
		s := dial(t, server, token)
		s.name = "emperor"
		expectRefusal(t, s, protocol.CodeBadRequest)
		witness.refused(protocol.CodeBadRequest, protocol.MethodRoleChangeRequest, map[string]any{"roles": []string{hlsViewer}, "role": "emperor", "force": true})
		stillFine(t)
	})

	t.Run("room codes", func(t *testing.T) {
		for body, want := range map[string]int{
			`{"code": "aaa-bbbb-ccc"}`: http.StatusNotFound,
			`{"code": 5}`:              http.StatusBadRequest,
			`no json`:                  http.StatusBadRequest,
			`{}`:                       http.StatusBadRequest,
		} {
			status, code := exchange(t, server, body)
			if status != want || code != want {
				t.Errorf("POST /v2/token %s: status %d, code %d, want %d", body, status, code, want)
			}
		}
		stillFine(t)
	})

	t.Run("disabled room", func(t *testing.T) {
		closed, err := server.NewRoom(t.Context(), "closed", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := server.API(t.Context(), http.MethodPost, "/v2/rooms/"+closed.ID, map[string]any{"enabled": false}, nil); err != nil {
			t.Fatal(err)
		}
		if status, code := exchange(t, server, fmt.Sprintf(`{"code": %q}`, closed.Codes[broadcaster])); status != http.StatusForbidden || code != http.StatusForbidden {
			t.Errorf("POST /v2/token: status %d, code %d, want 403", status, code)
		}
		token := keys.AuthToken(closed.ID, broadcaster, "eve")
		if status, _ := initAs(t, server, token); status != http.StatusForbidden {
			t.Errorf("/init: status %d, want 403", status)
		}
		s := dial(t, server, token)
		s.name = "in a disabled room"
		expectRefusal(t, s, protocol.CodeForbidden)
		stillFine(t)
	})

	t.Run("frames", func(t *testing.T) {
		s := enter(t, server, room, hlsViewer, "framer")
		for _, frame := range []string{`no json`, `[]`, `"text"`, `null`, `{}`, `{"method": 5}`, `{"id": "x"`} {
			s.sendRaw(frame)
			var warning protocol.Error
			if err := json.Unmarshal(s.told(protocol.OnWarning), &warning); err != nil || warning.Code != protocol.CodeBadRequest {
				t.Errorf("%s: warned with %+v, %v", frame, warning, err)
			}
			s.works()
		}
		s.refused(protocol.CodeUnknown, "make-coffee", map[string]any{})
		s.refused(protocol.CodeBadRequest, protocol.MethodBroadcast, map[string]any{"info": "not an object"})
		s.refused(protocol.CodeBadRequest, protocol.MethodRoleChangeRequest, []int{1, 2, 3})
		s.refused(protocol.CodeBadRequest, protocol.MethodPeerUpdate, map[string]any{"name": 17})
		s.sendRaw(`{"method": "trickle", "params": {"target": "left", "candidate": 7}}`) // a notification has no answer
		s.works()
		stillFine(t)
	})

	t.Run("what the role does not permit", func(t *testing.T) {
		s := enter(t, server, room, hlsViewer, "climber")
		for method, params := range map[string]map[string]any{
			protocol.MethodHLSStart:          {},
			protocol.MethodHLSStop:           {},
			protocol.MethodEndRoom:           {"reason": "bored"},
			protocol.MethodRoleChangeRequest: {"roles": []string{broadcaster}, "role": hlsViewer, "force": true},
		} {
			s.refused(protocol.CodeForbidden, method, params)
		}
		s.works()
		stillFine(t)
	})

	t.Run("offers", func(t *testing.T) {
		s := enter(t, server, room, broadcaster, "offerer")
		for _, sdp := range []string{"", "no sdp", "v=0\r\n", strings.Repeat("a=x\r\n", 1000)} {
			s.refused(protocol.CodeBadRequest, protocol.MethodOffer, map[string]any{
				"desc": map[string]any{"type": "offer", "sdp": sdp}, "tracks": map[string]any{},
			})
			s.works()
		}
		late := dial(t, server, keys.AuthToken(room.ID, broadcaster, "late"))
		late.name = "late"
		late.told(protocol.OnPolicyChange)
		late.refused(protocol.CodeBadRequest, protocol.MethodJoin, map[string]any{
			"name": "late", "offer": map[string]any{"type": "offer", "sdp": "no sdp"},
		})
		late.works()
		stillFine(t)
	})

	t.Run("publishing without permission", func(t *testing.T) {
		s := enter(t, server, room, viewer, "pusher")
		s.refused(protocol.CodeForbidden, protocol.MethodOffer, map[string]any{
			"desc":   map[string]any{"type": "offer", "sdp": offer(t, webrtc.RTPCodecTypeAudio)},
			"tracks": map[string]any{"t-audio": track("audio")},
		})
		s.works()
		stillFine(t)
	})

	t.Run("a message still arrives", func(t *testing.T) {
		s := enter(t, server, room, hlsViewer, "talker")
		if _, refusal := s.call(protocol.MethodBroadcast, map[string]any{"info": map[string]any{"type": "chat", "message": "all well?"}}); refusal != nil {
			t.Fatal(refusal)
		}
		if message := witness.told(protocol.OnBroadcast); !bytes.Contains(message, []byte("all well?")) {
			t.Errorf("the witness got %s", message)
		}
	})
}

// expectRefusal waits for the word that a socket's client may not come in, and for the end of the socket.
func expectRefusal(t *testing.T, s *socket, code int) {
	t.Helper()
	var refusal protocol.Error
	if err := json.Unmarshal(s.told(protocol.OnError), &refusal); err != nil {
		t.Fatal(err)
	}
	if refusal.Code != code || refusal.Message == "" {
		t.Errorf("%s: refused with %+v, want code %d", s.name, refusal, code)
	}
	s.closes()
}

// initAs calls /init as a browser of another origin does and returns the status and the code in the body.
func initAs(t *testing.T, server *testserver.Server, token string) (status, code int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/init?peer_id=11111111-2222-4333-8444-555555555555", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://elsewhere.example")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return send(t, req)
}

// exchange posts a room code for a token, as browsers do: as text.
func exchange(t *testing.T, server *testserver.Server, body string) (status, code int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v2/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	req.Header.Set("Origin", "https://elsewhere.example")
	return send(t, req)
}

// send makes a request whose answer must be JSON that pages of any origin may read.
func send(t *testing.T, req *http.Request) (status, code int) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer protocol.Error
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Errorf("%s answers %d with what is no JSON: %.100s", req.URL.Path, resp.StatusCode, data)
	}
	if allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed != "*" && allowed != "https://elsewhere.example" {
		t.Errorf("%s: status %d without CORS: the page would see a network failure (%q)", req.URL.Path, resp.StatusCode, allowed)
	}
	return resp.StatusCode, answer.Code
}
