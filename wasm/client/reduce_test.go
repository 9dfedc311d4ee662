//go:build !js

package client

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"amphi/server/policy"
	"amphi/wasm/rtc"
)

// step is one thing that happens to a reducer: a message, or media that arrives.
type step struct{ method, params string }

func media(kind rtc.Kind, id string) step { return step{"media:" + string(kind), id} }

// play makes a store with a local peer, lets steps happen and returns the state
// and what was told.
func play(t *testing.T, reconnected bool, steps ...step) (State, []NotificationType) {
	t.Helper()
	s := newStore(Sink{})
	r := newReducer("me")
	r.reconnected = reconnected
	s.update(func(t *tx) {
		t.Roles = testRoles()
		t.setRoom(func(room *Room) { room.LocalPeer = "me" })
		t.setPeer(Peer{ID: "me", IsLocal: true, RoleName: "viewer", Name: "Me"})
	})
	for _, st := range steps {
		s.update(func(tx *tx) {
			if kind, ok := strings.CutPrefix(st.method, "media:"); ok {
				r.mediaAdded(tx, &rtc.RemoteTrack{ID: st.params, Kind: rtc.Kind(kind)})
				return
			}
			known, err := r.apply(tx, st.method, json.RawMessage(st.params))
			if !known || err != nil {
				t.Errorf("%s %s: known %v, %v", st.method, st.params, known, err)
			}
		})
	}
	var told []NotificationType
	for _, n := range s.waiting {
		told = append(told, n.Type)
	}
	return s.snapshot(), told
}

const (
	boP      = `"peer_id":"bo","role":"host","groups":[],"realtime":true,"info":{"name":"Bo","data":"d","user_id":"u2","type":"regular"}`
	boJoins  = `{` + boP + `,"tracks":{}}`
	boPeer   = `"peer":{` + boP + `}`
	camera   = `"v":{"track_id":"v","stream_id":"s","type":"video","source":"regular","mute":false,"description":""}`
	cameraUp = `{"tracks":{` + camera + `},` + boPeer + `}`
	room     = `"room":{"name":"lab","session_id":"s1","started_at":5}`
)

