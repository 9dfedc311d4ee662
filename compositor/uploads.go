//go:build cgo

package main

import (
	"amphi/compositor/canvas"
	"amphi/compositor/wire"
)

// maxUploads bounds the uploaded pictures that wait to be decoded: a scene has a handful.
const maxUploads = 16

// uploads are pictures that somebody has uploaded. A large one takes longer to decode than a tick,
// so that is done beside the ticks, by one goroutine that lives while there is something to do.
type uploads struct {
	waiting []*wire.Picture // in order; the first is being decoded
	dropped bool            // the first is not wanted any more
	done    chan upload     // one slot
}

type upload struct {
	bitmap *wire.Bitmap
	err    error
}

// add queues a picture, in place of an older one of that number. It reports whether there was room.
func (u *uploads) add(p *wire.Picture) bool {
	u.drop(p.ID)
	if len(u.waiting) >= maxUploads {
		return false
	}
	u.waiting = append(u.waiting, p)
	if len(u.waiting) == 1 {
		u.next()
	}
	return true
}

// drop forgets a picture that waits.
func (u *uploads) drop(id uint32) {
	for i, p := range u.waiting {
		switch {
		case p.ID != id:
		case i == 0:
			u.dropped = true
		default:
			u.waiting = append(u.waiting[:i:i], u.waiting[i+1:]...)
			return
		}
	}
}

// next begins to decode the first picture.
func (u *uploads) next() {
	u.dropped, u.done = false, make(chan upload, 1)
	go func(p *wire.Picture, done chan<- upload) {
		b, err := canvas.Decode(p)
		done <- upload{b, err}
	}(u.waiting[0], u.done)
}

// take returns what has been decoded since the last call, or false.
func (u *uploads) take() (id uint32, d upload, ok bool) {
	if len(u.waiting) == 0 {
		return 0, upload{}, false
	}
	select {
	case d = <-u.done:
	default:
		return 0, upload{}, false
	}
	id, ok = u.waiting[0].ID, !u.dropped
	if u.waiting = u.waiting[1:]; len(u.waiting) > 0 {
		u.next()
	}
	return id, d, ok
}

// close waits for the goroutine.
func (u *uploads) close() {
	if len(u.waiting) > 0 {
		<-u.done
	}
}

// takeUploads gives the canvas a picture that has been decoded.
func (p *picture) takeUploads() {
	id, d, ok := p.uploads.take()
	switch {
	case !ok:
	case d.err != nil:
		p.w.log.Warn("picture refused", "bitmap", id, "err", d.err)
	case !p.canvas.SetBitmap(d.bitmap):
		p.w.log.Warn("bitmap refused: too many", "bitmap", id, "width", d.bitmap.W, "height", d.bitmap.H)
	}
}
