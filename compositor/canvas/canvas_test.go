//go:build cgo

package canvas

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"amphi/compositor/wire"
)

// wave is a picture with a smooth luma pattern and slopes in chroma.
func wave(w, h int) *Image {
	m := &Image{W: w, H: h, YStride: w + 13, CStride: (w+1)/2 + 7}
	ch := (h + 1) / 2
	m.Y, m.U, m.V = make([]byte, m.YStride*h), make([]byte, m.CStride*ch), make([]byte, m.CStride*ch)
	for y := range h {
		for x := range w {
			m.Y[y*m.YStride+x] = byte(128 + 90*math.Sin(float64(x)*20/float64(w))*math.Cos(float64(y)*14/float64(h)))
		}
	}
	for y := range ch {
		for x := range (w + 1) / 2 {
			m.U[y*m.CStride+x] = byte(40 + 150*x/((w+1)/2))
			m.V[y*m.CStride+x] = byte(40 + 150*y/ch)
		}
	}
	return m
}

func flat(w, h int, c wire.RGB) *Image {
	m := NewImage(w, h)
	m.Fill(m.Bounds(), c)
	return m
}

// reference is place and newFilter in floating point, one pixel at a time.
func reference(src plane, w, h int) []byte {
	out := make([]byte, w*h)
	weights := func(n, m, i int) (at []int, w []float64) {
		step := float64(n) / float64(m)
		support := max(1, step*0.75)
		center := (float64(i)+0.5)*step - 0.5
		sum := 0.0
		for t := range n {
			if v := 1 - math.Abs(float64(t)-center)/support; v > 0 {
				at, w, sum = append(at, t), append(w, v), sum+v
			}
		}
		for i := range w {
			w[i] /= sum
		}
		return at, w
	}
	rows := make([]float64, h*src.w)
	for y := range h {
		ys, yw := weights(src.h, h, y)
		for x := range src.w {
			for i, sy := range ys {
				rows[y*src.w+x] += yw[i] * float64(src.pix[sy*src.stride+x])
			}
		}
	}
	for x := range w {
		xs, xw := weights(src.w, w, x)
		for y := range h {
			v := 0.0
			for i, sx := range xs {
				v += xw[i] * rows[y*src.w+sx]
			}
			out[y*w+x] = byte(v + 0.5)
		}
	}
	return out
}

func TestScale(t *testing.T) {
	for _, c := range []struct{ sw, sh, dw, dh int }{
		{320, 180, 208, 114}, {160, 90, 208, 114}, {320, 180, 104, 57 &^ 1}, {320, 180, 158, 88},
		{320, 180, 314, 174}, {480, 270, 64, 36}, {161, 91, 64, 36}, {90, 160, 64, 36}, {2, 2, 64, 36}, {1, 1, 16, 16},
		{16, 16, 2, 2}, {1000, 30, 200, 200},
	} {
		for _, fit := range []wire.Fit{wire.Cover, wire.Contain} {
			src := wave(c.sw, c.sh)
			s := NewScaler(image.Pt(c.sw, c.sh), image.Pt(c.dw, c.dh), fit)
			dst := flat(c.dw+32, c.dh+16, 0)
			before := flat(c.dw+32, c.dh+16, 0)
			if err := s.Draw(dst, image.Pt(16, 8), src); err != nil {
				t.Fatal(err)
			}
			into := s.into.Add(image.Pt(16, 8))
			got, from := dst.planes(into), src.planes(s.crop)
			for i := range got {
				worst := 0
				want := reference(from[i], got[i].w, got[i].h)
				for y := range got[i].h {
					for x := range got[i].w {
						d := int(got[i].pix[y*got[i].stride+x]) - int(want[y*got[i].w+x])
						worst = max(worst, d, -d)
					}
				}
				// Weights of 8 bits in two passes, each rounded; copies and halves are exact
				// kernels of their own.
				limit := 3
				if s.kind == halve {
					limit = 12
				}
				if worst > limit {
					t.Errorf("%+v fit %d kind %d plane %d: off by %d", c, fit, s.kind, i, worst)
				}
			}
			// Nothing beside the rectangle is touched.
			dst.Fill(into, 0)
			if !bytes.Equal(dst.Y, before.Y) || !bytes.Equal(dst.U, before.U) || !bytes.Equal(dst.V, before.V) {
				t.Errorf("%+v: drawn beside the rectangle", c)
			}
		}
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		src, dst   image.Point
		fit        wire.Fit
		crop, into image.Rectangle
	}{
		// Nearly the same size: copied, a few pixels cropped.
		{image.Pt(640, 360), image.Pt(628, 348), wire.Cover, image.Rect(6, 4, 634, 352), image.Rect(0, 0, 628, 348)},
		// Nearly twice: halved.
		{image.Pt(1280, 720), image.Pt(628, 348), wire.Cover, image.Rect(12, 8, 1268, 704), image.Rect(0, 0, 628, 348)},
		// An upright phone loses below, and less above.
		{image.Pt(360, 640), image.Pt(416, 228), wire.Cover, image.Rect(0, 166, 360, 363), image.Rect(0, 0, 416, 228)},
		// A screen is seen whole, centred.
		{image.Pt(1920, 1080), image.Pt(1000, 704), wire.Contain, image.Rect(0, 0, 1920, 1080), image.Rect(0, 70, 1000, 632)},
		{image.Pt(100, 4000), image.Pt(628, 348), wire.Contain, image.Rect(0, 0, 100, 4000), image.Rect(310, 0, 318, 348)},
	} {
		crop, into := place(c.src, c.dst, c.fit)
		if crop != c.crop || into != c.into {
			t.Errorf("%v into %v: %v of the picture into %v, want %v into %v", c.src, c.dst, crop, into, c.crop, c.into)
		}
	}
}

