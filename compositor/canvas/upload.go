//go:build cgo

package canvas

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"

	"amphi/compositor/internal/i420"
	"amphi/compositor/wire"
)

// Limits of uploaded pictures. The memory that decoding takes is known by the size that the header
// names, before any of it is taken: at most 50 MB, for a progressive JPEG.
const (
	maxUploadSide   = 4096
	maxUploadPixels = 4 << 20
)

// ErrUpload says that an uploaded picture is not one, or not one that is taken.
var ErrUpload = errors.New("canvas: uploaded picture")

// Decode makes the bitmap of an uploaded picture.
func Decode(p *wire.Picture) (*wire.Bitmap, error) {
	config, decode := png.DecodeConfig, png.Decode
	if bytes.HasPrefix(p.Data, []byte{0xff, 0xd8}) {
		config, decode = jpeg.DecodeConfig, jpeg.Decode
	}
	c, err := config(bytes.NewReader(p.Data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUpload, err)
	}
	if c.Width < 1 || c.Height < 1 || max(c.Width, c.Height) > maxUploadSide || c.Width*c.Height > maxUploadPixels {
		return nil, fmt.Errorf("%w: %dx%d pixels", ErrUpload, c.Width, c.Height)
	}
	m, err := decode(bytes.NewReader(p.Data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUpload, err)
	}
	src := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	// Row by row, as a loop without calls cannot be interrupted by the garbage collector, which
	// then keeps the stream waiting.
	for y := range src.Rect.Dy() {
		row := image.Rect(0, y, src.Rect.Dx(), y+1)
		draw.Draw(src, row, m, m.Bounds().Min.Add(row.Min), draw.Src)
	}
	dst := scaleRGBA(src, image.Pt(int(p.W), int(p.H)), p.Fit)
	return &wire.Bitmap{ID: p.ID, W: p.W, H: p.H, Pix: i420.WithAlpha(dst)}, nil
}

// scaleRGBA fits a picture into an even size. Beside a contained one it is transparent.
func scaleRGBA(src *image.RGBA, size image.Point, fit wire.Fit) *image.RGBA {
	dst := image.NewRGBA(image.Rectangle{Max: size})
	s := NewScaler(src.Rect.Size(), size, fit)
	from, to := src.SubImage(s.crop).(*image.RGBA), dst.SubImage(s.into).(*image.RGBA)
	in := plane{make([]byte, s.crop.Dx()*s.crop.Dy()), s.crop.Dx(), s.crop.Dx(), s.crop.Dy()}
	out := plane{make([]byte, s.into.Dx()*s.into.Dy()), s.into.Dx(), s.into.Dx(), s.into.Dy()}
	for channel := range 4 {
		take(in, from, channel)
		s.drawPlane(&s.luma, in, out)
		put(out, to, channel)
	}
	return dst
}

func take(p plane, m *image.RGBA, channel int) {
	for y := range p.h {
		row := m.Pix[y*m.Stride+channel:]
		for x := range p.w {
			p.pix[y*p.stride+x] = row[4*x]
		}
	}
}

func put(p plane, m *image.RGBA, channel int) {
	for y := range p.h {
		row := m.Pix[y*m.Stride+channel:]
		for x := range p.w {
			row[4*x] = p.pix[y*p.stride+x]
		}
	}
}
