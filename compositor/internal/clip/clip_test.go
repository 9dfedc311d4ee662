package clip

import (
	"testing"
	"time"
)

func TestClips(t *testing.T) {
	if err := Missing(); err != nil {
		t.Skip(err)
	}
	const length = time.Second
	video := func(encode func(string, int, time.Duration) (*Clip, error)) func() (*Clip, error) {
		return func() (*Clip, error) { return encode("testsrc2=s=320x180:r=30", 300_000, length) }
	}
	for name, tc := range map[string]struct {
		make   func() (*Clip, error)
		frames int
		clock  uint32
	}{
		"VP8":  {video(VP8), 30, 90_000},
		"H264": {video(H264), 30, 90_000},
		"VP9":  {video(VP9), 30, 90_000},
		"AV1":  {video(AV1), 30, 90_000},
		"Opus": {func() (*Clip, error) { return Opus("sine=f=440", length) }, 50, 48_000},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tc.make()
			if err != nil {
				t.Fatal(err)
			}
			if n := len(c.Frames); n < tc.frames || n > tc.frames+2 || c.Clock != tc.clock {
				t.Fatalf("%d frames at %d Hz, want %d at %d", n, c.Clock, tc.frames, tc.clock)
			}
			if !c.Frames[0].Key {
				t.Error("the clip does not begin with a key frame")
			}
			// Played in a loop, both clocks go on evenly, over the seam too.
			for i := range 3 * len(c.Frames) {
				a, b := c.At(i), c.At(i+1)
				if len(a.Data) == 0 {
					t.Fatalf("frame %d is empty", i)
				}
				step := b.Time - a.Time
				if step <= 0 || step > 50*time.Millisecond {
					t.Fatalf("frame %d is %v after frame %d", i+1, step, i)
				}
				ticks := int64(step) * int64(c.Clock) / int64(time.Second)
				if got := int64(b.RTP - a.RTP); got < ticks-2 || got > ticks+2 {
					t.Fatalf("frame %d is %d ticks after frame %d, want %d", i+1, got, i, ticks)
				}
			}
		})
	}
}
