package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"amphi/server/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig() Config {
	roles := policy.StarterKit().Roles
	return Config{
		Log: slog.New(slog.DiscardHandler),
		Assets: func(name string) Asset {
			return Asset{URL: "/static/" + name, Integrity: "sha384-" + name}
		},
		Door: func(_ context.Context, code string) (Door, error) {
			switch code {
			case "abc-defg-hij":
				return Door{Room: `<b>Town</b> "Hall"`, Role: roles[policy.RoleBroadcaster]}, nil
			case "clo-sedd-oor":
				return Door{}, ErrClosed
			case "bro-kend-oor":
				return Door{}, errors.New("disk on fire")
			default:
				return Door{}, ErrUnknownCode
			}
		},
		Starter: func(context.Context) (*Starter, error) {
			return &Starter{App: "Live Streaming Starter Kit", Room: "First room", Doors: []StarterDoor{
				{Code: "abc-defg-hij", Role: roles[policy.RoleBroadcaster]},
				{Code: "uvw-xyza-bcd", Role: roles[policy.RoleHLSViewer]},
			}}, nil
		},
	}
}

func get(t *testing.T, config Config, path string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil)
	r.RemoteAddr = "127.0.0.1:5000"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	New(config).ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		path   string
		status int
		says   string
	}{
		{"/", 200, "Join as broadcaster"},
		{"/meeting/abc-defg-hij", 200, `code="abc-defg-hij"`},
		{"/preview/abc-defg-hij", 200, `level="stage"`},
		{"/streaming/meeting/abc-defg-hij", 200, `level="stage"`},
		{"/meeting/unk-nown-one", 404, "No room behind this link"},
		{"/meeting/%3Cscript%3E", 404, "No room behind this link"},
		{"/meeting/clo-sedd-oor", 403, "The room is not open"},
		{"/meeting/bro-kend-oor", 500, "Something went wrong here"},
		{"/meeting/", 404, "There is nothing here"},
		{"/meeting/abc-defg-hij/more", 404, "There is nothing here"},
		{"/debug/rooms/6b03df5c3ba5c87550000014", 200, `<amphi-debug room="6b03df5c3ba5c87550000014">`},
		{"/debug/rooms/%3Cscript%3E", 404, "There is nothing here"},
		{"/nowhere", 404, "There is nothing here"},
	} {
		response, body := get(t, testConfig(), test.path, nil)
		if response.StatusCode != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d, want %d and %q in\n%s", test.path, response.StatusCode, test.status, test.says, body)
		}
		if strings.Contains(body, "disk on fire") {
			t.Errorf("%s tells the visitor about the server's inside", test.path)
		}
	}
}

func TestMarkupStaysText(t *testing.T) {
	_, body := get(t, testConfig(), "/meeting/abc-defg-hij", nil)
	if strings.Contains(body, "<b>Town") || !strings.Contains(body, `room="&lt;b&gt;Town&lt;/b&gt; &#34;Hall&#34;"`) {
		t.Error(body)
	}
}

// inline is what the policy would refuse: scripts and styles within the page, handlers of events.
var inline = regexp.MustCompile(`(?i)<script(?:\s+[^>]*)?>[^<]|<style|<[^>]+\s(?:style|on[a-z]+)\s*=`)

func TestHeaders(t *testing.T) {
	for _, path := range []string{"/", "/meeting/abc-defg-hij", "/preview/abc-defg-hij", "/preview/abc/host", "/streaming/meeting/abc-defg-hij",
		"/streaming/preview/abc-defg-hij", "/meeting/clo-sedd-oor", "/meeting/bro-kend-oor", "/meeting/abc-defg-hij/logo", "/a/nothing", "/a/nothing/logo",
		"/brand/nothing", "/join?code=%3Cb%3E", "/debug/rooms/6b03df5c3ba5c87550000014", "/docs/api", "/docs/sdk", "/docs/hosting", "/nowhere"} {
		response, body := get(t, testConfig(), path, nil)
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s: the page has %q", path, found)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; font-src 'self'; " +
				"img-src 'self' data:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; form-action 'self'; " +
				"base-uri 'none'; frame-ancestors 'self'",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"X-Frame-Options":        "SAMEORIGIN",
			"Cache-Control":          "no-store",
			"Content-Type":           "text/html; charset=utf-8",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if got := response.Header.Get("Permissions-Policy"); !strings.Contains(got, "camera=(self), microphone=(self), display-capture=(self)") {
			t.Errorf("%s: Permissions-Policy is %q", path, got)
		}
	}

	// What is no page has them too.
	config := testConfig()
	for _, path := range []string{"/join?code=abc-defg-hij", "/docs", "/brand/00ff00.css"} {
		if response, _ := get(t, config, path, nil); response.StatusCode >= 400 || response.Header.Get("Content-Security-Policy") == "" || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, response.StatusCode, response.Header)
		}
	}
	config.FrameAncestors = []string{"https://example.com"}
	config.ConnectSources = []string{"wss://node2.example.com"}
	response, _ := get(t, config, "/", nil)
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "frame-ancestors 'self' https://example.com") || !strings.Contains(policy, "connect-src 'self' wss://node2.example.com") {
		t.Error(policy)
	}
	if response.Header.Get("X-Frame-Options") != "" {
		t.Error("X-Frame-Options contradicts frame-ancestors")
	}
}