func bitmap(id uint32, w, h int, c wire.RGB, alpha byte) *wire.Bitmap {
	m := flat(w, h, c)
	pix := append(append(append([]byte(nil), m.Y...), m.U...), m.V...)
	return &wire.Bitmap{ID: id, W: uint16(w), H: uint16(h), Pix: append(pix, bytes.Repeat([]byte{alpha}, w*h)...)}
}

func (m *Image) at(x, y int) [3]byte {
	return [3]byte{m.Y[y*m.YStride+x], m.U[y/2*m.CStride+x/2], m.V[y/2*m.CStride+x/2]}
}

const (
	red, green, blue, white = wire.RGB(0xd02020), wire.RGB(0x20c020), wire.RGB(0x2020d0), wire.RGB(0xffffff)
	night                   = wire.RGB(0x101420)
)

func TestScene(t *testing.T) {
	c := New(128, 96)
	expect := func(what string, x, y int, want wire.RGB) {
		t.Helper()
		c.Draw(0)
		got, w := c.Image().at(x, y), yuv(want)
		for i := range got {
			if d := int(got[i]) - int(w[i]); d < -2 || d > 2 {
				t.Fatalf("%s: %v at %d,%d, want %v", what, got, x, y, w)
			}
		}
	}
	left, right := image.Rect(4, 4, 60, 92), image.Rect(64, 4, 124, 92)
	scene := &wire.Scene{Background: night, Items: []wire.Item{
		{Source: wire.FromBitmap, ID: 1, Rect: left},
		{Source: wire.FromInput, ID: 7, Rect: left, Radius: 8},
		{Source: wire.FromInput, ID: 8, Rect: right, Fit: wire.Contain, Fill: 0x404040},
		{Source: wire.FromBitmap, ID: 2, Rect: image.Rect(8, 80, 1000, 1000)},
	}}
	expect("before a scene", 30, 30, 0)
	c.SetScene(scene)
	expect("empty scene", 30, 30, night)
	c.SetBitmap(bitmap(1, 56, 88, blue, 255))
	expect("placeholder", 30, 30, blue)
	c.SetPicture(7, flat(64, 36, red))
	expect("video over placeholder", 30, 30, red)
	expect("background", 62, 50, night)
	expect("rounded corner", 4, 4, night)
	expect("beside the corner", 4, 30, red)
	c.SetPicture(8, flat(64, 36, green))
	expect("contained video", 90, 48, green)
	expect("bar above it", 90, 8, 0x404040)
	c.SetBitmap(bitmap(2, 20, 8, white, 128))
	for range 3 { // blended anew on every new picture, never twice
		c.SetPicture(7, flat(64, 36, red))
		expect("label", 20, 84, 0xe78f8f)
	}
	c.SetPicture(7, flat(640, 360, green))
	expect("another size", 30, 30, green)
	c.DropPicture(7)
	expect("placeholder again", 30, 30, blue)
	c.DropBitmap(1)
	expect("nothing left", 30, 30, night)
	c.SetScene(&wire.Scene{Background: blue})
	expect("another scene", 90, 48, blue)
	if c.Draw(0) {
		t.Error("drawn without a change")
	}
}

