package room

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
)

func TestConnectAndJoin(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	frames := annBox.take()
	if len(frames) != 2 || frames[0].Method != protocol.OnPolicyChange || frames[1].Method != protocol.OnRoomInfo {
		t.Fatalf("got %v, want the policy first and then the room's info", frames)
	}
	var pol protocol.PolicyChange[policy.Role]
	if err := json.Unmarshal(frames[0].Params, &pol); err != nil {
		t.Fatal(err)
	}
	if pol.Name != policy.RoleBroadcaster || pol.TemplateID != "t1" || len(pol.KnownRoles) != 3 {
		t.Errorf("policy %+v", pol)
	}

	_, bobBox := h.join("bob", policy.RoleHLSViewer)
	wantMethods(t, annBox) // ann is in preview and hears nothing of bob

	result, err := ann.Join(t.Context(), protocol.Join{Name: "Ann", Data: `{"k":1}`})
	if err != nil {
		t.Fatal(err)
	}
	if result.SFUNodeID != "node-1" || result.SDP != "" {
		t.Errorf("result %+v", result)
	}
	list := one[protocol.PeerList](t, annBox, protocol.OnPeerList)
	if got := slices.Collect(maps.Keys(list.Peers)); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("peer list of ann: %v, want bob alone", got)
	}
	if b := list.Peers["bob"]; !b.Realtime || b.Groups == nil || b.Tracks == nil || b.Info.Name != "name of bob" || b.Info.UserID != "u-bob" {
		t.Errorf("bob is listed as %+v", b)
	}
	if list.Room.Name != "lab" || list.Room.SessionID != "s1" || list.Room.StartedAt == 0 {
		t.Errorf("room state %+v", list.Room)
	}
	if got := one[protocol.Peer](t, bobBox, protocol.OnPeerJoin); got.PeerID != "ann" || got.Info.Data != `{"k":1}` {
		t.Errorf("bob was told %+v", got)
	}
	_, err = ann.Join(t.Context(), protocol.Join{})
	wantCode(t, err, protocol.CodeConflict)
}

func TestConnectRefusals(t *testing.T) {
	h := newHouse(t, Limits{Peers: 2})
	_, _, err := h.connect("ann", "king")
	wantCode(t, err, protocol.CodeBadRequest)
	if _, err := h.Open(t.Context(), "r2"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("error %v, want ErrNotFound", err)
	}

	h.join("ann", policy.RoleBroadcaster)
	h.join("bob", policy.RoleHLSViewer)
	_, _, err = h.connect("eve", policy.RoleHLSViewer)
	wantCode(t, err, protocol.CodeForbidden)

	_ = h.DisableRoom(t.Context(), "r1")
	_, _, err = h.connect("eve", policy.RoleHLSViewer)
	wantCode(t, err, protocol.CodeForbidden)
	if _, _, err := h.connect("bob", policy.RoleHLSViewer); err != nil {
		t.Errorf("a peer of the running session could not come back to a disabled room: %v", err)
	}
}

func TestJoinLimits(t *testing.T) {
	h := newHouse(t, Limits{NameBytes: 5, DataBytes: 5})
	h.record.Template.Roles[policy.RoleHLSViewer].MaxPeerCount = 1
	ann, _, _ := h.connect("ann", policy.RoleHLSViewer)
	_, err := ann.Join(t.Context(), protocol.Join{Name: "too long"})
	wantCode(t, err, protocol.CodeTooLarge)
	_, err = ann.Join(t.Context(), protocol.Join{Data: "too long"})
	wantCode(t, err, protocol.CodeTooLarge)
	if _, err = ann.Join(t.Context(), protocol.Join{Name: "Ann"}); err != nil {
		t.Fatal(err)
	}
	bob, _, _ := h.connect("bob", policy.RoleHLSViewer)
	_, err = bob.Join(t.Context(), protocol.Join{})
	wantCode(t, err, protocol.CodeForbidden) // the role is full
	err = bob.Update(t.Context(), protocol.PeerUpdate{})
	wantCode(t, err, protocol.CodeConflict) // not joined
}

func TestJoinWithBadOffer(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, box, _ := h.connect("ann", policy.RoleBroadcaster)
	_, err := ann.Join(t.Context(), protocol.Join{Offer: &protocol.Description{Type: "offer", SDP: "this is no SDP"}})
	wantCode(t, err, protocol.CodeBadRequest)
	box.take()
	if _, err := ann.Join(t.Context(), protocol.Join{Name: "Ann"}); err != nil {
		t.Errorf("a bad offer must not end the session: %v", err)
	}
}

