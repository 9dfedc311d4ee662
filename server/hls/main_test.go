package hls

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"
)

// small and large are clips of the test picture with a tone, 30 fps, a key picture a second.
var small, large *clip

func TestMain(m *testing.M) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		fmt.Println("hls: the tests need ffmpeg (apt-get install ffmpeg)")
		os.Exit(1)
	}
	var err error
	if small, err = newClip("320x180", 4); err == nil {
		large, err = newClip("640x360", 2)
	}
	if err != nil {
		fmt.Println("hls: encode clips:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// clip is encoded media that can be repeated without end.
type clip struct {
	video [][]byte // Annex-B access units, 30 a second
	keys  []bool
	audio [][]byte // AAC-LC access units, 48 kHz stereo
}

func newClip(size string, seconds int) (*clip, error) {
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd.Output()
	}
	dur := fmt.Sprint(seconds)
	h264, err := run("-f", "lavfi", "-i", "testsrc2=rate=30:size="+size, "-t", dur, "-c:v", "libx264",
		"-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-")
	if err != nil {
		return nil, err
	}
	adts, err := run("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", dur, "-ac", "2",
		"-c:a", "aac", "-b:a", "64k", "-f", "adts", "-")
	if err != nil {
		return nil, err
	}
	c := &clip{}
	aud := []byte{0, 0, 0, 1, 9}
	for _, au := range bytes.Split(h264, aud)[1:] {
		key := bytes.Contains(au, []byte{0, 0, 1, 0x65})
		c.video = append(c.video, append(bytes.Clone(aud), au...))
		c.keys = append(c.keys, key)
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(adts); err != nil {
		return nil, err
	}
	for _, p := range packets {
		c.audio = append(c.audio, p.AU)
	}
	if len(c.video) != 30*seconds {
		return nil, fmt.Errorf("%d pictures in %d s", len(c.video), seconds)
	}
	return c, nil
}

// write gives a stream the clip's media from one presentation time to another, as an encoder
// started at from would: its first picture is a key picture.
func (c *clip) write(t testing.TB, s *Stream, from, to time.Duration) {
	t.Helper()
	c.feed(t, s, from, to, func(time.Duration) bool { return true })
}

// feed is write with a say before each picture.
func (c *clip) feed(t testing.TB, s *Stream, from, to time.Duration, next func(time.Duration) bool) {
	t.Helper()
	for i, a := 0, 0; ; i++ {
		pts := from + time.Duration(i)*time.Second/30
		if pts >= to || !next(pts) {
			return
		}
		n := i % len(c.video)
		if err := s.WriteVideo(0, pts, c.keys[n], c.video[n]); err != nil {
			t.Errorf("video at %v: %v", pts, err)
			return
		}
		for ; ; a++ {
			at := from + time.Duration(a)*aacFrame*time.Second/48000
			if at >= pts+time.Second/30 {
				break
			}
			if err := s.WriteAudio(at, c.audio[a%len(c.audio)]); err != nil {
				t.Errorf("audio at %v: %v", at, err)
				return
			}
		}
	}
}

// live feeds a stream in real time until the test says stop.
func (c *clip) live(t testing.TB, s *Stream) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		c.feed(t, s, 0, time.Hour, func(pts time.Duration) bool {
			select {
			case <-time.After(time.Until(began.Add(pts))):
				return true
			case <-quit:
				return false
			}
		})
	}()
	return func() { close(quit); <-done }
}

var testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestStream(t testing.TB) *Stream {
	t.Helper()
	return newStreamOf(t, Rendition{Name: "180p", Bitrate: 100_000})
}

func newStreamOf(t testing.TB, renditions ...Rendition) *Stream {
	t.Helper()
	s, err := NewStream(Config{
		Start: testStart, FrameRate: 30, SampleRate: 48000, Channels: 2, Renditions: renditions,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// get asks a handler without a network.
func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func body(t testing.TB, h http.Handler, target string) []byte {
	t.Helper()
	w := get(h, target)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	b, _ := io.ReadAll(w.Body)
	return b
}

// ffmpeg runs a tool of ffmpeg's and wants it to have nothing to complain about.
func ffmpeg(t testing.TB, stdin []byte, tool string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool, append([]string{"-v", "error"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, errs.Bytes())
	}
	return out.String()
}
