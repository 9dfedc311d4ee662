package hls

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// A gap, and an encoder that begins anew off the beat, leave a timeline without holes, with parts and targets as
// before, and the sound of a part is of the time of its pictures: however late sound comes, and however much is filled
// at once.
func TestGapIsFilled(t *testing.T) {
	for _, tt := range []struct {
		resume time.Duration
		atOnce bool // the next encoder is there before anything was filled
	}{
		{3*time.Second + 2*time.Second/30, false},
		{4*time.Second + 10*time.Second/30, false},
		{5*time.Second + 28*time.Second/30, false},
		{3*time.Second + 10*time.Second/30, true},
		{3*time.Second + 23*time.Second/30, true},
		{5*time.Second + 1*time.Second/30, true},
	} {
		t.Run(fmt.Sprintf("%v,%v", tt.resume, tt.atOnce), func(t *testing.T) {
			s := newTestStream(t)
			const lag = 100 * time.Millisecond
			small.lagging(t, s, 0, 3*time.Second-4*time.Second/30, lag)
			for now := 3 * time.Second; !tt.atOnce && now < tt.resume-300*time.Millisecond; now += 100 * time.Millisecond {
				if err := s.Fill(now); err != nil {
					t.Fatal(err)
				}
			}
			small.lagging(t, s, tt.resume, tt.resume+4*time.Second, lag)
			s.End()
			_, media, dir := lists(t, s)
			if media.TargetDuration != 1 || media.PartInf.PartTarget != partDuration {
				t.Errorf("target %d s, parts %v", media.TargetDuration, media.PartInf.PartTarget)
			}
			for _, seg := range media.Segments {
				if seg.Duration > time.Second {
					t.Errorf("%s: %v", seg.URI, seg.Duration)
				}
				for i, part := range seg.Parts {
					if part.Duration > partDuration || part.Duration < partDuration && i < len(seg.Parts)-1 {
						t.Errorf("%s: %v", part.URI, part.Duration)
					}
				}
			}
			stream := whole(t, s, media, dir)
			ffmpeg(t, stream, "ffmpeg", "-xerror", "-i", "-", "-f", "null", "-")
			for _, seg := range s.write.segments {
				for i, p := range seg.parts {
					assertInStep(t, seg.first+uint64(i), p.bodies[0])
				}
			}
			for kind, most := range map[string]time.Duration{"v": partDuration, "a": 22 * time.Millisecond} {
				assertNoHole(t, ffmpeg(t, stream, "ffprobe", "-select_streams", kind, "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-"), most)
			}
		})
	}
}

