//go:build cgo

package canvas

import (
	"image"
	"time"

	"amphi/compositor/wire"
)

// maxBitmapBytes bounds the bitmaps that a canvas keeps.
const maxBitmapBytes = 64 << 20

// Canvas is a picture that is drawn from a scene. It belongs to one goroutine.
type Canvas struct {
	image    *Image
	scene    *wire.Scene
	backdrop *Image // the background with the bitmap on it; nil where the scene has none
	items    []item // of the scene, same order
	sources  map[uint32]*source
	bitmaps  map[uint32]*wire.Bitmap
	held     int // bytes in bitmaps
	corners  map[cornerKey]*corner
	glide    glide
	floats   []float
	redraw   bool              // everything, because something other than a video changed
	dirty    []image.Rectangle // drawn at this tick; kept for its memory
}

// source is a video input: its latest picture.
type source struct {
	picture *Image
	fresh   bool // not drawn yet
}

// item is what the scene's item needs to be drawn again.
type item struct {
	wire.Item
	at     image.Rectangle // where it is now: Rect, or on the way there
	scaler *Scaler
}

// New returns a black canvas of even size without a scene.
func New(w, h int) *Canvas {
	return &Canvas{
		image:   NewImage(w, h),
		scene:   new(wire.Scene),
		sources: make(map[uint32]*source),
		bitmaps: make(map[uint32]*wire.Bitmap),
		corners: make(map[cornerKey]*corner),
		redraw:  true,
	}
}

// Image is the canvas as last drawn. It changes with the next Draw.
func (c *Canvas) Image() *Image { return c.image }

// SetScene replaces the scene.
func (c *Canvas) SetScene(s *wire.Scene) {
	// Plans for scaling are kept where an item stays what it was.
	old := c.items
	c.items = make([]item, len(s.Items))
	for i, it := range s.Items {
		c.items[i] = item{Item: it, at: it.Rect}
		for _, o := range old {
			if o.scaler != nil && o.ID == it.ID && o.Source == it.Source {
				c.items[i].scaler = o.scaler
				break
			}
		}
	}
	c.glide = newGlide(time.Duration(s.Glide)*time.Millisecond, old, c.items)
	if s.Backdrop != c.scene.Backdrop || s.Background != c.scene.Background {
		c.backdrop = nil
	}
	c.scene = s
	c.redraw = true
}

// SetBitmap stores a bitmap and reports whether there was room for it.
func (c *Canvas) SetBitmap(b *wire.Bitmap) bool {
	held := c.held + len(b.Pix)
	if old := c.bitmaps[b.ID]; old != nil {
		held -= len(old.Pix)
	}
	if held > maxBitmapBytes {
		return false
	}
	c.bitmaps[b.ID], c.held = b, held
	c.changed(b.ID)
	return true
}

// DropBitmap frees a bitmap.
func (c *Canvas) DropBitmap(id uint32) {
	if b := c.bitmaps[id]; b != nil {
		c.held -= len(b.Pix)
		delete(c.bitmaps, id)
		c.changed(id)
	}
}

// changed says that a bitmap is another one.
func (c *Canvas) changed(id uint32) {
	if id == c.scene.Backdrop {
		c.backdrop, c.redraw = nil, true
	}
	c.redraw = c.redraw || c.shows(wire.FromBitmap, id)
}

// SetPicture gives the latest picture of a video input, which must stay valid until it is
// replaced or dropped, and returns the one it replaces.
func (c *Canvas) SetPicture(id uint32, m *Image) (old *Image) {
	s := c.sources[id]
	if s == nil {
		c.sources[id] = &source{m, true}
		c.redraw = c.redraw || c.shows(wire.FromInput, id) // it was left out until now
		return nil
	}
	old, s.picture, s.fresh = s.picture, m, true
	return old
}

// DropPicture forgets a video input and returns its picture, if it has one.
func (c *Canvas) DropPicture(id uint32) (old *Image) {
	s := c.sources[id]
	if s == nil {
		return nil
	}
	delete(c.sources, id)
	c.redraw = c.redraw || c.shows(wire.FromInput, id)
	return s.picture
}

func (c *Canvas) shows(from wire.Source, id uint32) bool {
	for i := range c.items {
		if c.items[i].Source == from && c.items[i].ID == id {
			return true
		}
	}
	return false
}

