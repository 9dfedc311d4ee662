package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteDialect = dialect{
	ddl: func(text string) string {
		// Without AUTOINCREMENT, numbers of deleted rows come again.
		return strings.ReplaceAll(text, "{{serial}}", "INTEGER PRIMARY KEY AUTOINCREMENT")
	},
	rebind: func(query string) string { return query },
	isUnique: func(err error) bool {
		var e *sqlite.Error
		return errors.As(err, &e) &&
			(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
	},
	// There is one writer at a time.
	again:    func(error) bool { return false },
	lock:     func(string) string { return "" },
	contains: func(column string) string { return "instr(" + column + ", ?) > 0" },
	check:    `PRAGMA integrity_check(10)`,
}

// sqlitePragmas apply to every connection. WAL lets readers go on during a write; with synchronous=FULL a commit is on
// the disk when it returns, also if power fails (in WAL mode NORMAL would lose the last commits).
var sqlitePragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"}

const sqliteReaders = 4 // connections

func openSQLite(ctx context.Context, path string) (c connections, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return c, err
	}
	// The database holds secrets. SQLite gives its -wal and -shm files the mode of the main file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return c, err
	}
	if err := f.Close(); err != nil {
		return c, err
	}
	open := func(connections int, extra ...string) (*sql.DB, error) {
		// BEGIN IMMEDIATE takes the write lock at once: a transaction that reads and then writes cannot fail half-way
		// because another one wrote in between.
		q := url.Values{"_txlock": {"immediate"}, "_pragma": append(append([]string(nil), sqlitePragmas...), extra...)}
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db, nil
	}
	// One connection: writers queue in Go, fairly, instead of polling for the file's lock.
	if c.write, err = open(1); err != nil {
		return c, err
	}
	if err := becomeWAL(ctx, c.write); err != nil {
		c.write.Close()
		return c, fmt.Errorf("open: %w", err)
	}
	if c.read, err = open(sqliteReaders, "query_only(ON)"); err != nil {
		c.write.Close()
		return c, err
	}
	return c, nil
}

// becomeWAL makes the first connection, which makes the file a WAL database before a reader comes. When several do that
// to a new file at once, SQLite refuses some without the patience that it has otherwise (busy_timeout).
func becomeWAL(ctx context.Context, db *sql.DB) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := db.PingContext(ctx)
		var busy *sqlite.Error
		if !errors.As(err, &busy) || busy.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
