//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg"
	_ "image/png"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Stills have the colours of the picture and its shape, in the format that was asked for; what is no picture ends the
// process with a word, and nothing else.
func TestStills(t *testing.T) {
	c, err := clips()
	if err != nil {
		t.Fatal(err)
	}
	key := c.green.Frames[0].Data
	run := func(in []byte, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Stdin = bytes.NewReader(in)
		return cmd.Output()
	}
	for _, want := range []struct {
		format, size string
		is           image.Point
	}{
		{"png", "1280x720", image.Pt(320, 180)}, {"jpeg", "160x160", image.Pt(160, 90)}, {"png", "320x90", image.Pt(160, 90)}, {"jpeg", "2x2", image.Pt(2, 1)},
	} {
		in := key
		if want.format == "jpeg" { // and those after it
			in = slices.Concat(key, delimiter, c.green.Frames[1].Data, delimiter, c.green.Frames[2].Data)
		}
		out, err := run(in, "--still", want.format, "--size", want.size)
		if err != nil {
			t.Errorf("%v: %v", want, err)
			continue
		}
		m, format, err := image.Decode(bytes.NewReader(out))
		if err != nil || format != want.format || m.Bounds().Size() != want.is {
			t.Errorf("%v: %s, %v, %v", want, format, m, err)
			continue
		}
		got, green := color.RGBAModel.Convert(m.At(want.is.X/2, want.is.Y/2)).(color.RGBA), color.RGBA{0x20, 0xa0, 0x20, 255}
		for _, d := range []int{int(got.R) - int(green.R), int(got.G) - int(green.G), int(got.B) - int(green.B)} {
			if d < -8 || d > 8 {
				t.Errorf("%v: the picture is %v, want %v", want, got, green)
				break
			}
		}
	}
	for name, in := range map[string][]byte{"nothing": nil, "noise": []byte(strings.Repeat("noise", 1000)), "half a picture": key[:len(key)/2],
		"no key picture": c.green.Frames[1].Data, "VP8": c.red.Frames[0].Data, "8k": c.largeH264.Frames[0].Data, "too much": make([]byte, maxStill+1)} {
		if out, err := run(in, "--still", "png"); err == nil || len(out) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	for _, bad := range []string{"0x0", "-1x9", "1x1", "99999x2", "x", ""} {
		if out, err := run(key, "--still", "png", "--size", bad); err == nil || len(out) > 0 {
			t.Errorf("size %q: %d bytes, %v", bad, len(out), err)
		}
	}
	if _, err := run(key, "--still", "gif"); err == nil {
		t.Error(fmt.Errorf("a GIF was made"))
	}
}
