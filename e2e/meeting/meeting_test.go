package meeting

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"amphi/e2e/testserver"
	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

var (
	soak   = flag.Duration("soak", 20*time.Second, "how long the meeting lasts")
	churn  = flag.Duration("churn", 8*time.Second, "how long people come and go")
	seed   = flag.Uint64("seed", 1, "what chance begins with")
	people = flag.Int("people", 30, "how many meet")
	binary = flag.String("binary", "", "the server; empty: bin/amphi")
	logs   = flag.String("logs", "", "directory for the logs of the server and of each client, and stacks of what hangs; empty: nowhere")
)

// settle is how long what was sent may take to be everywhere, on a machine that does other things too.
const settle = 60 * time.Second

// meeting is a room on a server of its own with its people.
type meeting struct {
	t      *testing.T
	server *testserver.Server
	room   string
	seed   uint64
	still  sync.RWMutex // held while all hold still

	mu    sync.Mutex
	times map[string]int // how often what was done
}

func isLoopback(ip net.IP) bool { return ip.IsLoopback() }

// pause is the time to the next thing that somebody does: so long that thirty clients and a server fit on a machine.
func (m *meeting) pause(random *rand.Rand) time.Duration {
	return time.Duration(100+random.IntN(1400)) * time.Millisecond
}

// log is where a client writes to.
func (m *meeting) log(number int) *slog.Logger {
	if *logs == "" {
		return slog.New(slog.DiscardHandler)
	}
	file, err := os.Create(filepath.Join(*logs, fmt.Sprintf("p%02d.log", number)))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { file.Close() })
	return slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// stacks writes what all clients are at.
func (m *meeting) stacks(why string) {
	if *logs == "" {
		return
	}
	file, err := os.Create(filepath.Join(*logs, why+".stacks"))
	if err != nil {
		m.t.Error(err)
		return
	}
	defer file.Close()
	if err := pprof.Lookup("goroutine").WriteTo(file, 2); err != nil {
		m.t.Error(err)
	}
}

func (m *meeting) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.times[what]++
}

