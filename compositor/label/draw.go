package label

import (
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/go-text/typesetting/font"
	"golang.org/x/image/vector"
)

func (r *Renderer) drawName(n Name) *image.RGBA {
	h := float32(n.Height)
	pad := int(0.44 * h) // free space at the rounded ends
	icon := 0
	if n.Muted {
		icon = int(0.70 * h)
	}
	size := int(0.53*h + 0.5)

	var text line
	room := n.MaxWidth - 2*pad - icon
	if n.Text != "" && room >= size {
		r.safely("name", func() { text = r.fonts.shape(n.Text, size, room, font.WeightNormal) })
	}
	width := 2*pad + icon + text.width
	if text.width == 0 {
		width = n.Height // a round badge
	}
	width = min((width+1)&^1, n.MaxWidth)

	m := image.NewRGBA(image.Rect(0, 0, width, n.Height))
	p := newPath(m)
	p.roundRect(0, 0, float32(width), h, h/2)
	p.fill(barColor)
	if n.Muted {
		x := float32(pad) - 0.12*h
		if text.width == 0 {
			x = (float32(width) - 0.66*h) / 2
		}
		drawMutedMic(m, x, 0.17*h, 0.66*h)
	}
	if text.width > 0 {
		// The baseline is that of Latin capitals centred in the bar, so that labels stand alike.
		baseline := int(math.Round(float64(n.Height)/2 + 0.36*float64(size)))
		r.safely("name", func() { r.fonts.draw(text, m, image.Pt(pad+icon, baseline), textColor) })
	}
	return m
}

func (r *Renderer) drawAvatar(a Avatar) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, a.Size, a.Size))
	p := newPath(m)
	d := float32(a.Size)
	p.circle(d/2, d/2, d/2)
	p.fill(circleColor(a.Name))

	size := int(0.42*d + 0.5)
	if size < 4 {
		return m
	}
	text := initials(a.Name)
	r.safely("initials", func() {
		l := r.fonts.shape(text, size, a.Size, font.WeightBold)
		x, y := l.inkCenter()
		r.fonts.draw(l, m, image.Pt(int(math.Round(float64(d)/2-x)), int(math.Round(float64(d)/2-y))), textColor)
	})
	return m
}

func (r *Renderer) drawTitle(t Title) *image.RGBA {
	weight := font.WeightNormal
	if t.Bold {
		weight = font.WeightBold
	}
	soft := max(1, t.Size/24) // pixels that the shadow stands off
	var text line
	r.safely("title", func() { text = r.fonts.shape(t.Text, t.Size, t.MaxWidth-4*soft, weight) })
	h := t.Size * 3 / 2 &^ 1
	m := image.NewRGBA(image.Rect(0, 0, max(2, min((text.width+4*soft+1)&^1, t.MaxWidth)), h))
	if text.width == 0 {
		return m
	}
	baseline := int(math.Round(float64(h)/2 + 0.36*float64(t.Size)))
	r.safely("title", func() {
		r.fonts.draw(text, m, image.Pt(2*soft, baseline+soft), shadow)
		r.fonts.draw(text, m, image.Pt(2*soft, baseline), textColor)
	})
	return m
}

func (r *Renderer) drawEmoji(e Emoji) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, e.Size, e.Size))
	size := e.Size * 4 / 5
	r.safely("emoji", func() {
		l := r.fonts.shape(e.Text, size, 4*e.Size, font.WeightNormal)
		if l.missing() {
			return
		}
		x, y := l.inkCenter()
		r.fonts.draw(l, m, image.Pt(int(math.Round(float64(e.Size)/2-x)), int(math.Round(float64(e.Size)/2-y))), textColor)
	})
	return m
}

// circleColor gives one name the same colour in every room and every run.
func circleColor(name string) color.NRGBA {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	return circleColors[hash.Sum32()%uint32(len(circleColors))]
}

// drawMutedMic draws a crossed microphone into a square.
func drawMutedMic(m *image.RGBA, x, y, size float32) {
	p := newPath(m)
	at := func(px, py float32) (float32, float32) { return x + px*size, y + py*size }
	pen := 0.042 * size // half its width

	// Body, holder, stem and foot, in units of the square.
	bx, by := at(0.36, 0.08)
	p.roundRect(bx, by, 0.28*size, 0.48*size, 0.14*size)
	const steps = 16
	for i := range steps {
		a0, a1 := math.Pi*float64(i)/steps, math.Pi*float64(i+1)/steps
		x0, y0 := at(0.5+0.25*float32(math.Cos(a0)), 0.45+0.25*float32(math.Sin(a0)))
		x1, y1 := at(0.5+0.25*float32(math.Cos(a1)), 0.45+0.25*float32(math.Sin(a1)))
		p.stroke(x0, y0, x1, y1, pen)
	}
	x0, y0 := at(0.5, 0.70)
	x1, y1 := at(0.5, 0.88)
	p.stroke(x0, y0, x1, y1, pen)
	x0, y0 = at(0.37, 0.89)
	x1, y1 = at(0.63, 0.89)
	p.stroke(x0, y0, x1, y1, pen)
	p.fill(muteColor)

	// A wider slash is first cut out of the microphone, so that the slash stays legible on it.
	x0, y0 = at(0.17, 0.13)
	x1, y1 = at(0.83, 0.87)
	p.stroke(x0+1.6*pen, y0-1.6*pen, x1+1.6*pen, y1-1.6*pen, 1.5*pen)
	p.erase(barColor)
	p.stroke(x0, y0, x1, y1, 1.25*pen)
	p.fill(muteColor)
}

