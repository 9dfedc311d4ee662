package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

func TestLifeOfAStream(t *testing.T) {
	t.Parallel()
	own := func(_ context.Context, _ string, u *url.URL) (string, error) {
		return map[bool]string{true: u.String()}[u.Host == "app.example"], nil
	}
	h := newHouse(t, actor(t, "play"), Config{MaxStreams: 1, OwnLink: own}, nil)
	r := h.open()
	wantCode(t, h.StopHLS(t.Context(), r, ""), 404)
	rec, err := h.Start(t.Context(), r, Options{MeetingURL: "https://app.example/x", StartedBy: "peer-1"})
	if err != nil {
		t.Fatal(err)
	}
	playlist := h.web.URL + "/beam/" + h.seed.Workspace.ID + "/" + r.ID() + "/master.m3u8"
	if rec.Status != store.StatusStarting || rec.PlaybackURL != playlist || rec.Width != 1280 || rec.StartedBy != "peer-1" {
		t.Errorf("%+v", rec)
	}
	if v := h.state(r); v.State != protocol.StateInitialised || v.URL != "" || v.MeetingURL != "https://app.example/x" {
		t.Errorf("%+v", v)
	}
	_, err = h.Start(t.Context(), r, Options{})
	wantCode(t, err, 409)

	h.until("started", func() bool { return h.state(r).State == protocol.StateStarted })
	if v := h.state(r); v.URL != playlist || v.StartedAt < v.InitialisedAt {
		t.Errorf("%+v", v)
	}
	if code := h.get(playlist); code != http.StatusOK {
		t.Errorf("playlist: %d", code)
	}
	if l := h.latest(); l.Status != store.StatusRunning || l.ID != rec.ID {
		t.Errorf("%+v", l)
	}
	if e := h.events()["hls.started.success"]; e["url"] != playlist || e["room_id"] != r.ID() || e["max_height"] != 720.0 {
		t.Errorf("event %v", e)
	}
	h.until("counters", func() bool { st := h.Stats(); return st.WorkerMemory > 0 && st.AudioOut > 40 })
	if st := h.Stats(); st.Streams != 1 || st.Workers != 1 || st.Started != 1 || st.Restarts != 0 || st.VideoOut < 30 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}

	if err := h.StopHLS(t.Context(), r, "peer-2"); err != nil {
		t.Fatal(err)
	}
	if l := h.latest(); l.StoppedBy != "peer-2" || l.Status != store.StatusStopping && l.Status != store.StatusCompleted {
		t.Errorf("%+v", l)
	}
	h.until("stopped", func() bool { return h.state(r).State == protocol.StateStopped })
	if l := h.latest(); l.Status != store.StatusCompleted || l.Reason != store.StoppedByRequest {
		t.Errorf("%+v", l)
	}
	if e := h.events()["hls.stopped.success"]; e["reason"] != store.StoppedByRequest || e["url"] != playlist {
		t.Errorf("event %v", e)
	}
	if code := h.get(playlist); code != http.StatusOK { // players come to the end first
		t.Errorf("playlist after the end: %d", code)
	}
	h.until("the place is free", func() bool { return h.Stats().Streams == 0 })
	if st := h.Stats(); st.WorkerCPU == 0 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
	h.start(r) // at the same address
	if code := h.get(playlist); code != http.StatusOK {
		t.Errorf("playlist of the next stream: %d", code)
	}
}

// player plays a stream and tells what it got.
type player struct {
	pictures, sounds atomic.Int64
	date             atomic.Pointer[time.Time] // PROGRAM-DATE-TIME of the last picture
}

func play(t *testing.T, url string) *player {
	t.Helper()
	p := &player{}
	transport := &http.Transport{}
	quiet := func(string) {}
	c := &gohlslib.Client{
		URI: url, HTTPClient: &http.Client{Transport: transport},
		OnDownloadPrimaryPlaylist: quiet, OnDownloadStreamPlaylist: quiet, OnDownloadSegment: quiet, OnDownloadPart: quiet,
		OnDecodeError: func(err error) { t.Errorf("player: %v", err) },
	}
	c.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			switch track.Codec.(type) {
			case *codecs.H264:
				c.OnDataH26x(track, func(int64, int64, [][]byte) {
					if at, ok := c.AbsoluteTime(track); ok {
						p.date.Store(&at)
					}
					p.pictures.Add(1)
				})
			case *codecs.MPEG4Audio:
				c.OnDataMPEG4Audio(track, func(int64, [][]byte) { p.sounds.Add(1) })
			default:
				return fmt.Errorf("unexpected %T", track.Codec)
			}
		}
		return nil
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.Logf("player: %v", c.Wait2())
	}()
	t.Cleanup(func() {
		c.Close()
		<-ended
		transport.CloseIdleConnections()
	})
	return p
}

