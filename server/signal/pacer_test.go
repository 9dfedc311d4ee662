package signal

import (
	"encoding/json"
	"fmt"
	"testing"

	"amphi/server/protocol"
)

// What is over the budget of writes waits, in order, and goes out together; who asks for something is answered at once.
func TestPacer(t *testing.T) {
	s := newStage(t)
	s.pacer = newPacer(2)
	join := func(peer string) *client {
		c := s.dial(t, peer, "r1/hls-viewer")
		c.request("1", protocol.MethodJoin, fmt.Sprintf(`{"name":%q}`, peer))
		return c
	}
	ann, bob := join("ann"), join("bob")
	before := s.Stats()
	const messages = 100
	for i := range messages {
		ann.request(fmt.Sprint("say-", i), protocol.MethodBroadcast, fmt.Sprintf(`{"info":{"message":"%d"}}`, i))
	}
	for i := range messages {
		var e protocol.BroadcastEvent
		if err := json.Unmarshal(bob.notification(protocol.OnBroadcast).Params, &e); err != nil {
			t.Fatal(err)
		}
		if e.Info.Message != fmt.Sprint(i) {
			t.Fatalf("message %s came instead of %d", e.Info.Message, i)
		}
	}
	after := s.Stats()
	if frames, writes := after.FramesOut-before.FramesOut, after.Writes-before.Writes; writes > messages+messages/2 {
		t.Errorf("%d frames took %d writes", frames, writes)
	}
}

// Sockets that stand in line, or are gone from it, keep no server from closing.
func TestPacerAtTheEnd(t *testing.T) {
	s := newStage(t)
	s.pacer = newPacer(2)
	gone := s.dial(t, "gone", "r1/hls-viewer")
	gone.request("1", protocol.MethodJoin, `{"name":"gone"}`)
	ann := s.dial(t, "ann", "r1/hls-viewer")
	ann.request("1", protocol.MethodJoin, `{"name":"ann"}`)
	for range 10 {
		ann.request("2", protocol.MethodBroadcast, `{"info":{"message":"hello"}}`)
	}
	_ = gone.ws.CloseNow()
}
