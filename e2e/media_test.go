package e2e

import (
	"fmt"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

// TestMediaPage looks at two people's media with the operator's eyes.
func TestMediaPage(t *testing.T) {
	l := newLab(t)
	room := l.room()
	address := l.server.URL + "/debug/rooms/" + room.ID
	operator := &person{Page: l.open("operator", testbrowser.PageConfig{Width: 1280, Height: 900}), t: t, name: "the operator"}
	if err := operator.Goto(address); err != nil {
		t.Fatal(err)
	}
	operator.typeInto("token", l.server.Keys().AuthToken(room.ID, broadcaster, "nosy")) // lets people in, and shows nothing
	operator.click("enter")
	operator.sees(testID("problem"), 10*time.Second)
	operator.sees(testID("token"), 10*time.Second)
	operator.typeInto("token", l.server.Keys().Token(map[string]any{"type": "management"}))
	operator.click("enter")
	if err := operator.Wait(`document.querySelector(`+quote(testID("problem"))+`)?.textContent.includes("Nobody is in the room")`, 10*time.Second); err != nil {
		operator.fatal(err, "is told that nobody is in the room")
	}

	l.join(room, broadcaster, "Ann", 7).view("stage")
	l.join(room, viewer, "Bob", 0).view("floor")
	shown := func(name, what string) string {
		return fmt.Sprintf(`(() => {
			const peer = document.querySelector('[data-testid="peer"][data-peer-name=%q]');
			const table = [...peer?.querySelectorAll('table') ?? []].find((t) => t.rows[0].cells[0].textContent === %q);
			return table && [...table.tBodies[0].rows].filter((r) => parseFloat(r.cells[2]?.textContent) > 0).length === 2;
		})()`, name, what)
	}
	for _, row := range [][2]string{{"Ann", "Sends"}, {"Bob", "Gets"}} {
		if err := operator.Wait(shown(row[0], row[1]), 30*time.Second); err != nil {
			operator.fatal(err, "sees what %s %s", row[0], row[1])
		}
	}

	// With the token in the address, which it does not stay in; and on a phone.
	phone := &person{Page: l.open("phone", testbrowser.PageConfig{Width: 390, Height: 844}), t: t, name: "the operator on a phone"}
	if err := phone.Goto(address + "#token=" + l.server.Keys().Token(map[string]any{"type": "management"})); err != nil {
		t.Fatal(err)
	}
	if err := phone.Wait(shown("Ann", "Sends")+` && location.hash === "" && document.documentElement.scrollWidth <= innerWidth`, 30*time.Second); err != nil {
		phone.fatal(err, "sees Ann on a page without a token in its address and without a scrollbar at its side")
	}
}
