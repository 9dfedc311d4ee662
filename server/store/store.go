// Package store keeps the server's records in SQL: workspaces, keys, templates, rooms, room codes, sessions, live
// streams, and the outbox of webhook events.
//
// What it promises: a method that changes something has changed it durably when it returns nil (a kill -9 or a power
// cut afterwards loses nothing), and the webhook event that tells about a change is written in the same transaction,
// so that neither exists without the other. Records are values; changing one changes nothing until it is saved.
//
// The database is SQLite, or PostgreSQL by a URL. What is particular to one is in sqlite.go and postgres.go; everything
// else is SQL that they share. SQLite has one writer at a time. With PostgreSQL there are several, also of other
// servers; transactions that change things of the same room wait for each other there too, see tx.room.
package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Refusals that callers decide by. They are wrapped with a line that says what was missing or in the way.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
)

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	dialect dialect
	read    *sql.DB
	write   *sql.DB

	mu    sync.Mutex
	fresh map[string]struct{} // rooms with events since the last FreshRooms; bounded by the number of rooms
	wake  chan struct{}       // one slot

	replays chan struct{} // one slot, see ReplayStarted
}

// Open opens a database, makes its tables if need be, and brings them up to date. Where is the path of an SQLite file,
// which is made too, or the URL of a PostgreSQL database.
func Open(ctx context.Context, where string) (*Store, error) {
	s := &Store{dialect: sqliteDialect, fresh: make(map[string]struct{}), wake: make(chan struct{}, 1), replays: make(chan struct{}, 1)}
	var c connections
	var err error
	if isPostgres(where) {
		s.dialect = postgresDialect
		c, err = openPostgres(ctx, where)
	} else {
		c, err = openSQLite(ctx, where)
	}
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", Redacted(where), err)
	}
	s.read, s.write = c.read, c.write
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("database %s: %w", Redacted(where), err)
	}
	return s, nil
}

// Close closes the database. Pending events stay in it.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.query(ctx).row(`SELECT 1`).Scan(&one)
}

// querier is a connection or a transaction together with the context of the call.
type querier struct {
	ctx     context.Context
	dialect dialect
	on      interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
}

// query reads outside of a transaction: each statement sees what was committed before it.
func (s *Store) query(ctx context.Context) querier { return querier{ctx, s.dialect, s.read} }

func (q querier) row(query string, args ...any) *sql.Row {
	return q.on.QueryRowContext(q.ctx, q.dialect.rebind(query), clean(args)...)
}

func (q querier) rows(query string, args ...any) (*sql.Rows, error) {
	return q.on.QueryContext(q.ctx, q.dialect.rebind(query), clean(args)...)
}

// exec runs a statement and returns the number of rows that it changed.
func (q querier) exec(query string, args ...any) (int64, error) {
	res, err := q.on.ExecContext(q.ctx, q.dialect.rebind(query), clean(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// tx is a write transaction.
type tx struct {
	querier
	rooms  map[string]bool     // rooms that are its own until it ends, see tx.room
	events map[string]struct{} // rooms that got events in it
}

// attempts bounds how often a transaction that loses against others is tried.
const attempts = 10

// errAgain is returned by a transaction that noticed that another one was quicker.
var errAgain = errors.New("another transaction was quicker")

// update runs fn in a write transaction and commits unless it returns an error. When the transaction fails because of
// others at the same time, fn runs again from the start: it sets what it returns, and does nothing else but SQL.
func (s *Store) update(ctx context.Context, fn func(*tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.try(ctx, fn)
		if err == nil || attempt == attempts || !errors.Is(err, errAgain) && !s.dialect.again(err) {
			return err
		}
		// The others need a moment to get out of each other's way too.
		select {
		case <-time.After(rand.N(time.Duration(attempt) * 5 * time.Millisecond)):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) try(ctx context.Context, fn func(*tx) error) error {
	sqltx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer sqltx.Rollback() // after Commit it does nothing
	t := &tx{querier: querier{ctx, s.dialect, sqltx}, rooms: make(map[string]bool)}
	if err := fn(t); err != nil {
		return err
	}
	if err := sqltx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.announce(t.events)
	return nil
}

// exclusive waits until it is the only transaction that asked for this.
func (t *tx) exclusive() error {
	if t.dialect.exclusive == "" {
		return nil
	}
	_, err := t.exec(t.dialect.exclusive)
	return err
}

// collect scans all rows with scan.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// scanner is a *sql.Row or the current row of a *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// found names what a query did not find.
func found(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %q: %w", what, id, ErrNotFound)
	}
	return err
}

// timestamp is a time in its column: milliseconds, 0 = never.
type timestamp time.Time

// Scan implements sql.Scanner.
func (t *timestamp) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is a %T", v)
	}
	*t = timestamp{}
	if ms != 0 {
		*t = timestamp(time.UnixMilli(ms).UTC())
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// trunc returns t as it will be read back.
func trunc(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// jsonText is a value in its *_json column.
type jsonText struct{ v any }

// Scan implements sql.Scanner.
func (j jsonText) Scan(v any) error {
	switch v := v.(type) {
	case string:
		return json.Unmarshal([]byte(v), j.v)
	case []byte:
		return json.Unmarshal(v, j.v)
	default:
		return fmt.Errorf("a JSON text is a %T", v)
	}
}

// jsonOf is for values that always can be marshalled: our own structs of plain fields.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T: %v", v, err))
	}
	return string(b)
}

// Page says which part of a list is wanted: Limit entries after the one with the id Start, newest first.
type Page struct {
	Limit int
	Start string
}

// Check reads the whole database and says what is damaged.
func (s *Store) Check(ctx context.Context) error {
	verdicts, err := s.query(ctx).strings(s.dialect.check)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v != "ok" {
			return fmt.Errorf("database is damaged: %s", v)
		}
	}
	return nil
}
