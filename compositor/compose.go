//go:build cgo

package main

import (
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"

	"amphi/compositor/canvas"
	"amphi/compositor/sitter"
	"amphi/compositor/wire"
)

// compose draws the scene of wire.ComposeFlag.
func compose(in io.Reader, out io.Writer) error {
	r := wire.NewReader(in)
	first, err := r.Next()
	if err != nil {
		return err
	}
	start, ok := first.(*wire.Start)
	if !ok {
		return fmt.Errorf("the first message is a %T", first)
	}
	c := canvas.New(int(start.Renditions[0].Width), int(start.Renditions[0].Height))
	var scene *wire.Scene
	for scene == nil {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("no scene")
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Bitmap:
			if !c.SetBitmap(m) {
				return errors.New("too many bitmaps")
			}
		case *wire.Picture:
			// As in a live stream, one that cannot be decoded is left out.
			if b, err := canvas.Decode(m); err == nil {
				c.SetBitmap(b)
			}
		case *wire.Scene:
			scene = m
		default:
			return fmt.Errorf("a %T is not part of a scene", m)
		}
	}
	for _, it := range scene.Items {
		if it.Source == wire.FromInput {
			c.SetPicture(it.ID, sit(it))
		}
	}
	c.SetScene(scene)
	c.Draw(0)
	m := fullRange(c.Image())
	shown := image.NewRGBA(m.Rect) // PNGs are made faster of this
	draw.Draw(shown, shown.Rect, m, image.Point{}, draw.Src)
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(out, shown)
}

// sit draws who is seen in an item.
func sit(it wire.Item) *canvas.Image {
	switch {
	case it.Fit == wire.Contain:
		return sitter.Window(1280, 720)
	case it.ID%5 == 4: // with a phone
		return sitter.Portrait(int(it.ID), 270, 480)
	default:
		return sitter.Portrait(int(it.ID), 640, 360)
	}
}
