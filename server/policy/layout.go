package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Layout says how the composed picture of a live stream looks. Templates of 100ms have no such
// key: there it is a setting of the dashboard. It may change while the stream runs.
type Layout struct {
	Mode            string `json:"mode,omitempty"`            // one of LayoutModes; "" is grid
	AspectRatio     string `json:"aspectRatio,omitempty"`     // of the picture, one of AspectRatios; "" is that of the layers
	TileAspectRatio string `json:"tileAspectRatio,omitempty"` // of a grid's tiles, one of TileAspectRatios; "" is what fills the picture
	Density         string `json:"density,omitempty"`         // compact or spacious; "" is compact
	TilesPerPage    int    `json:"tilesPerPage,omitempty"`    // of a grid, 1 to 25; 0 is 9
	PageSeconds     int    `json:"pageSeconds,omitempty"`     // after which the next page is shown; 0: who speaks is on the only one

	HideName       bool `json:"hideName,omitempty"`
	HideMute       bool `json:"hideMute,omitempty"`
	HideHand       bool `json:"hideHand,omitempty"`
	HideAudioLevel bool `json:"hideAudioLevel,omitempty"` // the frame around who speaks
	HideReactions  bool `json:"hideReactions,omitempty"`
	ShowChat       bool `json:"showChat,omitempty"` // the latest message to all, for some seconds

	Roles []string `json:"roles,omitempty"` // that are shown and heard; none: all

	// Colours are #rrggbb; "" is the default.
	Background      string `json:"background,omitempty"`
	TileColor       string `json:"tileColor,omitempty"`       // of people without a picture
	AudioLevelColor string `json:"audioLevelColor,omitempty"` // of the frame around who speaks

	BackgroundImage Image     `json:"backgroundImage,omitempty"`
	Overlays        []Overlay `json:"overlays,omitempty"` // at most 4
	Slate           *Slate    `json:"slate,omitempty"`
}

// Overlay is a picture over all others, such as a logo.
type Overlay struct {
	Image    Image  `json:"image"`
	Position string `json:"position,omitempty"` // one of Positions; "" is top-right
	Width    int    `json:"width,omitempty"`    // in percent of the picture's width, 1 to 100; 0 is 12
}

// Slate is what is seen and heard while the stage is empty.
type Slate struct {
	Title string `json:"title,omitempty"` // "" is the room's name
	Text  string `json:"text,omitempty"`
	Image Image  `json:"image,omitempty"` // above the title
	Music Sound  `json:"music,omitempty"` // is heard, again and again
}

// Values of a layout.
var (
	LayoutModes      = []string{"grid", "active-speaker", "sidebar", "spotlight"}
	AspectRatios     = []string{"16:9", "9:16", "1:1"}
	TileAspectRatios = []string{"16:9", "4:3", "1:1", "3:4", "9:16"}
	Densities        = []string{"compact", "spacious"}
	Positions        = []string{"top-left", "top-right", "bottom-left", "bottom-right"}
)

// Bounds of a layout.
const (
	maxTilesPerPage = 25
	maxPageSeconds  = 3600
	maxLayoutRoles  = 50
	maxOverlays     = 4
	maxSlateBytes   = 10 << 10 // of a text; what is too long to be shown ends in an ellipsis
	maxImageBytes   = 512 << 10
	maxImageSide    = 4096
	maxImagePixels  = 4 << 20
)

// Image is a picture as a data URL of type image/png or image/jpeg. Pictures travel with the
// template, so that no server has to fetch what somebody names.
type Image string

// Data returns the PNG or JPEG; nil if there is none.
func (m Image) Data() []byte {
	head, text, ok := strings.Cut(string(m), ",")
	if !ok || head != "data:image/png;base64" && head != "data:image/jpeg;base64" {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}

// problem says what is wrong with a picture. Only its header is looked at here: it is decoded where
// that can do no harm.
func (m Image) problem() string {
	if m == "" {
		return ""
	}
	data := m.Data()
	if data == nil {
		return "is not a data URL of type image/png or image/jpeg in base64"
	}
	if len(data) > maxImageBytes {
		return fmt.Sprintf("has %d bytes, at most are %d", len(data), maxImageBytes)
	}
	w, h := ImageSize(data)
	switch {
	case w == 0 || h == 0:
		return "is neither PNG nor JPEG"
	case max(w, h) > maxImageSide || w*h > maxImagePixels:
		return fmt.Sprintf("has %dx%d pixels, at most are %d on a side and %d in all", w, h, maxImageSide, maxImagePixels)
	}
	return ""
}

// ImageSize reads the size from the header of a PNG or a JPEG; zeros if it is neither. The
// libraries for both are not used, as they would come with this package into browsers.
func ImageSize(data []byte) (w, h int) {
	be := binary.BigEndian
	if bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) {
		if len(data) < 24 || string(data[12:16]) != "IHDR" {
			return 0, 0
		}
		return int(be.Uint32(data[16:]) & 0x7fffffff), int(be.Uint32(data[20:]) & 0x7fffffff)
	}
	if !bytes.HasPrefix(data, []byte{0xff, 0xd8}) {
		return 0, 0
	}
	for data = data[2:]; len(data) >= 4 && data[0] == 0xff; {
		marker, length := data[1], int(be.Uint16(data[2:]))
		switch {
		case marker == 0xff: // filling
			data = data[1:]
		case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc: // start of the frame
			if len(data) < 9 {
				return 0, 0
			}
			return int(be.Uint16(data[7:])), int(be.Uint16(data[5:]))
		case length < 2 || len(data) < 2+length:
			return 0, 0
		default:
			data = data[2+length:]
		}
	}
	return 0, 0
}