// lagging is write with sound that comes later than the pictures of its time, and ends as early.
func (c *clip) lagging(t testing.TB, s *Stream, from, to, lag time.Duration) {
	t.Helper()
	a := 0
	for i := 0; from+time.Duration(i)*time.Second/30 < to; i++ {
		pts := from + time.Duration(i)*time.Second/30
		n := i % len(c.video)
		if err := s.WriteVideo(0, pts, c.keys[n], c.video[n]); err != nil {
			t.Fatalf("video at %v: %v", pts, err)
		}
		for ; from+duration(int64(a)*aacFrame, 48000) < pts-lag; a++ {
			if err := s.WriteAudio(from+duration(int64(a)*aacFrame, 48000), c.audio[a%len(c.audio)]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// assertInStep wants the sound of a part to be of the time of its pictures, to an access unit.
func assertInStep(t *testing.T, number uint64, body []byte) {
	t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal(body); err != nil || len(parts) != 1 || len(parts[0].Tracks) != 2 {
		t.Fatalf("part %d: %v, %+v", number, err, parts)
	}
	var from, to [2]time.Duration
	for i, track := range parts[0].Tracks {
		rate := []int64{videoClockRate, 48000}[i]
		end := track.BaseTime
		for _, sample := range track.Samples {
			end += uint64(sample.Duration)
		}
		from[i], to[i] = duration(int64(track.BaseTime), rate), duration(int64(end), rate)
	}
	const unit = aacFrame * time.Second / 48000
	if early, late := from[1]-from[0], to[1]-to[0]; early < -time.Microsecond || early > unit || late < -time.Microsecond || late > unit {
		t.Errorf("part %d: the sound begins %v after the pictures and ends %v after them", number, early, late)
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

// What an encoder sends late, and deltas to pictures that nobody has, are counted and dropped.
func TestLateUnits(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 2*time.Second)
	if err := s.WriteVideo(0, time.Second, true, small.video[0]); err != ErrNeedKey {
		t.Errorf("late: %v", err)
	}
	if err := s.WriteVideo(0, 2*time.Second, false, small.video[1]); err != ErrNeedKey {
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
	if err := s.WriteVideo(0, 0, true, []byte("no annex b")); err == nil {
		t.Error("no start code accepted")
	}
	if err := s.WriteVideo(0, 0, true, []byte{0, 0, 0, 1, 0x65, 1, 2}); err != ErrNoParameters {
		t.Errorf("no parameter sets: %v", err)
	}
	one := []Rendition{{Name: "a"}}
	for _, c := range []Config{
		{FrameRate: 30, SampleRate: 48000, Channels: 6, Renditions: one},
		{FrameRate: 0, SampleRate: 48000, Channels: 2, Renditions: one},
		{FrameRate: 30, SampleRate: 48000, Channels: 2},
		{FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "../a"}}},
		{FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: []Rendition{{Name: "a"}, {Name: "a"}}},
	} {
		if _, err := NewStream(c); err == nil {
			t.Errorf("accepted: %+v", c)
		}
	}
	small.write(t, s, 0, 2*time.Second)
	body(t, s, "/master.m3u8")
}

// Another picture size goes on behind the same playlist, after a discontinuity.
func TestNewParameters(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second+100*time.Millisecond)
	_, before, _ := lists(t, s)
	large.write(t, s, 4*time.Second, 7*time.Second)

	master, after, dir := lists(t, s)
	if master.Variants[0].Resolution != "640x360" {
		t.Errorf("variant %+v", master.Variants[0])
	}
	text := string(body(t, s, "/"+master.Variants[0].URI))
	parts := strings.Split(text, "#EXT-X-DISCONTINUITY\n")[1:] // the first is of the stream's beginning
	if len(parts) != 2 || !strings.Contains(parts[0], "#EXTINF:0.1,") || !strings.HasPrefix(parts[1], "#EXT-X-MAP:URI=") {
		t.Fatalf("not one discontinuity in\n%s", text)
	}
	if s.Stats().Renewed != 1 {
		t.Errorf("%+v", s.Stats())
	}
	size := func(list playlist.Media, from int) string {
		list.Segments = list.Segments[from:]
		got := ffmpeg(t, whole(t, s, list, dir), "ffprobe", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0", "-")
		return strings.TrimSpace(got)
	}
	if got := size(before, len(before.Segments)-1); got != "320,180" {
		t.Errorf("before: %s", got)
	}
	_, name, _ := strings.Cut(parts[1], `URI="`)
	after.Map.URI, _, _ = strings.Cut(name, `"`)
	if got := size(after, len(after.Segments)-2); got != "640,360" {
		t.Errorf("after: %s", got)
	}

	// It is counted when it leaves the window.
	large.write(t, s, 7*time.Second, 20*time.Second)
	text = string(body(t, s, "/"+master.Variants[0].URI))
	if strings.Contains(text, "#EXT-X-DISCONTINUITY\n") || !strings.Contains(text, "#EXT-X-DISCONTINUITY-SEQUENCE:2\n") {
		t.Error(text)
	}
}

// What a room's next stream lists comes after all that the one before did, and continues nothing of it.
func TestNextStream(t *testing.T) {
	number := func(text, tag string) (n uint64) {
		_, rest, _ := strings.Cut(text, tag+":")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			t.Fatalf("%s in\n%s: %v", tag, text, err)
		}
		return n
	}
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	large.write(t, s, 3*time.Second, 20*time.Second)
	before := string(body(t, s, "/180p/stream.m3u8"))
	c := s.cfg
	c.Start = c.Start.Add(20 * time.Second)
	var kept []Segment
	c.Keep = func(seg Segment) { kept = append(kept, seg) }
	next, err := NewStream(c)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	small.write(t, next, 0, 3*time.Second)
	after := string(body(t, next, "/180p/stream.m3u8"))
	if from := number(before, "#EXT-X-MEDIA-SEQUENCE") + windowSegments; number(after, "#EXT-X-MEDIA-SEQUENCE") <= from {
		t.Errorf("the one before has segments up to %d:\n%s", from, after)
	}
	if strings.Count(after, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP") != 1 {
		t.Errorf("no discontinuity in\n%s", after)
	}
	if first := next.edition.Load().segments[gapSegments].first; first <= s.edition.Load().nextPart {
		t.Errorf("the first part is %d, the one before has up to %d", first, s.edition.Load().nextPart)
	}
	if len(kept) == 0 || kept[0].Discontinuity {
		t.Error("who keeps the segments is told that the first does not continue the one before")
	}
}

// Sound that comes late is in the next part; sound that does not come is silence.
func TestLateSound(t *testing.T) {
	s := newTestStream(t)
	write := func(from, to int, sound bool, lag time.Duration) {
		for i := from; i < to; i++ {
			n := i % len(small.video)
			if err := s.WriteVideo(0, time.Duration(i)*time.Second/30, small.keys[n], small.video[n]); err != nil {
				t.Fatal(err)
			}
			if !sound {
				continue
			}
			for a := range 64 { // what has come until now, given again and again
				at := time.Duration(i-40)*time.Second/30 + time.Duration(a)*aacFrame*time.Second/48000 - lag
				if grid := ticks(at, 48000) / aacFrame * aacFrame; at >= 0 && at < time.Duration(i)*time.Second/30-lag {
					if err := s.WriteAudio(duration(grid, 48000), small.audio[0]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	write(0, 60, true, 100*time.Millisecond)
	if st := s.Stats(); st.Silent != 0 {
		t.Errorf("%+v", st)
	}
	write(60, 90, false, 0)
	if st := s.Stats(); st.Silent < 30 {
		t.Errorf("%+v", st)
	}
	write(90, 120, true, 100*time.Millisecond)
	_, media, dir := lists(t, s)
	assertNoHole(t, ffmpeg(t, whole(t, s, media, dir), "ffprobe", "-select_streams", "a", "-show_entries", "packet=pts_time", "-of", "csv=p=0", "-"), 22*time.Millisecond)
}

// An encoder without key pictures is told so, and the segments keep their length.
func TestNoKeyPictures(t *testing.T) {
	s := newTestStream(t)
	var refused int
	for i := range 60 {
		switch err := s.WriteVideo(0, time.Duration(i)*time.Second/30, i == 0, small.video[i%30]); {
		case errors.Is(err, ErrNeedKey):
			refused++
		case err != nil:
			t.Fatal(err)
		}
	}
	if refused != 30 {
		t.Errorf("%d refused", refused)
	}
}
