package room

import (
	"fmt"
	"slices"
	"testing"

	"amphi/server/protocol"
)

// A room that is large from the start lists the stage and raised hands.
func TestLargeRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	h.record.LargeRoom = true
	ctx := t.Context()
	ann, annIn := h.join("ann", "broadcaster")
	floor, floorIn := h.join("floor", "viewer-realtime")
	gallery, galleryIn := h.join("gallery", "hls-viewer")
	wantMethods(t, annIn) // neither is announced
	wantMethods(t, floorIn)

	_, last, err := h.connect("last", "hls-viewer")
	if err != nil {
		t.Fatal(err)
	}
	if info := one[protocol.RoomInfo](t, last, protocol.OnRoomInfo); !info.LargeRoomOptimization {
		t.Errorf("%+v", info)
	}
	p, b, err := h.connect("late", "viewer-realtime")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Join(ctx, protocol.Join{Name: "late"}); err != nil {
		t.Fatal(err)
	}
	if list := one[protocol.PeerList](t, b, protocol.OnPeerList); len(list.Peers) != 1 || !list.Peers["ann"].Realtime {
		t.Errorf("%+v", list.Peers)
	}

	// They can be looked up, and write.
	if found, err := ann.Lookup(ctx, protocol.GetPeer{PeerID: "gallery"}); err != nil || found.Realtime {
		t.Errorf("%+v %v", found, err)
	}
	if page, err := ann.FindPeers(ctx, protocol.FindPeers{Role: "hls-viewer"}); err != nil || page.Total != 1 {
		t.Errorf("%+v %v", page, err)
	}
	if _, err := gallery.Broadcast(ctx, protocol.Broadcast{Info: protocol.Message{Message: "hi"}}); err != nil {
		t.Fatal(err)
	}
	if e := one[protocol.BroadcastEvent](t, annIn, protocol.OnBroadcast); e.Peer.Info.Name != "name of gallery" {
		t.Errorf("%+v", e)
	}

	// A new name of somebody unlisted is nobody's business.
	name := "other"
	if err := gallery.Update(ctx, protocol.PeerUpdate{Name: &name}); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annIn)

	// A raised hand enters the list, and leaves it again; the one concerned hears of it.
	galleryIn.take()
	for _, step := range []struct {
		change func() error
		listed bool
	}{
		{func() error {
			return second(gallery.JoinGroup(ctx, protocol.GroupChange{Name: protocol.HandRaiseGroup}))
		}, true},
		{func() error {
			return second(gallery.LeaveGroup(ctx, protocol.GroupChange{Name: protocol.HandRaiseGroup}))
		}, false},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		for _, in := range []*inbox{annIn, galleryIn} {
			e := one[protocol.Peer](t, in, protocol.OnPeerUpdate)
			if e.PeerID != "gallery" || e.Realtime != step.listed || slices.Contains(e.Groups, protocol.HandRaiseGroup) != step.listed {
				t.Errorf("%+v", e)
			}
		}
	}
	if err := second(gallery.JoinGroup(ctx, protocol.GroupChange{Name: "choir"})); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annIn)
	wantMethods(t, galleryIn, protocol.OnPeerUpdate)

	// So does who comes on stage.
	for role, listed := range map[string]bool{"broadcaster": true} {
		if err := ann.RequestRoleChange(ctx, protocol.RoleChangeRequest{RequestedFor: "floor", Role: role, Force: true}); err != nil {
			t.Fatal(err)
		}
		if e := one[protocol.Peer](t, annIn, protocol.OnPeerUpdate); e.PeerID != "floor" || e.Realtime != listed {
			t.Errorf("%+v", e)
		}
	}
	if err := floor.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annIn, protocol.OnPeerLeave)
	if err := gallery.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, annIn)
}

// A room becomes large while people come.
func TestRoomGrows(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{Listed: 3})
	_, annIn := h.join("ann", "broadcaster")
	var crowd []*Peer
	for i := range 5 {
		p, _ := h.join(fmt.Sprint(i), "hls-viewer")
		crowd = append(crowd, p)
	}
	// 0 and 1 make three: the next is too many.
	wantMethods(t, annIn, protocol.OnPeerJoin, protocol.OnPeerJoin, protocol.OnRoomInfo)
	// Who was listed is taken from the list when it goes.
	for i, p := range crowd {
		if err := p.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			wantMethods(t, annIn, protocol.OnPeerLeave)
		} else {
			wantMethods(t, annIn)
		}
	}
	eventually(t, "the count", func() bool {
		r := h.Lookup("r1")
		info := protocol.SessionInfo{}
		if err := r.do(t.Context(), func() error { info = r.sessionInfo(); return nil }); err != nil {
			t.Fatal(err)
		}
		return info.PeerCount == 1
	})
}
