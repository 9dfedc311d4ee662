package live

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"amphi/server/egress"
	"amphi/server/policy"
	"amphi/server/protocol"
)

// ear hears whether there is sound: units of silence take a few bytes.
type ear struct{ mean atomic.Int64 }

func (e *ear) Begin(Format)                           {}
func (e *ear) Video(int, time.Duration, bool, []byte) {}
func (e *ear) Audio(_ time.Duration, au []byte) {
	e.mean.Store((e.mean.Load()*7 + int64(len(au))*8) / 8)
}
func (e *ear) End(Ended)  {}
func (e *ear) loud() bool { return e.mean.Load() > 8*40 }

// A playlist is heard in the stream, also by the next worker, can be paused and skipped, and leaves out what cannot be had.
func TestPlaylist(t *testing.T) {
	t.Parallel()
	mp3, err := ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000,volume=4", "-t", "40", "-ac", "2", "-b:a", "64k", "-f", "mp3", "-")
	if err != nil {
		t.Skip("no MP3: ", err)
	}
	if rest := policy.MP3From(mp3, 10*time.Second); len(rest) == 0 || len(rest) > len(mp3)*3/4+1000 {
		t.Errorf("from 10 s on there are %d of %d bytes", len(rest), len(mp3))
	}
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/tone.mp3":
			_, _ = w.Write(mp3)
		case "/moved.mp3":
			http.Redirect(w, r, "/tone.mp3", http.StatusFound)
		case "/page.mp3":
			_, _ = w.Write([]byte("<html>"))
		case "/endless.mp3":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer files.Close()
	h := newHouse(t, realWorker(t), Config{Sounds: egress.Rule{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.Layers = []policy.HLSLayer{{Width: 320, Height: 180, VideoBitrate: 300}}
		}
	})
	r := h.open()
	start := func(names ...string) (Playlist, error) {
		p := PlaylistSetup{Volume: 100}
		for _, n := range names {
			p.Items = append(p.Items, Tune{Name: n, URL: files.URL + "/" + n})
		}
		return h.StartPlaylist(t.Context(), r.ID(), p)
	}
	refused := func(code int, err error) {
		t.Helper()
		var e *protocol.Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%v, want code %d", err, code)
		}
	}
	_, err = start("tone.mp3")
	refused(protocol.CodeNotFound, err)
	h.start(r)
	_, err = h.Playlist(r.ID())
	refused(protocol.CodeNotFound, err)
	for _, name := range []string{"none.mp3", "page.mp3", "endless.mp3"} {
		_, err = start(name)
		refused(protocol.CodeBadRequest, err)
	}
	if _, err := tuneClient(egress.Rule{}).Get(files.URL); err == nil {
		t.Error("a private address is reached")
	}
	sound := &ear{}
	out, err := h.Attach(t.Context(), r, OutletConfig{Sink: sound})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Detach("")
	loud := sound.loud

	if p, err := start("moved.mp3", "none.mp3", "tone.mp3"); err != nil || p.State != PlaylistPlaying || p.Length < 39*time.Second {
		t.Fatalf("%+v, %v", p, err)
	}
	h.until("the tune", loud)
	first := h.stream(r.ID()).worker.Load()
	first.Kill()
	h.until("another worker", func() bool { w := h.stream(r.ID()).worker.Load(); return w != nil && w != first })
	h.until("the tune from another worker", loud)

	if p, err := h.ControlPlaylist(r.ID(), PlaylistPause, 0); err != nil || p.State != PlaylistPaused {
		t.Errorf("%+v, %v", p, err)
	}
	h.until("the pause", func() bool { return !loud() })
	if p, err := h.ControlPlaylist(r.ID(), PlaylistResume, 30); err != nil || p.State != PlaylistPlaying || p.Volume != 30 {
		t.Errorf("%+v, %v", p, err)
	}
	h.until("the tune again", loud)
	if _, err := h.ControlPlaylist(r.ID(), PlaylistSkip, 0); err != nil {
		t.Error(err)
	}
	h.until("the third tune", func() bool { p, _ := h.Playlist(r.ID()); return p.Index == 2 && p.Error != "" })
	if _, err := h.ControlPlaylist(r.ID(), PlaylistSkip, 0); err != nil {
		t.Error(err)
	}
	h.until("the end", func() bool { p, _ := h.Playlist(r.ID()); return p.State == PlaylistEnded })
	h.until("silence", func() bool { return !loud() })
	if err := h.StopHLS(context.Background(), r, ""); err != nil {
		t.Error(err)
	}
}
