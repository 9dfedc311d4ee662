package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"amphi/e2e/probe"
	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// Roles of the Starter Kit: one for each level.
const (
	broadcaster = "broadcaster"     // level 1, stage
	viewer      = "viewer-realtime" // level 2, floor
	hlsViewer   = "hls-viewer"      // level 3, gallery
)

// lab is a server and a browser for one test.
type lab struct {
	t       *testing.T
	server  *testserver.Server
	browser *testbrowser.Browser
	page    testbrowser.PageConfig // of everybody who joins, but for the camera
}

// newLab runs a server and a browser until the test ends.
func newLab(t *testing.T, args ...string) *lab {
	t.Helper()
	server := testserver.Run(t, args...)
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

// room makes a room of the Starter Kit with a code for each role.
func (l *lab) room() *testserver.Room {
	l.t.Helper()
	room, err := l.server.NewRoom(l.t.Context(), strings.ReplaceAll(strings.ToLower(l.t.Name()), "/", "-")+time.Now().Format("-150405"), "")
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}

// open makes a page whose end state is kept if the test fails.
func (l *lab) open(name string, cfg testbrowser.PageConfig) *testbrowser.Page {
	l.t.Helper()
	page, err := l.browser.Open(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	testserver.KeepPage(l.t, name, page)
	return page
}

// person is somebody in a meeting page. Its methods end the test when the person cannot do or see a thing.
type person struct {
	*testbrowser.Page
	t    *testing.T
	name string
}

// join lets somebody enter a room the way people do: by the link, with a name and a click. The camera films the
// probe's clock under the given id.
func (l *lab) join(room *testserver.Room, role, name string, camera int) *person {
	l.t.Helper()
	cfg := l.page
	cfg.Camera = camera
	p := &person{Page: l.open(name, cfg), t: l.t, name: name}
	code := room.Codes[role]
	if code == "" {
		l.t.Fatalf("the room has no code for %s: %v", role, room.Codes)
	}
	if err := p.Goto(l.server.URL + "/meeting/" + code); err != nil {
		l.t.Fatal(err)
	}
	p.view("preview")
	p.typeInto("join-name", name)
	p.click("join-button")
	return p
}

// fatal ends the test with what this person could not do.
func (p *person) fatal(err error, format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s %s: %v", p.name, fmt.Sprintf(format, args...), err)
}

// testID is the selector of an element by its hook for tests.
func testID(id string) string { return fmt.Sprintf(`[data-testid=%q]`, id) }

// tile is the selector of somebody's tile.
func tile(name string) string { return fmt.Sprintf(`[data-testid="tile"][data-peer-name=%q]`, name) }

// inList is the selector of somebody's entry in the people list.
func inList(name string) string {
	return fmt.Sprintf(`[data-testid="person"][data-peer-name=%q]`, name)
}

// quote makes a JavaScript string.
func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func (p *person) click(id string) {
	p.t.Helper()
	if err := p.Click(testID(id)); err != nil {
		p.fatal(err, "clicks on %s", id)
	}
}

func (p *person) typeInto(id, text string) {
	p.t.Helper()
	if err := p.Type(testID(id), text); err != nil {
		p.fatal(err, "types into %s", id)
	}
}

// sees waits until an element is visible.
func (p *person) sees(selector string, atMost time.Duration) {
	p.t.Helper()
	if err := p.Wait("E2E.one("+quote(selector)+")", atMost); err != nil {
		p.fatal(err, "sees %s", selector)
	}
}

// seesNot waits until no such element is visible.
func (p *person) seesNot(selector string, atMost time.Duration) {
	p.t.Helper()
	if err := p.Wait("!E2E.one("+quote(selector)+")", atMost); err != nil {
		p.fatal(err, "does not see %s any more", selector)
	}
}

// has reports whether an element is visible now.
func (p *person) has(selector string) bool {
	p.t.Helper()
	var has bool
	if err := p.Eval("E2E.one("+quote(selector)+") !== null", &has); err != nil {
		p.fatal(err, "looks for %s", selector)
	}
	return has
}

// view waits until the page is where it should be: preview, stage, floor, gallery or ended.
func (p *person) view(want string) {
	p.t.Helper()
	if err := p.Wait(fmt.Sprintf(`document.querySelector('main[data-view=%q]')`, want), 20*time.Second); err != nil {
		p.fatal(err, "comes to the view %q", want)
	}
}

// within opens a panel unless something of it is visible already, and closes it unless it was.
func (p *person) within(opener, content string, do func()) {
	p.t.Helper()
	if !p.has(testID(content)) {
		p.click(opener)
		p.sees(testID(content), 5*time.Second)
	}
	do()
}

// says sends a chat message to all.
func (p *person) says(text string) {
	p.t.Helper()
	p.within("chat-open", "chat-input", func() {
		p.typeInto("chat-input", text)
		p.click("chat-send")
	})
}

// reads waits for a chat message.
func (p *person) reads(text string) {
	p.t.Helper()
	p.within("chat-open", "chat-input", func() {
		expression := fmt.Sprintf(`E2E.all(%s).some((message) => message.textContent.includes(%s))`, quote(testID("chat-message")), quote(text))
		if err := p.Wait(expression, 10*time.Second); err != nil {
			p.fatal(err, "reads %q", text)
		}
	})
}

// reacts sends an emoji to all.
func (p *person) reacts(emoji string) {
	p.t.Helper()
	p.within("emoji-open", "emoji-"+emoji, func() { p.click("emoji-" + emoji) })
}

// opensPeople shows the list of people.
func (p *person) opensPeople() {
	p.t.Helper()
	p.within("people-open", "person", func() {})
}

// moves uses the menu of somebody in the people list; the action is its hook.
func (p *person) moves(name, action string) {
	p.t.Helper()
	p.opensPeople()
	if err := p.Click(inList(name) + " " + testID("person-menu")); err != nil {
		p.fatal(err, "opens the menu of %s", name)
	}
	p.click(action)
}

// hears waits until so many received sound tracks carry sound.
func (p *person) hears(tracks int) {
	p.t.Helper()
	err := p.Wait(fmt.Sprintf(`E2E.inbound().then(({ audio }) => audio.filter(({ energy }) => energy > 1e-4).length >= %d)`, tracks), 15*time.Second)
	if err != nil {
		p.fatal(err, "hears %d people", tracks)
	}
}

// watches waits until somebody's tile shows the picture of the right camera, moving.
func (p *person) watches(name string, camera int) probe.Summary {
	p.t.Helper()
	return p.finds(tile(name)+" video", 2*time.Second, camera)[camera]
}

// finds measures a video until it shows all these cameras, and moves: some different times on each clock. It measures for
// longer each time, as of a busy machine a second may have less than that to show.
func (p *person) finds(selector string, length time.Duration, cameras ...int) map[int]probe.Summary {
	p.t.Helper()
	var last error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); length += length / 2 {
		summaries, err := p.Measure(selector, 0, length)
		if err != nil {
			p.fatal(err, "watches %s", selector)
		}
		last = nil
		for _, camera := range cameras {
			if summaries[camera].Count < 3 {
				last = errors.Join(last, fmt.Errorf("camera %d: %+v", camera, summaries[camera]))
			}
		}
		if last == nil {
			return summaries
		}
	}
	var seen struct {
		Summary probe.Summary
		Video   string
	}
	_ = p.Eval(`({ summary: E2E.reader.summary(), video: E2E.reader.state() })`, &seen)
	p.fatal(last, "watches %s (%s): %+v;", selector, seen.Video, seen.Summary)
	return nil
}

// decodes returns how many pictures arrived over WebRTC and were decoded, over all tracks.
func (p *person) decodes() (frames int) {
	p.t.Helper()
	if err := p.Eval(`E2E.inbound().then(({ video }) => video.reduce((sum, { frames }) => sum + frames, 0))`, &frames); err != nil {
		p.fatal(err, "counts pictures")
	}
	return frames
}

// hlsVideo is the player of the gallery.
const hlsVideo = `video[data-testid="hls-video"], [data-testid="hls-video"] video`

// playsHLS waits until the gallery's player goes on.
func (p *person) playsHLS(atMost time.Duration) {
	p.t.Helper()
	err := p.Wait(fmt.Sprintf(`E2E.all(%s).some((video) => video.currentTime > 0 && !video.paused && video.readyState >= 3 && video.videoWidth > 0)`,
		quote(hlsVideo)), atMost)
	if err != nil {
		p.fatal(err, "plays the stream")
	}
}
