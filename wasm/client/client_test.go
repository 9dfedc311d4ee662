//go:build !js

package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("never: %s", what)
	}
	return v
}

func tracksOf(t *testing.T, f protocol.Frame) map[string]protocol.Track {
	t.Helper()
	var p protocol.Offer
	if err := json.Unmarshal(f.Params, &p); err != nil {
		t.Fatal(err)
	}
	return p.Tracks
}

func TestJoinPublishes(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)

	var join protocol.Join
	s.decode(s.wait(protocol.MethodJoin, nil).Params, &join)
	if join.Name != "Ann" || !join.DisableVidAutoSub || join.Simulcast || strings.Count(join.Offer.SDP, "m=") != 1 {
		t.Errorf("join: %+v", join)
	}
	last := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 2 })
	kinds := map[rtc.Kind]bool{}
	for range 2 {
		track := receive(t, "media at the server", s.tracks)
		described, ok := tracksOf(t, last)[track.ID]
		if !ok || described.Mute || described.Source != "regular" || described.StreamID != track.StreamID {
			t.Errorf("%s is described as %+v", track, described)
		}
		kinds[track.Kind] = true
	}
	if !kinds[rtc.Audio] || !kinds[rtc.Video] {
		t.Errorf("kinds %v", kinds)
	}
	st := p.State()
	local := st.LocalPeer()
	if st.Room.RoomState != Connected || !st.Room.IsConnected || st.Room.ID != "r1" || st.Room.Name != "lab" || st.Room.SessionID != "s1" {
		t.Errorf("room %+v", st.Room)
	}
	if local.Name != "Ann" || local.RoleName != "host" || local.CustomerUserID != "u1" || local.AudioTrack == "" || local.VideoTrack == "" {
		t.Errorf("local peer %+v", local)
	}
	if track := st.Tracks[local.VideoTrack]; !track.Enabled || !track.IsPublished {
		t.Errorf("camera %+v", track)
	}
	if err := p.Join(context.Background(), p.config(s)); code(err) != codeAlreadyJoined {
		t.Errorf("second join: %v", err)
	}

	if err := p.SetLocalEnabled(context.Background(), rtc.Video, false); err != nil {
		t.Fatal(err)
	}
	update := s.wait(protocol.MethodTrackUpdate, nil)
	if track := tracksOf(t, update)[local.VideoTrack]; !track.Mute || update.ID != "" {
		t.Errorf("track-update %s", update.Params)
	}
	p.until("camera off", func(st State) bool { return !st.Tracks[local.VideoTrack].Enabled })
	p.told(NotifyTrackMuted)

	if err := p.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if leave := s.wait(protocol.MethodLeave, nil); !strings.Contains(string(leave.Params), "user request") {
		t.Errorf("leave %s", leave.Params)
	}
	if st := p.State(); st.Room.RoomState != Disconnected || len(st.Peers) != 0 || len(st.Tracks) != 0 {
		t.Errorf("after leave: %+v", st.Room)
	}
}

