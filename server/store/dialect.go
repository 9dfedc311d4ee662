package store

import (
	"database/sql"
	"net/url"
	"strings"
	"unicode/utf8"
)

// dialect is everything in which databases differ.
type dialect struct {
	ddl      func(text string) string  // from the migrations' SQL to the database's
	rebind   func(query string) string // from ? to the database's placeholders
	isUnique func(error) bool          // a UNIQUE constraint was violated
	// again says that a transaction failed only because of another one at the same time.
	again func(error) bool
	// lock ends a SELECT whose rows of that table nobody else may change, or lock, before the transaction ends.
	lock func(table string) string
	// contains is the condition that a column has a text in it, which is no pattern, as it would be for LIKE.
	contains func(column string) string
	// exclusive is a statement that waits until no other transaction that used it is under way; "" when there are
	// no others.
	exclusive string
	check     string // query whose rows are all "ok" when nothing is damaged
}

// isPostgres says whether where is the URL of a PostgreSQL database. Everything else is the path of an SQLite file.
func isPostgres(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// Redacted is the path or URL of a database without its password, for logs and error messages.
func Redacted(where string) string {
	if !isPostgres(where) {
		return where
	}
	u, err := url.Parse(where)
	if err != nil {
		return "postgres://(not a URL)"
	}
	q := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		if q.Has(secret) {
			q.Set(secret, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}

// clean makes texts that every database takes: PostgreSQL refuses NUL and broken UTF-8, and a name that somebody chose
// must not fail the transaction that records it.
func clean(args []any) []any {
	for i, arg := range args {
		s, ok := arg.(string)
		if ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// connections is what a database is opened as; both may be the same.
type connections struct{ read, write *sql.DB }
