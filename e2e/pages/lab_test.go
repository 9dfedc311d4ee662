package pages

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

var looks = flag.String("looks", "", "directory for a picture of each state; empty: none")

// patience is how long anything may take on a machine that does other things too.
const patience = 30 * time.Second

// lab is a server and a browser.
type lab struct {
	t       *testing.T
	server  *testserver.Server
	browser *testbrowser.Browser
}

func newLab(t *testing.T) *lab {
	t.Helper()
	server := testserver.Run(t)
	browser, err := testbrowser.Start(context.Background(), testbrowser.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := browser.Close(); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	return &lab{t: t, server: server, browser: browser}
}

// room makes a room of a template, of the Starter Kit with "".
func (l *lab) room(name, template string) *testserver.Room {
	l.t.Helper()
	room, err := l.server.NewRoom(l.t.Context(), name, template)
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}

// visitor is somebody with a page. Its methods end the test when the person cannot do or see a thing.
type visitor struct {
	*testbrowser.Page
	t *testing.T
}

func (l *lab) visitor(name string, cfg testbrowser.PageConfig) *visitor {
	l.t.Helper()
	page, err := l.browser.Open(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	testserver.KeepPage(l.t, name, page)
	return &visitor{page, l.t}
}

// opens goes to a page of the server.
func (l *lab) opens(v *visitor, path string) {
	l.t.Helper()
	v.must(v.Goto(l.server.URL + path))
}

// joins enters a room by the link.
func (l *lab) joins(v *visitor, room *testserver.Room, role, name, view string) {
	l.t.Helper()
	l.opens(v, "/meeting/"+room.Codes[role])
	v.sees(`main[data-view="preview"]`)
	v.must(v.Type(id("join-name"), name))
	v.click(id("join-button"))
	v.sees(`main[data-view="` + view + `"]`)
}

func (v *visitor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *visitor) click(selector string) {
	v.t.Helper()
	v.must(v.Click(selector))
}

// sees waits until an element is visible.
func (v *visitor) sees(selector string) {
	v.t.Helper()
	v.waits("E2E.one(" + quote(selector) + ")")
}

// seesNot waits until no such element is visible.
func (v *visitor) seesNot(selector string) {
	v.t.Helper()
	v.waits("!E2E.one(" + quote(selector) + ")")
}

// waits until an expression is true.
func (v *visitor) waits(expression string) {
	v.t.Helper()
	v.must(v.Wait(expression, patience))
}

// is evaluates a condition.
func (v *visitor) is(expression string) bool {
	v.t.Helper()
	var is bool
	v.must(v.Eval("Boolean("+expression+")", &is))
	return is
}

// presses a key, with others held.
func (v *visitor) presses(key string, held ...testbrowser.Modifier) {
	v.t.Helper()
	v.must(v.Press(key, held...))
}

// pictures waits until so many tiles show a picture.
func (v *visitor) pictures(n int) {
	v.t.Helper()
	v.waits(fmt.Sprintf(`E2E.all('[data-testid="tile"] video').filter((video) => video.videoWidth > 0).length >= %d`, n))
}

// tabs goes to an element by the keyboard.
func (v *visitor) tabs(selector string) {
	v.t.Helper()
	const most = 40
	if _, err := v.TabTo(selector, most); err != nil {
		v.t.Fatal(err)
	}
}

// id is the selector of an element by its hook for tests.
func id(name string) string { return fmt.Sprintf("[data-testid=%q]", name) }

// quote makes a JavaScript string.
func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

// Sizes of a desk's and of a phone's window.
const (
	deskWidth, deskHeight   = 1280, 800
	phoneWidth, phoneHeight = 390, 844
)

// misfits are what does not fit a phone: the page is wider than its window, or something to press is smaller than a
// fingertip (44 px by WCAG 2.5.5; links within a text may be smaller).
const misfits = `(() => {
	const found = [];
	if (document.documentElement.scrollWidth > innerWidth) found.push('the page is ' + document.documentElement.scrollWidth + ' px wide');
	for (const element of document.querySelectorAll('main.room button, main.room select, main.preview button, main.preview select, dialog button')) {
		const { width, height } = element.getBoundingClientRect();
		if (!E2E.visible(element) || element.closest('[data-small]')) continue;
		if (width < 43.5 || height < 43.5) found.push(Math.round(width) + ' x ' + Math.round(height) + ' px: ' + element.outerHTML.slice(0, 140));
	}
	return found;
})()`

// look holds what the page shows now against axe-core's rules in the light on a desk and in the dark on a phone, and keeps
// pictures of it if asked.
func (v *visitor) look(name string) {
	v.t.Helper()
	for _, as := range []struct {
		name          string
		width, height int
		dark, check   bool
	}{
		{"desk-dark", deskWidth, deskHeight, true, false},
		{"desk-light", deskWidth, deskHeight, false, true},
		{"phone-light", phoneWidth, phoneHeight, false, false},
		{"phone-dark", phoneWidth, phoneHeight, true, true},
	} {
		if !as.check && *looks == "" {
			continue
		}
		v.must(v.Resize(as.width, as.height))
		v.must(v.Prefer(as.dark, true))
		if *looks != "" {
			time.Sleep(400 * time.Millisecond) // what moves comes to rest
			png, err := v.Screenshot()
			v.must(err)
			v.must(os.MkdirAll(*looks, 0o755))
			v.must(os.WriteFile(filepath.Join(*looks, name+"-"+as.name+".png"), png, 0o644))
		}
		if !as.check {
			continue
		}
		// Videos are pictures of clocks here.
		findings, err := v.Axe("video")
		v.must(err)
		for _, finding := range findings {
			v.t.Errorf("%s, %s: %s", name, as.name, finding)
		}
		if as.width == phoneWidth {
			var found []string
			v.must(v.Eval(misfits, &found))
			if len(found) > 0 {
				v.t.Errorf("%s does not fit a phone:\n    %s", name, strings.Join(found, "\n    "))
			}
		}
	}
	v.must(v.Resize(deskWidth, deskHeight))
	v.must(v.Prefer(false, false))
}
