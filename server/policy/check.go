package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is wrapped by every error of Check.
var ErrInvalid = errors.New("invalid template")

// Bounds of a template.
const (
	maxRoles     = 100
	maxNameBytes = 100
)

// isValidName tells whether s is made of letters, digits, spaces and "-._:". A
// regular expression would add a tenth of a megabyte to the WASM client.
func isValidName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(" -._:", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// Complete fills what clients need and a template may leave out: every role has
// a name, lists instead of null, and quality for what it may publish (clients
// throw without). It is idempotent.
func (t *Template) Complete() {
	if t.Roles == nil {
		t.Roles = map[string]*Role{}
	}
	for name, r := range t.Roles {
		if r == nil {
			r = &Role{}
			t.Roles[name] = r
		}
		r.Name = name
		if r.PublishParams.Allowed == nil {
			r.PublishParams.Allowed = []Publishable{}
		}
		if r.SubscribeParams.SubscribeToRoles == nil {
			r.SubscribeParams.SubscribeToRoles = []string{}
		}
		if r.Priority == 0 {
			r.Priority = 1
		}
		p := &r.PublishParams
		for _, what := range p.Allowed {
			switch {
			case what == PublishAudio && p.Audio == nil:
				p.Audio = &AudioParams{BitRate: 32, Codec: "opus"}
			case what == PublishVideo && p.Video == nil:
				p.Video = &VideoParams{BitRate: 256, Codec: "vp8", FrameRate: 25, Width: 320, Height: 180}
			case what == PublishScreen && p.Screen == nil:
				p.Screen = &VideoParams{BitRate: 1024, Codec: "vp8", FrameRate: 10, Width: 1280, Height: 720}
			}
		}
	}
	if t.Settings.Region == "" {
		t.Settings.Region = "auto"
	}
}

// Check reports what is wrong with a completed template. All findings are in the
// one error, a line each.
func (t *Template) Check() error {
	var found []error
	bad := func(format string, args ...any) {
		found = append(found, fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...)))
	}
	if t.Name != "" && (len(t.Name) > maxNameBytes || !isValidName(t.Name)) {
		bad("name may have letters, digits, spaces and - . _ :, at most %d", maxNameBytes)
	}
	if len(t.Roles) == 0 || len(t.Roles) > maxRoles {
		bad("a template has 1 to %d roles", maxRoles)
	}
	for _, name := range sorted(t.Roles) {
		t.Roles[name].check(t, func(format string, args ...any) {
			bad("role %s: %s", name, fmt.Sprintf(format, args...))
		})
	}
	for _, name := range sorted(t.Destinations.HLS) {
		d := t.Destinations.HLS[name]
		for _, l := range d.Layers {
			if l.Width%2 != 0 || l.Height%2 != 0 || min(l.Width, l.Height) < 144 || max(l.Width, l.Height) > 1920 || min(l.Width, l.Height) > 1080 {
				bad("hls destination %s: layer %dx%d: sides are even, the short one 144 to 1080, the long one up to 1920", name, l.Width, l.Height)
			}
		}
		if d.PlaylistType != "" && d.PlaylistType != "live" && d.PlaylistType != "event" {
			bad("hls destination %s: playlistType is live or event", name)
		}
	}
	return errors.Join(found...)
}

func (r *Role) check(t *Template, bad func(string, ...any)) {
	if len(r.Name) > maxNameBytes || !isValidName(r.Name) {
		bad("name may have letters, digits, spaces and - . _ :, at most %d", maxNameBytes)
	}
	p := &r.PublishParams
	for _, what := range p.Allowed {
		if what != PublishAudio && what != PublishVideo && what != PublishScreen {
			bad("publishParams.allowed: %q is none of audio, video, screen", what)
		}
	}
	within := func(field string, v, lo, hi int) {
		if v < lo || v > hi {
			bad("%s is %d, must be %d to %d", field, v, lo, hi)
		}
	}
	if p.Audio != nil {
		within("audio.bitRate", p.Audio.BitRate, 16, 128)
	}
	if v := p.Video; v != nil {
		within("video.bitRate", v.BitRate, 30, 2000)
		within("video.frameRate", v.FrameRate, 1, 30)
		within("video.width", v.Width, 50, 1920)
		within("video.height", v.Height, 50, 1080)
	}
	if v := p.Screen; v != nil {
		if v.BitRate != 0 {
			within("screen.bitRate", v.BitRate, 500, 10000)
		}
		within("screen.frameRate", v.FrameRate, 1, 30)
		within("screen.width", v.Width, 480, 1920)
		within("screen.height", v.Height, 270, 1080)
	}
	for _, other := range r.SubscribeParams.SubscribeToRoles {
		if t.Roles[other] == nil {
			bad("subscribeToRoles: no role %q in the template", other)
		}
	}
	within("priority", r.Priority, 1, 10)
	within("maxPeerCount", r.MaxPeerCount, -1, 20000)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
