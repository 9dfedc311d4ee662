package room

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// A server that is stopped while people are in a room leaves a state from which
// the next one makes the room again; they come back and miss nothing.
func TestResume(t *testing.T) {
	t.Parallel()
	first := newHouse(t, Limits{})
	first.linked = []LinkedPoll{{Info: protocol.PollInfo{PollID: "linked", Duration: 3600}, Auto: true, Questions: []protocol.PollQuestion{{
		Question: protocol.PollQuestionText{Index: 1, Type: "short-answer", Text: "?"},
	}}}}
	ctx := t.Context()
	ann, _ := first.join("ann", policy.RoleBroadcaster)
	bob, bobIn := first.join("bob", policy.RoleHLSViewer)
	first.join("cat", policy.RoleHLSViewer)
	dan, _ := first.join("dan", policy.RoleHLSViewer)
	if err := dan.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	ann.say(t, "before", nil)
	if _, err := ann.SetMetadata(ctx, protocol.SetMetadata{Key: "pin", Data: json.RawMessage(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	if err := bob.ListenMetadata(ctx, protocol.ListenMetadata{Keys: []string{"pin"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.JoinGroup(ctx, protocol.GroupChange{Name: protocol.HandRaiseGroup}); err != nil {
		t.Fatal(err)
	}
	if err := ann.RequestRoleChange(ctx, protocol.RoleChangeRequest{RequestedFor: "cat", Role: policy.RoleBroadcaster, Force: true}); err != nil {
		t.Fatal(err)
	}
	answer := func(p *Peer, text string) error {
		_, err := p.Vote(ctx, protocol.PollVotes{PollID: "linked", Responses: []protocol.PollVote{{Question: 1, Text: text}}})
		return err
	}
	if err := answer(bob, "yes"); err != nil {
		t.Fatal(err)
	}
	bob.Heard(bob.Told())
	bob.Disconnected(bobIn, false)
	first.Suspend()
	if got := first.noted(); slices.Contains(got, "closed s1") || first.saved == nil {
		t.Fatalf("the session was closed: %q", got)
	}

	// Whoever of the others comes back, however busy the machine is, still finds cat.
	next := newHouse(t, Limits{HideAfter: 4 * time.Second, ForgetAfter: 5 * time.Second})
	next.cfg.NodeID = "node-2"
	if err := next.Resume(ctx, "r1", first.saved); err != nil {
		t.Fatal(err)
	}
	if err := next.Resume(ctx, "r1", first.saved); err == nil {
		t.Error("resumed twice")
	}
	_, err := next.Lookup("r1").Connect(ctx, Identity{PeerID: "ann", Role: policy.RoleBroadcaster}, &inbox{})
	wantCode(t, err, protocol.CodeForbidden) // not with the token that ann had
	ann, annIn, err := next.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	if got := one[protocol.NodeInfo](t, annIn, protocol.OnNodeInfo); got.SFUNodeID != "node-2" {
		t.Errorf("%+v", got)
	}
	bob, bobIn, err = next.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	frames := bobIn.take()
	var methods []string
	for _, f := range frames {
		methods = append(methods, f.Method)
	}
	if want := []string{protocol.OnPolicyChange, protocol.OnRoomInfo, protocol.OnPeerList, protocol.OnMetadataChange}; !slices.Equal(methods, want) {
		t.Fatalf("got %v, want %v", methods, want)
	}
	var list protocol.PeerList
	if err := json.Unmarshal(frames[2].Params, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Peers) != 2 || list.Peers["cat"].Role != policy.RoleBroadcaster || list.Room.SessionID != "s1" || list.Peers["ann"].Info.Name != "name of ann" {
		t.Errorf("%+v", list)
	}
	if got, err := bob.Lookup(ctx, protocol.GetPeer{PeerID: "bob"}); err != nil || !slices.Contains(got.Groups, protocol.HandRaiseGroup) {
		t.Errorf("%+v %v", got, err)
	}
	if result, err := bob.PollResult(ctx, protocol.PollRef{PollID: "linked"}); err != nil || result.UserCount != 1 || result.TotalResponses != 1 {
		t.Errorf("%+v %v", result, err)
	}
	if err := answer(bob, "no"); err != nil { // in place of the first
		t.Error(err)
	}
	if v, err := bob.GetMetadata(ctx, protocol.GetMetadata{Key: "pin"}); err != nil || string(v.Data) != `{"a":1}` || v.ChangeVersion != 1 {
		t.Errorf("%+v %v", v, err)
	}

	// Media begins anew on the new node.
	pub := newPublisher(t)
	offer := pub.offer()
	_, err = ann.Offer(ctx, protocol.Offer{Desc: offer, SFUNodeID: "node-1"})
	wantCode(t, err, protocol.CodeStaleNode)
	if _, err := ann.Offer(ctx, protocol.Offer{Desc: offer, SFUNodeID: "node-2"}); err != nil {
		t.Error(err)
	}

	// Who does not come back is gone like after a lost socket.
	eventually(t, "cat is given up", func() bool { return slices.Contains(next.noted(), "cat left: "+LeftSocket+" ") })
	if err := ann.Leave(ctx); err != nil {
		t.Error(err)
	}
	if err := bob.Leave(ctx); err != nil {
		t.Error(err)
	}
	eventually(t, "the end", func() bool { return slices.Contains(next.noted(), "closed s1") })
	if got := next.noted(); slices.Contains(got, "opened s1") || slices.Contains(got, "ann joined as broadcaster") {
		t.Errorf("got %q", got)
	}
}

// The state is saved while the room is live: a server that is killed has no last word.
func TestStateIsSaved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	ann, _ := h.join("ann", policy.RoleBroadcaster)
	ann.say(t, "hi", nil)
	var s state
	eventually(t, "the state", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.saved != nil && json.Unmarshal(h.saved, &s) == nil
	})
	if len(s.Peers) != 1 || s.Peers[0].ID != "ann" || len(s.Past) != 1 {
		t.Errorf("%+v", s)
	}
}

func FuzzResume(f *testing.F) {
	f.Add([]byte(`{"session_id":"s","peers":[{"id":"a","role":"broadcaster","token_hash":"AA=="},{"id":"a","role":"none"}],"polls":[{"info":{"state":"started","duration":1},"ballots":[{"voter":{},"answers":[{"question":9}]}]}]}`))
	f.Add([]byte(`{"past":[{"frame":{},"to":{"roles":["x"]},"chat":true}],"values":[{"key":"k","data":1}]}`))
	f.Fuzz(func(t *testing.T, saved []byte) {
		h := newHouse(t, Limits{})
		if h.Resume(t.Context(), "r1", saved) != nil {
			return
		}
		if p, _, err := h.connect("new", policy.RoleBroadcaster); err == nil {
			_, _ = p.Join(t.Context(), protocol.Join{}) // the session may be over
		}
		h.Registry.Suspend()
	})
}