func newMeeting(t *testing.T, data string, args ...string) *meeting {
	t.Helper()
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	if *logs != "" {
		args = append(args, "--log-level", "debug")
	}
	server, err := testserver.Start(context.Background(), testserver.Config{Binary: *binary, DataDir: data, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	m := &meeting{t: t, server: server, seed: *seed, times: map[string]int{}}
	t.Cleanup(func() {
		testserver.End(t, m.server)
		if *logs != "" {
			if err := os.WriteFile(filepath.Join(*logs, "server.log"), []byte(m.server.Log()), 0o666); err != nil {
				t.Error(err)
			}
		}
	})
	room, err := server.NewRoom(t.Context(), "meeting", "")
	if err != nil {
		t.Fatal(err)
	}
	m.room = room.ID
	return m
}

// TestMeeting: whatever people do, they see the same room, and nothing grows.
func TestMeeting(t *testing.T) {
	roles := slices.Repeat([]string{gallery}, *people)
	for i := range roles {
		switch {
		case i < 3:
			roles[i] = stage
		case i < *people/3:
			roles[i] = floor
		}
	}
	endure(t, *soak, roles, actions)
}

// TestChurn: what comes and goes with people who join, leave, go on stage and off it, and choose layers, is gone when they
// are.
func TestChurn(t *testing.T) {
	roles := slices.Concat(slices.Repeat([]string{stage}, 4), slices.Repeat([]string{floor}, 12), slices.Repeat([]string{gallery}, 4))
	var coming []action
	for _, a := range actions {
		switch a.name {
		case "leave", "change role", "answer role", "layer", "screen", "camera", "offline":
			coming = append(coming, a)
		}
	}
	endure(t, *churn, roles, coming)
}

// endure has people with those roles do things for a while. Then everything that began with them must be over.
func endure(t *testing.T, length time.Duration, roles []string, actions []action) {
	before := goleak.IgnoreCurrent()
	t.Logf("seed %d", *seed)
	m := newMeeting(t, t.TempDir())
	idle := m.figures()
	var all []*person
	for i, role := range roles {
		p := m.newPerson(i, role)
		p.actions = actions
		all = append(all, p)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	group, running := errgroup.WithContext(ctx)
	for _, p := range all {
		group.Go(func() error { return p.live(running) })
	}
	var memory []float64
	end := time.Now().Add(length)
	for every := min(length/2, 30*time.Second); time.Now().Before(end) && running.Err() == nil; {
		select {
		case <-time.After(every):
		case <-running.Done():
			continue
		}
		m.check(all)
		f := m.figures()
		memory = append(memory, f["process_resident_memory_bytes"])
		t.Logf("%s left: %.0f MiB, %.0f goroutines of the server, %d of the clients", time.Until(end).Round(time.Second),
			memory[len(memory)-1]/(1<<20), f["go_goroutines"], runtime.NumGoroutine())
	}
	m.still.Lock()
	m.eventually("everybody is back", func() error { return m.compare(all) }) // who goes without a word is kept for a minute
	cancel()
	m.still.Unlock()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	for _, p := range all {
		p.client.Close()
	}
	for _, what := range slices.Sorted(maps.Keys(m.times)) {
		t.Logf("%-16s %d", what, m.times[what])
	}
	m.over(idle)
	if n := len(memory); n >= 8 { // the first half warms up: caches, pools, the heap's own pace
		early, late := slices.Min(memory[n/2:n*3/4]), slices.Min(memory[n*3/4:])
		t.Logf("memory: %.1f MiB in the third quarter, %.1f MiB in the last", early/(1<<20), late/(1<<20))
		if late > early*1.15+8<<20 {
			t.Errorf("memory grows: %.0f MiB", memory)
		}
		m.forgotten(idle)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).watchCtx"), goleak.IgnoreAnyFunction("amphi/e2e/testserver.Start.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"), goleak.IgnoreAnyFunction("os/exec.(*Cmd).writerDescriptor.func1")); err != nil {
		t.Errorf("the clients leave something behind: %v", err)
	}
}

// over waits until the server is as idle as it was before anybody came.
func (m *meeting) over(idle map[string]float64) {
	m.t.Helper()
	const few = 10 // the server's own: a connection of its client's, a query of the database
	var f map[string]float64
	m.eventually("the server is idle again", func() error {
		f = m.figures()
		if f["amphi_signal_sockets"] == 0 && f["amphi_sfu_peers"] == 0 && f["go_goroutines"] <= idle["go_goroutines"]+few &&
			f["process_open_fds"] <= idle["process_open_fds"]+few {
			return nil
		}
		return fmt.Errorf("%.0f sockets, %.0f peers, %.0f goroutines of %.0f, %.0f open files of %.0f", f["amphi_signal_sockets"],
			f["amphi_sfu_peers"], f["go_goroutines"], idle["go_goroutines"], f["process_open_fds"], idle["process_open_fds"])
	})
	m.t.Logf("idle again: %.0f goroutines (%.0f before), %.0f open files (%.0f)", f["go_goroutines"], idle["go_goroutines"],
		f["process_open_fds"], idle["process_open_fds"])
}

// forgotten waits until the garbage collector, which an idle server runs every two minutes, has found that nothing is left
// of the meeting.
func (m *meeting) forgotten(idle map[string]float64) {
	m.t.Helper()
	const heap, rest = "go_memstats_heap_alloc_bytes", 16 << 20
	var f map[string]float64
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		if f = m.figures(); f[heap] <= idle[heap]+rest {
			m.t.Logf("memory in use: %.1f MiB before, %.1f MiB after; of the process %.0f and %.0f MiB", idle[heap]/(1<<20), f[heap]/(1<<20),
				idle["process_resident_memory_bytes"]/(1<<20), f["process_resident_memory_bytes"]/(1<<20))
			return
		}
	}
	m.t.Errorf("memory stays in use: %.1f MiB of %.1f", f[heap]/(1<<20), idle[heap]/(1<<20))
}

// check has everybody hold still until all see what is.
func (m *meeting) check(all []*person) {
	m.t.Helper()
	m.still.Lock()
	defer m.still.Unlock()
	m.eventually("everybody sees the same", func() error { return m.compare(all) })
	m.listen(all)
	if m.t.Failed() {
		for _, p := range all {
			if s := p.client.State(); s.Peers[s.Room.LocalPeer].RoleName == stage {
				m.t.Logf("%s (%s) did %s", p.name, s.Room.LocalPeer, strings.Join(p.did, "; "))
			}
		}
	}
}

// attendee is a peer as the server API has it.
type attendee struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Metadata string `json:"metadata"`
	Tracks   map[string]struct {
		Type rtc.Kind `json:"type"`
		Mute bool     `json:"mute"`
	} `json:"tracks"`
}

// attendees are those who are in the room, with their tracks.
func (m *meeting) attendees() (map[string]attendee, error) {
	var list struct {
		Peers map[string]attendee `json:"peers"`
	}
	base := "/v2/active-rooms/" + m.room + "/peers"
	err := m.server.API(m.t.Context(), http.MethodGet, base, nil, &list)
	var status *testserver.StatusError
	if errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, nil // nobody is there
	}
	for id, a := range list.Peers {
		if a.Role == stage && err == nil {
			err = m.server.API(m.t.Context(), http.MethodGet, base+"/"+id, nil, &a)
			list.Peers[id] = a
		}
	}
	return list.Peers, err
}

