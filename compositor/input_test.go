//go:build cgo

package main

import (
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/mix"
	"amphi/compositor/wire"
)

// TestSoundDelay plays the sound of one person 100 ms after its capture.
func TestSoundDelay(t *testing.T) {
	w := newWorker(os.Stdin, io.Discard, slog.New(slog.DiscardHandler))
	defer w.in.close()
	opus, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	sound := mix.NewInput(opus)
	defer sound.Close()
	w.mixer.Add(sound)
	w.inputs[1] = &input{id: 1, sync: 7, audio: sound}
	packet := []byte{0xf8, 0xff, 0xfe} // 20 ms of silence
	now := time.Now()
	for i := range uint32(4) {
		sound.Push(i*960, codec.OpusSamples(packet), now, packet)
	}
	w.mixer.Mix(make([]float32, 1920), now.Add(100*time.Millisecond))
	for group, want := range map[uint32]bool{7: true, 8: false, 0: false} {
		d := w.audioDelay(group)
		if known := d > 0; known != want || d > 200*time.Millisecond || known && d < 70*time.Millisecond {
			t.Errorf("group %d: %v", group, d)
		}
	}
}

// TestLipSync lets pictures wait for their sound, but not for long.
func TestLipSync(t *testing.T) {
	const ms = time.Millisecond
	came := time.Unix(1_000_000, 0)
	for _, tt := range []struct {
		captured, delay, now time.Duration // since it came; of the sound; since it came
		due                  bool
	}{
		{0, 0, 0, true},               // there is no sound
		{0, 100 * ms, 0, false},       // its sound comes later
		{0, 100 * ms, 80 * ms, false}, // still
		{0, 100 * ms, 85 * ms, true},  // at this tick or the next, whichever is nearer
		{-100 * ms, 100 * ms, 0, true},
		{-time.Second, 100 * ms, 0, true},
		{0, 5 * time.Second, 199 * ms, false},
		{0, 5 * time.Second, 200 * ms, true}, // long enough
		{time.Hour, 100 * ms, 200 * ms, true},
	} {
		v := &videoInput{codec: wire.H264}
		v.push(&wire.Frame{Capture: came.Add(tt.captured).UnixNano()}, came)
		if got := v.due(came.Add(tt.now), tt.delay) == 1; got != tt.due {
			t.Errorf("%+v: due %v", tt, got)
		}
	}
}

// TestBehind fills the queue of an input that is not decoded: it stays bounded, counts, and goes
// on at a key frame only.
func TestBehind(t *testing.T) {
	v, err := newVideoInput(wire.H264)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	now := time.Now()
	for range 3 * videoQueue {
		v.push(&wire.Frame{Data: []byte{0}}, now)
	}
	if len(v.queue) != videoQueue || v.frames != 3*videoQueue || v.dropped != 2*videoQueue || !v.lost {
		t.Errorf("%d queued, %d counted, %d dropped, lost %v", len(v.queue), v.frames, v.dropped, v.lost)
	}
	if n := v.due(now, 0); n != videoQueue {
		t.Errorf("%d due", n)
	}
	v.decode()
	if v.dropped != 3*videoQueue || v.errors != 0 || len(v.queue) != 0 {
		t.Errorf("%d dropped, %d errors, %d queued", v.dropped, v.errors, len(v.queue))
	}
	if !v.wantsKey(now) || v.wantsKey(now) {
		t.Error("a key frame is asked for once")
	}
	v.push(&wire.Frame{Data: []byte{0}}, now)
	v.due(now, 0)
	v.decode()
	if v.wantsKey(now.Add(keyPatience/2)) || !v.wantsKey(now.Add(keyPatience)) {
		t.Error("a key frame is asked for again after a time")
	}
	// A key frame makes what waits before it useless.
	for range videoQueue {
		v.push(&wire.Frame{Data: []byte{0}}, now)
	}
	v.push(&wire.Frame{Key: true, Data: []byte{0}}, now)
	if len(v.queue) != 1 || !v.queue[0].Key {
		t.Errorf("%d queued", len(v.queue))
	}
}
