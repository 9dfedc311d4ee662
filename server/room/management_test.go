package room

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
)

func TestServerSeesAndChangesPeers(t *testing.T) {
	h := newHouse(t, Limits{NameBytes: 20})
	_, annBox := h.join("ann", policy.RoleBroadcaster)
	_, bobBox := h.join("bob", policy.RoleHLSViewer)
	annBox.take()
	r := h.Lookup("r1")

	list, err := r.Attendees(t.Context())
	if err != nil || len(list) != 2 || list[0].PeerID != "ann" || list[1].UserID != "u-bob" || list[1].Name != "name of bob" || list[0].Joined.IsZero() {
		t.Fatalf("%+v %v", list, err)
	}

	name, data, role := "Bob", `{"isHandRaised":true}`, policy.RoleViewerRealtime
	got, err := r.ChangePeer(t.Context(), "bob", PeerChange{Name: &name, Data: &data, Role: &role})
	if err != nil || got.Name != name || got.Data != data || got.Role != role {
		t.Fatalf("%+v %v", got, err)
	}
	wantMethods(t, annBox, protocol.OnPeerUpdate, protocol.OnPeerUpdate)
	wantMethods(t, bobBox, protocol.OnPolicyChange, protocol.OnPeerUpdate)

	// What is refused changes nothing.
	long, king := strings.Repeat("b", 21), "king"
	for _, tc := range []struct {
		peer   string
		change PeerChange
		code   int
	}{
		{"nobody", PeerChange{Name: &name}, protocol.CodeNotFound},
		{"bob", PeerChange{Role: &king, Name: &king}, protocol.CodeBadRequest},
		{"bob", PeerChange{Role: &king, Name: &long}, protocol.CodeTooLarge},
	} {
		_, err := r.ChangePeer(t.Context(), tc.peer, tc.change)
		wantCode(t, err, tc.code)
	}
	wantMethods(t, annBox)
	if again, err := r.Attendee(t.Context(), "bob"); err != nil || again.Name != name || again.Role != role {
		t.Errorf("%+v %v", again, err)
	}
	_, err = r.Attendee(t.Context(), "nobody")
	wantCode(t, err, protocol.CodeNotFound)
}

func TestServerRemovesByRole(t *testing.T) {
	h := newHouse(t, Limits{DataBytes: 8})
	_, annBox := h.join("ann", policy.RoleBroadcaster)
	_, bobBox := h.join("bob", policy.RoleHLSViewer)
	_, eveBox := h.join("eve", policy.RoleHLSViewer)
	annBox.take()
	r := h.Lookup("r1")
	wantCode(t, r.Remove(t.Context(), "", "king", ""), protocol.CodeBadRequest)
	wantCode(t, r.Remove(t.Context(), "nobody", "", ""), protocol.CodeNotFound)
	wantCode(t, r.Remove(t.Context(), "", policy.RoleHLSViewer, "abcdefg\u00e9"), 0)
	for _, b := range []*inbox{bobBox, eveBox} {
		if got := one[protocol.PeerLeaveEvent](t, b, protocol.OnPeerLeaveRequest); got.Reason != "abcdefg" { // cut between characters
			t.Errorf("%+v", got)
		}
	}
	wantMethods(t, annBox, protocol.OnPeerLeave, protocol.OnPeerLeave)
	wantCode(t, r.Say(t.Context(), protocol.Message{Message: "x", Type: "chat"}, "king", ""), protocol.CodeBadRequest)
	wantCode(t, r.Say(t.Context(), protocol.Message{Type: strings.Repeat("x", maxMessageTypeBytes+1)}, "", ""), protocol.CodeTooLarge)
}

func TestSessionExpires(t *testing.T) {
	h := newHouse(t, Limits{})
	h.record.MaxDuration = 50 * time.Millisecond
	_, box := h.join("ann", policy.RoleBroadcaster)
	eventually(t, "the end", func() bool { return slices.Contains(h.noted(), "closed s1") })
	if got := one[protocol.PeerLeaveEvent](t, box, protocol.OnPeerLeaveRequest); got.Reason != "max duration reached" || !got.RoomEnd {
		t.Errorf("%+v", got)
	}
	if want := []string{"opened s1", "ann joined as broadcaster", "ann left: server removed peer max duration reached", "closed s1"}; !slices.Equal(h.noted(), want) {
		t.Errorf("%q", h.noted())
	}
}

// TestRefresh: a change of the record reaches the live room, its template does not.
func TestRefresh(t *testing.T) {
	h := newHouse(t, Limits{})
	_, box := h.join("ann", policy.RoleBroadcaster)
	change := func(fn func(*Record)) {
		h.mu.Lock()
		fn(&h.record)
		h.mu.Unlock()
		if err := h.Refresh(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
	}
	waiting, _, err := h.connect("bob", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	change(func(r *Record) { r.Enabled = false })
	_, err = waiting.Join(t.Context(), protocol.Join{Name: "bob"})
	wantCode(t, err, protocol.CodeForbidden)
	_, _, err = h.connect("eve", policy.RoleHLSViewer)
	wantCode(t, err, protocol.CodeForbidden)

	change(func(r *Record) { r.Enabled, r.MaxPeers = true, 2 })
	_, _, err = h.connect("eve", policy.RoleHLSViewer)
	wantCode(t, err, protocol.CodeForbidden)
	change(func(r *Record) { r.MaxPeers, r.Template = 3, &policy.Template{} })
	if _, _, err = h.connect("eve", policy.RoleHLSViewer); err != nil {
		t.Error(err)
	}
	change(func(r *Record) { r.MaxDuration = time.Nanosecond }) // over already
	eventually(t, "the end", func() bool { return h.Lookup("r1") == nil })
	wantMethods(t, box, protocol.OnPeerLeaveRequest)
	if err := h.Refresh(t.Context(), "r1"); err != nil { // nobody is there
		t.Error(err)
	}
}

// Ending a session ends its room, and whoever did it hears that it worked. Leaving as the last one is the same; both are
// raced by many, as it takes the owner's being late to show that somebody does not wait for it.
func TestEndingTheRoomSucceeds(t *testing.T) {
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, Limits{})
			for i := range 300 {
				p, _ := h.join(fmt.Sprint("ann-", i), policy.RoleBroadcaster)
				var err error
				if i%2 == 0 {
					err = h.Lookup("r1").End(t.Context(), protocol.EndRoom{})
				} else {
					err = p.Leave(t.Context())
				}
				if err != nil {
					t.Fatalf("%d: %v", i, err)
				}
			}
		})
	}
}
