//go:build cgo

package main

import (
	"errors"
	"fmt"
	"image"
	"sync"
	"time"

	"amphi/compositor/canvas"
	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

// picture draws the canvas and encodes it.
type picture struct {
	w       *worker
	canvas  *canvas.Canvas
	outputs []*rendition
	force   bool // a key frame at the next tick
	still   int  // pictures that were encoded since the canvas last changed
	uploads uploads
}

// A canvas that does not change is encoded a few times more, as each picture is finer than the
// one before, and then repeated.
const finer = 10

// rendition is one encoded size.
type rendition struct {
	encoder *codec.H264Encoder
	scaler  *canvas.Scaler // nil for the canvas' own size
	image   *canvas.Image

	unit []byte // of the last tick; the encoder's
	key  bool
}

func newPicture(w *worker) (*picture, error) {
	first := w.start.Renditions[0]
	p := &picture{w: w, canvas: canvas.New(int(first.Width), int(first.Height))}
	for i, r := range w.start.Renditions {
		encoder, err := codec.NewH264Encoder(codec.H264Config{
			Width: int(r.Width), Height: int(r.Height), FPS: int(w.start.FPS), Bitrate: int(r.Bitrate),
		})
		if err != nil {
			p.close()
			return nil, err
		}
		out := &rendition{encoder: encoder, image: p.canvas.Image()}
		if i > 0 {
			out.scaler = canvas.NewScaler(p.canvas.Image().Bounds().Size(), image.Pt(int(r.Width), int(r.Height)), wire.Contain)
			out.image = canvas.NewImage(int(r.Width), int(r.Height))
		}
		p.outputs = append(p.outputs, out)
	}
	return p, nil
}

func (p *picture) close() {
	p.uploads.close()
	for _, o := range p.outputs {
		o.encoder.Close()
	}
}

// at makes and sends the picture of a tick.
func (p *picture) at(tick int64, now time.Time) error {
	crowded := p.w.crowded()
	if err := p.takeInputs(now, crowded); err != nil {
		return err
	}
	p.takeUploads()
	p.w.meter.lap(wire.StageDecode)
	if p.canvas.Draw(time.Duration(tick) * time.Second / time.Duration(p.w.start.FPS)) {
		p.still = 0
	}
	p.w.meter.lap(wire.StageDraw)
	return p.send(tick, p.still >= finer, crowded)
}

// repeat sends the picture of the tick before once more.
func (p *picture) repeat(tick int64) error { return p.send(tick, true, p.w.crowded()) }

// send sends the canvas as the picture of a tick, or, if wanted and possible, the last picture.
func (p *picture) send(tick int64, repeat, crowded bool) error {
	fps := int64(p.w.start.FPS)
	force := p.force || tick%int64(p.w.start.KeyInterval) == 0
	p.force = false
	if force {
		p.still = 0
	}
	p.still++
	var due []*rendition
	for _, o := range p.outputs {
		if repeat && !force {
			if o.unit, o.key = o.encoder.Repeat(), false; o.unit != nil {
				continue
			}
		}
		if err := o.scale(p.canvas.Image()); err != nil {
			return err
		}
		due = append(due, o)
	}
	p.w.meter.lap(wire.StageScale)
	err := each(due, crowded, func(o *rendition) error { return o.encode(tick*1000/fps, force) })
	p.w.meter.lap(wire.StageEncode)
	if err != nil {
		return err
	}
	pts := p.w.start.Offset.Milliseconds()*(wire.VideoClock/1000) + tick*wire.VideoClock/fps
	for i, o := range p.outputs {
		if err := p.w.send(&wire.Video{Rendition: uint8(i), PTS: pts, Key: o.key, Data: o.unit}); err != nil {
			return err
		}
	}
	return nil
}

// takeInputs decodes the frames that are due and gives the canvas its new pictures.
func (p *picture) takeInputs(now time.Time, crowded bool) error {
	var due []*input
	for _, in := range p.w.inputs {
		if in.video != nil && in.video.due(now, p.w.audioDelay(in.sync)) > 0 {
			due = append(due, in)
		}
	}
	_ = each(due, crowded, func(in *input) error {
		in.video.decode()
		return nil
	})
	for _, in := range due {
		v := in.video
		if v.fresh {
			v.fresh = false
			p.canvas.SetPicture(in.id, imageOf(v.shown))
		}
		if v.wantsKey(now) {
			if err := p.w.send(&wire.NeedKey{Input: in.id}); err != nil {
				return err
			}
		}
	}
	return nil
}

// imageOf is a decoded picture as the canvas takes it; both are of the same memory.
func imageOf(p *codec.Picture) *canvas.Image {
	return &canvas.Image{W: p.W, H: p.H, Y: p.Y, U: p.U, V: p.V, YStride: p.YStride, CStride: p.CStride}
}

// scale makes the rendition's picture of the canvas.
func (o *rendition) scale(m *canvas.Image) error {
	if o.scaler == nil {
		return nil
	}
	return o.scaler.Draw(o.image, image.Point{}, m)
}

func (o *rendition) encode(ms int64, force bool) (err error) {
	m := o.image
	o.unit, o.key, err = o.encoder.Encode(m.Y, m.U, m.V, m.YStride, m.CStride, ms, force)
	if err != nil {
		return fmt.Errorf("%dx%d: %w", m.W, m.H, err)
	}
	return nil
}

// each calls f for all of list: one after the other, which costs least, or at the same time,
// which is over sooner.
func each[T any](list []T, together bool, f func(T) error) error {
	errs := make([]error, len(list))
	var others sync.WaitGroup
	for i, v := range list {
		if together && i < len(list)-1 {
			others.Go(func() { errs[i] = f(v) })
		} else {
			errs[i] = f(v)
		}
	}
	others.Wait()
	return errors.Join(errs...)
}
