package room

import (
	"slices"
	"testing"

	"github.com/pion/webrtc/v4"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// publisher is the client's side of a publish connection, as far as SDP goes.
type publisher struct {
	t  *testing.T
	pc *webrtc.PeerConnection
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	if _, err := pc.CreateDataChannel(protocol.DataChannelLabel, nil); err != nil {
		t.Fatal(err)
	}
	return &publisher{t, pc}
}

// add publishes one more track and returns its object.
func (p *publisher) add(id string, kind protocol.TrackKind, source string) protocol.Track {
	p.t.Helper()
	mime := webrtc.MimeTypeOpus
	if kind == protocol.Video {
		mime = webrtc.MimeTypeVP8
	}
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, id, "stream-"+source)
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = p.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		p.t.Fatal(err)
	}
	return protocol.Track{TrackID: id, StreamID: "stream-" + source, Kind: kind, Source: source}
}

func (p *publisher) offer() protocol.Description {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	return protocol.Description{Type: "offer", SDP: offer.SDP}
}

func (p *publisher) accept(result protocol.AnswerResult) {
	p.t.Helper()
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: result.SDP}); err != nil {
		p.t.Fatal(err)
	}
}

func tracks(list ...protocol.Track) map[string]protocol.Track {
	m := map[string]protocol.Track{}
	for _, t := range list {
		m[t.TrackID] = t
	}
	return m
}

func TestPublish(t *testing.T) {
	h := newHouse(t, Limits{})
	_, eveBox := h.join("eve", policy.RoleHLSViewer)
	ann, annBox, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t)
	first := pub.offer()
	result, err := ann.Join(t.Context(), protocol.Join{Name: "Ann", Offer: &first})
	if err != nil || result.Type != "answer" {
		t.Fatalf("%+v, %v", result, err)
	}
	pub.accept(result)
	eventually(t, "the subscribe offer", func() bool { return slices.Contains(annBox.methods(), protocol.MethodOffer) })
	eveBox.take()

	mic := pub.add("mic", protocol.Audio, protocol.SourceRegular)
	cam := pub.add("cam", protocol.Video, protocol.SourceRegular)
	if result, err = ann.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(mic, cam), SFUNodeID: "node-1"}); err != nil {
		t.Fatal(err)
	}
	pub.accept(result)
	if got := one[protocol.TrackEvent](t, eveBox, protocol.OnTrackAdd); len(got.Tracks) != 2 || got.Tracks["cam"] != cam || got.Peer.PeerID != "ann" {
		t.Errorf("eve was told %+v", got)
	}
	var stage *Stage
	stop := h.Lookup("r1").Watch(func(s *Stage) { stage = s })
	defer stop()
	if len(stage.Peers) != 1 || stage.Peers[0].Name != "Ann" || len(stage.Peers[0].Tracks) != 2 {
		t.Fatalf("stage %+v", stage)
	}
	for _, track := range stage.Peers[0].Tracks {
		if track.Media == nil {
			t.Errorf("%s has no media", track.ID)
		}
	}

	// A mute is told to the others and not to the owner.
	annBox.take()
	cam.Mute = true
	unknown := protocol.Track{TrackID: "unknown", Mute: true}
	if err := ann.TrackUpdate(t.Context(), protocol.TrackUpdate{Tracks: tracks(cam, unknown)}); err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.TrackEvent](t, eveBox, protocol.OnTrackUpdate); len(got.Tracks) != 1 || !got.Tracks["cam"].Mute {
		t.Errorf("eve was told %+v", got)
	}
	if slices.Contains(annBox.methods(), protocol.OnTrackUpdate) {
		t.Error("the owner was told of its own mute")
	}

	// Unpublished is what the list leaves out.
	if result, err = ann.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(mic)}); err != nil {
		t.Fatal(err)
	}
	pub.accept(result)
	if got := one[protocol.TrackEvent](t, eveBox, protocol.OnTrackRemove); len(got.Tracks) != 1 || got.Tracks["cam"].TrackID != "cam" {
		t.Errorf("eve was told %+v", got)
	}

	// A demotion ends what the role may not publish, whatever the client does.
	role := policy.RoleHLSViewer
	if _, err := h.Lookup("r1").ChangePeer(t.Context(), "ann", PeerChange{Role: &role}); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, eveBox, protocol.OnTrackRemove, protocol.OnPeerUpdate)
	eventually(t, "the empty stage", func() (empty bool) {
		_ = h.Lookup("r1").do(t.Context(), func() error { empty = len(stage.Peers) == 0; return nil })
		return empty
	})
	// Its client unpublishes one track at a time and still lists the others; that is
	// no attempt to publish. What it has left out it may not list again.
	unpublish := func(list ...protocol.Track) error {
		result, err := ann.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(list...)})
		if err == nil {
			pub.accept(result)
		}
		return err
	}
	wantCode(t, unpublish(mic), 0)
	wantCode(t, unpublish(), 0)
	wantCode(t, unpublish(mic), protocol.CodeForbidden)
	wantMethods(t, eveBox)
}

