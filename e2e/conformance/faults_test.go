package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
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

// TestFaults lets all troubles happen at once, each in a room of its own: they last a minute. Both SDKs at once would be
// more than a small machine can do.
func TestFaults(t *testing.T) {
	s := newStage(t, testserver.Run(t))
	browser, sleeper := startBrowser(t), startBrowser(t)
	results := &table{cell: map[string]map[string]string{}}
	for _, sdk := range sdks {
		t.Run(sdk, func(t *testing.T) { s.suffer(t, browser, sleeper, sdk, results) })
	}
	fmt.Print(results)
}

// suffer goes through the faults with one SDK.
func (s *stage) suffer(t *testing.T, browser, sleeper *testbrowser.Browser, sdk string, results *table) {
	mortal := newMortal(t, s.pages)
	rooms := map[string]string{}
	pages := map[string]*testbrowser.Page{}
	var todo []func()
	for _, g := range describe(t, s.page(t, browser, sdk, sdk)).Faults {
		in, on := s, browser
		switch g.Name {
		case "restart":
			in = mortal
		case "asleep":
			on = sleeper
		}
		page := in.page(t, on, sdk, g.Name+"-"+sdk)
		pages[g.Name] = page
		env := rooms["awake"]
		if g.Name != "asleep" {
			env = in.enter(t, g, g.Name+"-"+sdk)
			rooms[g.Name] = env
		}
		if _, err := do(page, fmt.Sprintf("Suite.open(%q, %s)", g.Name, env), caseTimeout); err != nil {
			t.Fatalf("the people of %s do not come together with %s: %v", g.Name, sdk, err)
		}
		if g.Name == "awake" || g.Name == "asleep" {
			continue
		}
		results.add(g.Cases[0])
		todo = append(todo, func() {
			began := time.Now()
			_, err := do(page, fmt.Sprintf("Suite.run(%q, 0)", g.Name), caseTimeout)
			results.judge(t, g.Cases[0], sdk, time.Since(began), err)
		})
	}
	results.add(sleepRow)
	todo = append(todo, func() {
		began := time.Now()
		err := sleep(pages["awake"], pages["asleep"], sleeper.Freeze)
		results.judge(t, sleepRow, sdk, time.Since(began), err)
	})
	var wg sync.WaitGroup
	for _, fault := range todo {
		wg.Go(fault)
	}
	wg.Wait()
}

const sleepRow = "laptop sleeps"

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
	return errors.Join(err, run(asleep, "asleep", 1), run(awake, "awake", 2))
}

// newMortal starts a server that is killed and started again, on the same data and ports, when a page asks for it.
func newMortal(t *testing.T, pages *pages) *stage {
	t.Helper()
	data := t.TempDir()
	http, rtc := freePort(t, "tcp"), freePort(t, "udp")
	start := func() (*testserver.Server, error) {
		return testserver.Start(context.Background(), testserver.Config{DataDir: data,
			Args: []string{"--addr", "127.0.0.1:" + http, "--rtc-port", rtc}})
	}
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testserver.End(t, server) })
	s := &stage{server: server, pages: pages}
	s.template = s.makeTemplate(t)
	pages.restart = func() error {
		if err := server.Kill(); err != nil {
			return err
		}
		time.Sleep(restartTime)
		again, err := start()
		if err == nil {
			server = again
		}
		return err
	}
	return s
}

// freePort returns a port that nobody uses at the moment.
func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		conn, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port)
	}
	listener, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// restarts is what a page posts to.
func (p *pages) restarts(w http.ResponseWriter, _ *http.Request) {
	if err := p.restart(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// judge writes down how a fault ended.
func (tb *table) judge(t *testing.T, row, sdk string, took time.Duration, err error) {
	if err != nil {
		tb.set(row, sdk, "FAIL")
		t.Errorf("%s with %s, after %v: %v", row, sdk, took.Round(time.Second), err)
		return
	}
	tb.set(row, sdk, fmt.Sprintf("pass (%v)", took.Round(time.Second)))
}

// add makes a row, unless it is there.
func (tb *table) add(row string) {
	if !strings.Contains("\n"+strings.Join(tb.rows, "\n")+"\n", "\n"+row+"\n") {
		tb.rows = append(tb.rows, row)
	}
}
