package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/pagecast"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// filmed is a studio whose films show the clip of the tests, and whose pages join the room if they should.
type filmed struct {
	t     *testing.T
	room  *room.Room
	joins bool

	mu     sync.Mutex
	films  []pagecast.Page
	breaks context.CancelCauseFunc // ends the film that runs
}

func (f *filmed) Film(ctx context.Context, p pagecast.Page, sink pagecast.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.mu.Lock()
	f.films, f.breaks = append(f.films, p), cancel
	number := len(f.films)
	f.mu.Unlock()
	if f.joins {
		peer, err := f.room.Connect(ctx, room.Identity{PeerID: fmt.Sprint("page-", number), Role: policy.RoleViewerRealtime, Page: p.Token}, mailbox{})
		if err == nil {
			_, err = peer.Join(ctx, protocol.Join{Name: "Beam"})
		}
		if err != nil {
			return err
		}
		defer peer.Drop(room.LeftByRequest)
	}
	for i := 0; ctx.Err() == nil; i++ {
		sink.Picture(time.Now(), i%30 == 0, []byte{0, 0, 0, 1, 0x65, byte(i)})
		sink.Sound(time.Now(), []byte{0xf8, byte(i)})
		time.Sleep(time.Second / 30)
	}
	return context.Cause(ctx)
}

func (f *filmed) last() (n int, p pagecast.Page) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n = len(f.films); n > 0 {
		p = f.films[n-1]
	}
	return n, p
}

const customPage = "https://page.example/show"

// A page is on the air when it has joined the room, comes back when its film breaks, and ends with the stream.
func TestPage(t *testing.T) {
	t.Parallel()
	studio := &filmed{t: t, joins: true}
	h := newHouse(t, actor(t, "play"), Config{Studio: studio}, nil)
	r := h.open()
	studio.room = r
	if _, err := h.Start(t.Context(), r, Options{MeetingURL: customPage}); err != nil {
		t.Fatal(err)
	}
	h.until("the page on the air", func() bool { return h.state(r).State == protocol.StateStarted })
	n, p := studio.last()
	if n != 1 || p.URL != customPage || p.Width != 1280 || p.Height != 720 || p.FPS != 30 || p.Token == "" {
		t.Errorf("%d films: %+v", n, p)
	}
	s := h.stream(r.ID())
	h.until("frames of the page", func() bool { c := heard(s); return c["Frame"] > 20 && c["AddInput"] == 2 && c["Scene"] > 0 })

	// What is recorded beside it shows the same, and no other page.
	l := &listener{}
	o, err := h.Attach(t.Context(), r, OutletConfig{Sink: l, MeetingURL: customPage})
	if err != nil {
		t.Fatal(err)
	}
	o.Detach(store.StoppedByRequest)
	_, err = h.Attach(t.Context(), r, OutletConfig{Sink: l, MeetingURL: customPage + "/2"})
	wantCode(t, err, 409)

	studio.mu.Lock()
	studio.breaks(errors.New("the browser crashed"))
	studio.mu.Unlock()
	h.until("another film", func() bool { n, q := studio.last(); return n == 2 && q.Token != p.Token })
	before := heard(s)["Frame"]
	h.until("its frames", func() bool { return heard(s)["Frame"] > before+20 })
	if v := h.state(r); v.State != protocol.StateStarted || h.Stats().Restarts != 0 {
		t.Errorf("%+v, %d restarts", v, h.Stats().Restarts)
	}
	if err := h.StopHLS(t.Context(), r, ""); err != nil {
		t.Fatal(err)
	}
	h.until("the end", func() bool { return h.latest().Status == store.StatusCompleted })
}

// A page that joins no room is tried three times.
func TestPageFails(t *testing.T) {
	t.Parallel()
	studio := &filmed{t: t}
	h := newHouse(t, actor(t, "play"), Config{Studio: studio, JoinWithin: 100 * time.Millisecond}, nil)
	r := h.open()
	studio.room = r
	if _, err := h.Start(t.Context(), r, Options{MeetingURL: customPage}); err != nil {
		t.Fatal(err)
	}
	h.until("the failure", func() bool { return h.latest().Status == store.StatusFailed })
	if n, _ := studio.last(); n != pageTries {
		t.Errorf("%d tries", n)
	}
	e := h.events()["hls.failure"]
	if text := fmt.Sprint(e["error_message"]); e["error_type"] != "MAX_RETRIES_REACHED" || !strings.HasPrefix(text, "Beam couldn't connect to Meeting URL after 3 retries.") ||
		!strings.Contains(text, "did not join the room") {
		t.Errorf("event %v", e)
	}
	if v := h.state(r); v.State != protocol.StateFailed {
		t.Errorf("%+v", v)
	}
}

// Whom the page has brought does not keep it.
func TestPageIsLeft(t *testing.T) {
	t.Parallel()
	studio := &filmed{t: t, joins: true}
	h := newHouse(t, actor(t, "play"), Config{Studio: studio}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.AutoStopTimeout = 2
		}
	})
	r := h.open()
	studio.room = r
	if _, err := h.Start(t.Context(), r, Options{MeetingURL: customPage}); err != nil {
		t.Fatal(err)
	}
	h.until("the end", func() bool { return h.latest().Status == store.StatusCompleted })
	if e := h.events()["hls.stopped.success"]; e["reason"] != store.StoppedLastPeer {
		t.Errorf("event %v", e)
	}
}

func TestPageLimit(t *testing.T) {
	m := &Manager{cfg: Config{MaxPages: 1, Cores: 8}, streams: make(map[string]*stream)}
	streamOf := func(id string, p *page) *stream {
		s := &stream{page: p}
		s.info.RoomID = id
		return s
	}
	first := streamOf("a", &page{})
	if err := m.admit(first, 1); err != nil {
		t.Fatal(err)
	}
	m.streams["a"] = first
	second, third, plain := streamOf("b", &page{}), streamOf("c", &page{}), streamOf("d", nil)
	for _, s := range []*stream{second, third} {
		if err := m.admit(s, 1); err == nil || !strings.Contains(err.Error(), "opens 1 pages at a time") {
			t.Errorf("%v", err)
		}
	}
	if err := m.admit(plain, 1); err != nil { // those who wait for a page are not in its way
		t.Error(err)
	}
	delete(m.streams, "a")
	if err := m.admit(third, 1); err == nil {
		t.Error("a later room is first")
	}
	if err := m.admit(second, 1); err != nil {
		t.Error(err)
	}
}