func TestReduce(t *testing.T) {
	join := step{"on-peer-join", boJoins}
	for name, tc := range map[string]struct {
		reconnected bool
		steps       []step
		told        []NotificationType
		check       func(State) bool
	}{
		"a peer joins": {
			steps: []step{join},
			told:  []NotificationType{NotifyPeerJoined},
			check: func(s State) bool {
				return reflect.DeepEqual(s.Peers["bo"], Peer{
					ID: "bo", Name: "Bo", RoleName: "host", Metadata: "d", CustomerUserID: "u2", Type: "regular",
					Groups: []string{}, AuxiliaryTracks: []string{},
				}) && slices.Equal(s.Room.Peers, []string{"me", "bo"})
			},
		},
		"joining twice is told once": {
			steps: []step{join, join}, told: []NotificationType{NotifyPeerJoined},
			check: func(s State) bool { return len(s.Room.Peers) == 2 },
		},
		"oneself does not join":   {steps: []step{{"on-peer-join", `{"peer_id":"me"}`}}, check: func(s State) bool { return s.Peers["me"].Name == "Me" }},
		"oneself cannot be gone":  {steps: []step{{"on-peer-leave", `{"peer_id":"me"}`}}, check: func(s State) bool { return len(s.Peers) == 1 }},
		"somebody unknown leaves": {steps: []step{{"on-peer-leave", `{"peer_id":"zz"}`}}, check: func(s State) bool { return len(s.Peers) == 1 }},
		"metadata alone shows nothing": {
			steps: []step{join, {"on-track-add", cameraUp}}, told: []NotificationType{NotifyPeerJoined},
			check: func(s State) bool { return len(s.Tracks) == 0 },
		},
		"peer, metadata, media": {
			steps: []step{join, {"on-track-add", cameraUp}, media(rtc.Video, "v")},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded},
			check: func(s State) bool {
				return s.Peers["bo"].VideoTrack == "v" && s.Tracks["v"].Enabled && s.Tracks["v"].Layer == "none"
			},
		},
		"media, metadata, peer": {
			steps: []step{media(rtc.Video, "v"), {"on-track-add", cameraUp}, {"on-peer-update", `{` + boP + `}`}},
			told:  []NotificationType{NotifyTrackAdded},
			check: func(s State) bool { return s.Peers["bo"].VideoTrack == "v" },
		},
		"a screen is auxiliary, and so is a second camera": {
			steps: []step{
				join, {"on-track-add", cameraUp}, media(rtc.Video, "v"),
				{"on-track-add", `{"tracks":{"x":{"type":"video","source":"screen"},"y":{"type":"video","source":"regular"}},` + boPeer + `}`},
				media(rtc.Video, "x"), media(rtc.Video, "y"),
			},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackAdded, NotifyTrackAdded},
			check: func(s State) bool { return slices.Equal(s.Peers["bo"].AuxiliaryTracks, []string{"x", "y"}) },
		},
		"mute and unmute": {
			steps: []step{
				join, {"on-track-add", cameraUp}, media(rtc.Video, "v"),
				{"on-track-update", strings.Replace(cameraUp, "false", "true", 1)},
				{"on-track-update", strings.Replace(cameraUp, "false", "true", 1)},
				{"on-track-update", cameraUp},
			},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackMuted, NotifyTrackUnmuted},
			check: func(s State) bool { return s.Tracks["v"].Enabled },
		},
		"an update of somebody unknown makes the peer": {
			steps: []step{{"on-track-update", cameraUp}, media(rtc.Video, "v")},
			told:  []NotificationType{NotifyTrackAdded},
			check: func(s State) bool { return s.Peers["bo"].Name == "Bo" },
		},
		"the description changes": {
			steps: []step{
				join, {"on-track-add", cameraUp}, media(rtc.Video, "v"),
				{"on-track-update", strings.Replace(cameraUp, `"description":""`, `"description":"x"`, 1)},
			},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackDescription},
			check: func(s State) bool { return true },
		},
		"tracks go": {
			steps: []step{join, {"on-track-add", cameraUp}, media(rtc.Video, "v"), {"on-track-remove", cameraUp}, {"on-peer-leave", boJoins}},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackRemoved, NotifyPeerLeft},
			check: func(s State) bool { return len(s.Tracks) == 0 && len(s.Peers) == 1 },
		},
		"leaving takes tracks along": {
			steps: []step{join, {"on-track-add", cameraUp}, media(rtc.Video, "v"), {"on-peer-leave", boJoins}},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackRemoved, NotifyPeerLeft},
			check: func(s State) bool { return len(s.Tracks) == 0 && len(s.Peers) == 1 },
		},
		"own tracks are not remote ones": {
			steps: []step{{"on-track-add", `{"tracks":{"v":{"type":"video"}},"peer":{"peer_id":"me"}}`}, media(rtc.Video, "v")},
			check: func(s State) bool { return len(s.Tracks) == 0 },
		},
		"what changes of a peer": {
			steps: []step{join, {"on-peer-update", `{"peer_id":"bo","role":"viewer","groups":["_handraise"],"realtime":true,"info":{"name":"Bob","data":"e"}}`}},
			told:  []NotificationType{NotifyPeerJoined, NotifyRoleUpdated, NotifyHandRaiseChanged, NotifyNameUpdated, NotifyMetadataUpdated},
			check: func(s State) bool {
				p := s.Peers["bo"]
				return p.IsHandRaised && p.Name == "Bob" && p.RoleName == "viewer" && p.CustomerUserID == "u2"
			},
		},
		"empty name and metadata mean not said": {
			steps: []step{join, {"on-peer-update", `{"peer_id":"bo","role":"host","groups":[],"realtime":true,"info":{}}`}},
			told:  []NotificationType{NotifyPeerJoined},
			check: func(s State) bool { return s.Peers["bo"].Name == "Bo" && s.Peers["bo"].Metadata == "d" },
		},
		"not realtime: out of the list": {
			steps: []step{join, {"on-peer-update", `{"peer_id":"bo","role":"host","groups":[]}`}, {"on-peer-update", `{"peer_id":"cy"}`}},
			told:  []NotificationType{NotifyPeerJoined, NotifyPeerLeft},
			check: func(s State) bool { return len(s.Peers) == 1 },
		},
		"own hand; the own role comes with the policy": {
			steps: []step{{"on-peer-update", `{"peer_id":"me","role":"host","groups":["_handraise"],"info":{}}`}},
			told:  []NotificationType{NotifyHandRaiseChanged},
			check: func(s State) bool { return s.LocalPeer().IsHandRaised && s.LocalPeer().RoleName == "viewer" },
		},
		"the first list": {
			steps: []step{{"peer-list", `{"peers":{"bo":` + boJoins + `,"me":` + boJoins + `},` + room + `}`}},
			told:  []NotificationType{NotifyPeerList},
			check: func(s State) bool {
				return len(s.Peers) == 2 && s.Room.Name == "lab" && s.Room.StartedAt == 5 && s.LocalPeer().Name == "Me"
			},
		},
		"a list after a reconnect": {
			reconnected: true,
			steps: []step{
				join, {"on-track-add", cameraUp}, media(rtc.Video, "v"), {"on-peer-join", `{"peer_id":"cy","role":"host"}`},
				{"on-peer-join", `{"peer_id":"di","role":"host"}`},
				{"peer-list", `{"peers":{"bo":{` + strings.Replace(boP, "Bo", "Bobby", 1) + `,"tracks":{}},"di":{"role":"host"},"ed":{"role":"host","realtime":true}},` + room + `}`},
			},
			told: []NotificationType{
				NotifyPeerJoined, NotifyTrackAdded, NotifyPeerJoined, NotifyPeerJoined,
				NotifyPeerLeft, NotifyPeerLeft, NotifyNameUpdated, NotifyTrackRemoved, NotifyPeerJoined,
			},
			check: func(s State) bool {
				return slices.Equal(s.Room.Peers, []string{"me", "bo", "ed"}) && len(s.Tracks) == 0
			},
		},
		"state for who previews": {
			steps: []step{
				{"room-state", `{"peer_count":1,` + room + `,"peers":{"bo":` + boJoins + `}}`}, {"room-state", `{"peer_count":1,` + room + `}`},
				{"room-state", `{"peer_count":1,` + room + `,"peers":{"cy":{"role":"host"}}}`},
			},
			check: func(s State) bool { return slices.Equal(s.Room.Peers, []string{"me", "cy"}) },
		},
		"nobody there": {
			steps: []step{{"room-state", `{"peer_count":1,` + room + `,"peers":{"bo":` + boJoins + `}}`}, {"room-state", `{"peer_count":0,` + room + `}`}},
			check: func(s State) bool { return slices.Equal(s.Room.Peers, []string{"me"}) },
		},
		"room-state after the list says nothing": {
			steps: []step{{"peer-list", `{"peers":{"bo":` + boJoins + `},` + room + `}`}, {"room-state", `{"peer_count":0,"room":{}}`}},
			told:  []NotificationType{NotifyPeerList},
			check: func(s State) bool { return len(s.Peers) == 2 && s.Room.Name == "lab" },
		},
		"the room": {
			steps: []step{
				{"room-info", `{"room_id":"r","name":"Lab","description":"d","max_size":9,"large_room_optimization":true}`},
				{"session-info", `{"session_id":"s9","peer_count":7}`},
			},
			check: func(s State) bool {
				return s.Room.Name == "Lab" && s.Room.MaxSize == 9 && s.Room.IsLargeRoom && s.Room.SessionID == "s9" && *s.Room.PeerCount == 7
			},
		},
		"messages": {
			steps: []step{
				{"on-broadcast", `{` + boPeer + `,"message_id":"m1","timestamp":7,"info":{"message":"hi","type":"chat"},"roles":["host"]}`},
				{"on-broadcast", `{"message_id":"m2","timestamp":8,"private":true,"info":{"message":"x","type":"EMOJI_REACTION"}}`},
				{"on-broadcast", `{"message_id":"m3","timestamp":9,"info":{"message":"{}","type":"hms_transcript"}}`},
				{"on-broadcast", `{` + boPeer + `,"message_id":"m1","timestamp":7,"info":{"message":"hi","type":"chat"},"roles":["host"]}`}, // again, on another socket
			},
			told: []NotificationType{NotifyNewMessage, NotifyNewMessage, NotifyNewMessage},
			check: func(s State) bool {
				return reflect.DeepEqual(s.Messages, []Message{
					{ID: "m1", Sender: "bo", SenderName: "Bo", SenderRole: "host", SenderUserID: "u2", RecipientRoles: []string{"host"}, Time: 7, Type: "chat", Message: "hi"},
					{ID: "m2", RecipientPeer: "me", Time: 8, Type: "EMOJI_REACTION", Message: "x"},
				})
			},
		},
		"who speaks": {
			steps: []step{
				{"active-speakers", `{"speaker-list":[{"peer_id":"bo","track_id":"a","level":57}]}`},
				{"active-speakers", `{"speaker-list":[{"peer_id":"cy","track_id":"b","level":3}]}`},
			},
			check: func(s State) bool { return len(s.Speakers) == 1 && s.Speakers["b"].AudioLevel == 3 },
		},
		"quality": {
			steps: []step{{"on-connection-quality-update", `{"peers":[{"peer_id":"me","downlink_score":4}]}`}},
			check: func(s State) bool { return s.ConnectionQualities["me"].DownlinkQuality == 4 },
		},
		"degraded and restored": {
			steps: []step{
				join, {"on-track-add", cameraUp}, media(rtc.Video, "v"),
				{"on-track-layer-update", `{"tracks":{"v":{"current_layer":"none","subscriber_degraded":true},"zz":{}}}`},
				{"on-track-layer-update", `{"tracks":{"v":{"current_layer":"low"}}}`},
			},
			told:  []NotificationType{NotifyPeerJoined, NotifyTrackAdded, NotifyTrackDegraded, NotifyTrackRestored},
			check: func(s State) bool { return s.Tracks["v"].Layer == "low" && !s.Tracks["v"].Degraded },
		},
		"recordings": {
			steps: []step{
				{"on-record-update", `{"type":"Browser","state":"started","started_at":4}`}, {"on-record-update", `{"type":"sfu","state":"paused"}`},
				{"on-record-update", `{"type":"HLS","state":"failed","error":{"code":500,"message":"x"}}`}, {"on-rtmp-update", `{"state":"started"}`},
			},
			check: func(s State) bool {
				r := s.Room.Recording
				return r.Browser.Running && r.Browser.StartedAt == 4 && !r.Server.Running && r.HLS.Error.Code == 500 && s.Room.RTMP.Running
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			state, told := play(t, tc.reconnected, tc.steps...)
			if !slices.Equal(told, tc.told) {
				t.Errorf("told %v\nwant %v", told, tc.told)
			}
			if !tc.check(state) {
				text, _ := json.MarshalIndent(state, "", " ")
				t.Errorf("state %s", text)
			}
		})
	}
}