func TestBroadcast(t *testing.T) {
	h := newHouse(t, Limits{MessageBytes: 20, MessageBurst: 8, MessagesPerSecond: 0.001})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	_, bobBox := h.join("bob", policy.RoleViewerRealtime)
	_, eveBox := h.join("eve", policy.RoleHLSViewer)
	annBox.take()
	bobBox.take()
	say := func(b protocol.Broadcast) protocol.BroadcastResult {
		t.Helper()
		result, err := ann.Broadcast(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}

	result := say(protocol.Broadcast{Info: protocol.Message{Message: "hello"}})
	if result.MessageID == "" || result.Timestamp == 0 {
		t.Errorf("result %+v", result)
	}
	for _, b := range []*inbox{bobBox, eveBox} {
		got := one[protocol.BroadcastEvent](t, b, protocol.OnBroadcast)
		if got.Peer.PeerID != "ann" || got.Info != (protocol.Message{Message: "hello", Type: "chat"}) || got.MessageID != result.MessageID || got.Private {
			t.Errorf("got %+v", got)
		}
	}
	wantMethods(t, annBox) // no echo

	say(protocol.Broadcast{Info: protocol.Message{Message: "gallery", Type: "X"}, Roles: []string{policy.RoleHLSViewer}})
	wantMethods(t, bobBox)
	if got := one[protocol.BroadcastEvent](t, eveBox, protocol.OnBroadcast); !slices.Equal(got.Roles, []string{policy.RoleHLSViewer}) || got.Info.Type != "X" {
		t.Errorf("got %+v", got)
	}

	say(protocol.Broadcast{Info: protocol.Message{Message: "psst"}, PeerID: "bob"})
	wantMethods(t, eveBox)
	if got := one[protocol.BroadcastEvent](t, bobBox, protocol.OnBroadcast); !got.Private {
		t.Errorf("got %+v", got)
	}

	refused := func(b protocol.Broadcast, want int) {
		t.Helper()
		_, err := ann.Broadcast(t.Context(), b)
		wantCode(t, err, want)
	}
	refused(protocol.Broadcast{Info: protocol.Message{Message: "longer than twenty bytes"}}, protocol.CodeTooLarge)
	refused(protocol.Broadcast{PeerID: "nobody"}, protocol.CodeNotFound)
	refused(protocol.Broadcast{Roles: []string{"king"}}, protocol.CodeBadRequest)
	for range 3 {
		say(protocol.Broadcast{})
	}
	refused(protocol.Broadcast{}, protocol.CodeTooMany)

	if err := h.Lookup("r1").Say(t.Context(), protocol.Message{Message: "server", Type: "chat"}, "", ""); err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.BroadcastEvent](t, annBox, protocol.OnBroadcast); got.Peer != nil {
		t.Errorf("a message of the server has a sender: %+v", got)
	}
}

func TestRoleChange(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, bobBox := h.join("bob", policy.RoleHLSViewer)
	eve, eveBox := h.join("eve", policy.RoleHLSViewer)
	annBox.take()
	bobBox.take()

	// Asked: the target gets a token, and nothing changes until it accepts.
	ask := protocol.RoleChangeRequest{RequestedFor: "bob", Role: policy.RoleBroadcaster}
	wantCode(t, eve.RequestRoleChange(t.Context(), ask), protocol.CodeForbidden)
	wantCode(t, ann.RequestRoleChange(t.Context(), ask), 0)
	offer := one[protocol.RoleChange](t, bobBox, protocol.OnRoleChangeRequest)
	if offer.RequestedBy != "ann" || offer.Token == "" {
		t.Errorf("offer %+v", offer)
	}
	wantMethods(t, eveBox)

	wantCode(t, eve.AcceptRole(t.Context(), offer), protocol.CodeForbidden) // somebody else's token
	other := offer
	other.Role = policy.RoleViewerRealtime
	wantCode(t, bob.AcceptRole(t.Context(), other), protocol.CodeForbidden) // another role
	wantCode(t, bob.AcceptRole(t.Context(), offer), 0)
	wantMethods(t, bobBox, protocol.OnPolicyChange)
	if got := one[protocol.Peer](t, eveBox, protocol.OnPeerUpdate); got.Role != policy.RoleBroadcaster || !got.Realtime || got.Groups == nil {
		t.Errorf("eve was told %+v", got)
	}
	wantCode(t, bob.AcceptRole(t.Context(), offer), protocol.CodeForbidden) // a second time

	// Forced, with the policy first.
	wantCode(t, ann.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{RequestedFor: "eve", Role: policy.RoleViewerRealtime, Force: true}), 0)
	if got := one[protocol.PolicyChange[policy.Role]](t, eveBox, protocol.OnPolicyChange); got.Name != policy.RoleViewerRealtime {
		t.Errorf("eve's policy is for %s", got.Name)
	}

	// All who have one of some roles.
	annBox.take()
	wantCode(t, ann.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{
		Roles: []string{policy.RoleViewerRealtime, policy.RoleBroadcaster}, Role: policy.RoleHLSViewer, Force: true,
	}), 0)
	for _, p := range []*Peer{ann, bob, eve} {
		got, err := p.Lookup(t.Context(), protocol.GetPeer{PeerID: p.ID})
		if err != nil || got.Role != policy.RoleHLSViewer {
			t.Errorf("%s is %s (%v), want hls-viewer", p.ID, got.Role, err)
		}
	}
}

