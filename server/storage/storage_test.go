package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func file(t *testing.T, contents []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(name, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// fetch gets an address; a range if one is given.
func fetch(t *testing.T, method, address, ranged string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranged != "" {
		r.Header.Set("Range", ranged)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

func directory(t *testing.T) *Directory {
	t.Helper()
	var d *Directory
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	d, err := OpenDirectory(filepath.Join(t.TempDir(), "assets"), web.URL, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDirectory(t *testing.T) {
	d, ctx := directory(t), t.Context()
	const key = "c/hls/r/Rec r-1.mp4"
	for _, contents := range []string{"first", "second"} {
		if err := d.Put(ctx, key, file(t, []byte(contents))); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Has(d.Path(key)) || d.Has(d.Path("c/hls/r")) || d.Has(d.Path("c/no")) || d.Has("s3://b/"+key) {
		t.Error("what is there, and what is not")
	}
	good, err := d.URL(ctx, key, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	res, body := fetch(t, "GET", good, "")
	if h := res.Header; res.StatusCode != 200 || string(body) != "second" || h.Get("Content-Type") != "video/mp4" || h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %q %v", res.StatusCode, body, h)
	}
	if res, body := fetch(t, "GET", good, "bytes=1-3"); res.StatusCode != 206 || string(body) != "eco" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if res, _ := fetch(t, "POST", good, ""); res.StatusCode != 405 {
		t.Error(res.StatusCode)
	}
	expired, _ := d.URL(ctx, key, -time.Second)
	gone, _ := d.URL(ctx, "c/none.mp4", time.Minute)
	folder, _ := d.URL(ctx, "c/hls", time.Minute)
	above, _ := d.URL(ctx, "../amphi.db", time.Minute)
	base := strings.TrimSuffix(good, "/c/hls/r/Rec%20r-1.mp4")
	grant := base[strings.LastIndexByte(base, '/')+1:]
	forged := strings.Replace(good, grant, "9"+grant, 1)
	for address, want := range map[string]int{
		expired: 403, gone: 404, folder: 404, above: 403, forged: 403, base + "/c/other.mp4": 403, base + "/": 403, base: 403,
		strings.Replace(good, grant, "x", 1): 403, strings.Replace(good, "/c/", "/c/../c/", 1): 403,
	} {
		if res, _ := fetch(t, "GET", address, ""); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", address, res.StatusCode, want)
		}
	}
	for _, bad := range []string{"../x", "/x", "", "a/../../x"} {
		if err := d.Put(ctx, bad, file(t, nil)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if n, err := d.Sweep(time.Hour); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{"c/hls/r/Rec r-1.mp4", "c/hls/r", "c/hls", "c"} {
		if err := os.Chtimes(filepath.Join(d.dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Sweep(time.Hour); n != 1 || err != nil || d.Has(d.Path(key)) {
		t.Errorf("%d %v", n, err)
	}
}

// A bucket of a service that fails for a while has all in the end, and of one that fails for good nothing is lost.
func TestBucket(t *testing.T) {
	ctx := t.Context()
	backend := s3mem.New()
	if err := backend.CreateBucket("films"); err != nil {
		t.Fatal(err)
	}
	service := gofakes3.New(backend).Server()
	var failures atomic.Int32 // left
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		service.ServeHTTP(w, r)
	}))
	defer web.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	bucket, err := NewBucket(BucketConfig{Endpoint: web.URL, Name: "films", Prefix: "/live/", Key: "k", Secret: "s",
		Client: &http.Client{Transport: transport}, PartSize: 5 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s := &Storage{Local: directory(t), Bucket: bucket, FirstPause: time.Millisecond, MaxPause: 4 * time.Millisecond, RetryFor: time.Minute,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	large := bytes.Repeat([]byte("0123456789abcdef"), 700_000) // 11.2 MB: three pieces
	for contents, failing := range map[string]int32{"small": 5, string(large): 6} {
		failures.Store(failing)
		path, err := s.Put(ctx, s.Default(), "c/rec.zip", file(t, []byte(contents)))
		if err != nil || path != "s3://films/live/c/rec.zip" {
			t.Fatalf("%s %v", path, err)
		}
		address, err := s.URL(ctx, path, time.Hour)
		if err != nil || !strings.Contains(address, "X-Amz-Expires=3600") {
			t.Fatalf("%s %v", address, err)
		}
		res, body := fetch(t, "GET", address, "")
		if res.StatusCode != 200 || string(body) != contents || res.Header.Get("Content-Type") != "application/zip" {
			t.Errorf("%d, %d bytes of %d, %v", res.StatusCode, len(body), len(contents), res.Header)
		}
	}

	failures.Store(1 << 30)
	s.RetryFor = 10 * time.Millisecond
	path, err := s.Put(ctx, s.Default(), "c/rec.zip", file(t, large))
	if err != nil || path != s.Local.Path("c/rec.zip") {
		t.Fatalf("%s %v", path, err)
	}
	address, err := s.URL(ctx, path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := fetch(t, "GET", address, ""); !bytes.Equal(body, large) {
		t.Errorf("%d bytes", len(body))
	}
	if _, err := s.URL(ctx, "s3://elsewhere/c/rec.zip", time.Hour); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// outage is a place that fails until a time.
type outage struct {
	Place
	until    time.Time
	attempts int
}

func (o *outage) Put(ctx context.Context, key, source string) error {
	if o.attempts++; time.Now().Before(o.until) {
		return errors.New("the service is down")
	}
	return o.Place.Put(ctx, key, source)
}

func (o *outage) Path(key string) string { return "s3://films/" + key }

// A bucket that is down for a minute gets the file after it, with the server's own patience, and without being asked all
// the time.
func TestMinuteOfFailures(t *testing.T) {
	to, own := directory(t), directory(t)
	source := file(t, []byte("a film"))
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		place := &outage{Place: to, until: began.Add(time.Minute)}
		s := &Storage{Local: own, FirstPause: time.Second, MaxPause: time.Minute, RetryFor: time.Hour, Log: slog.New(slog.DiscardHandler)}
		path, err := s.Put(t.Context(), place, "c/rec.zip", source)
		if err != nil || path != place.Path("c/rec.zip") || !to.Has(to.Path("c/rec.zip")) || own.Has(own.Path("c/rec.zip")) {
			t.Errorf("%s %v", path, err)
		}
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute || place.attempts > 10 {
			t.Errorf("%d attempts in %v", place.attempts, took)
		}
	})
}

func TestBucketConfig(t *testing.T) {
	for _, bad := range []BucketConfig{{Type: "azure"}, {Type: "oss"}, {Endpoint: "films.example"}, {Endpoint: "ftp://a"}, {Endpoint: "http://"}} {
		if _, err := NewBucket(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, good := range []BucketConfig{{Type: "s3", Region: "eu-central-1"}, {Type: "gs"}, {Type: "oss", Region: "cn-hangzhou"}} {
		good.Name, good.Key, good.Secret = "films", "k", "s"
		b, err := NewBucket(good)
		if err != nil {
			t.Errorf("%+v: %v", good, err)
			continue
		}
		address, err := b.URL(t.Context(), "c/x.mp4", 30*24*time.Hour)
		if err != nil || !strings.HasPrefix(address, "https://") || !strings.Contains(address, "films") || !strings.Contains(address, "X-Amz-Expires=604800") {
			t.Errorf("%s %v", address, err)
		}
	}
}

// Nobody gets in without a signature, whatever the address.
func FuzzAdmit(f *testing.F) {
	d := &Directory{secret: []byte("secret")}
	for _, address := range []string{"/assets/9999999999-x/c/a.mp4", "/assets/1-/../x", "/assets/", "/assets/-1-a/b", "/assets/9999999999-" + d.sign(9999999998, "a") + "/a"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if key, ok := d.admit(address); ok {
			t.Errorf("%q admits to %q", address, key)
		}
	})
}