// A worker that is killed is replaced, at the present time, and players go on.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{}, nil)
	r := h.open()
	v := h.start(r)
	p := play(t, v.URL)
	h.until("a playing player", func() bool { return p.pictures.Load() > 15 && p.sounds.Load() > 15 })

	first := h.stream(r.ID()).worker.Load()
	out := h.Stats().VideoOut
	if err := first.Signal(os.Kill); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	killed := time.Now()
	h.until("another worker's pictures", func() bool { return h.Stats().Restarts == 1 && h.Stats().VideoOut > out+10 })
	h.until("the player at a time after the end", func() bool { at := p.date.Load(); return at != nil && at.After(killed.Add(time.Second)) })
	if w := h.stream(r.ID()).worker.Load(); w == first {
		t.Error("it is the same worker")
	}
	if v := h.state(r); v.State != protocol.StateStarted {
		t.Errorf("%+v", v)
	}
	st := h.stream(r.ID()).broadcast.out.Stats()
	if st.Renewed != 0 {
		t.Errorf("%+v", st)
	}
	t.Logf("filled %d pictures, refused %d", st.Filled, st.Late)
}

// What is filled leaves the next worker its place, for a time.
func TestFillUntil(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	epoch := time.Unix(1_000_000, 0)
	for _, tt := range []struct{ now, resumeAt, want time.Duration }{
		{10_000 * ms, 0, 9_700 * ms},           // no worker yet
		{10_000 * ms, 9_900 * ms, 9_700 * ms},  // it has just been told
		{10_250 * ms, 9_900 * ms, 9_900 * ms},  // it lets wait
		{10_899 * ms, 9_900 * ms, 9_900 * ms},  // still
		{10_900 * ms, 9_900 * ms, 10_600 * ms}, // too long: it starts with a picture that is refused
		{10 * time.Hour, 9_900 * ms, 10*time.Hour - 300*ms},
	} {
		s := &stream{epoch: epoch, resumeAt: tt.resumeAt}
		if got := s.fillUntil(epoch.Add(tt.now)); got != tt.want {
			t.Errorf("at %v, to go on at %v: %v, want %v", tt.now, tt.resumeAt, got, tt.want)
		}
	}
}

// A worker that says nothing is killed and replaced, be it that it hangs or that it is stopped.
func TestWorkerHangs(t *testing.T) {
	t.Parallel()
	t.Run("hangs", func(t *testing.T) { t.Parallel(); silent(t, "hang", nil) })
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		silent(t, "play", func(w *worker) error { return w.Signal(syscall.SIGSTOP) })
	})
}

func silent(t *testing.T, part string, silence func(*worker) error) {
	h := newHouse(t, actor(t, part), Config{}, nil)
	r := h.open()
	p := play(t, h.start(r).URL)
	if silence != nil {
		h.until("a playing player", func() bool { return p.pictures.Load() > 15 })
		if err := silence(h.stream(r.ID()).worker.Load()); err != nil {
			t.Fatal(err)
		}
	}
	h.until("another worker", func() bool { return h.Stats().Restarts == 1 })
	n := p.pictures.Load()
	h.until("the player goes on", func() bool { return p.pictures.Load() > n+20 })
	if v := h.state(r); v.State != protocol.StateStarted {
		t.Errorf("%+v", v)
	}
}

