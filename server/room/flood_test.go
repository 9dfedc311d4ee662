package room

import (
	"fmt"
	"strings"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// Who floods the room is told so, by whatever it is that others are told of or
// that makes the room look at everybody; nobody else is kept from anything.
func TestFloods(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 0.001, MessageBurst: 3})
	bob, _ := h.join("bob", policy.RoleHLSViewer)
	name := "n"
	for what, do := range map[string]func(p *Peer) error{
		"broadcast":              func(p *Peer) error { return second(p.Broadcast(t.Context(), protocol.Broadcast{})) },
		"set-metadata":           func(p *Peer) error { return second(p.SetMetadata(t.Context(), protocol.SetMetadata{Key: "k"})) },
		"listen-metadata-change": func(p *Peer) error { return p.ListenMetadata(t.Context(), protocol.ListenMetadata{}) },
		"peer-update":            func(p *Peer) error { return p.Update(t.Context(), protocol.PeerUpdate{Name: &name}) },
		"group-join":             func(p *Peer) error { return second(p.JoinGroup(t.Context(), protocol.GroupChange{Name: "g"})) },
		"find-peer":              func(p *Peer) error { return second(p.FindPeers(t.Context(), protocol.FindPeers{})) },
		"peer-name-search":       func(p *Peer) error { return second(p.SearchNames(t.Context(), protocol.SearchNames{})) },
		"poll-info-set":          func(p *Peer) error { return second(p.SetPoll(t.Context(), protocol.PollInfo{PollID: "p"})) },
		"poll-questions-set":     func(p *Peer) error { return second(p.SetPollQuestions(t.Context(), protocol.PollQuestions{})) },
		"poll-response":          func(p *Peer) error { return second(p.Vote(t.Context(), protocol.PollVotes{PollID: "p"})) },
		"change-track-mute":      func(p *Peer) error { return p.RequestMuteAll(t.Context(), protocol.ChangeTrackMute{Value: true}) },
	} {
		p, _ := h.join("flood by "+what, policy.RoleBroadcaster)
		for i := range 5 {
			err := do(p)
			if limited := code(err) == protocol.CodeTooMany; limited != (i >= 3) {
				t.Errorf("%s %d: %v", what, i, err)
			}
		}
	}
	if _, err := bob.Broadcast(t.Context(), protocol.Broadcast{}); err != nil {
		t.Error(err)
	}
}

// A role change is accepted once, by whom it was offered to, as it was offered.
func TestRoleTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	ann, _ := h.join("ann", policy.RoleBroadcaster)
	bob, bobIn := h.join("bob", policy.RoleHLSViewer)
	cat, _ := h.join("cat", policy.RoleHLSViewer)
	offer := func() protocol.RoleChange {
		bobIn.take()
		if err := ann.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{RequestedFor: "bob", Role: policy.RoleViewerRealtime}); err != nil {
			t.Fatal(err)
		}
		return one[protocol.RoleChange](t, bobIn, protocol.OnRoleChangeRequest)
	}
	old := offer()
	fresh := offer()
	wantCode(t, bob.AcceptRole(t.Context(), old), protocol.CodeForbidden) // a newer one took its place
	wantCode(t, cat.AcceptRole(t.Context(), fresh), protocol.CodeForbidden)
	more := fresh
	more.Role = policy.RoleBroadcaster
	wantCode(t, bob.AcceptRole(t.Context(), more), protocol.CodeForbidden)
	if err := bob.AcceptRole(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	wantCode(t, bob.AcceptRole(t.Context(), fresh), protocol.CodeForbidden) // replayed
}

// Texts go through as they are: escaping is for those who show them.
func TestNamesAsTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	_, annIn := h.join("ann", policy.RoleBroadcaster)
	for i, name := range []string{"<script>alert(1)</script>", "👩‍👩‍👧‍👦", "\u202etfel ot thgir", "a\x00b", "", " ", strings.Repeat("é", 128)} {
		p, _, err := h.connect(fmt.Sprint("p", i), policy.RoleHLSViewer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Join(t.Context(), protocol.Join{Name: name, Data: name}); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if got := one[protocol.Peer](t, annIn, protocol.OnPeerJoin); got.Info.Name != name || got.Info.Data != name {
			t.Errorf("%q became %+v", name, got.Info)
		}
	}
}
