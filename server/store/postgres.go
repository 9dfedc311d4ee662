package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Classes of errors (SQLSTATE), PostgreSQL appendix A.
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
)

// postgresDialect has several writers at a time. Each statement sees what was committed before it (READ COMMITTED), so
// what a transaction reads in order to write it must be locked: see tx.room.
var postgresDialect = dialect{
	ddl:    postgresDDL,
	rebind: postgresRebind,
	isUnique: func(err error) bool {
		return pgCode(err) == pgUniqueViolation
	},
	again: func(err error) bool {
		code := pgCode(err)
		return code == pgDeadlockDetected || code == pgSerializationFailure
	},
	// Not FOR UPDATE, which would wait for transactions that merely refer to the row by a foreign key.
	lock:     func(table string) string { return " FOR NO KEY UPDATE OF " + table },
	contains: func(column string) string { return "strpos(" + column + ", ?) > 0" },
	// One lock a schema, as one database may hold several of ours. It ends with the transaction.
	exclusive: `SELECT pg_advisory_xact_lock(hashtextextended('amphi ' || current_schema(), 0))`,
	// PostgreSQL checks its pages by itself; what it cannot know is that somebody has traded durability for speed.
	check: `SELECT CASE WHEN setting = 'on' THEN 'ok' ELSE name || ' is ' || setting END
		FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')`,
}

func pgCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

var textType = regexp.MustCompile(`\bTEXT\b`)

// postgresDDL compares texts by their bytes, as SQLite does: lists have the same order on both, and no new version of
// the system's locales can spoil an index.
func postgresDDL(text string) string {
	text = strings.ReplaceAll(text, "{{serial}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
	return textType.ReplaceAllString(text, `TEXT COLLATE "C"`)
}

// postgresRebind numbers the placeholders. Our queries have question marks for nothing else.
func postgresRebind(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

const (
	postgresConnections = 16
	postgresIdle        = 5 * time.Minute
	// A connection that was idle for longer is asked whether it still is one before it gets a transaction to do, so that
	// a database that was started again is noticed by nobody who comes after.
	postgresTrust = 100 * time.Millisecond
)

// postgresSession prepares a connection. A commit that returns is on the disk, whatever the default of the role or the
// database; and a server that hangs in a transaction does not keep others from its rows for ever.
const postgresSession = `SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
	ELSE current_setting('synchronous_commit') END, false), set_config('idle_in_transaction_session_timeout', '60s', false)`

func openPostgres(ctx context.Context, where string) (c connections, err error) {
	cfg, err := pgx.ParseConfig(where)
	if err != nil {
		return c, errors.New("its URL cannot be read; one is of the form postgres://user:password@host:5432/amphi?sslmode=verify-full")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, postgresSession)
		return err
	}), stdlib.OptionShouldPing(func(_ context.Context, p stdlib.ShouldPingParams) bool {
		return p.IdleDuration > postgresTrust
	}))
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxIdleTime(postgresIdle)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return c, fmt.Errorf("open: %w", err)
	}
	return connections{read: db, write: db}, nil
}
