package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/logtest"
	"amphi/server/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// amphi runs the program and returns its exit code and what it printed.
func amphi(t *testing.T, environ []string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	c := &command{environ: environ, out: &o, err: &e}
	code = c.run(t.Context(), args)
	return code, o.String(), e.String()
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		code, out, errs := amphi(t, nil, args...)
		if code != exitOK || !strings.Contains(out, "token auth") || errs != "" {
			t.Errorf("%v: %d %s %s", args, code, out, errs)
		}
	}
	code, out, _ := amphi(t, nil, "serve", "--help")
	if code != exitOK || !strings.Contains(out, "--rtc-port ") || !strings.Contains(out, "(default :8080)") {
		t.Errorf("%d %s", code, out)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"frobnicate"}, exitUsage, `there is no command "frobnicate"`},
		{[]string{"token"}, exitUsage, `there is no command "token"`},
		{[]string{"serve", "--nats", "x"}, exitUsage, "flag provided but not defined: -nats"},
		{[]string{"--rtc-port", "x"}, exitUsage, `"x" is not a whole number`},
		{[]string{"keys", "please"}, exitUsage, `"please" is not a flag`},
		{[]string{"token", "auth", "--room", "r"}, exitUsage, "--room and --role are needed"},
		{[]string{"keys", "--addr", "nowhere"}, exitFailed, "addr: "},
		{[]string{"keys", "--config", "none.yml"}, exitFailed, "none.yml"},
	} {
		code, out, errs := amphi(t, nil, tc.args...)
		if code != tc.code || !strings.Contains(errs, tc.want) || out != "" {
			t.Errorf("%v: %d %q %q", tc.args, code, out, errs)
		}
	}
	if entries, _ := os.ReadDir("."); len(entries) > 0 {
		t.Errorf("mistakes left %v", entries)
	}
}

func TestKeysAndTokens(t *testing.T) {
	env := []string{"AMPHI_DATA=" + filepath.Join(t.TempDir(), "data")}
	code, first, errs := amphi(t, env, "keys")
	form := regexp.MustCompile(`^access key:     [0-9a-f]{24}\nsecret:         [\w-]{64}\nwebhook secret: whsec_\S+\ncustomer id:    [0-9a-f]{24}\n$`)
	if code != exitOK || !form.MatchString(first) {
		t.Fatalf("%d %q %q", code, first, errs)
	}
	if _, second, _ := amphi(t, env, "keys"); second != first {
		t.Errorf("keys changed:\n%s\n%s", first, second)
	}
	for _, args := range [][]string{
		{"token", "management", "--life", "1h"},
		{"token", "auth", "--room", "main-stage", "--role", "broadcaster", "--user", "ann"},
	} {
		code, token, errs := amphi(t, env, args...)
		if code != exitOK || strings.Count(token, ".") != 2 {
			t.Errorf("%v: %d %q %q", args, code, token, errs)
		}
	}
	for want, args := range map[string][]string{
		`has no role "king"`:    {"token", "auth", "--room", "main-stage", "--role", "king"},
		`"nowhere": not found`:  {"token", "auth", "--room", "nowhere", "--role", "broadcaster"},
		`162738495a": not foun`: {"token", "auth", "--room", "65b0c1d2e3f405162738495a", "--role", "broadcaster"},
	} {
		if code, _, errs := amphi(t, env, args...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %q", args, code, errs)
		}
	}
}

// TestNewWebhookSecret: only that changes, and it stays.
func TestNewWebhookSecret(t *testing.T) {
	env := []string{"AMPHI_DATA=" + t.TempDir()}
	_, first, _ := amphi(t, env, "keys")
	code, second, errs := amphi(t, env, "keys", "--new-webhook-secret", "--overlap", "1h")
	old, fresh := strings.Split(first, "\n"), strings.Split(second, "\n")
	if code != exitOK || len(old) != len(fresh) {
		t.Fatalf("%d %s", code, errs)
	}
	for i := range old {
		if changed := old[i] != fresh[i]; changed != strings.HasPrefix(old[i], "webhook secret:") {
			t.Errorf("%q became %q", old[i], fresh[i])
		}
	}
	if _, third, _ := amphi(t, env, "keys"); third != second {
		t.Errorf("got %s, want %s", third, second)
	}
}

