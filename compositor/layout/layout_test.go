package layout

import (
	"flag"
	"fmt"
	"image"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

// styles are those of the golden file and of the invariants, by name.
var styles = []struct {
	name string
	Style
}{
	{"grid", Style{PerPage: MaxGrid}},
	{"grid of 1:1", Style{PerPage: MaxGrid, Aspect: 1}},
	{"spacious grid of 9:16", Style{PerPage: MaxGrid, Aspect: 9.0 / 16, Spacious: true}},
	{"sidebar", Style{Mode: Sidebar}},
	{"sidebar of a screen", Style{Mode: Sidebar, Wide: true}},
	{"spacious sidebar", Style{Mode: Sidebar, Spacious: true}},
	{"spotlight", Style{Mode: Spotlight}},
}

// TestGolden compares arrangements on canvases of each shape with testdata/tiles.txt.
func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, c := range []Canvas{{1280, 720}, {1920, 1080}, {720, 1280}, {720, 720}, {640, 360}} {
		for _, s := range styles[:5] {
			for _, n := range []int{1, 2, 3, 4, 5, 6, 9, 12, 25} {
				if n > s.Shows(n) {
					continue
				}
				fmt.Fprintf(&out, "%dx%d %s %d\n", c.W, c.H, s.name, n)
				for _, tile := range c.Arrange(s.Style, n) {
					r := tile.Rect
					fmt.Fprintf(&out, "\t%dx%d+%d+%d r%d\n", r.Dx(), r.Dy(), r.Min.X, r.Min.Y, tile.Radius)
				}
			}
		}
	}
	const file = "testdata/tiles.txt"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("tiles differ from %s (see with -update and git diff)", file)
	}
}

// TestInvariants holds the promises of the package comment on every even canvas size of a range.
func TestInvariants(t *testing.T) {
	for w := 160; w <= 2000; w += 92 {
		for h := 160; h <= 2000; h += 92 {
			c := Canvas{w, h}
			for _, s := range styles {
				for n := range MaxGrid + 2 {
					check(t, c, s.Style, n, c.Arrange(s.Style, n))
				}
			}
		}
	}
}

func check(t *testing.T, c Canvas, s Style, n int, tiles []Tile) {
	t.Helper()
	if len(tiles) != s.Shows(n) {
		t.Fatalf("%v %+v: %d tiles for %d", c, s, len(tiles), n)
	}
	canvas := image.Rect(0, 0, c.W, c.H)
	for i, a := range tiles {
		r := a.Rect
		if r.Empty() || !r.In(canvas) || (r.Min.X|r.Min.Y|r.Max.X|r.Max.Y)&1 != 0 || 2*a.Radius > min(r.Dx(), r.Dy()) {
			t.Fatalf("%v %+v, %d tiles: tile %d at %v with radius %d", c, s, n, i, r, a.Radius)
		}
		if s.Mode == Grid && r.Size() != tiles[0].Rect.Size() {
			t.Fatalf("%v %+v, %d tiles: %v and %v in one grid", c, s, n, r, tiles[0].Rect)
		}
		for _, b := range tiles[:i] {
			if r.Overlaps(b.Rect) {
				t.Fatalf("%v %+v, %d tiles: %v and %v overlap", c, s, n, r, b.Rect)
			}
		}
	}
}

// A grid's tiles have the shape that was asked for, as nearly as even pixels allow.
func TestShape(t *testing.T) {
	for _, aspect := range []float64{16.0 / 9, 4.0 / 3, 1, 3.0 / 4, 9.0 / 16} {
		for _, c := range []Canvas{{1280, 720}, {720, 1280}, {720, 720}} {
			for n := 2; n <= MaxGrid; n++ {
				size := c.Arrange(Style{Aspect: aspect, PerPage: MaxGrid}, n)[0].Rect.Size()
				if off := float64(size.X) - aspect*float64(size.Y); off < -4 || off > 4 {
					t.Errorf("%v, %d tiles of %.2f: %v", c, n, aspect, size)
				}
			}
		}
	}
}

// Everybody is on exactly one page, and no page is much emptier than another.
func TestPages(t *testing.T) {
	for _, s := range []Style{{}, {PerPage: 4}, {PerPage: 100}, {Mode: Sidebar}, {Mode: Spotlight}} {
		for n := range 60 {
			at, fewest, most := 0, n, 0
			for page := 0; at < n; page++ {
				from, to := s.Pages(n, page)
				if from != at || to <= from || to-from > s.Shows(n) {
					t.Fatalf("%+v of %d: page %d is %d to %d, after %d", s, n, page, from, to, at)
				}
				at, fewest, most = to, min(fewest, to-from), max(most, to-from)
			}
			if most-fewest > 1 {
				t.Errorf("%+v of %d: pages of %d and of %d", s, n, fewest, most)
			}
			if n > 0 {
				if from, _ := s.Pages(n, -1); from < 0 || from >= n {
					t.Errorf("%+v of %d: the page before the first begins with %d", s, n, from)
				}
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	c := Canvas{1280, 720}
	tile := image.Rect(8, 8, 636, 356)
	for _, e := range []struct {
		name      string
		got, want image.Rectangle
	}{
		{"label", c.LabelAt(tile, image.Pt(120, 32)), image.Rect(16, 316, 136, 348)},
		{"wide label", c.LabelAt(tile, image.Pt(2000, 32)), image.Rect(16, 316, 636, 348)},
		{"badge", c.BadgeAt(tile, image.Pt(40, 40)), image.Rect(16, 16, 56, 56)},
		{"centre", Centre(tile, image.Pt(100, 50)), image.Rect(272, 156, 372, 206)},
		{"too large for the centre", Centre(tile, image.Pt(1000, 1000)), tile},
		{"corner", c.CornerAt(TopRight, image.Pt(100, 50)), image.Rect(1140, 40, 1240, 90)},
		{"another corner", c.CornerAt(BottomLeft, image.Pt(100, 50)), image.Rect(40, 630, 140, 680)},
	} {
		if e.got != e.want {
			t.Errorf("%s: %v, want %v", e.name, e.got, e.want)
		}
	}
	if w := c.LabelWidth(tile); w != 612 {
		t.Errorf("room for labels %d", w)
	}
	if large, small, tiny := c.LabelHeightIn(tile), c.LabelHeightIn(image.Rect(0, 0, 248, 140)), c.LabelHeightIn(image.Rect(0, 0, 20, 20)); large != 32 || small != 28 || tiny != 16 {
		t.Errorf("labels of %d, %d and %d pixels", large, small, tiny)
	}
}
