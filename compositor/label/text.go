package label

import (
	"bytes"
	"image"
	"image/color"
	"log/slog"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-text/render"
	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/fontscan"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/segmenter"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
)

// fonts finds faces and shapes lines. It belongs to one Renderer and is guarded by its mutex.
type fonts struct {
	config  Config
	log     *slog.Logger
	byRune  *fontscan.FontMap // nil until the first line
	shaper  shaping.HarfbuzzShaper
	split   shaping.Segmenter
	wrapper shaping.LineWrapper
	text    render.Renderer
}

func newFonts(c Config, log *slog.Logger) *fonts { return &fonts{config: c, log: log} }

// fontLog takes the font scanner's remarks, of which it makes one for each rune without a glyph.
type fontLog struct{ *slog.Logger }

func (l fontLog) Printf(format string, args ...any) {}

func (f *fonts) open() {
	if f.byRune != nil {
		return
	}
	f.byRune = fontscan.NewFontMap(fontLog{f.log})
	if !f.config.BuiltinOnly {
		if err := f.byRune.UseSystemFonts(f.config.FontCache); err != nil {
			f.log.Warn("the machine's fonts cannot be used: names are drawn with the built-in ones", "err", err)
		}
	}
	for _, b := range []struct {
		file string
		ttf  []byte
	}{{"gomedium", gomedium.TTF}, {"gobold", gobold.TTF}} {
		if err := f.byRune.AddFont(bytes.NewReader(b.ttf), b.file, "Go"); err != nil {
			panic(err) // our own font
		}
	}
}

// line is shaped text, ready to draw.
type line struct {
	runs            []shaping.Output // in visual order
	size            int              // pixels of the em
	width           int              // pixels
	ascent, descent int              // pixels above and below the baseline that it needs
	ink             fixed.Rectangle26_6
}

