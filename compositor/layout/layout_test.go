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

// TestGolden compares every arrangement on four canvases with testdata/tiles.txt.
func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, c := range []Canvas{{1280, 720}, {1920, 1080}, {720, 1280}, {640, 360}} {
		for n := range MaxGrid + 2 {
			write(&out, c, fmt.Sprintf("grid %d", n), c.Grid(n))
		}
		for n := range MaxStrip + 3 {
			write(&out, c, fmt.Sprintf("spotlight %d", n), c.Spotlight(n))
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

func write(out *strings.Builder, c Canvas, name string, tiles []Tile) {
	fmt.Fprintf(out, "%dx%d %s\n", c.W, c.H, name)
	for _, tile := range tiles {
		r := tile.Rect
		fmt.Fprintf(out, "\t%dx%d+%d+%d r%d\n", r.Dx(), r.Dy(), r.Min.X, r.Min.Y, tile.Radius)
	}
}

// TestInvariants holds the promises of the package comment on every even canvas size of a range.
func TestInvariants(t *testing.T) {
	for w := 160; w <= 2000; w += 46 {
		for h := 160; h <= 2000; h += 54 {
			c := Canvas{w, h}
			for n := range 12 {
				check(t, c, n, min(n, MaxGrid), c.Grid(n))
				check(t, c, n, min(n, 1+MaxStrip), c.Spotlight(n))
			}
		}
	}
}

func check(t *testing.T, c Canvas, n, want int, tiles []Tile) {
	t.Helper()
	if len(tiles) != want {
		t.Fatalf("%v: %d tiles for %d", c, len(tiles), n)
	}
	canvas := image.Rect(0, 0, c.W, c.H)
	for i, a := range tiles {
		r := a.Rect
		if r.Empty() || !r.In(canvas) || (r.Min.X|r.Min.Y|r.Max.X|r.Max.Y)&1 != 0 {
			t.Fatalf("%v, %d tiles: tile %d at %v", c, n, i, r)
		}
		for _, b := range tiles[:i] {
			if r.Overlaps(b.Rect) {
				t.Fatalf("%v, %d tiles: %v and %v overlap", c, n, r, b.Rect)
			}
		}
	}
}

func TestLabels(t *testing.T) {
	c := Canvas{1280, 720}
	tile := image.Rect(8, 8, 636, 356)
	for _, e := range []struct {
		name      string
		got, want image.Rectangle
	}{
		{"label", c.LabelAt(tile, image.Pt(120, 32)), image.Rect(16, 316, 136, 348)},
		{"wide label", c.LabelAt(tile, image.Pt(2000, 32)), image.Rect(16, 316, 636, 348)},
		{"badge", c.BadgeAt(tile, image.Pt(40, 40)), image.Rect(588, 16, 628, 56)},
	} {
		if e.got != e.want {
			t.Errorf("%s: %v, want %v", e.name, e.got, e.want)
		}
	}
	if w := c.LabelWidth(tile); w != 612 {
		t.Errorf("room for labels %d", w)
	}
}
