package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"amphi/server/policy"
)

// An app's page is at its path and, under its host name, leads there. Links are shown to this machine only.
func TestAppPage(t *testing.T) {
	config := testConfig()
	config.App = func(_ context.Context, subdomain string) (*App, error) {
		if subdomain != "town-hall" {
			return nil, nil
		}
		return &App{Brand: Brand{Name: `<b>Agora</b>`, Logo: []byte("\x89PNG\r\n\x1a\n"), Color: "#ff0000"}, Start: &Starter{Room: "forum", Doors: []StarterDoor{
			{Code: "uvw-xyza-bcd", Role: policy.StarterKit().Roles[policy.RoleHLSViewer]}}}}, nil
	}
	res, body := get(t, config, "/a/Town-Hall", nil)
	for _, text := range []string{"&lt;b&gt;Agora&lt;/b&gt;", "forum", "/streaming/meeting/uvw-xyza-bcd", "/a/town-hall/logo", "/brand/ff0000.css", `name="code"`} {
		if res.StatusCode != 200 || !strings.Contains(body, text) {
			t.Errorf("%d without %q:\n%s", res.StatusCode, text, body)
		}
	}
	if res, _ := get(t, config, "/a/town-hall/logo", nil); res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/png" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("logo: %d %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/a/other", "/a/other/logo", "/a/%3Cb%3E"} {
		if res, _ := get(t, config, path, nil); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	from := func(host, address string) func(*http.Request) {
		return func(r *http.Request) { r.Host, r.RemoteAddr = host, address }
	}
	if res, body := get(t, config, "/a/town-hall", from("localhost:8080", "192.0.2.7:5000")); res.StatusCode != 200 || strings.Contains(body, "uvw-xyza-bcd") || !strings.Contains(body, "Ask the host") {
		t.Errorf("from elsewhere: %d\n%s", res.StatusCode, body)
	}
	if _, body := get(t, config, "/a/town-hall", from("town-hall.localhost:8080", "127.0.0.1:5000")); !strings.Contains(body, "uvw-xyza-bcd") {
		t.Error("a name below localhost is not this machine")
	}
	for _, test := range []struct{ public, host, leads string }{
		{"", "town-hall.localhost:8080", "/a/town-hall"},
		{"https://live.example.org", "town-hall.live.example.org", "https://live.example.org/a/town-hall"},
		{"https://live.example.org", "Town-Hall.Live.example.org:443", "https://live.example.org/a/town-hall"},
		{"https://live.example.org", "live.example.org", ""},
		{"https://live.example.org", "a.b.live.example.org", ""},
		{"https://live.example.org", "evil-live.example.org", ""},
	} {
		config.PublicURL = test.public
		if res, _ := get(t, config, "/", from(test.host, "192.0.2.7:5000")); res.Header.Get("Location") != test.leads {
			t.Errorf("%s leads to %q, want %q", test.host, res.Header.Get("Location"), test.leads)
		}
	}
}