// The two forms in which the state of the live stream comes (§6.2).
func TestHLSState(t *testing.T) {
	inRoom := func(hls string) step {
		return step{"peer-list", `{"peers":{},"room":{"streaming":{"enabled":true,"rtmp":{"enabled":false},"hls":` + hls + `}}}`}
	}
	update := func(hls string) step { return step{"on-hls-update", hls} }
	for name, tc := range map[string]struct {
		step    step
		running bool
		url     string
	}{
		"starting":                  {update(`{"enabled":true,"variants":[{"url":"u","state":"initialised"}]}`), true, ""},
		"on the air":                {update(`{"enabled":true,"variants":[{"url":"u","state":"started"}]}`), true, "u"},
		"a variant without a state": {update(`{"enabled":true,"variants":[{"url":"u"}]}`), false, "u"},
		"stopped":                   {update(`{"enabled":false,"variants":[{"url":"u","state":"stopped"}]}`), false, "u"},
		"failed":                    {update(`{"enabled":false,"variants":[{"state":"failed","url":""}],"error":{"code":500,"message":"x"}}`), false, ""},
		"who comes late":            {inRoom(`{"enabled":true,"variants":[{"url":"u","state":"started"}]}`), true, "u"},
		"who comes while it starts": {inRoom(`{"enabled":false,"variants":[{"url":"u","state":"initialised"}]}`), true, ""},
		"who comes when it is over": {inRoom(`{"enabled":false,"variants":[{"url":"u","state":"started"}]}`), false, "u"},
	} {
		state, _ := play(t, false, tc.step)
		hls := state.Room.HLS
		if hls.Running != tc.running || hls.Variants[0].URL != tc.url || (name == "failed") != (hls.Error != nil) {
			t.Errorf("%s: %+v", name, hls)
		}
	}
}

