package room

import (
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// Microphones compete with those that the same roles hear, and with no others.
func TestHear(t *testing.T) {
	h := newHouse(t, Limits{})
	h.cfg.Loudest = 1
	roles := h.record.Template.Roles
	aside := *roles[policy.RoleBroadcaster]
	aside.Name, aside.SubscribeParams.SubscribeToRoles = "aside", []string{"aside"}
	roles["aside"] = &aside
	publish := func(id, role string, more ...string) (*Peer, *Room) {
		t.Helper()
		p, _, err := h.connect(id, role)
		if err != nil {
			t.Fatal(err)
		}
		pub := newPublisher(t)
		first := pub.offer()
		result, err := p.Join(t.Context(), protocol.Join{Name: id, Offer: &first})
		if err != nil {
			t.Fatal(err)
		}
		pub.accept(result)
		list := []protocol.Track{pub.add(id+"-mic", protocol.Audio, protocol.SourceRegular)}
		for _, source := range more {
			list = append(list, pub.add(id+"-"+source, protocol.Audio, source))
		}
		if result, err = p.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(list...)}); err != nil {
			t.Fatal(err)
		}
		pub.accept(result)
		return p, p.room
	}
	// groups are how many tracks compete, by one of the roles that hear them.
	groups := func(r *Room) (stage, aside int) {
		t.Helper()
		err := r.do(t.Context(), func() error {
			for who, group := range r.voices {
				if who == "aside" {
					aside = group.Size()
				} else {
					stage += group.Size()
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return stage, aside
	}
	_, r := publish("ann", policy.RoleBroadcaster, protocol.SourceScreen)
	publish("bob", policy.RoleBroadcaster)
	cid, _ := publish("cid", "aside")
	if stage, aside := groups(r); stage != 2 || aside != 1 {
		t.Errorf("%d and %d microphones", stage, aside)
	}
	if err := cid.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stage, aside := groups(r); stage != 2 || aside != 0 {
		t.Errorf("%d and %d microphones", stage, aside)
	}
}
