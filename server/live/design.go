package live

import (
	"slices"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/policy"
)

// design is what a policy.Layout says, in terms of the picture.
type design struct {
	style   layout.Style
	follow  bool          // who speaks stands in front
	page    time.Duration // after which the next page is shown; zero: there is one only
	roles   []string      // that are shown and heard; nil: all
	names   bool
	mutes   bool
	hands   bool
	levels  bool // a frame around who speaks
	chat    bool
	floats  bool // reactions
	canvas  wire.RGB
	tile    wire.RGB // of people without a picture
	voice   wire.RGB // of the frame around who speaks
	picture *upload  // behind all; nil: none
	logos   []logo
	slate   slate
}

// upload is a picture that somebody has uploaded. What is drawn of it is known by its address.
type upload struct {
	data []byte
	w, h int // pixels, as its header says
}

// logo is a picture over all others.
type logo struct {
	*upload
	corner layout.Corner
	width  int // percent of the canvas'
}

// slate is what is seen and heard while the stage is empty.
type slate struct {
	title, text string // "" is the room's name, and that the stage is empty
	picture     *upload
	music       []byte // MP3; nil: silence
}

// Colours where a layout names none.
const (
	backgroundColor wire.RGB = 0x0b0f1a
	tileColor       wire.RGB = 0x1c2230
	voiceColor      wire.RGB = 0x37c98b
)

// logoWidth is that of a logo whose width is left open, in percent of the canvas'.
const logoWidth = 12

// newDesign reads a layout, which may be nil. What is wrong in it, though that was checked when it
// was saved, is as if it were not there.
func newDesign(l *policy.Layout) *design {
	if l == nil {
		l = &policy.Layout{}
	}
	d := &design{
		style: layout.Style{Spacious: l.Density == "spacious", PerPage: l.TilesPerPage},
		page:  time.Duration(l.PageSeconds) * time.Second,
		roles: l.Roles,
		names: !l.HideName, mutes: !l.HideMute, hands: !l.HideHand, levels: !l.HideAudioLevel,
		chat: l.ShowChat, floats: !l.HideReactions,
		canvas: colorOf(l.Background, backgroundColor),
		tile:   colorOf(l.TileColor, tileColor),
		voice:  colorOf(l.AudioLevelColor, voiceColor),
	}
	d.picture = newUpload(l.BackgroundImage)
	switch l.Mode {
	case "active-speaker":
		d.style.Mode, d.follow = layout.Sidebar, true
	case "sidebar":
		d.style.Mode = layout.Sidebar
	case "spotlight":
		d.style.Mode, d.follow = layout.Spotlight, true
	}
	if w, h := policy.ParseAspectRatio(l.TileAspectRatio); w > 0 && h > 0 {
		d.style.Aspect = float64(w) / float64(h)
	}
	for _, o := range l.Overlays {
		if u := newUpload(o.Image); u != nil {
			width := o.Width
			if width <= 0 || width > 100 {
				width = logoWidth
			}
			d.logos = append(d.logos, logo{u, cornerOf(o.Position), width})
		}
	}
	if s := l.Slate; s != nil {
		d.slate = slate{s.Title, s.Text, newUpload(s.Image), newMusic(s.Music)}
	}
	return d
}

func colorOf(text string, fallback wire.RGB) wire.RGB {
	if rgb, ok := policy.ParseColor(text); ok {
		return wire.RGB(rgb)
	}
	return fallback
}

func newUpload(m policy.Image) *upload {
	data := m.Data()
	w, h := policy.ImageSize(data)
	if w <= 0 || h <= 0 || len(data) > wire.MaxPicture {
		return nil
	}
	return &upload{data, w, h}
}

func newMusic(m policy.Sound) []byte {
	data := m.Data()
	if _, ok := policy.MP3Length(data); !ok || len(data) > wire.MaxMusic {
		return nil
	}
	return data
}

func cornerOf(position string) layout.Corner {
	switch position {
	case "top-left":
		return layout.TopLeft
	case "bottom-right":
		return layout.BottomRight
	case "bottom-left":
		return layout.BottomLeft
	}
	return layout.TopRight
}

// shows says whether people of a role are in the picture.
func (d *design) shows(role string) bool { return len(d.roles) == 0 || slices.Contains(d.roles, role) }