func TestParamsOfAWrongTypeChangeNothing(t *testing.T) {
	s := newStore(Sink{})
	r := newReducer("me")
	for _, method := range []string{"peer-list", "on-peer-join", "on-track-add", "on-broadcast", "active-speakers", "on-hls-update"} {
		for _, params := range []string{``, `[]`, `"x"`, `{"peer_id":7,"tracks":[],"peers":3,"info":[],"speaker-list":{},"variants":1}`} {
			before, _ := json.Marshal(s.snapshot())
			s.update(func(t2 *tx) {
				if _, err := r.apply(t2, method, json.RawMessage(params)); err == nil {
					t.Errorf("%s %s was understood", method, params)
				}
			})
			if after, _ := json.Marshal(s.snapshot()); string(before) != string(after) {
				t.Errorf("%s %s changed the state", method, params)
			}
		}
	}
}

// mirror is a copy of the state that is made of patches alone, as the facade makes it.
type mirror struct {
	version  uint64
	fields   map[string]any
	messages []Message
}

func (m *mirror) apply(t *testing.T, p Patch) {
	if p.Version != m.version+1 {
		t.Fatalf("patch %d after %d", p.Version, m.version)
	}
	m.version = p.Version
	plain := func(v any) (out any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(text, &out)
		return out
	}
	if p.Reset {
		m.fields, m.messages = plain(newState()).(map[string]any), nil
		m.fields["roles"] = plain(rolesView(nil))
	}
	for field, value := range p.Set {
		m.fields[field] = plain(value)
	}
	for field, entries := range p.Merge {
		into := m.fields[field].(map[string]any)
		for id, value := range entries {
			if into[id] = plain(value); value == nil {
				delete(into, id)
			}
		}
	}
	if p.Messages == nil {
		return
	}
	for _, message := range p.Messages.Set {
		if i := slices.IndexFunc(m.messages, func(o Message) bool { return o.ID == message.ID }); i >= 0 {
			m.messages[i] = message
		} else {
			m.messages = append(m.messages, message)
		}
	}
	m.messages = slices.DeleteFunc(m.messages, func(o Message) bool { return slices.Contains(p.Messages.Drop, o.ID) })
}

