package store

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"amphi/server/store/storetest"
)

// figures makes TestFigures measure: go test ./server/store -run TestFigures -v -args -figures.
var figures = flag.Bool("figures", false, "measure speed, and print a line \"name value unit\" for each figure")

const (
	figureRooms = 100_000
	figureTime  = 5 * time.Second // of writing
)

// TestFigures prints how fast records are written, each of them on the disk when its call returns, and how long a page
// of a hundred thousand takes.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measures only with -figures")
	}
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		name := "store." + filepath.Base(t.Name())
		for _, writers := range []int{1, 16} {
			fmt.Printf("%s.rooms.writers%d %.0f 1/s\n", name, writers, roomsPerSecond(t, s, seed, writers))
		}
		fill(t, s, seed)
		yes, now := true, time.Now()
		for _, list := range []struct {
			what   string
			filter RoomFilter
		}{
			{"all", RoomFilter{}},
			{"enabled", RoomFilter{Enabled: &yes}},
			{"template", RoomFilter{TemplateID: seed.Room.TemplateID}},
			{"dates", RoomFilter{After: now.Add(-time.Hour), Before: now}},
			{"none_after", RoomFilter{Enabled: &yes, After: now.Add(2 * idSlack)}},
			{"none_before", RoomFilter{Before: now.Add(-time.Hour)}}, // the worst: it passes over all
			{"name", RoomFilter{Name: "ROOM-77777"}},
		} {
			fmt.Printf("%s.page100.%s.p99 %.2f ms\n", name, list.what, pageP99(t, s, seed, list.filter))
		}
	})
}

// roomsPerSecond makes rooms as the API does.
func roomsPerSecond(t *testing.T, s *Store, seed Seeded, writers int) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), figureTime)
	defer cancel()
	var made atomic.Int64
	var group errgroup.Group
	began := time.Now()
	for w := range writers {
		group.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := s.SaveRoom(t.Context(), seed.Workspace.ID, fmt.Sprintf("w%d-%d-%d", writers, w, i), func(*Room) error { return nil }); err != nil {
					return err
				}
				made.Add(1)
			}
			return nil
		})
	}
	check(t, group.Wait())
	return float64(made.Load()) / time.Since(began).Seconds()
}

// fill makes as many rooms as are missing to figureRooms, many in a transaction.
func fill(t *testing.T, s *Store, seed Seeded) {
	t.Helper()
	for made := 0; made < figureRooms; made += 1000 {
		check(t, s.update(t.Context(), func(t *tx) error {
			for i := range 1000 {
				r := seed.Room
				r.ID, r.Name = NewID(), fmt.Sprintf("room-%d", made+i)
				if err := t.insertRoom(r); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	check(t, s.update(t.Context(), func(t *tx) error { _, err := t.exec(`ANALYZE`); return err })) // PostgreSQL does it by itself after a while
}

// pageP99 reads the list to its end, page by page, and returns what 99 of 100 pages take at most, in milliseconds.
func pageP99(t *testing.T, s *Store, seed Seeded, f RoomFilter) float64 {
	t.Helper()
	var took []time.Duration
	for p := (Page{Limit: 100}); ; {
		began := time.Now()
		rooms, err := s.Rooms(t.Context(), seed.Workspace.ID, f, p)
		took = append(took, time.Since(began))
		check(t, err)
		if len(rooms) < p.Limit {
			break
		}
		p.Start = rooms[len(rooms)-1].ID
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100]) / float64(time.Millisecond)
}
