package live

import (
	"testing"
	"testing/synctest"

	"amphi/compositor/wire"
)

var (
	camera     = wire.AddInput{ID: 1, Codec: wire.VP8, Sync: 9}
	microphone = wire.AddInput{ID: 2, Codec: wire.Opus, Sync: 9}
)

func frame(in wire.AddInput, key bool, size int) *wire.Frame {
	return &wire.Frame{Input: in.ID, Key: key, Data: make([]byte, size)}
}

// Inputs are announced by their first frame, and a new queue, for a new worker, announces anew.
func TestQueueAnnouncesInputs(t *testing.T) {
	for range 2 {
		q := newQueue()
		q.push(&wire.Start{})
		if !q.pushFrame(camera, frame(camera, false, 10)) {
			t.Error("a delta without a key frame before it does not ask for one")
		}
		q.pushFrame(camera, frame(camera, true, 10))
		q.pushFrame(microphone, frame(microphone, true, 10))
		if q.pushFrame(camera, frame(camera, false, 10)) {
			t.Error("a delta after a key frame asks for one")
		}
		q.push(&wire.RemoveInput{ID: camera.ID}, &wire.Scene{})
		q.pushFrame(camera, frame(camera, true, 10))
		want := []wire.Message{
			&wire.Start{}, &wire.AddInput{}, &wire.Frame{}, &wire.AddInput{}, &wire.Frame{}, &wire.Frame{},
			&wire.RemoveInput{}, &wire.Scene{}, &wire.AddInput{}, &wire.Frame{},
		}
		got := q.Take()
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i := range got {
			if typeOf(got[i]) != typeOf(want[i]) {
				t.Errorf("message %d is a %T, want a %T", i, got[i], want[i])
			}
		}
		if add := got[1].(*wire.AddInput); *add != camera {
			t.Errorf("%+v", add)
		}
		if st := q.read(); st != (queueStats{queued: 4, dropped: 1}) {
			t.Errorf("%+v", st)
		}
	}
}

func typeOf(m wire.Message) string {
	switch m.(type) {
	case *wire.Start:
		return "start"
	case *wire.AddInput:
		return "add"
	case *wire.RemoveInput:
		return "remove"
	case *wire.Frame:
		return "frame"
	default:
		return "other"
	}
}

// A worker that does not read loses frames, video up to the next key frame, and no word of
// control.
func TestQueueIsFull(t *testing.T) {
	q := newQueue()
	if q.pushFrame(camera, frame(camera, true, 1)); q.frames > 0 || q.opened() {
		t.Error("a frame before Start")
	}
	q.push(&wire.Start{})
	q.Take()
	q.pushFrame(camera, frame(camera, true, queueBytes-100))
	if q.pushFrame(camera, frame(camera, false, 200)) {
		t.Error("a key frame is asked for while there is no room")
	}
	q.pushFrame(camera, frame(camera, false, 10)) // would fit, but is of no use now
	if !q.pushFrame(microphone, frame(microphone, true, 100)) && len(q.items) != 4 {
		t.Errorf("sound that fits was dropped: %d items", len(q.items))
	}
	if !q.push(&wire.ForceKey{}) {
		t.Error("control was dropped")
	}
	q.Take()
	if !q.pushFrame(camera, frame(camera, false, 10)) {
		t.Error("no key frame is asked for after there is room again")
	}
	q.pushFrame(camera, frame(camera, true, 10))
	q.pushFrame(camera, frame(camera, false, 10))
	if st := q.read(); st != (queueStats{queued: 4, dropped: 4}) {
		t.Errorf("%+v", st)
	}

	for range queueFrames + 5 {
		q.pushFrame(microphone, frame(microphone, true, 1))
	}
	if q.frames != queueFrames {
		t.Errorf("%d frames wait", q.frames)
	}
	for range queueControl {
		q.push(&wire.ForceKey{})
	}
	if q.push(&wire.ForceKey{}) {
		t.Error("more control than the limit")
	}
}

func TestQueueCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		got := make(chan []wire.Message)
		go func() { got <- q.Take() }()
		synctest.Wait() // it waits
		q.Close()
		if ms := <-got; ms != nil {
			t.Errorf("%d messages", len(ms))
		}
		if q.push(&wire.Stop{}) || q.pushFrame(camera, frame(camera, false, 1)) {
			t.Error("a closed queue takes messages")
		}
	})
}
