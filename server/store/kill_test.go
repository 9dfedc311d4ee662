package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"amphi/server/store/storetest"
)

// writerEnv makes this test binary a writer to the database that it names.
const writerEnv = "STORE_TEST_WRITER"

const (
	manyWrites = 2000
	writers    = 20 // at a time
)

// writeMuch is the child of the tests below: it makes rooms, several at a time, and prints the id of each once it is
// recorded. It goes on until it is killed, or the database is.
func writeMuch(where string) {
	ctx := context.Background()
	s, err := Open(ctx, where)
	if err != nil {
		panic(err)
	}
	seed, err := s.Seed(ctx, counter())
	if err != nil {
		panic(err)
	}
	var rooms atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for {
				room, err := s.SaveRoom(ctx, seed.Workspace.ID, fmt.Sprintf("room-%d", rooms.Add(1)), func(*Room) error { return nil })
				if err != nil {
					return
				}
				fmt.Println(room.ID) // one write to the pipe: lines of several goroutines do not mix
			}
		})
	}
	group.Wait()
}

// killAmid lets the child write to the database and calls kill at a random moment, after manyWrites at the latest. It
// returns what the child was told is recorded.
func killAmid(t *testing.T, where string, kill func(child *exec.Cmd) error) []string {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), writerEnv+"="+where)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	moment := 1 + rand.N(manyWrites)
	var ids []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ids = append(ids, lines.Text()); len(ids) == moment {
			check(t, kill(child))
		}
	}
	_ = child.Wait()
	if len(ids) < moment {
		t.Fatalf("%d writes; it was to be killed after %d", len(ids), moment)
	}
	t.Logf("killed after %d writes, the child knew of %d", moment, len(ids))
	return ids
}

// hasAll finds every room in the database, and nothing damaged.
func hasAll(t *testing.T, where string, ids []string) {
	t.Helper()
	s := open(t, where)
	check(t, s.Check(t.Context()))
	for _, id := range ids {
		if _, err := s.AnyRoom(t.Context(), id); err != nil {
			t.Errorf("lost: %v", err)
		}
	}
}

func TestKillOfTheServerLosesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		ids := killAmid(t, where, func(child *exec.Cmd) error { return child.Process.Kill() })
		hasAll(t, where, ids)
	})
}

func TestCrashOfPostgresLosesNothing(t *testing.T) {
	cluster := storetest.NewCluster(t)
	where, err := cluster.Schema(t.Context())
	check(t, err)
	ids := killAmid(t, where, func(*exec.Cmd) error { return cluster.Crash() })
	check(t, cluster.Restart())
	hasAll(t, where, ids)
}

// TestStoreOutlivesPostgres: a server need not be started again because the database was.
func TestStoreOutlivesPostgres(t *testing.T) {
	cluster := storetest.NewCluster(t)
	where, err := cluster.Schema(t.Context())
	check(t, err)
	s, seed := seeded(t, where)
	change := func() error {
		_, err := s.ChangeRoom(t.Context(), seed.Workspace.ID, seed.Room.ID, func(r *Room) error { r.Size++; return nil })
		return err
	}
	race(t, []*Store{s}, 2*postgresConnections, func(*Store, int) error { return change() }) // all connections are in use
	check(t, cluster.Crash())
	if err := change(); err == nil {
		t.Error("a change without a database")
	}
	check(t, cluster.Restart())
	check(t, change())
	if r, err := s.AnyRoom(t.Context(), seed.Room.ID); err != nil || r.Size != 2*postgresConnections+1 {
		t.Errorf("size %d after %d changes, %v", r.Size, 2*postgresConnections+1, err)
	}
}
