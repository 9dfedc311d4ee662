package web

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"

	"amphi/server/policy"
	"amphi/templates"
)

// Brand is whose pages those of an app are. What it lacks is Amphi's.
type Brand struct {
	Name  string
	Logo  []byte // PNG or JPEG
	Color string // "#rrggbb", see [policy.ParseColor]
}

// shown is the brand as pages draw it; base is the address below which its logo is.
func (b Brand) shown(base string) templates.Brand {
	shown := templates.Brand{Name: b.Name}
	if b.Logo != nil {
		shown.Logo = base + "/logo"
	}
	if rgb, ok := policy.ParseColor(b.Color); ok {
		shown.Colors = fmt.Sprintf("/brand/%06x.css", rgb)
	}
	return shown
}

// sendLogo sends the picture of a brand.
func (p *pages) sendLogo(w http.ResponseWriter, r *http.Request, logo []byte) {
	if logo == nil {
		p.problem(w, r, notFound)
		return
	}
	w.Header().Set("Content-Type", http.DetectContentType(logo)) // PNG or JPEG: it was checked when it was saved
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(logo) // an error means that the visitor is gone
}

// meetingLogo is the logo of the app that a room code leads into.
func (p *pages) meetingLogo(w http.ResponseWriter, r *http.Request) {
	if door, ok := p.enter(w, r); ok {
		p.sendLogo(w, r, door.Brand.Logo)
	}
}

// meetingPath is where the page of a room code is.
func meetingPath(code string) string { return "/meeting/" + url.PathEscape(code) }

// brandColors is the style sheet of a colour.
func (p *pages) brandColors(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("style"), ".css")
	value, known := policy.ParseColor("#" + name)
	if !ok || !known {
		p.problem(w, r, notFound)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = fmt.Fprint(w, styleOf(colorOf(value)))
}

// The surfaces of static/css/tokens.css on which it is hardest to read something.
var (
	lightSurface = color{0xf2, 0xed, 0xe4}
	darkSurface  = color{0x29, 0x25, 0x2b}

	black = color{0x14, 0x12, 0x15}
	white = color{0xff, 0xff, 0xff}
)

// styleOf gives the accent of the pages a colour, as dark or as light as it takes to be read.
func styleOf(c color) string {
	light, dark := c.readable(lightSurface, black), c.readable(darkSurface, white)
	const hover = 0.15
	return fmt.Sprintf(":root{--accent:light-dark(%s,%s);--accent-hover:light-dark(%s,%s);--on-accent:light-dark(%s,%s)}\n",
		light, dark, light.mixed(black, hover), dark.mixed(white, hover), white, black)
}

// color is one of sRGB: red, green and blue from 0 to 255.
type color [3]float64

func colorOf(rgb uint32) color {
	return color{float64(rgb >> 16 & 0xff), float64(rgb >> 8 & 0xff), float64(rgb & 0xff)}
}

func (c color) String() string {
	return fmt.Sprintf("#%02x%02x%02x", uint8(math.Round(c[0])), uint8(math.Round(c[1])), uint8(math.Round(c[2])))
}

// mixed is c with a part of another one, 0 to 1.
func (c color) mixed(with color, part float64) (m color) {
	for i := range c {
		m[i] = c[i] + (with[i]-c[i])*part
	}
	return m
}

// readable is c, or the nearest mixture with another colour that can be read on a surface (WCAG 2.2, 1.4.3).
func (c color) readable(on, with color) color {
	const enough = 4.6 // 4.5 and what rounding takes
	for part := 0.0; part < 1; part += 0.02 {
		if m := c.mixed(with, part); contrast(m, on) >= enough {
			return m
		}
	}
	return with
}

// contrast is that of two colours, from 1 to 21 (WCAG 2.2).
func contrast(a, b color) float64 {
	high, low := a.luminance(), b.luminance()
	if high < low {
		high, low = low, high
	}
	return (high + 0.05) / (low + 0.05)
}

func (c color) luminance() float64 {
	linear := func(v float64) float64 {
		if v /= 255; v > 0.04045 {
			return math.Pow((v+0.055)/1.055, 2.4)
		}
		return v / 12.92
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}
