package store

import (
	"fmt"
	"testing"
	"time"

	"amphi/server/store/storetest"
)

// TestListsByTime: the bound on ids that makes lists short must not leave out a row, however its id came about.
func TestListsByTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		now := trunc(time.Now())
		add := func(name string, id, created time.Time) {
			r := seed.Room
			r.ID, r.Name, r.CreatedAt = fmt.Sprintf("%08x%016x", id.Unix(), len(name)), name, created
			check(t, s.update(t.Context(), func(t *tx) error { return t.insertRoom(r) }))
		}
		day := 24 * time.Hour
		add("old", now.Add(-2*day), now.Add(-2*day))
		add("clock-was-set-back", now.Add(day), now.Add(-time.Minute))
		add("id-came-first", now.Add(-50*time.Minute), now.Add(-time.Minute))
		for _, tc := range []struct {
			f    RoomFilter
			want int // of four rooms, the seeded one among them
		}{
			{RoomFilter{}, 4},
			{RoomFilter{After: now.Add(-time.Minute)}, 3},
			{RoomFilter{After: now.Add(-2 * day)}, 4},
			{RoomFilter{After: time.UnixMilli(1)}, 4},
			{RoomFilter{After: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}, 4},
			{RoomFilter{After: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, 0},
			{RoomFilter{Before: now.Add(-time.Minute)}, 3},
			{RoomFilter{After: now.Add(-2 * day), Before: now.Add(-day)}, 1},
		} {
			if got, err := s.Rooms(t.Context(), seed.Workspace.ID, tc.f, Page{Limit: 10}); err != nil || len(got) != tc.want {
				t.Errorf("%+v: %d rooms, want %d; %v", tc.f, len(got), tc.want, err)
			}
		}
	})
}
