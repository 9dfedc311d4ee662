package policy

import (
	"slices"
	"unicode/utf8"
)

// Bounds of destinations.
const (
	maxDestinations   = 20
	maxLayers         = 6
	maxRTMPURLs       = 3 // of a template; a start over the API may name 5
	maxRunSeconds     = 12 * 60 * 60
	maxPresignSeconds = 7 * 24 * 60 * 60
	maxVocabulary     = 1000
)

// complete gives destinations the names that they are kept under, and drops empty layers, which some examples of the
// documentation end with.
func (d *Destinations) complete() {
	noLayer := func(l HLSLayer) bool { return l == HLSLayer{} }
	for name, h := range d.HLS {
		if h == nil {
			h = &HLSDestination{}
			d.HLS[name] = h
		}
		h.Name = name
		if h.Layers = slices.DeleteFunc(h.Layers, noLayer); h.Layers == nil {
			h.Layers = []HLSLayer{}
		}
		if h.PlaylistType == "" {
			h.PlaylistType = "live"
		}
		if h.Recording != nil {
			h.Recording.Layers = slices.DeleteFunc(h.Recording.Layers, noLayer)
		}
	}
	for name, r := range d.RTMP {
		if r == nil {
			r = &RTMPDestination{}
			d.RTMP[name] = r
		}
		r.Name = name
	}
	for name, b := range d.BrowserRecordings {
		if b == nil {
			b = &BrowserRecording{}
			d.BrowserRecordings[name] = b
		}
		b.Name = name
	}
	for name, t := range d.Transcriptions {
		if t == nil {
			t = &TranscriptionSetup{}
			d.Transcriptions[name] = t
		}
		t.Name = name
	}
}

func (s *Settings) check(bad func(string, ...any)) {
	if !slices.Contains(Regions, s.Region) {
		bad("settings.region is one of in, us, eu, auto")
	}
	if n := utf8.RuneCountInString(s.RegionLabel); n > maxRegionLabel {
		bad("settings.regionLabel has %d characters, at most are %d", n, maxRegionLabel)
	}
	s.Brand.check(bad)
	if s.Recording != nil {
		if problem := s.Recording.Upload.Problem(); problem != "" {
			bad("%s", problem)
		}
	}
	if r := s.RoomState; r != nil && r.MessageInterval != 0 {
		if r.MessageInterval%5 != 0 || r.MessageInterval < 5 || r.MessageInterval > 3600 {
			bad("settings.roomState.messageInterval is a multiple of 5 from 5 to 3600")
		}
	}
}

func (d *Destinations) check(t *Template, bad func(string, ...any)) {
	if n := max(len(d.HLS), len(d.RTMP), len(d.BrowserRecordings), len(d.Transcriptions)); n > maxDestinations {
		bad("at most %d destinations of a kind", maxDestinations)
	}
	within := bounds(bad)
	name := func(kind, name string) string {
		if len(name) > maxNameBytes || !isValidName(name) {
			bad("%s %q: a name may have letters, digits, spaces and - . _ :, at most %d", kind, name, maxNameBytes)
		}
		return kind + " " + name + ": "
	}
	for _, key := range sorted(d.HLS) {
		at := name("hls destination", key)
		d.HLS[key].check(at, bad)
		d.HLS[key].Layout.check(at, t, bad)
	}
	for _, key := range sorted(d.RTMP) {
		d.RTMP[key].check(name("rtmp destination", key), bad)
	}
	for _, key := range sorted(d.BrowserRecordings) {
		b, at := d.BrowserRecordings[key], name("browser recording", key)
		within(at+"maxDuration", b.MaxDuration, 0, maxRunSeconds)
		within(at+"presignDuration", b.PresignDuration, 0, maxPresignSeconds)
		b.Thumbnails.check(at+"thumbnails", bad)
	}
	for _, key := range sorted(d.Transcriptions) {
		tr, at := d.Transcriptions[key], name("transcription", key)
		if t.Roles[tr.Role] == nil {
			bad("%sno role %q in the template", at, tr.Role)
		}
		tr.check(at, bad)
	}
}