// compare says what somebody sees that is not so.
func (m *meeting) compare(all []*person) error {
	truth, err := m.attendees()
	if err != nil {
		return err
	}
	in := map[string]bool{}
	var wrong []error
	for _, p := range all {
		s := p.client.State()
		switch s.Room.RoomState {
		case client.Disconnected, client.Failed:
			continue
		case client.Connected:
		default:
			wrong = append(wrong, fmt.Errorf("%s is %s", p.name, s.Room.RoomState))
			continue
		}
		in[s.Room.LocalPeer] = true
		if err := see(s, truth); err != nil {
			wrong = append(wrong, fmt.Errorf("%s (%s, %s) %w", p.name, s.Peers[s.Room.LocalPeer].RoleName, s.Room.LocalPeer, err))
		}
	}
	for id := range truth {
		if !in[id] {
			wrong = append(wrong, fmt.Errorf("%s is in the room and nobody's", id))
		}
	}
	return errors.Join(wrong...)
}

func see(s client.State, truth map[string]attendee) error {
	self, there := truth[s.Room.LocalPeer]
	if !there {
		return errors.New("is in no room")
	}
	if len(s.Peers) != len(truth) {
		return fmt.Errorf("sees %d people, there are %d", len(s.Peers), len(truth))
	}
	for id, a := range truth {
		seen, known := s.Peers[id]
		switch {
		case !known:
			return fmt.Errorf("does not see %s", id)
		case seen.RoleName != a.Role || seen.Name != a.Name:
			return fmt.Errorf("sees %s as %s %q, not %s %q", id, seen.RoleName, seen.Name, a.Role, a.Name)
		case seen.Metadata != a.Metadata:
			return fmt.Errorf("sees %s with %.40q, not %.40q", id, seen.Metadata, a.Metadata)
		}
	}
	// Tracks are seen once a packet of theirs is there.
	for id, t := range s.Tracks {
		a, known := truth[t.PeerID]
		if !known {
			continue // a local one that is not published yet
		}
		if real, published := a.Tracks[id]; published && real.Mute == t.Enabled {
			return fmt.Errorf("sees track %s of %s with enabled %v", id, t.PeerID, t.Enabled)
		} else if !published && t.PeerID != self.ID {
			return fmt.Errorf("sees track %s that %s does not publish", id, t.PeerID)
		}
	}
	if self.Role == gallery {
		return nil
	}
	for _, a := range truth {
		for id, real := range a.Tracks {
			if _, seen := s.Tracks[id]; !seen && real.Type == rtc.Audio && !real.Mute {
				return fmt.Errorf("does not see the sound %s of %s", id, a.ID)
			}
		}
	}
	return nil
}

// listen makes sure that sound which is on arrives.
func (m *meeting) listen(all []*person) {
	m.t.Helper()
	before := map[*rtc.RemoteTrack]uint64{}
	m.eventually("sound arrives", func() error {
		for _, p := range all {
			s := p.client.State()
			if s.Room.RoomState != client.Connected || s.Peers[s.Room.LocalPeer].RoleName == gallery {
				continue
			}
			for id, t := range s.Tracks {
				if t.Type != rtc.Audio || !t.Enabled || s.Peers[t.PeerID].IsLocal || t.PeerID == "" {
					continue
				}
				p.mu.Lock()
				track := p.heard[id]
				p.mu.Unlock()
				if track == nil {
					return fmt.Errorf("%s has no media of track %s", p.name, id)
				}
				packets, _ := track.Received()
				if first, seen := before[track]; !seen {
					before[track] = packets
				} else if packets > first {
					continue
				}
				return fmt.Errorf("%s hears nothing of %s", p.name, t.PeerID)
			}
		}
		return nil
	})
}

// eventually waits until what returns nil.
func (m *meeting) eventually(what string, ok func() error) {
	m.t.Helper()
	var err error
	slow := time.Now().Add(settle / 4)
	for deadline := time.Now().Add(settle); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
		if now := time.Now(); now.After(slow) {
			m.t.Logf("%s: not yet: %v", what, err)
			slow = now.Add(settle / 4)
		}
	}
	m.t.Errorf("%s: %v", what, err)
}

// figures are the server's, by name.
func (m *meeting) figures() map[string]float64 {
	m.t.Helper()
	resp, err := http.Get(m.server.URL + "/metrics")
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	f := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			f[name] = v
		}
	}
	return f
}
