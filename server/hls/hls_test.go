package hls

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// lists reads a stream's playlists as a player does.
func lists(t testing.TB, s *Stream) (master playlist.Multivariant, video, audio playlist.Media, dir string) {
	t.Helper()
	if err := master.Unmarshal(body(t, s, "/"+MasterPlaylist)); err != nil {
		t.Fatal(err)
	}
	uri := master.Variants[0].URI
	if err := video.Unmarshal(body(t, s, "/"+uri)); err != nil {
		t.Fatal(err)
	}
	if err := audio.Unmarshal(body(t, s, "/"+*master.Renditions[0].URI)); err != nil {
		t.Fatal(err)
	}
	return master, video, audio, path.Dir(uri)
}

func TestPlaylists(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 14*time.Second+500*time.Millisecond)
	select {
	case <-s.Ready():
	default:
		t.Fatal("not ready after 14 s")
	}
	master, video, audio, dir := lists(t, s)

	v := master.Variants[0]
	if v.Resolution != "320x180" || v.FrameRate == nil || *v.FrameRate != 30 || v.Bandwidth < 50_000 {
		t.Errorf("variant %+v", v)
	}
	if len(v.Codecs) != 2 || !strings.HasPrefix(v.Codecs[0], "avc1.") || v.Codecs[1] != "mp4a.40.2" {
		t.Errorf("codecs %q", v.Codecs)
	}
	// 14 segments are complete; seven gaps came before them.
	if video.MediaSequence != 7+14-windowSegments || len(video.Segments) != windowSegments {
		t.Errorf("window of %d from %d", len(video.Segments), video.MediaSequence)
	}
	if video.TargetDuration != 1 || video.PartInf.PartTarget != partDuration {
		t.Errorf("target %d s, parts %v", video.TargetDuration, video.PartInf.PartTarget)
	}
	if c := video.ServerControl; !c.CanBlockReload || *c.PartHoldBack < 2*partDuration {
		t.Errorf("server control %+v", c)
	}
	if n := len(video.Parts); n != 2 || video.PreloadHint == nil {
		t.Errorf("%d parts of 0.5 s, hint %v", n, video.PreloadHint)
	}
	last := video.Segments[windowSegments-1]
	if want := testStart.Add(13 * time.Second); last.DateTime == nil || !last.DateTime.Equal(want) {
		t.Errorf("date %v, want %v", last.DateTime, want)
	}
	if audio.MediaSequence != video.MediaSequence || len(audio.Segments) != len(video.Segments) {
		t.Errorf("audio window of %d from %d", len(audio.Segments), audio.MediaSequence)
	}
	for _, list := range []playlist.Media{video, audio} {
		init := body(t, s, "/"+dir+"/"+list.Map.URI)
		stream := bytes.Clone(init)
		for _, seg := range list.Segments {
			if seg.Duration != time.Second {
				t.Errorf("%s: %v", seg.URI, seg.Duration)
			}
			whole := body(t, s, "/"+dir+"/"+seg.URI)
			stream = append(stream, whole...)
			var joined []byte
			for i, part := range seg.Parts {
				// Every audio part can be begun with; of the video parts, each segment's first.
				independent := i == 0 || strings.Contains(part.URI, "audio")
				if part.Duration != partDuration || part.Independent != independent {
					t.Errorf("%s: %v, independent %v", part.URI, part.Duration, part.Independent)
				}
				joined = append(joined, body(t, s, "/"+dir+"/"+part.URI)...)
			}
			if len(seg.Parts) > 0 && !bytes.Equal(whole, joined) {
				t.Errorf("%s is not its parts in a row", seg.URI)
			}
		}
		ffmpeg(t, stream, "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
	}
}

