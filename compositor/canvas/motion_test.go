//go:build cgo

package canvas

import (
	"image"
	"testing"
	"time"

	"amphi/compositor/wire"
)

// red is where something red is seen.
func (m *Image) red() (r image.Rectangle) {
	for y := 0; y < m.H; y += 2 {
		for x := 0; x < m.W; x += 2 {
			if c := m.at(x, y); c[2] > 190 {
				r = r.Union(image.Rect(x, y, x+2, y+2))
			}
		}
	}
	return r
}

// Tiles go from one scene's places to the next's in time, never backwards, with their names in
// their corners; a newcomer grows.
func TestGlide(t *testing.T) {
	c := New(320, 180)
	tile := func(group uint32, r image.Rectangle, fill wire.RGB) []wire.Item {
		return []wire.Item{
			{Source: wire.FromColor, Rect: r, Fill: fill, Group: group},
			{Source: wire.FromBitmap, ID: 1, Rect: image.Rect(r.Min.X+4, r.Max.Y-12, r.Min.X+24, r.Max.Y-4), Group: group},
			{Source: wire.FromBitmap, ID: 1, Rect: image.Rect(r.Max.X-24, r.Min.Y+4, r.Max.X-4, r.Min.Y+12), Group: group},
			{Source: wire.FromBitmap, ID: 1, Rect: image.Rect((r.Min.X+r.Max.X)/2-10, (r.Min.Y+r.Max.Y)/2-4, (r.Min.X+r.Max.X)/2+10, (r.Min.Y+r.Max.Y)/2+4), Group: group},
		}
	}
	c.SetBitmap(bitmap(1, 20, 8, white, 255))
	whole, left, right := image.Rect(0, 0, 320, 180), image.Rect(4, 40, 156, 140), image.Rect(164, 40, 316, 140)
	c.SetScene(&wire.Scene{Glide: 300, Items: tile(1, whole, red)})
	c.Draw(0)
	if got := c.Image().red(); got != whole {
		t.Fatalf("the first scene begins with %v", got)
	}
	c.SetScene(&wire.Scene{Glide: 300, Items: append(tile(1, left, red), tile(2, right, blue)...)})
	before := whole
	var ways []image.Rectangle
	for ms := 100; ms <= 440; ms += 33 {
		c.Draw(time.Duration(ms) * time.Millisecond)
		now := c.items[0].at
		ways = append(ways, now)
		if !now.In(before) || !left.In(now) {
			t.Errorf("at %d ms %v, after %v", ms, now, before)
		}
		before = now
		for i, want := range []image.Point{{4, now.Dy() - 12}, {now.Dx() - 24, 4}} {
			if got := c.items[1+i].at.Min.Sub(now.Min); got != want {
				t.Errorf("at %d ms the name is at %v of %v, want %v", ms, got, now, want)
			}
		}
		mid, tileMid := c.items[3].at, now
		if d := mid.Min.X + mid.Max.X - tileMid.Min.X - tileMid.Max.X; d < -4 || d > 4 {
			t.Errorf("at %d ms the circle at %v is not in the middle of %v", ms, mid, now)
		}
		if grown := c.items[4].at; !grown.In(right) {
			t.Errorf("at %d ms the newcomer is at %v", ms, grown)
		}
	}
	if ways[0] != whole || ways[2] == whole || ways[len(ways)-1] != left || c.items[4].at != right {
		t.Errorf("the way: %v, the newcomer is at %v", ways, c.items[4].at)
	}
	if c.Draw(500*time.Millisecond) || c.glide.from != nil {
		t.Error("something is drawn after the end")
	}

	// A third scene in the middle of the way goes on from there.
	c.SetScene(&wire.Scene{Glide: 300, Items: tile(1, whole, red)})
	c.Draw(time.Second)
	c.Draw(time.Second + 100*time.Millisecond)
	there := c.items[0].at
	c.SetScene(&wire.Scene{Glide: 300, Items: tile(1, right, red)})
	c.Draw(time.Second + 133*time.Millisecond)
	if got := c.items[0].at; got != there {
		t.Errorf("from %v it jumped to %v", there, got)
	}
	// Without a glide all is where it belongs at once.
	c.SetScene(&wire.Scene{Items: tile(1, left, red)})
	c.Draw(time.Second + 166*time.Millisecond)
	if got := c.items[0].at; got != left {
		t.Errorf("at %v, want %v", got, left)
	}
}

