package webhook

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/store"
	"amphi/server/store/storetest"
)

var soak = flag.Bool("soak", false, "10,000 events instead of a quick 600, and figures as lines \"name value unit\"")

// figure reports a measured value.
func figure(t *testing.T, name string, value float64, unit string) {
	t.Helper()
	if *soak {
		fmt.Printf("%s %.0f %s\n", name, value, unit)
		return
	}
	t.Logf("%s %.0f %s", name, value, unit)
}

// These make the test binary a process that writes events and sends them.
const (
	databaseEnv = "AMPHI_WEBHOOK_TEST_DATABASE"
	receiverEnv = "AMPHI_WEBHOOK_TEST_RECEIVER"
)

func TestMain(m *testing.M) {
	if where := os.Getenv(databaseEnv); where != "" {
		if err := child(where, os.Getenv(receiverEnv)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const killRooms = 20

// child goes on where the one before it was killed: it writes the events that its input asks for, "ROOM N" a line, says
// "wrote ROOM N" after each commit, and ends by itself when all are written and delivered.
func child(where, receiver string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, where)
	if err != nil {
		return err
	}
	defer s.Close()
	seed, err := s.Seed(ctx, rand4)
	if err != nil {
		return err
	}
	if err := s.SetWebhook(ctx, seed.Workspace.ID, store.Webhook{URL: receiver}); err != nil {
		return err
	}
	sender := &Sender{Store: s, AllowNetworks: loopback, Timeout: 200 * time.Millisecond,
		RetryPauses: []time.Duration{time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond},
		RetryFor:    time.Hour, Keep: time.Hour, KeepEvents: 1 << 20, Log: slog.New(slog.DiscardHandler)}
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()

	var out sync.Mutex
	var writers sync.WaitGroup
	orders := make(map[string]chan string) // by room, so that a room's events are written in order
	input := bufio.NewScanner(os.Stdin)
	for {
		if !input.Scan() {
			return errors.New("the parent is gone")
		}
		room, n, _ := strings.Cut(input.Text(), " ")
		if n == "end" {
			break
		}
		ch := orders[room]
		if ch == nil {
			r, err := s.SaveRoom(ctx, seed.Workspace.ID, room, func(*store.Room) error { return nil })
			if err != nil {
				return err
			}
			ch = make(chan string, 1<<16)
			orders[room] = ch
			writers.Go(func() {
				for n := range ch {
					// A conflict: the killed one wrote it, and did not get to say so.
					_, err := s.OpenSession(ctx, room+"/"+n, r.ID, time.Now())
					if err != nil && !errors.Is(err, store.ErrConflict) {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					out.Lock()
					fmt.Println("wrote", room, n)
					out.Unlock()
				}
			})
		}
		ch <- n
	}
	go func() { // the parent is gone: so are we
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	for _, ch := range orders {
		close(ch)
	}
	writers.Wait()
	for {
		n, err := s.CountEvents(ctx)
		if err != nil {
			return err
		}
		if n[store.Pending] == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	return <-ended
}

func rand4() string { return fmt.Sprintf("%08x", rand.Uint32()) }

// moody is a receiver that fails half of the time, in every way that there is. got is what it took, in order.
type moody struct {
	mu       sync.Mutex
	got      map[string][]int // event numbers by room
	requests int
	failed   int
	taken    int
	marks    map[int]chan struct{} // closed when it has taken so many
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct {
		Data struct {
			SessionID string `json:"session_id"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	mood := rand.IntN(200)
	take := mood >= 100 || mood < 2 // of the latter the answer is lost
	m.mu.Lock()
	m.requests++
	if mood < 100 {
		m.failed++
	}
	if take {
		room, n, _ := strings.Cut(e.Data.SessionID, "/")
		i, _ := strconv.Atoi(n)
		m.got[room] = append(m.got[room], i)
		m.taken++
		if mark := m.marks[m.taken]; mark != nil {
			close(mark)
		}
	}
	m.mu.Unlock()
	switch {
	case mood >= 100:
		w.WriteHeader(http.StatusOK)
	case mood < 4: // no answer in time
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	case mood < 10: // the connection breaks
		panic(http.ErrAbortHandler)
	case mood < 20:
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	case mood < 40:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// TestKill is what the outbox is for: a process writes events and sends them to a receiver that fails half of the time,
// and is killed in the middle of both; a second one goes on. Everything that was on record before the kill arrives, and
// the first success of each event comes in the order of its room.
func TestKill(t *testing.T) {
	events := 600
	if *soak {
		events = 10_000
	}
	lostAtAll := 0
	storetest.Each(t, func(t *testing.T, where string) {
		almost, half := make(chan struct{}), make(chan struct{})
		m := &moody{got: make(map[string][]int), marks: map[int]chan struct{}{events/2 - events/25: almost, events / 2: half}}
		server := httptest.NewUnstartedServer(m)
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.Start()
		defer server.Close()

		wrote := make(map[string]int) // by room, how many were reported as written
		first := startChild(t, where, server.URL, wrote, events, almost)
		<-half
		if err := first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := first.finish(); !errors.As(err, &exit) || exit.Exited() {
			t.Fatalf("the process was not killed: %v", err)
		}
		written := 0
		for _, n := range wrote {
			written += n
		}
		second := startChild(t, where, server.URL, wrote, events, almost)
		if err := second.finish(); err != nil {
			t.Fatal(err)
		}

		m.mu.Lock()
		defer m.mu.Unlock()
		sent, duplicates, lost, disorder := 0, 0, 0, 0
		for room := range killRooms {
			name := fmt.Sprint("room-", room)
			seen := make(map[int]bool)
			last := -1
			for _, n := range m.got[name] {
				sent++
				if seen[n] {
					duplicates++
					continue
				}
				if n < last {
					disorder++
				}
				seen[n], last = true, n
			}
			for n := range events / killRooms {
				if !seen[n] {
					lost++
				}
			}
		}
		t.Logf("killed after %d of %d were written; %d requests, %d failed", written, events, m.requests, m.failed)
		db := strings.TrimPrefix(t.Name(), "TestKill/")
		figure(t, "webhook."+db+".sent", float64(sent), "count")
		figure(t, "webhook."+db+".duplicates", float64(duplicates), "count")
		figure(t, "webhook."+db+".lost", float64(lost), "count")
		figure(t, "webhook."+db+".disorder", float64(disorder), "count")
		lostAtAll += lost
		if lost != 0 || disorder != 0 {
			t.Errorf("%d lost, %d out of order", lost, disorder)
		}
	})
	figure(t, "webhook.lost", float64(lostAtAll), "count")
}

// sendingChild is a running child.
type sendingChild struct {
	*exec.Cmd
	input io.Closer
	read  chan struct{} // closed when its output has ended
}

// startChild starts a process that writes what was not yet written, the last third of all only after more is closed;
// wrote is kept up to date until it has finished.
func startChild(t *testing.T, where, receiver string, wrote map[string]int, events int, more <-chan struct{}) *sendingChild {
	t.Helper()
	c := &sendingChild{Cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	c.Env = append(os.Environ(), databaseEnv+"="+where, receiverEnv+"="+receiver)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	c.input = in
	t.Cleanup(func() {
		_ = c.Process.Kill() // it has ended unless the test failed
		_ = c.finish()
	})
	var early, late strings.Builder
	each := events / killRooms
	for n := range each {
		orders := &early
		if n >= each*2/3 {
			orders = &late
		}
		for room := range killRooms {
			if name := fmt.Sprint("room-", room); n >= wrote[name] {
				fmt.Fprintln(orders, name, n)
			}
		}
	}
	go func() {
		_, _ = io.WriteString(in, early.String())
		select {
		case <-more:
			_, _ = io.WriteString(in, late.String()+"- end\n")
		case <-c.read: // it ended before
		}
	}()
	go func() {
		defer close(c.read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var room string
			var n int
			if _, err := fmt.Sscanf(lines.Text(), "wrote %s %d", &room, &n); err == nil {
				wrote[room] = n + 1
			}
		}
	}()
	return c
}

// finish waits for the process and its last words.
func (c *sendingChild) finish() error {
	<-c.read
	err := c.Wait()
	_ = c.input.Close()
	return err
}
