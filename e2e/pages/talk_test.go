package pages

import (
	"fmt"
	"testing"

	"amphi/e2e/testbrowser"
)

// chooses takes an entry of a list, whose popup is the system's and no part of the page.
func (v *visitor) chooses(list, entry string) {
	v.t.Helper()
	v.waits(fmt.Sprintf(`(() => {
		const list = E2E.one(%s);
		const entry = [...list?.options ?? []].find((option) => option.textContent.trim() === %s);
		if (!entry) return false;
		list.value = entry.value;
		list.dispatchEvent(new Event('change', { bubbles: true }));
		return true;
	})()`, quote(list), quote(entry)))
}

// says sends a message to everybody, to a role or to one person.
func (v *visitor) says(to, text string) {
	v.t.Helper()
	v.chooses(id("chat-to"), to)
	v.must(v.Type(id("chat-input"), text))
	v.click(id("chat-send"))
	v.hears("Ann", text)
}

// has is the expression that a message was read here.
func has(from, text string) string {
	return fmt.Sprintf(`E2E.all('[data-testid="chat-message"]').some((message) => message.dataset.from === %s && message.textContent.includes(%s))`,
		quote(from), quote(text))
}

func (v *visitor) hears(from, text string) {
	v.t.Helper()
	v.waits(has(from, text))
}

// TestTalk writes to one person, to a role and to everybody, pins a message, and takes the first of two raised hands on stage.
func TestTalk(t *testing.T) {
	l := newLab(t)
	room := l.room("talk", "")
	ann := l.visitor("ann", testbrowser.PageConfig{Camera: 1})
	ben := l.visitor("ben", testbrowser.PageConfig{Camera: 2})
	flo := l.visitor("flo", testbrowser.PageConfig{Camera: 3})
	l.joins(ann, room, stage, "Ann", "stage")
	l.joins(ben, room, stage, "Ben", "stage")
	l.joins(flo, room, floor, "Flo", "floor")

	const forBen, forFloor, forAll = "between you and me", "down there", "good evening"
	ann.says("Ben", forBen)
	ann.says(floor, forFloor)
	ann.says("everybody", forAll)
	ben.hears("Ann", forBen)
	ben.sees(id("chat-message") + " .message-to")
	flo.hears("Ann", forFloor)
	for who, v := range map[string]*visitor{"Ben": ben, "Flo": flo} {
		v.hears("Ann", forAll) // it comes after the others
		other := map[string]string{"Ben": forFloor, "Flo": forBen}[who]
		if v.is(has("Ann", other)) {
			t.Errorf("%s read what was written to others", who)
		}
	}

	// What is for some is not pinned for all.
	if n := 0; ann.Eval(`E2E.all('[data-testid="pin-message"]').length`, &n) != nil || n != 1 {
		t.Errorf("%d messages can be pinned", n)
	}
	ann.must(ann.Eval(`E2E.one('[data-testid="pin-message"]').focus()`, nil))
	ann.presses(testbrowser.Enter)
	for _, v := range []*visitor{ann, ben, flo} {
		v.waits(`E2E.one('[data-testid="pinned-message"]')?.textContent.includes(` + quote("Ann: "+forAll) + `)`)
	}
	if flo.is(`E2E.one('[data-testid="unpin"]')`) {
		t.Error("the floor may unpin")
	}
	ben.click(id("unpin"))
	for _, v := range []*visitor{ann, flo} {
		v.seesNot(id("pinned-message"))
	}

	ann.click(id("people-open"))
	first := enter(t, l.server, room, floor, 1, "")[0]
	first.hand(t, true)
	ann.sees(id("person") + `[data-hand="raised"]`)
	flo.click(id("raise-hand"))
	ann.waits(`JSON.stringify(E2E.all('[data-testid="person"][data-hand="raised"]').map((person) => person.dataset.peerName)) === ` +
		quote(`["`+names[0]+`","Flo"]`))
	ann.click(`[data-peer-name="Flo"] ` + id("person-menu"))
	ann.click(`[data-peer-name="Flo"] ` + id("bring-on-stage"))
	flo.click(id("role-request-accept"))
	flo.sees(`main[data-view="stage"]`)
	ann.sees(id("tile") + `[data-peer-name="Flo"]`)
	ann.sees(id("person") + `[data-peer-name="Flo"][data-level="stage"]`)
}
