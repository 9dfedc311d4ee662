//go:build cgo

package canvas

import (
	"image"
	"math"

	"amphi/compositor/wire"
)

// corner is the coverage of the outside of a rounded upper left corner, for both plane sizes. The
// other corners are its mirror images.
type corner struct {
	side [2]int    // of the square that the mask covers, in luma and chroma pixels
	mask [2][]byte // rows from the top
}

// roundCorner is the corner of a rectangle that begins inset pixels inside of the square's edge;
// what is covered is all that lies outside of that.
func roundCorner(radius, inset int) *corner {
	c := &corner{side: [2]int{inset + radius, (inset + radius + 1) / 2}}
	for plane, step := range []float64{1, 2} {
		side := c.side[plane]
		for y := range side {
			for x := range side {
				// The pixel's centre, in luma pixels from the centre of the arc; and the coverage
				// of what is further from it than the radius, over a pixel's width.
				dx := float64(inset+radius) - (float64(x)+0.5)*step
				dy := float64(inset+radius) - (float64(y)+0.5)*step
				d := max(math.Hypot(max(0, dx), max(0, dy)), dx, dy)
				c.mask[plane] = append(c.mask[plane], byte(255*max(0, min(1, d-float64(radius)+0.5))))
			}
		}
	}
	return c
}

// cornerKey describes a corner; masks are kept by it.
type cornerKey struct{ radius, inset int }

func (c *Canvas) corner(radius, inset int) *corner {
	k := cornerKey{radius, inset}
	if c.corners[k] == nil {
		if len(c.corners) >= maxCorners {
			clear(c.corners)
		}
		c.corners[k] = roundCorner(radius, inset)
	}
	return c.corners[k]
}

// maxCorners bounds the masks kept: a scene has two or three kinds of corners, all that may ever
// be asked for are 30,000.
const maxCorners = 64

// frame draws a border along the inner edge of an even rectangle inside the picture, and cuts off
// its corners, where what lies under it is seen again.
func (c *Canvas) frame(r image.Rectangle, it *wire.Item) {
	most := min(r.Dx(), r.Dy()) / 2
	radius, border := min(int(it.Radius), most), even(min(int(it.Border), most))
	if border > 0 {
		arc := even(radius)
		for _, side := range [4]image.Rectangle{
			image.Rect(r.Min.X+arc, r.Min.Y, r.Max.X-arc, r.Min.Y+border),
			image.Rect(r.Min.X+arc, r.Max.Y-border, r.Max.X-arc, r.Max.Y),
			image.Rect(r.Min.X, r.Min.Y+arc, r.Min.X+border, r.Max.Y-arc),
			image.Rect(r.Max.X-border, r.Min.Y+arc, r.Max.X, r.Max.Y-arc),
		} {
			c.image.Fill(side, it.BorderColor)
		}
		c.image.cover(r, c.corner(max(0, radius-border), border), nil, yuv(it.BorderColor))
	}
	if radius > 0 {
		c.image.cover(r, c.corner(radius, 0), c.backdrop, yuv(c.scene.Background))
	}
}

// cover paints what the corner's mask covers, in all four corners of an even rectangle inside the
// picture: with a colour, or with another picture of this one's size.
func (m *Image) cover(r image.Rectangle, c *corner, with *Image, color [3]byte) {
	var under [3]plane
	if with != nil {
		under = with.planes(r)
	}
	for i, p := range m.planes(r) {
		side, mask := c.side[min(i, 1)], c.mask[min(i, 1)]
		n := min(side, p.w/2, p.h/2)
		for y := range n {
			for x := range n {
				a := int(mask[y*side+x])
				if a == 0 {
					break // the corner's edge has been passed
				}
				right, bottom := p.w-1-x, (p.h-1-y)*p.stride
				for _, at := range [4]int{y*p.stride + x, y*p.stride + right, bottom + x, bottom + right} {
					s := int(color[i])
					if with != nil {
						s = int(under[i].pix[at])
					}
					d := &p.pix[at]
					*d = byte((int(*d)*(255-a) + s*a + 127) / 255)
				}
			}
		}
	}
}