// Who knows a room code is let in: the links are for who sits at the machine.
func TestLinksStayAtHome(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*http.Request)
		shown  bool
	}{
		"localhost":                  {nil, true},
		"::1":                        {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:9", "[::1]:8080" }, true},
		"127.0.0.1":                  {func(r *http.Request) { r.Host = "127.0.0.1:8080" }, true},
		"from the network":           {func(r *http.Request) { r.RemoteAddr = "192.0.2.7:9" }, false},
		"behind a proxy":             {func(r *http.Request) { r.Host = "live.example.com" }, false},
		"behind a rewriting proxy":   {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") }, false},
		"another name for localhost": {func(r *http.Request) { r.Host = "rebind.example.com:8080" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := get(t, testConfig(), "/", test.change)
			if got := strings.Contains(body, "abc-defg-hij</code>"); got != test.shown {
				t.Errorf("links shown: %v", got)
			}
			if !test.shown && !strings.Contains(body, "Ask the host for a link") {
				t.Error("nothing says what to do")
			}
		})
	}

	config := testConfig()
	config.ShowStarterKit = func(*http.Request) bool { return true }
	config.PublicURL = "https://live.example.com/"
	_, body := get(t, config, "/", func(r *http.Request) { r.RemoteAddr = "192.0.2.7:9" })
	if !strings.Contains(body, "https://live.example.com/streaming/meeting/uvw-xyza-bcd") {
		t.Error("not shown although configured\n", body)
	}
}

// What is live is for those who see the links; members of the dashboard do, from wherever they come.
func TestOnAir(t *testing.T) {
	config := testConfig()
	starter := config.Starter
	config.Starter = func(ctx context.Context) (*Starter, error) {
		s, err := starter(ctx)
		s.OnAir = &OnAir{Playlist: "/beam/w/r/master.m3u8", Width: 1280, Height: 720, Stage: 2, Gallery: 31}
		return s, err
	}
	member := false
	config.SignedIn = func(*http.Request) bool { return member }
	elsewhere := func(r *http.Request) { r.RemoteAddr, r.Host = "192.0.2.7:9", "live.example.org" }
	const playlist = `data-playlist="/beam/w/r/master.m3u8"`
	if _, body := get(t, config, "/", nil); !strings.Contains(body, playlist) || !strings.Contains(body, "31 in the gallery") || !strings.Contains(body, "data-follows") {
		t.Errorf("not shown on this machine:\n%s", body)
	}
	if _, body := get(t, config, "/", elsewhere); strings.Contains(body, "/beam/") || strings.Contains(body, "First room") || strings.Contains(body, "data-follows") {
		t.Errorf("shown to anybody:\n%s", body)
	}
	member = true
	if _, body := get(t, config, "/", elsewhere); !strings.Contains(body, playlist) || !strings.Contains(body, "abc-defg-hij</code>") {
		t.Errorf("not shown to a member:\n%s", body)
	}
	config.Starter = starter
	if _, body := get(t, config, "/", nil); strings.Contains(body, "<video") || !strings.Contains(body, "Take the stage") {
		t.Errorf("nobody is live:\n%s", body)
	}
}

func TestJoinForm(t *testing.T) {
	for given, want := range map[string]string{
		"abc-defg-hij":    "/meeting/abc-defg-hij",
		"  abc-defg-hij ": "/meeting/abc-defg-hij",
		"https://live.example.com/meeting/abc-defg-hij":             "/meeting/abc-defg-hij",
		"https://live.example.com/streaming/meeting/abc-defg-hij?x": "/streaming/meeting/abc-defg-hij",
		"https://evil.example.com/":                                 "",
		"//evil.example.com":                                        "",
		"":                                                          "",
		"a b":                                                       "",
		"javascript:alert(1)":                                       "",
	} {
		response, _ := get(t, testConfig(), "/join", func(r *http.Request) {
			query := r.URL.Query()
			query.Set("code", given)
			r.URL.RawQuery = query.Encode()
		})
		if want == "" && response.StatusCode != http.StatusNotFound || response.Header.Get("Location") != want {
			t.Errorf("%q: %d to %q, want %q", given, response.StatusCode, response.Header.Get("Location"), want)
		}
	}
}

func TestTheme(t *testing.T) {
	for value, want := range map[string]string{"dark": `data-theme="dark"`, "light": `data-theme="light"`, `"><script>`: "<html lang=\"en\">"} {
		_, body := get(t, testConfig(), "/", func(r *http.Request) { r.Header.Set("Cookie", "amphi-theme="+value) })
		if !strings.Contains(body, want) {
			t.Errorf("cookie %q: no %s", value, want)
		}
	}
}

func TestSDK(t *testing.T) {
	config := testConfig()
	if response, body := get(t, config, "/docs/sdk", nil); response.StatusCode != 404 || !strings.Contains(body, "not in this build") {
		t.Errorf("unbuilt: %d", response.StatusCode)
	}
	config.SDK = &SDK{}
	response, body := get(t, config, "/docs/sdk", nil)
	if response.StatusCode != 200 || !strings.Contains(body, "http://localhost:8080/elements.js") || !strings.Contains(body, "ws://localhost:8080") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if response, _ := get(t, config, "/docs", nil); response.Header.Get("Location") != "/docs/sdk" {
		t.Errorf("/docs leads to %q", response.Header.Get("Location"))
	}
}

func TestReference(t *testing.T) {
	config := testConfig()
	config.Reference = []Section{{Name: "Rooms", Endpoints: []Endpoint{{Method: "GET", Path: "/v2/rooms/{room_id}", Summary: "Get a room", Status: 200}}}}
	resp, body := get(t, config, "/docs/api", nil)
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "/v2/rooms/{room_id}") || !strings.Contains(body, `href="/v2/openapi.json"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