// ParseColor reads a colour; false if it is none.
func ParseColor(text string) (rgb uint32, ok bool) {
	if len(text) != 7 || text[0] != '#' {
		return 0, false
	}
	v, err := strconv.ParseUint(text[1:], 16, 24)
	return uint32(v), err == nil
}

// ParseAspectRatio reads an aspect ratio such as 16:9; zeros for "".
func ParseAspectRatio(text string) (w, h int) {
	a, b, _ := strings.Cut(text, ":")
	w, _ = strconv.Atoi(a)
	h, _ = strconv.Atoi(b)
	return w, h
}

func (l *Layout) check(at string, t *Template, bad func(string, ...any)) {
	if l == nil {
		return
	}
	at += "layout."
	within := bounds(bad)
	oneOf := func(what, value string, values []string) {
		if value != "" && !slices.Contains(values, value) {
			bad("%s%s is one of %s", at, what, strings.Join(values, ", "))
		}
	}
	oneOf("mode", l.Mode, LayoutModes)
	oneOf("aspectRatio", l.AspectRatio, AspectRatios)
	oneOf("tileAspectRatio", l.TileAspectRatio, TileAspectRatios)
	oneOf("density", l.Density, Densities)
	within(at+"tilesPerPage", l.TilesPerPage, 0, maxTilesPerPage)
	if l.PageSeconds != 0 {
		within(at+"pageSeconds", l.PageSeconds, 3, maxPageSeconds)
	}
	within(at+"number of roles", len(l.Roles), 0, maxLayoutRoles)
	for _, r := range l.Roles {
		if t.Roles[r] == nil {
			bad("%sroles: no role %q in the template", at, r)
		}
	}
	for _, c := range []struct{ what, value string }{
		{"background", l.Background}, {"tileColor", l.TileColor}, {"audioLevelColor", l.AudioLevelColor},
	} {
		if _, ok := ParseColor(c.value); c.value != "" && !ok {
			bad("%s%s is a colour such as #0b0f1a", at, c.what)
		}
	}
	picture := func(what string, m Image) {
		if problem := m.problem(); problem != "" {
			bad("%s%s %s", at, what, problem)
		}
	}
	picture("backgroundImage", l.BackgroundImage)
	within(at+"number of overlays", len(l.Overlays), 0, maxOverlays)
	for i, o := range l.Overlays {
		if i == maxOverlays {
			break
		}
		what := fmt.Sprintf("overlays[%d].", i)
		if o.Image == "" {
			bad("%s%simage is missing", at, what)
		}
		picture(what+"image", o.Image)
		oneOf(what+"position", o.Position, Positions)
		within(at+what+"width", o.Width, 0, 100)
	}
	if s := l.Slate; s != nil {
		within(at+"length of slate.title", len(s.Title), 0, maxSlateBytes)
		within(at+"length of slate.text", len(s.Text), 0, maxSlateBytes)
		picture("slate.image", s.Image)
		if problem := s.Music.problem(); problem != "" {
			bad("%sslate.music %s", at, problem)
		}
	}
}

// Shape returns a layer in the shape that the layout asks for: its short side stays, so that 1280x720
// becomes 720x1280 or 720x720.
func (l *Layout) Shape(layer HLSLayer) HLSLayer {
	if l == nil {
		return layer
	}
	w, h := ParseAspectRatio(l.AspectRatio)
	if w <= 0 || h <= 0 {
		return layer
	}
	short := min(layer.Width, layer.Height)
	layer.Width, layer.Height = (short*w/min(w, h)+1)&^1, (short*h/min(w, h)+1)&^1
	return layer
}