func TestDoctor(t *testing.T) {
	data := t.TempDir()
	env := []string{"AMPHI_DATA=" + data, "AMPHI_ADDR=127.0.0.1:0", "AMPHI_RTC_PORT=0"}
	_, out, _ := amphi(t, env, "doctor", "--compositor-path", filepath.Join(data, "none"))
	for _, want := range []string{"ok    data directory\n", "note  database: not there yet", "ok    HTTP address\n", "ok    media port\n", "WRONG media worker: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	file := filepath.Join(data, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := amphi(t, append(env, "AMPHI_DATA="+file), "doctor")
	if code != exitFailed || !strings.Contains(out, "WRONG data directory: ") || !strings.Contains(errs, "checks failed") {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := amphi(t, nil, "version"); code != exitOK || !strings.HasPrefix(out, "amphi ") {
		t.Errorf("%d %q", code, out)
	}
}

// TestServe starts the whole server on free ports, talks to it, and stops it.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, log logtest.Journal
	c := &command{environ: []string{"AMPHI_DATA=" + t.TempDir(), "AMPHI_UNHEARD_OF=1"}, out: &out, err: &log}
	ended := make(chan int, 1)
	go func() { ended <- c.run(ctx, []string{"--addr", "127.0.0.1:0", "--rtc-port", "0"}) }()

	address := regexp.MustCompile(`http://localhost:\d+`)
	for address.FindString(out.String()) == "" {
		select {
		case code := <-ended:
			t.Fatalf("ended with %d\n%s", code, log.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	base := strings.Replace(address.FindString(out.String()), "localhost", "127.0.0.1", 1)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/"} {
		resp := get(t, base+path, "")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	links := regexp.MustCompile(`/meeting/([a-z]{3}-[a-z]{4}-[a-z]{3})\n`).FindAllStringSubmatch(out.String(), -1)
	if len(links) != 3 {
		t.Fatalf("start links:\n%s", out.String())
	}
	resp, err := http.Post(base+"/v2/token", "", strings.NewReader(`{"code":"`+links[0][1]+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var token struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	start := get(t, base+"/init?peer_id=p", token.Token)
	if start.StatusCode != http.StatusOK {
		t.Errorf("/init: %d", start.StatusCode)
	}
	if !strings.Contains(log.String(), "AMPHI_UNHEARD_OF") {
		t.Error("no warning about a variable that is no setting")
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("ended with %d\n%s", code, log.String())
	}
	for _, secret := range []string{token.Token, strings.Split(token.Token, ".")[2]} {
		if strings.Contains(log.String(), secret) {
			t.Error("a token is in the log")
		}
	}
}

func get(t *testing.T, url, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{"PacketsIn": "packets_in", "NACKsOut": "nacks_out", "PLIsIn": "plis_in", "HLSOut": "hls_out", "WorkerCPU": "worker_cpu", "Peers": "peers"} {
		if got := snake(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestPostgres: the commands find their records behind --db, and say nothing of the password.
func TestPostgres(t *testing.T) {
	t.Chdir(t.TempDir())
	env := []string{"AMPHI_DB=" + storetest.Postgres(t)}
	code, first, errs := amphi(t, env, "keys")
	if code != exitOK || !strings.Contains(first, "access key: ") {
		t.Fatalf("%d %q %q", code, first, errs)
	}
	if _, second, _ := amphi(t, env, "keys"); second != first {
		t.Errorf("keys changed:\n%s\n%s", first, second)
	}
	if _, out, _ := amphi(t, env, "doctor"); !strings.Contains(out, "ok    database") {
		t.Errorf("%s", out)
	}
	if entries, _ := os.ReadDir("data"); len(entries) > 0 {
		t.Errorf("%v in the data directory", entries)
	}
	code, out, errs := amphi(t, nil, "keys", "--db", "postgres://amphi:secret@127.0.0.1:1/amphi")
	if code != exitFailed || !strings.Contains(errs, "postgres://amphi:xxxxx@127.0.0.1:1/amphi") || strings.Contains(out+errs, "secret") {
		t.Errorf("%d %q %q", code, out, errs)
	}
}
