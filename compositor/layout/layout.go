// Package layout decides where people and screens stand on a canvas, and who of them stands in
// front. It is pure: the same numbers in give the same rectangles out, all of them on even
// pixels, as the halved chroma planes of I420 need it, inside the canvas, and not overlapping;
// the same voices at the same times give the same speaker.
package layout

import "image"

// Limits of how many are shown. The caller chooses who; the rest is heard only.
const (
	MaxGrid  = 25 // tiles of a grid
	PerPage  = 9  // of them, unless the style says otherwise
	MaxStrip = 5  // tiles beside the large one
)

// Tiles of no given shape keep one that cameras survive: at most a little wider than 16:9, so that
// a 16:9 canvas is filled edge to edge by 2x2 and 3x3 tiles in spite of the gaps. A canvas of
// another shape may cut more off their sides.
const (
	maxAspect     = 1.85
	minAspect     = 4.0 / 3 // on a canvas that lies
	minAspectTall = 3.0 / 4 // on one that stands
)

// Canvas is the size of the composed picture in pixels, both even.
type Canvas struct{ W, H int }

// Mode is the idea of an arrangement.
type Mode uint8

// The modes.
const (
	Grid      Mode = iota // all are equal
	Sidebar               // one is large, the others stand in a strip at the side
	Spotlight             // one fills the canvas
)

// Style is how a canvas is arranged.
type Style struct {
	Mode     Mode
	Aspect   float64 // of a grid's tiles, width by height; 0: whatever fills the canvas best
	Spacious bool    // wide gaps
	PerPage  int     // tiles of a grid; 0: PerPage
	Wide     bool    // what is large in a sidebar is wider than high, such as a shared screen
}

// Tile is the place of one picture.
type Tile struct {
	Rect   image.Rectangle
	Radius int // of its rounded corners; 0 where it fills the canvas
}

// Gap is the free space between tiles and around them: 8 pixels at 720p.
func (c Canvas) Gap() int { return max(2, even(min(c.W, c.H)/90)) }

// Radius is that of a tile's corners: 12 pixels at 720p.
func (c Canvas) Radius() int { return c.Gap() * 3 / 2 }

// LabelHeight is that of a name label which is legible on a phone: 32 pixels at 720p.
func (c Canvas) LabelHeight() int { return max(16, even(min(c.W, c.H)*2/45)) }

// LabelHeightIn is that of a name label in a tile: less where it would cover too much of it.
func (c Canvas) LabelHeightIn(tile image.Rectangle) int {
	return max(16, min(c.LabelHeight(), even(min(tile.Dx(), tile.Dy())/5)))
}

// Border is the width of the frame around whoever speaks: 4 pixels at 720p.
func (c Canvas) Border() int { return max(2, even(min(c.W, c.H)/180)) }

// Lies says whether the canvas is wider than high.
func (c Canvas) lies() bool { return c.W > c.H }

// Shows is how many tiles n people get on a page.
func (s Style) Shows(n int) int {
	most := s.PerPage
	switch {
	case s.Mode == Spotlight:
		most = 1
	case s.Mode == Sidebar:
		most = 1 + MaxStrip
	case most <= 0:
		most = PerPage
	}
	return max(0, min(n, most, MaxGrid))
}

// Pages divides n people into pages as equally full as can be and returns who is on one of them,
// from the first up to but without the last. Pages go round: any number is one.
func (s Style) Pages(n, page int) (from, to int) {
	size := s.Shows(n)
	if size == 0 {
		return 0, 0
	}
	pages := (n + size - 1) / size
	page = (page%pages + pages) % pages
	return page * n / pages, (page + 1) * n / pages
}

// Arrange gives n people their tiles: as many as Shows says.
func (c Canvas) Arrange(s Style, n int) []Tile {
	n = s.Shows(n)
	switch {
	case n == 0:
		return nil
	case n == 1:
		return []Tile{{Rect: image.Rect(0, 0, c.W, c.H)}}
	case s.Mode == Sidebar:
		return c.sidebar(s, n)
	}
	return c.grid(s, image.Rect(0, 0, c.W, c.H), n)
}

// grid gives n equal tiles in an area in rows, as large as they can be; a last row that is not full
// is centred. There is a gap around them.
func (c Canvas) grid(s Style, area image.Rectangle, n int) []Tile {
	gap := c.gap(s)
	best, columns := image.Point{}, 1
	for cols := 1; cols <= n; cols++ {
		rows := (n + cols - 1) / cols
		size := c.shape(s.Aspect, image.Pt((area.Dx()-gap)/cols-gap, (area.Dy()-gap)/rows-gap))
		if size.X*size.Y > best.X*best.Y {
			best, columns = size, cols
		}
	}
	return c.rows(area, n, columns, gap, best)
}