func (d *HLSDestination) check(at string, bad func(string, ...any)) {
	within := bounds(bad)
	within(at+"number of layers", len(d.Layers), 0, maxLayers)
	for i, l := range d.Layers {
		if l.Width%2 != 0 || l.Height%2 != 0 || min(l.Width, l.Height) < 144 || max(l.Width, l.Height) < 192 || max(l.Width, l.Height) > 1920 || min(l.Width, l.Height) > 1080 {
			bad("%slayer %dx%d: sides are even, the short one 144 to 1080, the long one 192 to 1920", at, l.Width, l.Height)
		}
		if i > 0 && l.Width*l.Height > d.Layers[i-1].Width*d.Layers[i-1].Height {
			bad("%slayers go from the largest down", at)
		}
		within(at+"videoBitrate", l.VideoBitrate, 0, 20_000)
		within(at+"audioBitrate", l.AudioBitrate, 0, 512)
	}
	if d.PlaylistType != "" && d.PlaylistType != "live" && d.PlaylistType != "event" {
		bad("%splaylistType is live or event", at)
	}
	if d.NumSegments != 0 {
		within(at+"numPlaylistSegments", d.NumSegments, 3, 150)
	}
	within(at+"videoFrameRate", d.VideoFrameRate, 0, 60)
	within(at+"maxDuration", d.MaxDuration, 0, maxRunSeconds)
	within(at+"autoStopTimeout", d.AutoStopTimeout, 0, maxRunSeconds)
	r := d.Recording
	if r == nil {
		return
	}
	within(at+"recording.presignDuration", r.PresignDuration, 0, maxPresignSeconds)
	for _, l := range r.Layers {
		if !slices.ContainsFunc(d.Layers, func(o HLSLayer) bool { return o.Width == l.Width && o.Height == l.Height }) {
			bad("%srecording has a layer %dx%d that the destination has not", at, l.Width, l.Height)
		}
	}
	r.Thumbnails.check(at+"thumbnails", bad)
}

func (t *Thumbnails) check(at string, bad func(string, ...any)) {
	if t == nil {
		return
	}
	within := bounds(bad)
	within(at+".offsets", len(t.Offsets), 0, 100)
	for _, o := range t.Offsets {
		within(at+".offsets", o, 0, maxRunSeconds)
	}
	if t.Width != 0 || t.Height != 0 {
		within(at+".width", t.Width, 16, 1920)
		within(at+".height", t.Height, 16, 1920)
	}
}

func (d *RTMPDestination) check(at string, bad func(string, ...any)) {
	within := bounds(bad)
	within(at+"number of rtmpUrls", len(d.RTMPURLs), 0, maxRTMPURLs)
	for _, u := range d.RTMPURLs {
		if !IsRTMP(u) {
			bad("%srtmpUrls must be rtmp:// or rtmps:// addresses", at)
		}
	}
	if d.Width != 0 || d.Height != 0 {
		if !ValidComposition(d.Width, d.Height) {
			bad("%s%dx%d: width is 500 to 1920, height 480 to 1920, and only one of them above 1080", at, d.Width, d.Height)
		}
	}
	within(at+"maxDuration", d.MaxDuration, 0, maxRunSeconds)
	within(at+"autoStopTimeout", d.AutoStopTimeout, 0, maxRunSeconds)
}

// ValidComposition says whether a composed picture may have that size, in pixels.
func ValidComposition(width, height int) bool {
	return width >= 500 && height >= 480 && max(width, height) <= 1920 && min(width, height) <= 1080 && (width >= height || height >= 500)
}

func (t *TranscriptionSetup) check(at string, bad func(string, ...any)) {
	within := bounds(bad)
	for _, m := range t.Modes {
		if !slices.Contains([]string{"recorded", "live", "caption"}, m) {
			bad("%smodes are recorded, live, caption", at)
		}
	}
	for _, m := range t.OutputModes {
		if !slices.Contains([]string{"txt", "srt", "json"}, m) {
			bad("%soutputModes are txt, srt, json", at)
		}
	}
	within(at+"number of words in customVocabulary", len(t.CustomVocabulary), 0, maxVocabulary)
	s := t.Summary
	if s == nil {
		return
	}
	within(at+"length of summary.context", len(s.Context), 0, 300)
	within(at+"number of summary.sections", len(s.Sections), 0, 6)
	if s.Temperature != 0 && (s.Temperature < 0.1 || s.Temperature > 1) {
		bad("%ssummary.temperature is 0.1 to 1", at)
	}
	for _, section := range s.Sections {
		within(at+"length of a section's title", len(section.Title), 1, 100)
		if section.Format != "bullets" && section.Format != "paragraph" {
			bad("%sa section's format is bullets or paragraph", at)
		}
	}
}

func checkRecordings(list []Recording, bad func(string, ...any)) {
	within := bounds(bad)
	if len(list) > 1 {
		bad("recordings has at most one configuration")
	}
	for _, r := range list {
		if r.Name == "" || r.Role == "" {
			bad("recordings: name and role are needed")
		}
		within("recordings: length of name", len(r.Name), 0, maxNameBytes)
		within("recordings: maxDuration", r.MaxDuration, 0, maxRunSeconds)
		within("recordings: presignDuration", r.PresignDuration, 0, maxPresignSeconds)
		(*Thumbnails)(r.Thumbnails).check("recordings: thumbnails", bad)
		modes := []*RecordingMode{r.Track, r.Stream}
		if r.Composite != nil {
			modes = append(modes, r.Composite.Browser, r.Composite.Custom)
		}
		for _, m := range modes {
			if m != nil && (m.Width != 0 || m.Height != 0) && !ValidComposition(m.Width, m.Height) {
				bad("recordings: %dx%d: width is 500 to 1920, height 480 to 1920, and only one of them above 1080", m.Width, m.Height)
			}
		}
	}
}