func TestHandRaise(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, bobBox := h.join("bob", policy.RoleHLSViewer)
	annBox.take()

	hand := protocol.GroupChange{Name: protocol.HandRaiseGroup}
	if _, err := bob.JoinGroup(t.Context(), hand); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*inbox{annBox, bobBox} { // the raiser learns of it by this alone
		if got := one[protocol.Peer](t, b, protocol.OnPeerUpdate); !slices.Equal(got.Groups, []string{protocol.HandRaiseGroup}) {
			t.Errorf("groups %v", got.Groups)
		}
	}
	if _, err := bob.JoinGroup(t.Context(), hand); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annBox) // no change, no news

	hand.PeerID = "ann"
	_, err := bob.JoinGroup(t.Context(), hand)
	wantCode(t, err, protocol.CodeForbidden)
	hand.PeerID = "bob"
	if _, err := ann.LeaveGroup(t.Context(), hand); err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.Peer](t, bobBox, protocol.OnPeerUpdate); len(got.Groups) != 0 {
		t.Errorf("groups %v", got.Groups)
	}
}

func TestLeaveRemoveAndEnd(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, bobBox := h.join("bob", policy.RoleHLSViewer)
	eve, eveBox := h.join("eve", policy.RoleHLSViewer)
	annBox.take()
	bobBox.take()

	if err := eve.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annBox, protocol.OnPeerLeave)
	if eveBox.closed == "" {
		t.Error("the socket of a peer that left is open")
	}
	wantCode(t, eve.Update(t.Context(), protocol.PeerUpdate{}), protocol.CodeGone)

	wantCode(t, bob.RequestLeave(t.Context(), protocol.PeerLeaveRequest{RequestedFor: "ann"}), protocol.CodeForbidden)
	wantCode(t, ann.RequestLeave(t.Context(), protocol.PeerLeaveRequest{RequestedFor: "bob", Reason: "spam"}), 0)
	if got := one[protocol.PeerLeaveEvent](t, bobBox, protocol.OnPeerLeaveRequest); got.RoomEnd || got.Reason != "spam" || got.RequestedBy != "ann" {
		t.Errorf("bob was told %+v", got)
	}
	if _, box, err := h.connect("bob", policy.RoleHLSViewer); code(err) != protocol.CodeGone {
		t.Errorf("a removed peer came back: %v %v", err, box.methods())
	}

	joe, joeBox := h.join("joe", policy.RoleHLSViewer)
	wantCode(t, joe.EndRoom(t.Context(), protocol.EndRoom{}), protocol.CodeForbidden)
	wantCode(t, ann.EndRoom(t.Context(), protocol.EndRoom{Lock: true, Reason: "over"}), 0)
	if got := one[protocol.PeerLeaveEvent](t, joeBox, protocol.OnPeerLeaveRequest); !got.RoomEnd || got.Reason != "over" {
		t.Errorf("joe was told %+v", got)
	}
	if annBox.closed != "" {
		t.Error("who ends the room leaves by itself")
	}
	if err := ann.Leave(t.Context()); err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	eventually(t, "the end of the session", func() bool { return slices.Contains(h.noted(), "closed s1") })
	want := []string{
		"opened s1", "ann joined as broadcaster", "bob joined as hls-viewer", "eve joined as hls-viewer",
		"eve left: client request ", "bob left: peer kicked spam", "joe joined as hls-viewer",
		"ended by ann: over", "joe left: server removed peer over", "ann left: client request ", "closed s1",
	}
	if got := h.noted(); !slices.Equal(got, want) {
		t.Errorf("on record:\n%q\nwant\n%q", got, want)
	}
	if _, err := h.Open(t.Context(), "r1"); !errors.Is(err, ErrDisabled) {
		t.Errorf("a locked room opened: %v", err)
	}
	eventually(t, "the end of the room's stream", func() bool {
		h.streamer.mu.Lock()
		defer h.streamer.mu.Unlock()
		return h.streamer.closeds == 1
	})
}