func TestWorkersThatFail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, worker, message string
		restarts              uint64
	}{
		{"missing", "/nowhere/" + mediaworker.Name, "no such file", 0},
		{"exits", actor(t, "exit"), "ended 6 times", 5},
		{"babbles", actor(t, "babble"), "the last time with: wire: not an amphi media stream", 5},
		{"of another version", actor(t, "old"), "build both anew", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.worker, Config{}, nil)
			r := h.open()
			if err := h.StartHLS(t.Context(), r, protocol.HLSStart{}, ""); err != nil {
				t.Fatal(err)
			}
			h.until("the failure", func() bool { return h.state(r).State == protocol.StateFailed })
			st, err := r.HLS(t.Context())
			if err != nil || st.Error == nil || st.Error.Code != 500 || !strings.Contains(st.Error.Message, tt.message) {
				t.Errorf("%+v %v", st.Error, err)
			}
			if l := h.latest(); l.Status != store.StatusFailed || l.Reason != "failure: INTERNAL_ERROR" {
				t.Errorf("%+v", l)
			}
			if e := h.events()["hls.failure"]; !strings.Contains(fmt.Sprint(e["error_message"]), tt.message) {
				t.Errorf("event %v", e)
			}
			if st := h.Stats(); st.Failed != 1 || st.Restarts != tt.restarts {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, actor(t, "play"), Config{MaxStreams: 1}, nil)
	other, err := h.store.SaveRoom(t.Context(), h.seed.Workspace.ID, "other", func(*store.Room) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := h.StartHLS(t.Context(), h.open(), protocol.HLSStart{}, ""); err != nil {
		t.Fatal(err)
	}
	r, err := h.rooms.Open(t.Context(), other.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	wantCode(t, h.StartHLS(t.Context(), r, protocol.HLSStart{}, ""), 503)
	_, err = h.Start(t.Context(), r, Options{Destination: "elsewhere"})
	wantCode(t, err, 400)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.Manager.Close(ctx); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.StartHLS(t.Context(), r, protocol.HLSStart{}, ""), 503)
}

func TestEndings(t *testing.T) {
	t.Parallel()
	noTimes := func(t *policy.Template) {
		d := *t.Destinations.HLS["main"]
		d.AutoStopTimeout, d.MaxDuration = 0, 0
		t.Destinations.HLS = map[string]*policy.HLSDestination{"main": &d}
	}
	tests := []struct {
		name   string
		cfg    Config
		reason string
	}{
		{"nobody on stage", Config{AutoStop: 2 * time.Second}, store.StoppedLastPeer},
		{"long enough", Config{MaxDuration: 2 * time.Second}, store.StoppedMaxDuration},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, actor(t, "play"), tt.cfg, noTimes)
			r := h.open()
			if err := h.StartHLS(t.Context(), r, protocol.HLSStart{}, ""); err != nil {
				t.Fatal(err)
			}
			h.until("the end", func() bool { return h.state(r).State == protocol.StateStopped })
			l := h.latest()
			if l.StartedAt.IsZero() { // this machine took longer to start than it should last
				t.Skip("not on the air in time")
			}
			if l.Reason != tt.reason || l.Status != store.StatusCompleted {
				t.Errorf("%+v", l)
			}
		})
	}
	t.Run("too early", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, actor(t, "play"), Config{}, nil)
		r := h.open()
		if err := h.StartHLS(t.Context(), r, protocol.HLSStart{}, ""); err != nil {
			t.Fatal(err)
		}
		if err := h.StopHLS(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		h.until("the end", func() bool { return h.state(r).State == protocol.StateStopped })
		if e := h.events()["hls.failure"]; e["error_type"] != "BEAM_STOPPED" {
			t.Errorf("event %v", e)
		}
	})
	t.Run("rooms close", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, actor(t, "play"), Config{}, nil)
		h.start(h.open())
		h.rooms.Close()
		h.until("the end", func() bool { return h.Stats().Streams == 0 })
		if l := h.latest(); l.Reason != store.StoppedRoomEnded {
			t.Errorf("%+v", l)
		}
	})
	t.Run("deaf worker", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, actor(t, "deaf"), Config{}, nil)
		r := h.open()
		h.start(r)
		if err := h.StopHLS(t.Context(), r, ""); err != nil {
			t.Fatal(err)
		}
		h.until("the end", func() bool { return h.Stats().Streams == 0 })
		if n := h.Stats().Workers; n != 0 {
			t.Errorf("%d workers", n)
		}
	})
}
