package live

import (
	"bytes"
	"image"
	"image/png"
	"os/exec"
	"testing"
	"time"

	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// setLayout changes the layout in the template of the seeded room.
func (h *house) setLayout(l *policy.Layout) {
	h.t.Helper()
	_, err := h.store.ChangeTemplate(h.t.Context(), h.seed.Workspace.ID, h.seed.Room.TemplateID, func(t *store.Template) error {
		t.Policy.Destinations.HLS["main"].Layout = l
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// grab is a picture of a stream, by ffmpeg; nil where there is none at the moment.
func grab(t *testing.T, url string) image.Image {
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "quiet", "-nostdin", "-i", url, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-").Output()
	if err != nil {
		return nil
	}
	m, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		return nil
	}
	return m
}

// looks says whether a picture has a size, and at its edge the colour of a background.
func looks(m image.Image, w, h int, background uint32) bool {
	if m == nil || m.Bounds().Dx() != w || m.Bounds().Dy() != h {
		return false
	}
	r, g, b, _ := m.At(2, 2).RGBA()
	for i, c := range []uint32{b, g, r} {
		if d := int(c>>8) - int(background>>(8*i)&0xff); d < -24 || d > 24 {
			return false
		}
	}
	return true
}

// TestLayoutWhileLive changes the template under a stream of two people, with the real worker: the
// picture follows, without another worker as long as its size stays, and in the end in another
// shape.
func TestLayoutWhileLive(t *testing.T) {
	t.Parallel()
	h := newHouse(t, realWorker(t), Config{}, nil)
	r := h.open()
	// The room is open already: what its stream looks like is what the template says now.
	h.setLayout(&policy.Layout{Mode: "sidebar", Background: "#800080"})
	join(t, r, "ann")
	join(t, r, "bob")
	v := h.start(r)
	s := h.stream(r.ID())
	worker := s.worker.Load()
	h.until("the layout of the template", func() bool { return looks(grab(t, v.URL), 1280, 720, 0x800080) })

	h.setLayout(&policy.Layout{Mode: "active-speaker", Background: "#006000"})
	h.until("another background", func() bool { return looks(grab(t, v.URL), 1280, 720, 0x006000) })
	if s.worker.Load() != worker {
		t.Error("another worker draws another background")
	}

	h.setLayout(&policy.Layout{Mode: "active-speaker", AspectRatio: "9:16", Background: "#000080"})
	h.until("a picture that stands", func() bool { return looks(grab(t, v.URL), 720, 1280, 0x000080) })
	if st := h.Stats(); s.worker.Load() == worker || st.Restarts != 0 || st.Workers != 1 {
		t.Errorf("the same worker: %v; %d restarts, %d workers", s.worker.Load() == worker, st.Restarts, st.Workers)
	}
	if got := h.state(r); got.State != protocol.StateStarted || got.URL != v.URL {
		t.Errorf("the stream is %+v", got)
	}
}

// Chat stands in the picture for a while; reactions rise, some of a crowd's; and nothing else that
// is said is seen.
func TestSayings(t *testing.T) {
	t.Parallel()
	w := &worker{outgoing: newQueue()}
	s := &stream{sayings: make(chan room.Saying, maxSayings), canvas: hd, design: newDesign(&policy.Layout{ShowChat: true}), presenter: startPresenter(newPainter("", labels()))}
	defer s.presenter.stop()
	s.worker.Store(w)
	s.sel = selection{canvas: hd, design: s.design}
	s.show(nil)
	say := func(kind, text string) {
		s.said(room.Saying{From: room.Stay{Name: "Ann"}, Event: protocol.BroadcastEvent{Info: protocol.Message{Type: kind, Message: text}}})
		select {
		case m := <-s.sayings:
			s.hearSaying(m)
		default:
		}
	}
	// The next message of a type, and those before it.
	next := func(want wire.Message) (before []wire.Message) {
		t.Helper()
		for {
			before = append(before, w.outgoing.Take()...)
			switch before[len(before)-1].(type) {
			case *wire.Float:
				if _, ok := want.(*wire.Float); ok {
					return before
				}
			case *wire.Scene, *wire.DropBitmap:
				if _, ok := want.(*wire.Scene); ok {
					return before
				}
			}
		}
	}
	scene := func(ms []wire.Message) *wire.Scene {
		for _, m := range ms {
			if sc, ok := m.(*wire.Scene); ok {
				return sc
			}
		}
		return new(wire.Scene)
	}
	if n := len(scene(next(&wire.Scene{})).Items); n != 2 {
		t.Fatalf("a slate of %d items", n)
	}
	say("chat", "hello")
	if n := len(scene(next(&wire.Scene{})).Items); n != 3 || s.chat != "Ann: hello" {
		t.Errorf("with chat %d items, %q", n, s.chat)
	}
	s.ageChat(time.Now())
	if s.chat == "" {
		t.Error("nobody can read so fast")
	}
	s.ageChat(time.Now().Add(2 * chatTime))
	if n := len(scene(next(&wire.Scene{})).Items); n != 2 || s.chat != "" {
		t.Errorf("after the chat %d items, %q", n, s.chat)
	}
	say(typeReaction, `{"emojiId":"fire"}`)
	ms := next(&wire.Float{})
	f := ms[len(ms)-1].(*wire.Float)
	if b, ok := ms[0].(*wire.Bitmap); !ok || b.ID != f.ID || f.ID&floatIDs == 0 || f.Rect.Dx() != int(b.W) {
		t.Errorf("%T before %+v", ms[0], f)
	}
	say(typeReaction, `{"emojiId":"fire"}`) // too soon
	say("other", "nobody sees this")
	s.floated = time.Time{}
	say(typeReaction, `{"emojiId":"fire"}`)
	if ms := next(&wire.Float{}); len(ms) != 1 {
		t.Errorf("%d messages for a reaction that the worker knows", len(ms))
	}
	s.design = newDesign(&policy.Layout{HideReactions: true})
	s.floated = time.Time{}
	say(typeReaction, `{"emojiId":"fire"}`)
	say("chat", "hidden")
	if s.chat != "" || !s.floated.IsZero() {
		t.Error("what is hidden is shown")
	}
	for range 10 * maxSayings { // a flood is not waited for
		s.said(room.Saying{Event: protocol.BroadcastEvent{Info: protocol.Message{Type: "chat"}}})
	}
	if len(s.sayings) != maxSayings {
		t.Errorf("%d sayings wait", len(s.sayings))
	}
}
