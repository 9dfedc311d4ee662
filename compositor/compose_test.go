//go:build cgo

package main

import (
	"bytes"
	"image"
	"image/png"
	"os/exec"
	"testing"

	"amphi/compositor/wire"
)

// A composed picture has the scene's colours where nobody sits, somebody else for each input, and a window where one is
// shown whole. What is no scene ends the process with a word, and nothing else.
func TestCompose(t *testing.T) {
	start := &wire.Start{Renditions: []wire.Rendition{{Width: 320, Height: 180, Bitrate: 1e6}}, FPS: 25, KeyInterval: 25, AudioBitrate: 64e3}
	half := func(id uint32, x int, fit wire.Fit) wire.Item {
		return wire.Item{Source: wire.FromInput, ID: id, Rect: image.Rect(x, 0, x+140, 180), Fit: fit}
	}
	run := func(messages ...wire.Message) ([]byte, error) {
		var in bytes.Buffer
		w := wire.NewWriter(&in)
		for _, m := range messages {
			if err := w.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, "--"+wire.ComposeFlag)
		cmd.Stdin = &in
		return cmd.Output()
	}
	draw := func(items ...wire.Item) image.Image {
		t.Helper()
		out, err := run(start, &wire.Picture{ID: 9, W: 16, H: 16, Data: []byte("no picture")}, &wire.Scene{Background: 0x102030, Items: items})
		if err != nil {
			t.Fatal(err)
		}
		m, err := png.Decode(bytes.NewReader(out))
		if err != nil || m.Bounds().Size() != image.Pt(320, 180) {
			t.Fatalf("%v, %v", m.Bounds(), err)
		}
		return m
	}
	at := func(m image.Image, x, y int) [3]int {
		r, g, b, _ := m.At(x, y).RGBA()
		return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
	}
	people := draw(half(1, 0, wire.Cover), half(2, 180, wire.Cover))
	if c := at(people, 160, 90); max(c[0]-0x10, 0x10-c[0], c[1]-0x20, 0x20-c[1], c[2]-0x30, 0x30-c[2]) > 6 {
		t.Errorf("the ground is %x", c)
	}
	if at(people, 20, 20) == at(people, 200, 20) {
		t.Error("both people sit before one wall")
	}
	if window := draw(half(1, 0, wire.Contain)); at(window, 70, 120)[0] < 0xe0 {
		t.Errorf("a shared window is %x", at(window, 70, 120))
	}
	for name, messages := range map[string][]wire.Message{"nothing": nil, "no start": {&wire.Scene{}}, "no scene": {start}, "a live stream": {start, &wire.ForceKey{}}} {
		if out, err := run(messages...); err == nil || len(out) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
}
