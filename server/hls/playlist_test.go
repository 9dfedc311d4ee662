package hls

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// lists reads a stream's playlists as a player does: that of the first rendition, and its directory.
func lists(t testing.TB, s *Stream) (master playlist.Multivariant, media playlist.Media, dir string) {
	t.Helper()
	if err := master.Unmarshal(body(t, s, "/"+MasterPlaylist)); err != nil {
		t.Fatal(err)
	}
	uri := master.Variants[0].URI
	if err := media.Unmarshal(body(t, s, "/"+uri)); err != nil {
		t.Fatal(err)
	}
	return master, media, path.Dir(uri)
}

// whole is what a player gets that loads everything that a playlist has.
func whole(t testing.TB, s *Stream, media playlist.Media, dir string) []byte {
	t.Helper()
	stream := bytes.Clone(body(t, s, "/"+dir+"/"+media.Map.URI))
	for _, seg := range media.Segments {
		if !seg.Gap {
			stream = append(stream, body(t, s, "/"+dir+"/"+seg.URI)...)
		}
	}
	for _, part := range media.Parts {
		stream = append(stream, body(t, s, "/"+dir+"/"+part.URI)...)
	}
	return stream
}

func TestPlaylists(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 14*time.Second+500*time.Millisecond)
	select {
	case <-s.Ready():
	default:
		t.Fatal("not ready after 14 s")
	}
	master, media, dir := lists(t, s)

	v := master.Variants[0]
	if v.Resolution != "320x180" || v.FrameRate == nil || *v.FrameRate != 30 || v.Bandwidth < 50_000 || *v.AverageBandwidth > v.Bandwidth {
		t.Errorf("variant %+v", v)
	}
	if len(v.Codecs) != 2 || !strings.HasPrefix(v.Codecs[0], "avc1.") || v.Codecs[1] != "mp4a.40.2" {
		t.Errorf("codecs %q", v.Codecs)
	}
	first := int(firstSequence(testStart))
	if media.MediaSequence != first+gapSegments+14-windowSegments || len(media.Segments) != windowSegments {
		t.Errorf("window of %d from %d, the first is %d", len(media.Segments), media.MediaSequence, first)
	}
	if media.TargetDuration != 1 || media.PartInf.PartTarget != partDuration {
		t.Errorf("target %d s, parts %v", media.TargetDuration, media.PartInf.PartTarget)
	}
	if c := media.ServerControl; !c.CanBlockReload || *c.PartHoldBack < 3*partDuration || *c.CanSkipUntil < 6*time.Second {
		t.Errorf("server control %+v", c)
	}
	if n := len(media.Parts); n != 2 || media.PreloadHint == nil {
		t.Errorf("%d parts of 0.5 s, hint %v", n, media.PreloadHint)
	}
	for i, seg := range media.Segments {
		if want := testStart.Add(time.Duration(4+i) * time.Second); seg.DateTime == nil || !seg.DateTime.Equal(want) || seg.Duration != time.Second {
			t.Errorf("%v of %v, want %v", seg.DateTime, seg.Duration, want)
		}
		wholeSegment := body(t, s, "/"+dir+"/"+seg.URI)
		var joined []byte
		for i, part := range seg.Parts {
			if part.Duration != partDuration || part.Independent != (i == 0) {
				t.Errorf("%s: %v, independent %v", part.URI, part.Duration, part.Independent)
			}
			joined = append(joined, body(t, s, "/"+dir+"/"+part.URI)...)
		}
		if detailed := windowSegments-i <= 3; detailed != (len(seg.Parts) == 5) || len(seg.Parts) > 0 && !bytes.Equal(wholeSegment, joined) {
			t.Errorf("%s has %d parts, or is not they in a row", seg.URI, len(seg.Parts))
		}
	}
	stream := whole(t, s, media, dir)
	ffmpeg(t, stream, "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
	for _, kind := range []string{"v", "a"} {
		assertNoHole(t, ffmpeg(t, stream, "ffprobe", "-select_streams", kind, "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-"), 40*time.Millisecond)
	}
}

// What a delta update leaves out is what the full one has before the rest.
func TestDeltaUpdate(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 14*time.Second+500*time.Millisecond)
	master, _, _ := lists(t, s)
	full := string(body(t, s, "/"+master.Variants[0].URI))
	delta := string(body(t, s, "/"+master.Variants[0].URI+"?_HLS_skip=YES"))
	const skip = "#EXT-X-SKIP:SKIPPED-SEGMENTS="
	before, rest, _ := strings.Cut(delta, skip)
	count, rest, found := strings.Cut(rest, "\n")
	if n, err := strconv.Atoi(count); !found || err != nil || n != 4 { // 10.5 s are listed, 6 s are wanted
		t.Fatalf("%d skipped in\n%s", n, delta)
	}
	for _, line := range strings.Split(before+rest, "\n") {
		if !strings.Contains(full, line) {
			t.Errorf("%q is not in the full playlist", line)
		}
	}
	if !strings.HasPrefix(full, before) || strings.Count(full, "#EXTINF") != 4+strings.Count(delta, "#EXTINF") {
		t.Errorf("full:\n%s\ndelta:\n%s", full, delta)
	}
}

