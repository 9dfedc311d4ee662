// Package label draws what stands on the composed picture beside the videos: name labels,
// circles with initials for people without a camera, titles, emoji and badges. Its bitmaps are made when
// something changes and sent to the media worker once.
//
// Names come from strangers. They are shaped by the rules of their scripts, in any script that
// the machine has fonts for (Noto is looked for first; the Go fonts are built in), cut with an
// ellipsis, and freed of what could do harm: control characters, overrides of the writing
// direction, towers of combining marks.
package label

import (
	"container/list"
	"fmt"
	"image"
	"image/color"
	"log/slog"
	"sync"

	"amphi/compositor/internal/i420"
)

// Limits. Sizes beyond them are cut down to them.
const (
	MaxSide     = 1920     // pixels of a bitmap's sides
	maxRunes    = 128      // of a name, after cleaning
	cacheBudget = 16 << 20 // bytes of bitmaps kept by a Renderer
	entryCost   = 256      // bytes that an entry costs besides its pixels
	minHeight   = 12       // pixels of a label or badge
	maxHeight   = 256
)

// Bitmap is a picture with transparency in the layout that the media worker takes: I420 (BT.601,
// limited range) and an alpha plane of full resolution, colours not premultiplied. W and H are
// even. Bitmaps are shared by a cache: they must not be changed.
type Bitmap struct {
	W, H int
	Pix  []byte // Y: W*H, U: W*H/4, V: W*H/4, A: W*H
}

// Name describes a name label: a rounded bar with the name, and a crossed microphone before it
// when muted.
type Name struct {
	Text     string
	Muted    bool
	Height   int // pixels
	MaxWidth int // pixels; a longer name ends in an ellipsis
}

// Avatar describes what stands in place of a picture: initials in a circle whose colour is chosen
// by the name.
type Avatar struct {
	Name string
	Size int // pixels of both sides
}

// Title describes a line of text without a bar, with a soft shadow.
type Title struct {
	Text     string
	Size     int // pixels of the em
	MaxWidth int // pixels; a longer text ends in an ellipsis
	Bold     bool
}

// Emoji describes an emoji.
type Emoji struct {
	Text string
	Size int // pixels of both sides
}

// Hand describes the badge of a raised hand.
type Hand struct {
	Size int // pixels of both sides
}

// Renderer draws bitmaps and keeps the latest. It is safe for concurrent use.
type Renderer struct {
	log    *slog.Logger
	budget int // bytes of bitmaps kept

	mu    sync.Mutex // guards all below: shaping and font lookup share state
	fonts *fonts
	cache map[any]*list.Element // by description
	order *list.List            // of *entry, latest used first
	bytes int
}

type entry struct {
	key    any
	bitmap Bitmap
}

// Config configures a Renderer.
type Config struct {
	// FontCache is the directory of the index of the machine's fonts, which takes seconds to make
	// anew. Empty is the user's cache directory.
	FontCache string
	// BuiltinOnly leaves the machine's fonts aside: pictures are the same everywhere, but there
	// is Latin, Greek and Cyrillic only.
	BuiltinOnly bool
	Log         *slog.Logger
}

// New returns a Renderer. The machine's fonts are looked up by the first bitmap that needs text.
func New(c Config) *Renderer {
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Renderer{
		log:    log,
		budget: cacheBudget,
		fonts:  newFonts(c, log),
		cache:  make(map[any]*list.Element),
		order:  list.New(),
	}
}

// Name draws a name label. It is as wide as the name needs.
func (r *Renderer) Name(n Name) Bitmap {
	n.Height = clampEven(n.Height, minHeight, maxHeight)
	n.MaxWidth = clampEven(n.MaxWidth, n.Height, MaxSide)
	n.Text = clean(n.Text)
	return r.cached(n, func() *image.RGBA { return r.drawName(n) })
}

// Avatar draws a circle with initials.
func (r *Renderer) Avatar(a Avatar) Bitmap {
	a.Size = clampEven(a.Size, 2, MaxSide)
	a.Name = clean(a.Name)
	return r.cached(a, func() *image.RGBA { return r.drawAvatar(a) })
}

// Title draws a line of text, as wide as it needs.
func (r *Renderer) Title(t Title) Bitmap {
	t.Size = clampEven(t.Size, minHeight, maxHeight)
	t.MaxWidth = clampEven(t.MaxWidth, 2*t.Size, MaxSide)
	t.Text = clean(t.Text)
	return r.cached(t, func() *image.RGBA { return r.drawTitle(t) })
}

// Emoji draws an emoji, or nothing but transparency where the machine has no font with it.
func (r *Renderer) Emoji(e Emoji) Bitmap {
	e.Size = clampEven(e.Size, minHeight, maxHeight)
	e.Text = clean(e.Text)
	return r.cached(e, func() *image.RGBA { return r.drawEmoji(e) })
}

// Hand draws the badge of a raised hand.
func (r *Renderer) Hand(h Hand) Bitmap {
	h.Size = clampEven(h.Size, minHeight, maxHeight)
	return r.cached(h, func() *image.RGBA { return drawHand(h) })
}

func (r *Renderer) cached(key any, draw func() *image.RGBA) Bitmap {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.cache[key]; e != nil {
		r.order.MoveToFront(e)
		return e.Value.(*entry).bitmap
	}
	m := draw()
	b := Bitmap{W: m.Rect.Dx(), H: m.Rect.Dy(), Pix: i420.WithAlpha(m)}
	r.cache[key] = r.order.PushFront(&entry{key, b})
	r.bytes += len(b.Pix) + entryCost
	for r.bytes > r.budget && r.order.Len() > 1 {
		old := r.order.Remove(r.order.Back()).(*entry)
		delete(r.cache, old.key)
		r.bytes -= len(old.bitmap.Pix) + entryCost
	}
	return b
}

// safely runs what handles a stranger's text. The text libraries are large; a name that trips
// one of them costs its own text, not the server.
func (r *Renderer) safely(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("text could not be drawn", "what", what, "panic", fmt.Sprint(p))
		}
	}()
	f()
}

func clampEven(n, low, high int) int { return max(low, min(n, high)) &^ 1 }

// The palette. Labels stand on any picture: their bar is dark enough for white text at a
// contrast of 4.5:1 even over white.
var (
	barColor  = color.NRGBA{0x0b, 0x0f, 0x1a, 0xb8}
	textColor = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	muteColor = color.NRGBA{0xf0, 0x4f, 0x5b, 0xff}
	shadow    = color.NRGBA{0x00, 0x00, 0x00, 0x90}
	handColor = color.NRGBA{0xff, 0xc2, 0x33, 0xff}
	handInk   = color.NRGBA{0x2b, 0x1d, 0x00, 0xff}

	// circleColors carry white initials at 4.5:1 or more.
	circleColors = []color.NRGBA{
		{0x2f, 0x6f, 0xe4, 0xff}, // blue
		{0x7a, 0x4f, 0xe0, 0xff}, // violet
		{0xb8, 0x3f, 0xb4, 0xff}, // magenta
		{0xd0, 0x3a, 0x6c, 0xff}, // rose
		{0xc2, 0x4a, 0x1e, 0xff}, // rust
		{0x9a, 0x67, 0x00, 0xff}, // ochre
		{0x3c, 0x7d, 0x2b, 0xff}, // green
		{0x0d, 0x7d, 0x74, 0xff}, // teal
		{0x1b, 0x77, 0xa6, 0xff}, // cyan
	}
)

// Size is that of the bitmap in pixels.
func (b Bitmap) Size() image.Point { return image.Pt(b.W, b.H) }
