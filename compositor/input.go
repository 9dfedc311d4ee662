//go:build cgo

package main

import (
	"slices"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

const (
	// videoQueue is two seconds of frames. A worker that was further behind skips to a key frame.
	videoQueue = 60
	// keyPatience is how long an asked-for key frame may take before it is asked for again.
	keyPatience = 500 * time.Millisecond
	// maxHold bounds how long a picture waits for its sound.
	maxHold = 200 * time.Millisecond
	// showDelay is how long after its time a picture is shown on average, as that is at a tick.
	showDelay = 15 * time.Millisecond
)

// videoInput is one sender's pictures: the frames that wait for their time, and what is shown.
type videoInput struct {
	codec   wire.Codec
	decoder *codec.VideoDecoder
	queue   []waiting
	ready   int            // frames at the front of the queue whose time has come
	shown   *codec.Picture // what the canvas looks into
	fresh   bool           // and does not know yet

	lost   bool      // nothing can be decoded without a key frame
	wanted bool      // one must be asked for
	asked  time.Time // when that was done last

	frames, dropped, errors uint64
}

// waiting is an encoded frame, which is small, and when it came.
type waiting struct {
	*wire.Frame
	since time.Time
}

var decoders = map[wire.Codec]codec.VideoCodec{
	wire.VP8: codec.VP8, wire.H264: codec.H264, wire.VP9: codec.VP9, wire.AV1: codec.AV1,
}

func newVideoInput(c wire.Codec) (*videoInput, error) {
	d, err := codec.NewVideoDecoder(decoders[c])
	if err != nil {
		return nil, err
	}
	return &videoInput{codec: c, decoder: d, lost: true}, nil
}

// close frees the decoder and the picture, which the canvas must have dropped.
func (v *videoInput) close() {
	v.decoder.Close()
	v.shown.Close()
}

// push queues a frame.
func (v *videoInput) push(f *wire.Frame, now time.Time) {
	v.frames++
	if len(v.queue) >= videoQueue {
		if !v.isKey(f) {
			v.dropped++
			v.lost, v.wanted = true, true // what follows lacks its references
			return
		}
		v.dropped += uint64(len(v.queue))
		v.queue = slices.Delete(v.queue, 0, len(v.queue))
	}
	v.queue = append(v.queue, waiting{f, now})
}

func (v *videoInput) isKey(f *wire.Frame) bool {
	if v.codec == wire.VP8 {
		return codec.IsVP8Key(f.Data)
	}
	return f.Key
}

// due is the number of frames whose time has come. A picture waits until the sound that was
// captured with it is played, so that lips move with it.
func (v *videoInput) due(now time.Time, soundDelay time.Duration) int {
	for v.ready = 0; v.ready < len(v.queue); v.ready++ {
		f := v.queue[v.ready]
		at := time.Unix(0, f.Capture).Add(soundDelay - showDelay)
		if limit := f.since.Add(maxHold); at.After(limit) {
			at = limit
		}
		if soundDelay > 0 && at.After(now) {
			break
		}
	}
	return v.ready
}

// decode decodes the frames that are ready. The last picture is shown, in place of the one
// before.
func (v *videoInput) decode() {
	for _, f := range v.queue[:v.ready] {
		if v.lost && !v.isKey(f.Frame) {
			v.dropped++
			v.wanted = true
			continue
		}
		picture, err := v.decoder.Decode(f.Data)
		if err != nil {
			v.errors++
			v.lost, v.wanted = true, true
			continue
		}
		v.lost, v.wanted = false, false
		if picture != nil {
			// The canvas looks at the old one no more: it gets this one before it is drawn.
			v.shown.Close()
			v.shown, v.fresh = picture, true
		}
	}
	v.queue = slices.Delete(v.queue, 0, v.ready)
	v.ready = 0
}

// wantsKey says whether to ask the sender for a key frame now.
func (v *videoInput) wantsKey(now time.Time) bool {
	if !v.wanted || now.Sub(v.asked) < keyPatience {
		return false
	}
	v.wanted, v.asked = false, now
	return true
}
