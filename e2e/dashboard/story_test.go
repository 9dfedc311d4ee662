// Package dashboard plays what somebody does who has just started a server: everything by clicking, from the link on the
// console to the recording of a stream.
package dashboard

import (
	"fmt"
	"regexp"
	"testing"

	"amphi/e2e/testbrowser"
)

var firstLink = regexp.MustCompile(`/dashboard/link/\w+`)

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
	broadcaster, viewer := ann.linkOf("Join as broadcaster"), ann.linkOf("Join as hls-viewer")

	// She takes the stage and goes live, and somebody watches.
	stage := l.guest("stage", testbrowser.PageConfig{Camera: 7})
	stage.opens(broadcaster)
	stage.types(id("join-name"), "Ann")
	stage.clicks(id("join-button"))
	stage.waits(`document.querySelector('main[data-view="stage"]')`)
	stage.clicks(id("go-live"))
	stage.waits(`E2E.one('[data-testid="live-badge"]')`)
	vic := l.guest("vic", testbrowser.PageConfig{})
	vic.opens(viewer)
	vic.types(id("join-name"), "Vic")
	vic.clicks(id("join-button"))
	vic.plays(16, 9)

	for _, place := range []string{"Rooms", "Sessions", "Recordings", "Members", "Audit log"} {
		ann.presses(place)
		ann.reads(place)
		ann.looks(place)
	}
}

// linkOf is where a link leads.
func (g *guest) linkOf(text string) (path string) {
	g.t.Helper()
	g.finds(text, fmt.Sprintf(`(root) => [...root.querySelectorAll('a')].filter((link) => link.innerText.trim() === %s)`, quote(text)))
	g.must(g.Eval("document.querySelector("+quote(mark)+").getAttribute('href')", &path))
	return path
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