// Whatever happens, in whatever lumps it is delivered: the patches make the state.
func TestPatchesMakeTheState(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := &mirror{fields: map[string]any{}}
	s := newStore(Sink{Patch: func(p Patch) { m.apply(t, p) }})
	s.update(func(t *tx) { t.reset() })
	r := newReducer("me")
	id := func() string { return string(rune('a' + random.IntN(6))) }
	for range 3000 {
		s.update(func(t *tx) {
			switch random.IntN(13) {
			case 0:
				t.setPeer(Peer{ID: id(), Name: id()})
			case 1:
				t.deletePeer(id())
			case 2:
				t.setTrack(Track{ID: id(), PeerID: id()})
			case 3:
				t.deleteTrack(id())
			case 4, 5:
				t.addMessage(Message{ID: id() + id(), Message: id()})
			case 6:
				t.setRoom(func(r *Room) { r.Name = id() })
			case 7:
				t.fail(newError(codeUnknown, "NONE", "%s", id()))
			case 8:
				_, _ = r.apply(t, "active-speakers", json.RawMessage(`{"speaker-list":[{"track_id":"`+id()+`"}]}`))
			case 9:
				t.Roles = map[string]policy.Role{id(): {}}
				t.markField(fieldRoles)
			case 10:
				if random.IntN(20) == 0 {
					t.reset()
				}
			case 12:
				t.setWhiteboard(Whiteboard{ID: id(), Open: random.IntN(2) == 0})
			case 11:
				t.Preview = &PreviewState{AsRole: id()}
				t.markField(fieldPreview)
			}
		})
		if random.IntN(3) == 0 {
			s.deliver()
		}
	}
	s.deliver()
	state := s.snapshot()
	text, _ := json.Marshal(state)
	var want map[string]any
	_ = json.Unmarshal(text, &want)
	roles, _ := json.Marshal(rolesView(state.Roles))
	var wantRoles any
	_ = json.Unmarshal(roles, &wantRoles)
	want["roles"] = wantRoles
	if !reflect.DeepEqual(m.fields, want) {
		got, _ := json.Marshal(m.fields)
		t.Errorf("patches make %s\nwant %s", got, text)
	}
	if !reflect.DeepEqual(m.messages, state.Messages) {
		t.Errorf("%d messages, want %d", len(m.messages), len(state.Messages))
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	s := newStore(Sink{})
	for i := range maxMessages + maxNotifications + 10 {
		s.update(func(t *tx) {
			t.addMessage(Message{ID: string(rune(i))})
			t.fail(newError(codeUnknown, "NONE", "x"))
		})
	}
	if len(s.state.Messages) != maxMessages || len(s.state.Errors) != maxErrors || len(s.waiting) != maxNotifications || s.dropped == 0 {
		t.Errorf("%d messages, %d errors, %d notifications, %d dropped", len(s.state.Messages), len(s.state.Errors), len(s.waiting), s.dropped)
	}
}

func TestLayerFor(t *testing.T) {
	role := policy.Role{PublishParams: policy.PublishParams{
		Video: &policy.VideoParams{Width: 1280, Height: 720},
		Simulcast: &policy.Simulcast{Video: policy.SimulcastLayers{Layers: []policy.SimulcastLayer{
			{RID: "f", ScaleResolutionDownBy: 1}, {RID: "h", ScaleResolutionDownBy: 2}, {RID: "q", ScaleResolutionDownBy: 4}, {RID: "zz"},
		}}},
	}}
	layers := layerDefinitions(role, "regular")
	if len(layers) != 3 || layers[2].Resolution != (Resolution{320, 180}) {
		t.Fatalf("%+v", layers)
	}
	for _, tc := range []struct {
		width, height int
		want          string
	}{{0, 0, "none"}, {100, 60, "low"}, {320, 180, "low"}, {400, 220, "medium"}, {400, 180, "low"}, {640, 360, "medium"}, {641, 361, "high"}, {3840, 2160, "high"}} {
		if got := layerFor(layers, tc.width, tc.height); got != tc.want {
			t.Errorf("%dx%d: %s, want %s", tc.width, tc.height, got, tc.want)
		}
	}
	if got := layerFor(nil, 10, 10); got != "high" {
		t.Errorf("without layers: %s", got)
	}
	if layerDefinitions(role, "screen") != nil {
		t.Error("a screen has layers")
	}
	if e := encodings(role, rtc.Video, "regular", true); len(e) != 4 || e[1].RID != "h" || e[1].ScaleDownBy != 2 {
		t.Errorf("encodings %+v", e)
	}
	if e := encodings(role, rtc.Video, "regular", false); len(e) != 1 || e[0].RID != "" {
		t.Errorf("encodings %+v", e)
	}
	if !sameLayers(role, role) || sameLayers(role, policy.Role{}) {
		t.Error("sameLayers")
	}
}
