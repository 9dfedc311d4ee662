package room

import (
	"slices"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

// An answer to a join that was lost with its socket can be had again over the next one, and only there.
func TestJoinAgain(t *testing.T) {
	h := newHouse(t, Limits{})
	_, bobBox := h.join("bob", policy.RoleBroadcaster)
	ann, _, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t)
	first := pub.offer()
	join := func() (protocol.AnswerResult, error) {
		return ann.Join(t.Context(), protocol.Join{Name: "Ann", Offer: &first})
	}
	if _, err := join(); err != nil {
		t.Fatal(err)
	}
	_, err = join()
	wantCode(t, err, protocol.CodeConflict)
	one[protocol.Peer](t, bobBox, protocol.OnPeerJoin)

	_, box, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	result, err := join()
	if err != nil || result.SFUNodeID != "node-1" {
		t.Fatalf("%+v %v", result, err)
	}
	pub.accept(result)
	box.take()
	_, err = join()
	wantCode(t, err, protocol.CodeConflict)
	wantMethods(t, bobBox) // nobody joined twice
}

// Connections that cannot be mended are replaced: the client is told of another
// node, and of everybody's tracks once it is there (§7.9).
func TestMoveMedia(t *testing.T) {
	h := newHouse(t, Limits{})
	join := func(id string) (*Peer, *inbox, *publisher) {
		p, b, err := h.connect(id, policy.RoleBroadcaster)
		if err != nil {
			t.Fatal(err)
		}
		pub := newPublisher(t)
		first := pub.offer()
		result, err := p.Join(t.Context(), protocol.Join{Name: id, Offer: &first})
		if err != nil || result.SFUNodeID != "node-1" {
			t.Fatalf("%+v %v", result, err)
		}
		pub.accept(result)
		return p, b, pub
	}
	publish := func(p *Peer, pub *publisher, node string, list ...protocol.Track) {
		t.Helper()
		result, err := p.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(list...), SFUNodeID: node})
		if err != nil {
			t.Fatal(err)
		}
		pub.accept(result)
	}
	ann, annBox, annPub := join("ann")
	bob, bobBox, bobPub := join("bob")
	publish(ann, annPub, "node-1", annPub.add("mic", protocol.Audio, protocol.SourceRegular))
	publish(bob, bobPub, "node-1", bobPub.add("mic-of-bob", protocol.Audio, protocol.SourceRegular))
	annBox.take()
	bobBox.take()

	stale := annPub.offer()
	old := ann.media.Load()
	mediaSignals{ann, old}.Disconnected(sfu.Publish) // the client mends this itself
	mediaSignals{ann, old}.Disconnected(sfu.Subscribe)
	mediaSignals{ann, old}.Disconnected(sfu.Subscribe) // said too late
	eventually(t, "the move", func() bool { return ann.media.Load() == nil })
	if e := one[protocol.NodeInfo](t, annBox, protocol.OnNodeInfo); e.SFUNodeID != "node-1.1" {
		t.Errorf("%+v", e)
	}
	if e := one[protocol.TrackEvent](t, bobBox, protocol.OnTrackRemove); e.Tracks["mic"].TrackID != "mic" {
		t.Errorf("%+v", e)
	}

	// What is under way for the old connections is refused.
	_, err := ann.Offer(t.Context(), protocol.Offer{Desc: stale, Tracks: nil, SFUNodeID: "node-1"})
	wantCode(t, err, protocol.CodeStaleNode)
	wantCode(t, ann.Answer(protocol.Answer{SFUNodeID: "node-1"}), protocol.CodeConflict)
	mediaSignals{ann, old}.Offer("from the old connection")
	if got := annBox.methods(); slices.Contains(got, protocol.MethodOffer) {
		t.Errorf("got %v", got)
	}
	// Who missed the news gets it with the next socket.
	if _, annBox, err = h.connect("ann", policy.RoleBroadcaster); err != nil {
		t.Fatal(err)
	}
	if got := annBox.methods(); !slices.Contains(got, protocol.OnNodeInfo) {
		t.Errorf("got %v", got)
	}

	pub := newPublisher(t)
	publish(ann, pub, "node-1.1")
	eventually(t, "the subscribe offer", func() bool { return annBox.has(protocol.MethodOffer) })
	if e := one[protocol.TrackEvent](t, annBox, protocol.OnTrackAdd); e.Peer.PeerID != "bob" || e.Tracks["mic-of-bob"].TrackID == "" {
		t.Errorf("%+v", e)
	}
	wantCode(t, ann.Answer(protocol.Answer{SFUNodeID: "node-1"}), protocol.CodeStaleNode)
	wantCode(t, ann.Trickle(protocol.Trickle{SFUNodeID: "node-1"}), protocol.CodeStaleNode)
	publish(ann, pub, "node-1.1", pub.add("mic-2", protocol.Audio, protocol.SourceRegular))
	if e := one[protocol.TrackEvent](t, bobBox, protocol.OnTrackAdd); e.Tracks["mic-2"].TrackID != "mic-2" {
		t.Errorf("%+v", e)
	}
	_, again, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.methods(); slices.Contains(got, protocol.OnNodeInfo) {
		t.Errorf("the move is over: %v", got)
	}
}
