package pages

import (
	"testing"

	"amphi/e2e/testbrowser"
)

// TestPages walks through the site and a meeting, and looks at each state of it.
func TestPages(t *testing.T) {
	l := newLab(t)
	v := l.visitor("visitor", testbrowser.PageConfig{Camera: 7})
	for _, site := range []struct{ name, path string }{
		{"start", "/"}, {"docs-sdk", "/docs/sdk"}, {"docs-api", "/docs/api"}, {"not-found", "/meeting/abc-defg-hij"},
	} {
		l.opens(v, site.path)
		v.look(site.name)
	}

	room := l.room("town-hall", "")
	l.opens(v, "/meeting/"+room.Codes[stage])
	v.sees(id("join-button"))
	v.waits(`document.querySelector('.preview-picture video')?.videoWidth > 0`)
	v.look("preview-stage")
	v.must(v.Type(id("join-name"), "Ann"))
	v.click(id("join-button"))
	v.sees(`main[data-view="stage"]`)
	v.sees(id("tile"))
	v.look("stage-1")

	two := enter(t, l.server, room, stage, 1, "")
	v.waits(`E2E.all('[data-testid="tile"] video').filter((video) => video.videoWidth > 0).length === 2`)
	v.look("stage-2")
	for _, panel := range []string{"people", "chat"} {
		if !v.is(`E2E.one('aside[aria-label="` + panel + `" i]')`) {
			v.click(id(panel + "-open"))
		}
		v.look(panel)
	}
	two.leave(t)

	watcher := l.visitor("watcher", testbrowser.PageConfig{})
	l.opens(watcher, "/streaming/meeting/"+room.Codes[gallery])
	watcher.sees(id("join-button"))
	watcher.look("preview-gallery")
	watcher.must(watcher.Type(id("join-name"), "Hal"))
	watcher.click(id("join-button"))
	watcher.sees(id("stream-state"))
	watcher.look("gallery-waiting")
	v.click(id("go-live"))
	v.sees(id("live-badge"))
	watcher.waits(`E2E.one('[data-testid="stream-state"][data-state="playing"]')`)
	watcher.look("gallery-live")
	v.look("stage-live")

	v.click(id("settings-open"))
	v.look("settings")
	v.click(id("settings-close"))
	v.click(id("leave-more"))
	v.look("leave-menu")
	v.click(id("end-room"))
	v.look("end-dialog")
	v.click(id("confirm-ok"))
	v.sees(`main[data-view="ended"]`)
	v.look("ended")
}
