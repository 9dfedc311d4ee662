package pages

import (
	"testing"

	"amphi/e2e/testbrowser"
)

// TestKeyboard goes through a whole call without a mouse: every step is Tab, Enter, a letter or a shortcut.
func TestKeyboard(t *testing.T) {
	l := newLab(t)
	room := l.room("keyboard", "")
	others := enter(t, l.server, room, floor, 1, "")

	v := l.visitor("keyboard", testbrowser.PageConfig{Camera: 3})
	l.opens(v, "/meeting/"+room.Codes[stage])
	v.sees(id("join-button"))
	v.waits(`document.querySelector('.preview-picture video')?.videoWidth > 0`)
	v.tabs(id("toggle-mic"))
	v.presses(testbrowser.Space)
	v.sees(id("toggle-mic") + `[data-state="off"]`)
	v.tabs(id("test-speaker"))
	v.tabs(id("join-name"))
	for _, letter := range "Kim" {
		v.presses(string(letter))
	}
	v.presses(testbrowser.Enter)
	v.sees(`main[data-view="stage"]`)

	// Joining the room, the microphone stays off; the shortcut turns it on.
	v.sees(id("toggle-mic") + `[data-state="off"]`)
	v.presses("m", testbrowser.Alt)
	v.sees(id("toggle-mic") + `[data-state="on"]`)

	others[0].hand(t, true)
	v.waits(`E2E.one('[data-testid="news"]') || document.querySelector('[data-testid="news"]').textContent.includes('raised a hand')`)
	v.presses("p", testbrowser.Alt)
	v.tabs(`[data-testid="person"][data-hand="raised"] ` + id("person-menu"))
	v.presses(testbrowser.Enter)
	v.waits(`document.activeElement.dataset.testid === 'bring-on-stage'`)
	v.presses(testbrowser.ArrowDown)
	v.presses(testbrowser.ArrowUp)
	v.presses(testbrowser.Enter)
	v.waits(`!document.querySelector('[role="menu"]:popover-open')`)

	v.presses("c", testbrowser.Alt)
	v.waits(`document.activeElement.dataset.testid === 'chat-input'`)
	for _, letter := range "hi?" {
		v.presses(string(letter))
	}
	v.tabs(id("chat-send"))
	v.presses(testbrowser.Enter)
	v.waits(`E2E.all('[data-testid="chat-message"]').some((message) => message.textContent.includes('hi?'))`)
	if v.is(`document.querySelector('dialog[open]')`) {
		t.Error("a question mark in a message opened the help")
	}
	v.presses(testbrowser.Escape)
	v.seesNot(id("chat-input"))
	v.presses("?", testbrowser.Shift)
	v.sees(id("help-dialog"))
	v.presses(testbrowser.Escape)
	v.seesNot(id("help-dialog"))

	v.tabs(id("go-live"))
	v.presses(testbrowser.Enter)
	v.sees(id("live-badge"))
	v.waits(`document.querySelector('[data-testid="news"]').textContent === 'The stream is live.'`)
	v.tabs(id("more-open"))
	v.presses(testbrowser.Enter)
	v.sees(id("settings-open-more"))
	v.presses(testbrowser.Escape)
	v.tabs(id("leave-more"))
	v.presses(testbrowser.Enter)
	v.waits(`document.activeElement.closest('[role="menu"]')`)
	v.presses(testbrowser.ArrowDown)
	v.presses(testbrowser.Enter)
	v.sees(id("confirm-ok"))
	v.tabs(id("confirm-ok"))
	v.presses(testbrowser.Enter)
	v.sees(`main[data-view="ended"]`)
	v.waits(`document.activeElement.matches('h1')`) // what happened is read out
}