// TestUpdateIsRedraw plays random changes on two canvases, of which one draws everything every
// time: they must always look the same.
func TestUpdateIsRedraw(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	one, two := New(160, 120), New(160, 120)
	rect := func() image.Rectangle {
		x, y := even(rnd.IntN(120)), even(rnd.IntN(90))
		return image.Rect(x, y, x+2+even(rnd.IntN(60)), y+2+even(rnd.IntN(60)))
	}
	color := func() wire.RGB { return wire.RGB(rnd.IntN(1 << 24)) }
	scene := func() *wire.Scene {
		s := &wire.Scene{Background: color(), Backdrop: rnd.Uint32N(4), Glide: uint16(rnd.IntN(600))}
		for range rnd.IntN(8) {
			s.Items = append(s.Items, wire.Item{
				Source: wire.Source(1 + rnd.IntN(3)), ID: rnd.Uint32N(4), Rect: rect(),
				Fit: wire.Fit(rnd.IntN(2)), Radius: uint8(rnd.IntN(20)), Fill: color(),
				Border: uint8(even(rnd.IntN(24))), BorderColor: color(), Group: rnd.Uint32N(4),
			})
		}
		return s
	}
	for step := range 2000 {
		now := time.Duration(step) * 33 * time.Millisecond
		switch rnd.IntN(24) {
		case 0:
			s := scene()
			one.SetScene(s)
			two.SetScene(s)
		case 1:
			b := bitmap(rnd.Uint32N(4), 2+even(rnd.IntN(60)), 2+even(rnd.IntN(60)), color(), byte(rnd.IntN(256)))
			one.SetBitmap(b)
			two.SetBitmap(b)
		case 2:
			id := rnd.Uint32N(4)
			one.DropPicture(id)
			two.DropPicture(id)
		case 3:
			id := rnd.Uint32N(4)
			one.DropBitmap(id)
			two.DropBitmap(id)
		case 4:
			f := &wire.Float{ID: rnd.Uint32N(4), Rect: rect(), Rise: uint16(rnd.IntN(100)), Time: time.Second}
			one.AddFloat(f)
			two.AddFloat(f)
		default:
			id, m := rnd.Uint32N(4), wave(1+rnd.IntN(100), 1+rnd.IntN(100))
			one.SetPicture(id, m)
			two.SetPicture(id, m)
		}
		one.Draw(now)
		two.redraw = true
		two.Draw(now)
		if a, b := one.Image(), two.Image(); !bytes.Equal(a.Y, b.Y) || !bytes.Equal(a.U, b.U) || !bytes.Equal(a.V, b.V) {
			t.Fatalf("step %d: an update differs from a redraw", step)
		}
	}
}

func TestBitmapsAreBounded(t *testing.T) {
	c := New(64, 64)
	big := func(id uint32) *wire.Bitmap {
		return &wire.Bitmap{ID: id, W: 1920, H: 1080, Pix: make([]byte, wire.BitmapSize(1920, 1080))}
	}
	taken := 0
	for id := range uint32(40) {
		if c.SetBitmap(big(id)) {
			taken++
		}
	}
	if want := maxBitmapBytes / wire.BitmapSize(1920, 1080); taken != want {
		t.Errorf("%d bitmaps taken, want %d", taken, want)
	}
	if !c.SetBitmap(big(0)) {
		t.Error("a bitmap cannot be replaced when all is full")
	}
	c.DropBitmap(0)
	if !c.SetBitmap(big(99)) {
		t.Error("no room after dropping one")
	}
}

func BenchmarkScale(b *testing.B) {
	for _, c := range []struct{ sw, sh, dw, dh int }{
		{640, 360, 628, 348}, {1280, 720, 628, 348}, {640, 360, 416, 228}, {320, 180, 416, 228}, {1280, 720, 416, 228},
		{1280, 720, 854, 480}, {640, 360, 1280, 720}, {1920, 1080, 1000, 704},
	} {
		b.Run(fmt.Sprintf("%dx%d-%dx%d", c.sw, c.sh, c.dw, c.dh), func(b *testing.B) {
			src, dst := wave(c.sw, c.sh), NewImage(c.dw, c.dh)
			s := NewScaler(image.Pt(c.sw, c.sh), image.Pt(c.dw, c.dh), wire.Cover)
			for b.Loop() {
				if err := s.Draw(dst, image.Point{}, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLabel(b *testing.B) {
	c := New(1280, 720)
	c.SetBitmap(bitmap(1, 200, 32, white, 100))
	it := &item{at: image.Rect(8, 8, 208, 40), Item: wire.Item{Source: wire.FromBitmap, ID: 1}}
	for b.Loop() {
		c.draw(it, it.at)
	}
}

// BenchmarkDraw is a tick of four people whose pictures are all new.
func BenchmarkDraw(b *testing.B) {
	c := New(1280, 720)
	s := &wire.Scene{Background: night}
	pictures := [2]*Image{wave(640, 360), wave(640, 360)}
	for i := range uint32(4) {
		at := image.Pt(8+int(i%2)*636, 10+int(i/2)*352)
		r := image.Rectangle{at, at.Add(image.Pt(628, 348))}
		c.SetBitmap(bitmap(i, 120, 32, white, 100))
		s.Items = append(s.Items, wire.Item{Source: wire.FromInput, ID: i, Rect: r, Radius: 12},
			wire.Item{Source: wire.FromBitmap, ID: i, Rect: image.Rect(at.X+8, at.Y+308, at.X+128, at.Y+340)})
	}
	c.SetScene(s)
	for i := 0; b.Loop(); i++ {
		for id := range uint32(4) {
			c.SetPicture(id, pictures[i%2])
		}
		c.Draw(0)
	}
}
