package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/e2e/testbrowser"
	"amphi/e2e/testserver"
)

// bundleSDK builds sdk/page.js with the SDK in it and serves it, on another origin than the server's.
func bundleSDK(t *testing.T) (url string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "page.js")
	cmd := exec.CommandContext(t.Context(), "node", "bundle.mjs", out)
	cmd.Dir = "sdk"
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("bundle the SDK (go tool task test:e2e installs it): %v\n%s", err, output)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, out) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><meta charset="utf-8"><title>SDK</title><body><script src="/page.js"></script>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/"
}

// sdkUser is somebody in a page made of the unmodified SDK.
type sdkUser struct{ *person }

// does runs one of the page's functions.
func (u sdkUser) does(call string) {
	u.t.Helper()
	if err := u.Eval("SDK."+call, nil); err != nil {
		u.fatal(err, "does %s", call)
	}
}

// waits waits until an expression over the page's functions is true.
func (u sdkUser) waits(expression string, atMost time.Duration) {
	u.t.Helper()
	if err := u.Wait(expression, atMost); err != nil {
		var reported []string
		_ = u.Eval("SDK.errors()", &reported)
		u.fatal(err, "waits (errors that the SDK reported: %q)", reported)
	}
}

// TestSDK lets the unmodified client SDK of the service whose protocol Amphi speaks meet Amphi's own client.
func TestSDK(t *testing.T) {
	l := newLab(t)
	address := bundleSDK(t)
	room := l.room()
	const samCamera, annCamera = 21, 22

	sam := sdkUser{&person{Page: l.open("Sam", testbrowser.PageConfig{Camera: samCamera}), t: t, name: "Sam"}}
	if err := sam.Goto(address); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	sam.does(fmt.Sprintf("join(%q, %q, 'Sam')", l.server.URL, room.Codes[broadcaster]))
	sam.waits("SDK.connected()", 10*time.Second)
	t.Logf("the SDK joined in %v", time.Since(began).Round(time.Millisecond))

	ann := l.join(room, broadcaster, "Ann", annCamera)
	ann.view("stage")

	// both see and hear each other
	t.Logf("Ann sees Sam: %+v", ann.watches("Sam", samCamera))
	ann.hears(1)
	sam.waits("SDK.hasVideo('Ann')", 10*time.Second)
	sam.does("show('Ann')")
	t.Logf("Sam sees Ann: %+v", sam.finds("#Ann", 2*time.Second, annCamera)[annCamera])
	sam.hears(1)

	// chat
	sam.does("say('hello from the SDK')")
	ann.reads("hello from the SDK")
	ann.says("hello from Amphi")
	sam.waits("SDK.messages().includes('Ann: hello from Amphi')", 5*time.Second)

	// live stream
	sam.does("goLive()")
	sam.waits("SDK.live().running && SDK.live().url", 20*time.Second)
	ann.sees(testID("live-badge"), 5*time.Second)
	var live struct{ URL string }
	if err := sam.Eval("SDK.live()", &live); err != nil {
		t.Fatal(err)
	}
	var playlist string
	if err := sam.Eval(fmt.Sprintf("fetch(%q).then((response) => response.text())", live.URL), &playlist); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(playlist, "#EXTM3U") {
		t.Errorf("at %s lies %.100q", live.URL, playlist)
	}
	sam.does("endLive()")
	sam.waits("!SDK.live().running", 15*time.Second)

	// roles, both ways
	sam.does(fmt.Sprintf("changeRole('Ann', %q)", viewer))
	ann.view("floor")
	sam.waits(fmt.Sprintf("SDK.peer('Ann').role === %q && !SDK.hasVideo('Ann')", viewer), 5*time.Second)
	t.Logf("Ann sees Sam from the floor: %+v", ann.watches("Sam", samCamera))
	sam.does(fmt.Sprintf("changeRole('Ann', %q)", broadcaster))
	ann.view("stage")
	sam.waits("SDK.hasVideo('Ann')", 10*time.Second)
	ann.moves("Sam", "move-to-floor")
	sam.waits(fmt.Sprintf("SDK.role() === %q", viewer), 10*time.Second)
	sam.does("show('Ann')")
	sam.finds("#Ann", 2*time.Second, annCamera)
	ann.moves("Sam", "bring-on-stage")
	sam.waits(fmt.Sprintf("SDK.roleRequest() === %q", broadcaster), 5*time.Second)
	sam.does("acceptRole()")
	sam.waits(fmt.Sprintf("SDK.role() === %q && SDK.publishes()", broadcaster), 10*time.Second)
	sam.does("unmute()")
	t.Logf("Ann sees Sam back on stage: %+v", ann.watches("Sam", samCamera))

	// a raised hand, and leaving
	ann.click("raise-hand")
	sam.waits("SDK.peer('Ann').hand", 5*time.Second)
	sam.does("leave()")
	ann.seesNot(tile("Sam"), 5*time.Second)

	var reported []string
	if err := sam.Eval("SDK.errors()", &reported); err != nil || len(reported) > 0 {
		t.Errorf("the SDK reported errors: %q, %v", reported, err)
	}
}

