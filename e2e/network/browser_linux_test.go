package network

import (
	"context"
	"fmt"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// browserOn runs a Chromium on a host until the test ends.
func (l *lab) browserOn(host *Host) *testbrowser.Browser {
	l.t.Helper()
	browser, err := testbrowser.Start(context.Background(), testbrowser.Config{Prefix: host.Prefix(), SecureOrigin: l.server.URL})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := browser.Close(); err != nil {
			l.t.Errorf("close the browser of %s: %v", host.Name, err)
		}
	})
	return browser
}

// surfer is somebody in a meeting page.
type surfer struct {
	*testbrowser.Page
	view
}

// surf lets somebody enter a room by its link. Broadcasters film the clock.
func (l *lab) surf(browser *testbrowser.Browser, room *testserver.Room, role, name string) *surfer {
	l.t.Helper()
	camera := 0
	if role == broadcaster {
		camera = 1
	}
	page, err := browser.Open(testbrowser.PageConfig{Camera: camera})
	if err != nil {
		l.t.Fatal(err)
	}
	testserver.KeepPage(l.t, name, page)
	err = page.Goto(l.server.URL + "/meeting/" + room.Codes[role])
	if err == nil {
		err = page.Type(`[data-testid="join-name"]`, name)
	}
	if err == nil {
		err = page.Click(`[data-testid="join-button"]`)
	}
	if err == nil {
		err = page.Wait(`document.querySelector('main[data-view="stage"], main[data-view="floor"]')`, within)
	}
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return &surfer{page, view{t: l.t, who: name}}
}

// look collects what a page shows of somebody until the test ends.
func (s *surfer) look(of string) {
	s.t.Helper()
	begin := fmt.Sprintf(`((video) => video && (E2E.reader = LatencyProbe.read(video), E2E.video = video))(
		E2E.all('[data-testid="tile"][data-peer-name="%s"] video').find((video) => video.videoWidth > 0))`, of)
	if err := s.Wait(begin, within); err != nil {
		s.t.Fatalf("%s sees no picture of %s: %v", s.who, of, err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	s.t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			s.collect()
		}
	}()
}

func (s *surfer) collect() {
	var seen struct {
		Width   int
		Samples []struct{ Delay, At float64 } // milliseconds
	}
	if err := s.Eval(`({ width: E2E.video.videoWidth, samples: E2E.reader.samples.splice(0) })`, &seen); err != nil {
		return // the page is busy, or closes
	}
	for _, x := range seen.Samples {
		at := time.UnixMicro(int64(x.At * 1000))
		s.add(shown{picture{Filmed: at.Add(-time.Duration(x.Delay * float64(time.Millisecond))).UnixMicro(), Width: seen.Width}, at})
	}
}

// wide is the width of the picture that was seen last.
func (s *surfer) wide() int {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	if len(s.shown) == 0 {
		return 0
	}
	return s.shown[len(s.shown)-1].Width
}

// narrower waits for pictures of less than a width, and returns how long after a moment the first of them came.
func (s *surfer) narrower(than int, from time.Time, patience time.Duration) (after time.Duration, ok bool) {
	for ; time.Since(from) < patience; time.Sleep(50 * time.Millisecond) {
		for _, p := range s.since(from) {
			if p.Width > 0 && p.Width < than {
				return p.at.Sub(from), true
			}
		}
	}
	return 0, false
}

// TestBrowser: the same faults for a real browser that receives simulcast, one after the other. Ann is filmed and Cleo
// watches on one machine with a good line; Val has the bad one.
func TestBrowser(t *testing.T) {
	l := newLab(t, nil)
	room := l.layered("browser")
	good, bad := newHost(t, l.net, "good"), newHost(t, l.net, "bad")
	theirs := l.browserOn(good)
	l.surf(theirs, room, broadcaster, "Ann")
	hers := l.browserOn(bad)
	cleo, val := l.surf(theirs, room, viewer, "Cleo"), l.surf(hers, room, viewer, "Val")
	joined := time.Now()
	cleo.look("Ann")
	val.look("Ann")
	cleo.watches(joined)
	val.watches(joined)

	// spend reports what both see for a while.
	spend := func(name string, length time.Duration) (others, own sight) {
		begin := time.Now()
		time.Sleep(length)
		cleo.collect()
		val.collect()
		others, own = cleo.saw(begin, time.Now()), val.saw(begin, time.Now())
		own.report(t, "browser."+name)
		others.report(t, "browser."+name+".others")
		return others, own
	}
	recover := func(name string) {
		t.Helper()
		took := val.watches(time.Now())
		figure(t, "browser."+name+".recovery", millis(took), "ms")
		if took > slowest {
			t.Errorf("%s: Val sees normally again only after %v", name, took)
		}
	}
	calm, before := spend("calm", 4*time.Second)

	bad.Set(badLine, badLine)
	if _, own := spend("loss_5_jitter", 10*time.Second); own.pictures < 30 {
		t.Errorf("%d pictures in ten seconds of loss", own.pictures)
	}
	bad.Set(Link{}, Link{})
	recover("loss_5_jitter")

	bad.Set(Link{Down: true}, Link{Down: true})
	time.Sleep(time.Second)
	bad.Set(Link{}, Link{})
	recover("outage_1s")

	// A line that is too narrow for the best layer: Val gets a lesser one, and sees it without long pauses.
	begin := time.Now()
	bad.Set(Link{}, Link{Rate: 300_000})
	lower, ok := val.narrower(before.width, begin, 3*time.Second+slowest)
	others, own := spend("slow_300k", 10*time.Second)
	figure(t, "browser.slow_300k.lower_layer", millis(lower), "ms")
	if !ok || own.pictures < others.pictures/3 {
		t.Errorf("Val sees %d pictures, others %d; a lesser layer came: %v", own.pictures, others.pictures, ok)
	}
	bad.Set(Link{}, Link{})
	recover("slow_300k")
	wide := time.Now()
	for val.wide() < before.width && time.Since(wide) < within {
		time.Sleep(100 * time.Millisecond)
	}
	figure(t, "browser.slow_300k.best_layer", millis(time.Since(wide)), "ms")
	if took := time.Since(wide); took > widens+slowest {
		t.Errorf("Val gets the best layer again only after %v", took)
	}
	if others.pictures < calm.pictures { // in more than twice the time
		t.Errorf("the others see %d pictures in 10 s while Val's line is slow, %d in 4 s before", others.pictures, calm.pictures)
	}

	moved := time.Now()
	if err := bad.Move(); err != nil {
		t.Fatal(err)
	}
	const onTheWay = 500 * time.Millisecond
	figure(t, "browser.move.recovery", millis(val.watches(moved.Add(onTheWay))+onTheWay), "ms")

	val.Close()
	bad.Set(Link{Block: NoUDP}, Link{Block: NoUDP})
	joined = time.Now()
	tia := l.surf(hers, room, viewer, "Tia")
	tia.look("Ann")
	figure(t, "browser.no_udp.first_picture", millis(tia.watches(joined)), "ms")
}
