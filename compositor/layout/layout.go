// Package layout decides where people and screens stand on a canvas. It is pure geometry: the
// same numbers in give the same rectangles out, all of them on even pixels, as the halved
// chroma planes of I420 need it, inside the canvas, and not overlapping.
package layout

import "image"

// Limits of how many are shown. The caller chooses who; the rest is heard only.
const (
	MaxGrid  = 9 // tiles of a grid
	MaxStrip = 5 // tiles beside a spotlight
)

// Tiles keep a shape that cameras survive: between 4:3 and a little wider than 16:9, so that a
// 16:9 canvas is filled edge to edge by 2x2 and 3x3 tiles in spite of the gaps.
const (
	minAspect = 4.0 / 3
	maxAspect = 1.85
)

// Canvas is the size of the composed picture in pixels, both even.
type Canvas struct{ W, H int }

// Tile is the place of one picture.
type Tile struct {
	Rect   image.Rectangle
	Radius int // of its rounded corners; 0 where it fills the canvas
}

// Gap is the free space between tiles and around them: 8 pixels at 720p.
func (c Canvas) Gap() int { return even(min(c.W, c.H) / 90) }

// Radius is that of a tile's corners: 12 pixels at 720p.
func (c Canvas) Radius() int { return c.Gap() * 3 / 2 }

// LabelHeight is that of a name label which is legible on a phone: 32 pixels at 720p.
func (c Canvas) LabelHeight() int { return max(16, even(min(c.W, c.H)*2/45)) }

// Grid gives n equal tiles in rows, as large as they can be; a last row that is not full is
// centred. One tile fills the canvas. Of more than MaxGrid, only so many get a tile.
func (c Canvas) Grid(n int) []Tile {
	n = min(n, MaxGrid)
	if n <= 0 {
		return nil
	}
	if n == 1 {
		return []Tile{c.whole()}
	}
	best, columns := image.Point{}, 1
	for cols := 1; cols <= n; cols++ {
		size := c.cell(cols, (n+cols-1)/cols)
		if size.X*size.Y > best.X*best.Y {
			best, columns = size, cols
		}
	}
	return c.rows(image.Rect(0, 0, c.W, c.H), n, columns, best)
}

// Spotlight gives the first tile the large area and stands the other n-1 in a strip at its
// side: on the right, or below on an upright canvas. Shared screens go first, then people. Of
// more than 1+MaxStrip, only so many get a tile.
func (c Canvas) Spotlight(n int) []Tile {
	n = min(n, 1+MaxStrip)
	if n <= 0 {
		return nil
	}
	if n == 1 {
		return []Tile{c.whole()}
	}
	gap := c.Gap()
	if c.W >= c.H {
		wide := even(c.W / 5)
		size := image.Pt(wide, even((c.H-gap)/(n-1)-gap))
		strip := image.Rect(c.W-wide-2*gap, 0, c.W, c.H)
		spot := Tile{image.Rect(gap, gap, strip.Min.X, c.H-gap), c.Radius()}
		return append([]Tile{spot}, c.rows(strip, n-1, 1, shape(size))...)
	}
	high := even(c.H / 6)
	size := image.Pt(even((c.W-gap)/(n-1)-gap), high)
	strip := image.Rect(0, c.H-high-2*gap, c.W, c.H)
	spot := Tile{image.Rect(gap, gap, c.W-gap, strip.Min.Y), c.Radius()}
	return append([]Tile{spot}, c.rows(strip, n-1, n-1, shape(size))...)
}

// LabelAt places a name label of the given size at the lower left of a tile. A label that is
// too large for the tile is clipped.
func (c Canvas) LabelAt(tile image.Rectangle, size image.Point) image.Rectangle {
	inset := c.Gap()
	at := image.Pt(tile.Min.X+inset, tile.Max.Y-inset-size.Y)
	return image.Rectangle{at, at.Add(size)}.Intersect(tile)
}

// BadgeAt places a badge of the given size at the upper right of a tile.
func (c Canvas) BadgeAt(tile image.Rectangle, size image.Point) image.Rectangle {
	inset := c.Gap()
	at := image.Pt(tile.Max.X-inset-size.X, tile.Min.Y+inset)
	return image.Rectangle{at, at.Add(size)}.Intersect(tile)
}

// LabelWidth is the room for a label in a tile.
func (c Canvas) LabelWidth(tile image.Rectangle) int { return even(tile.Dx() - 2*c.Gap()) }

func (c Canvas) whole() Tile { return Tile{Rect: image.Rect(0, 0, c.W, c.H)} }

// cell is the size of a tile when cols by rows of them share the canvas.
func (c Canvas) cell(cols, rows int) image.Point {
	gap := c.Gap()
	return shape(image.Pt((c.W-gap)/cols-gap, (c.H-gap)/rows-gap))
}

// shape cuts a size down to the allowed aspect ratios and to even numbers.
func shape(size image.Point) image.Point {
	if float64(size.X) > maxAspect*float64(size.Y) {
		size.X = int(maxAspect * float64(size.Y))
	}
	if float64(size.X) < minAspect*float64(size.Y) {
		size.Y = int(float64(size.X) / minAspect)
	}
	return image.Pt(max(2, even(size.X)), max(2, even(size.Y)))
}

// rows stands n tiles of a size in rows of the given length, centred in the area.
func (c Canvas) rows(area image.Rectangle, n, columns int, size image.Point) []Tile {
	gap := c.Gap()
	count := (n + columns - 1) / columns
	y := area.Min.Y + even((area.Dy()-count*size.Y-(count-1)*gap)/2)
	tiles := make([]Tile, 0, n)
	for left := n; left > 0; left -= columns {
		in := min(left, columns)
		x := area.Min.X + even((area.Dx()-in*size.X-(in-1)*gap)/2)
		for range in {
			tiles = append(tiles, Tile{image.Rect(x, y, x+size.X, y+size.Y), c.Radius()})
			x += size.X + gap
		}
		y += size.Y + gap
	}
	return tiles
}

func even(n int) int { return n &^ 1 }