func TestPublishRefusals(t *testing.T) {
	h := newHouse(t, Limits{TracksPerPeer: 2})
	presenter := *policy.StarterKit().Roles[policy.RoleBroadcaster]
	presenter.PublishParams.Allowed = []policy.Publishable{policy.PublishScreen}
	h.record.Template.Roles[policy.RoleBroadcaster] = &presenter

	ann, _ := h.join("ann", policy.RoleBroadcaster)
	screen := protocol.Track{TrackID: "s", StreamID: "st", Kind: protocol.Video, Source: protocol.SourceScreen}
	with := func(change func(*protocol.Track)) protocol.Track {
		track := screen
		change(&track)
		return track
	}
	for name, tc := range map[string]struct {
		offer protocol.Offer
		code  int
	}{
		"no SDP":         {protocol.Offer{Desc: protocol.Description{SDP: "no"}, Tracks: tracks(screen)}, protocol.CodeBadRequest},
		"wrong key":      {protocol.Offer{Tracks: map[string]protocol.Track{"other": screen}}, protocol.CodeBadRequest},
		"no id":          {protocol.Offer{Tracks: map[string]protocol.Track{"": {Kind: protocol.Audio}}}, protocol.CodeBadRequest},
		"no such kind":   {protocol.Offer{Tracks: tracks(with(func(t *protocol.Track) { t.Kind = "smell" }))}, protocol.CodeBadRequest},
		"camera":         {protocol.Offer{Tracks: tracks(with(func(t *protocol.Track) { t.Source = protocol.SourceRegular }))}, protocol.CodeForbidden},
		"too many":       {protocol.Offer{Tracks: tracks(screen, with(func(t *protocol.Track) { t.TrackID = "2" }), with(func(t *protocol.Track) { t.TrackID = "3" }))}, protocol.CodeTooLarge},
		"another node's": {protocol.Offer{SFUNodeID: "node-0"}, protocol.CodeStaleNode},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ann.Offer(t.Context(), tc.offer)
			wantCode(t, err, tc.code)
		})
	}
	wantCode(t, ann.Answer(protocol.Answer{Desc: protocol.Description{SDP: "no"}}), protocol.CodeConflict)
	wantCode(t, ann.Trickle(protocol.Trickle{Target: 7}), protocol.CodeBadRequest)
	wantCode(t, ann.Trickle(protocol.Trickle{Candidate: protocol.Candidate{Candidate: "no"}}), protocol.CodeBadRequest)

	// A client that comes back to a server that has forgotten it must start anew.
	bob, bobBox, _ := h.connect("bob", policy.RoleBroadcaster)
	bobBox.take()
	_, err := bob.Offer(t.Context(), protocol.Offer{})
	wantCode(t, err, protocol.CodeGone)
	if got := one[protocol.Error](t, bobBox, protocol.OnError); got.Code != protocol.CodeGone {
		t.Errorf("bob was told %+v", got)
	}
	wantCode(t, bob.Answer(protocol.Answer{}), protocol.CodeConflict)
	wantCode(t, bob.Trickle(protocol.Trickle{Target: 0}), protocol.CodeConflict)
}
