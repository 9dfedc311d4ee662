//go:build !js

package client

import (
	"encoding/json"
	"testing"

	"amphi/server/protocol"
)

// FuzzServerMessages: whatever a server says, the client neither panics nor
// hangs, and can still be closed.
func FuzzServerMessages(f *testing.F) {
	for method, params := range map[string]string{
		"on-policy-change": `{"name":"host","known_roles":{"host":{"publishParams":{"allowed":["audio"]}}}}`,
		"peer-list":        `{"peers":{"a":{"peer_id":"b","role":"x","tracks":{"t":null}}},"room":{"streaming":{"hls":{"enabled":true,"variants":[{"state":"started"}]}}}}`,
		"room-state":       `{"peer_count":0,"room":{}}`, "on-track-add": `{"tracks":{"t":{"type":"video"}},"peer":{"peer_id":"a"}}`,
		"on-track-update": `{"tracks":{"":{}},"peer":{"peer_id":"q"}}`, "on-track-remove": `{"tracks":{"t":{}}}`,
		"on-peer-update": `{"peer_id":"a","realtime":false}`, "on-broadcast": `{"info":{}}`, "active-speakers": `{"speaker-list":null}`,
		"offer": `{"sdp":"v=0"}`, "trickle": `{"target":7,"candidate":{"candidate":"x"}}`, "node-info": `{"sfu_node_id":"z"}`,
		"on-hls-update": `{"variants":null,"error":{"code":5}}`, "on-record-update": `{"type":"HLS"}`,
		"on-role-change-request": `{"role":"host","token":""}`, "on-track-update-request": `{"track_id":"t","mute":true}`,
		"on-change-track-mute-state-request": `{"value":true}`, "on-track-layer-update": `{"tracks":{"t":{}}}`,
		"on-connection-quality-update": `{"peers":[{}]}`, "session-info": `{}`, "room-info": `[]`, "on-peer-join": `{"peer_id":""}`,
		"on-peer-leave": `null`, "": `{}`,
	} {
		f.Add(method, params)
	}
	f.Fuzz(func(t *testing.T, method, params string) {
		c := New(Config{})
		defer c.Close()
		s := newSession(c, JoinConfig{InitEndpoint: "http://127.0.0.1:1"}, claims{RoomID: "r"})
		c.mu.Lock()
		c.session = s
		c.mu.Unlock()
		c.store.update(func(t *tx) {
			t.setRoom(func(r *Room) { r.LocalPeer = s.peerID })
			t.setPeer(Peer{ID: s.peerID, IsLocal: true, RoleName: "gallery"})
			t.setPeer(Peer{ID: "a"})
		})
		s.handle(protocol.OnPolicyChange, json.RawMessage(`{"name":"gallery","known_roles":{"gallery":{}}}`))
		for range 2 { // the second time things are known
			s.handle(method, json.RawMessage(params))
		}
		frame, _ := json.Marshal(map[string]any{"method": method, "params": params})
		s.link.receive(frame)
		s.link.receive([]byte(params))
		s.sub.message([]byte(params))
		if _, err := json.Marshal(c.State()); err != nil {
			t.Fatal(err)
		}
	})
}