func code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "viewer")
	p := newParticipant(t, nil)
	p.join(s)
	receive(t, "answer to the first offer", s.answered)

	bo := protocol.Peer{PeerID: "bo", Role: "host", Groups: []string{}, Realtime: true, Info: protocol.PeerInfo{Name: "Bo"}}
	s.notify(protocol.OnPeerJoin, bo)
	ctx := context.Background()
	stream, capture := rtc.NewStream(), clips()
	tracks := map[string]protocol.Track{}
	for _, track := range []*rtc.LocalTrack{capture.Microphone(stream, rtc.AudioConstraints{}), capture.Camera(stream, rtc.VideoConstraints{})} {
		defer track.Close()
		if err := track.SetEnabled(ctx, true); err != nil {
			t.Fatal(err)
		}
		if err := s.side(protocol.TargetSubscribe).Publish(ctx, track, nil); err != nil {
			t.Fatal(err)
		}
		tracks[track.ID] = protocol.Track{TrackID: track.ID, StreamID: stream.ID, Kind: protocol.TrackKind(track.Kind), Source: "regular"}
	}
	s.notify(protocol.OnTrackAdd, protocol.TrackEvent{Tracks: tracks, Peer: bo})
	s.offer()
	receive(t, "answer to the second offer", s.answered)

	st := p.until("both tracks visible", func(st State) bool { return len(st.Tracks) == 2 })
	peer := st.Peers["bo"]
	if st.Tracks[peer.AudioTrack].Type != rtc.Audio || st.Tracks[peer.VideoTrack].Type != rtc.Video {
		t.Errorf("peer %+v, tracks %+v", peer, st.Tracks)
	}
	for range 2 {
		e := receive(t, "media", p.media)
		if _, err := e.Remote.ReadRTP(); err != nil {
			t.Error(err)
		}
		e.Remote.Discard()
	}

	video := peer.VideoTrack
	p.SetViewport(video, 320, 180)
	if got := receive(t, "layer request", s.prefers); got != `prefer-video-track-state {"max_spatial_layer":"high","track_id":"`+video+`"}` {
		t.Errorf("asked %s", got)
	}
	p.until("layer confirmed", func(st State) bool { return st.Tracks[video].Layer == "high" })
	p.SetViewport(video, 0, 0)
	if got := receive(t, "layer request", s.prefers); !strings.Contains(got, `"none"`) {
		t.Errorf("asked %s", got)
	}
	if err := p.SetVolume(0, peer.AudioTrack); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "audio request", s.prefers); !strings.Contains(got, `"subscribed":false`) {
		t.Errorf("asked %s", got)
	}

	s.notify(protocol.OnTrackRemove, protocol.TrackEvent{Tracks: tracks, Peer: bo})
	p.until("tracks gone", func(st State) bool { return len(st.Tracks) == 0 && st.Peers["bo"].VideoTrack == "" })
	for range 2 {
		if e := receive(t, "end of media", p.media); e.Remote != nil {
			t.Errorf("media %+v", e)
		}
	}
}

// Who gets all video unasked can choose a layer none the less, and only that is asked for.
func TestLayerOfUnaskedVideo(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "viewer")
	p := newParticipant(t, nil)
	config := p.config(s)
	config.AutoVideoSubscribe = true
	if err := p.Join(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	receive(t, "answer to the first offer", s.answered)
	bo := protocol.Peer{PeerID: "bo", Role: "host", Groups: []string{}, Realtime: true, Info: protocol.PeerInfo{Name: "Bo"}}
	s.notify(protocol.OnPeerJoin, bo)
	camera := clips().Camera(rtc.NewStream(), rtc.VideoConstraints{})
	defer camera.Close()
	if err := errors.Join(camera.SetEnabled(t.Context(), true), s.side(protocol.TargetSubscribe).Publish(t.Context(), camera, nil)); err != nil {
		t.Fatal(err)
	}
	s.notify(protocol.OnTrackAdd, protocol.TrackEvent{Peer: bo, Tracks: map[string]protocol.Track{
		camera.ID: {TrackID: camera.ID, StreamID: camera.StreamID, Kind: protocol.Video, Source: "regular"},
	}})
	s.offer()
	p.until("the track is visible", func(st State) bool { return len(st.Tracks) == 1 })
	receive(t, "media", p.media).Remote.Discard()
	p.SetViewport(camera.ID, 320, 180)
	for _, want := range [][2]string{{"low", "low"}, {"", "high"}} {
		if err := p.SetPreferredLayer(camera.ID, want[0]); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "layer request", s.prefers); !strings.Contains(got, `"max_spatial_layer":"`+want[1]+`"`) {
			t.Errorf("asked %s, not for %s", got, want[1])
		}
	}
}

