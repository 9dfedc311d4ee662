package live

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

func TestCost(t *testing.T) {
	t.Parallel()
	hd := policy.HLSLayer{Width: 1280, Height: 720}
	full := policy.HLSLayer{Width: 1920, Height: 1080}
	for _, tt := range []struct {
		layers []policy.HLSLayer
		fps    int
		least  float64
		most   float64
	}{
		{[]policy.HLSLayer{hd}, 30, 0.33, 0.36},                                                       // the bench says 0.348
		{[]policy.HLSLayer{hd, {Width: 854, Height: 480}, {Width: 640, Height: 360}}, 30, 0.57, 0.60}, // and 0.584
		{[]policy.HLSLayer{hd}, 15, 0.1, 0.25},
		{[]policy.HLSLayer{full}, 30, 0.5, 0.7},
		{[]policy.HLSLayer{full}, 60, 0.9, 1.4},
	} {
		if c := cost(tt.layers, tt.fps); c < tt.least || c > tt.most {
			t.Errorf("%v at %d a second: %.2f cores, want %.2f to %.2f", tt.layers, tt.fps, c, tt.least, tt.most)
		}
	}
}

// What a stream is seen to take counts when it is more than was thought.
func TestLoadIsMeasured(t *testing.T) {
	t.Parallel()
	l := load{planned: 0.3}
	now := &wire.Stats{}
	see := func(seconds int, cores float64) {
		for range seconds {
			next := &wire.Stats{Ticks: now.Ticks + 30, CPU: now.CPU + time.Duration(cores*float64(time.Second))}
			l.measure(now, next, 30)
			now = next
		}
	}
	l.measure(nil, now, 30) // the first of a worker says nothing
	see(60, 0.2)
	if c := l.cores(); c != 0.3 {
		t.Errorf("%.2f cores, of which 0.3 are planned", c)
	}
	see(60, 0.8)
	if c := l.cores(); math.Abs(c-0.8) > 0.05 {
		t.Errorf("%.2f cores, of which 0.8 are measured", c)
	}
	now = &wire.Stats{} // another worker counts anew
	see(1, 0.8)
	if c := l.cores(); math.Abs(c-0.8) > 0.05 {
		t.Errorf("%.2f cores after another worker took over", c)
	}
	see(100, 0.1)
	if c := l.cores(); c != 0.3 {
		t.Errorf("%.2f cores when it takes less again", c)
	}
}

// A room is refused when others take the processors, and composed when they do not any more; one alone
// is always composed. Where a number is configured that decides alone.
func TestAdmission(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{Cores: 0.1}, nil)
	first, other := oneOnAir(t, h)
	_, err := h.Start(t.Context(), other, Options{})
	wantCode(t, err, protocol.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "0.10 that are for this") {
		t.Errorf("the refusal says: %v", err)
	}
	_, err = h.Attach(t.Context(), other, OutletConfig{})
	wantCode(t, err, protocol.CodeUnavailable)
	if st := h.Stats(); st.TurnedAway != 2 || st.Cores != 0.1 || st.CoresTaken < 0.2 || st.Streams != 1 {
		t.Errorf("%+v", st)
	}
	if err := h.StopHLS(t.Context(), first, ""); err != nil {
		t.Fatal(err)
	}
	h.until("a place", func() bool { return h.Stats().Streams == 0 })
	if _, err := h.Start(t.Context(), other, Options{}); err != nil {
		t.Errorf("with nobody else: %v", err)
	}

	h = newHouse(t, actor(t, "play"), Config{Cores: 0.1, MaxStreams: 2}, nil)
	_, other = oneOnAir(t, h)
	if _, err := h.Start(t.Context(), other, Options{}); err != nil {
		t.Errorf("one of two: %v", err)
	}
}

// Rooms that are turned away stand in line: who comes later does not get the place that they wait for, but what is left.
func TestLine(t *testing.T) {
	t.Parallel()
	m := &Manager{cfg: Config{Cores: 1}, streams: map[string]*stream{}}
	ask := func(room string, need float64) error {
		s := &stream{}
		s.info.RoomID = room
		err := m.admit(s, need)
		if err == nil {
			m.streams[room] = s
		}
		return err
	}
	want := func(room string, need float64, text string) {
		t.Helper()
		err := ask(room, need)
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", room, err, text)
		}
	}
	want("a", 0.6, "")
	want("b", 0.6, "it is number 1 of those that wait: ask again in 10 s")
	want("c", 0.6, "number 2")
	want("b", 0.6, "number 1")
	want("d", 0.2, "number 3") // it would fit, but b and c come first
	if n := m.waiting(time.Now()); n != 3 {
		t.Errorf("%d rooms wait", n)
	}
	delete(m.streams, "a")
	want("c", 0.6, "number 2") // b comes first
	want("b", 0.6, "")
	want("c", 0.6, "number 1")
	m.line[0].asked = time.Now().Add(-time.Hour) // c does not ask any more
	want("d", 0.2, "")
	if n := m.waiting(time.Now()); n != 0 {
		t.Errorf("%d rooms wait", n)
	}
	m.cfg.MaxStreams = 2
	want("e", 0.1, "2 rooms at a time, its limit; it is number 1")
	delete(m.streams, "b")
	want("f", 0.1, "number 2")
	want("e", 0.1, "")
	for i := range maxLine + 5 {
		_ = ask(fmt.Sprint(i), 0.1)
	}
	if len(m.line) != maxLine {
		t.Errorf("a line of %d", len(m.line))
	}
}

// oneOnAir starts a room's stream, and opens another room.
func oneOnAir(t *testing.T, h *house) (on, off *room.Room) {
	t.Helper()
	on = h.open()
	if _, err := h.Start(t.Context(), on, Options{}); err != nil {
		t.Fatal(err)
	}
	record, err := h.store.SaveRoom(t.Context(), h.seed.Workspace.ID, "other", func(*store.Room) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if off, err = h.rooms.Open(t.Context(), record.ID); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(off.Release)
	return on, off
}
