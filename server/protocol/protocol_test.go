package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want Frame
		bad  bool
	}{
		"request":            {in: `{"method":"join","params":{"name":"Ann"},"id":"1","jsonrpc":"2.0"}`, want: Frame{ID: "1", Method: "join", Params: json.RawMessage(`{"name":"Ann"}`)}},
		"notification":       {in: `{"method":"leave","params":{}}`, want: Frame{Method: "leave", Params: json.RawMessage(`{}`)}},
		"result":             {in: `{"id":"1","result":{"a":1}}`, want: Frame{ID: "1", Result: json.RawMessage(`{"a":1}`)}},
		"error":              {in: `{"id":"1","error":{"code":403,"message":"no"}}`, want: Frame{ID: "1", Error: &Error{403, "no"}}},
		"no JSON":            {in: `hello`, bad: true},
		"an array":           {in: `[1]`, bad: true},
		"id is a number":     {in: `{"id":1,"method":"ping"}`, bad: true},
		"method is an array": {in: `{"id":"1","method":[]}`, bad: true},
		"empty object":       {in: `{}`, bad: true},
		"two objects":        {in: `{"method":"a"}{"method":"b"}`, bad: true},
		"long id":            {in: `{"method":"a","id":"` + strings.Repeat("x", MaxIDBytes+1) + `"}`, bad: true},
		"long method":        {in: `{"method":"` + strings.Repeat("x", MaxMethodBytes+1) + `"}`, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseFrame([]byte(tc.in))
			if tc.bad {
				if !errors.Is(err, ErrBadFrame) {
					t.Fatalf("error %v, want ErrBadFrame", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(mustMarshal(got)) != string(mustMarshal(tc.want)) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// The client fails on a falsy result and on a server notification with an id.
func TestFramesOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		got  []byte
		want string
	}{
		{Notification("on-error", &Error{403, "no"}), `{"jsonrpc":"2.0","method":"on-error","params":{"code":403,"message":"no"}}`},
		{Request("7", "ping", Ping{5}), `{"id":"7","jsonrpc":"2.0","method":"ping","params":{"timestamp":5}}`},
		{Result("7", nil), `{"id":"7","jsonrpc":"2.0","result":{}}`},
		{Failure("7", Errorf(404, "no %s", "peer")), `{"id":"7","jsonrpc":"2.0","error":{"code":404,"message":"no peer"}}`},
	} {
		if string(tc.got) != tc.want {
			t.Errorf("got  %s\nwant %s", tc.got, tc.want)
		}
	}
}

// Tracks must be an object in peer-list, and absent elsewhere.
func TestPeerTracksOnTheWire(t *testing.T) {
	p := Peer{PeerID: "p", Role: "r", Groups: []string{}, Realtime: true}
	const without = `{"peer_id":"p","role":"r","groups":[],"realtime":true,"info":{"name":"","data":"","user_id":"","type":""}}`
	if got := string(mustMarshal(p)); got != without {
		t.Errorf("got %s", got)
	}
	p.Tracks = map[string]Track{}
	if got := string(mustMarshal(p)); !strings.HasSuffix(got, `,"tracks":{}}`) {
		t.Errorf("got %s", got)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(`{"method":"join","params":{},"id":"1"}`))
	f.Add([]byte(`{"id":"1","error":{"code":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := ParseFrame(data)
		if err == nil && frame.ID == "" && frame.Method == "" {
			t.Error("a frame with neither id nor method was accepted")
		}
	})
}
