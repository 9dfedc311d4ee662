package store

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"amphi/server/store/storetest"
)

func TestRedacted(t *testing.T) {
	for where, want := range map[string]string{
		"data/amphi.db": "data/amphi.db",
		"postgres://a:secret@db.example:5432/amphi":        "postgres://a:xxxxx@db.example:5432/amphi",
		"postgresql://db.example/amphi?password=secret":    "postgresql://db.example/amphi?password=xxxxx",
		"postgres://a:secret@db.example/amphi?sslmode=any": "postgres://a:xxxxx@db.example/amphi?sslmode=any",
		"postgres://a:sec%ret@db.example/amphi":            "postgres://(not a URL)",
	} {
		if got := Redacted(where); got != want {
			t.Errorf("%s: %s, want %s", where, got, want)
		}
	}
}

func TestErrorsDoNotTellThePassword(t *testing.T) {
	for _, where := range []string{
		"postgres://a:secret@127.0.0.1:1/amphi",            // nobody listens
		"postgres://a:secret@127.0.0.1:port/amphi",         // no URL
		"postgres://a:secret@127.0.0.1/amphi?sslmode=none", // no such mode
		"postgres://127.0.0.1:1/amphi?password=secret",
	} {
		_, err := Open(t.Context(), where)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

// TestPostgresSession: a database that was told to be quick about commits is made to be sure about them.
func TestPostgresSession(t *testing.T) {
	u, err := url.Parse(storetest.Postgres(t))
	check(t, err)
	for setting, want := range map[string]string{"off": "on", "local": "local", "on": "on"} {
		q := u.Query()
		q.Set("synchronous_commit", setting)
		v := *u
		v.RawQuery = q.Encode()
		s := open(t, v.String())
		var got string
		check(t, s.query(t.Context()).row(`SHOW synchronous_commit`).Scan(&got))
		if got != want {
			t.Errorf("%s became %s, want %s", setting, got, want)
		}
	}
}

func TestPostgresDialect(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT 1":                        "SELECT 1",
		"SELECT ?":                        "SELECT $1",
		"a = ? AND b IN (?, ?) LIMIT ?;":  "a = $1 AND b IN ($2, $3) LIMIT $4;",
		"??????????? eleven in a row":     "$1$2$3$4$5$6$7$8$9$10$11 eleven in a row",
		"VALUES (?, '', ?) -- ends in a?": "VALUES ($1, '', $2) -- ends in a$3",
	} {
		if got := postgresRebind(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got, want := postgresDDL("seq {{serial}}, id TEXT PRIMARY KEY, TEXTS BIGINT"),
		`seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT COLLATE "C" PRIMARY KEY, TEXTS BIGINT`; got != want {
		t.Errorf("got %s", got)
	}
}

// TestDeadlockIsTriedAgain makes two transactions wait for each other's room. PostgreSQL ends one; both succeed.
func TestDeadlockIsTriedAgain(t *testing.T) {
	s, seed := seeded(t, storetest.Postgres(t))
	other, err := s.SaveRoom(t.Context(), seed.Workspace.ID, "other", func(*Room) error { return nil })
	check(t, err)
	rooms := []string{seed.Room.ID, other.ID}
	var both, done sync.WaitGroup
	both.Add(2)
	var ran [2]int
	for i := range 2 {
		done.Go(func() {
			err := s.update(t.Context(), func(tx *tx) error {
				ran[i]++
				if _, err := tx.room(rooms[i]); err != nil {
					return err
				}
				if ran[i] == 1 { // both have one, and want the other
					both.Done()
					both.Wait()
				}
				_, err := tx.room(rooms[1-i])
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if ran[0]+ran[1] != 3 {
		t.Errorf("ran %v times", ran)
	}
}

// TestTextsThatPostgresRefuses are recorded on both databases, with what cannot be stored replaced.
func TestTextsThatPostgresRefuses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := hooked(t, where)
		ctx := t.Context()
		_, err := s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		check(t, s.PeerJoined(ctx, Peer{ID: "p", SessionID: "S", Name: "a\x00b\xffc", JoinedAt: start}, "\x00\xff"))
		peers, err := s.Peers(ctx, "S")
		if err != nil || len(peers) != 1 || peers[0].Name != "a\uFFFDb\uFFFDc" {
			t.Errorf("%+v %v", peers, err)
		}
		if _, err := s.RoomCode(ctx, "abc\x00"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}
