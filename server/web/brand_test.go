package web

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"amphi/server/policy"
)

// Whatever colour somebody takes, buttons and links can be read.
func TestStyleOf(t *testing.T) {
	for _, rgb := range []uint32{0, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff, 0xffff00, 0x808080, 0xad3f16, 0x123456} {
		c := colorOf(rgb)
		light, dark := c.readable(lightSurface, black), c.readable(darkSurface, white)
		for _, pair := range [][2]color{{light, lightSurface}, {light, white}, {dark, darkSurface}, {dark, black}} {
			if got := contrast(pair[0], pair[1]); got < 4.5 {
				t.Errorf("%06x: %s on %s has a contrast of %.2f", rgb, pair[0], pair[1], got)
			}
		}
	}
	if got := contrast(color{}, white); fmt.Sprintf("%.1f", got) != "21.0" {
		t.Errorf("black on white: %v", got)
	}
	if got := styleOf(colorOf(0xad3f16)); !strings.HasPrefix(got, ":root{--accent:light-dark(#ad3f16,#") {
		t.Errorf("a colour that can be read is another one: %s", got)
	}
}

// Where people meet is the brand's: its name, its logo and its colour.
func TestMeetingOfABrand(t *testing.T) {
	config := testConfig()
	config.Door = func(context.Context, string) (Door, error) {
		return Door{Room: "forum", Role: policy.StarterKit().Roles[policy.RoleHLSViewer],
			Brand: Brand{Name: `A & "B"`, Logo: []byte("\x89PNG\r\n\x1a\n"), Color: "#00FF00"}}, nil
	}
	res, body := get(t, config, "/meeting/uvw-xyza-bcd", nil)
	for _, text := range []string{`data-brand="A &amp; &#34;B&#34;"`, `data-logo="/meeting/uvw-xyza-bcd/logo"`, `href="/brand/00ff00.css"`, "<title>forum · A &amp;"} {
		if res.StatusCode != 200 || !strings.Contains(body, text) {
			t.Errorf("%d without %s:\n%s", res.StatusCode, text, body)
		}
	}
	if res, _ := get(t, config, "/meeting/uvw-xyza-bcd/logo", nil); res.StatusCode != 200 || res.Header.Get("Content-Type") != "image/png" {
		t.Errorf("logo: %d %v", res.StatusCode, res.Header)
	}
	if res, body := get(t, config, "/brand/00ff00.css", nil); res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") || !strings.Contains(body, "--accent:") {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
	for _, path := range []string{"/brand/00ff00", "/brand/red.css", "/brand/00ff0.css", "/brand/%7D.css"} {
		if res, _ := get(t, config, path, nil); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
