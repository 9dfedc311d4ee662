package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is wrapped by every error of Check.
var ErrInvalid = errors.New("invalid template")

// Problem is one thing that is wrong with a template. Its text begins with what it is about, as in
// "role host: video.bitRate is 5, must be 30 to 2000".
type Problem struct{ Text string }

// Error implements error.
func (p Problem) Error() string { return ErrInvalid.Error() + ": " + p.Text }

// Unwrap implements the interface of package errors.
func (p Problem) Unwrap() error { return ErrInvalid }

// Of says which field of an owner, such as "role host", the problem is about, and what is wrong with it. It is
// false for problems of others.
func (p Problem) Of(owner string) (field, text string, ok bool) {
	text, ok = strings.CutPrefix(p.Text, owner+": ")
	if !ok {
		return "", "", false
	}
	return text[:max(0, strings.IndexAny(text+" ", " :"))], text, true
}

// Problems returns what an error of Check is made of.
func Problems(err error) (list []Problem) {
	if p := (Problem{}); errors.As(err, &p) {
		list = append(list, p)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = nil
		for _, e := range joined.Unwrap() {
			list = append(list, Problems(e)...)
		}
	}
	return list
}

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
		// Simulcast is listed among what may be published in some documents; the layers say it already.
		p.Allowed = slices.DeleteFunc(p.Allowed, func(what Publishable) bool { return what == "simulcast" })
		if p.Simulcast != nil {
			noLayer := func(l SimulcastLayer) bool { return l == SimulcastLayer{} }
			p.Simulcast.Video.Layers = slices.DeleteFunc(p.Simulcast.Video.Layers, noLayer)
			p.Simulcast.Screen.Layers = slices.DeleteFunc(p.Simulcast.Screen.Layers, noLayer)
		}
		if d := r.SubscribeParams.SubscribeDegradation; d != nil {
			d.PacketLossThreshold = cmp.Or(d.PacketLossThreshold, 50)
			d.DegradeGracePeriodSeconds = cmp.Or(d.DegradeGracePeriodSeconds, 1)
			d.RecoverGracePeriodSeconds = cmp.Or(d.RecoverGracePeriodSeconds, 4)
		}
		for _, what := range p.Allowed {
			switch {
			case what == PublishAudio && p.Audio == nil:
				p.Audio = &AudioParams{}
			case what == PublishVideo && p.Video == nil:
				p.Video = &VideoParams{BitRate: 256}
			case what == PublishScreen && p.Screen == nil:
				p.Screen = &VideoParams{BitRate: 1024}
			}
		}
		if a := p.Audio; a != nil {
			a.BitRate, a.Codec = cmp.Or(a.BitRate, 32), cmp.Or(a.Codec, "opus")
		}
		p.Video.complete(defaultVideo)
		p.Screen.complete(defaultScreen)
	}
	t.Destinations.complete()
	if t.Settings.Region == "" {
		t.Settings.Region = "auto"
	}
}

// Cameras and screens of roles that say nothing of them.
var (
	defaultVideo  = VideoParams{Codec: "vp8", FrameRate: 25, Width: 320, Height: 180}
	defaultScreen = VideoParams{Codec: "vp8", FrameRate: 10, Width: 1280, Height: 720}
)

// complete fills what is zero. The bit rate may stay so: clients then choose.
func (v *VideoParams) complete(def VideoParams) {
	if v == nil {
		return
	}
	v.Codec, v.FrameRate = cmp.Or(v.Codec, def.Codec), cmp.Or(v.FrameRate, def.FrameRate)
	v.Width, v.Height = cmp.Or(v.Width, def.Width), cmp.Or(v.Height, def.Height)
}

// Check reports what is wrong with a completed template. All findings are in the
// one error, a line each.
func (t *Template) Check() error {
	var found []error
	bad := func(format string, args ...any) {
		found = append(found, Problem{fmt.Sprintf(format, args...)})
	}
	if t.Name != "" && (len(t.Name) > maxNameBytes || !isValidName(t.Name)) {
		bad("name may have letters, digits, spaces and - . _ :, at most %d", maxNameBytes)
	}
	if len(t.Roles) > maxRoles {
		bad("a template has at most %d roles", maxRoles)
	}
	for _, name := range sorted(t.Roles) {
		t.Roles[name].check(t, func(format string, args ...any) {
			bad("role %s: %s", name, fmt.Sprintf(format, args...))
		})
	}
	t.Settings.check(bad)
	t.Destinations.check(t, bad)
	checkRecordings(t.Recordings, bad)
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
	within := bounds(bad)
	if p.Audio != nil {
		within("audio.bitRate", p.Audio.BitRate, 16, 128)
	}
	if v := p.Video; v != nil {
		if v.BitRate != 0 {
			within("video.bitRate", v.BitRate, 30, 2000)
		}
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
	if p.Simulcast != nil {
		p.Simulcast.Video.check("simulcast.video", bad)
		p.Simulcast.Screen.check("simulcast.screen", bad)
	}
	if d := r.SubscribeParams.SubscribeDegradation; d != nil {
		within("subscribeDegradation.packetLossThreshold", d.PacketLossThreshold, 1, 100)
		within("subscribeDegradation.degradeGracePeriodSeconds", d.DegradeGracePeriodSeconds, 1, 10)
		within("subscribeDegradation.recoverGracePeriodSeconds", d.RecoverGracePeriodSeconds, 1, 10)
	}
	within("maxSubsBitRate", r.SubscribeParams.MaxSubsBitRate, 0, 1_000_000)
	for _, other := range r.SubscribeParams.SubscribeToRoles {
		if t.Roles[other] == nil {
			bad("subscribeToRoles: no role %q in the template", other)
		}
	}
	within("priority", r.Priority, 1, 10)
	within("maxPeerCount", r.MaxPeerCount, -1, 20000)
}

// check says what is wrong with the layers: from the largest down, each with its own rid of f, h, q.
func (l SimulcastLayers) check(field string, bad func(string, ...any)) {
	const order = "fhq"
	within := bounds(bad)
	if len(l.Layers) > len(order) {
		bad("%s has %d layers, at most %d are allowed", field, len(l.Layers), len(order))
	}
	last, lastScale := -1, 0.0
	for i, layer := range l.Layers {
		at := strings.Index(order, layer.RID)
		if len(layer.RID) != 1 || at <= last || i == 0 && (at != 0 || layer.ScaleResolutionDownBy != 1) {
			bad("%s: rids are f, h, q in this order, the first is f with scaleResolutionDownBy 1", field)
			return
		}
		if layer.ScaleResolutionDownBy <= lastScale || layer.ScaleResolutionDownBy > 12 {
			bad("%s: scaleResolutionDownBy grows from layer to layer, up to 12", field)
		}
		within(field+".maxBitrate", layer.MaxBitrate, 0, 2000)
		within(field+".maxFramerate", layer.MaxFramerate, 1, 30)
		last, lastScale = at, layer.ScaleResolutionDownBy
	}
}

// bounds returns a check for numbers.
func bounds(bad func(string, ...any)) func(field string, v, lo, hi int) {
	return func(field string, v, lo, hi int) {
		if v < lo || v > hi {
			bad("%s is %d, must be %d to %d", field, v, lo, hi)
		}
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