func TestFloat(t *testing.T) {
	c := New(160, 120)
	c.SetBitmap(bitmap(1, 12, 12, red, 255))
	c.SetScene(&wire.Scene{Background: night})
	c.Draw(0)
	c.AddFloat(&wire.Float{ID: 1, Rect: image.Rect(80, 100, 92, 112), Rise: 80, Time: time.Second})
	last := 200
	for ms := 1000; ms < 1700; ms += 33 {
		if !c.Draw(time.Duration(ms)*time.Millisecond) || len(c.floats) != 1 {
			t.Fatalf("nothing is drawn at %d ms", ms)
		}
		if r := c.Image().red(); ms > 1150 && ms < 1550 {
			if r.Empty() || r.Min.Y > last {
				t.Errorf("at %d ms at %v, before at a height of %d", ms, r, last)
			}
			last = r.Min.Y
		}
	}
	c.Draw(2100 * time.Millisecond)
	if r := c.Image().red(); !r.Empty() || len(c.floats) != 0 || c.Draw(2200*time.Millisecond) {
		t.Errorf("after its end at %v", r)
	}
	for range 3 * maxFloats {
		c.AddFloat(&wire.Float{ID: 1, Rect: image.Rect(80, 100, 92, 112), Rise: 80, Time: time.Second})
	}
	if len(c.floats) != maxFloats {
		t.Errorf("%d float", len(c.floats))
	}
	c.DropBitmap(1)
	c.Draw(3 * time.Second)
	if len(c.floats) != 0 {
		t.Error("something floats that is not there")
	}
}

// A border runs along the inner edge; in rounded corners the backdrop is seen.
func TestFrame(t *testing.T) {
	c := New(128, 96)
	c.SetBitmap(bitmap(1, 128, 96, green, 255))
	r := image.Rect(8, 8, 120, 88)
	for _, radius := range []uint8{0, 3, 8, 9, 20, 255} {
		for _, source := range []wire.Source{wire.FromColor, wire.FromInput} {
			c.SetScene(&wire.Scene{Background: night, Backdrop: 1, Items: []wire.Item{
				{Source: source, ID: 7, Rect: r, Fill: blue, Radius: radius, Border: 4, BorderColor: red},
			}})
			c.SetPicture(7, flat(64, 36, blue))
			for range 2 {
				c.Draw(0)
				c.SetPicture(7, flat(64, 36, blue))
			}
			for _, e := range []struct {
				x, y int
				want wire.RGB
			}{
				{64, 8, red}, {64, 10, red}, {64, 13, blue}, {64, 86, red}, {8, 48, red}, {11, 48, red}, {13, 48, blue}, {118, 48, red},
				{64, 48, blue}, {64, 4, green},
			} {
				got, want := c.Image().at(e.x, e.y), yuv(e.want)
				for i := range got {
					if d := int(got[i]) - int(want[i]); d < -2 || d > 2 {
						t.Errorf("radius %d: %v at %d,%d, want %v", radius, got, e.x, e.y, want)
						break
					}
				}
			}
			if got := c.Image().at(8, 8); radius >= 8 && got != yuv(green) || radius == 0 && got != yuv(red) {
				t.Errorf("radius %d: %v in the corner", radius, got)
			}
		}
	}
	if len(c.corners) > maxCorners {
		t.Errorf("%d masks are kept", len(c.corners))
	}
}
