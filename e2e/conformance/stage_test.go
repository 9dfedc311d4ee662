package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"amphi/e2e/relay"
	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// stage is what the groups share.
type stage struct {
	server   *testserver.Server
	pages    *pages
	template string // id of the template of all rooms
}

func newStage(t *testing.T, server *testserver.Server) *stage {
	t.Helper()
	s := &stage{server: server, pages: serve(t)}
	s.template = s.makeTemplate(t)
	return s
}

func startBrowser(t *testing.T) *testbrowser.Browser {
	t.Helper()
	// not the test's context, which ends before the pages are closed
	browser, err := testbrowser.Start(context.Background(), testbrowser.Config{Width: 1280, Height: 1600, Scale: 0.25})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := browser.Close(); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	return browser
}

// pages serves the suite, on another origin than the server's.
type pages struct {
	URL     string
	lanes   lanes
	restart sync.Map // by the page's name: func() error, of a server that may be restarted
}

// serve builds the suite and the npm packages.
func serve(t *testing.T) *pages {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "node", "web/build.mjs", dir)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the suite (go tool task test:e2e installs what it needs): %v\n%s", err, output)
	}
	wire, err := os.ReadFile("web/wire.js")
	if err != nil {
		t.Fatal(err)
	}
	p := &pages{lanes: lanes{relays: map[string]*relay.Relay{}}}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /with/{sdk}", func(w http.ResponseWriter, r *http.Request) {
		imports := map[string]string{
			"@100mslive/hms-video-store": "/hms-video-store.js",
			"@100mslive/hls-player":      "/hls-player.js",
		}
		if r.PathValue("sdk") == "amphi" {
			for name := range imports {
				imports[name] = r.FormValue("server") + "/sdk/amphi.js"
			}
		}
		packages, _ := json.Marshal(map[string]any{"imports": imports})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>%s</title><script>%s</script><script type="importmap">%s</script><body><script type="module" src="/suite.js"></script>`,
			r.PathValue("sdk"), wire, packages)
	})
	mux.HandleFunc("POST /lanes/{name}/{do...}", p.lanes.serve)
	mux.HandleFunc("POST /server/restart/{name}", p.restarts)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return p
}

// page opens the suite with an SDK. Its end state is kept under the name after a failure.
func (s *stage) page(t *testing.T, browser *testbrowser.Browser, sdk, name string) *testbrowser.Page {
	t.Helper()
	page, err := browser.Open(testbrowser.PageConfig{})
	if err != nil {
		t.Fatal(err)
	}
	testserver.KeepPage(t, name, page)
	if err := page.Goto(s.address(sdk)); err != nil {
		t.Fatal(err)
	}
	if err := page.Wait("globalThis.Suite", caseTimeout); err != nil {
		t.Fatalf("%v\n%s", err, page.Console())
	}
	return page
}

// address is where the suite is with an SDK.
func (s *stage) address(sdk string) string {
	return s.pages.URL + "/with/" + sdk + "?server=" + url.QueryEscape(s.server.URL)
}

// enter makes a room for a group and returns what its page is told of it, as JSON.
func (s *stage) enter(t *testing.T, g group, name string) string {
	t.Helper()
	room, err := s.server.NewRoom(t.Context(), name, s.template)
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	for _, person := range g.Lanes {
		r, err := relay.Start(s.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		lane := name + "-" + person
		s.pages.lanes.add(lane, r)
		origins[person] = r.URL
	}
	env, err := json.Marshal(map[string]any{"server": s.server.URL, "room": room.ID, "codes": room.Codes, "name": name, "lanes": origins})
	if err != nil {
		t.Fatal(err)
	}
	return string(env)
}
