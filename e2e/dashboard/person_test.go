package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// People read, click on what is written there, and type: what a page is made of is not their matter.

// lab is a server that nobody has used yet, and a browser.
type lab struct {
	t       *testing.T
	server  *testserver.Server
	browser *testbrowser.Browser
	said    *said
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
	return &lab{t, server, browser, &said{}}
}

func (l *lab) guest(name string, cfg testbrowser.PageConfig) *guest {
	l.t.Helper()
	page, err := l.browser.Open(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	testserver.KeepPage(l.t, name, page)
	return &guest{page, l.t, l.server, l.said}
}

// could ends the test when somebody could not do something, with what the page says.
func (g *guest) could(err error, format string, args ...any) {
	g.t.Helper()
	if err != nil {
		var shown string
		_ = g.Eval(`location.pathname + '\n' + document.body.innerText.slice(0, 1500)`, &shown)
		g.t.Fatalf("%s: %v\nThe page is %s", fmt.Sprintf(format, args...), err, shown)
	}
}

// marked finds elements by what is written on them or beside them, and marks the first that is visible for a selector.
const marked = `((find) => {
	for (const old of document.querySelectorAll('[data-e2e]')) old.removeAttribute('data-e2e');
	const dialog = [...document.querySelectorAll('dialog[open]')].at(-1) ?? document;
	const found = find(dialog).find((element) => element && E2E.visible(element) && !element.disabled);
	if (!found) return false;
	found.setAttribute('data-e2e', '');
	return true;
})`

const mark = `[data-e2e]`

// presses clicks on a link, a button or a tab by what it says, in the dialog that is open, if there is one.
func (g *guest) presses(text string) {
	g.t.Helper()
	g.finds(text, fmt.Sprintf(`(root) => [...root.querySelectorAll('a, button, summary, label, [role=tab], [role=switch]')].filter((element) =>
		[element.innerText?.trim(), element.getAttribute('aria-label'), element.title].includes(%s))`, quote(text)))
	g.could(g.Click(mark), "click on %q", text)
	g.said.note(text)
}

// fills types into the field of a label.
func (g *guest) fills(label, text string) {
	g.t.Helper()
	g.field(label)
	g.could(g.Type(mark, text), "fill in %q", label)
	g.said.note(label)
}

// chooses takes one of a list, by the field's label and what the option says.
func (g *guest) chooses(label, option string) {
	g.t.Helper()
	g.field(label)
	chosen := false
	err := g.Eval(fmt.Sprintf(`((select) => {
		const option = [...select.options].find((option) => option.text.trim() === %s);
		if (!option) return false;
		select.value = option.value;
		select.dispatchEvent(new Event('input', { bubbles: true }));
		select.dispatchEvent(new Event('change', { bubbles: true }));
		return true;
	})(document.querySelector(%s))`, quote(option), quote(mark)), &chosen)
	if err == nil && !chosen {
		err = fmt.Errorf("there is no such option")
	}
	g.could(err, "choose %q for %q", option, label)
	g.said.note(label, option)
}

func (g *guest) field(label string) {
	g.t.Helper()
	g.finds(label, fmt.Sprintf(`(root) => [...root.querySelectorAll('label')].filter((label) => label.innerText.trim() === %s).map((label) => label.control)`, quote(label)))
}

func (g *guest) finds(what, find string) {
	g.t.Helper()
	g.could(g.Wait(marked+"("+find+")", patience), "look for %q", what)
}

// reads waits until the page says something.
func (g *guest) reads(text string) {
	g.t.Helper()
	g.could(g.Wait("document.body.innerText.includes("+quote(text)+")", patience), "read %q", text)
	g.said.note(text)
}

// quote makes a JavaScript string.
func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}
