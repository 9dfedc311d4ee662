package house

import (
	"slices"
	"strings"
	"testing"
)

// floors are the packages of the server from the top down. A package may import what stands on a lower floor,
// nothing above, and nothing beside it. server itself, the program, knows all.
var floors = [][]string{
	{"server"},
	{"server/signal", "server/api", "server/web", "server/dashboard", "server/client"},
	{"server/rtmp", "server/pull"},
	{"server/live", "server/multitrack", "server/ingest", "server/whip", "server/webhook", "server/analytics", "server/records", "server/auth", "server/account"},
	{"server/recording", "server/pagecast"},
	{"server/room", "server/store"},
	{"server/poll"},
	{"server/protocol", "server/policy", "server/sfu", "server/turn", "server/hls", "server/storage", "server/bus", "server/config", "server/mediaworker", "server/egress"},
	{"server/sfu/transport"},
	{"server/sfu/bandwidth"},
}

// doors are the imports that lead out of a program into another one's house, or between neighbours; each with its
// reason.
var doors = map[string][]string{
	// The server speaks to its worker in the worker's language, and decides who stands where in the picture.
	"server/live":        {"compositor/wire", "compositor/layout", "compositor/label"},
	"server/mediaworker": {"compositor/wire"},
	"server/ingest":      {"compositor/wire"},
	// The pages are components, and their scripts are embedded.
	"server":           {"static", "compositor/label", "templates/dash"}, // it makes all parts: the drawer of names, and what pages say of its health
	"server/web":       {"templates", "static"},
	"server/dashboard": {"templates", "templates/dash"},
	"templates":        {"server/policy", "server/protocol"},
	"templates/dash":   {"templates", "server/policy", "server/protocol"},

	// The worker: a program without network over its parts.
	"compositor":        {"compositor/codec", "compositor/canvas", "compositor/mix", "compositor/sitter", "compositor/wire"},
	"compositor/sitter": {"compositor/canvas"},                                        // it draws pictures as the canvas takes them
	"compositor/canvas": {"compositor/layout", "compositor/wire"},                     // it draws the scene that the server sent
	"compositor/bench":  {"compositor/layout", "compositor/label", "compositor/wire"}, // it plays the server
	"compositor/layout": {},
	"compositor/label":  {},
	"compositor/wire":   {"compositor/layout"},

	// The client: the same messages as the server, and its own parts.
	"wasm":          {"wasm/client", "wasm/rtc", "wasm/player", "wasm/jsbridge"},
	"wasm/client":   {"wasm/rtc", "wasm/jsbridge", "server/protocol", "server/policy"},
	"wasm/rtc":      {"wasm/jsbridge"},
	"wasm/player":   {},
	"wasm/jsbridge": {},
}

// TestImports holds every package against the plan of the house.
func TestImports(t *testing.T) {
	for dir, p := range packages(t) {
		if dir == "e2e" || strings.HasPrefix(dir, "e2e/") {
			continue // the tests of the whole know the whole
		}
		for _, imported := range p.imports {
			if !mayImport(dir, imported) {
				t.Errorf("%s imports %s: the plan of the house (floors, doors) does not allow it", dir, imported)
			}
		}
	}
}

func mayImport(from, to string) bool {
	if slices.Contains(doors[from], to) {
		return true
	}
	if house, _, internal := strings.Cut(to, "/internal/"); internal && strings.HasPrefix(from+"/", house+"/") {
		return true
	}
	above, below := floor(from), floor(to)
	return above >= 0 && below > above
}

// floor returns the number of a package's floor, from the top; -1 for what is not part of the server.
func floor(dir string) int {
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, dir) })
}

func TestMayImport(t *testing.T) {
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"server", "server/signal", true},
		{"server/signal", "server/room", true},
		{"server/room", "server/signal", false},
		{"server/api", "server/web", false},
		{"server/sfu", "server/policy", false},
		{"server/live", "compositor/wire", true},
		{"server/room", "compositor/wire", false},
		{"compositor", "server/protocol", false},
		{"wasm/client", "server/protocol", true},
		{"wasm/client", "server/room", false},
	} {
		if got := mayImport(test.from, test.to); got != test.want {
			t.Errorf("%s imports %s: %v, want %v", test.from, test.to, got, test.want)
		}
	}
}
