package e2e

import (
	_ "embed"
	"fmt"
	"testing"

	"amphi/e2e/testbrowser"
)

//go:embed facade.js
var facadeScript string

// TestFacade uses the SDK as an application does, without the meeting pages.
func TestFacade(t *testing.T) {
	l := newLab(t)
	room := l.room()
	for name, call := range map[string]string{
		"watch":   fmt.Sprintf("watch(%q, %q)", room.Codes[broadcaster], room.Codes[viewer]),
		"trouble": fmt.Sprintf("trouble(%q)", room.Codes[broadcaster]),
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
