package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"amphi/server/store/storetest"
)

// servers opens the database several times at once, as servers that start at the same moment do, and seeds it.
func servers(t *testing.T, where string) ([]*Store, Seeded) {
	t.Helper()
	all, seeds := make([]*Store, 3), make([]Seeded, 3)
	var group errgroup.Group
	for i := range all {
		group.Go(func() (err error) {
			if all[i], err = Open(t.Context(), where); err == nil {
				seeds[i], err = all[i].Seed(t.Context(), counter())
			}
			return err
		})
	}
	err := group.Wait()
	for _, s := range all {
		if s != nil {
			t.Cleanup(func() { s.Close() })
		}
	}
	check(t, err)
	for _, seed := range seeds {
		if seed.Workspace.ID != seeds[0].Workspace.ID {
			t.Fatalf("two workspaces: %s and %s", seeds[0].Workspace.ID, seed.Workspace.ID)
		}
	}
	return all, seeds[0]
}

// race runs do n times, on all the servers at the same time.
func race(t *testing.T, all []*Store, n int, do func(s *Store, i int) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(12)
	for i := range n {
		group.Go(func() error { return do(all[i%len(all)], i) })
	}
	check(t, group.Wait())
}

func TestWritersDoNotLoseEachOthersChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		ctx := t.Context()
		all, seed := servers(t, where)
		w, room := seed.Workspace.ID, seed.Room.ID

		race(t, all, 60, func(s *Store, i int) error {
			_, err := s.ChangeRoom(ctx, w, room, func(r *Room) error { r.Size++; return nil })
			return err
		})
		if r, err := all[0].AnyRoom(ctx, room); err != nil || r.Size != 60 {
			t.Errorf("60 changes made a size of %d, %v", r.Size, err)
		}

		// A room that nobody has made yet: all make it, one is first.
		race(t, all, 30, func(s *Store, i int) error {
			_, err := s.SaveRoom(ctx, w, "Town-Hall", func(r *Room) error { r.Size++; return nil })
			return err
		})
		if r, err := all[0].Rooms(ctx, w, RoomFilter{Name: "town-hall"}, Page{Limit: 10}); err != nil || len(r) != 1 || r[0].Size != 30 {
			t.Errorf("%+v %v", r, err)
		}

		var codes, refused atomic.Int64
		race(t, all, MaxCodesPerRoom+20, func(s *Store, i int) error {
			_, err := s.AddRoomCode(ctx, room, "broadcaster", func() string { return fmt.Sprintf("new-%d", codes.Add(1)) })
			if errors.Is(err, ErrTooMany) {
				refused.Add(1)
				return nil
			}
			return err
		})
		if got, err := all[0].RoomCodes(ctx, room, CodeFilter{}, Page{Limit: 1000}); err != nil || len(got) != MaxCodesPerRoom || refused.Load() == 0 {
			t.Errorf("%d codes, %d refused, %v", len(got), refused.Load(), err)
		}

		// One live stream a room, and one end of it.
		_, err := all[0].OpenSession(ctx, "S", room, start)
		check(t, err)
		var started, ended atomic.Int64
		race(t, all, 12, func(s *Store, i int) error {
			_, err := s.StartLiveStream(ctx, LiveStream{RoomID: room, SessionID: "S"})
			return count(err, &started)
		})
		l, err := all[0].ActiveLiveStream(ctx, room)
		check(t, err)
		race(t, all, 12, func(s *Store, i int) error {
			return count(s.LiveStreamStopped(ctx, l.ID, StoppedByRequest, start), &ended)
		})
		if started.Load() != 1 || ended.Load() != 1 {
			t.Errorf("%d streams began, %d ended", started.Load(), ended.Load())
		}
	})
}

// count counts successes; a conflict is no error.
func count(err error, n *atomic.Int64) error {
	switch {
	case err == nil:
		n.Add(1)
	case !errors.Is(err, ErrConflict):
		return err
	}
	return nil
}

// TestEventsAppearInTheirOrder reads the outbox of a room while many write to it: an event that appears after one with a
// higher number would be delivered after it.
func TestEventsAppearInTheirOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		ctx, cancel := context.WithCancel(t.Context())
		all, seed := servers(t, where)
		check(t, all[0].SetWebhook(ctx, seed.Workspace.ID, Webhook{URL: "https://a.example"}))
		var watch errgroup.Group
		watch.Go(func() error {
			for known := []string(nil); ctx.Err() == nil; {
				now, err := all[1].query(t.Context()).strings(`SELECT event_id FROM outbox WHERE room_id = ? ORDER BY seq`, seed.Room.ID)
				if err != nil {
					return err
				}
				for i, id := range known {
					if now[i] != id {
						return fmt.Errorf("event %d of %d came later than those after it", i, len(now))
					}
				}
				known = now
			}
			return nil
		})
		race(t, all, 120, func(s *Store, i int) error {
			id := fmt.Sprintf("S%d", i)
			if _, err := s.OpenSession(ctx, id, seed.Room.ID, start); err != nil {
				return err
			}
			return s.CloseSession(ctx, id, start)
		})
		cancel()
		check(t, watch.Wait())
		if n, err := all[0].query(t.Context()).strings(`SELECT event_id FROM outbox`); err != nil || len(n) != 240 {
			t.Errorf("%d events, %v", len(n), err)
		}
	})
}

// TestLostRacesEnd: a transaction that always loses is given up, and the caller learns of it.
func TestLostRacesEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s := open(t, where)
		n := 0
		err := s.update(t.Context(), func(*tx) error { n++; return errAgain })
		if !errors.Is(err, errAgain) || n != attempts {
			t.Errorf("%v after %d attempts", err, n)
		}
	})
}
