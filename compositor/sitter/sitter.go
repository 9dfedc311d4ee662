//go:build cgo

package sitter

import (
	"image"
	"math"

	"amphi/compositor/canvas"
)

// colour has components of 0 to 255.
type colour struct{ r, g, b float64 }

func (c colour) mix(o colour, share float64) colour {
	return colour{c.r + (o.r-c.r)*share, c.g + (o.g-c.g)*share, c.b + (o.b-c.b)*share}
}

var (
	skins = []colour{{233, 190, 160}, {198, 146, 110}, {141, 94, 68}, {246, 208, 182}, {110, 74, 56}}
	hairs = []colour{{58, 42, 38}, {28, 24, 26}, {148, 96, 52}, {86, 56, 40}, {190, 186, 182}}
)

// ellipse is a part of a portrait; lengths are shares of the picture's short side, from its centre.
type ellipse struct {
	x, y, rx, ry float64
	colour       colour
}

// cover is how much of a point the ellipse covers, 0 to 1; size is the picture's short side in pixels.
func (e *ellipse) cover(x, y, size float64) float64 {
	dx, dy := (x-e.x)/e.rx, (y-e.y)/e.ry
	return max(0, min(1, 0.5+(1-math.Sqrt(dx*dx+dy*dy))*size*min(e.rx, e.ry)))
}

// Portrait is somebody in front of a wall. The number decides who, and of which colour the wall is.
func Portrait(n, w, h int) *canvas.Image {
	m := canvas.NewImage(w, h)
	size := float64(min(w, h))
	hue := float64(n) * 2.4
	wall := func(share float64) colour {
		c := func(shift float64) float64 { return 138 + 46*math.Cos(hue+shift) - 62*share }
		return colour{c(0), c(2.1), c(4.2)}
	}
	skin, hair := skins[n%len(skins)], hairs[(n/2)%len(hairs)]
	cloth := colour{52, 62, 92}.mix(wall(0.9), 0.35)
	long := 0.0 // how far the hair falls
	if n%2 == 1 {
		long = 0.12
	}
	parts := []ellipse{
		{0, -0.08 + long/2, 0.2, 0.225 + long/2, hair},
		{0, 0.64, 0.43, 0.4, cloth},
		{0, 0.2, 0.075, 0.11, skin.mix(colour{}, 0.15)},
		{0, 0, 0.15, 0.19, skin},
		{0, -0.2, 0.13, 0.055, hair},
	}
	for y := range h {
		ground := wall(float64(y) / float64(h))
		dy := (float64(y) + 0.5 - float64(h)/2) / size
		for x := range w {
			dx := (float64(x) + 0.5 - float64(w)/2) / size
			c := ground
			for i := range parts {
				if share := parts[i].cover(dx, dy, size); share > 0 {
					c = c.mix(parts[i].colour, share)
				}
			}
			set(m, x, y, c)
		}
	}
	return m
}

// set colours a point (ITU-R BT.601, limited range). Of four points the last one decides about their chroma.
func set(m *canvas.Image, x, y int, c colour) {
	m.Y[y*m.YStride+x] = byte(16.5 + (65.481*c.r+128.553*c.g+24.966*c.b)/255)
	m.U[y/2*m.CStride+x/2] = byte(128.5 + (-37.797*c.r-74.203*c.g+112*c.b)/255)
	m.V[y/2*m.CStride+x/2] = byte(128.5 + (112*c.r-93.786*c.g-18.214*c.b)/255)
}

// Window is a shared window with lines of text.
func Window(w, h int) *canvas.Image {
	m := canvas.NewImage(w, h)
	m.Fill(m.Bounds(), 0xf4f5f7)
	m.Fill(image.Rect(0, 0, w, h/12&^1), 0x33415c)
	for i := range 9 {
		y := (h/6 + i*h/12) &^ 1
		m.Fill(image.Rect(w/12&^1, y, (w/3+(i*97%7)*w/16)&^1, y+h/36&^1), 0x9aa5b8)
	}
	return m
}
