package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"amphi/server/logtest"
)

// running starts a server on free ports until the test ends, and returns its address and what it was told by its
// environment.
func running(t *testing.T) (url string, env []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	env = []string{"AMPHI_DATA=" + t.TempDir()}
	var out, log logtest.Journal
	c := &command{environ: env, out: &out, err: &log}
	ended := make(chan int, 1)
	go func() {
		ended <- c.run(ctx, []string{"--addr", "127.0.0.1:0", "--rtc-port", "0", "--compositor-path", "/bin/false"})
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("ended with %d\n%s", code, log.String())
		}
	})
	address := regexp.MustCompile(`http://localhost:(\d+)`)
	for address.FindString(out.String()) == "" {
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("ended with %d\n%s", code, log.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return "http://127.0.0.1:" + address.FindStringSubmatch(out.String())[1], env
}

// TestRemoteCommands does what a host does from a shell.
func TestRemoteCommands(t *testing.T) {
	url, env := running(t)
	do := func(args ...string) string {
		t.Helper()
		code, out, errs := amphi(t, env, append(args, "--url", url)...)
		if code != exitOK || errs != "" {
			t.Fatalf("%v: %d %s%s", args, code, out, errs)
		}
		return out
	}
	contains := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !regexp.MustCompile(w).MatchString(out) {
				t.Errorf("%s is not in\n%s", w, out)
			}
		}
	}
	contains(do("rooms", "list"), `(?m)^ID +NAME +TEMPLATE +STATE +CREATED$`, `main-stage +Live Streaming Starter Kit +enabled`)
	contains(do("rooms", "create", "town-hall", "--size", "30", "--max-duration", "1h", "--template", "Live Streaming Starter Kit", "--description", "monthly"),
		`name +town-hall`, `size +30`, `description +monthly`)
	contains(do("rooms", "get", "--json", "Town-HALL"), `"max_duration_seconds": 3600`, `"large_room": false`)
	contains(do("rooms", "disable", "town-hall"), `state +disabled`)
	contains(do("rooms", "list", "--disabled"), `town-hall`)
	contains(do("rooms", "enable", "town-hall"), `state +enabled`)

	codes := do("codes", "create", "town-hall")
	contains(codes, `broadcaster +enabled +`+regexp.QuoteMeta(url)+`/meeting/`, `hls-viewer`, `viewer-realtime`)
	code := regexp.MustCompile(`(?m)^[a-z]{3}-[a-z]{4}-[a-z]{3}`).FindString(codes)
	contains(do("codes", "disable", code), `disabled`)
	contains(do("codes", "enable", code), `enabled`)
	contains(do("codes", "create", "town-hall", "--role", "broadcaster"), `broadcaster`)
	var listed []map[string]any
	if err := json.Unmarshal([]byte(do("codes", "list", "town-hall", "--json")), &listed); err != nil || len(listed) != 4 || listed[0]["created_at"] == nil {
		t.Errorf("%v %v", listed, err)
	}

	contains(do("live", "start", "town-hall"), `status +starting`, `playback +http://.*/master.m3u8`)
	contains(do("live", "list"), `town|starting|running|failed`)
	contains(do("sessions", "list", "town-hall"), `(active|ended) `)
	contains(do("templates", "list"), `Live Streaming Starter Kit +yes +broadcaster, hls-viewer, viewer-realtime`)
	file := filepath.Join(t.TempDir(), "template.json")
	var template map[string]any
	if err := json.Unmarshal([]byte(do("templates", "get", "Live Streaming Starter Kit")), &template); err != nil {
		t.Fatal(err)
	}
	template["name"] = "copy"
	text, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(do("templates", "put", file), `copy`)

	// More than a page.
	for i := range 101 {
		do("rooms", "create", "page-"+strings.Repeat("x", i+1))
	}
	var rooms []map[string]any
	if err := json.Unmarshal([]byte(do("rooms", "list", "--json")), &rooms); err != nil || len(rooms) != 103 {
		t.Errorf("%d rooms %v", len(rooms), err)
	}
	if out := do("rooms", "list", "--limit", "2"); strings.Count(out, "\n") != 3 {
		t.Error(out)
	}

	_, keys, _ := amphi(t, env, "keys")
	key := regexp.MustCompile(`access key: +(\S+)`).FindStringSubmatch(keys)[1]
	secret := regexp.MustCompile(`secret: +(\S+)`).FindStringSubmatch(keys)[1]
	elsewhere := []string{"AMPHI_DATA=" + filepath.Join(t.TempDir(), "none"), "AMPHI_API_URL=" + url}
	for _, tc := range []struct {
		env  []string
		args []string
		code int
		want string
	}{
		{env, []string{"rooms", "get", "nowhere"}, exitFailed, `there is no room "nowhere" (amphi rooms list)`},
		{env, []string{"live", "stop", "main-stage"}, exitFailed, `the room "main-stage" is not live`},
		{env, []string{"rooms", "end", "main-stage"}, exitFailed, `nobody is in the room "main-stage"`},
		{env, []string{"rooms", "create", "a b"}, exitFailed, `name must be at most 256 letters`},
		{env, []string{"rooms", "create", "x", "--template", "none"}, exitFailed, `there is no template "none"`},
		{env, []string{"templates", "put", "/dev/null"}, exitFailed, `is no JSON`},
		{env, []string{"rooms", "list", "--url", "http://127.0.0.1:1"}, exitFailed, `name another with --url`},
		{env, []string{"rooms", "list", "--key", "x"}, exitFailed, `access key and secret go together`},
		{env, []string{"rooms", "list", "--key", key, "--secret", strings.Repeat("s", 40)}, exitFailed, `amphi keys prints`},
		{elsewhere, []string{"rooms", "list"}, exitFailed, `give --key and --secret`},
		{append(elsewhere, "AMPHI_API_KEY="+key, "AMPHI_API_SECRET="+secret), []string{"rooms", "list"}, exitOK, ``},
		{env, []string{"rooms"}, exitUsage, `say what to do`},
		{env, []string{"rooms", "frobnicate"}, exitUsage, `say what to do`},
		{env, []string{"rooms", "get"}, exitUsage, `usage: amphi rooms get ROOM`},
		{env, []string{"rooms", "get", "a", "b"}, exitUsage, `usage: amphi rooms get ROOM`},
		{env, []string{"rooms", "list", "--frobnicate"}, exitUsage, `flag provided but not defined`},
	} {
		args := tc.args
		if !strings.Contains(strings.Join(args, " "), "--url") && tc.env[0] == env[0] {
			args = append(args, "--url", url)
		}
		code, _, errs := amphi(t, tc.env, args...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: %d %q", args, code, errs)
		}
		if strings.Contains(errs, secret) {
			t.Errorf("%v tells the secret", args)
		}
	}
	there := append(elsewhere, "AMPHI_API_KEY="+key, "AMPHI_API_SECRET="+secret)
	for _, args := range [][]string{{"token", "management"}, {"token", "auth", "--room", "town-hall", "--role", "broadcaster"}} {
		code, token, errs := amphi(t, there, args...)
		if code != exitOK || strings.Count(token, ".") != 2 {
			t.Errorf("%v: %d %s %s", args, code, token, errs)
		}
	}
	if code, _, errs := amphi(t, there, "token", "auth", "--room", "town-hall", "--role", "king"); code != exitFailed || !strings.Contains(errs, `has no role "king"`) {
		t.Errorf("%d %s", code, errs)
	}
	for _, args := range [][]string{{"rooms", "--help"}, {"live", "start", "--help"}} {
		if code, out, _ := amphi(t, env, args...); code != exitOK || !strings.Contains(out, "Usage: amphi "+args[0]) {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}
