package storetest

import (
	"database/sql"
	"net/url"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func query(t *testing.T, where, statement string) (answer string) {
	t.Helper()
	db, err := sql.Open("pgx", where)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(statement).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return answer
}

func TestEachTestHasItsOwn(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		t.Run("round", func(t *testing.T) {
			Each(t, func(t *testing.T, where string) {
				if seen[where] {
					t.Errorf("%s a second time", where)
				}
				seen[where] = true
			})
		})
	}
}

// TestPostgresIsReal holds the settings that the tests' claims rest on.
func TestPostgresIsReal(t *testing.T) {
	where := Postgres(t)
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"} {
		if got := query(t, where, "SHOW "+setting); got != want {
			t.Errorf("%s is %s", setting, got)
		}
	}
	if got := query(t, where, "SELECT current_schema()"); got != schemaOf(where) {
		t.Errorf("in schema %s of %s", got, where)
	}
}

func TestCrashKeepsAndTheEndRemoves(t *testing.T) {
	var c *Cluster
	t.Run("crash", func(t *testing.T) {
		c = NewCluster(t)
		if err := c.exec(t.Context(), `CREATE TABLE kept AS SELECT 'kept' AS word`); err != nil {
			t.Fatal(err)
		}
		if err := c.Crash(); err != nil {
			t.Fatal(err)
		}
		if n := c.processes(); len(n) > 0 {
			t.Errorf("%v go on", n)
		}
		if err := c.Restart(); err != nil {
			t.Fatal(err)
		}
		if got := query(t, c.url(url.Values{}), `SELECT word FROM kept`); got != "kept" {
			t.Errorf("got %q", got)
		}
	})
	if c == nil {
		t.Skip(notInstalled)
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) || len(c.processes()) > 0 {
		t.Errorf("%s is there (%v), %d processes", c.dir, err, len(c.processes()))
	}
}
