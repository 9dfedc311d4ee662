//go:build cgo

package canvas

// #cgo CFLAGS: -O3
// #include "kernels.h"
import "C"

import (
	"fmt"
	"image"
	"math"

	"amphi/compositor/internal/i420"
	"amphi/compositor/wire"
)

// Image is an I420 picture: luma, and two chroma planes of half the size (rounded up).
type Image struct {
	W, H             int
	Y, U, V          []byte
	YStride, CStride int
}

// NewImage returns a black picture of even size.
func NewImage(w, h int) *Image {
	m := &Image{
		W: w, H: h, YStride: w, CStride: w / 2,
		Y: make([]byte, w*h), U: make([]byte, w*h/4), V: make([]byte, w*h/4),
	}
	m.Fill(m.Bounds(), 0)
	return m
}

// Bounds is the rectangle of the picture.
func (m *Image) Bounds() image.Rectangle { return image.Rect(0, 0, m.W, m.H) }

// whole reports whether the planes hold what size and strides promise.
func (m *Image) whole() bool {
	cw, ch := (m.W+1)/2, (m.H+1)/2
	return m.W > 0 && m.H > 0 && m.YStride >= m.W && m.CStride >= cw &&
		len(m.Y) >= m.YStride*(m.H-1)+m.W && min(len(m.U), len(m.V)) >= m.CStride*(ch-1)+cw
}

// plane is one of the three planes, or a rectangle in it.
type plane struct {
	pix          []byte
	stride, w, h int
}

// planes are the three planes of a rectangle that lies inside the picture and starts at even
// coordinates.
func (m *Image) planes(r image.Rectangle) [3]plane {
	cx, cy := r.Min.X/2, r.Min.Y/2
	cw, ch := (r.Dx()+1)/2, (r.Dy()+1)/2
	return [3]plane{
		{m.Y[r.Min.Y*m.YStride+r.Min.X:], m.YStride, r.Dx(), r.Dy()},
		{m.U[cy*m.CStride+cx:], m.CStride, cw, ch},
		{m.V[cy*m.CStride+cx:], m.CStride, cw, ch},
	}
}

// yuv is a colour of the planes.
func yuv(c wire.RGB) [3]byte {
	r, g, b := int(c>>16&0xff), int(c>>8&0xff), int(c&0xff)
	u, v := i420.Chroma(r, g, b)
	return [3]byte{i420.Luma(r, g, b), u, v}
}

// Fill paints an even rectangle.
func (m *Image) Fill(r image.Rectangle, c wire.RGB) {
	r = r.Intersect(m.Bounds())
	if r.Empty() {
		return
	}
	color := yuv(c)
	for i, p := range m.planes(r) {
		first := p.pix[:p.w]
		for x := range first {
			first[x] = color[i]
		}
		for y := 1; y < p.h; y++ {
			copy(p.pix[y*p.stride:][:p.w], first)
		}
	}
}

// opaque is the opacity of what is shown as it is.
const opaque = 255

// blend puts a bitmap's upper left corner at a point of the canvas, as far as clip reaches. All
// coordinates are even.
func (m *Image) blend(b *wire.Bitmap, at image.Point, clip image.Rectangle, opacity uint8) {
	w, h := int(b.W), int(b.H)
	r := image.Rectangle{at, at.Add(image.Pt(w, h))}.Intersect(clip).Intersect(m.Bounds())
	if r.Empty() {
		return
	}
	n := w * h
	sx, sy := r.Min.X-at.X, r.Min.Y-at.Y
	alpha := b.Pix[n+n/2:]
	if opacity < opaque {
		faded := make([]byte, n)
		for i, a := range alpha {
			faded[i] = byte((int(a)*int(opacity) + 127) / 255)
		}
		alpha = faded
	}
	alpha = alpha[sy*w+sx:]
	planes := m.planes(r)
	y := b.Pix[sy*w+sx:]
	C.amphi_blend(ptr(y), C.int(w), ptr(alpha), C.int(w),
		ptr(planes[0].pix), C.int(m.YStride), C.int(r.Dx()), C.int(r.Dy()))
	for i, plane := range planes[1:] {
		c := b.Pix[n+i*n/4:][sy/2*(w/2)+sx/2:]
		C.amphi_blend_half(ptr(c), C.int(w/2), ptr(alpha), C.int(w),
			ptr(plane.pix), C.int(m.CStride), C.int(r.Dx()/2), C.int(r.Dy()/2))
	}
}

func ptr(p []byte) *C.uint8_t { return (*C.uint8_t)(&p[0]) }

// Scaler puts pictures of one size into rectangles of one size. It holds tables; it is not safe
// for concurrent use.
type Scaler struct {
	src  image.Point // size of the pictures
	dst  image.Point // size of the rectangle to fill
	fit  wire.Fit
	crop image.Rectangle // of the picture
	into image.Rectangle // of the rectangle, relative to it
	kind scaling
	luma axes
	chr  axes
	work []byte // scratch memory of the loops
}

type scaling int

const (
	resample scaling = iota
	copyOver         // same size
	halve            // exactly 2:1
)

// axes are the filters of one plane size.
type axes struct{ v, h filter }

// filter says from where each destination pixel is mixed: taps source pixels from at[i] on, by
// weights that sum up to 256.
type filter struct {
	taps   int
	at     []int32
	weight []uint16
}