// sidebar gives the first tile the large area and stands the other n-1 in a strip at its side: on
// the right, or below on a canvas that does not lie. There something wide takes no more height than
// it needs, and leaves the others a grid. Shared screens go first, then people.
func (c Canvas) sidebar(s Style, n int) []Tile {
	gap := c.gap(s)
	if c.lies() {
		wide := even(c.W / 5)
		size := c.shape(0, image.Pt(wide, even((c.H-gap)/(n-1)-gap)))
		strip := image.Rect(c.W-wide-2*gap, 0, c.W, c.H)
		large := Tile{image.Rect(gap, gap, strip.Min.X, c.H-gap), c.Radius()}
		return append([]Tile{large}, c.rows(strip, n-1, 1, gap, size)...)
	}
	if s.Wide {
		high := min(even((c.W-2*gap)*5/8), even(c.H*2/3))
		large := Tile{image.Rect(gap, gap, c.W-gap, gap+high), c.Radius()}
		return append([]Tile{large}, c.grid(Style{Spacious: s.Spacious}, image.Rect(0, gap+high, c.W, c.H), n-1)...)
	}
	high := even(c.H / 6)
	size := c.shape(0, image.Pt(even((c.W-gap)/(n-1)-gap), high))
	strip := image.Rect(0, c.H-size.Y-2*gap, c.W, c.H)
	large := Tile{image.Rect(gap, gap, c.W-gap, strip.Min.Y), c.Radius()}
	return append([]Tile{large}, c.rows(strip, n-1, n-1, gap, size)...)
}

// gap is the free space that a style wants.
func (c Canvas) gap(s Style) int {
	if s.Spacious {
		return 3 * c.Gap()
	}
	return c.Gap()
}

// shape cuts a size down to an aspect ratio, or to the allowed ones, and to even numbers.
func (c Canvas) shape(aspect float64, size image.Point) image.Point {
	least, most := minAspect, maxAspect
	switch {
	case aspect > 0:
		least, most = aspect, aspect
	case c.W < c.H:
		least = minAspectTall
	case c.W == c.H:
		least = 1
	}
	if float64(size.X) > most*float64(size.Y) {
		size.X = int(most * float64(size.Y))
	}
	if float64(size.X) < least*float64(size.Y) {
		size.Y = int(float64(size.X) / least)
	}
	return image.Pt(max(2, even(size.X)), max(2, even(size.Y)))
}

// rows stands n tiles of a size in rows of the given length, centred in the area.
func (c Canvas) rows(area image.Rectangle, n, columns, gap int, size image.Point) []Tile {
	radius := min(c.Radius(), even(min(size.X, size.Y)/8))
	count := (n + columns - 1) / columns
	y := area.Min.Y + even((area.Dy()-count*size.Y-(count-1)*gap)/2)
	tiles := make([]Tile, 0, n)
	for left := n; left > 0; left -= columns {
		in := min(left, columns)
		x := area.Min.X + even((area.Dx()-in*size.X-(in-1)*gap)/2)
		for range in {
			tiles = append(tiles, Tile{image.Rect(x, y, x+size.X, y+size.Y), radius})
			x += size.X + gap
		}
		y += size.Y + gap
	}
	return tiles
}

// LabelAt places a name label of the given size at the lower left of a tile. A label that is
// too large for the tile is clipped.
func (c Canvas) LabelAt(tile image.Rectangle, size image.Point) image.Rectangle {
	inset := c.Gap()
	at := image.Pt(tile.Min.X+inset, tile.Max.Y-inset-size.Y)
	return image.Rectangle{at, at.Add(size)}.Intersect(tile)
}

// AvatarAt places the square of an avatar in a tile: in the middle, but above the name where that would cover it.
func (c Canvas) AvatarAt(tile image.Rectangle, named bool) image.Rectangle {
	size := even(min(tile.Dx(), tile.Dy()) * 46 / 100)
	at := Centre(tile, image.Pt(size, size))
	above := tile
	above.Max.Y -= 2*c.Gap() + c.LabelHeightIn(tile)
	if !named || at.Max.Y <= above.Max.Y {
		return at
	}
	size = min(size, even(above.Dy()*9/10))
	return Centre(above, image.Pt(size, size))
}

// BadgeAt places a badge of the given size at the upper left of a tile.
func (c Canvas) BadgeAt(tile image.Rectangle, size image.Point) image.Rectangle {
	at := tile.Min.Add(image.Pt(c.Gap(), c.Gap()))
	return image.Rectangle{at, at.Add(size)}.Intersect(tile)
}

// LabelWidth is the room for a label in a tile.
func (c Canvas) LabelWidth(tile image.Rectangle) int { return even(tile.Dx() - 2*c.Gap()) }

// Centre places something of the given even size in the middle of a tile.
func Centre(tile image.Rectangle, size image.Point) image.Rectangle {
	at := tile.Min.Add(image.Pt(even((tile.Dx()-size.X)/2), even((tile.Dy()-size.Y)/2)))
	return image.Rectangle{at, at.Add(size)}.Intersect(tile)
}

// Corner is one of the canvas.
type Corner uint8

// The corners.
const (
	TopRight Corner = iota
	TopLeft
	BottomRight
	BottomLeft
)

// CornerAt places something of the given even size in a corner of the canvas, so far inside that it
// stands on a tile and not on its edge.
func (c Canvas) CornerAt(corner Corner, size image.Point) image.Rectangle {
	inset := 5 * c.Gap()
	at := image.Pt(inset, inset)
	if corner == TopRight || corner == BottomRight {
		at.X = c.W - inset - size.X
	}
	if corner == BottomRight || corner == BottomLeft {
		at.Y = c.H - inset - size.Y
	}
	return image.Rectangle{at, at.Add(size)}.Intersect(image.Rect(0, 0, c.W, c.H))
}

func even(n int) int { return n &^ 1 }
