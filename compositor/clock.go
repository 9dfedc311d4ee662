//go:build cgo

package main

import (
	"fmt"
	"image"
	"sync/atomic"
	"time"

	"amphi/compositor/canvas"
	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

// Both clocks count from one monotonic start: ticks make the picture's timestamps and samples
// the sound's, so the two never part. Sound is never skipped. A picture may be: when the worker
// is more than two ticks behind, ticks are left out and counted, and the next picture has the
// timestamp of its own tick.

// wait sleeps until a time and reports false if the worker ended meanwhile.
func (w *worker) wait(timer *time.Timer, until time.Time) bool {
	timer.Reset(time.Until(until))
	select {
	case <-timer.C:
		return true
	case <-w.done:
		return false
	}
}

// videoClock owns the canvas and the picture encoders. Others tell it what to change.
type videoClock struct {
	w        *worker
	commands chan any // wire messages, addVideo, removeVideo; taken at each tick
	canvas   *canvas.Canvas
	outputs  []rendition
	inputs   map[uint32]*shown
	force    bool // a key frame at the next tick

	ticks, late, dropped atomic.Uint64
}

type (
	addVideo    struct{ in *videoInput }
	removeVideo struct{ in *videoInput }
)

// shown is an input on the canvas, and the picture that the canvas looks into.
type shown struct {
	in      *videoInput
	picture *codec.Picture
}

// rendition is one encoded size.
type rendition struct {
	encoder *codec.H264Encoder
	scaler  *canvas.Scaler // nil for the canvas' own size
	image   *canvas.Image
}

func newVideoClock(w *worker) (*videoClock, error) {
	first := w.start.Renditions[0]
	c := &videoClock{
		w:        w,
		commands: make(chan any, 64),
		canvas:   canvas.New(int(first.Width), int(first.Height)),
		inputs:   make(map[uint32]*shown),
	}
	for i, r := range w.start.Renditions {
		encoder, err := codec.NewH264Encoder(codec.H264Config{
			Width: int(r.Width), Height: int(r.Height), FPS: int(w.start.FPS), Bitrate: int(r.Bitrate),
		})
		if err != nil {
			c.close()
			return nil, err
		}
		out := rendition{encoder: encoder, image: c.canvas.Image()}
		if i > 0 {
			out.scaler = canvas.NewScaler(c.canvas.Image().Bounds().Size(), image.Pt(int(r.Width), int(r.Height)), wire.Contain)
			out.image = canvas.NewImage(int(r.Width), int(r.Height))
		}
		c.outputs = append(c.outputs, out)
	}
	return c, nil
}

func (c *videoClock) close() {
	for _, o := range c.outputs {
		o.encoder.Close()
	}
	for _, s := range c.inputs {
		s.picture.Close()
	}
}

// tell changes the picture from the next tick on. It waits when a tick's worth of changes is
// outstanding.
func (c *videoClock) tell(m any) {
	select {
	case c.commands <- m:
	case <-c.w.done:
	}
}

func (c *videoClock) run(begin time.Time) error {
	fps := int64(c.w.start.FPS)
	interval := int64(c.w.start.KeyInterval)
	length := time.Second / time.Duration(fps)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for tick := int64(0); ; tick++ {
		due := begin.Add(time.Duration(tick) * time.Second / time.Duration(fps))
		if !c.w.wait(timer, due) {
			return nil
		}
		if late := time.Since(due); late > length {
			c.late.Add(1)
			if late > 2*length {
				skip := int64(late / length)
				c.dropped.Add(uint64(skip))
				c.ticks.Add(uint64(skip))
				if r := tick % interval; r == 0 || r+skip > interval {
					c.force = true // the key frame was due at a tick that is left out
				}
				tick += skip
			}
		}
		c.ticks.Add(1)
		c.change()
		c.canvas.Draw()
		if err := c.encode(tick, tick%interval == 0 || c.force); err != nil {
			return err
		}
		c.force = false
	}
}

// change does what was told since the last tick and takes the inputs' new pictures.
func (c *videoClock) change() {
	for range cap(c.commands) {
		select {
		case m := <-c.commands:
			c.obey(m)
			continue
		default:
		}
		break
	}
	for id, s := range c.inputs {
		if p := s.in.take(); p != nil {
			c.canvas.SetPicture(id, &canvas.Image{
				W: p.W, H: p.H, Y: p.Y, U: p.U, V: p.V, YStride: p.YStride, CStride: p.CStride,
			})
			s.picture.Close()
			s.picture = p
		}
	}
}

func (c *videoClock) obey(m any) {
	switch m := m.(type) {
	case addVideo:
		c.inputs[m.in.id] = &shown{in: m.in}
	case removeVideo:
		if s := c.inputs[m.in.id]; s != nil {
			c.canvas.DropPicture(m.in.id)
			s.picture.Close()
			delete(c.inputs, m.in.id)
		}
	case *wire.Scene:
		c.canvas.SetScene(m)
	case *wire.Bitmap:
		if !c.canvas.SetBitmap(m) {
			c.w.log.Warn("bitmap refused: too many", "bitmap", m.ID, "width", m.W, "height", m.H)
		}
	case *wire.DropBitmap:
		c.canvas.DropBitmap(m.ID)
	case *wire.ForceKey:
		c.force = true
	}
}

func (c *videoClock) encode(tick int64, key bool) error {
	fps := int64(c.w.start.FPS)
	pts := c.w.start.Offset.Milliseconds()*(wire.VideoClock/1000) + tick*wire.VideoClock/fps
	for i, o := range c.outputs {
		if o.scaler != nil {
			if err := o.scaler.Draw(o.image, image.Point{}, c.canvas.Image()); err != nil {
				return err
			}
		}
		m := o.image
		unit, isKey, err := o.encoder.Encode(m.Y, m.U, m.V, m.YStride, m.CStride, tick*1000/fps, key)
		if err != nil {
			return fmt.Errorf("rendition %d: %w", i, err)
		}
		if err := c.w.out.send(&wire.Video{Rendition: uint8(i), PTS: pts, Key: isKey, Data: unit}); err != nil {
			return err
		}
	}
	return nil
}

// audioClock takes the mix by the sample count and encodes it.
type audioClock struct {
	w       *worker
	encoder *codec.AACEncoder
	config  []byte
}

// maxAudioLag is how far the sound may fall behind before the worker gives up on the machine, or
// on a server that does not read: a new worker is back in time sooner.
const maxAudioLag = 5 * time.Second

func newAudioClock(w *worker) (*audioClock, error) {
	encoder, err := codec.NewAACEncoder(int(w.start.AudioBitrate))
	if err != nil {
		return nil, err
	}
	config, err := encoder.Config()
	if err != nil {
		encoder.Close()
		return nil, err
	}
	return &audioClock{w, encoder, config}, nil
}

func (c *audioClock) close() { c.encoder.Close() }

func (c *audioClock) run(begin time.Time) error {
	pcm := make([]float32, codec.AACSamples*codec.Channels)
	offset := c.w.start.Offset.Milliseconds() * (wire.AudioClock / 1000)
	at := func(sample int64) time.Time {
		// In two steps: nanoseconds times samples overflow after two days.
		seconds, rest := time.Duration(sample/codec.SampleRate), time.Duration(sample%codec.SampleRate)
		return begin.Add(seconds*time.Second + rest*time.Second/codec.SampleRate)
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for sample := int64(0); ; sample += codec.AACSamples {
		due := at(sample + codec.AACSamples)
		if !c.w.wait(timer, due) {
			return nil
		}
		if late := time.Since(due); late > maxAudioLag {
			return fmt.Errorf("sound is %v late", late.Round(time.Millisecond))
		}
		c.w.mixer.Mix(pcm, at(sample))
		unit, pts, err := c.encoder.Encode(pcm, sample)
		if err != nil {
			return err
		}
		// The first unit decodes to what was before the start: the encoder's priming.
		if unit == nil || pts < 0 {
			continue
		}
		if err := c.w.out.send(&wire.Audio{PTS: offset + pts, Data: unit}); err != nil {
			return err
		}
	}
}
