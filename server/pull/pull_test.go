package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/egress"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf keeps no records. There is no room "none".
type shelf struct{ room.Records }

func (shelf) LoadRoom(_ context.Context, id string) (room.Record, error) {
	if id == "none" {
		return room.Record{}, room.ErrNotFound
	}
	return room.Record{RoomID: id, Template: policy.StarterKit(), Enabled: true}, nil
}

func (shelf) SessionOpened(context.Context, room.Session) error              { return nil }
func (shelf) SessionClosed(context.Context, room.Session, time.Time) error   { return nil }
func (shelf) SaveState(context.Context, room.Session, []byte) error          { return nil }
func (shelf) LinkedPolls(context.Context, string) ([]room.LinkedPoll, error) { return nil, nil }

func newPulls(t *testing.T, allow ...netip.Prefix) *Pulls {
	t.Helper()
	m, err := sfu.New(sfu.Config{Loopback: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.NewRegistry(room.Config{SFU: m, Records: shelf{}, Streamer: func() room.Streamer { return nil },
		NewID: func() string { return "s1" }, NodeID: "node-1", Log: slog.New(slog.DiscardHandler)})
	p := &Pulls{Rooms: rooms, Media: m.Addresses, Allow: egress.Rule{Allow: allow, Setting: "pull.allow_networks"}, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		p.Close()
		rooms.Close()
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func wantCode(t *testing.T, err error, code int, text string) {
	t.Helper()
	var no *protocol.Error
	if !errors.As(err, &no) || no.Code != code || !strings.Contains(no.Message, text) {
		t.Errorf("%v, want %d with %q", err, code, text)
	}
}

// Who names a source reaches public addresses only, by number and by name; and the limits hold.
func TestRefusals(t *testing.T) {
	p := newPulls(t)
	start := func(room, url string) (Source, error) {
		return p.Start(t.Context(), Setup{WorkspaceID: "w", RoomID: room, URL: url})
	}
	_, err := start("a", "rtsp://192.168.1.9/x")
	wantCode(t, err, 400, "list its network in pull.allow_networks")
	_, err = start("a", "https://[::1]:8080/live.m3u8")
	wantCode(t, err, 400, "not a public address")
	_, err = start("none", "rtsp://camera.example/x")
	wantCode(t, err, 400, "no such room")

	reached := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer reached.Close()
	_, port, _ := net.SplitHostPort(reached.Listener.Addr().String())
	for _, scheme := range []string{"http", "rtsp"} {
		s, err := start("a", scheme+"://somebody:s3cret-word@localhost:"+port+"/s3cret-path/x.m3u8?k=s3cret-key")
		if err != nil || s.Status != Starting || s.Name != "localhost" {
			t.Fatalf("%+v %v", s, err)
		}
		until(t, "why it does not come", func() bool {
			s, _ = p.Source(s.ID)
			return s.Problem != ""
		})
		if !strings.Contains(s.Problem, "is not a public address") || strings.Contains(fmt.Sprint(s), "s3cret") || s.URL != scheme+"://localhost:"+port+"/…" {
			t.Errorf("%+v", s)
		}
	}

	for range maxInRoom - 2 {
		if _, err := start("a", "rtsp://localhost:"+port); err != nil {
			t.Fatal(err)
		}
	}
	_, err = start("a", "rtsp://localhost:"+port)
	wantCode(t, err, 429, "4 sources already")
	list := p.Sources("w", "a")
	if len(list) != maxInRoom || len(p.Sources("w", "")) != maxInRoom || len(p.Sources("other", "a")) != 0 || list[0].CreatedAt.Before(list[3].CreatedAt) {
		t.Errorf("%+v", list)
	}
	if s, ok := p.Stop(list[0].ID); !ok || s.Status != Stopped || s.StoppedAt.IsZero() {
		t.Errorf("%+v", s)
	}
	if _, ok := p.Stop("nobody"); ok {
		t.Error("somebody who is not there was stopped")
	}
	if _, err := start("a", "rtsp://localhost:"+port); err != nil {
		t.Errorf("there is a place again: %v", err)
	}
	if st := p.Stats(); st.Sources != maxInRoom || st.Started != maxInRoom+1 || st.Lost < 2 {
		t.Errorf("%+v", st)
	}
	p.Close()
	_, err = start("b", "rtsp://localhost:"+port)
	wantCode(t, err, 503, "shutting down")
}

// What cannot be shown is not tried again; what answers with nonsense is, with a reason that can be read.
func TestStreamsThatCannotBeTaken(t *testing.T) {
	p := newPulls(t, netip.MustParsePrefix("127.0.0.0/8"))
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop.m3u8":
			http.Redirect(w, r, "/loop.m3u8", http.StatusFound)
		case "/text.m3u8":
			fmt.Fprint(w, "hello, world")
		default:
			http.NotFound(w, r)
		}
	}))
	defer served.Close()
	for path, want := range map[string]string{"/loop.m3u8": "too many redirects", "/text.m3u8": "EOF", "/none.m3u8": "404"} {
		s, err := p.Start(t.Context(), Setup{RoomID: "a", URL: served.URL + path})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "why it does not come", func() bool {
			s, _ = p.Source(s.ID)
			return s.Problem != ""
		})
		if s.Status != Starting || !strings.Contains(s.Problem, want) {
			t.Errorf("%s: %+v, want %q", path, s, want)
		}
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for zeros := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	resp, err := (&http.Client{Transport: bounded{http.DefaultTransport}}).Get(endless.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, errTooLarge) || n > fileLimit {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// FuzzParseURL: what is accepted has a host, and shows nothing else of itself.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"rtsp://user:password@camera.example:554/stream?token=1", "https://tv.example/live.m3u8", "file:///etc/passwd", "rtsps://[::1%25eth0]/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		if shown := redacted(u); u.Host == "" || strings.Contains(shown, "@") && !strings.Contains(u.Host, "@") || u.RawQuery != "" && len(u.RawQuery) > 3 && strings.Contains(shown, "?"+u.RawQuery) {
			t.Errorf("%q is shown as %q", text, shown)
		}
	})
}
