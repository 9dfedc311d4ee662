package i420

import (
	"image"
	"image/color"
	"testing"
)

func TestColors(t *testing.T) {
	for _, c := range []struct {
		r, g, b int
		want    [3]byte
	}{
		{0, 0, 0, [3]byte{16, 128, 128}},
		{255, 255, 255, [3]byte{235, 128, 128}},
		{255, 0, 0, [3]byte{81, 90, 240}},
		{0, 255, 0, [3]byte{145, 54, 34}},
		{0, 0, 255, [3]byte{41, 240, 110}},
	} {
		u, v := Chroma(c.r, c.g, c.b)
		got := [3]byte{Luma(c.r, c.g, c.b), u, v}
		for i := range got {
			if d := int(got[i]) - int(c.want[i]); d < -1 || d > 1 {
				t.Errorf("rgb(%d, %d, %d) is %v, want %v", c.r, c.g, c.b, got, c.want)
				break
			}
		}
	}
}

// Half of a block is red, the rest transparent: the block's chroma is red all the same.
func TestWithAlpha(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 4, 2))
	red := color.NRGBA{255, 0, 0, 128}
	m.Set(0, 0, red)
	m.Set(0, 1, red)
	pix := WithAlpha(m)
	if len(pix) != Bytes(4, 2) {
		t.Fatalf("%d bytes", len(pix))
	}
	y, u, v, a := pix[:8], pix[8:10], pix[10:12], pix[12:]
	if y[0] < 80 || y[0] > 82 || u[0] < 89 || u[0] > 92 || v[0] < 238 || a[0] != 128 || a[1] != 0 || a[2] != 0 || u[1] != 128 {
		t.Errorf("y %v u %v v %v a %v", y, u, v, a)
	}
}
