package hls

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pending starts a request and returns its answer, after it has begun to wait.
func pending(t *testing.T, s *Stream, ctx context.Context, target string) <-chan *httptest.ResponseRecorder {
	t.Helper()
	before := s.waiting.Load()
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil).WithContext(ctx))
		answer <- w
	}()
	for s.waiting.Load() == before {
		select {
		case w := <-answer:
			t.Fatalf("GET %s did not wait: %d", target, w.Code)
		case <-time.After(time.Millisecond):
		}
	}
	return answer
}

func TestBlockingReload(t *testing.T) {
	s := newTestStream(t)
	master := pending(t, s, t.Context(), "/master.m3u8")
	small.write(t, s, 0, 2050*time.Millisecond)
	if w := <-master; w.Code != http.StatusOK {
		t.Fatalf("master: %d", w.Code)
	}
	variants, media, dir := lists(t, s)
	hint := "/" + dir + "/" + media.PreloadHint.URI
	at := func(msn int, part string) string {
		return "/" + variants.Variants[0].URI + "?_HLS_msn=" + strconv.FormatUint(firstSequence(testStart)+uint64(msn), 10) + part
	}

	// Segment 9 has begun (7 and 8 are complete) and has no part yet.
	body(t, s, at(8, "&_HLS_part=4"))
	body(t, s, at(3, ""))
	next := pending(t, s, t.Context(), at(9, "&_HLS_part=0"))
	beyond := pending(t, s, t.Context(), at(8, "&_HLS_part=5")) // the same part by another name
	part := pending(t, s, t.Context(), hint)
	later := pending(t, s, t.Context(), at(9, "&_HLS_part=4"))
	whole := pending(t, s, t.Context(), at(9, ""))

	// A part is there with its last picture and the sound of that.
	for i := 2; i < 6; i++ {
		if err := s.WriteVideo(0, 2*time.Second+time.Duration(i)*time.Second/30, false, small.video[i]); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case w := <-part:
		t.Fatalf("the part came without its sound: %d", w.Code)
	default:
	}
	for at := s.write.sound.end(); at < ticks(2200*time.Millisecond, 48000); at += aacFrame {
		if err := s.WriteAudio(duration(at, 48000), small.audio[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, answer := range []<-chan *httptest.ResponseRecorder{next, beyond} {
		if w := <-answer; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), media.PreloadHint.URI+`"`) {
			t.Errorf("after the part: %d %s", w.Code, w.Body)
		}
	}
	if w := <-part; w.Code != http.StatusOK || w.Body.Len() == 0 {
		t.Errorf("hinted part: %d, %d bytes", w.Code, w.Body.Len())
	}
	small.write(t, s, 2200*time.Millisecond, 4*time.Second)
	for _, answer := range []<-chan *httptest.ResponseRecorder{later, whole} {
		if w := <-answer; w.Code != http.StatusOK {
			t.Errorf("after the segment: %d", w.Code)
		}
	}
}

func TestWaitersAreReleased(t *testing.T) {
	s := newTestStream(t)
	early := pending(t, s, t.Context(), "/master.m3u8")
	ctx, cancel := context.WithCancel(t.Context())
	gone := pending(t, s, ctx, "/master.m3u8")
	cancel()
	<-gone
	if n := s.waiting.Load(); n != 1 {
		t.Errorf("%d are waiting", n)
	}
	s.Close()
	if w := <-early; w.Code != http.StatusGone {
		t.Errorf("after close: %d", w.Code)
	}
	if w := get(s, "/master.m3u8"); w.Code != http.StatusGone {
		t.Errorf("new request after close: %d", w.Code)
	}
	if err := s.WriteVideo(0, 0, true, small.video[0]); err != ErrClosed {
		t.Errorf("write after close: %v", err)
	}

	full := newTestStream(t)
	full.waiting.Store(maxWaiting)
	if w := get(full, "/master.m3u8"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", w.Code)
	}
}

// What is left of a stream that has ended can be played to its end.
func TestEnd(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second+500*time.Millisecond)
	master, _, dir := lists(t, s)
	list := "/" + master.Variants[0].URI
	next := pending(t, s, t.Context(), list+"?_HLS_msn="+strconv.FormatUint(firstSequence(testStart)+gapSegments+4, 10))
	s.End()
	s.End()
	if w := <-next; w.Code != http.StatusOK {
		t.Errorf("%d", w.Code)
	}
	_, media, _ := lists(t, s)
	if last := media.Segments[len(media.Segments)-1]; !media.Endlist || media.PreloadHint != nil || last.Duration != 500*time.Millisecond {
		t.Errorf("%+v", media)
	}
	ffmpeg(t, whole(t, s, media, dir), "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
	if err := s.WriteVideo(0, 4*time.Second, true, small.video[0]); err != ErrClosed {
		t.Errorf("write after the end: %v", err)
	}

	// The end is news to who has all that comes before it.
	full := newTestStream(t)
	small.write(t, full, 0, 3*time.Second)
	r := httptest.NewRequest(http.MethodGet, list, nil)
	r.Header.Set("If-None-Match", get(full, list).Header().Get("ETag"))
	full.End()
	w := httptest.NewRecorder()
	if full.ServeHTTP(w, r); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "#EXT-X-ENDLIST") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}

	empty := newTestStream(t)
	empty.End()
	if w := get(empty, "/master.m3u8"); w.Code != http.StatusGone {
		t.Errorf("a stream without anything: %d", w.Code)
	}
}

func FuzzServe(f *testing.F) {
	s := newTestStream(f)
	small.write(f, s, 0, 3*time.Second)
	f.Add("master.m3u8", "")
	f.Add("180p/stream.m3u8", "_HLS_msn=9&_HLS_part=0&_HLS_skip=YES")
	f.Add("180p/init-12.mp4", "_HLS_msn=18446744073709551616")
	f.Add("180p/part-3.m4s", "")
	f.Add("180p/12.m4s", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, name, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
		r.URL.Path, r.URL.RawQuery = "/"+name, query
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusOK && w.Body.Len() == 0 && name == MasterPlaylist {
			t.Errorf("%q?%q: empty answer", name, query)
		}
	})
}