// shape lays out text in one line of at most maxWidth pixels, with an ellipsis if it is longer.
func (f *fonts) shape(text string, size, maxWidth int, weight font.Weight) line {
	f.open()
	f.byRune.SetQuery(fontscan.Query{
		Families: []string{"Noto Sans", "Go", "Noto Color Emoji", fontscan.SansSerif, fontscan.Emoji},
		Aspect:   font.Aspect{Weight: weight},
	})
	runes := []rune(text)
	direction := paragraphDirection(runes)
	ellipsis := f.runs([]rune("…"), size, direction)
	wrapped, _ := f.wrapper.WrapParagraph(shaping.WrapConfig{
		Direction:          direction,
		TruncateAfterLines: 1,
		Truncator:          ellipsis[0],
	}, maxWidth, runes, shaping.NewSliceIterator(f.runs(runes, size, direction)))
	if len(wrapped) == 0 {
		return line{size: size}
	}
	l := line{size: size, runs: slices.Clone(wrapped[0])}
	slices.SortStableFunc(l.runs, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
	advance := fixed.Int26_6(0)
	for i, run := range l.runs {
		bounds := run.GlyphBounds
		l.ascent = max(l.ascent, bounds.Ascent.Ceil())
		l.descent = max(l.descent, (-bounds.Descent).Ceil())
		x := advance
		for _, g := range run.Glyphs {
			box := fixed.Rectangle26_6{
				Min: fixed.Point26_6{X: x + g.XOffset + g.XBearing, Y: -g.YOffset - g.YBearing},
				Max: fixed.Point26_6{X: x + g.XOffset + g.XBearing + g.Width, Y: -g.YOffset - g.YBearing - g.Height},
			}
			if !box.Empty() {
				if l.ink.Empty() {
					l.ink = box
				}
				l.ink = l.ink.Union(box)
			}
			x += g.Advance
		}
		// The renderer takes whole pixels as the place of a run and rounds up its end.
		advance += fixed.I(run.Advance.Ceil())
		l.runs[i] = run
	}
	l.width = advance.Ceil()
	return l
}

func (f *fonts) runs(runes []rune, size int, direction di.Direction) []shaping.Output {
	inputs := f.split.Split(shaping.Input{
		Text: runes, RunEnd: len(runes), Direction: direction,
		Size: fixed.I(size), Language: language.NewLanguage("en"),
	}, f.byRune)
	out := make([]shaping.Output, len(inputs))
	for i, in := range inputs {
		out[i] = f.shaper.Shape(in)
		narrowSpaces(&out[i], runes)
	}
	return out
}

// narrowSpaces gives spaces beside emoji, which are drawn from the emoji font and there as wide
// as a picture, the width that they have in text.
func narrowSpaces(run *shaping.Output, runes []rune) {
	wide := run.Size * 2 / 5
	for i := range run.Glyphs {
		if g := &run.Glyphs[i]; g.RunesCount() == 1 && runes[g.TextIndex()] == ' ' && g.Advance > wide {
			g.Advance = run.Size * 7 / 25
			//lint:ignore SA1019 go-text/render v0.2.0 goes by it
			g.XAdvance = g.Advance
		}
	}
	run.RecomputeAdvance()
}

// draw puts the line's baseline start at a point.
func (f *fonts) draw(l line, m *image.RGBA, at image.Point, c color.Color) {
	f.text.FontSize = float32(l.size)
	f.text.Color = c
	x := at.X
	for _, run := range l.runs {
		f.text.DrawShapedRunAt(run, m, x, at.Y)
		x += run.Advance.Ceil()
	}
}

// paragraphDirection is that of the first strong character (UAX #9, P2 and P3).
func paragraphDirection(runes []rune) di.Direction {
	for _, r := range runes {
		switch p, _ := bidi.LookupRune(r); p.Class() {
		case bidi.L:
			return di.DirectionLTR
		case bidi.R, bidi.AL:
			return di.DirectionRTL
		}
	}
	return di.DirectionLTR
}

// clean makes one harmless line of a name.
func clean(s string) string {
	var b strings.Builder
	marks, runes, space := 0, 0, false
	// What is not looked at cannot cost: nothing legible needs eight runes for one that counts.
	for i, r := range s {
		if i > 8*maxRunes*utf8.UTFMax || runes >= maxRunes {
			break
		}
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError, unicode.IsControl(r), overridesDirection(r), unicode.Is(unicode.Co, r), r == '\ufeff':
			continue
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
			// No living script stacks more than a few marks on a letter.
			if marks++; marks > 4 {
				continue
			}
		default:
			marks = 0
		}
		if space {
			b.WriteByte(' ')
			runes++
			space = false
		}
		b.WriteRune(r)
		runes++
	}
	return b.String()
}

// overridesDirection reports the explicit bidi formatting characters, by which a name could
// pretend to be another. The joiners stay: emoji and many scripts are written with them.
func overridesDirection(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}

// initials are the first letters of the first and the last word, in scripts that have capitals;
// the first grapheme of the name in all others.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == '[' || r == '"' })
	if len(words) == 0 {
		return "?"
	}
	first := firstGrapheme(words[0])
	if len(words) > 1 && hasCase(first) {
		if last := firstGrapheme(words[len(words)-1]); hasCase(last) {
			return strings.ToUpper(first + last)
		}
	}
	return strings.ToUpper(first)
}

func firstGrapheme(word string) string {
	var seg segmenter.Segmenter
	seg.Init([]rune(word))
	if it := seg.GraphemeIterator(); it.Next() {
		return string(it.Grapheme().Text)
	}
	return ""
}

func hasCase(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
}

// inkCenter is the middle of what the line's ink covers, relative to its baseline start.
func (l line) inkCenter() (x, y float64) {
	if l.ink.Empty() {
		return float64(l.width) / 2, 0
	}
	mid := func(a, b fixed.Int26_6) float64 { return math.Round(float64(a+b)/2) / 64 }
	return mid(l.ink.Min.X, l.ink.Max.X), mid(l.ink.Min.Y, l.ink.Max.Y)
}

// missing says that there is no glyph for some of the text.
func (l line) missing() bool {
	for _, run := range l.runs {
		for _, g := range run.Glyphs {
			if g.GlyphID == 0 {
				return true
			}
		}
	}
	return len(l.runs) == 0
}