// A peer goes from the gallery to the stage and back, on the same sockets.
func TestRoleChange(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, clips())
	p.join(s)
	var join protocol.Join
	s.decode(s.wait(protocol.MethodJoin, nil).Params, &join)
	if join.Offer != nil {
		t.Error("a role without WebRTC joined with an offer")
	}

	s.setRole("host")
	first := s.wait(protocol.MethodOffer, nil)
	if len(tracksOf(t, first)) != 0 {
		t.Errorf("first offer %s", first.Params)
	}
	offer := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 2 })
	for _, track := range tracksOf(t, offer) {
		if !track.Mute {
			t.Errorf("who is brought to the stage is not muted: %+v", track)
		}
	}
	p.told(NotifyRoleUpdated)
	if err := p.SetLocalEnabled(context.Background(), rtc.Audio, true); err != nil {
		t.Fatal(err)
	}
	if track := receive(t, "sound", s.tracks); track.Kind != rtc.Audio {
		t.Errorf("got %s", track)
	}

	s.setRole("gallery")
	s.wait(protocol.MethodOffer, func(f protocol.Frame) bool {
		return strings.Contains(string(f.Params), "a=inactive") && len(tracksOf(t, f)) == 0
	})
	p.until("no tracks", func(st State) bool { return len(st.Tracks) == 0 && st.LocalPeer().RoleName == "gallery" })

	s.setRole("host") // the connection is still there, and is used again
	s.wait(protocol.MethodOffer, func(f protocol.Frame) bool {
		return len(tracksOf(t, f)) == 2 && tracksOf(t, f)[p.State().LocalPeer().AudioTrack].TrackID != ""
	})
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)
	s.notify(protocol.OnPeerJoin, protocol.Peer{PeerID: "gone", Role: "host", Groups: []string{}, Realtime: true})
	p.until("a peer", func(st State) bool { return len(st.Peers) == 2 })
	offers := s.count(protocol.MethodOffer)
	s.drop()
	p.told(NotifyReconnecting)
	p.told(NotifyReconnected)
	s.wait(protocol.MethodTrackUpdate, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 2 })
	if s.count(protocol.MethodJoin) != 1 || s.count(protocol.MethodOffer) != offers+1 {
		t.Errorf("%d joins, %d offers, %d before", s.count(protocol.MethodJoin), s.count(protocol.MethodOffer), offers)
	}
	s.notify(protocol.OnPeerList, protocol.PeerList{Peers: map[string]protocol.Peer{}})
	p.told(NotifyPeerLeft)
	if st := p.State(); st.Room.RoomState != Connected || len(st.Peers) != 1 {
		t.Errorf("%s, %d peers", st.Room.RoomState, len(st.Peers))
	}
}

func TestReconnectGivesUp(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":401,"message":"token expired"}`))
		},
		"never comes back": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, "gallery")
			p := newParticipant(t, nil)
			p.timing.reconnectFor = 200 * time.Millisecond
			p.join(s)
			s.set(func() { s.initDo = answer })
			s.drop()
			st := p.until("failed", func(st State) bool { return st.Room.RoomState == Failed })
			if e := st.Errors[len(st.Errors)-1]; !e.IsTerminal {
				t.Errorf("error %+v", e)
			}
		})
	}
}

// A server that stops answering is left for a new socket.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.timing.pingEvery, p.timing.pongTimeout = 10*time.Millisecond, 100*time.Millisecond
	p.join(s)
	s.set(func() { s.mutes = true })
	p.told(NotifyReconnecting)
	s.set(func() { s.mutes = false })
	p.told(NotifyReconnected)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.join(s)
	ctx := context.Background()

	s.set(func() { s.refuse[protocol.MethodBroadcast] = []protocol.Error{{Code: 503}, {Code: 429}} })
	m, err := p.Send(ctx, "hello", "", nil, "")
	if err != nil || m.Type != "chat" || m.SenderName != "Ann" {
		t.Fatalf("message %+v: %v", m, err)
	}
	if n := s.count(protocol.MethodBroadcast); n != 3 {
		t.Errorf("sent %d times", n)
	}
	if st := p.State(); len(st.Messages) != 1 || st.Messages[0].ID != m.ID || !st.Messages[0].Read {
		t.Errorf("messages %+v", st.Messages)
	}
	s.set(func() { s.refuse[protocol.MethodBroadcast] = []protocol.Error{{Code: 403, Message: "quiet"}} })
	if _, err := p.Send(ctx, "hello", "", nil, ""); code(err) != 403 {
		t.Errorf("a refusal: %v", err)
	}
	if n := s.count(protocol.MethodBroadcast); n != 4 {
		t.Errorf("a refusal was sent again: %d", n)
	}
	if _, err := p.Send(ctx, "", "", nil, ""); code(err) != codeValidationFailed {
		t.Errorf("an empty message: %v", err)
	}

	// A request that loses its socket is sent again on the next.
	s.set(func() { s.mutes = true })
	done := make(chan error, 1)
	go func() {
		_, err := p.Send(ctx, "again", "", []string{"host"}, "")
		done <- err
	}()
	s.wait(protocol.MethodBroadcast, func(f protocol.Frame) bool { return strings.Contains(string(f.Params), "again") })
	s.set(func() { s.mutes = false })
	s.drop()
	if err := receive(t, "an answer", done); err != nil {
		t.Error(err)
	}
}