func drawHand(h Hand) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, h.Size, h.Size))
	p := newPath(m)
	s := float32(h.Size)
	p.circle(s/2, s/2, s/2)
	p.fill(handColor)

	at := func(v float32) float32 { return v * s }
	// Four fingers, their tips on an arc; the palm; the thumb.
	for _, f := range []struct{ x, top, bottom float32 }{
		{0.362, 0.300, 0.560}, {0.457, 0.220, 0.560}, {0.552, 0.240, 0.560}, {0.645, 0.320, 0.600},
	} {
		p.stroke(at(f.x), at(f.top), at(f.x), at(f.bottom), at(0.034))
	}
	p.roundRect(at(0.328), at(0.50), at(0.351), at(0.29), at(0.14))
	p.stroke(at(0.400), at(0.680), at(0.235), at(0.510), at(0.040))
	p.stroke(at(0.430), at(0.740), at(0.235), at(0.510), at(0.036))
	p.fill(handInk)
	return m
}

// path collects shapes and fills them with soft edges.
type path struct {
	m *image.RGBA
	v *vector.Rasterizer
}

func newPath(m *image.RGBA) *path {
	return &path{m, vector.NewRasterizer(m.Rect.Dx(), m.Rect.Dy())}
}

// fill paints everything collected since the last fill, and forgets it.
func (p *path) fill(c color.Color) {
	p.v.DrawOp = draw.Over
	p.v.Draw(p.m, p.m.Rect, image.NewUniform(c), image.Point{})
	p.v.Reset(p.m.Rect.Dx(), p.m.Rect.Dy())
}

// erase puts a colour, with its transparency, in place of what was there.
func (p *path) erase(c color.Color) {
	mask := image.NewAlpha(p.m.Rect)
	p.v.DrawOp = draw.Src
	p.v.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	p.v.Reset(p.m.Rect.Dx(), p.m.Rect.Dy())
	nr, ng, nb, na := c.RGBA()
	with := [4]int{int(nr >> 8), int(ng >> 8), int(nb >> 8), int(na >> 8)}
	for i, a := range mask.Pix {
		if a == 0 {
			continue
		}
		for k, n := range with {
			d := &p.m.Pix[4*i+k]
			*d = byte((int(*d)*(255-int(a)) + n*int(a) + 127) / 255)
		}
	}
}

// arc is the distance of control points at which a cubic is a quarter of a circle.
const arc = 0.5522848

// roundRect adds a clockwise rectangle. All shapes turn the same way, so that those that overlap
// add up under the rasterizer's non-zero rule.
func (p *path) roundRect(x, y, w, h, r float32) {
	r = min(r, w/2, h/2)
	k := r * (1 - arc)
	v := p.v
	v.MoveTo(x+r, y)
	v.LineTo(x+w-r, y)
	v.CubeTo(x+w-k, y, x+w, y+k, x+w, y+r)
	v.LineTo(x+w, y+h-r)
	v.CubeTo(x+w, y+h-k, x+w-k, y+h, x+w-r, y+h)
	v.LineTo(x+r, y+h)
	v.CubeTo(x+k, y+h, x, y+h-k, x, y+h-r)
	v.LineTo(x, y+r)
	v.CubeTo(x, y+k, x+k, y, x+r, y)
	v.ClosePath()
}

func (p *path) circle(x, y, r float32) { p.roundRect(x-r, y-r, 2*r, 2*r, r) }

// stroke adds a line with round ends, half wide as half says.
func (p *path) stroke(x0, y0, x1, y1, half float32) {
	length := float32(math.Hypot(float64(x1-x0), float64(y1-y0)))
	if length == 0 {
		p.circle(x0, y0, half)
		return
	}
	dx, dy := (x1-x0)/length*half, (y1-y0)/length*half
	nx, ny := dy, -dx // to the left of the way, as y points down
	const k = arc
	v := p.v
	v.MoveTo(x0+nx, y0+ny)
	v.LineTo(x1+nx, y1+ny)
	v.CubeTo(x1+nx+k*dx, y1+ny+k*dy, x1+dx+k*nx, y1+dy+k*ny, x1+dx, y1+dy)
	v.CubeTo(x1+dx-k*nx, y1+dy-k*ny, x1-nx+k*dx, y1-ny+k*dy, x1-nx, y1-ny)
	v.LineTo(x0-nx, y0-ny)
	v.CubeTo(x0-nx-k*dx, y0-ny-k*dy, x0-dx-k*nx, y0-dy-k*ny, x0-dx, y0-dy)
	v.CubeTo(x0-dx+k*nx, y0-dy+k*ny, x0+nx-k*dx, y0+ny-k*dy, x0+nx, y0+ny)
	v.ClosePath()
}
