package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

const (
	sleepTime   = 40 * time.Second // of the machine that sleeps: longer than its socket is waited for
	restartTime = 2 * time.Second  // for which nothing listens
)

// TestFaults lets all troubles happen at about the same time, each in a room of its own: they last a minute. Each begins
// when its people are together, and their page is closed when it is over, so that a small machine can do it.
func TestFaults(t *testing.T) {
	t.Parallel() // with TestFirefox
	s := newStage(t, testserver.Run(t))
	browser := startBrowser(t)
	results := &table{cell: map[string]map[string]string{}}
	t.Run("with", func(t *testing.T) {
		for _, sdk := range sdks {
			t.Run(sdk, func(t *testing.T) {
				t.Parallel()
				s.suffer(t, browser, sdk, results)
			})
		}
	})
	fmt.Print(results)
}

// suffer goes through the faults with one SDK.
func (s *stage) suffer(t *testing.T, browser *testbrowser.Browser, sdk string, results *table) {
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := func(row string, fault func() error, pages ...*testbrowser.Page) {
		wg.Go(func() {
			began := time.Now()
			err := fault()
			results.judge(t, row, sdk, time.Since(began), err)
			for _, page := range pages {
				page.Close()
			}
		})
	}
	var awake *testbrowser.Page
	var env string
	for _, g := range describe(t, s.page(t, browser, sdk, sdk)).Faults {
		in, on := s, browser
		switch g.Name {
		case "restart":
			in = s.mortal(t, g.Name+"-"+sdk)
		case "asleep":
			on = startBrowser(t)
		}
		page := in.page(t, on, sdk, g.Name+"-"+sdk)
		if g.Name != "asleep" { // in the room of who is awake
			env = in.enter(t, g, g.Name+"-"+sdk)
		}
		if _, err := do(page, fmt.Sprintf("Suite.open(%q, %s)", g.Name, env), caseTimeout); err != nil {
			t.Fatalf("the people of %s do not come together with %s: %v", g.Name, sdk, err)
		}
		switch g.Name {
		case "awake":
			awake = page
		case "asleep":
			begin("laptop sleeps", func() error { return sleep(awake, page, on.Freeze) }, awake, page)
		default:
			begin(g.Cases[0], func() error {
				_, err := do(page, fmt.Sprintf("Suite.run(%q, 0)", g.Name), caseTimeout)
				return err
			}, page)
		}
	}
}

// sleep lets the machine of the second page sleep while the first one talks.
func sleep(awake, asleep tab, freeze func() (thaw func(), err error)) error {
	run := func(page tab, group string, i int) error {
		_, err := do(page, fmt.Sprintf("Suite.run(%q, %d)", group, i), caseTimeout)
		return err
	}
	if err := errors.Join(run(awake, "awake", 0), run(asleep, "asleep", 0)); err != nil {
		return err
	}
	thaw, err := freeze()
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	err = run(awake, "awake", 1)
	time.Sleep(sleepTime)
	thaw()
	if err = errors.Join(err, run(asleep, "asleep", 1), run(awake, "awake", 2)); err != nil {
		for _, page := range []tab{awake, asleep} { // a case tells of one page only
			var digest string
			failed := page.Eval("Suite.digest()", &digest)
			err = errors.Join(err, failed, errors.New(digest))
		}
	}
	return err
}

// mortal starts a server that is killed and started again, on the same data and ports, when the page of that name asks
// for it.
func (s *stage) mortal(t *testing.T, name string) *stage {
	t.Helper()
	data := t.TempDir()
	http, rtc := freePort(t), freePort(t)
	start := func() (*testserver.Server, error) {
		return testserver.Start(context.Background(), testserver.Config{DataDir: data,
			Args: []string{"--addr", "127.0.0.1:" + http, "--rtc-port", rtc}})
	}
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testserver.End(t, server) })
	in := &stage{server: server, pages: s.pages}
	in.template = in.makeTemplate(t)
	s.pages.restart.Store(name, func() error {
		if err := server.Kill(); err != nil {
			return err
		}
		time.Sleep(restartTime)
		again, err := start()
		if err == nil {
			server = again
		}
		return err
	})
	return in
}

// freePort returns a port that nobody uses at the moment, for TCP and UDP. It is none of those that the kernel gives to
// whoever asks for any: browsers ask for many, and the port must be free again after the server was killed.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		stream, err := net.Listen("tcp", ":"+port)
		if err != nil {
			continue
		}
		packets, err := net.ListenPacket("udp", ":"+port)
		stream.Close()
		if err != nil {
			continue
		}
		packets.Close()
		return port
	}
	t.Fatal("no port is free")
	return ""
}

// restarts is what a page posts to.
func (p *pages) restarts(w http.ResponseWriter, r *http.Request) {
	restart, ok := p.restart.Load(r.PathValue("name"))
	if !ok {
		http.Error(w, "no such server", http.StatusNotFound)
		return
	}
	if err := restart.(func() error)(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// judge writes down how a fault ended.
func (tb *table) judge(t *testing.T, row, sdk string, took time.Duration, err error) {
	tb.add(row)
	if err != nil {
		tb.fail(row, sdk, fmt.Errorf("after %v: %w", took.Round(time.Second), err))
		t.Errorf("%s with %s, after %v: %v", row, sdk, took.Round(time.Second), err)
		return
	}
	tb.set(row, sdk, fmt.Sprintf("pass (%v)", took.Round(time.Second)))
}

// add makes a row, unless it is there.
func (tb *table) add(row string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if !slices.Contains(tb.rows, row) {
		tb.rows = append(tb.rows, row)
	}
}