func TestHeaders(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	master, video, _, dir := lists(t, s)
	part := "/" + dir + "/" + video.Segments[len(video.Segments)-1].Parts[0].URI
	tests := []struct {
		method, target string
		status         int
		contentType    string
		cache          string
	}{
		{"GET", "/master.m3u8", 200, playlistType, cacheNever},
		{"HEAD", "/master.m3u8", 200, playlistType, cacheNever},
		{"GET", "/" + master.Variants[0].URI + "?_HLS_skip=YES", 200, playlistType, cacheNever},
		{"GET", "/" + dir + "/" + video.Map.URI, 200, "video/mp4", cacheForever},
		{"GET", part, 200, "video/mp4", cacheForever},
		{"HEAD", part, 200, "video/mp4", cacheForever},
		{"GET", "/" + dir + "/gap.mp4", 404, "application/json", "no-store"},
		{"GET", "/" + dir + "/../../../etc/passwd", 404, "application/json", "no-store"},
		{"GET", "/other.m3u8", 404, "application/json", "no-store"},
		{"GET", "/" + master.Variants[0].URI + "?_HLS_part=1", 400, "application/json", "no-store"},
		{"GET", "/" + master.Variants[0].URI + "?_HLS_msn=x", 400, "application/json", "no-store"},
		{"GET", "/" + master.Variants[0].URI + "?_HLS_msn=99", 400, "application/json", "no-store"},
		{"OPTIONS", part, 204, "", ""},
		{"POST", part, 405, "application/json", "no-store"},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, nil))
		h := w.Header()
		if w.Code != tt.status || h.Get("Content-Type") != tt.contentType || h.Get("Cache-Control") != tt.cache {
			t.Errorf("%s %s: %d %q %q", tt.method, tt.target, w.Code, h.Get("Content-Type"), h.Get("Cache-Control"))
		}
		if h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %s: no CORS", tt.method, tt.target)
		}
		if empty := w.Body.Len() == 0; empty != (tt.method == "HEAD" || tt.method == "OPTIONS") {
			t.Errorf("%s %s: body of %d bytes", tt.method, tt.target, w.Body.Len())
		}
		if tt.method == "HEAD" && h.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: no length", tt.target)
		}
	}

	r := httptest.NewRequest("GET", part, nil)
	r.Header.Set("Range", "bytes=4-7")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusPartialContent || w.Body.String() != "moof" {
		t.Errorf("range: %d %q", w.Code, w.Body)
	}
}

// A file that left the playlist stays for a while, then it is 404 and its memory is free.
func TestExpiry(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 2*time.Second)
	_, video, _, dir := lists(t, s)
	seg := video.Segments[len(video.Segments)-1]
	names := []string{"/" + dir + "/" + seg.URI, "/" + dir + "/" + seg.Parts[0].URI}

	small.write(t, s, 2*time.Second, (windowSegments+3)*time.Second)
	if bytes.Contains(body(t, s, "/"+dir+"/"+muxerVideo), []byte(seg.URI)) {
		t.Fatal("still listed")
	}
	for _, name := range names {
		body(t, s, name)
	}
	small.write(t, s, (windowSegments+3)*time.Second, (windowSegments+9)*time.Second)
	for _, name := range names {
		if w := get(s, name); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	// Two renditions, at most six parts a segment beside it.
	if n, most := len(s.window.files), 2*7*(windowSegments+graceSegments+1)+2; n > most {
		t.Errorf("%d files kept, expected at most %d", n, most)
	}
	if n, most := len(s.write.packager.fetched), 2*7*(windowSegments+graceSegments+1)+2; n > most {
		t.Errorf("%d names kept, expected at most %d", n, most)
	}
}

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
	_, video, _, dir := lists(t, s)
	list := "/" + dir + "/" + muxerVideo
	hint := "/" + dir + "/" + video.PreloadHint.URI

	// Segment 9 has begun (7 and 8 are complete) and has no part yet.
	body(t, s, list+"?_HLS_msn=8&_HLS_part=4")
	body(t, s, list+"?_HLS_msn=3")
	next := pending(t, s, t.Context(), list+"?_HLS_msn=9&_HLS_part=0")
	beyond := pending(t, s, t.Context(), list+"?_HLS_msn=8&_HLS_part=5") // the same part by another name
	part := pending(t, s, t.Context(), hint)
	later := pending(t, s, t.Context(), list+"?_HLS_msn=9&_HLS_part=4")
	whole := pending(t, s, t.Context(), list+"?_HLS_msn=9")

	if err := s.WriteVideo(2200*time.Millisecond, true, small.video[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteAudio(2100*time.Millisecond, small.audio[0]); err != nil { // the picture waited for it
		t.Fatal(err)
	}
	for _, answer := range []<-chan *httptest.ResponseRecorder{next, beyond} {
		if w := <-answer; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), path.Base(hint)+`"`) {
			t.Errorf("after the part: %d %s", w.Code, w.Body)
		}
	}
	if w := <-part; w.Code != http.StatusOK || w.Body.Len() == 0 {
		t.Errorf("hinted part: %d, %d bytes", w.Code, w.Body.Len())
	}
	small.write(t, s, 2200*time.Millisecond+time.Second/30, 4*time.Second)
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
	if err := s.WriteVideo(0, true, small.video[0]); err != ErrClosed {
		t.Errorf("write after close: %v", err)
	}

	full := newTestStream(t)
	full.waiting.Store(maxWaiting)
	if w := get(full, "/master.m3u8"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", w.Code)
	}
}

