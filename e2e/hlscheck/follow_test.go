package hlscheck

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"amphi/server/hls"
)

// Units of a stream that nobody decodes: parameters of 1920x1080 with a key picture, another picture, silence.
var (
	keyUnit  = []byte("\x00\x00\x00\x01\x67\x42\xc0\x28\xd9\x00\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc9\x20\x00\x00\x00\x01\x68\xcb\x8c\xb2\x00\x00\x00\x01\x65key")
	unit     = []byte("\x00\x00\x00\x01\x41picture")
	soundNot = []byte{0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80}
)

// live is a stream in real time that began some time ago.
func live(t *testing.T) *hls.Stream {
	t.Helper()
	const began = 20 * time.Second
	start := time.Now().Add(-began)
	s, err := hls.NewStream(hls.Config{
		Start: start, FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []hls.Rendition{{Name: "a"}, {Name: "b"}},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	present, quit, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n, a := 0, 0; ; n++ {
			at := time.Duration(n) * time.Second / 30
			if at == began {
				close(present)
			}
			select {
			case <-quit:
				return
			case <-time.After(time.Until(start.Add(at))):
			}
			for r := range 2 {
				au := unit
				if n%30 == 0 {
					au = keyUnit
				}
				if err := s.WriteVideo(r, at, n%30 == 0, au); err != nil {
					t.Errorf("picture %d: %v", n, err)
					return
				}
			}
			for ; a*1024*30 < (n+1)*48000; a++ {
				if err := s.WriteAudio(time.Duration(a)*1024*time.Second/48000, soundNot); err != nil {
					t.Errorf("sound %d: %v", a, err)
					return
				}
			}
		}
	}()
	t.Cleanup(func() { close(quit); <-done; s.Close() })
	<-present
	return s
}

var (
	segmentName = regexp.MustCompile(`/(\d+)\.m4s$`)
	partName    = regexp.MustCompile(`/part-(\d+)\.m4s$`)
	skipTag     = regexp.MustCompile(`SKIPPED-SEGMENTS=\d+`)
)

// A server that breaks a rule is found out, and one that keeps all is not.
func TestFollow(t *testing.T) {
	s := live(t)
	first := func() int {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a/stream.m3u8", nil))
		p, err := parse(w.Body.String())
		if err != nil {
			t.Error(err)
			return 0
		}
		return p.first
	}
	master := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ".m3u8") && strings.Count(r.URL.Path, "/") == 1
	}
	for _, tt := range []struct {
		what string
		want string                             // in what is found
		ask  func(r *http.Request) (status int) // changes a request, or refuses it
		say  func(r *http.Request, body string) string
	}{
		{what: "nothing"},
		{what: "a reload that does not wait", want: "ends with part", ask: func(r *http.Request) int {
			if strings.Contains(r.URL.RawQuery, "_HLS_msn=") && !strings.Contains(r.URL.RawQuery, "9000000000000") {
				r.URL.RawQuery = ""
			}
			return 0
		}},
		{what: "directives that contradict themselves", want: "want 400", ask: func(r *http.Request) int {
			if r.URL.RawQuery == "_HLS_part=1" {
				r.URL.RawQuery = ""
			}
			return 0
		}},
		{what: "skipped without being asked", want: "and skips", ask: func(r *http.Request) int {
			if r.URL.RawQuery == "" {
				r.URL.RawQuery = "_HLS_skip=YES"
			}
			return 0
		}},
		{what: "a delta update that lacks a segment", want: "delta update: it has", say: func(r *http.Request, body string) string {
			if r.URL.RawQuery != "_HLS_skip=YES" {
				return body
			}
			return skipTag.ReplaceAllString(body, "SKIPPED-SEGMENTS=1")
		}},
		{what: "a delta update that skips what is new", want: "segments are skipped", say: func(r *http.Request, body string) string {
			skip := skipTag.FindString(body)
			if r.URL.RawQuery != "_HLS_skip=YES" || skip == "" {
				return body
			}
			n, _ := strconv.Atoi(strings.TrimPrefix(skip, "SKIPPED-SEGMENTS="))
			head, rest, _ := strings.Cut(body, skip+"\n")
			for range 3 {
				_, rest, _ = strings.Cut(rest, "\n#EXT-X-PROGRAM")
				rest = "#EXT-X-PROGRAM" + rest
			}
			return head + fmt.Sprintf("SKIPPED-SEGMENTS=%d\n", n+3) + rest
		}},
		{what: "renditions of other times", want: "of another rendition", say: func(r *http.Request, body string) string {
			if !strings.HasPrefix(r.URL.Path, "/b/stream") {
				return body
			}
			return strings.ReplaceAll(body, "#EXTINF:1,", "#EXTINF:1.000001,")
		}},
		{what: "segments that are gone at once", want: "has left the playlist and is gone", ask: func(r *http.Request) int {
			if m := segmentName.FindStringSubmatch(r.URL.Path); m != nil {
				if n, _ := strconv.Atoi(m[1]); n < first() {
					return http.StatusGone
				}
			}
			return 0
		}},
		{what: "segments of something else", want: "is not its parts in a row", say: func(r *http.Request, body string) string {
			if segmentName.MatchString(r.URL.Path) {
				return body + "x"
			}
			return body
		}},
		{what: "parts of another time", want: "goes on at", ask: func(r *http.Request) int {
			if m := partName.FindStringSubmatch(r.URL.Path); m != nil {
				if n, _ := strconv.Atoi(m[1]); n%3 == 0 {
					r.URL.Path = strings.Replace(r.URL.Path, m[1], strconv.Itoa(n-1), 1)
				}
			}
			return 0
		}},
		{what: "a bandwidth too small", want: "BANDWIDTH is 1", say: func(r *http.Request, body string) string {
			if !master(r) {
				return body
			}
			return regexp.MustCompile(`BANDWIDTH=\d+`).ReplaceAllString(body, "BANDWIDTH=1")
		}},
		{what: "another size", want: "listed with 640x360", say: func(r *http.Request, body string) string {
			if !master(r) {
				return body
			}
			return strings.ReplaceAll(body, "1920x1080", "640x360")
		}},
		{what: "other codecs", want: "avc1.640028", say: func(r *http.Request, body string) string {
			if !master(r) {
				return body
			}
			return strings.ReplaceAll(body, "avc1.42c028", "avc1.640028")
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.ask != nil {
					if status := tt.ask(r); status != 0 {
						w.WriteHeader(status)
						return
					}
				}
				r.Header.Del("Accept-Encoding")
				got := httptest.NewRecorder()
				s.ServeHTTP(got, r)
				body := got.Body.String()
				if tt.say != nil && got.Code == http.StatusOK {
					body = tt.say(r, body)
				}
				w.WriteHeader(got.Code)
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			for deadline := time.Now().Add(20 * time.Second); ; {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				report, err := Follow(ctx, server.URL+"/master.m3u8")
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				found := strings.Join(report.Wrong, "\n")
				switch {
				case tt.want == "" && found == "" && report.Playlists > 0, tt.want != "" && strings.Contains(found, tt.want):
					return
				case tt.want == "" || time.Now().After(deadline):
					t.Fatalf("%d playlists, want %q, found:\n%.2000s", report.Playlists, tt.want, found)
				}
			}
		})
	}
}
