//go:build cgo

package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"

	"amphi/compositor/canvas"
	"amphi/compositor/codec"
)

const (
	// maxStill bounds the pictures that a still is made of, in bytes: a second of them.
	maxStill = 4 << 20

	jpegQuality = 85
)

// delimiter is an access unit delimiter behind its start code, of pictures of any kind.
var delimiter = []byte{0, 0, 0, 1, 9, 0xf0}

// still reads an H.264 key picture with its parameter sets, in Annex-B form, and maybe those after it, each behind an
// access unit delimiter, and writes the last as a file of the format png or jpeg: as large as fits into the size, as in
// 1280x720, and no larger than it is.
func still(in io.Reader, out io.Writer, format, size string) error {
	var box image.Point
	if _, err := fmt.Sscanf(size, "%dx%d", &box.X, &box.Y); err != nil || min(box.X, box.Y) < 2 || max(box.X, box.Y) > codec.MaxLongSide {
		return fmt.Errorf("size %q is not of the form 1280x720", size)
	}
	unit, err := io.ReadAll(io.LimitReader(in, maxStill+1))
	if err != nil {
		return err
	}
	if len(unit) > maxStill {
		return errors.New("the picture is too large")
	}
	decoder, err := codec.NewVideoDecoder(codec.H264)
	if err != nil {
		return err
	}
	defer decoder.Close()
	var picture *codec.Picture
	for one := range bytes.SplitSeq(unit, delimiter) {
		if len(one) == 0 {
			continue
		}
		next, err := decoder.Decode(one)
		if err != nil {
			return err
		}
		if next != nil {
			if picture != nil {
				picture.Close()
			}
			picture = next
		}
	}
	if picture == nil {
		return errors.New("no key picture")
	}
	defer picture.Close()
	shown := image.NewRGBA(image.Rectangle{Max: within(image.Pt(picture.W, picture.H), box)})
	draw.CatmullRom.Scale(shown, shown.Rect, fullRange(imageOf(picture)), image.Rect(0, 0, picture.W, picture.H), draw.Src, nil)
	switch format {
	case "png":
		return png.Encode(out, shown)
	case "jpeg":
		return jpeg.Encode(out, shown, &jpeg.Options{Quality: jpegQuality})
	default:
		return fmt.Errorf("format %q is not png or jpeg", format)
	}
}

// within is the size of a picture that is made to fit into a box, in its own shape.
func within(size, box image.Point) image.Point {
	switch {
	case size.X <= box.X && size.Y <= box.Y:
		return size
	case size.X*box.Y > size.Y*box.X: // it is wider
		return image.Pt(box.X, max(1, (size.Y*box.X+size.X/2)/size.X))
	default:
		return image.Pt(max(1, (size.X*box.Y+size.Y/2)/size.Y), box.Y)
	}
}

// fullRange is a picture with the values of still ones: JPEG and Go have all 256, video has 16 to 235 of luma and 16
// to 240 of chroma. The matrix, BT.601, is the same.
func fullRange(p *canvas.Image) *image.YCbCr {
	m := image.NewYCbCr(image.Rect(0, 0, p.W, p.H), image.YCbCrSubsampleRatio420)
	var luma, chroma [256]byte
	for i := range 256 {
		luma[i] = byte(min(max(0, ((i-16)*255+109)/219), 255))
		chroma[i] = byte(min(max(0, ((i-128)*255+112)/224+128), 255))
	}
	widen := func(to []byte, toStride int, from []byte, fromStride, w, h int, table *[256]byte) {
		for y := range h {
			line := to[y*toStride:][:w]
			for x, v := range from[y*fromStride:][:w] {
				line[x] = table[v]
			}
		}
	}
	cw, ch := (p.W+1)/2, (p.H+1)/2
	widen(m.Y, m.YStride, p.Y, p.YStride, p.W, p.H, &luma)
	widen(m.Cb, m.CStride, p.U, p.CStride, cw, ch, &chroma)
	widen(m.Cr, m.CStride, p.V, p.CStride, cw, ch, &chroma)
	return m
}
