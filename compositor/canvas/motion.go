//go:build cgo

package canvas

import (
	"image"
	"math"
	"time"

	"amphi/compositor/wire"
)

// glide is the way of groups of items from one scene's places to the next's. A group moves as its
// first item does, its frame; the others keep their distances to the edges that they are nearest
// to, so that a name stays in its corner of a tile that grows.
type glide struct {
	length time.Duration
	begin  time.Duration // when it was first drawn
	begun  bool
	from   map[uint32]image.Rectangle // of the groups' frames; nil: nothing moves
	to     map[uint32]image.Rectangle
}

// newcomer is the part of its size from which a new group grows.
const newcomer = 0.7

// newGlide is the way from the items that were shown to those that are. Into a canvas that showed
// nothing nobody glides.
func newGlide(length time.Duration, old, items []item) glide {
	if length <= 0 || len(old) == 0 {
		return glide{}
	}
	from := frames(old, func(it *item) image.Rectangle { return it.at })
	g := glide{length: length, from: from, to: frames(items, func(it *item) image.Rectangle { return it.Rect })}
	moves := false
	for group, to := range g.to {
		if _, was := from[group]; !was {
			dx, dy := int((1-newcomer)/2*float64(to.Dx())), int((1-newcomer)/2*float64(to.Dy()))
			from[group] = image.Rect(to.Min.X+dx, to.Min.Y+dy, to.Max.X-dx, to.Max.Y-dy)
		}
		moves = moves || from[group] != to
	}
	if !moves {
		return glide{}
	}
	// It may be drawn at once, and then must not show the places where all will end.
	for i := range items {
		g.place(&items[i], 0)
	}
	return g
}

// frames are the places of the groups' first items.
func frames(items []item, at func(*item) image.Rectangle) map[uint32]image.Rectangle {
	all := make(map[uint32]image.Rectangle)
	for i := range items {
		if _, known := all[items[i].Group]; !known && items[i].Group != 0 {
			all[items[i].Group] = at(&items[i])
		}
	}
	return all
}

// move brings the items to where they are at a time, and reports whether any has moved.
func (g *glide) move(now time.Duration, items []item) bool {
	if g.from == nil {
		return false
	}
	if !g.begun {
		g.begun, g.begin = true, now
	}
	done := float64(now-g.begin) / float64(g.length)
	if done >= 1 {
		for i := range items {
			items[i].at = items[i].Rect
		}
		*g = glide{}
		return true
	}
	// They start at once and come to rest softly.
	for i := range items {
		g.place(&items[i], 1-math.Pow(1-max(0, done), 3))
	}
	return true
}

// place puts an item to where it is after a part of the way.
func (g *glide) place(it *item, done float64) {
	from, moves := g.from[it.Group]
	to, here := g.to[it.Group]
	if !moves || !here {
		return
	}
	on := func(a, b int) int { return even(int(math.Round(float64(a) + (float64(b)-float64(a))*done))) }
	frame := image.Rect(on(from.Min.X, to.Min.X), on(from.Min.Y, to.Min.Y), on(from.Max.X, to.Max.X), on(from.Max.Y, to.Max.Y))
	if frame.Dx() < 2 || frame.Dy() < 2 {
		frame = to
	}
	switch {
	case it.Rect == to:
		it.at = frame
	default:
		x := follow(it.Rect.Min.X-to.Min.X, to.Max.X-it.Rect.Max.X, frame.Min.X, frame.Max.X, it.Rect.Dx())
		y := follow(it.Rect.Min.Y-to.Min.Y, to.Max.Y-it.Rect.Max.Y, frame.Min.Y, frame.Max.Y, it.Rect.Dy())
		it.at = image.Rectangle{Max: it.Rect.Size()}.Add(image.Pt(x, y))
	}
}

// follow is where something of a size begins that keeps its distances before and behind it in a
// frame: the smaller one, or, if it stands in the middle, both.
func follow(before, behind, low, high, size int) int {
	switch d := before - behind; {
	case -2 <= d && d <= 2:
		return even(max(0, (low+high-size)/2))
	case before < behind:
		return max(0, low+before)
	default:
		return max(0, high-behind-size)
	}
}

// maxFloats bounds what rises at a time.
const maxFloats = 32

// float is a bitmap that rises.
type float struct {
	wire.Float
	begin time.Duration // when it was first drawn
	begun bool
}

// AddFloat lets a bitmap rise.
func (c *Canvas) AddFloat(f *wire.Float) {
	if len(c.floats) >= maxFloats {
		c.floats = c.floats[1:]
	}
	c.floats = append(c.floats, float{Float: *f})
}

// drawFloats draws what rises and forgets what has come to its end.
func (c *Canvas) drawFloats(now time.Duration) {
	kept := c.floats[:0]
	for _, f := range c.floats {
		if !f.begun {
			f.begun, f.begin = true, now
		}
		done := float64(now-f.begin) / float64(f.Time)
		b := c.bitmaps[f.ID]
		if done >= 1 || b == nil {
			continue
		}
		// It sways by a third of its width, and is gone softly at the end.
		sway := math.Sin(done*3*math.Pi+float64(f.Rect.Min.X)) * float64(f.Rect.Dx()) / 3
		at := f.Rect.Min.Add(image.Pt(even(int(sway)), -even(int(done*float64(f.Rise)))))
		opacity := min(1, done*10, (1-done)*2.5)
		c.image.blend(b, at, c.image.Bounds(), uint8(opacity*opaque))
		kept = append(kept, f)
	}
	c.floats = kept
}
