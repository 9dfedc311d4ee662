package live

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
	"amphi/server/policy"
)

// buildWorker builds the media worker once for all tests.
var buildWorker = sync.OnceValues(func() (string, error) {
	path := filepath.Join(playDir, mediaworker.Name)
	out, err := exec.Command("go", "build", "-o", path, "amphi/compositor").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// realWorker is the media worker itself.
func realWorker(t *testing.T) string {
	t.Helper()
	if out, err := exec.Command("pkg-config", "--exists", "libavcodec", "libavutil", "openh264", "opus").CombinedOutput(); err != nil {
		t.Skipf("the media worker cannot be built: libavcodec-dev, libavutil-dev, libopenh264-dev or libopus-dev is missing (%v) %s", err, out)
	}
	path, err := buildWorker()
	if err != nil {
		t.Fatalf("media worker: %v\n%s", err, path)
	}
	return path
}

// tool runs a program of ffmpeg's that must have nothing to complain about.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, append([]string{"-v", "error"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%v: %v\n%s", cmd.Args, err, errs.Bytes())
	}
	return out.Bytes()
}

// The whole way: two people publish over WebRTC, the media worker composes them, players decode
// it, also while the worker is killed.
func TestFromStageToPlayer(t *testing.T) {
	t.Parallel()
	h := newHouse(t, realWorker(t), Config{}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.Layers = []policy.HLSLayer{{Width: 640, Height: 360, VideoBitrate: 600}, {Width: 1280, Height: 720, VideoBitrate: 2000}}
		}
	})
	r := h.open()
	join(t, r, "ann")
	join(t, r, "bob")
	v := h.start(r)
	p := play(t, v.URL)

	probe := string(tool(t, "ffprobe", "-show_entries", "stream=codec_name,profile,width,height,sample_rate,channels", "-of", "csv=p=0", v.URL))
	for _, want := range []string{"h264,", "1280,720", "640,360", "aac,LC,48000,2"} {
		if !strings.Contains(probe, want) {
			t.Errorf("ffprobe does not see %q in\n%s", want, probe)
		}
	}
	decode := func(seconds int) {
		t.Helper()
		// Every second a picture in 16 by 9 grey pixels, as a fingerprint of what is seen.
		raw := tool(t, "ffmpeg", "-xerror", "-t", strconv.Itoa(seconds), "-i", v.URL,
			"-map", "0:v:0", "-vf", "fps=1,scale=16:9,format=gray", "-f", "rawvideo", "-", "-map", "0:a:0", "-f", "null", "-")
		if n := len(raw) / (16 * 9); n < seconds-1 || n > seconds+1 {
			t.Errorf("%d pictures in %d s", n, seconds)
		}
		if last := raw[len(raw)-16*9:]; spread(last) < 50 {
			t.Errorf("the picture is empty: %v", last)
		}
	}
	decode(5)

	began := time.Now()
	first := h.stream(r.ID()).worker.Load()
	if err := first.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	h.until("the next worker's pictures", func() bool {
		w := h.stream(r.ID()).worker.Load()
		return w != nil && w != first && w.stats.Load() != nil && w.stats.Load().Ticks > 15
	})
	t.Logf("the next worker had made 15 pictures %v after the kill", time.Since(began).Round(time.Millisecond))
	h.until("the player at a time after the kill", func() bool { at := p.date.Load(); return at != nil && at.After(began.Add(time.Second)) })
	decode(5)
	st := h.Stats()
	if st.Restarts < 1 || st.FramesIn < 500 {
		t.Errorf("%+v", st)
	}
	for i, stage := range st.stages() {
		if stage := *stage; stage == 0 && wire.Stage(i) != wire.StageScale {
			t.Errorf("nothing is known to have gone into %v", wire.Stage(i))
		}
	}
	t.Logf("%+v\n%+v", st, h.stream(r.ID()).broadcast.out.Stats())
}

func spread(pixels []byte) int {
	low, high := 255, 0
	for _, p := range pixels {
		low, high = min(low, int(p)), max(high, int(p))
	}
	return high - low
}
