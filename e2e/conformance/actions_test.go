package conformance

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestActions holds the rows against the types of the SDK: no action of an application is forgotten.
func TestActions(t *testing.T) {
	types, err := os.ReadFile("../node_modules/@100mslive/hms-video-store/dist/IHMSActions.d.ts")
	if err != nil {
		t.Skip("the npm packages are not installed: go tool task test:e2e does it")
	}
	rows, err := os.ReadFile("web/rows.js")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`'(\w+)'`).FindAllSubmatch(rows, -1)
	actions := regexp.MustCompile(`(?m)^    (\w+)\??[:(]`).FindAllSubmatch(types, -1)
	if len(actions) < 60 {
		t.Fatalf("found only %d actions", len(actions))
	}
	for _, action := range actions {
		if !slices.ContainsFunc(named, func(name [][]byte) bool { return string(name[1]) == string(action[1]) }) {
			t.Errorf("the action %s is in no row", action[1])
		}
	}
}
