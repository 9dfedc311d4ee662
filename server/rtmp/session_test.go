package rtmp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amphi/compositor/label"
	"amphi/server/egress"
	"amphi/server/hls"
	"amphi/server/live"
	"amphi/server/logtest"
	"amphi/server/policy"
	"amphi/server/records"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

// studio is an Ingest with a room that has a key.
type studio struct {
	*Ingest
	t    *testing.T
	addr Address
	seed store.Seeded
	log  *logtest.Journal
}

// roomRecords is the store as rooms see it, with a template that a test changes.
type roomRecords struct {
	records.Records
	change func(*policy.Template)
}

func (r roomRecords) LoadRoom(ctx context.Context, id string) (room.Record, error) {
	v, err := r.Records.LoadRoom(ctx, id)
	if err == nil && r.change != nil {
		r.change(v.Template)
	}
	return v, err
}

func newStudio(t *testing.T, window time.Duration, change func(*policy.Template)) *studio {
	t.Helper()
	s := &studio{t: t, log: &logtest.Journal{}}
	quiet := slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if s.seed, err = db.Seed(t.Context(), func() string { n++; return string(rune('a' + n)) }); err != nil {
		t.Fatal(err)
	}
	if err := db.SetWebhook(t.Context(), s.seed.Workspace.ID, store.Webhook{URL: "http://127.0.0.1/hook"}); err != nil {
		t.Fatal(err)
	}
	key, err := db.NewStreamKey(t.Context(), s.seed.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	media, err := sfu.New(sfu.Config{Loopback: true, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var lives *live.Manager
	rooms := room.NewRegistry(room.Config{SFU: media, Records: roomRecords{records.Records{DB: db}, change}, NewID: store.NewID, NodeID: "node-1",
		Streamer: func() room.Streamer { return lives }, Log: quiet})
	lives = live.New(live.Config{Rooms: rooms, Store: db, Origin: &hls.Origin{}, PublicURL: "http://localhost", Worker: "/nowhere", Dir: t.TempDir(),
		Labels: label.New(label.Config{BuiltinOnly: true, Log: quiet}), Log: quiet})
	s.Ingest = &Ingest{Rooms: rooms, Store: db, Media: media.Addresses, Live: lives, Worker: "/nowhere", Window: window, Log: s.log.Log()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		s.Close()
		if err := lives.Close(context.Background()); err != nil {
			t.Error(err)
		}
		rooms.Close()
		for _, err := range []error{<-served, media.Close(), db.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	if s.addr, err = ParseAddress("rtmp://" + l.Addr().String() + "/" + App + "/" + key.Key); err != nil {
		t.Fatal(err)
	}
	return s
}

// publish connects and sends a picture.
func (s *studio) publish() (*client, error) {
	c, err := dial(s.t.Context(), s.addr, egress.Rule{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, nil)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.conn.Close() })
	for _, m := range clipMessages(s.t, 3, 0) {
		if err := c.out.Write(m); err != nil {
			s.t.Fatal(err)
		}
	}
	return c, nil
}

// refused publishes in vain, and returns what the encoder is told.
func (s *studio) refused() string {
	s.t.Helper()
	c, err := s.publish()
	if err == nil {
		err = c.listen(s.addr)
	}
	if err == nil {
		s.t.Error("it is not refused")
		return ""
	}
	return err.Error()
}

// events takes the events of encoders out of the outbox: what they are, and why.
func (s *studio) events() (list []string) {
	s.t.Helper()
	for {
		next, err := s.Store.NextEvents(s.t.Context(), s.seed.Room.ID, 1)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(next) == 0 {
			return list
		}
		var body struct {
			Data struct {
				Reason string `json:"reason"`
				Error  string `json:"error_message"`
			}
		}
		if err := json.Unmarshal(next[0].Payload, &body); err != nil {
			s.t.Fatal(err)
		}
		if strings.HasPrefix(next[0].Type, "ingest.") {
			list = append(list, strings.TrimSpace(next[0].Type+" "+body.Data.Reason+body.Data.Error))
		}
		if err := s.Store.Settle(s.t.Context(), store.Outcome{Seq: next[0].Seq, Now: store.Delivered, At: time.Now()}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *studio) wantEvents(want ...string) {
	s.t.Helper()
	var got []string
	until(s.t, strings.Join(want, ", "), func() bool {
		got = append(got, s.events()...)
		return len(got) >= len(want)
	})
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		s.t.Errorf("%q, want %q", got, want)
	}
}

// An encoder that loses its connection has its place until the window is over: whoever has the key goes on there. One
// that says goodbye leaves at once.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := newStudio(t, 2*time.Second, nil)
	first, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	s.wantEvents("ingest.start.success")
	if why := s.refused(); !strings.Contains(why, "already connected") {
		t.Errorf("a second encoder hears %q", why)
	}
	s.wantEvents("ingest.start.failure already connected")
	first.conn.Close()
	until(t, "it is missed", func() bool { return strings.Contains(s.log.String(), "it may return") })
	second, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	until(t, "it is back", func() bool { return s.Stats().Resumed == 1 && s.Stats().Pictures >= 6 })
	second.bye(s.addr.key)
	s.wantEvents("ingest.end.success stream closed")

	third, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	s.wantEvents("ingest.start.success")
	time.Sleep(staleLimit + 200*time.Millisecond)
	if _, err := s.publish(); err != nil { // the network of the third is dead
		t.Fatal(err)
	}
	until(t, "its place is taken over", func() bool { return s.Stats().Resumed == 2 })
	if err := third.listen(s.addr); err == nil {
		t.Error("the dead connection lives")
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wantEvents("ingest.end.success reconnection window expired")
	if st := s.Stats(); st.Encoders != 0 || st.Accepted != 2 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
}

// Somebody who is taken off the stage loses the connection too, and the window.
func TestRemoved(t *testing.T) {
	t.Parallel()
	s := newStudio(t, time.Hour, nil)
	remove := func() {
		t.Helper()
		if err := s.Rooms.Lookup(s.seed.Room.ID).Remove(t.Context(), "", policy.RoleBroadcaster, "enough"); err != nil {
			t.Fatal(err)
		}
		s.wantEvents("ingest.end.success stream closed")
		until(t, "there is a place", func() bool { return s.Stats().Encoders == 0 })
	}
	c, err := s.publish()
	if err != nil {
		t.Fatal(err)
	}
	s.wantEvents("ingest.start.success")
	remove()
	if err := c.listen(s.addr); err == nil {
		t.Error("the connection lives")
	}
	if c, err = s.publish(); err != nil {
		t.Fatal(err)
	}
	s.wantEvents("ingest.start.success")
	c.conn.Close()
	until(t, "it is missed", func() bool { return strings.Contains(s.log.String(), "it may return") })
	remove()
}

// A room that cannot go live refuses encoders, with the reason that webhooks name.
func TestRoomsThatDoNotGoLive(t *testing.T) {
	t.Parallel()
	s := newStudio(t, time.Second, func(t *policy.Template) { t.Destinations.HLS = nil })
	if why := s.refused(); !strings.Contains(why, "no hls destinations") {
		t.Errorf("an encoder hears %q", why)
	}
	s.wantEvents("ingest.start.failure no hls destinations")

	s = newStudio(t, time.Second, nil)
	if err := s.Live.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if why := s.refused(); !strings.Contains(why, "beam start error: 503: the server is shutting down") {
		t.Errorf("an encoder hears %q", why)
	}
	s.wantEvents("ingest.start.failure beam start error")
}
