package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
)

// examplePolicy is the Content-Security-Policy that the documentation names, for pages of another origin than the server.
func examplePolicy(server string) string {
	socket := "ws" + strings.TrimPrefix(server, "http")
	return "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' " + server + "; style-src 'self' 'unsafe-inline'; connect-src 'self' " + server + " " + socket +
		"; media-src blob: " + server + "; worker-src blob:; frame-src " + server + "; img-src 'self' data:"
}

// TestExamples runs every example of the documentation as it stands there, but for addresses, on a page of another
// origin: those with a bundler against the npm package, the others against what the server serves.
func TestExamples(t *testing.T) {
	// The examples' own server must be allowed to embed a room.
	files := t.TempDir()
	var policy string
	fileServer := http.FileServer(http.Dir(files))
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		fileServer.ServeHTTP(w, r)
	}))
	defer pages.Close()
	origin := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1) // camera and microphone want a secure context
	l := newLab(t, "--http-embed-from", origin)
	policy = examplePolicy(l.server.URL)
	room := l.room()

	ann := l.join(room, broadcaster, "Bea", 7)
	ann.view("stage")
	stream := goLive(t, l.server, room)

	run := func(dir, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("../static", "node", "package.mjs")
	run("sdk", "node", "examples.mjs", "../../static/docs/examples", files, l.server.URL, room.Codes[broadcaster], stream)
	examples, err := os.ReadDir("../static/docs/examples")
	if err != nil {
		t.Fatal(err)
	}

	const playing = `video => video.currentTime > 0.5 && video.videoWidth > 0 && !video.paused`
	join := func(page *testbrowser.Page) {
		t.Helper()
		if err := page.Wait(`document.querySelector('form button')`, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := page.Click("form button"); err != nil {
			t.Fatal(err)
		}
		// Both are seen: oneself and Bea.
		if err := page.Wait(`[...document.querySelectorAll('figure video')].filter(`+playing+`).length >= 2 &&
			[...document.querySelectorAll('figcaption')].some((it) => it.textContent.includes('Bea'))`, 30*time.Second); err != nil {
			t.Errorf("%v\n%s", err, page.Console())
		}
	}
	plays := func(selector string) func(*testbrowser.Page) {
		return func(page *testbrowser.Page) {
			t.Helper()
			if err := page.Wait(`[`+selector+`].filter(Boolean).some(`+playing+`)`, 30*time.Second); err != nil {
				t.Errorf("%v\n%s", err, page.Console())
			}
		}
	}
	checks := map[string]func(*testbrowser.Page){
		"1-html": join, "2-react": join, "3-vue": join,
		"4-room-element": func(page *testbrowser.Page) {
			if err := page.Eval(`(() => { globalThis.heard = []; for (const name of ['ready', 'join', 'leave'])
				document.querySelector('amphi-room').addEventListener(name, (e) => heard.push(name + JSON.stringify(e.detail))); })()`, nil); err != nil {
				t.Fatal(err)
			}
			if err := page.Eval(`document.querySelector('amphi-room').setAttribute('name', 'Cy')`, nil); err != nil {
				t.Fatal(err)
			}
			// The frame is of another origin: what it shows is seen by what it tells.
			if err := page.Wait(`heard.some((it) => it.startsWith('ready'))`, 20*time.Second); err != nil {
				t.Errorf("%v\n%s", err, page.Console())
			}
		},
		"5-player-element":  plays(`document.querySelector('amphi-player')?.media`),
		"6-player-class":    plays(`document.querySelector('video')`),
		"7-player-controls": plays(`document.querySelector('media-controller video')`),
	}
	for _, example := range examples {
		name := strings.TrimSuffix(example.Name(), filepath.Ext(example.Name()))
		check := checks[name]
		if check == nil {
			t.Errorf("no test for the example %s", example.Name())
			continue
		}
		page := l.open(name, testbrowser.PageConfig{})
		if err := page.Goto(origin + "/" + name + ".html"); err != nil {
			t.Fatal(err)
		}
		check(page)
		page.Close()
		t.Logf("%s runs", example.Name())
	}

	// Where there are no Media Source Extensions the element plays, behind the same class.
	page := l.open("native", testbrowser.PageConfig{Scripts: []string{`delete globalThis.MediaSource; delete globalThis.ManagedMediaSource; delete globalThis.WebKitMediaSource`}})
	if err := page.Goto(origin + "/6-player-class.html"); err != nil {
		t.Fatal(err)
	}
	plays(`document.querySelector('video')`)(page)
	if err := page.Wait(`document.querySelector('video').src.endsWith('.m3u8')`, time.Second); err != nil {
		t.Error("it is not the element that plays")
	}
	page.Close()
}
