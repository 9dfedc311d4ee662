package signal

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"amphi/server/protocol"
)

// Every code that the protocol names (§7.11) comes over a socket, and none says
// more than it should.
func TestEveryCode(t *testing.T) {
	seen := map[int]bool{}
	s := newStage(t)
	s.FrameBurst = 200
	ann, bob := s.dial(t, "ann", "r1/broadcaster"), s.dial(t, "bob", "r1/hls-viewer")
	refused := func(c *client, code int, method, params string) {
		t.Helper()
		f := c.request(method, method, params)
		if f.Error == nil || f.Error.Code != code || f.Error.Message == "" || strings.Contains(f.Error.Message, "secret") {
			t.Errorf("%s %.60s: %.60s %v, want code %d", method, params, f.Result, f.Error, code)
			return
		}
		seen[code] = true
	}
	told := func(peer, token string, code int) {
		t.Helper()
		var e protocol.Error
		if f := s.dial(t, peer, token).notification(protocol.OnError); json.Unmarshal(f.Params, &e) != nil || e.Code != code {
			t.Errorf("on-error %s, want code %d", f.Params, code)
			return
		}
		seen[code] = true
	}
	ok := func(c *client, method, params string) {
		t.Helper()
		if f := c.request(method, method, params); f.Error != nil {
			t.Errorf("%s: %v", method, f.Error)
		}
	}
	told("x", "nonsense", protocol.CodeUnauthorized)
	told("x", "r2/broadcaster", protocol.CodeForbidden)

	// Before the join: nothing but the join, whatever its order.
	for _, early := range []string{
		"broadcast", "peer-update", "group-join", "get-peer", "find-peer", "set-metadata", "get-metadata", "listen-metadata-change",
		"poll-list", "poll-start", "role-change-request", "role-change", "peer-leave-request", "end-room", "track-update-request", "hls-start",
	} {
		refused(ann, protocol.CodeConflict, early, `{}`)
	}
	ann.send(`{"method":"track-update","params":{"tracks":{"t":{"track_id":"t","mute":true}}}}`)
	ann.send(`{"method":"answer","params":{"desc":{"type":"answer","sdp":"v=0"}}}`)
	ok(ann, "join", `{"name":"Ann"}`)
	ok(bob, "join", `{"name":"Bob"}`)
	refused(ann, protocol.CodeConflict, "join", `{"name":"Ann again"}`)

	refused(ann, protocol.CodeUnknown, "poll-delete", `{}`)
	refused(ann, protocol.CodeBadRequest, "set-metadata", `{"key":""}`)
	refused(ann, protocol.CodeBadRequest, "offer", `{"desc":{"type":"offer","sdp":"v=0"},"tracks":{}}`)
	refused(ann, protocol.CodeBadRequest, "offer", `{"desc":{"type":"offer","sdp":"v=0"},"tracks":{"a":{"track_id":"b"}}}`)
	refused(bob, protocol.CodeForbidden, "end-room", `{}`)
	refused(bob, protocol.CodeForbidden, "transcription-start", `{"mode":"caption"}`)
	refused(bob, protocol.CodeForbidden, "role-change", `{"role":"broadcaster","token":"guessed"}`)
	refused(ann, protocol.CodeNotFound, "get-peer", `{"peer_id":"somebody of another room"}`)
	refused(ann, protocol.CodeNotFound, "track-update-request", `{"requested_for":"bob","track_id":"t","mute":true}`)
	refused(ann, protocol.CodeNotFound, "poll-start", `{"poll_id":"p"}`)
	refused(ann, protocol.CodeTooLarge, "broadcast", `{"info":{"message":"`+strings.Repeat("x", 17<<10)+`"}}`)
	refused(ann, protocol.CodeTooLarge, "peer-update", `{"name":"`+strings.Repeat("x", 1<<10)+`"}`)
	refused(ann, protocol.CodeStaleNode, "offer", `{"desc":{"type":"offer","sdp":"v=0"},"tracks":{},"sfu_node_id":"node-0"}`)
	refused(ann, protocol.CodeUnavailable, "hls-start", `{}`)
	refused(ann, protocol.CodeInternal, "end-room", `{"lock":true}`) // the database fails

	// Who the server does not know any more joins again.
	s2 := newStage(t)
	cat := s2.dial(t, "cat", "r1/hls-viewer")
	refused(cat, protocol.CodeGone, "offer", `{"desc":{"type":"offer","sdp":"v=0"},"tracks":{}}`)
	s2.FramesPerSecond, s2.FrameBurst = 0.001, 1
	dan := s2.dial(t, "dan", "r1/hls-viewer")
	ok(dan, "ping", `{}`)
	dan.send(`{"method":"trickle","params":{}}`)
	var e protocol.Error
	if f := dan.notification(protocol.OnWarning); json.Unmarshal(f.Params, &e) != nil || e.Code != protocol.CodeTooMany {
		t.Errorf("%s", f.Params)
	}
	dan.send(`{"method":"trickle","params":{}}`) // no second warning
	refused(dan, protocol.CodeTooMany, "ping", `{}`)

	want := []int{400, 401, 403, 404, 405, 409, 410, 413, 421, 429, 500, 503}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
}
