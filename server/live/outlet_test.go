package live

import (
	"errors"
	"sync"
	"testing"
	"time"

	"amphi/server/hls"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

// listener is a sink that counts.
type listener struct {
	mu       sync.Mutex
	begins   []Format
	pictures int
	sounds   int
	last     time.Duration // the latest picture
	back     int           // pictures that were not after the last
	ends     []Ended
}

func (l *listener) Begin(f Format) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begins = append(l.begins, f)
}

func (l *listener) Video(rendition int, pts time.Duration, _ bool, _ []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rendition != 0 {
		return
	}
	if l.pictures++; pts <= l.last && l.last > 0 {
		l.back++
	}
	l.last = pts
}

func (l *listener) Audio(time.Duration, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sounds++
}

func (l *listener) End(e Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, e)
}

func (l *listener) get() (pictures int, begins []Format, ends []Ended) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pictures, l.begins, l.ends
}

func (h *house) attach(c OutletConfig) (*Outlet, *listener) {
	h.t.Helper()
	l := &listener{}
	c.Sink = l
	o, err := h.Attach(h.t.Context(), h.open(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.until("pictures", func() bool { n, _, _ := l.get(); return n > 10 })
	return o, l
}

// A room is composed for a sink alone; going live and ending that, it goes on; and with the last who takes
// the stream it ends.
func TestOutlet(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, nil)
	r := h.open()
	first, heard := h.attach(OutletConfig{Width: 640, Height: 360})
	if _, begins, _ := heard.get(); len(begins) != 1 || len(begins[0].Sizes) != 1 || begins[0].Sizes[0].Width != 640 || begins[0].Epoch.IsZero() {
		t.Errorf("%+v", begins)
	}
	if v := h.state(r); v.State != "" || h.origin.Stream(h.key()) != nil {
		t.Errorf("it is on the air: %+v", v)
	}

	v := h.start(r) // of another size: another worker takes over
	p := play(t, v.URL)
	h.until("a playing player", func() bool { return p.pictures.Load() > 10 })
	n, begins, _ := heard.get()
	if len(begins) != 2 || begins[1].Sizes[0].Width != 1280 {
		t.Errorf("%+v", begins)
	}
	h.until("pictures for the sink meanwhile", func() bool { m, _, _ := heard.get(); return m > n+10 })
	worker := h.stream(r.ID()).worker.Load()

	// Another one shares what there is.
	second, other := h.attach(OutletConfig{Width: 1920, Height: 1080})
	if _, begins, _ := other.get(); len(begins) != 1 || begins[0].Sizes[0].Width != 1280 {
		t.Errorf("%+v", begins)
	}
	second.Detach("enough")
	h.until("the end of the second", func() bool { _, _, ends := other.get(); return len(ends) == 1 && ends[0].Reason == "enough" })
	second.Detach("again")

	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	h.until("the end of the live stream", func() bool { return h.state(r).State == protocol.StateStopped })
	h.until("that nothing is left to stop", func() bool { // its files are put away after that was said
		var e *protocol.Error
		return errors.As(h.StopHLS(t.Context(), r, ""), &e) && e.Code == 404
	})
	n, _, _ = heard.get()
	h.until("more pictures", func() bool { m, _, _ := heard.get(); return m > n+10 })
	if h.stream(r.ID()).worker.Load() != worker {
		t.Error("it is another worker")
	}
	heard.mu.Lock()
	if heard.back != 0 {
		t.Errorf("%d pictures went back in time", heard.back)
	}
	heard.mu.Unlock()

	first.Detach(store.StoppedByRequest)
	h.until("the end of all", func() bool { return h.Stats().Streams == 0 })
	if _, _, ends := heard.get(); len(ends) != 1 || ends[0].Reason != store.StoppedByRequest {
		t.Errorf("%+v", ends)
	}
	// The next one begins anew at once.
	third, _ := h.attach(OutletConfig{})
	third.Detach("")
	fourth, _ := h.attach(OutletConfig{})
	fourth.Detach("")
}

// Who has an outlet hears of every end.
func TestOutletEnds(t *testing.T) {
	t.Parallel()
	ends := func(h *house, l *listener, want Ended) {
		t.Helper()
		h.until("the end", func() bool { _, _, ends := l.get(); return len(ends) == 1 })
		if _, _, ends := l.get(); ends[0].Reason != want.Reason || want.Failure != "" && ends[0].Failure == "" {
			t.Errorf("%+v, want %+v", ends[0], want)
		}
		h.until("the end of the stream", func() bool { return h.Stats().Streams == 0 })
	}
	for _, tt := range []struct {
		name string
		cfg  OutletConfig
		end  func(*house)
		want Ended
	}{
		{"nobody on stage", OutletConfig{AutoStop: 2 * time.Second}, nil, Ended{Reason: store.StoppedLastPeer}},
		{"long enough", OutletConfig{MaxDuration: 2 * time.Second}, nil, Ended{Reason: store.StoppedMaxDuration}},
		{"the rooms close", OutletConfig{}, func(h *house) { h.rooms.Close() }, Ended{Reason: store.StoppedRoomEnded}},
		{"the worker cannot go on", OutletConfig{}, func(h *house) { h.stream(h.seed.Room.ID).stop(Ended{Failure: "gone"}) }, Ended{Failure: "gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, actor(t, "play"), Config{}, func(*policy.Template) {})
			_, l := h.attach(tt.cfg)
			if tt.end != nil {
				tt.end(h)
			}
			ends(h, l, tt.want)
		})
	}
	t.Run("no worker", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, "/nowhere/"+mediaworker.Name, Config{}, nil)
		l := &listener{}
		if _, err := h.Attach(t.Context(), h.open(), OutletConfig{Sink: l}); err != nil {
			t.Fatal(err)
		}
		ends(h, l, Ended{Failure: "no such file"})
	})
}

func (h *house) key() hls.Key { return hls.Key{Customer: h.seed.Workspace.ID, Room: h.seed.Room.ID} }
