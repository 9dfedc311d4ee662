//go:build !js

package client

import (
	"context"
	"strings"
	"testing"

	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

func TestMuteRequests(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)
	local := p.State().LocalPeer()
	s.notify(protocol.OnTrackUpdateRequest, protocol.TrackUpdateRequest{RequestedBy: "bo", TrackID: local.AudioTrack, Mute: true})
	p.until("muted", func(st State) bool { return !st.Tracks[local.AudioTrack].Enabled })
	n := p.told(NotifyChangeTrackState)
	if r := n.Data.(TrackStateRequest); r.Enabled || r.Track.ID != local.AudioTrack {
		t.Errorf("%+v", r)
	}
	s.wait(protocol.MethodTrackUpdate, func(f protocol.Frame) bool { return tracksOf(t, f)[local.AudioTrack].Mute })
	// Unmuting is for the application to ask; muting all only meets the camera.
	p.forget()
	s.notify(protocol.OnTrackUpdateRequest, protocol.TrackUpdateRequest{TrackID: local.AudioTrack})
	if r := p.told(NotifyChangeTrackState).Data.(TrackStateRequest); !r.Enabled || p.State().Tracks[local.AudioTrack].Enabled {
		t.Errorf("%+v", r)
	}
	s.notify(protocol.OnChangeTrackMute, protocol.ChangeTrackMute{Value: true})
	if r := p.told(NotifyChangeTrackStates).Data.(TracksStateRequest); len(r.Tracks) != 1 || r.Tracks[0].ID != local.VideoTrack {
		t.Errorf("%+v", r)
	}
}

// Whoever leaves stops playing what was received.
func TestLeavingEndsMedia(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "viewer")
	p := newParticipant(t, nil)
	p.join(s)
	receive(t, "answer", s.answered)
	track := clips().Microphone(rtc.NewStream(), rtc.AudioConstraints{})
	defer track.Close()
	if err := track.SetEnabled(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	if err := s.side(protocol.TargetSubscribe).Publish(context.Background(), track, nil); err != nil {
		t.Fatal(err)
	}
	s.notify(protocol.OnTrackAdd, protocol.TrackEvent{
		Tracks: map[string]protocol.Track{track.ID: {TrackID: track.ID, Kind: protocol.Audio}}, Peer: protocol.Peer{PeerID: "bo"},
	})
	s.notify(protocol.OnPeerJoin, protocol.Peer{PeerID: "bo", Role: "host", Groups: []string{}, Realtime: true})
	s.offer()
	e := receive(t, "media", p.media)
	e.Remote.Discard()
	s.notify(protocol.OnPeerLeaveRequest, protocol.PeerLeaveEvent{RoomEnd: true})
	if gone := receive(t, "end of media", p.media); gone.TrackID != track.ID || gone.Remote != nil {
		t.Errorf("%+v", gone)
	}
}

func TestPreviewThenJoin(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	ctx := context.Background()
	if err := p.Preview(ctx, p.config(s)); err != nil {
		t.Fatal(err)
	}
	st := p.State()
	if st.Room.RoomState != Preview || st.Preview == nil || st.Preview.VideoTrack == "" || st.Tracks[st.Preview.VideoTrack].IsPublished {
		t.Errorf("%+v, preview %+v", st.Room, st.Preview)
	}
	if err := p.SetLocalEnabled(ctx, rtc.Video, false); err != nil {
		t.Fatal(err)
	}
	if n := s.count(protocol.MethodJoin) + s.count(protocol.MethodTrackUpdate); n != 0 {
		t.Errorf("%d messages from preview", n)
	}
	config := p.config(s)
	config.UserName = "Ann of the preview"
	if err := p.Join(ctx, config); err != nil {
		t.Fatal(err)
	}
	offer := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 2 })
	if !tracksOf(t, offer)[st.Preview.VideoTrack].Mute {
		t.Errorf("the camera that was off in preview is not muted: %s", offer.Params)
	}
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	if conns != 1 || p.State().LocalPeer().Name != "Ann of the preview" {
		t.Errorf("%d sockets, peer %+v", conns, p.State().LocalPeer())
	}
}

func TestScreenShare(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)
	ctx := context.Background()
	if err := p.StartScreenShare(ctx, ScreenShare{}); err != nil {
		t.Fatal(err)
	}
	offer := s.wait(protocol.MethodOffer, func(f protocol.Frame) bool { return len(tracksOf(t, f)) == 3 })
	if !strings.Contains(string(offer.Params), `"source":"screen"`) {
		t.Errorf("offer %s", offer.Params)
	}
	st := p.State()
	if aux := st.LocalPeer().AuxiliaryTracks; len(aux) != 1 || st.Tracks[aux[0]].Source != "screen" {
		t.Errorf("peer %+v", st.LocalPeer())
	}
	if err := p.StartScreenShare(ctx, ScreenShare{}); code(err) != codeValidationFailed {
		t.Errorf("a second share: %v", err)
	}
	if err := p.StopScreenShare(ctx); err != nil {
		t.Fatal(err)
	}
	if st := p.State(); len(st.LocalPeer().AuxiliaryTracks) != 0 || len(st.Tracks) != 2 {
		t.Errorf("peer %+v", st.LocalPeer())
	}
}

// TestRefusedOffer: what was refused once can be published later: the offer was taken back.
func TestRefusedOffer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)
	for range 2 {
		receive(t, "microphone and camera", s.tracks)
	}
	s.mu.Lock()
	s.refuse[protocol.MethodOffer] = []protocol.Error{{Code: protocol.CodeBadRequest, Message: "not now"}}
	s.mu.Unlock()
	if err := p.StartScreenShare(t.Context(), ScreenShare{}); err == nil {
		t.Fatal("a refused share was published")
	}
	if err := p.StartScreenShare(t.Context(), ScreenShare{}); err != nil {
		t.Fatal(err)
	}
	receive(t, "the screen", s.tracks)
}

// A camera that cannot be had does not keep anybody out.
func TestJoinWithoutDevices(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, &rtc.Capture{Audio: rtc.Silence})
	p.join(s)
	if e := p.told(NotifyError).Data.(*Error); e.Code != codeNoDevice || e.TrackType != "video" || e.IsTerminal {
		t.Errorf("%+v", e)
	}
	st := p.State()
	if st.Room.RoomState != Connected || st.Tracks[st.LocalPeer().VideoTrack].Enabled || !st.Tracks[st.LocalPeer().AudioTrack].Enabled {
		t.Errorf("tracks %+v", st.Tracks)
	}
}

func TestMigration(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "host")
	p := newParticipant(t, clips())
	p.join(s)
	receive(t, "answer", s.answered)
	for range 2 {
		receive(t, "media", s.tracks)
	}
	var old []*rtc.Conn
	s.set(func() { old, s.pub, s.sub, s.frames = []*rtc.Conn{s.pub, s.sub}, nil, nil, nil })
	s.notify(protocol.OnNodeInfo, map[string]string{"sfu_node_id": "node-2"})
	first := s.wait(protocol.MethodOffer, nil)
	if len(tracksOf(t, first)) != 0 || !strings.Contains(string(first.Params), `"sfu_node_id":"node-2"`) {
		t.Errorf("first offer %s", first.Params)
	}
	for range 2 {
		receive(t, "media at the new node", s.tracks)
	}
	for _, c := range old {
		_ = c.Close()
	}
}
