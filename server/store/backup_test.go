package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"amphi/server/store/storetest"
)

// TestCopyHasEverythingBefore copies while others write: all that was recorded before the copy began is in it.
func TestCopyHasEverythingBefore(t *testing.T) {
	path := storetest.SQLite(t)
	s, seed := seeded(t, path)
	ctx, w := t.Context(), seed.Workspace.ID
	var recorded atomic.Int64
	var stop atomic.Bool
	var group errgroup.Group
	group.Go(func() error {
		for n := int64(0); !stop.Load(); n++ {
			if _, err := s.SaveRoom(ctx, w, fmt.Sprintf("r%d", n), func(*Room) error { return nil }); err != nil {
				return err
			}
			recorded.Store(n + 1)
		}
		return nil
	})
	dir := t.TempDir()
	for i := range 3 {
		for recorded.Load() < int64(i*20) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		before := recorded.Load()
		to := filepath.Join(dir, fmt.Sprintf("copy %d?#.db", i))
		check(t, Copy(ctx, path, to))
		if fi, err := os.Stat(to); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%v %v; it holds secrets", fi.Mode(), err)
		}
		c := open(t, to)
		check(t, c.Check(ctx))
		for n := range before {
			if rooms, err := c.Rooms(ctx, w, RoomFilter{Name: fmt.Sprintf("r%d", n)}, Page{Limit: 1}); err != nil || len(rooms) != 1 {
				t.Fatalf("copy %d: room %d of %d is not in it, %v", i, n, before, err)
			}
		}
		check(t, c.Close())
	}
	stop.Store(true)
	check(t, group.Wait())
}

func TestCopyRefuses(t *testing.T) {
	path := storetest.SQLite(t)
	s, _ := seeded(t, path)
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		check(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	there := file("there", "mine")
	if err := Copy(t.Context(), path, there); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwrites: %v", err)
	}
	if text, err := os.ReadFile(there); string(text) != "mine" {
		t.Errorf("%q %v", text, err)
	}
	beside := filepath.Join(dir, "beside")
	file("beside-wal", "changes of a database that was here")
	if err := Copy(t.Context(), path, beside); !errors.Is(err, fs.ErrExist) {
		t.Errorf("beside another's changes: %v", err)
	}
	check(t, s.Close())
	// A database with a hole in it: pages of the middle are overwritten.
	damaged, err := os.ReadFile(path)
	check(t, err)
	for i := 2 * 4096; i < len(damaged); i++ {
		damaged[i] = 0xA5
	}
	for name, text := range map[string]string{"text": strings.Repeat("no database ", 1000), "empty": "", "damaged": string(damaged)} {
		to := filepath.Join(dir, "of-"+name)
		if err := Copy(t.Context(), file(name, text), to); err == nil {
			t.Errorf("%s was copied", name)
		}
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s left a file", name)
		}
	}
	if err := Copy(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "of-none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
