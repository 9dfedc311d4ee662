//go:build cgo

package sitter

import (
	"bytes"
	"testing"
)

// Two numbers are two people, one number is the same person again, and a small picture has the same shape as a large one.
func TestPortrait(t *testing.T) {
	one, again, other := Portrait(1, 320, 180), Portrait(1, 320, 180), Portrait(2, 320, 180)
	if !bytes.Equal(one.Y, again.Y) || !bytes.Equal(one.U, again.U) {
		t.Error("one number is two people")
	}
	if bytes.Equal(one.U, other.U) && bytes.Equal(one.V, other.V) {
		t.Error("two numbers are of one colour")
	}
	for _, y := range one.Y {
		if y < 16 || y > 235 {
			t.Fatalf("luma of %d: the range of video is 16 to 235", y)
		}
	}
	small := Portrait(1, 160, 90)
	if a, b := one.Y[90*one.YStride+160], small.Y[45*small.YStride+80]; max(a, b)-min(a, b) > 3 {
		t.Errorf("the middle is %d, and in half the size %d", a, b)
	}
}

func TestWindow(t *testing.T) {
	m := Window(640, 360)
	if m.Y[350*m.YStride+630] < 200 || m.Y[5*m.YStride+5] > 120 {
		t.Error("a window is light, and has a dark bar over it")
	}
}