// TestSDKActivities is what unmodified clients do together besides talking: in a large room, without a camera.
func TestSDKActivities(t *testing.T) {
	l := newLab(t)
	address := bundleSDK(t)
	var room testserver.Room
	if err := l.server.API(t.Context(), "POST", "/v2/rooms", map[string]any{"name": "crowd", "large_room": true}, &room); err != nil {
		t.Fatal(err)
	}
	token := func(user, role string) string { return l.server.Keys().AuthToken(room.ID, role, user) }
	users := map[string]sdkUser{}
	for _, u := range []struct{ name, role string }{{"Sam", broadcaster}, {"Pia", hlsViewer}, {"Pit", hlsViewer}} {
		user := sdkUser{&person{Page: l.open(u.name, testbrowser.PageConfig{}), t: t, name: u.name}}
		if err := user.Goto(address); err != nil {
			t.Fatal(err)
		}
		user.does(fmt.Sprintf("enter(%q, %q, %q)", l.server.URL, token(u.name, u.role), u.name))
		user.waits("SDK.connected()", 10*time.Second)
		users[u.name] = user
	}
	sam, pia, pit := users["Sam"], users["Pia"], users["Pit"]

	// The crowd is counted and found, not listed.
	sam.waits("SDK.large() && SDK.count() === 3", 5*time.Second)
	sam.waits("SDK.listed().join() === 'Sam'", time.Second)
	pit.waits("SDK.listed().sort().join() === 'Pit,Sam'", 5*time.Second)
	sam.waits(fmt.Sprintf("SDK.everybody(%q, 1).then((names) => names.sort().join() === 'Pia,Pit')", hlsViewer), 5*time.Second)
	sam.waits("SDK.named('PI').then((names) => names.join() === 'Pia,Pit')", 5*time.Second)

	// Shared values: who observes late is told the latest.
	sam.does("set('spotlight', { peer: 'Pia', since: 7 })")
	pia.does("observe('spotlight', 'mood')")
	pia.waits("SDK.value('spotlight')?.since === 7", 5*time.Second)
	pit.does("set('mood', 'fine')")
	pia.waits("SDK.value('mood') === 'fine'", 5*time.Second)

	// A quiz.
	sam.does("quiz('q1')")
	for _, user := range users { // the one who started it too
		user.waits("SDK.poll('q1')?.state === 'started' && SDK.poll('q1').questions === 2", 5*time.Second)
	}
	pia.does("vote('q1', 2, [2, 3])")
	pit.does("vote('q1', 1)")
	sam.waits("JSON.stringify(SDK.poll('q1').votes) === '[[1,1],[0,1,1]]' && SDK.poll('q1').users === 2", 5*time.Second)
	if err := pia.Eval("SDK.vote('q1', 9, [1]).then(() => { throw Error('taken') }, (e) => e.code === 400 || Promise.reject(e))", nil); err != nil {
		t.Error("a vote for what is no option:", err)
	}
	sam.does("stopPoll('q1')")
	pit.waits("SDK.poll('q1').state === 'stopped'", 5*time.Second)
	var board struct {
		Names   []string
		HasNext bool
		Summary struct{ AvgScore, VotedUsers, CorrectUsers float64 }
	}
	if err := sam.Eval("SDK.leaderboard('q1')", &board); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(board.Names, ", "); got != "1 Pia 11, 2 Pit 0" || board.HasNext || board.Summary.AvgScore != 5.5 || board.Summary.VotedUsers != 2 || board.Summary.CorrectUsers != 1 {
		t.Errorf("%+v", board)
	}

	// A raised hand puts somebody into everybody's list, and takes them out again.
	pit.does("raiseHand()")
	sam.waits("SDK.listed().sort().join() === 'Pit,Sam' && SDK.peer('Pit').hand", 5*time.Second)
	pit.does("lowerHand()")
	sam.waits("SDK.listed().join() === 'Sam'", 5*time.Second)

	for name, user := range users {
		var reported []string
		if err := user.Eval("SDK.errors()", &reported); err != nil || len(reported) > 0 {
			t.Errorf("%s: the SDK reported errors: %q, %v", name, reported, err)
		}
	}
}
