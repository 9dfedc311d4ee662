package network

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/e2e/testserver"
)

// Roles of the Starter Kit.
const (
	broadcaster = "broadcaster"
	viewer      = "viewer-realtime"
)

// httpPort and mediaPort are the server's on its host.
const (
	httpPort  = 8080
	mediaPort = 7882
)

// within bounds every wait: far more than anything takes on a busy machine.
const within = 40 * time.Second

// lab is a server on a host of its own.
type lab struct {
	t      *testing.T
	net    *Network
	host   *Host
	server *testserver.Server
}

// newLab runs a server until the test ends.
func newLab(t *testing.T, args ...string) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("tests the whole system, left out by -short")
	}
	n := newNetwork(t)
	host := newHost(t, n, "server")
	client := host.Client()
	server, err := testserver.Start(context.Background(), testserver.Config{
		Binary: *serverBinary, DataDir: t.TempDir(), Prefix: host.Prefix(), Client: client,
		Args: append([]string{"--addr", fmt.Sprintf("%v:%d", host.IPv4(), httpPort), "--rtc-port", fmt.Sprint(mediaPort), "--rtc-loopback=false"}, args...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		testserver.End(t, server)
	})
	return &lab{t: t, net: n, host: host, server: server}
}

// room makes a room of the Starter Kit.
func (l *lab) room(name string) *testserver.Room {
	l.t.Helper()
	room, err := l.server.NewRoom(l.t.Context(), name, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}

// person is somebody on a host of their own.
type person struct {
	*Host
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer

	mu     sync.Mutex
	shown  []shown
	joined bool
	failed string
	told   []string
}

// shown is a picture and when it could be seen.
type shown struct {
	picture
	at time.Time
}

func (s shown) delay() time.Duration { return s.at.Sub(time.UnixMicro(s.Filmed)) }

// enter has somebody join a room; broadcasters publish.
func (l *lab) enter(room *testserver.Room, role, name string) *person {
	l.t.Helper()
	return l.enterFrom(newHost(l.t, l.net, name), room, role)
}

// enterFrom has somebody join a room from a host that is there.
func (l *lab) enterFrom(host *Host, room *testserver.Room, role string) *person {
	l.t.Helper()
	todo, err := json.Marshal(task{
		URL: l.server.URL, Token: l.server.Keys().AuthToken(room.ID, role, host.Name), Name: host.Name, Publish: role == broadcaster,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	p := &person{Host: host, t: l.t}
	p.cmd = host.Command(context.Background(), os.Args[0])
	p.cmd.Env = append(os.Environ(), taskVariable+"="+string(todo))
	log := new(strings.Builder)
	p.cmd.Stderr = log
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		p.stdin, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.listen(stdout)
	}()
	l.t.Cleanup(func() {
		p.stdin.Close()
		// Who cannot reach the server any more does not leave politely.
		kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		<-read
		_ = p.cmd.Wait()
		kill.Stop()
		if l.t.Failed() {
			testserver.Keep(l.t, host.Name+".log", []byte(strings.Join(p.told, "\n")+"\n"+log.String()))
		}
	})
	return p
}

// listen takes the events of the process until it ends.
func (p *person) listen(events io.Reader) {
	lines := bufio.NewScanner(events)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Failed: fmt.Sprintf("says %q", lines.Text())}
		}
		at := time.UnixMicro(e.At)
		p.mu.Lock()
		switch {
		case e.Picture != nil:
			p.shown = append(p.shown, shown{*e.Picture, at})
		case e.Told != "":
			p.told = append(p.told, at.Format("05.000 ")+e.Told)
		case e.Joined:
			p.joined = true
		case e.Failed != "":
			p.failed = e.Failed
		}
		p.mu.Unlock()
	}
}

// since are the pictures from a moment on.
func (p *person) since(from time.Time) []shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.shown, from, func(s shown, t time.Time) int { return s.at.Compare(t) })
	return slices.Clone(p.shown[i:])
}

// isIn waits until somebody has joined.
func (p *person) isIn() {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		joined, failed := p.joined, p.failed
		p.mu.Unlock()
		switch {
		case joined:
			return
		case failed != "":
			p.t.Fatalf("%s cannot join: %s", p.Name, failed)
		case time.Now().After(deadline):
			p.t.Fatalf("%s has not joined after %v", p.Name, within)
		}
	}
}

// frozen is a pause between pictures that a person sees.
const frozen = 250 * time.Millisecond

// steady is how long pictures have to come without such a pause for somebody to watch again.
const steady = time.Second

// watches waits until pictures flow, counted from a moment, and returns how long after it the first of these came.
func (p *person) watches(from time.Time) time.Duration {
	p.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		var begin, last time.Time
		for _, s := range p.since(from) {
			if begin.IsZero() || s.at.Sub(last) > frozen {
				begin = s.at
			}
			last = s.at
			if last.Sub(begin) >= steady {
				return begin.Sub(from)
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s does not see pictures flow within %v of %v (told: %v)", p.Name, within, from.Format("05.000"), p.told)
		}
	}
}

// sight is what somebody saw in a span of time.
type sight struct {
	pictures int
	freezes  int
	stood    time.Duration // how long the picture stood still in these
	longest  time.Duration // pause
	p50, p95 time.Duration // delay from the camera on
}

// saw judges what somebody saw between two moments.
func (p *person) saw(from, to time.Time) (s sight) {
	last := from
	var delays []time.Duration
	pause := func(until time.Time) {
		d := until.Sub(last)
		if s.longest = max(s.longest, d); d > frozen {
			s.freezes++
			s.stood += d
		}
		last = until
	}
	for _, seen := range p.since(from) {
		if seen.at.After(to) {
			break
		}
		pause(seen.at)
		s.pictures++
		delays = append(delays, seen.delay())
	}
	pause(to)
	slices.Sort(delays)
	s.p50, s.p95 = quantile(delays, 0.5), quantile(delays, 0.95)
	return s
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// figure prints what was measured, for people and for whoever collects figures.
func figure(t *testing.T, name string, value float64, unit string) {
	t.Helper()
	t.Logf("network.%s %g %s", name, math.Round(value*100)/100, unit)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report prints a sight.
func (s sight) report(t *testing.T, name string) {
	t.Helper()
	figure(t, name+".pictures", float64(s.pictures), "count")
	figure(t, name+".freezes", float64(s.freezes), "count")
	figure(t, name+".frozen", s.stood.Seconds(), "s")
	figure(t, name+".longest_pause", millis(s.longest), "ms")
	figure(t, name+".delay.p50", millis(s.p50), "ms")
	figure(t, name+".delay.p95", millis(s.p95), "ms")
}
