package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Copy writes everything that is committed in the SQLite database at from into a new file at to. A server may run on
// from meanwhile, and is not held up. It is the way into a backup and out of it: what it returns nil for is whole,
// checked, and on the disk. A file that exists is fs.ErrExist.
func Copy(ctx context.Context, from, to string) (err error) {
	// SQLite would take what is in this file for the latest changes of the copy.
	if _, err := os.Lstat(to + "-wal"); err == nil {
		return fmt.Errorf("%s-wal: %w", to, fs.ErrExist)
	}
	// SQLite fills an empty file; made here it is nobody else's to read, and never somebody's that was there before.
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			os.Remove(to)
		}
	}()
	if err := vacuumInto(ctx, from, to); err != nil {
		return fmt.Errorf("database %s: %w", from, err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// vacuumInto copies one moment of the database, on a connection of its own that cannot write to it, and checks the copy.
func vacuumInto(ctx context.Context, from, to string) error {
	db, err := openReadOnly(from)
	if err != nil {
		return err
	}
	defer db.Close()
	var version int
	if err := db.QueryRowContext(ctx, `SELECT MAX(version) FROM migrations`).Scan(&version); err != nil {
		return fmt.Errorf("it is no database of amphi: %w", err)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return err
	}
	made, err := openReadOnly(to)
	if err != nil {
		return err
	}
	defer made.Close()
	var verdict string
	if err := made.QueryRowContext(ctx, sqliteDialect.check).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("the copy is damaged: %s", verdict)
	}
	return nil
}

func openReadOnly(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
}
