package hls

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// old is what an old player loads: the segments of the playlist of transport streams, one after the other.
func old(t *testing.T, s *Stream, dir string) (list string, names []string, stream []byte) {
	t.Helper()
	list = string(body(t, s, "/"+dir+"/"+oldPlaylistName))
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			names = append(names, line)
			stream = append(stream, body(t, s, "/"+dir+"/"+line)...)
		}
	}
	return list, names, stream
}

// assertCounted wants the packets of each kind to be numbered without a hole, over all segments.
func assertCounted(t *testing.T, stream []byte) {
	t.Helper()
	last := map[[2]byte]byte{}
	for i := 0; i < len(stream); i += packetSize {
		p := stream[i : i+packetSize]
		kind := [2]byte{p[1] & 0x1f, p[2]}
		if before, known := last[kind]; p[0] != 0x47 || p[3]&0x10 == 0 || known && p[3]&15 != (before+1)&15 {
			t.Fatalf("packet %d of %x has % x after %d", i/packetSize, kind, p[:headerSize], before)
		}
		last[kind] = p[3] & 15
	}
	if len(last) != 4 {
		t.Errorf("packets of %d kinds, want two tables, pictures and sound", len(last))
	}
}

func TestTransportStreams(t *testing.T) {
	s := newStreamOf(t, Rendition{Name: "180p"}, Rendition{Name: "small"})
	twice := func(from, to time.Duration, c *clip) {
		for i, a := 0, 0; from+time.Duration(i)*time.Second/30 < to; i++ {
			at := from + time.Duration(i)*time.Second/30
			for r := range 2 {
				if err := s.WriteVideo(r, at, c.keys[i%30], c.video[i%30]); err != nil {
					t.Fatal(err)
				}
			}
			for ; duration(int64(a*aacFrame), 48000) < at+time.Second/30-from; a++ {
				if err := s.WriteAudio(from+duration(int64(a*aacFrame), 48000), c.audio[a%len(c.audio)]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	twice(0, 4*time.Second, small)
	for _, seg := range s.edition.Load().segments {
		for r := range seg.transports {
			if seg.transports[r].body != nil {
				t.Fatal("made before anybody asked")
			}
		}
	}
	master := string(body(t, s, "/"+OldMasterPlaylist))
	if !strings.Contains(master, "#EXT-X-VERSION:3\n") || !strings.Contains(master, "\nsmall/ts.m3u8\n") || strings.Contains(master, playlistName) {
		t.Errorf("master:\n%s", master)
	}
	list, names, stream := old(t, s, "small")
	for _, never := range []string{"#EXT-X-GAP", "#EXT-X-PART", "#EXT-X-MAP", "#EXT-X-SKIP", "SERVER-CONTROL"} {
		if strings.Contains(list, never) {
			t.Errorf("%s in\n%s", never, list)
		}
	}
	if len(names) != 4 || !strings.Contains(list, "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.000Z\n#EXTINF:1,\n"+names[0]+"\n") {
		t.Errorf("%d segments:\n%s", len(names), list)
	}
	assertCounted(t, stream)
	ffmpeg(t, stream, "ffmpeg", "-xerror", "-err_detect", "explode", "-i", "-", "-f", "null", "-")
	_, media, _ := lists(t, s)
	parts := whole(t, s, media, "small")
	for kind, most := range map[string]time.Duration{"v": 34 * time.Millisecond, "a": 22 * time.Millisecond} {
		show := []string{"-select_streams", kind, "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-"}
		got := ffmpeg(t, stream, "ffprobe", show...)
		assertNoHole(t, got, most)
		if n, want := len(strings.Fields(got)), len(strings.Fields(ffmpeg(t, parts, "ffprobe", show...))); n != want {
			t.Errorf("%s: %d packets, the other form has %d", kind, n, want)
		}
	}
	if w := get(s, "/small/"+names[0]); w.Header().Get("Content-Type") != oldMediaType || w.Header().Get("Cache-Control") != cacheForever {
		t.Errorf("%v", w.Header())
	}
	for name, want := range map[string]int{"/small/1.ts": 410, "/small/99999999999.ts": 404, "/none/ts.m3u8": 404} {
		if w := get(s, name); w.Code != want {
			t.Errorf("%s: %d", name, w.Code)
		}
	}

	// Other pictures come after a discontinuity, as do the first.
	twice(4*time.Second, 6*time.Second, large)
	s.End()
	list, names, stream = old(t, s, "180p")
	if strings.Count(list, "#EXT-X-DISCONTINUITY\n") != 2 || !strings.HasSuffix(list, "#EXT-X-ENDLIST\n") || len(names) != 6 {
		t.Errorf("%d segments:\n%s", len(names), list)
	}
	assertCounted(t, stream)
}

// An event's segments are transport streams, too, after they have left the memory.
func TestTransportFromShelf(t *testing.T) {
	s := newEvent(t)
	small.write(t, s, 0, 40*time.Second)
	waitFor(t, "the disk", func() bool { return s.shelf.upTo.Load() == s.write.segments[39].msn+1 })
	small.write(t, s, 40*time.Second, 41*time.Second)
	list, names, stream := old(t, s, "180p")
	if len(names) != 41 || !strings.Contains(list, "#EXT-X-PLAYLIST-TYPE:EVENT\n") {
		t.Errorf("%d segments:\n%s", len(names), list)
	}
	assertCounted(t, stream)
	ffmpeg(t, stream, "ffmpeg", "-xerror", "-i", "-", "-c", "copy", "-f", "null", "-")
}

func TestNALUs(t *testing.T) {
	for _, bad := range []string{"", "abc", "\x00\x00\x00\x00", "\x00\x00\x00\x05abcd", "\xff\xff\xff\xffabcd"} {
		if units, err := nalus([]byte(bad)); err == nil {
			t.Errorf("%q: %q", bad, units)
		}
	}
	want := [][]byte{{1, 2}, {3}}
	if units, err := nalus(payload(want)); err != nil || !bytes.Equal(units[0], want[0]) || !bytes.Equal(units[1], want[1]) {
		t.Errorf("%v, %v", units, err)
	}
}

// A packet is divided into packets of the same content.
func TestDivided(t *testing.T) {
	plain := append([]byte{0x47, 0x41, 0x00, 0x10}, bytes.Repeat([]byte("0123"), 46)...)
	padded := append([]byte{0x47, 0x41, 0x00, 0x30, 7, 0x10, 1, 2, 3, 4, 5, 6}, bytes.Repeat([]byte("abcd"), 44)...)
	for _, p := range [][]byte{plain, padded} {
		for n := 2; n <= counters; n++ {
			out := appendDivided(nil, p, n)
			var carried []byte
			for i := 0; i < len(out); i += packetSize {
				q := out[i : i+packetSize]
				if begins := q[1]&0x40 != 0; begins != (i == 0) || q[0] != 0x47 || q[2] != 0 {
					t.Fatalf("% x", q[:8])
				}
				carried = append(carried, payloadOf(q)...)
			}
			if len(out) != n*packetSize || !bytes.Equal(carried, payloadOf(p)) {
				t.Fatalf("%d packets of %q", len(out)/packetSize, carried)
			}
			if p[3] == 0x30 && !bytes.Equal(out[5:12], p[5:12]) {
				t.Errorf("the field is % x", out[4:12])
			}
		}
	}
}
