package hls

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
)

// onAir serves a stream as the server does.
func onAir(t *testing.T, s *Stream) (o *Origin, url string) {
	t.Helper()
	o = &Origin{}
	key := Key{Customer: "c1", Room: "r1"}
	o.Put(key, s)
	srv := httptest.NewServer(o)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return o, srv.URL + key.Path()
}

// A player in Go and ffmpeg, at the same time, on a stream in real time.
func TestPlayers(t *testing.T) {
	s := newTestStream(t)
	o, url := onAir(t, s)
	defer small.live(t, s)()
	<-s.Ready()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var pictures, units atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	count := func(n *atomic.Int64) {
		n.Add(1)
		if pictures.Load() > 60 && units.Load() > 80 {
			once.Do(func() { close(enough) })
		}
	}
	quiet := func(string) {}
	player := &gohlslib.Client{
		URI:                       url,
		HTTPClient:                &http.Client{Transport: transport},
		OnDownloadPrimaryPlaylist: quiet, OnDownloadStreamPlaylist: quiet, OnDownloadSegment: quiet, OnDownloadPart: quiet,
		OnDecodeError: func(err error) { t.Errorf("decode: %v", err) },
	}
	player.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			switch track.Codec.(type) {
			case *codecs.H264:
				player.OnDataH26x(track, func(int64, int64, [][]byte) { count(&pictures) })
			case *codecs.MPEG4Audio:
				player.OnDataMPEG4Audio(track, func(int64, [][]byte) { count(&units) })
			default:
				return fmt.Errorf("unexpected %T", track.Codec)
			}
		}
		return nil
	}
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	defer player.Close()

	ffmpeg(t, nil, "ffmpeg", "-xerror", "-i", url, "-t", "3", "-f", "null", "-")
	select {
	case <-enough:
	case <-time.After(10 * time.Second):
		t.Fatalf("player got %d pictures, %d audio units", pictures.Load(), units.Load())
	}
	if st := o.Stats(); st.Streams != 1 || st.Requests < 30 || st.Bytes < 50_000 {
		t.Errorf("%+v", st)
	}
}

// ffmpeg decodes pictures of another size by what its first initialisation section said, unless they say it themselves.
func TestPlayerAndNewParameters(t *testing.T) {
	s := newTestStream(t)
	_, url := onAir(t, s)
	small.write(t, s, 0, 3*time.Second)
	large.write(t, s, 3*time.Second, 6*time.Second)
	s.End()
	got := ffmpeg(t, nil, "ffprobe", "-live_start_index", strconv.Itoa(gapSegments), "-select_streams", "v", "-show_entries", "frame=width", "-of", "csv=p=0", url)
	if small, large := strings.Count(got, "320"), strings.Count(got, "640"); small < 60 || large != 90 {
		t.Errorf("%d pictures of the first size, %d of the other", small, large)
	}
}

func TestOrigin(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 2*time.Second)
	var o Origin
	key := Key{Customer: "c1", Room: "r1"}
	for _, path := range []string{"/", "/beam", "/beam/", "/beam/c1/r1", key.Path(), "/beam/../beam/c1/r1/master.m3u8"} {
		w := get(&o, path)
		if w.Code != http.StatusNotFound || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	o.Put(key, s)
	n := len(body(t, &o, key.Path()))
	if st := o.Stats(); st != (OriginStats{Streams: 1, Requests: 7, Refused: 6, Bytes: st.Bytes}) || st.Bytes < uint64(n) {
		t.Errorf("%+v", st)
	}
	next := newTestStream(t)
	o.Put(key, next)
	o.Remove(key, s) // its place has been taken
	if o.Stats().Streams != 1 {
		t.Error("the newer stream was removed")
	}
	small.write(t, next, 0, 2*time.Second)
	o.Retire(key, next)
	if list := body(t, &o, strings.TrimSuffix(key.Path(), MasterPlaylist)+"180p/stream.m3u8"); !strings.HasSuffix(string(list), "#EXT-X-ENDLIST\n") {
		t.Errorf("after the end:\n%s", list)
	}
	next.Close()
	if w := get(&o, key.Path()); w.Code != http.StatusGone {
		t.Errorf("closed: %d", w.Code)
	}
	o.Remove(key, next)
	if w := get(&o, key.Path()); w.Code != http.StatusNotFound {
		t.Errorf("removed: %d", w.Code)
	}
}

// Many readers while there is writing, filling and closing: for the race detector.
func TestManyReaders(t *testing.T) {
	s := newTestStream(t)
	var o Origin
	key := Key{Customer: "c", Room: "r"}
	o.Put(key, s)
	base := strings.TrimSuffix(key.Path(), MasterPlaylist)

	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() {
			for msn := firstSequence(testStart) + gapSegments; ; msn++ {
				w := get(&o, key.Path())
				if w.Code == http.StatusGone {
					return
				}
				get(&o, base+fmt.Sprintf("180p/stream.m3u8?_HLS_msn=%d&_HLS_part=2", msn))
				_ = o.Stats()
				_ = s.Stats()
			}
		})
	}
	for at := time.Duration(0); at < 10*time.Second; at += time.Second {
		if at == 5*time.Second {
			if err := s.Fill(at + time.Second); err != nil {
				t.Error(err)
			}
			continue
		}
		small.write(t, s, at, at+time.Second)
	}
	s.Close()
	readers.Wait()
}

// BenchmarkSecond is the cost of packaging one second of a stream.
func BenchmarkSecond(b *testing.B) {
	s := newTestStream(b)
	small.write(b, s, 0, 20*time.Second)
	at := 20 * time.Second
	b.ReportAllocs()
	for b.Loop() {
		small.write(b, s, at, at+time.Second)
		at += time.Second
	}
}

// BenchmarkReload is the cost of answering a player's reload of a playlist.
func BenchmarkReload(b *testing.B) {
	s := newTestStream(b)
	small.write(b, s, 0, 20*time.Second)
	master, _, _ := lists(b, s)
	b.ReportAllocs()
	for b.Loop() {
		get(s, "/"+master.Variants[0].URI)
	}
}

// BenchmarkPart is the cost of a part that goes over a socket, most of what a player is to the server.
func BenchmarkPart(b *testing.B) {
	s := newTestStream(b)
	small.write(b, s, 0, 20*time.Second)
	var o Origin
	key := Key{Customer: "c", Room: "r"}
	o.Put(key, s)
	server := httptest.NewServer(&o)
	defer server.Close()
	w := get(s, "/180p/stream.m3u8")
	text := w.Body.String()
	i := strings.LastIndex(text, `#EXT-X-PART:`)
	_, name, _ := strings.Cut(text[i:], `URI="`)
	name, _, _ = strings.Cut(name, `"`)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	path := strings.TrimSuffix(key.Path(), MasterPlaylist) + "180p/" + name
	b.ReportAllocs()
	for b.Loop() {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp.Status, err)
		}
		b.SetBytes(n)
	}
}
