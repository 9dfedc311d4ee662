//go:build cgo

package main

import (
	"sync"
	"sync/atomic"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

const (
	// videoQueue is a second of frames. A decoder that is further behind skips to a key frame.
	videoQueue = 30
	// keyPatience is how long an asked-for key frame may take before it is asked for again.
	keyPatience = 500 * time.Millisecond
	// maxHold bounds how long a picture waits for its sound.
	maxHold = 200 * time.Millisecond
	// showDelay is how long a picture takes on average from here to a tick that shows it.
	showDelay = 20 * time.Millisecond
)

// videoInput decodes one sender's pictures in its own goroutine, as they arrive, and keeps the
// latest for the canvas.
type videoInput struct {
	id    uint32
	group uint32
	codec wire.Codec
	w     *worker
	queue chan *wire.Frame
	quit  chan struct{}

	behind  atomic.Bool // the queue was full: what follows lacks its references
	frames  atomic.Uint64
	dropped atomic.Uint64
	errors  atomic.Uint64
	size    atomic.Uint32 // width<<16 | height

	mu     sync.Mutex
	latest *codec.Picture // decoded, not taken; guarded by mu
}

func newVideoInput(w *worker, m *wire.AddInput) (*videoInput, error) {
	kind := codec.VP8
	if m.Codec == wire.H264 {
		kind = codec.H264
	}
	d, err := codec.NewVideoDecoder(kind)
	if err != nil {
		return nil, err
	}
	v := &videoInput{
		id: m.ID, group: m.Sync, codec: m.Codec, w: w,
		queue: make(chan *wire.Frame, videoQueue),
		quit:  make(chan struct{}),
	}
	go v.run(d)
	return v, nil
}

// stop ends the decoder's goroutine, after the frame that it is at.
func (v *videoInput) stop() { close(v.quit) }

// push queues a frame.
func (v *videoInput) push(f *wire.Frame) {
	v.frames.Add(1)
	select {
	case v.queue <- f:
	default:
		v.dropped.Add(1)
		v.behind.Store(true)
	}
}

func (v *videoInput) run(d *codec.VideoDecoder) {
	defer func() {
		d.Close()
		v.take().Close()
	}()
	lost := true // nothing can be decoded without a key frame
	var asked time.Time
	ask := func() {
		lost = true
		if now := time.Now(); now.Sub(asked) > keyPatience {
			asked = now
			if err := v.w.out.send(&wire.NeedKey{Input: v.id}); err != nil {
				v.w.end(err)
			}
		}
	}
	for {
		var f *wire.Frame
		select {
		case f = <-v.queue:
		case <-v.quit:
			return
		}
		if v.behind.Swap(false) {
			lost = true
		}
		key := f.Key
		if v.codec == wire.VP8 {
			key = codec.IsVP8Key(f.Data)
		}
		if lost && !key {
			v.dropped.Add(1)
			ask()
			continue
		}
		if !v.hold(f.Capture) {
			return
		}
		picture, err := d.Decode(f.Data)
		if err != nil {
			v.errors.Add(1)
			ask()
			continue
		}
		lost = false
		if picture != nil {
			v.size.Store(uint32(picture.W)<<16 | uint32(picture.H))
			v.put(picture).Close()
		}
	}
}

// hold waits until the sound that was captured with the picture is played, so that lips move
// with it. It holds the encoded frame, which is small. It reports false when the input ends.
func (v *videoInput) hold(capture int64) bool {
	delay := v.w.audioDelay(v.group)
	if delay == 0 {
		return true
	}
	wait := time.Until(time.Unix(0, capture).Add(delay - showDelay))
	if wait < 5*time.Millisecond {
		return true
	}
	timer := time.NewTimer(min(wait, maxHold))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.quit:
		return false
	}
}

// put publishes a picture and returns the one that nobody took.
func (v *videoInput) put(p *codec.Picture) *codec.Picture {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.latest
	v.latest = p
	return old
}

// take returns the latest picture, which the caller then owns, or nil if it has been taken.
func (v *videoInput) take() *codec.Picture { return v.put(nil) }
