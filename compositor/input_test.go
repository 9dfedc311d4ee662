//go:build cgo

package main

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/mix"
	"amphi/compositor/wire"
)

// TestLipSync plays the sound of one person 100 ms after its capture: a picture captured now must
// wait nearly that long, one captured longer ago not at all.
func TestLipSync(t *testing.T) {
	w := newWorker(nil, io.Discard, slog.New(slog.DiscardHandler))
	opus, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	sound := mix.NewInput(opus)
	defer sound.Close()
	w.mixer.Add(sound)
	w.stats[1] = &input{id: 1, sync: 7, audio: sound}
	packet := []byte{0xf8, 0xff, 0xfe} // 20 ms of silence
	now := time.Now()
	for i := range uint32(4) {
		sound.Push(i*960, codec.OpusSamples(packet), now, packet)
	}
	w.mixer.Mix(make([]float32, 1920), now.Add(100*time.Millisecond))

	v := &videoInput{group: 7, w: w, quit: make(chan struct{})}
	captured := time.Now()
	if !v.hold(captured.UnixNano()) {
		t.Error("the input did not end")
	}
	if waited := time.Since(captured); waited < 70*time.Millisecond {
		t.Errorf("a picture waited %v for its sound", waited)
	}
	other := &videoInput{group: 8, w: w, quit: make(chan struct{})}
	close(other.quit) // would end a wait
	if !other.hold(time.Now().UnixNano()) {
		t.Error("a picture waited for another person's sound")
	}
	close(v.quit)
	if !v.hold(time.Now().Add(-time.Second).UnixNano()) {
		t.Error("a late picture waited")
	}
	if v.hold(time.Now().UnixNano()) {
		t.Error("an input that has ended waited on")
	}
}

// TestBehind fills the queue of an input that does not decode: it stays bounded, counts, and
// goes on at a key frame only.
func TestBehind(t *testing.T) {
	w := newWorker(nil, io.Discard, slog.New(slog.DiscardHandler))
	v := &videoInput{id: 1, codec: wire.H264, w: w, queue: make(chan *wire.Frame, videoQueue), quit: make(chan struct{})}
	for range 3 * videoQueue {
		v.push(&wire.Frame{Data: []byte{0}})
	}
	if len(v.queue) != videoQueue || v.frames.Load() != 3*videoQueue || v.dropped.Load() != 2*videoQueue || !v.behind.Load() {
		t.Errorf("%d queued, %d counted, %d dropped, behind %v", len(v.queue), v.frames.Load(), v.dropped.Load(), v.behind.Load())
	}
	d, err := codec.NewVideoDecoder(codec.H264)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.run(d)
	}()
	for deadline := time.Now().Add(10 * time.Second); v.dropped.Load() < 3*videoQueue && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	v.stop()
	<-done
	if v.dropped.Load() != 3*videoQueue || v.errors.Load() != 0 {
		t.Errorf("%d dropped, %d errors", v.dropped.Load(), v.errors.Load())
	}
}
