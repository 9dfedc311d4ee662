//go:build cgo

package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"

	"amphi/compositor/codec"
	"amphi/compositor/internal/clip"
	"amphi/compositor/wire"
)

var program string // the worker's program

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(refusals) != "" {
			return tryRefused()
		}
		dir, err := os.MkdirTemp("", "amphi-compositor-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "amphi-compositor")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		code := m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return code
	}())
}

// The clips: plain colours, so that a decoded pixel says whose picture it is.
type clipSet struct {
	red, blue, large *clip.Clip // VP8; VP8 640x360; VP8 2048x1152
	green, largeH264 *clip.Clip
	tone             *clip.Clip
}

var clips = sync.OnceValues(func() (s clipSet, err error) {
	if err = clip.Missing(); err != nil {
		return s, err
	}
	for _, c := range []struct {
		into   **clip.Clip
		encode func() (*clip.Clip, error)
	}{
		{&s.red, func() (*clip.Clip, error) { return clip.VP8("color=c=0xd02020:s=640x360:r=30", 300_000, time.Second) }},
		{&s.blue, func() (*clip.Clip, error) { return clip.VP8("color=c=0x2020d0:s=360x640:r=30", 300_000, time.Second) }},
		{&s.green, func() (*clip.Clip, error) { return clip.H264("color=c=0x20a020:s=320x180:r=30", 300_000, time.Second) }},
		{&s.large, func() (*clip.Clip, error) {
			return clip.VP8("color=s=2048x1152:r=30", 300_000, 100*time.Millisecond)
		}},
		{&s.largeH264, func() (*clip.Clip, error) {
			return clip.H264("color=s=7680x4320:r=30", 300_000, 100*time.Millisecond)
		}},
		{&s.tone, func() (*clip.Clip, error) { return clip.Opus("sine=f=440,volume=2", time.Second) }},
	} {
		if *c.into, err = c.encode(); err != nil {
			return s, err
		}
	}
	return s, nil
})

// process is a running worker and everything it has sent.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	log *bytes.Buffer
	end chan struct{} // closed when its output has ended

	feeds []func() // stop the feeding goroutines

	sending sync.Mutex
	w       *wire.Writer

	mu      sync.Mutex // guards all below
	begin   time.Time  // when Started came
	started *wire.Started
	video   [][]*wire.Video // by rendition
	audio   []*wire.Audio
	needKey map[uint32]int
	stats   *wire.Stats
	beats   int // how many of them came
	readErr error
}

func launch(t *testing.T, start *wire.Start) *process {
	t.Helper()
	p := &process{
		t: t, cmd: exec.Command(program), log: new(bytes.Buffer), end: make(chan struct{}),
		video: make([][]*wire.Video, len(start.Renditions)), needKey: make(map[uint32]int),
	}
	p.cmd.Stderr = p.log
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, stop := range p.feeds {
			stop()
		}
		p.cmd.Process.Kill()
		<-p.end
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("worker's log:\n%s", p.log)
		}
	})
	go p.read(out)
	p.w = wire.NewWriter(p.in)
	p.send(start)
	p.until("started", func() bool { return p.started != nil })
	return p
}

func (p *process) read(out io.Reader) {
	defer close(p.end)
	r := wire.NewReader(out)
	for {
		m, err := r.Next()
		p.mu.Lock()
		if err != nil {
			p.readErr = err
			p.mu.Unlock()
			return
		}
		switch m := m.(type) {
		case *wire.Started:
			p.started, p.begin = m, time.Now()
		case *wire.Video:
			p.video[m.Rendition] = append(p.video[m.Rendition], m)
		case *wire.Audio:
			p.audio = append(p.audio, m)
		case *wire.NeedKey:
			p.needKey[m.Input]++
		case *wire.Stats:
			p.stats = m
			p.beats++
		}
		p.mu.Unlock()
	}
}

func (p *process) send(messages ...wire.Message) {
	p.sending.Lock()
	defer p.sending.Unlock()
	for _, m := range messages {
		if err := p.w.Send(m); err != nil {
			p.t.Errorf("%T: %v", m, err)
		}
	}
	if err := p.w.Flush(); err != nil {
		p.t.Errorf("worker does not read: %v", err)
	}
}

// until waits for a condition on what has been received.
func (p *process) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		ok := done()
		p.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// input is what Stats say of an input. Call with mu held.
func (p *process) input(id uint32) wire.InputStats {
	if p.stats != nil {
		for _, in := range p.stats.Inputs {
			if in.ID == id {
				return in
			}
		}
	}
	return wire.InputStats{}
}

// feed plays a clip into an input in real time until stop is called.
func (p *process) feed(id uint32, c *clip.Clip, change func(i int, f *clip.Frame)) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		begin := time.Now()
		for i := 0; ; i++ {
			f := c.At(i)
			f.Data = bytes.Clone(f.Data)
			if change != nil {
				change(i, &f)
			}
			select {
			case <-quit:
				return
			case <-time.After(time.Until(begin.Add(f.Time))):
			}
			p.send(&wire.Frame{Input: id, RTP: f.RTP, Capture: begin.Add(f.Time).UnixNano(), Key: f.Key, Data: f.Data})
		}
	}()
	stop = sync.OnceFunc(func() {
		close(quit)
		<-done
	})
	p.feeds = append(p.feeds, stop)
	return stop
}

