package hls

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newEvent(t *testing.T) *Stream {
	t.Helper()
	s, err := NewStream(Config{
		Start: testStart, FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "180p"}},
		Event: true, Dir: filepath.Join(t.TempDir(), "event"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// An event can be played from its start, without being in memory, and leaves nothing behind.
func TestEvent(t *testing.T) {
	s := newEvent(t)
	const length = 40
	small.write(t, s, 0, length/2*time.Second)
	first := string(body(t, s, "/180p/stream.m3u8"))
	large.write(t, s, length/2*time.Second, length*time.Second) // after a discontinuity
	waitFor(t, "the disk", func() bool { return s.shelf.upTo.Load() == s.write.segments[length-1].msn+1 })
	small.write(t, s, length*time.Second, (length+1)*time.Second)

	inMemory := 0
	for _, seg := range s.write.segments {
		if seg.bodies != nil {
			inMemory++
		}
	}
	if inMemory > windowSegments+graceSegments {
		t.Errorf("%d segments are in memory", inMemory)
	}
	_, media, _ := lists(t, s)
	if n := len(media.Segments); n != length+1 || media.Segments[0].Gap || media.PlaylistType == nil || *media.PlaylistType != "EVENT" {
		t.Errorf("%d segments, type %v", n, media.PlaylistType)
	}
	// What was listed stays as it was, but for parts.
	text := string(body(t, s, "/180p/stream.m3u8"))
	for line := range strings.Lines(first) {
		if (strings.HasPrefix(line, "#EXT-X-PROG") || !strings.HasPrefix(line, "#")) && !strings.Contains(text, line) {
			t.Errorf("%q is not listed any more", line)
		}
	}
	delta := string(body(t, s, "/180p/stream.m3u8?_HLS_skip=YES"))
	if !strings.Contains(delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=") || len(delta) > len(text)/2 {
		t.Errorf("delta update:\n%s", delta)
	}
	s.End()
	_, media, dir := lists(t, s)
	media.Segments = media.Segments[:length/2]
	got := ffmpeg(t, whole(t, s, media, dir), "ffprobe", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-")
	if strings.TrimSpace(got) != "600" {
		t.Errorf("%s pictures in the first half", got)
	}
	if w := get(s, "/180p/part-"+strings.TrimPrefix(partName(firstPart(testStart)), "part-")); w.Code != 410 {
		t.Errorf("an old part: %d", w.Code)
	}
	s.Close()
	if _, err := os.Stat(s.cfg.Dir); !os.IsNotExist(err) {
		t.Errorf("after the end: %v", err)
	}
}

// A disk that fails loses old segments, and nothing else.
func TestShelfFails(t *testing.T) {
	s := newEvent(t)
	small.write(t, s, 0, 2*time.Second)
	waitFor(t, "the disk", func() bool { return s.shelf.upTo.Load() > 0 })
	// Taken away at once: what is removed file by file is written to meanwhile.
	if err := os.Rename(s.cfg.Dir, s.cfg.Dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	small.write(t, s, 2*time.Second, 30*time.Second)
	waitFor(t, "the loss", func() bool { return s.Stats().Lost > 10 })
	small.write(t, s, 30*time.Second, 32*time.Second)
	_, media, dir := lists(t, s)
	if w := get(s, "/"+dir+"/"+media.Segments[5].URI); w.Code != 404 {
		t.Errorf("a lost segment: %d", w.Code)
	}
	media.Segments = slices.Delete(media.Segments, 0, 25)
	ffmpeg(t, whole(t, s, media, dir), "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
