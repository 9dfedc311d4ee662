package sfu

import (
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

var mimes = map[Codec]string{VP8: webrtc.MimeTypeVP8, H264: webrtc.MimeTypeH264, Opus: webrtc.MimeTypeOpus}

func TestTapDeliversWholeFrames(t *testing.T) {
	t.Parallel()
	for codec, mime := range mimes {
		t.Run(codec.String(), func(t *testing.T) {
			s := testSFU(t)
			a := joined(t, s, "a", false)
			o := a.publish(mime, "s", "x")
			eventually(t, "media", func() bool { return o.sent.Load() > 5 })
			began := time.Now()
			tap := a.peer.Track("x").Tap(TapConfig{})
			defer tap.Close()
			var last Frame
			for i := range 60 {
				f, n := nextFrame(t, tap)
				if f.Codec != codec {
					t.Fatalf("codec %v", f.Codec)
				}
				if i == 0 {
					if !f.Key || n == 0 {
						t.Errorf("the first frame is number %d, key %v", n, f.Key)
					}
				} else {
					step := int32(f.RTPTime - last.RTPTime)
					if want := int32(codec.ClockRate() / 100); step%want != 0 || step <= 0 {
						t.Errorf("frame %d is %d after the one before", n, step)
					}
				}
				if age := time.Since(f.Capture); f.Capture.Before(began.Add(-10*time.Second)) || age < -time.Second {
					t.Errorf("captured %v ago", age)
				}
				last = f
			}
			if tap.Dropped() != 0 {
				t.Errorf("%d dropped", tap.Dropped())
			}
		})
	}
}

// nextFrame returns the tap's next frame and its number.
func nextFrame(t *testing.T, tap *Tap) (Frame, int) {
	t.Helper()
	select {
	case f, ok := <-tap.Frames():
		if !ok {
			t.Fatal("the tap ended")
		}
		n, key, ok := readFrame(mimes[f.Codec], f.Data)
		if !ok || key != f.Key {
			t.Fatalf("torn frame of %d bytes, key %v", len(f.Data), f.Key)
		}
		return f, n
	case <-time.After(patience):
		t.Fatal("no frame")
	}
	return Frame{}, 0
}

func TestTapGoesOnAtAKeyFrameAfterLoss(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	o := a.add(webrtc.MimeTypeVP8, "s", "x")
	a.negotiate(nil)
	tap := a.peer.Track("x").Tap(TapConfig{Wait: 50 * time.Millisecond})
	o.start()
	before := 0
	for range 10 {
		_, before = nextFrame(t, tap)
	}
	// Lose five frames for good, retransmissions included.
	var mu sync.Mutex
	lost := map[uint32]bool{}
	f := func(h *rtp.Header) bool {
		mu.Lock()
		defer mu.Unlock()
		if len(lost) < 5 {
			lost[h.Timestamp] = true
		}
		return lost[h.Timestamp]
	}
	a.loseOut.Store(&f)
	for range 400 {
		f, n := nextFrame(t, tap)
		if n != before+1 {
			if !f.Key {
				t.Fatalf("frame %d after %d is no key frame", n, before)
			}
			return
		}
		before = n
	}
	t.Error("nothing was lost")
}

func TestTapOfASlowReader(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	a.publish(webrtc.MimeTypeOpus, "s", "x")
	tap := a.peer.Track("x").Tap(TapConfig{Queue: 2})
	eventually(t, "drops", func() bool { return tap.Dropped() > 5 && s.Stats().DroppedTap > 5 })
	tap.Close()
	tap.Close()
	n := 0
	for range tap.Frames() {
		n++
	}
	if n > 2 {
		t.Errorf("%d frames were waiting", n)
	}
	if a.peer.Track("x").watched() {
		t.Error("the track still feeds it")
	}
}

// A tap gets the layer that is large enough for what is shown, or else the best, from a whole key
// frame on.
func TestTapOfLayers(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	top := a.simulcast()
	tap := a.peer.Track("v").Tap(TapConfig{})
	defer tap.Close()
	see := func(layer int) {
		t.Helper()
		before := -1
		for range 400 {
			f, n := nextFrame(t, tap)
			if before >= 0 && n%10 != before%10 && !f.Key {
				t.Fatalf("frame %d after %d is of another layer, and no key frame", n, before)
			}
			if before = n; n%10 == layer {
				return
			}
		}
		t.Fatalf("frame %d is not of layer %d", before, layer)
	}
	stay := func(layer int) {
		t.Helper()
		see(layer)
		for range 60 {
			if _, n := nextFrame(t, tap); n%10 != layer {
				t.Fatalf("frame %d came of another layer than %d", n, layer)
			}
		}
	}
	top <- 2
	stay(2)
	tap.Want(320, 180) // just as large
	stay(1)
	tap.Want(322, 100)
	stay(2)
	tap.Want(100, 80)
	stay(0)
	tap.Want(4000, 3000)
	stay(2)
	top <- 0 // nothing better comes
	stay(0)
	top <- 2
	tap.Want(0, 0)
	stay(2)
	if tap.Dropped() != 0 {
		t.Errorf("%d dropped", tap.Dropped())
	}
}

// FuzzAssembler: no payload makes it fail or deliver what has no marker.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x9d"), []byte("\x00\x01"), true)
	f.Add([]byte("\x7c\x85\x88\x88"), []byte("\x7c\x45\x88"), true)
	f.Add([]byte("\x78\x00\x02\x67\x42\x00\x02\x68\xce"), []byte("\x65\x88"), false)
	f.Add([]byte("\x8a\x81\x02\x18\x01\x40\x00\xb4\x01\x14\x01\x82\x49\x83\x42\x00"), []byte("\xa4\x81\x02\x02\x00\x86"), true) // VP9
	f.Add([]byte("\x68\x0b\x08\x00\x00\x00\x42\xa7\xbf\xe4\x60\x0d\x00\x40\x32\x10"), []byte("\x90\x30\x10"), true)             // AV1
	f.Fuzz(func(t *testing.T, first, second []byte, marker bool) {
		for _, codec := range []Codec{VP8, H264, Opus, VP9, AV1} {
			codec.pictureSize(first)
			a := assembler{codec: codec}
			for i, p := range [][]byte{first, second, first} {
				fr, ok := a.push(&tapPacket{packet: packet{
					ts: uint32(i / 2), marker: marker && i == 1, key: codec.keyStart(p, i%2 == 0), payload: p,
				}})
				if ok && codec != Opus && (!marker || i != 1 || len(fr.Data) == 0) {
					t.Fatalf("%v delivered a frame of %d bytes at packet %d", codec, len(fr.Data), i)
				}
			}
		}
	})
}
