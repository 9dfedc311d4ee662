package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"

	"amphi/server/hls"
	"amphi/server/storage"
	"amphi/server/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORDING_TEST_CHILD"); dir != "" {
		recordUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// clip is two seconds of the test picture with a tone: 30 fps, a key picture a second.
type clip struct {
	video [][]byte // access units in Annex-B form
	audio [][]byte // AAC-LC, 48 kHz stereo
}

func newClip(size string) (c clip, err error) {
	run := func(args ...string) (out []byte) {
		if err == nil {
			out, err = exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...).Output()
		}
		return out
	}
	h264 := run("-f", "lavfi", "-i", "testsrc2=rate=30:size="+size, "-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-pix_fmt", "yuv420p", "-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-")
	adts := run("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "2", "-ac", "2", "-c:a", "aac", "-b:a", "64k", "-f", "adts", "-")
	if err != nil {
		return c, fmt.Errorf("clip (the tests need ffmpeg): %w", err)
	}
	aud := []byte{0, 0, 0, 1, 9}
	for _, au := range bytes.Split(h264, aud)[1:] {
		c.video = append(c.video, append(bytes.Clone(aud), au...))
	}
	var packets mpeg4audio.ADTSPackets
	err = packets.Unmarshal(adts)
	for _, p := range packets {
		c.audio = append(c.audio, p.AU)
	}
	return c, err
}

var clips = sync.OnceValues(func() (both [2]clip, err error) {
	for i, size := range []string{"640x360", "320x180"} {
		if both[i], err = newClip(size); err != nil {
			break
		}
	}
	return both, err
})

// encoder makes a stream of some clips, and gives what it keeps to a tape.
type encoder struct {
	*hls.Stream
	clips []clip
	next  int // the picture that comes next
	units int // of sound
}

func newEncoder(clips []clip, start time.Time, tape *Tape) (*encoder, error) {
	c := hls.Config{Start: start, FrameRate: 30, SampleRate: 48000, Channels: 2, Keep: tape.Segment, Log: slog.New(slog.DiscardHandler)}
	for i := range clips {
		c.Renditions = append(c.Renditions, hls.Rendition{Name: strconv.Itoa(i), Bitrate: 1000})
	}
	s, err := hls.NewStream(c)
	return &encoder{Stream: s, clips: clips}, err
}

// encode goes on for some seconds, as quickly as it can.
func (e *encoder) encode(seconds int) error {
	for end := e.next + 30*seconds; e.next < end; e.next++ {
		at := time.Duration(e.next) * time.Second / 30
		for ; time.Duration(e.units)*1024*time.Second/48000 < at+time.Second/30; e.units++ {
			if err := e.WriteAudio(time.Duration(e.units)*1024*time.Second/48000, e.clips[0].audio[e.units%len(e.clips[0].audio)]); err != nil {
				return err
			}
		}
		for r, c := range e.clips {
			n := e.next % len(c.video)
			if err := e.WriteVideo(r, at, n%30 == 0, c.video[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// studio is a manager with a store of its own, and a stream in it that is being recorded.
type studio struct {
	*Manager
	t      *testing.T
	store  *store.Store
	seed   store.Seeded
	dir    string
	stream store.LiveStream
	clips  [2]clip
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	s := &studio{t: t, dir: t.TempDir()}
	var err error
	if s.clips, err = clips(); err != nil {
		t.Fatal(err)
	}
	if s.store, err = store.Open(t.Context(), filepath.Join(s.dir, "amphi.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	n := 0
	if s.seed, err = s.store.Seed(t.Context(), func() string { n++; return fmt.Sprint("code-", n) }); err != nil {
		t.Fatal(err)
	}
	if err := s.store.SetWebhook(t.Context(), s.seed.Workspace.ID, store.Webhook{URL: "http://127.0.0.1/hook"}); err != nil {
		t.Fatal(err)
	}
	if _, err = s.store.OpenSession(t.Context(), "S", s.seed.Room.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.stream, err = s.store.StartLiveStream(t.Context(), store.LiveStream{RoomID: s.seed.Room.ID, SessionID: "S"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open starts the manager. Run runs until the test's end, or until stop.
func (s *studio) open(change func(*Config)) {
	s.t.Helper()
	var local *storage.Directory
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { local.ServeHTTP(w, r) }))
	s.t.Cleanup(web.Close)
	local, err := storage.OpenDirectory(filepath.Join(s.dir, "assets"), web.URL, []byte("secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { local.Close() })
	log := slog.New(slog.NewTextHandler(s.t.Output(), nil))
	c := Config{Dir: filepath.Join(s.dir, "recording"), Storage: &storage.Storage{Local: local, Log: log}, Store: s.store, Log: log}
	if change != nil {
		change(&c)
	}
	if s.Manager, err = New(c); err != nil {
		s.t.Fatal(err)
	}
	s.finished = make(chan string, 10)
}

// run runs the manager until so many recordings are done.
func (s *studio) run(recordings int) {
	s.t.Helper()
	done := make(chan error)
	ctx, cancel := newContext(s.t)
	go func() { done <- s.Run(ctx) }()
	for range recordings {
		select {
		case <-s.finished:
		case <-time.After(time.Minute):
			s.t.Error("the recording is not done")
		}
	}
	cancel()
	if err := <-done; err != nil {
		s.t.Error(err)
	}
}

func (s *studio) spec() Spec {
	return Spec{ID: s.stream.ID, Customer: s.seed.Workspace.ID, Room: s.seed.Room.ID, Session: "S", Began: time.Now(), VOD: true, Files: true, FrameRate: 30,
		Layers: []Layer{{Rendition: 0, Bitrate: 800_000}, {Rendition: 1, Bitrate: 300_000}}}
}

// begin begins the recording of a stream.
func (s *studio) begin(spec Spec) (*Tape, *encoder) {
	s.t.Helper()
	tape, err := s.Begin(spec)
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := newEncoder(s.clips[:], time.Now(), tape)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(e.Close)
	return tape, e
}

// fill records until the recording fails, and says why; nil after 100 s of stream.
func (s *studio) fill() (*Tape, *encoder, error) {
	s.t.Helper()
	spec := s.spec()
	failed := make(chan error, 1)
	spec.Failed = func(err error) { failed <- err }
	tape, e := s.begin(spec)
	for range 100 {
		s.must(e.encode(1))
		select {
		case err := <-failed:
			return tape, e, err
		case <-time.After(10 * time.Millisecond):
		}
	}
	return tape, e, nil
}

func (s *studio) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// assets are those of the stream, by the ends of their paths.
func (s *studio) assets() map[string]store.Asset {
	s.t.Helper()
	all, err := s.store.AssetsOf(s.t.Context(), s.stream.ID)
	s.must(err)
	by := make(map[string]store.Asset)
	for _, a := range all[s.stream.ID] {
		kind := filepath.Ext(a.Path)
		if layer, ok := a.Metadata["layer"].(string); ok {
			kind = layer + kind
		}
		by[kind] = a
	}
	return by
}

// fetch gets a file by an address for it.
func (s *studio) fetch(a store.Asset) string {
	s.t.Helper()
	url, err := s.cfg.Storage.URL(s.t.Context(), a.Path, time.Minute)
	s.must(err)
	res, err := http.Get(url)
	s.must(err)
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	name := filepath.Join(s.t.TempDir(), filepath.Base(a.Path))
	f, err := os.Create(name)
	s.must(err)
	defer f.Close()
	if n, err := io.Copy(f, res.Body); err != nil || n != a.Size || res.StatusCode != http.StatusOK {
		s.t.Errorf("%s: %d, %d of %d bytes, %v", url, res.StatusCode, n, a.Size, err)
	}
	return name
}

// events are the payloads of the webhooks of a type.
func (s *studio) events(kind string) (all []string) {
	s.t.Helper()
	for {
		next, err := s.store.NextEvents(s.t.Context(), s.seed.Room.ID, 1)
		s.must(err)
		if len(next) == 0 {
			return all
		}
		if next[0].Type == kind {
			all = append(all, string(next[0].Payload))
		}
		s.must(s.store.Settle(s.t.Context(), store.Outcome{Seq: next[0].Seq, Now: store.Delivered, At: time.Now()}))
	}
}

// clean checks that of the recordings nothing is left but their files.
func (s *studio) clean() {
	s.t.Helper()
	left, err := os.ReadDir(s.cfg.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		s.t.Errorf("left %v %v", left, err)
	}
}

// tool runs a program of ffmpeg's that must have nothing to complain about.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, append([]string{"-v", "error"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%v: %v\n%s", cmd.Args, err, errs.Bytes())
	}
	return strings.TrimSpace(out.String())
}

// pictures counts those of a stream of a file or an address, and decodes all.
func pictures(t *testing.T, source, stream string) int {
	t.Helper()
	out := tool(t, "ffprobe", "-count_frames", "-select_streams", stream, "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", source)
	n, err := strconv.Atoi(strings.Fields(strings.ReplaceAll(out, ",", " "))[0])
	if err != nil {
		t.Errorf("%q: %v", out, err)
	}
	return n
}
