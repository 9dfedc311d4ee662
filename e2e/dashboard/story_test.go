// Package dashboard plays what somebody does who has just started a server: everything by clicking, from the link on the
// console to the recording of a stream.
package dashboard

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

var firstLink = regexp.MustCompile(`/dashboard/link/\w+`)

// TestStory follows the README's tours by the words that are written there.
func TestStory(t *testing.T) {
	l := newLab(t)
	ann := l.guest("ann", testbrowser.PageConfig{})

	// The console's link makes her the admin.
	ann.opens(firstLink.FindString(l.server.Log()))
	ann.looks("welcome")
	ann.fills("Your name", "Ann Archer")
	ann.fills("E-mail", "ann@example.org")
	ann.fills("Password", password)
	ann.presses("Go to the dashboard")

	ann.at("/dashboard/apps", "Apps")

	// The start page has a link for each role of the room that is there from the beginning.
	ann.opens("/")
	for _, role := range []string{"broadcaster", "viewer-realtime", "hls-viewer"} {
		ann.reads(role)
	}
	ann.looks("start-quiet")
	ann.opens("/dashboard/apps")

	// An app of the Starter Kit, whose streams are recorded.
	ann.at("/dashboard/apps", "Apps")
	ann.looks("apps")
	ann.presses("New app")
	ann.looks("kits")
	ann.presses("Live Streaming")
	ann.fills("Name", "Evening show")
	ann.fills("Subdomain", "evening")
	ann.reads("evening is free")
	ann.chooses("Region", "Europe")
	ann.chooses("Record every stream", "Yes, as both")
	ann.looks("new-app")
	ann.presses("Create")
	ann.reads("Join as broadcaster")
	ann.looks("app")
	broadcaster, follower, viewer := ann.linkOf("Join as broadcaster"), ann.linkOf("Join as viewer-realtime"), ann.linkOf("Join as hls-viewer")
	ann.presses("Join as broadcaster") // in a tab of its own

	// She takes the stage and goes live, and somebody watches.
	stage := l.guest("stage", testbrowser.PageConfig{Camera: 7})
	stage.opens(broadcaster)
	stage.types(id("join-name"), "Ann")
	stage.presses("Join on stage")
	stage.waits(`document.querySelector('main[data-view="stage"]')`)
	stage.presses("Go live")
	stage.waits(`E2E.one('[data-testid="live-badge"]')`)
	vic := l.guest("vic", testbrowser.PageConfig{})
	vic.opens(viewer)
	vic.types(id("join-name"), "Vic")
	vic.clicks(id("join-button"))
	vic.plays(16, 9)

	// Somebody from the floor raises a hand, comes on stage, and goes to watch.
	fay := l.guest("fay", testbrowser.PageConfig{})
	fay.opens(follower)
	fay.types(id("join-name"), "Fay")
	fay.clicks(id("join-button"))
	fay.waits(`document.querySelector('main[data-view="floor"]')`)
	fay.presses("Raise hand")
	stage.clicks(id("people-open"))
	stage.waits(`E2E.one('[data-testid="person"][data-peer-name="Fay"][data-hand="raised"]')`)
	stage.presses("More about Fay")
	stage.presses("Bring on stage")
	fay.clicks(id("role-request-accept"))
	fay.waits(`document.querySelector('main[data-view="stage"]')`)
	stage.waits(`E2E.one('[data-testid="person"][data-peer-name="Fay"][data-level="stage"]')`)
	stage.presses("More about Fay")
	stage.presses("Move to gallery")
	fay.waits(`document.querySelector('main[data-view="gallery"]')`)

	// The dashboard shows who is where.
	ann.goes("Rooms")
	ann.presses("evening")
	ann.reads("broadcaster")
	ann.looks("room")
	ann.presses("Live")
	ann.reads("Vic")
	ann.looks("room-live")

	// The stream is made for phones while it runs.
	ann.goes("Apps")
	ann.presses("Evening show")
	ann.presses("Destinations")
	ann.reads("Static playback URL")
	ann.looks("destinations")
	ann.chooses("Layout", "Active speaker")
	ann.chooses("Shape", "9:16")
	ann.presses("Save the live stream")
	vic.plays(9, 16)
	ann.presses("Roles")
	ann.reads("viewer-realtime")
	ann.looks("roles")
	ann.presses("broadcaster")
	ann.looks("role")

	// They talk, and the show is over.
	vic.opensChat()
	vic.types(id("chat-input"), "hello from the gallery")
	vic.clicks(id("chat-send"))
	stage.opensChat()
	stage.reads("hello from the gallery")
	stage.presses("End stream")
	stage.clicks(id("confirm-ok"))
	vic.waits(`E2E.one('[data-testid="stream-state"][data-state="ended"]')`)

	// What is left of it.
	ann.goes("Recordings")
	ann.soon("ready")
	ann.looks("recordings")
	recording := ann.first(`^/dashboard/recordings/`)
	ann.opens(recording)
	ann.looks("recording")
	ann.goes("Sessions")
	ann.presses("evening")
	ann.looks("session")
	for _, place := range []string{"Members", "Audit log", "Rooms"} {
		ann.goes(place)
		ann.looks(place)
	}
	ann.presses("Developer")
	l.said.isTour(t)
}

// goes goes to a page of the navigation.
func (g *guest) goes(place string) {
	g.t.Helper()
	g.presses(place)
	g.could(g.Wait(`document.querySelector("main h1")?.innerText === `+quote(place), patience), "come to %s", place)
}

// where is the path of the page.
func (g *guest) where() (path string) {
	g.t.Helper()
	g.must(g.Eval("location.pathname", &path))
	return path
}

// soon loads the page until it says something.
func (g *guest) soon(text string) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		var there bool
		g.must(g.Eval("document.querySelector('main').innerText.includes("+quote(text)+")", &there))
		if there {
			return
		}
		if time.Now().After(deadline) {
			g.reads(text)
		}
		g.opens(g.where())
	}
}

// linkOf is where a link leads.
func (g *guest) linkOf(text string) (path string) {
	g.t.Helper()
	g.finds(text, fmt.Sprintf(`(root) => [...root.querySelectorAll('a')].filter((link) => link.innerText.trim() === %s)`, quote(text)))
	g.must(g.Eval("document.querySelector("+quote(mark)+").getAttribute('href')", &path))
	return path
}

// opensChat opens the chat unless it is open.
func (g *guest) opensChat() {
	g.t.Helper()
	var open bool
	if g.must(g.Eval("E2E.one("+quote(id("chat-input"))+") !== null", &open)); !open {
		g.clicks(id("chat-open"))
	}
}

// plays waits until the composed stream plays in a shape.
func (g *guest) plays(wide, high int) {
	g.t.Helper()
	g.could(g.Wait(fmt.Sprintf(`E2E.all('video[data-testid="hls-video"], [data-testid="hls-video"] video').some((video) =>
		video.currentTime > 0 && !video.paused && video.readyState >= 3 && Math.abs(video.videoWidth / video.videoHeight - %d / %d) < 0.01)`, wide, high), patience),
		"watch a stream of %d:%d", wide, high)
}

// id is the selector of an element of the meeting's pages.
func id(name string) string { return fmt.Sprintf("[data-testid=%q]", name) }