// Draw brings the canvas up to date and reports whether anything was drawn. now is the time since
// some beginning, by which things move.
func (c *Canvas) Draw(now time.Duration) bool {
	if c.glide.move(now, c.items) {
		c.redraw = true
	}
	if len(c.floats) > 0 {
		c.redraw = true
	}
	if !c.redraw && !c.update() {
		c.redraw = true
	}
	drawn := c.redraw || len(c.dirty) > 0
	if c.redraw {
		c.clear()
		for i := range c.items {
			c.draw(&c.items[i], c.image.Bounds())
		}
		c.drawFloats(now)
	}
	c.redraw = false
	c.dirty = c.dirty[:0]
	for _, s := range c.sources {
		s.fresh = false
	}
	return drawn
}

// clear paints the background.
func (c *Canvas) clear() {
	b := c.bitmaps[c.scene.Backdrop]
	if c.scene.Backdrop == 0 || b == nil {
		c.image.Fill(c.image.Bounds(), c.scene.Background)
		return
	}
	if c.backdrop == nil {
		c.backdrop = NewImage(c.image.W, c.image.H)
		c.backdrop.Fill(c.backdrop.Bounds(), c.scene.Background)
		c.backdrop.blend(b, image.Point{}, c.backdrop.Bounds(), opaque)
	}
	copy(c.image.Y, c.backdrop.Y)
	copy(c.image.U, c.backdrop.U)
	copy(c.image.V, c.backdrop.V)
}

// update draws the videos that have new pictures and what stands over them. It gives up, and
// everything must be drawn, where a bitmap stands only partly over what was drawn: it would be
// blended a second time beside it.
func (c *Canvas) update() bool {
	for i := range c.items {
		it := &c.items[i]
		switch it.Source {
		case wire.FromInput:
			s := c.sources[it.ID]
			if s == nil || !s.fresh && !c.overDirty(it.at) {
				continue
			}
			if c.draw(it, it.at) {
				c.dirty = append(c.dirty, it.at)
			}
		case wire.FromColor:
			if c.overDirty(it.at) && c.draw(it, it.at) {
				c.dirty = append(c.dirty, it.at)
			}
		case wire.FromBitmap:
			b := c.bitmaps[it.ID]
			if b == nil {
				continue
			}
			r := bitmapRect(it, b)
			if !c.overDirty(r) {
				continue
			}
			inside := false
			for _, d := range c.dirty {
				inside = inside || r.In(d)
			}
			if !inside {
				return false
			}
			c.draw(it, r)
		}
	}
	return true
}

func (c *Canvas) overDirty(r image.Rectangle) bool {
	for _, d := range c.dirty {
		if d.Overlaps(r) {
			return true
		}
	}
	return false
}

func bitmapRect(it *item, b *wire.Bitmap) image.Rectangle {
	size := image.Pt(int(b.W), int(b.H))
	return image.Rectangle{it.at.Min, it.at.Min.Add(size)}.Intersect(it.at)
}

// draw draws one item and reports whether it did: what does not lie inside the canvas is left out,
// but for bitmaps, which are clipped.
func (c *Canvas) draw(it *item, clip image.Rectangle) bool {
	if it.Source == wire.FromBitmap {
		b := c.bitmaps[it.ID]
		if b != nil {
			c.image.blend(b, it.at.Min, clip.Intersect(it.at), opaque)
		}
		return b != nil
	}
	if !it.at.In(c.image.Bounds()) {
		return false
	}
	if it.Source == wire.FromColor {
		c.image.Fill(it.at, it.Fill)
		c.frame(it.at, &it.Item)
		return true
	}
	s := c.sources[it.ID]
	if s == nil || !s.picture.whole() {
		return false
	}
	src, dst := image.Pt(s.picture.W, s.picture.H), it.at.Size()
	// Senders change their size at any time, to suit their network.
	if it.scaler == nil || it.scaler.src != src || it.scaler.dst != dst || it.scaler.fit != it.Fit {
		it.scaler = NewScaler(src, dst, it.Fit)
	}
	if it.scaler.into.Size() != dst {
		c.image.Fill(it.at, it.Fill)
	}
	it.scaler.draw(c.image, it.at.Min, s.picture)
	c.frame(it.at, &it.Item)
	return true
}
