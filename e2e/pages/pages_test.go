package pages

import (
	"fmt"
	"testing"

	"amphi/e2e/testbrowser"
)

// TestPages walks through the site and a meeting, and looks at each state of it.
func TestPages(t *testing.T) {
	l := newLab(t)
	v := l.visitor("visitor", testbrowser.PageConfig{Camera: 7})
	for _, site := range []struct{ name, path string }{
		{"start", "/"}, {"docs-sdk", "/docs/sdk"}, {"docs-api", "/docs/api"}, {"docs-hosting", "/docs/hosting"}, {"not-found", "/meeting/abc-defg-hij"},
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

	crowd := enter(t, l.server, room, stage, 1, "")
	v.pictures(2)
	v.look("stage-2")
	crowd = append(crowd, enter(t, l.server, room, stage, 7, "")...)
	crowd = append(crowd, enter(t, l.server, room, floor, 2, "")...)
	v.pictures(9)
	v.look("stage-9")
	v.click(id("more-open"))
	v.look("more-menu")
	v.click(id("view-speaker"))
	v.sees(".stage-large " + id("tile"))
	v.look("speaker-view")
	v.click(id("more-open"))
	v.click(id("view-grid"))

	v.must(v.Type(id("chat-input"), "Welcome, everybody! The slides are at https://example.org/slides"))
	v.click(id("chat-send"))
	v.waits(`E2E.one('[data-testid="chat-message"]')`)
	v.must(v.Eval(`E2E.one('[data-testid="pin-message"]').focus()`, nil))
	v.presses(testbrowser.Enter)
	v.sees(id("pinned-message"))
	crowd[8].hand(t, true)
	crowd[2].hand(t, true)
	crowd[0].writes(t, "Hello from the stage")
	v.look("chat")
	v.click(id("people-open"))
	v.waits(`E2E.all('[data-testid="person"][data-hand="raised"]').length === 2`)
	v.look("people")
	if first := v.is(`E2E.all('[data-testid="person"]')[0].dataset.role === ` + quote(floor)); !first {
		t.Error("who raised a hand first is not first in the list")
	}
	v.must(v.Type(id("people-search"), "ada"))
	v.waits(`E2E.all('[data-testid="person"]').length === 3`)

	v.click(id("polls-open"))
	v.look("polls-none")
	v.click(id("poll-new"))
	v.click(`label:has(` + id("poll-kind-quiz") + `)`)
	v.must(v.Type(id("poll-title"), "Warm-up"))
	v.must(v.Type(id("poll-question"), "Who wrote the first program?"))
	for i, option := range []string{"Ada Lovelace", "Alan Turing"} {
		v.must(v.Type(fmt.Sprintf(".poll-option:nth-of-type(%d) %s", i+1, id("poll-option")), option))
	}
	v.look("poll-form")
	v.click(id("poll-start"))
	v.sees(id("poll-vote"))
	v.look("poll-running")
	v.click("label:has(" + id("poll-choice") + ")")
	v.click(id("poll-vote"))
	v.seesNot(id("poll-vote"))
	v.click(id("poll-end"))
	v.click(id("poll-board"))
	v.sees(id("board-entry"))
	v.waits(`E2E.one('[data-testid="poll-result"][data-votes="1"]')`)
	v.look("poll-ended")

	leave(t, crowd[1:]) // the rest is about one picture, or two
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
	v.presses("?", testbrowser.Shift)
	v.sees(id("help-dialog"))
	v.look("help")
	v.presses(testbrowser.Escape)
	v.click(id("leave-more"))
	v.look("leave-menu")
	v.click(id("end-room"))
	v.look("end-dialog")
	v.click(id("confirm-ok"))
	v.sees(`main[data-view="ended"]`)
	v.look("ended")
}