// What every action puts on the wire.
func TestActionsOnTheWire(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.join(s)
	s.notify(protocol.OnRoleChangeRequest, protocol.RoleChange{RequestedBy: "bo", Role: "host", Token: "rt"})
	p.until("a request", func(st State) bool { return len(st.RoleChangeRequests) == 1 })
	for _, tc := range []struct{ call, args, method, params string }{
		{"sendMessage", `{"message":"a","roles":["host"]}`, "broadcast", `{"info":{"message":"a","type":"chat"},"roles":["host"]}`},
		{"sendMessage", `{"message":"b","type":"EMOJI","peerId":"bo"}`, "broadcast", `{"info":{"message":"b","type":"EMOJI"},"peer_id":"bo"}`},
		{"changeRoleOfPeer", `{"peerId":"bo","role":"host","force":true}`, "role-change-request", `{"requested_for":"bo","role":"host","force":true}`},
		{"changeRoleOfPeersWithRoles", `{"roles":["a"],"role":"b"}`, "role-change-request", `{"roles":["a"],"role":"b","force":true}`},
		{"acceptChangeRole", `{"token":"rt"}`, "role-change", `{"requested_by":"bo","role":"host","token":"rt"}`},
		{"removePeer", `{"peerId":"bo","reason":"spam"}`, "peer-leave-request", `{"requested_for":"bo","reason":"spam"}`},
		{"setRemoteTracksEnabled", `{"enabled":false,"type":"audio","roles":["host"]}`, "change-track-mute-state-request", `{"type":"audio","roles":["host"],"value":true}`},
		{"changeName", `{"name":"Bee"}`, "peer-update", `{"name":"Bee"}`},
		{"changeMetadata", `{"metadata":"{}"}`, "peer-update", `{"data":"{}"}`},
		{"setHand", `{"raised":true}`, "group-join", `{"name":"_handraise"}`},
		{"setHand", `{"raised":false}`, "group-leave", `{"name":"_handraise"}`},
		{"setHand", `{"peerId":"bo","raised":true}`, "group-add", `{"name":"_handraise","peer_id":"bo"}`},
		{"setHand", `{"peerId":"bo","raised":false}`, "group-remove", `{"name":"_handraise","peer_id":"bo"}`},
		{"setSessionValue", `{"key":"k","value":{"a":1}}`, "set-metadata", `{"key":"k","data":{"a":1}}`},
		{"setSessionValue", `{"key":"k"}`, "set-metadata", `{"key":"k"}`},
		{"observeSession", `{"keys":["b","a"],"on":true}`, "listen-metadata-change", `{"keys":["a","b"]}`},
		{"observeSession", `{"keys":["a"],"on":false}`, "listen-metadata-change", `{"keys":["b"]}`},
		{"findPeers", `{"role":"host","limit":2}`, "find-peer", `{"limit":2,"role":"host"}`},
		{"nextPeers", `{"iterator":"i","limit":2}`, "peer-iter-next", `{"iterator":"i","limit":2}`},
		{"searchNames", `{"query":"an"}`, "peer-name-search", `{"query":"an"}`},
		{"setPollQuestions", `{"id":"p","questions":[{"text":"?","type":"single-choice","weight":2,"options":[{"text":"a"},{"text":"b","isCorrectAnswer":true}]},{"text":"!","type":"short-answer","answer":{"text":"x","hidden":true}}]}`,
			"poll-questions-set", `{"poll_id":"p","questions":[{"question":{"index":1,"text":"?","format":"","attachment":null,"skippable":false,"duration":0,"once":false,"weight":2,"answer_min_len":0,"answer_max_len":0,"type":"single-choice"},"options":[{"index":1,"text":"a","weight":0},{"index":2,"text":"b","weight":0}],"answer":{"hidden":false,"option":2,"options":null,"text":"","case":false,"trim":false}},{"question":{"index":2,"text":"!","format":"","attachment":null,"skippable":false,"duration":0,"once":false,"weight":0,"answer_min_len":0,"answer_max_len":0,"type":"short-answer"},"answer":{"hidden":true,"options":null,"text":"x","case":false,"trim":false}}]}`},
		{"createPoll", `{"id":"p","title":"t","type":"quiz","mode":"customerID","rolesThatCanVote":["a"]}`, "poll-info-set",
			`{"poll_id":"p","title":"t","type":"quiz","anonymous":false,"visibility":false,"locked":false,"mode":"userid","vote":["a"],"state":"","questions_count":0}`},
		{"startPoll", `{"id":"p"}`, "poll-start", `{"poll_id":"p"}`},
		{"vote", `{"id":"p","responses":[{"questionIndex":1,"option":2,"duration":7}]}`, "poll-response", `{"poll_id":"p","responses":[{"question":1,"type":"","duration":7,"option":2}]}`},
		{"fetchResponses", `{"id":"p","self":true}`, "poll-responses", `{"poll_id":"p","index":0,"count":50,"self":true}`},
		{"fetchPolls", `{}`, "poll-list", `{"state":"","count":50,"start":""}`},
		{"leaderboard", `{"id":"p","offset":5,"count":10}`, "poll-leaderboard", `{"poll_id":"p","question":0,"count":10,"offset":5}`},
		{"stopPoll", `{"id":"p"}`, "poll-stop", `{"poll_id":"p"}`},
		{"startHLSStreaming", `{}`, "hls-start", `{}`},
		{"startHLSStreaming", `{"variants":[{"meetingURL":"u"}],"recording":{"hlsVod":true}}`, "hls-start", `{"variants":[{"url":"","meeting_url":"u"}],"hls_recording":{"single_file_per_layer":false,"hls_vod":true}}`},
		{"stopHLSStreaming", `{}`, "hls-stop", `{}`},
		{"sendHLSTimedMetadata", `{"metadataList":[{"payload":"x","duration":5}]}`, "hls-timed-metadata", `{"metadata_objs":[{"payload":"x","duration":5}]}`},
		{"startRTMPOrRecording", `{"record":true,"rtmp_urls":["rtmp://x"],"resolution":{"width":1,"height":2}}`, "rtmp-start", `{"record":true,"rtmp_urls":["rtmp://x"],"resolution":{"width":1,"height":2}}`},
		{"stopRTMPAndRecording", `{}`, "rtmp-stop", `{}`},
		{"startTranscription", `{"mode":"caption","language":"en"}`, "transcription-start", `{"mode":"caption","language":"en"}`},
		{"stopTranscription", `{"mode":"caption"}`, "transcription-stop", `{"mode":"caption"}`},
		{"updateTranscription", `{"translation":{"enabled":true,"roleLanguages":{"a":"es"}}}`, "transcription-config-update", `{"translation":{"enabled":true,"roleLanguages":{"a":"es"}}}`},
		{"setSessionMetadata", `{"value":{"a":1}}`, "set-metadata", `{"key":"default","data":{"a":1}}`},
		{"populateSessionMetadata", `{}`, "get-metadata", `{"key":"default"}`},
		{"openWhiteboard", `{"title":"W","writer":["host"]}`, "whiteboard-create", `{"title":"W","writer":["host"]}`},
		{"openWhiteboard", `{}`, "whiteboard-get", `{"id":"wb"}`},
		{"endRoom", `{"lock":true,"reason":"over"}`, "end-room", `{"lock":true,"reason":"over"}`},
	} {
		s.set(func() { s.frames = nil })
		if _, err := p.Call(context.Background(), tc.call, []byte(tc.args)); err != nil {
			t.Errorf("%s: %v", tc.call, err)
			continue
		}
		if got := string(s.wait(tc.method, nil).Params); got != tc.params {
			t.Errorf("%s: %s, want %s", tc.call, got, tc.params)
		}
	}
	for _, tc := range []struct {
		call, args string
		code       int
	}{
		{"noSuchAction", `{}`, codeValidationFailed},
		{"sendMessage", `[`, codeValidationFailed},
		{"sendMessage", `{"message":"x"}`, codeNotConnected}, // the room has ended
		{"setLocalEnabled", `{"type":"audio","enabled":true}`, codeNotConnected},
		{"join", `{"authToken":"a.b"}`, codeBadToken},
	} {
		if _, err := p.Call(context.Background(), tc.call, []byte(tc.args)); code(err) != tc.code {
			t.Errorf("%s %s: %v", tc.call, tc.args, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	refuse := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		init http.HandlerFunc
		join protocol.Error
		role string
		code int
	}{
		"token refused":       {init: refuse(403, `{"code":403,"message":"room disabled"}`), code: 403},
		"not found":           {init: refuse(404, `{"code":404,"message":"?"}`), code: codeUnreachable},
		"no JSON":             {init: refuse(200, `<html>`), code: codeUnreachable},
		"no endpoint":         {init: refuse(200, `{}`), code: codeUnreachable},
		"endpoint is no URL":  {init: refuse(200, `{"endpoint":"::"}`), code: codeSocketFailed},
		"room is locked":      {join: protocol.Error{Code: 410, Message: "ended"}, code: 410},
		"role is not defined": {role: "stranger", code: codeInvalidRole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, "gallery")
			p := newParticipant(t, nil)
			s.set(func() {
				s.initDo = tc.init
				if tc.role != "" {
					s.role = tc.role
				}
				if tc.join.Code != 0 {
					s.refuse[protocol.MethodJoin] = []protocol.Error{tc.join}
				}
			})
			err := p.Join(context.Background(), p.config(s))
			if code(err) != tc.code {
				t.Errorf("%v, want code %d", err, tc.code)
			}
			st := p.until("failed", func(st State) bool { return st.Room.RoomState == Failed })
			if len(st.Errors) != 1 || !st.Errors[0].IsTerminal {
				t.Errorf("errors %+v", st.Errors)
			}
			// It can be tried again.
			s.set(func() { s.initDo, s.role = nil, "gallery" })
			p.join(s)
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	s.http.Close()
	if err := p.Join(context.Background(), p.config(s)); code(err) != codeUnreachable {
		t.Error(err)
	}
}

func TestRemoved(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		event protocol.PeerLeaveEvent
		kind  NotificationType
	}{
		{protocol.PeerLeaveEvent{RequestedBy: "bo", Reason: "spam"}, NotifyRemovedFromRoom},
		{protocol.PeerLeaveEvent{RequestedBy: "bo", RoomEnd: true}, NotifyRoomEnded},
		{protocol.PeerLeaveEvent{Reason: "by the API"}, NotifyRoomEnded},
	} {
		s := newTestServer(t, "gallery")
		p := newParticipant(t, nil)
		p.join(s)
		s.notify(protocol.OnPeerJoin, protocol.Peer{PeerID: "bo", Role: "host", Groups: []string{}, Realtime: true, Info: protocol.PeerInfo{Name: "Bo"}})
		s.notify(protocol.OnPeerLeaveRequest, tc.event)
		if n := p.told(tc.kind); n.Data.(LeaveRequest).Reason != tc.event.Reason {
			t.Errorf("%+v", n)
		}
		p.until("disconnected", func(st State) bool { return st.Room.RoomState == Disconnected })
		if s.count(protocol.MethodLeave) != 0 {
			t.Error("who was removed said leave")
		}
	}
}

// TestRemovedWhileAsking: who waits for an answer hears at once that there will be none, and does not wait for a socket
// that will not come.
func TestRemovedWhileAsking(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.join(s)
	s.mu.Lock()
	s.mutes = true
	s.mu.Unlock()
	answered := make(chan error, 1)
	go func() { answered <- p.ChangeName(context.Background(), "Cleo") }()
	s.wait(protocol.MethodPeerUpdate, nil)
	s.notify(protocol.OnPeerLeaveRequest, protocol.PeerLeaveEvent{Reason: "spam"})
	if err := receive(t, "the end of the request", answered); code(err) != codeNotConnected {
		t.Errorf("the request ended with %v", err)
	}
}

func TestOnErrorEndsTheCall(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.join(s)
	s.notify(protocol.OnError, protocol.Error{Code: 403, Message: "token revoked"})
	n := p.told(NotifyError)
	if e := n.Data.(*Error); e.Code != 403 || !e.IsTerminal {
		t.Errorf("%+v", e)
	}
	s.wait(protocol.MethodLeave, func(f protocol.Frame) bool { return strings.Contains(string(f.Params), "sdk request") })
}

func TestTokenByRoomCode(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	s.initDo = func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Code, User_ID string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.Code != "abc-defg-hij" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":404,"message":"no such code"}`))
			return
		}
		_, _ = w.Write([]byte(`{"token":"t-` + body.User_ID + `"}`))
	}
	ctx := context.Background()
	if token, err := TokenByRoomCode(ctx, s.http.URL+"/init", "abc-defg-hij", "u1"); err != nil || token != "t-u1" {
		t.Errorf("%q %v", token, err)
	}
	if _, err := TokenByRoomCode(ctx, s.http.URL+"/init", "wrong", ""); code(err) != 404 {
		t.Error(err)
	}
}
