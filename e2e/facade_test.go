package e2e

import (
	_ "embed"
	"fmt"
	"testing"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

//go:embed facade.js
var facadeScript string

// TestFacade uses the SDK as an application does, without the meeting pages.
func TestFacade(t *testing.T) {
	l := newLab(t)
	room := l.room()
	rare := l.another("rare")
	for name, call := range map[string]string{
		"watch":   fmt.Sprintf("watch(%q, %q)", room.Codes[broadcaster], room.Codes[viewer]),
		"trouble": fmt.Sprintf("trouble(%q)", room.Codes[broadcaster]),
		"rare":    fmt.Sprintf("rare(%q, %q)", rare.Codes[broadcaster], rare.Codes[hlsViewer]),
		"panic":   fmt.Sprintf("panic(%q)", l.another("panic").Codes[broadcaster]),
	} {
		page := l.open(name, testbrowser.PageConfig{Scripts: []string{facadeScript}})
		if err := page.Goto(l.server.URL + "/"); err != nil {
			t.Fatal(err)
		}
		if err := page.Eval("Facade."+call, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		page.Close()
	}
}

// another makes a second room for the same test.
func (l *lab) another(name string) *testserver.Room {
	l.t.Helper()
	room, err := l.server.NewRoom(l.t.Context(), "facade-"+name, "")
	if err != nil {
		l.t.Fatal(err)
	}
	return room
}
