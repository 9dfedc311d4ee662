package hls

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"amphi/server/storage"
)

// service is one with the API of S3, that can fail.
type service struct {
	*storage.Bucket
	failing atomic.Bool
	files   *s3mem.Backend
}

func newService(t *testing.T) *service {
	s := &service{files: s3mem.New()}
	if err := s.files.CreateBucket("films"); err != nil {
		t.Fatal(err)
	}
	api := gofakes3.New(s.files).Server()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if caching := r.Header.Get("Cache-Control"); r.Method == http.MethodPut && caching != cacheForever {
			t.Errorf("a CDN may keep %s %q", r.URL.Path, caching)
		}
		api.ServeHTTP(w, r)
	}))
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); web.Close() })
	var err error
	s.Bucket, err = storage.NewBucket(storage.BucketConfig{Endpoint: web.URL, Name: "films", Prefix: "amphi", Key: "k", Secret: "s",
		Client: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keys are those of all files that are there.
func (s *service) keys(t *testing.T) (all []string) {
	t.Helper()
	list, err := s.files.ListBucket("films", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list.Contents {
		all = append(all, file.Key)
	}
	return all
}

// onDisk are the files of segments that wait.
func onDisk(t *testing.T, s *Stream) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "*.m4s"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// Of an event whose segments go to a bucket nothing is lost when that fails for a while, nor when the server is killed then
// and started again. Nothing is left of it after its end.
func TestBucket(t *testing.T) {
	bucket := newService(t)
	key := Key{Customer: "c1", Room: "r1"}
	cfg := Config{
		Start: testStart, FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "180p"}}, Event: true,
		Dir: filepath.Join(t.TempDir(), "event"), Bucket: bucket, Prefix: key.Prefix(), Resume: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	s, err := NewStream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	small.write(t, s, 0, 20*time.Second)
	waitFor(t, "the bucket", func() bool { return s.Stats().Spooled == 0 && s.Stats().Stored == 20 })
	small.write(t, s, 20*time.Second, 40*time.Second)
	waitFor(t, "the bucket", func() bool { return s.Stats().Spooled == 0 && s.Stats().Stored == 40 })
	if n := onDisk(t, s); n != 0 {
		t.Errorf("%d files on disk", n)
	}
	small.write(t, s, 40*time.Second, 41*time.Second) // has the older ones forgotten
	first := strconv.FormatUint(firstSequence(testStart)+gapSegments, 10)
	stored := "/180p/" + first + ".m4s"
	whole1 := body(t, s, stored)
	if w := get(s, "/180p/"+first+".ts"); w.Code != http.StatusOK || w.Body.Len() < len(whole1) {
		t.Errorf("transport stream: %d, %d bytes", w.Code, w.Body.Len())
	}
	for _, name := range []string{"/index", "/../index", "/180p/../index", "/180p/../180p/" + first + ".m4s", "/180p/..%2findex", "/180p//" + first + ".m4s", "/180p/0" + first + ".m4s"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = name // as a client sends it that tidies nothing up
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	kept, err := bucket.files.HeadObject("films", "amphi/beam/c1/r1"+stored)
	if err != nil || kept.Metadata["Content-Type"] != mediaType || kept.Size != int64(len(whole1)) {
		t.Errorf("%+v %v", kept, err)
	}

	bucket.failing.Store(true)
	small.write(t, s, 41*time.Second, 60*time.Second)
	waitFor(t, "the disk", func() bool { return onDisk(t, s) >= 19 && s.shelf.upTo.Load() == s.nextSequence() })
	if st := s.Stats(); st.Lost != 0 || st.Spooled == 0 {
		t.Errorf("%+v", st)
	}
	if w := get(s, stored); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("of a bucket that fails: %d", w.Code)
	}
	s.shelf.close() // as if it were killed, in the middle of a line
	index, err := os.OpenFile(filepath.Join(cfg.Dir, indexName), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = index.WriteString(`{"msn":12`)
	}
	if err := errors.Join(err, index.Close()); err != nil {
		t.Fatal(err)
	}

	cfg.Start = testStart.Add(65 * time.Second)
	if s, err = NewStream(cfg); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bucket.failing.Store(false)
	small.write(t, s, 0, 12*time.Second)
	s.End()
	_, media, dir := lists(t, s)
	if n := len(media.Segments); n != 60+1+12 || strconv.Itoa(media.MediaSequence) != first || !media.Segments[60].Gap || !media.Segments[61].Discontinuity {
		t.Errorf("%d segments from %d on", n, media.MediaSequence)
	}
	if got := body(t, s, stored); string(got) != string(whole1) {
		t.Error("the first segment is another one now")
	}
	if got := ffmpeg(t, whole(t, s, media, dir), "ffprobe", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-"); strings.TrimSpace(got) != "2160" {
		t.Errorf("%s pictures in 72 s", got)
	}
	if w := get(s, "/180p/"+strings.Replace(media.Segments[59].URI, ".m4s", "", 1)+"0.m4s"); w.Code != http.StatusNotFound {
		t.Errorf("one that never was: %d", w.Code)
	}
	waitFor(t, "the bucket", func() bool { return s.Stats().Spooled == 0 && onDisk(t, s) == 0 })
	if n := len(bucket.keys(t)); n != 72+2 { // and the initialisation sections
		t.Errorf("%d files in the bucket", n)
	}
	s.Close()
	if left := bucket.keys(t); len(left) > 0 {
		t.Errorf("after the end there are %q", left)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// A bucket that fails for too long loses what the disk may not keep, and only that.
func TestSpoolFull(t *testing.T) {
	bucket := newService(t)
	bucket.failing.Store(true)
	cfg := Config{
		Start: testStart, FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "180p"}}, Event: true,
		Dir: filepath.Join(t.TempDir(), "event"), Bucket: bucket, Prefix: "x/", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Spool: 200_000,
	}
	s, err := NewStream(cfg)
	if err != nil {
		t.Fatal(err)
	}
	small.write(t, s, 0, 30*time.Second)
	waitFor(t, "the loss", func() bool { return s.Stats().Lost > 0 && s.shelf.upTo.Load() == s.nextSequence() })
	st := s.Stats()
	if st.Spooled > cfg.Spool || st.Spooled < cfg.Spool/2 || int(st.Lost)+onDisk(t, s) != 30 {
		t.Errorf("%+v, and %d on disk", st, onDisk(t, s))
	}
	s.Close() // nothing can be removed: who comes next does
	bucket.failing.Store(false)
	if err := Discard(t.Context(), cfg.Dir, nil); err == nil {
		t.Error("the bucket was forgotten")
	}
	if err := Discard(t.Context(), cfg.Dir, bucket); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// An index may be anything after a crash: what is read of it fits together.
func FuzzIndex(f *testing.F) {
	line := `{"msn":7,"ticks":30,"date":"2026-01-02T03:04:05Z","sizes":[1],"sets":[{"sps":"Z0LAHtoCgPaEAAADAAQAAAMA8DxYuoA=","pps":"aM4G4g=="}],"init":7}` + "\n"
	heading := `{"prefix":"a/","renditions":["180p"],"fps":30,"rate":48000,"channels":2}` + "\n"
	f.Add([]byte(heading + line + strings.Replace(line, "7", "8", 1)))
	f.Add([]byte(heading + line + line))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, indexName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		c := Config{FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "180p"}}, Bucket: (*storage.Bucket)(nil), Prefix: "a/", Log: slog.New(slog.DiscardHandler)}
		x, segments, err := reopenIndex(dir, &c)
		if err != nil {
			return
		}
		defer x.file.Close()
		for i, seg := range segments {
			if i > 0 && seg.msn != segments[i-1].msn+1 || !seg.gap && (len(seg.bytes) != 1 || seg.init == nil || seg.ticks < 1) {
				t.Fatalf("segment %d: %+v", i, seg)
			}
		}
	})
}
