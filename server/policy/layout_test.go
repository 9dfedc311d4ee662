package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func dataURL(kind string, data []byte) Image {
	return Image("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
}

func encoded(t testing.TB, kind string, w, h int) []byte {
	var b bytes.Buffer
	m := image.NewGray(image.Rect(0, 0, w, h))
	err := png.Encode(&b, m)
	if kind == "jpeg" {
		b.Reset()
		err = jpeg.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withLayout is the starter kit with a layout given as JSON.
func withLayout(t *testing.T, text string) *Template {
	t.Helper()
	kit := StarterKit()
	kit.Destinations.HLS["main"].Layout = new(Layout)
	if err := json.Unmarshal([]byte(text), kit.Destinations.HLS["main"].Layout); err != nil {
		t.Fatal(err)
	}
	return kit
}

func TestLayout(t *testing.T) {
	logo, _ := json.Marshal(dataURL("png", encoded(t, "png", 64, 32)))
	photo, _ := json.Marshal(dataURL("jpeg", encoded(t, "jpeg", 640, 360)))
	kit := withLayout(t, fmt.Sprintf(`{"mode":"active-speaker","aspectRatio":"9:16","tileAspectRatio":"1:1","density":"spacious",
		"tilesPerPage":25,"pageSeconds":15,"hideName":true,"hideMute":true,"hideHand":true,"hideAudioLevel":true,"hideReactions":true,
		"showChat":true,"roles":["broadcaster"],"background":"#102030","tileColor":"#405060","audioLevelColor":"#708090",
		"backgroundImage":%s,"overlays":[{"image":%s,"position":"bottom-left","width":20}],
		"slate":{"title":"Soon","text":"We begin at nine","image":%s}}`, photo, logo, logo))
	if err := kit.Check(); err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(kit)
	var again Template
	if err := json.Unmarshal(before, &again); err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(again); string(after) != string(before) {
		t.Errorf("a layout changes on its way through JSON:\n%s\n%s", before, after)
	}
	if empty, _ := json.Marshal(StarterKit().Destinations.HLS["main"]); strings.Contains(string(empty), "layout") {
		t.Errorf("what nobody asked for: %s", empty)
	}
	kit.RenameRole(RoleBroadcaster, "host")
	if got := kit.Destinations.HLS["main"].Layout.Roles; len(got) != 1 || got[0] != "host" {
		t.Errorf("roles after renaming: %q", got)
	}
	kit.RenameRole("host", "")
	if got := kit.Destinations.HLS["main"].Layout.Roles; len(got) != 0 {
		t.Errorf("roles after removing: %q", got)
	}
}

func TestLayoutRefuses(t *testing.T) {
	url := func(kind string, data []byte) string { return string(dataURL(kind, data)) }
	for text, want := range map[string]string{
		`{"mode":"cinema"}`:                                                         "layout.mode is one of grid, active-speaker",
		`{"aspectRatio":"21:9"}`:                                                    "aspectRatio is one of",
		`{"tileAspectRatio":"2:1"}`:                                                 "tileAspectRatio is one of",
		`{"density":"dense"}`:                                                       "density is one of",
		`{"tilesPerPage":26}`:                                                       "tilesPerPage",
		`{"pageSeconds":1}`:                                                         "pageSeconds",
		`{"roles":["nobody"]}`:                                                      `no role "nobody"`,
		`{"background":"red"}`:                                                      "background is a colour",
		`{"tileColor":"#12345g"}`:                                                   "tileColor is a colour",
		`{"audioLevelColor":"#+12345"}`:                                             "audioLevelColor is a colour",
		`{"backgroundImage":"https://example.com/a"}`:                               "backgroundImage is not a data URL",
		`{"backgroundImage":"data:image/svg+xml;base64,PHN2Zz4="}`:                  "backgroundImage is not a data URL",
		`{"backgroundImage":"data:image/png;base64,!!"}`:                            "backgroundImage is not a data URL",
		`{"backgroundImage":"data:image/png;base64,PHN2Zz4="}`:                      "backgroundImage is neither PNG nor JPEG",
		`{"backgroundImage":"` + url("png", encoded(t, "png", 4097, 2)) + `"}`:      "4097x2 pixels",
		`{"backgroundImage":"` + url("jpeg", encoded(t, "jpeg", 2100, 2100)) + `"}`: "2100x2100 pixels",
		`{"backgroundImage":"` + url("png", append(encoded(t, "png", 2, 2), make([]byte, 600000)...)) + `"}`: "bytes",
		`{"overlays":[{},{},{},{},{}]}`:                           "number of overlays",
		`{"overlays":[{}]}`:                                       "overlays[0].image is missing",
		`{"overlays":[{"position":"middle"}]}`:                    "position is one of",
		`{"overlays":[{"width":101}]}`:                            "overlays[0].width",
		`{"slate":{"image":"x"}}`:                                 "slate.image is not",
		`{"slate":{"text":"` + strings.Repeat("x", 11000) + `"}}`: "length of slate.text",
	} {
		err := withLayout(t, text).Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			if len(text) > 200 {
				text = text[:200]
			}
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestShape(t *testing.T) {
	for _, tt := range []struct {
		layout *Layout
		want   string
	}{
		{nil, "1280x720 854x480 270x480"},
		{&Layout{}, "1280x720 854x480 270x480"},
		{&Layout{AspectRatio: "16:9"}, "1280x720 854x480 480x270"},
		{&Layout{AspectRatio: "9:16"}, "720x1280 480x854 270x480"},
		{&Layout{AspectRatio: "1:1"}, "720x720 480x480 270x270"},
		{&Layout{AspectRatio: "nonsense"}, "1280x720 854x480 270x480"},
	} {
		var got []string
		for _, l := range []HLSLayer{{Width: 1280, Height: 720}, {Width: 854, Height: 480}, {Width: 270, Height: 480}} {
			l = tt.layout.Shape(l)
			got = append(got, fmt.Sprintf("%dx%d", l.Width, l.Height))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%+v: %s, want %s", tt.layout, s, tt.want)
		}
	}
}

// FuzzImageSize holds the reading of headers against the libraries', which overlook rubbish between
// the sections of a JPEG.
func FuzzImageSize(f *testing.F) {
	f.Add(encoded(f, "png", 12, 34))
	f.Add(encoded(f, "jpeg", 12, 34))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xff, 0xff, 0xc0})
	f.Fuzz(func(t *testing.T, data []byte) {
		w, h := ImageSize(data)
		c, _, err := image.DecodeConfig(bytes.NewReader(data))
		if err == nil && w != 0 && (w != c.Width || h != c.Height) {
			t.Errorf("%dx%d, want %dx%d", w, h, c.Width, c.Height)
		}
	})
}
