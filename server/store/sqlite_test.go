package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"amphi/server/store/storetest"
)

func TestFilesAreOurs(t *testing.T) {
	path := storetest.SQLite(t)
	open(t, path)
	for _, name := range []string{path, path + "-wal"} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v; it holds secrets", filepath.Base(name), fi.Mode(), err)
		}
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "amphi.db")
	check(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	if _, err := Open(t.Context(), path); err == nil {
		t.Error("no error")
	}
	if _, err := Open(t.Context(), filepath.Join(path, "below a file", "amphi.db")); err == nil {
		t.Error("no error for a directory that cannot be made")
	}
}

// TestPragmas holds the settings that durability rests on against every connection.
func TestPragmas(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	want := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"}
	for pragma, value := range want {
		for i := range sqliteReaders + 1 {
			db := s.read
			if i == sqliteReaders {
				db = s.write
			}
			// Connections are held until the test's end, so each round gets another one.
			c, err := db.Conn(t.Context())
			check(t, err)
			var got string
			check(t, c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			if got != value {
				t.Errorf("connection %d: %s = %s, want %s", i, pragma, got, value)
			}
			if i < sqliteReaders {
				if _, err := c.ExecContext(t.Context(), `DELETE FROM outbox`); err == nil {
					t.Error("a reader can write")
				}
			}
			defer c.Close()
		}
		check(t, s.read.Close())
		check(t, s.write.Close())
		s = open(t, storetest.SQLite(t))
	}
}

// TestOpenAtOnce: several programs make the same file at the same moment.
func TestOpenAtOnce(t *testing.T) {
	for range 8 {
		path := storetest.SQLite(t)
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				s, err := Open(t.Context(), path)
				if err != nil {
					return err
				}
				return s.Close()
			})
		}
		check(t, group.Wait())
	}
}