// NewScaler plans how pictures of size src are fitted into rectangles of size dst (even).
func NewScaler(src, dst image.Point, fit wire.Fit) *Scaler {
	s := &Scaler{src: src, dst: dst, fit: fit}
	s.crop, s.into = place(src, dst, fit)
	from, to := s.crop.Size(), s.into.Size()
	switch {
	case from == to:
		s.kind = copyOver
	case from == to.Mul(2):
		s.kind = halve
	default:
		s.luma = axes{newFilter(from.Y, to.Y), newFilter(from.X, to.X)}
		s.chr = axes{newFilter((from.Y+1)/2, to.Y/2), newFilter((from.X+1)/2, to.X/2)}
		s.work = make([]byte, C.amphi_scratch(C.int(from.X), C.int(to.X)))
	}
	return s
}

// place finds the part of the picture that is shown and where in the rectangle. Both start at
// even coordinates; the part of the rectangle has an even size.
//
// When covering, a scale of nearly 1:1 or 2:1 is made exact by cropping a little more: that is
// sharper, and ten times cheaper. So 640x360 cameras are copied into the 628x348 tiles of a 2x2
// grid, and 1280x720 ones are halved.
func place(src, dst image.Point, fit wire.Fit) (crop, into image.Rectangle) {
	sx, sy := float64(dst.X)/float64(src.X), float64(dst.Y)/float64(src.Y)
	if fit == wire.Contain {
		s := min(sx, sy)
		size := image.Pt(min(dst.X, max(2, even(int(float64(src.X)*s+0.5)))), min(dst.Y, max(2, even(int(float64(src.Y)*s+0.5)))))
		at := image.Pt(even((dst.X-size.X)/2), even((dst.Y-size.Y)/2))
		return image.Rectangle{Max: src}, image.Rectangle{at, at.Add(size)}
	}
	const nearly = 0.94
	s := max(sx, sy)
	size := image.Pt(int(float64(dst.X)/s+0.5), int(float64(dst.Y)/s+0.5))
	switch {
	case s > nearly && s <= 1:
		size = dst
	case s > nearly/2 && s <= 0.5:
		size = dst.Mul(2)
	}
	size = image.Pt(max(1, min(size.X, src.X)), max(1, min(size.Y, src.Y)))
	// Faces are rather in the upper half of a picture that stands.
	at := image.Pt(even((src.X-size.X)/2), even((src.Y-size.Y)*3/8))
	return image.Rectangle{at, at.Add(size)}, image.Rectangle{Max: dst}
}

func even(n int) int { return n &^ 1 }

// newFilter makes a triangle filter from n to m pixels: plain interpolation where the picture
// grows or shrinks a little, wide enough to see each source pixel where it shrinks a lot.
func newFilter(n, m int) filter {
	step := float64(n) / float64(m)
	support := max(1, step*0.75) // half the width; a little sharper than the textbook's 1*step
	f := filter{taps: min(n, max(1, int(math.Ceil(2*support))))}
	f.at = make([]int32, m)
	f.weight = make([]uint16, m*f.taps)
	w := make([]float64, f.taps)
	for i := range m {
		center := (float64(i)+0.5)*step - 0.5
		first := max(0, min(n-f.taps, int(math.Ceil(center-support))))
		sum := 0.0
		for t := range w {
			w[t] = max(0, 1-math.Abs(float64(first+t)-center)/support)
			sum += w[t]
		}
		f.at[i] = int32(first)
		if sum == 0 {
			// The centre lies outside of the picture: its border is repeated.
			t := max(0, min(f.taps-1, int(math.Round(center))-first))
			w[t], sum = 1, 1
		}
		left := 256
		heaviest := 0
		for t := range w {
			v := int(w[t]/sum*256 + 0.5)
			f.weight[i*f.taps+t] = uint16(v)
			left -= v
			if w[t] > w[heaviest] {
				heaviest = t
			}
		}
		f.weight[i*f.taps+heaviest] += uint16(left) // may be negative: wraps back
	}
	return f
}

// Draw puts the picture into a rectangle of the canvas.
func (s *Scaler) Draw(dst *Image, at image.Point, src *Image) error {
	r := s.into.Add(at)
	if !src.whole() || src.W != s.src.X || src.H != s.src.Y || !r.In(dst.Bounds()) {
		return fmt.Errorf("canvas: %dx%d picture does not fit the plan for %v into %v", src.W, src.H, s.src, s.dst)
	}
	s.draw(dst, at, src)
	return nil
}

// draw is Draw for what has been checked.
func (s *Scaler) draw(dst *Image, at image.Point, src *Image) {
	from, to := src.planes(s.crop), dst.planes(s.into.Add(at))
	for i := range from {
		a := &s.luma
		if i > 0 {
			a = &s.chr
		}
		s.drawPlane(a, from[i], to[i])
	}
}

// drawPlane puts one plane into another, by the axes of its size.
func (s *Scaler) drawPlane(a *axes, f, t plane) {
	switch s.kind {
	case copyOver:
		C.amphi_copy(ptr(f.pix), C.int(f.stride), ptr(t.pix), C.int(t.stride), C.int(t.w), C.int(t.h))
	case halve:
		C.amphi_half(ptr(f.pix), C.int(f.stride), ptr(t.pix), C.int(t.stride), C.int(t.w), C.int(t.h))
	default:
		C.amphi_scale(ptr(f.pix), C.int(f.stride), C.int(f.w), ptr(t.pix), C.int(t.stride), C.int(t.w), C.int(t.h),
			(*C.int32_t)(&a.v.at[0]), (*C.uint16_t)(&a.v.weight[0]), C.int(a.v.taps),
			(*C.int32_t)(&a.h.at[0]), (*C.uint16_t)(&a.h.weight[0]), C.int(a.h.taps), ptr(s.work))
	}
}