// Several sizes of the same pictures have the same segments and parts.
func TestRenditions(t *testing.T) {
	s := newStreamOf(t, Rendition{Name: "360p", Bitrate: 300_000}, Rendition{Name: "180p"})
	a := 0
	for i := range 30 * 5 {
		at := time.Duration(i) * time.Second / 30
		for r, c := range []*clip{large, small} {
			n := i % len(c.video)
			if err := s.WriteVideo(r, at, c.keys[n], c.video[n]); err != nil {
				t.Fatal(err)
			}
		}
		for ; a*aacFrame < (i+1)*48000/30; a++ {
			if err := s.WriteAudio(duration(int64(a*aacFrame), 48000), small.audio[a%len(small.audio)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	var master playlist.Multivariant
	if err := master.Unmarshal(body(t, s, "/"+MasterPlaylist)); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for i, want := range []string{"640x360", "320x180"} {
		v := master.Variants[i]
		if v.Resolution != want {
			t.Errorf("%+v", v)
		}
		text := string(body(t, s, "/"+v.URI))
		texts[want] = text[:strings.Index(text, "#EXT-X-RENDITION-REPORT")]
		report := `#EXT-X-RENDITION-REPORT:URI="../` + s.cfg.Renditions[1-i].Name + `/stream.m3u8",LAST-MSN=` +
			strconv.Itoa(int(firstSequence(testStart))+gapSegments+4) + ",LAST-PART=4"
		if !strings.Contains(text, report+"\n") {
			t.Errorf("no %s in\n%s", report, text)
		}
		var media playlist.Media
		if err := media.Unmarshal([]byte(text)); err != nil {
			t.Fatal(err)
		}
		stream := whole(t, s, media, path.Dir(v.URI))
		got := strings.Fields(ffmpeg(t, stream, "ffprobe", "-count_packets", "-show_entries", "stream=width,height,nb_read_packets", "-of", "csv=p=0", "-"))
		if size := strings.ReplaceAll(want, "x", ","); len(got) != 2 || got[0] != size+",150" {
			t.Errorf("%s: %q", want, got)
		}
	}
	if texts["640x360"] != texts["320x180"] {
		t.Errorf("not alike:\n%s\n%s", texts["640x360"], texts["320x180"])
	}
	if err := s.WriteVideo(1, 5*time.Second, true, small.video[0]); err != ErrNeedKey {
		t.Errorf("the second rendition without the first: %v", err)
	}
}

func TestHeaders(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	master, media, dir := lists(t, s)
	list := "/" + master.Variants[0].URI
	part := "/" + dir + "/" + media.Segments[len(media.Segments)-1].Parts[0].URI
	first := firstSequence(testStart)
	next := strconv.FormatUint(first+gapSegments+3, 10)
	tests := []struct {
		method, target string
		status         int
		contentType    string
		cache          string
	}{
		{"GET", "/master.m3u8", 200, playlistType, cacheMaster},
		{"HEAD", "/master.m3u8", 200, playlistType, cacheMaster},
		{"GET", list, 200, playlistType, cachePlain},
		{"GET", list + "?_HLS_skip=YES", 200, playlistType, cachePlain},
		{"GET", list + "?_HLS_msn=" + strconv.FormatUint(first+9, 10) + "&_HLS_part=1", 200, playlistType, cacheBlocking},
		{"GET", "/" + dir + "/" + media.Map.URI, 200, mediaType, cacheForever},
		{"GET", part, 200, mediaType, cacheForever},
		{"HEAD", part, 200, mediaType, cacheForever},
		{"GET", "/" + dir + "/gap.mp4", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/" + strconv.FormatUint(first, 10) + ".m4s", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/" + strconv.FormatUint(first-1, 10) + ".m4s", 410, "application/json", cacheNever},
		{"GET", "/" + dir + "/" + next + ".m4s", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/part-" + next + ".m4s", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/part-" + next + "0.m4s", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/0" + next + ".m4s", 404, "application/json", cacheNever},
		{"GET", "/" + dir + "/../../../etc/passwd", 404, "application/json", cacheNever},
		{"GET", "/other.m3u8", 404, "application/json", cacheNever},
		{"GET", list + "?_HLS_part=1", 400, "application/json", cacheNever},
		{"GET", list + "?_HLS_msn=x", 400, "application/json", cacheNever},
		{"GET", list + "?_HLS_msn=9999999999", 400, "application/json", cacheNever},
		{"OPTIONS", part, 204, "", ""},
		{"POST", part, 405, "application/json", cacheNever},
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

	// The same playlist compressed, and not again for who has it.
	r = httptest.NewRequest("GET", list, nil)
	r.Header.Set("Accept-Encoding", "br, gzip;q=0.5")
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, body(t, s, list)) || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Errorf("compressed: %v\n%s", err, text)
	}
	for _, target := range []string{list, part} {
		r := httptest.NewRequest("GET", target, nil)
		tag := get(s, target).Header().Get("ETag")
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != http.StatusNotModified || w.Body.Len() > 0 || tag == "" {
			t.Errorf("%s with %q: %d", target, tag, w.Code)
		}
	}
}

// A file that left the playlist stays for a while, then it is gone and its memory is free.
func TestExpiry(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 2*time.Second)
	master, media, dir := lists(t, s)
	seg := media.Segments[len(media.Segments)-1]
	names := []string{"/" + dir + "/" + seg.URI, "/" + dir + "/" + seg.Parts[0].URI}

	small.write(t, s, 2*time.Second, (windowSegments+3)*time.Second)
	if bytes.Contains(body(t, s, "/"+master.Variants[0].URI), []byte(seg.URI)) {
		t.Fatal("still listed")
	}
	for _, name := range names {
		body(t, s, name)
	}
	small.write(t, s, (windowSegments+3)*time.Second, (windowSegments+9)*time.Second)
	for _, name := range names {
		if w := get(s, name); w.Code != http.StatusGone {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if n := len(s.edition.Load().segments); n != windowSegments+graceSegments {
		t.Errorf("%d segments kept", n)
	}
	body(t, s, "/"+dir+"/"+media.Map.URI) // for as long as there are segments of it
}