// ticks waits for so many more pictures and returns the timestamp of the last, which shows what
// has been sent until now: a worker that is behind reads nothing, but then sends no Stats either.
func (p *process) ticks(n int) int64 {
	p.t.Helper()
	p.mu.Lock()
	want, beat := len(p.video[0])+n, p.beats+2
	p.mu.Unlock()
	var last int64
	p.until("pictures", func() bool {
		if len(p.video[0]) < want || p.beats < beat {
			return false
		}
		last = p.video[0][len(p.video[0])-1].PTS
		return true
	})
	return last
}

// finish stops the worker and checks that it ends well.
func (p *process) finish() {
	p.t.Helper()
	for _, stop := range p.feeds {
		stop()
	}
	p.send(&wire.Stop{})
	select {
	case <-p.end:
	case <-time.After(10 * time.Second):
		p.t.Fatal("the worker does not stop")
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("worker: %v", err)
	}
	if !errors.Is(p.readErr, io.EOF) {
		p.t.Errorf("output ends with %v", p.readErr)
	}
}

// checkStream holds what every output must: a picture at each tick, key frames where they belong,
// nothing that ffmpeg complains of.
func (p *process) checkStream(start *wire.Start) {
	p.t.Helper()
	dir := p.t.TempDir()
	base := start.Offset.Milliseconds()
	for i, video := range p.video {
		var file bytes.Buffer
		lastKey := base * 90
		for k, v := range video {
			if want := base*90 + int64(k)*90000/int64(start.FPS); v.PTS != want {
				p.t.Fatalf("rendition %d: picture %d at %d, want %d", i, k, v.PTS, want)
			}
			if k == 0 && !v.Key {
				p.t.Errorf("rendition %d does not begin with a key frame", i)
			}
			due := (v.PTS-base*90)/(90000/int64(start.FPS))%int64(start.KeyInterval) == 0
			if due && !v.Key {
				p.t.Errorf("rendition %d: no key frame at %d", i, v.PTS)
			}
			if v.Key {
				lastKey = v.PTS
			} else if v.PTS-lastKey > int64(start.KeyInterval)*90000/int64(start.FPS)*2 {
				p.t.Errorf("rendition %d: no key frame for long at %d", i, v.PTS)
			}
			if len(p.video[0]) > k && (p.video[0][k].PTS != v.PTS || p.video[0][k].Key != v.Key) {
				p.t.Fatalf("rendition %d is not aligned at %d", i, v.PTS)
			}
			file.Write(v.Data)
		}
		p.accepted(filepath.Join(dir, fmt.Sprintf("%d.h264", i)), file.Bytes(), "-c:v", "h264")
	}
	var config mpeg4audio.AudioSpecificConfig
	if err := config.Unmarshal(p.started.AudioConfig); err != nil {
		p.t.Fatal(err)
	}
	for k, a := range p.audio {
		if want := base*48 + int64(k)*1024; a.PTS != want {
			p.t.Fatalf("sound %d at %d, want %d", k, a.PTS, want)
		}
	}
	p.accepted(filepath.Join(dir, "sound.aac"), p.adts())
}

func (p *process) adts() []byte {
	var packets mpeg4audio.ADTSPackets
	for _, a := range p.audio {
		packets = append(packets, &mpeg4audio.ADTSPacket{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, AU: a.Data})
	}
	b, err := packets.Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// accepted decodes a file with ffmpeg, which must not find anything wrong.
func (p *process) accepted(file string, content []byte, args ...string) {
	p.t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		p.t.Fatal(err)
	}
	args = append(append([]string{"-v", "warning", "-nostdin", "-err_detect", "explode"}, args...), "-i", file, "-f", "null", "-")
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	// A raw file has no length from which ffmpeg could tell its bit rate.
	if err != nil || text != "" && !strings.Contains(text, "Estimating duration from bitrate") {
		p.t.Errorf("ffmpeg: %v: %s", err, text)
	}
}

// loudness is the mean level of the sound between two times in samples, by ffmpeg.
func (p *process) loudness() []float32 {
	p.t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "aac", "-i", "-", "-f", "f32le", "-ac", "1", "-")
	cmd.Stdin = bytes.NewReader(p.adts())
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return blocks(out)
}

// album decodes a rendition and keeps some of its pictures by their timestamps.
type album map[int64]*codec.Picture

func (p *process) album(rendition int, keep ...int64) album {
	p.t.Helper()
	d, err := codec.NewVideoDecoder(codec.H264)
	if err != nil {
		p.t.Fatal(err)
	}
	defer d.Close()
	pictures := make(album)
	for _, v := range p.video[rendition] {
		picture, err := d.Decode(v.Data)
		if err != nil || picture == nil {
			p.t.Fatalf("picture at %d: %v", v.PTS, err)
		}
		if slices.Contains(keep, v.PTS) {
			pictures[v.PTS] = picture
		} else {
			picture.Close()
		}
	}
	p.t.Cleanup(func() {
		for _, picture := range pictures {
			picture.Close()
		}
	})
	return pictures
}

// color names what is seen in the middle of a rectangle.
func (a album) color(pts int64, r image.Rectangle) string {
	m := a[pts]
	if m == nil {
		return "no picture"
	}
	x, y := (r.Min.X+r.Max.X)/2, (r.Min.Y+r.Max.Y)/2
	l, u, v := int(m.Y[y*m.YStride+x]), int(m.U[y/2*m.CStride+x/2]), int(m.V[y/2*m.CStride+x/2])
	switch {
	case l < 40 && u > 110 && u < 146 && v > 110 && v < 146:
		return "dark"
	case v > 170:
		return "red"
	case u > 170:
		return "blue"
	case u < 105 && v < 105:
		return "green"
	case l > 190:
		return "white"
	}
	return fmt.Sprintf("yuv(%d,%d,%d)", l, u, v)
}