// Who is away while its session is ended hears of that when it comes back, though another session runs by then.
func TestAwayWhileTheRoomEnds(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, _ := h.join("ann", policy.RoleBroadcaster)
	bob, box := h.join("bob", policy.RoleHLSViewer)
	bob.Disconnected(box, false)
	wantCode(t, ann.EndRoom(t.Context(), protocol.EndRoom{Reason: "over"}), 0)
	if err := ann.Leave(t.Context()); err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	eventually(t, "the end of the session", func() bool { return slices.Contains(h.noted(), "closed s1") })
	h.join("joe", policy.RoleBroadcaster)
	_, box, err := h.connect("bob", policy.RoleHLSViewer)
	wantCode(t, err, protocol.CodeGone)
	if got := one[protocol.PeerLeaveEvent](t, box, protocol.OnPeerLeaveRequest); !got.RoomEnd || got.Reason != "over" {
		t.Errorf("bob was told %+v", got)
	}
	if _, _, err := h.connect("another bob", policy.RoleHLSViewer); err != nil {
		t.Errorf("somebody else may not come: %v", err)
	}
}

func TestRemovals(t *testing.T) {
	var l removals
	const keep = 20 * time.Millisecond
	l.add("r1", "ann", protocol.PeerLeaveEvent{Reason: "spam"}, keep)
	if event, removed := l.of("r1", "ann", keep); !removed || event.Reason != "spam" {
		t.Errorf("%v %+v", removed, event)
	}
	if _, removed := l.of("r2", "ann", keep); removed {
		t.Error("removed from another room, too")
	}
	time.Sleep(2 * keep)
	if _, removed := l.of("r1", "ann", keep); removed {
		t.Error("removed for ever")
	}
	if l.add("r1", "bob", protocol.PeerLeaveEvent{}, keep); len(l.list) != 1 {
		t.Errorf("%d are remembered", len(l.list))
	}
}

func TestReconnect(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, bobBox := h.join("bob", policy.RoleHLSViewer)
	annBox.take()
	bob.Disconnected(bobBox, false)
	wantCode(t, ann.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{RequestedFor: "bob", Role: policy.RoleViewerRealtime, Force: true}), 0)
	annBox.take()

	thief := h.identity("bob", policy.RoleHLSViewer)
	thief.TokenHash[0]++
	_, err := h.Lookup("r1").Connect(t.Context(), thief, &inbox{})
	wantCode(t, err, protocol.CodeForbidden)

	if r := h.Lookup("r1"); !r.Knows(t.Context(), "bob") || r.Knows(t.Context(), "joe") {
		t.Error("bob is expected back, joe is not")
	}
	again, box, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	if again != bob {
		t.Error("the peer lost its state")
	}
	frames := box.take()
	var got []string
	for _, f := range frames {
		got = append(got, f.Method)
	}
	if !slices.Equal(got, []string{protocol.OnPolicyChange, protocol.OnRoomInfo, protocol.OnPeerList}) {
		t.Errorf("got %v", got)
	}
	var pol protocol.PolicyChange[policy.Role]
	_ = json.Unmarshal(frames[0].Params, &pol)
	if pol.Name != policy.RoleViewerRealtime {
		t.Errorf("the policy is for %s, want the current role", pol.Name)
	}
	wantMethods(t, annBox) // nobody saw it go

	// A newer socket replaces the old one, whose end then means nothing.
	_, newer, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	if box.closed == "" {
		t.Error("the replaced socket is open")
	}
	bob.Disconnected(box, true)
	newer.take()
	if err := bob.Update(t.Context(), protocol.PeerUpdate{}); err != nil {
		t.Error(err)
	}
}

func TestLostPeerIsHiddenThenForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{HideAfter: 20 * time.Millisecond, ForgetClosedTab: time.Millisecond, ForgetAfter: 2 * time.Second})
	_, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, bobBox := h.join("bob", policy.RoleHLSViewer)
	annBox.take()

	bob.Disconnected(bobBox, true)
	eventually(t, "bob's leave", func() bool { return slices.Equal(annBox.methods(), []string{protocol.OnPeerLeave}) })
	again, bobBox, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil || again != bob {
		t.Fatalf("bob could not come back: %v", err)
	}
	wantMethods(t, annBox, protocol.OnPeerJoin)

	bob.Disconnected(bobBox, false)
	eventually(t, "bob's second leave", func() bool { return slices.Equal(annBox.methods(), []string{protocol.OnPeerLeave}) })
	r := h.Lookup("r1")
	eventually(t, "bob's end", func() (gone bool) {
		_ = r.do(t.Context(), func() error { gone = r.peers["bob"] == nil; return nil })
		return gone
	})
}

func TestHLSState(t *testing.T) {
	h := newHouse(t, Limits{})
	ann, annBox := h.join("ann", policy.RoleBroadcaster)
	bob, _ := h.join("bob", policy.RoleHLSViewer)
	annBox.take()
	wantCode(t, bob.StartHLS(t.Context(), protocol.HLSStart{}), protocol.CodeForbidden)
	wantCode(t, ann.StartHLS(t.Context(), protocol.HLSStart{}), 0)
	if h.streamer.starts != 1 {
		t.Errorf("%d starts, want 1", h.streamer.starts)
	}
	md := func(payload string, seconds int) protocol.HLSMetadata {
		return protocol.HLSMetadata{Objects: []protocol.TimedMetadata{{Payload: payload, Duration: seconds}}}
	}
	wantCode(t, bob.SendMetadata(t.Context(), md("x", 5)), protocol.CodeForbidden)
	wantCode(t, ann.SendMetadata(t.Context(), protocol.HLSMetadata{}), protocol.CodeBadRequest)
	wantCode(t, ann.SendMetadata(t.Context(), md(strings.Repeat("ü", 101), 5)), protocol.CodeBadRequest)
	wantCode(t, ann.SendMetadata(t.Context(), md("x", 0)), protocol.CodeBadRequest)
	wantCode(t, ann.SendMetadata(t.Context(), md(strings.Repeat("ü", 100), 5)), 0)
	if h.streamer.metadata != 1 {
		t.Errorf("%d payloads, want 1", h.streamer.metadata)
	}
	state := protocol.HLSState{Enabled: true, Variants: []protocol.HLSVariant{{URL: "u", State: protocol.StateStarted}}}
	h.Lookup("r1").SetHLS(state)
	if got := one[protocol.HLSState](t, annBox, protocol.OnHLSUpdate); got.Variants[0].URL != "u" {
		t.Errorf("got %+v", got)
	}
	eve, eveBox, _ := h.connect("eve", policy.RoleHLSViewer)
	eveBox.take()
	if _, err := eve.Join(t.Context(), protocol.Join{}); err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.PeerList](t, eveBox, protocol.OnPeerList); !got.Room.Streaming.HLS.Enabled || got.Room.Streaming.HLS.Variants[0].URL != "u" {
		t.Errorf("a late joiner sees %+v", got.Room.Streaming)
	}
}

// Everybody does everything at once; the room keeps its word and leaks nothing.
func TestManyPeersAtOnce(t *testing.T) {
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id := fmt.Sprint("peer-", i)
			role := []string{policy.RoleBroadcaster, policy.RoleViewerRealtime, policy.RoleHLSViewer}[i%3]
			for range 5 {
				p, b, err := h.connect(id, role)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = p.Join(t.Context(), protocol.Join{Name: id})
				_, _ = p.Broadcast(t.Context(), protocol.Broadcast{})
				_, _ = p.JoinGroup(t.Context(), protocol.GroupChange{Name: "g"})
				_ = p.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{RequestedFor: "peer-1", Role: policy.RoleHLSViewer, Force: true})
				if i%2 == 0 {
					p.Disconnected(b, false)
				} else {
					_ = p.Leave(t.Context())
				}
			}
			if p, _, err := h.connect(id, role); err == nil {
				_ = p.Leave(t.Context())
			}
		})
	}
	wg.Wait()
	eventually(t, "the end of the room", func() bool { return h.Lookup("r1") == nil })
}
