// Package storetest runs a test on every database that the store knows: SQLite, and a real PostgreSQL that it starts.
//
// The PostgreSQL is a cluster of its own in a temporary folder, reached by a socket in it. The tests of one binary
// share it, each in a schema of its own. It ends with the test binary, however that ends, and leaves nothing behind.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// Each runs test as the subtests sqlite and postgres. Where is what store.Open takes: a place for a database, where
// nothing is yet. Without PostgreSQL's programs the second subtest is skipped.
func Each(t *testing.T, test func(t *testing.T, where string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite returns the path of a file that is not there yet. It has what a careless URL breaks on.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data dir?#%", "amphi.db")
}

// Postgres returns the URL of an empty schema in the cluster that the tests share. It is dropped when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		t.Skip(notInstalled)
	}
	where, err := c.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.exec(context.Background(), "DROP SCHEMA "+schemaOf(where)+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return where
}

// shared is the cluster of this process; nil where PostgreSQL is not installed.
var shared = sync.OnceValues(func() (*Cluster, error) {
	if programs() == "" {
		return nil, nil
	}
	return startCluster()
})

// Schema makes an empty schema and returns the URL that leads to it.
func (c *Cluster) Schema(ctx context.Context) (string, error) {
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if err := c.exec(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", err
	}
	return c.url(url.Values{"search_path": {name}}), nil
}

func schemaOf(where string) string {
	u, err := url.Parse(where)
	if err != nil {
		panic(err) // we made it
	}
	return u.Query().Get("search_path")
}

// url is the address of the cluster's database for a program on this machine.
func (c *Cluster) url(query url.Values) string {
	query.Set("host", c.dir)
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()}).String()
}

func (c *Cluster) exec(ctx context.Context, statement string) error {
	db, err := sql.Open("pgx", c.url(url.Values{}))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
