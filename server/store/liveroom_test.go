package store

import (
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// Sessions whose state was saved are left open for a server that starts soon, and for no other.
func TestLiveRooms(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		open := func(id string) {
			_, err := s.OpenSession(ctx, id, seed.Room.ID, start)
			check(t, err)
		}
		states := func() (list []LiveRoom) {
			list, err := s.LiveRooms(ctx)
			check(t, err)
			return list
		}
		open("S")
		open("T")
		for _, text := range []string{`{"a":1}`, `{"a":2}`} {
			check(t, s.SaveLiveRoom(ctx, LiveRoom{RoomID: seed.Room.ID, SessionID: "S", State: text}))
		}
		if got := states(); len(got) != 1 || got[0] != (LiveRoom{seed.Room.ID, "S", `{"a":2}`}) {
			t.Errorf("%+v", got)
		}
		check(t, s.Beat(ctx, start))
		check(t, s.Beat(ctx, start.Add(time.Minute)))
		if n, _, err := s.Recover(ctx, start.Add(90*time.Second), time.Minute); n != 1 || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
		if v, err := s.Session(ctx, "S"); err != nil || !v.EndedAt.IsZero() || len(states()) != 1 {
			t.Errorf("%+v %v", v, err)
		}
		if n, _, err := s.Recover(ctx, start.Add(2*time.Minute+time.Second), time.Minute); n != 1 || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
		check(t, s.SaveLiveRoom(ctx, LiveRoom{RoomID: seed.Room.ID, SessionID: "S", State: `{}`})) // written too late
		if got := states(); len(got) != 0 {
			t.Errorf("the state outlives its session: %+v", got)
		}
	})
}
