package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/store/storetest"
)

func TestRoomsAreFoundByAPartOfTheirName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		w := seed.Workspace.ID
		for _, name := range []string{"Lesson-1", "lesson-2", "100%_done", "other"} {
			_, err := s.SaveRoom(t.Context(), w, name, func(*Room) error { return nil })
			check(t, err)
		}
		for text, want := range map[string]string{"LESSON": "[lesson-2 Lesson-1]", "%_": "[100%_done]", "_": "[100%_done]", "nothing": "[]", "other": "[other]"} {
			rooms, err := s.Rooms(t.Context(), w, RoomFilter{Search: text}, Page{Limit: 10})
			check(t, err)
			names := []string{}
			for _, r := range rooms {
				names = append(names, r.Name)
			}
			if got := fmt.Sprint(names); got != want {
				t.Errorf("rooms with %q: %s, want %s", text, got, want)
			}
		}
		first, err := s.Rooms(t.Context(), w, RoomFilter{Search: "lesson"}, Page{Limit: 1})
		check(t, err)
		second, err := s.Rooms(t.Context(), w, RoomFilter{Search: "lesson"}, Page{Limit: 1, Start: first[0].ID})
		check(t, err)
		if len(second) != 1 || second[0].Name != "Lesson-1" {
			t.Errorf("second page: %v", second)
		}
		names, err := s.RoomNames(t.Context(), w, []string{first[0].ID, second[0].ID, "unknown"})
		check(t, err)
		if len(names) != 2 || names[second[0].ID] != "Lesson-1" {
			t.Errorf("names: %v", names)
		}
	})
}

func TestAccessKeysAreRotated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w, old := t.Context(), seed.Workspace.ID, seed.Key.AccessKey
		if err := s.EndAccessKey(ctx, w, old, time.Now()); !errors.Is(err, ErrConflict) {
			t.Fatalf("the last key ended: %v", err)
		}
		fresh, err := s.RotateAccessKey(ctx, w, old, time.Hour)
		check(t, err)
		if k, err := s.AccessKey(ctx, old); err != nil || k.ValidUntil.Before(time.Now().Add(time.Minute)) {
			t.Errorf("during the overlap: %v, %v", k.ValidUntil, err)
		}
		signing, err := s.SigningKey(ctx, w)
		check(t, err)
		if signing.AccessKey != fresh.AccessKey || signing.Secret == seed.Key.Secret {
			t.Errorf("it is %s that signs", signing.AccessKey)
		}
		check(t, s.EndAccessKey(ctx, w, old, time.Now()))
		if _, err := s.AccessKey(ctx, old); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key that has ended is found: %v", err)
		}
		check(t, s.EndAccessKey(ctx, w, old, time.Now().Add(time.Hour)))
		if _, err := s.AccessKey(ctx, old); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key that has ended came back: %v", err)
		}
		if err := s.EndAccessKey(ctx, w, fresh.AccessKey, time.Now()); !errors.Is(err, ErrConflict) {
			t.Errorf("the only key that is left ended: %v", err)
		}
		if err := s.EndAccessKey(ctx, w, "nobody", time.Now()); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown key: %v", err)
		}
		again, err := s.Seed(ctx, counter())
		check(t, err)
		if again.Key.AccessKey != fresh.AccessKey {
			t.Errorf("the server begins with %s", again.Key.AccessKey)
		}
	})
}

func TestUsageByDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w, room := t.Context(), seed.Workspace.ID, seed.Room.ID
		now := time.Now().UTC()
		begin := now.Truncate(24 * time.Hour)
		id := NewID()
		_, err := s.OpenSession(ctx, id, room, begin)
		check(t, err)
		check(t, s.PeerJoined(ctx, Peer{ID: "a", SessionID: id, Name: "A", Role: policy.StarterKit().Name, JoinedAt: begin}, ""))
		check(t, s.PeerLeft(ctx, id, "a", Leave{At: begin.Add(30 * time.Minute)}))
		check(t, s.PeerJoined(ctx, Peer{ID: "b", SessionID: id, Name: "B", JoinedAt: now.Add(-time.Minute)}, ""))
		_, err = s.SaveAsset(ctx, Asset{RoomID: room, SessionID: id, Type: AssetComposite, Status: AssetCompleted, Duration: 90})
		check(t, err)
		days, err := s.Usage(ctx, w, now, 7)
		check(t, err)
		if len(days) != 7 || !days[6].At.Equal(begin) {
			t.Fatalf("days: %v", days)
		}
		people := days[6].Participants + days[5].Participants // b may have come before midnight
		if people < 30*time.Minute+59*time.Second || people > 32*time.Minute || days[6].Recordings != 90*time.Second || days[6].Streams != 0 {
			t.Errorf("today: %+v", days[6])
		}
		counts, err := s.PeerCounts(ctx, []string{id})
		check(t, err)
		if counts[id] != 2 {
			t.Errorf("counts: %v", counts)
		}
	})
}