// A gap, and an encoder that begins anew off the beat, leave a timeline without holes, with
// parts and targets as before.
func TestGapIsFilled(t *testing.T) {
	for _, resume := range []time.Duration{
		3*time.Second + 2*time.Second/30,
		4*time.Second + 10*time.Second/30,
		5*time.Second + 28*time.Second/30,
	} {
		t.Run(resume.String(), func(t *testing.T) {
			s := newTestStream(t)
			small.write(t, s, 0, 3*time.Second-4*time.Second/30)
			for now := 3 * time.Second; now < resume-300*time.Millisecond; now += 100 * time.Millisecond {
				if err := s.Fill(now); err != nil {
					t.Fatal(err)
				}
			}
			small.write(t, s, resume, resume+4*time.Second)
			_, video, audio, dir := lists(t, s)
			if video.TargetDuration != 1 || video.PartInf.PartTarget != partDuration {
				t.Errorf("target %d s, parts %v", video.TargetDuration, video.PartInf.PartTarget)
			}
			for _, list := range []playlist.Media{video, audio} {
				stream := body(t, s, "/"+dir+"/"+list.Map.URI)
				for _, seg := range list.Segments {
					if seg.Gap {
						continue
					}
					for i, part := range seg.Parts {
						if part.Duration > partDuration || part.Duration < partDuration && i < len(seg.Parts)-1 {
							t.Errorf("%s: %v", part.URI, part.Duration)
						}
					}
					stream = append(stream, body(t, s, "/"+dir+"/"+seg.URI)...)
				}
				ffmpeg(t, stream, "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
				times := ffmpeg(t, stream, "ffprobe", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-")
				assertNoHole(t, times, partDuration)
			}
		})
	}
}

func assertNoHole(t *testing.T, csv string, most time.Duration) {
	t.Helper()
	var last time.Duration
	for i, line := range strings.Fields(csv) {
		at, err := time.ParseDuration(strings.TrimSuffix(line, ",") + "s")
		if err != nil {
			t.Fatal(err)
		}
		if step := at - last; i > 0 && (step <= 0 || step > most+time.Millisecond) {
			t.Errorf("after %v comes %v", last, at)
		}
		last = at
	}
}

// An encoder that leaves out pictures because it is overloaded changes no part's duration.
func TestMissingPictures(t *testing.T) {
	s := newTestStream(t)
	for i := range 30 * 12 {
		n := i % len(small.video)
		at := time.Duration(i) * time.Second / 30
		// Any four in a row, also those at which parts and segments end. What is left cannot all
		// be decoded, which is none of this test's business.
		if i > 60 && i%17 < 4 && !small.keys[n] {
			continue
		}
		if err := s.WriteVideo(at, small.keys[n], small.video[n]); err != nil {
			t.Fatal(err)
		}
		if err := s.WriteAudio(at, small.audio[i%len(small.audio)]); err != nil {
			t.Fatal(err)
		}
	}
	_, video, audio, _ := lists(t, s)
	for _, list := range []playlist.Media{video, audio} {
		if list.TargetDuration != 1 || list.PartInf.PartTarget != partDuration {
			t.Errorf("target %d s, parts %v", list.TargetDuration, list.PartInf.PartTarget)
		}
		for _, seg := range list.Segments {
			for _, part := range seg.Parts {
				if part.Duration != partDuration {
					t.Errorf("%s: %v", part.URI, part.Duration)
				}
			}
		}
	}
	if st := s.Stats(); st.Filled > 0 || st.Moved == 0 || st.Late > 0 {
		t.Errorf("%+v", st)
	}
}

// A picture that is missing in the first segment would make all parts longer.
func TestMissingPictureAtTheStart(t *testing.T) {
	s := newTestStream(t)
	var needed int
	for i := range 30 * 3 {
		if i == 12 || i == 13 || i == 14 {
			continue
		}
		n := i % len(small.video)
		at := time.Duration(i) * time.Second / 30
		switch err := s.WriteVideo(at, small.keys[n], small.video[n]); err {
		case nil:
		case ErrNeedKey:
			needed++
		default:
			t.Fatal(err)
		}
		if err := s.WriteAudio(at, small.audio[i]); err != nil {
			t.Fatal(err)
		}
	}
	if needed != 15 {
		t.Errorf("%d pictures refused, want those up to the next key picture", needed)
	}
	_, video, _, _ := lists(t, s)
	last := video.Segments[len(video.Segments)-1]
	if want := testStart.Add(time.Second); last.DateTime == nil || !last.DateTime.Equal(want) || video.PartInf.PartTarget != partDuration {
		t.Errorf("date %v, want %v; parts %v", last.DateTime, want, video.PartInf.PartTarget)
	}
}

// What an encoder sends late, and deltas to pictures that nobody has, are counted and dropped.
func TestLateUnits(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 2*time.Second)
	if err := s.WriteVideo(time.Second, true, small.video[0]); err != ErrNeedKey {
		t.Errorf("late: %v", err)
	}
	if err := s.WriteVideo(2*time.Second, false, small.video[1]); err != ErrNeedKey {
		t.Errorf("delta to it: %v", err)
	}
	if err := s.WriteAudio(time.Second, small.audio[0]); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Late != 3 {
		t.Errorf("%+v", st)
	}
	small.write(t, s, 3*time.Second, 5*time.Second)
	if st := s.Stats(); st.Late != 3 || st.Filled != 5 {
		t.Errorf("%+v", st)
	}
}

func TestBadUnits(t *testing.T) {
	s := newTestStream(t)
	if err := s.WriteVideo(0, true, []byte("no annex b")); err == nil {
		t.Error("no start code accepted")
	}
	if err := s.WriteVideo(0, true, []byte{0, 0, 0, 1, 0x65, 1, 2}); err != ErrNoParameters {
		t.Errorf("no parameter sets: %v", err)
	}
	if _, err := NewStream(Config{SampleRate: 48000, Channels: 6}); err == nil {
		t.Error("six channels accepted")
	}
	small.write(t, s, 0, 2*time.Second)
	body(t, s, "/master.m3u8")
}

// Another picture size goes on behind the same master playlist.
func TestNewParameters(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	before, _, _, _ := lists(t, s)
	large.write(t, s, 3*time.Second, 3*time.Second+500*time.Millisecond)
	body(t, s, "/"+before.Variants[0].URI) // nothing better yet
	large.write(t, s, 3*time.Second+500*time.Millisecond, 6*time.Second)

	after, video, _, dir := lists(t, s)
	if after.Variants[0].Resolution != "640x360" || after.Variants[0].URI == before.Variants[0].URI {
		t.Errorf("variant %+v", after.Variants[0])
	}
	if w := get(s, "/"+before.Variants[0].URI); w.Code != http.StatusNotFound {
		t.Errorf("old playlist: %d", w.Code)
	}
	if st := s.Stats(); st.Renewed != 1 {
		t.Errorf("%+v", st)
	}
	stream := body(t, s, "/"+dir+"/"+video.Map.URI)
	stream = append(stream, body(t, s, "/"+dir+"/"+video.Segments[len(video.Segments)-1].URI)...)
	if got := ffmpeg(t, stream, "ffprobe", "-show_entries", "stream=width,height", "-of", "csv=p=0", "-"); strings.TrimSpace(got) != "640,360" {
		t.Errorf("picture size %q", got)
	}
}

func FuzzServe(f *testing.F) {
	s := newTestStream(f)
	small.write(f, s, 0, 3*time.Second)
	f.Add("master.m3u8", "")
	f.Add("../"+muxerVideo, "_HLS_msn=9&_HLS_part=0&_HLS_skip=YES")
	f.Add("a/b.mp4", "_HLS_msn=18446744073709551616")
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
