// Bench measures the media worker: the real process, in real time, fed as the server feeds it.
// It prints one line "name value unit" for each figure.
//
//	go run ./compositor/bench [-for 15s] [-worker bin/amphi-compositor] [-browser]
//
// Processor time is quoted, not wall time. It still varies by half with what else the machine, or
// its host, does: compare the ratio to ffmpeg, which right afterwards composes the same pictures
// in real time, without sound and names, with one thread of x264 superfast.
//
// Where the time goes, of four people in 360p on one size: 60 % into libopenh264, without a function that takes more than
// 3 % of all; 25 % into libavcodec's VP8 decoder; 9 % into sound, a third of it AAC and a third Opus; 3 % into waking up
// 30 times a second and taking in messages; 2 % into drawing, which at this size is copying. What is left to gain would
// cost quality: without its loop filter libopenh264 takes an eighth less for 0.3 dB, with CAVLC for 0.5 dB, and x264 is
// as fast where it looks as good. An encoder that works in one go, and not 30 times a second with cold caches, takes a
// third less.
//
// Nine people are shown in tiles of 420x236: of cameras that send layers of 180, 360 and 720 lines the second is decoded.
// The run with the first tells what the other choice would save; its pictures are visibly softer (SSIM of the composed
// stream to the pictures before all encoders 0.76, with the second 0.89).
//
// Memory is the largest resident set. Needs ffmpeg, which also makes the clips.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"amphi/compositor/internal/clip"
	"amphi/compositor/label"
	"amphi/compositor/layout"
	"amphi/compositor/wire"
)

func main() {
	length := flag.Duration("for", 15*time.Second, "how long each run is measured")
	worker := flag.String("worker", "", "the worker's program; built when empty")
	browser := flag.Bool("browser", false, "compare with a browser on a virtual screen, too: needs Chromium and Xvfb")
	only := flag.String("only", "", "only runs whose name contains this")
	flag.Parse()
	if err := bench(*length, *worker, *only, *browser); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sources are nine moving pictures of different kinds, some easy to encode and some hard. They are the same each time,
// and, as cameras do, keep to the bit rate that they are told.
var sources = []string{
	"mandelbrot=s=640x360:r=30",
	"testsrc2=s=640x360:r=30,noise=alls=12:allf=t",
	"testsrc=s=640x360:r=30,rotate=t*0.5",
	"life=s=320x180:r=30:mold=10:ratio=0.1:death_color=#304060:life_color=#c0d0ff:random_seed=1,scale=640:360",
	"cellauto=s=160x90:r=30:rule=110:random_seed=1,scale=640:360,eq=contrast=0.4",
	"gradients=s=640x360:r=30:speed=0.05:seed=1,format=yuv420p,noise=alls=8:allf=t",
	"testsrc2=s=640x360:r=30,hue=H=t",
	"mandelbrot=s=640x360:r=30:start_scale=0.5,hue=s=0.4",
	"smptehdbars=s=640x360:r=30,noise=alls=20:allf=t",
}

type run struct {
	name       string
	people     int
	renditions []wire.Rendition
	layer      layer // of simulcast, that comes
}

// layer is what a camera sends.
type layer struct {
	w, h    int
	bitrate int // bit/s
}

var (
	quarter = layer{320, 180, 150_000}
	half    = layer{640, 360, 600_000}
	full    = layer{1280, 720, 1_500_000}
)

// clips encodes the first n sources.
func (l layer) clips(n int) (list []*clip.Clip, err error) {
	size := strings.NewReplacer("640x360", fmt.Sprintf("%dx%d", l.w, l.h), "640:360", fmt.Sprintf("%d:%d", l.w, l.h))
	for _, s := range sources[:n] {
		c, err := clip.VP8(size.Replace(s), l.bitrate, 10*time.Second)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func bench(length time.Duration, worker, only string, browser bool) error {
	if err := clip.Missing(); err != nil {
		return err
	}
	if worker == "" {
		dir, err := os.MkdirTemp("", "amphi-bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		worker = filepath.Join(dir, "amphi-compositor")
		if out, err := exec.Command("go", "build", "-o", worker, "amphi/compositor").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	one := []wire.Rendition{{Width: 1280, Height: 720, Bitrate: 2_500_000}}
	three := append(one[:1:1], wire.Rendition{Width: 854, Height: 480, Bitrate: 1_200_000}, wire.Rendition{Width: 640, Height: 360, Bitrate: 600_000})
	var sounds []*clip.Clip
	cores := make(map[string]float64)
	for _, r := range []run{
		{"compositor.4x360.1", 4, one, half},
		{"compositor.9x360.1", 9, one, half},
		{"compositor.9x180.1", 9, one, quarter},
		{"compositor.4x360.3", 4, three, half},
		{"compositor.4x720.1", 4, one, full},
	} {
		if !strings.Contains(r.name, only) {
			continue
		}
		videos, err := r.layer.clips(r.people)
		if err != nil {
			return err
		}
		for len(sounds) < r.people {
			a, err := clip.Opus(fmt.Sprintf("sine=f=%d,volume=0.1,tremolo=f=%d", 200+60*len(sounds), 2+len(sounds)), 10*time.Second)
			if err != nil {
				return err
			}
			sounds = append(sounds, a)
		}
		if cores[r.name], err = r.measure(worker, length, videos, sounds[:r.people]); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if browser && r.anchor() {
			if err := r.browser(cores[r.name], length, videos); err != nil {
				return fmt.Errorf("browser: %w", err)
			}
		}
	}
	if best := cores["compositor.4x720.1"]; best > 0 && cores["compositor.4x360.1"] > 0 {
		fmt.Printf("compositor.layer_that_fits %.2f ratio\n", cores["compositor.4x360.1"]/best)
	}
	return nil
}

// anchor says that a run is the one that others are compared in.
func (r run) anchor() bool { return r.people == 4 && len(r.renditions) == 1 && r.layer == half }

// reference prints the processor time by which ffmpeg composes four of the clips.
func (r run) reference(ours float64, length time.Duration, videos []*clip.Clip) error {
	dir, err := os.MkdirTemp("", "amphi-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := []string{"-v", "error", "-nostdin", "-filter_threads", "1", "-filter_complex_threads", "1"}
	for i, v := range videos {
		file := filepath.Join(dir, fmt.Sprintf("%d.ivf", i))
		if err := os.WriteFile(file, v.IVF, 0o600); err != nil {
			return err
		}
		args = append(args, "-threads", "1", "-re", "-stream_loop", "-1", "-i", file)
	}
	args = append(args, "-filter_complex", "[0][1][2][3]xstack=inputs=4:layout=0_0|640_0|0_360|640_360",
		"-t", fmt.Sprint(length.Seconds()), "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-threads", "1",
		"-g", "60", "-b:v", "2500k", "-maxrate", "3000k", "-bufsize", "2500k", "-x264-params", "scenecut=0", "-f", "null", "-")
	cmd := exec.Command("ffmpeg", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	theirs := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / length.Seconds()
	fmt.Printf("%s.ffmpeg.cores %.3f cores\n", r.name, theirs)
	fmt.Printf("%s.vs_ffmpeg %.2f ratio\n", r.name, ours/theirs)
	return nil
}

// measure prints the figures of a run and returns the cores that it took.
func (r run) measure(worker string, length time.Duration, videos, sounds []*clip.Clip) (cores float64, err error) {
	cmd := exec.Command(worker)
	cmd.Env = append(os.Environ(), wire.Environment)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()

	w := wire.NewWriter(in)
	for _, m := range r.setUp() {
		if err := w.Send(m); err != nil {
			return 0, err
		}
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	result := make(chan any, 1)
	go func() { result <- collect(out, length) }()
	if err := feed(w, length+3*time.Second, videos, sounds); err != nil {
		return 0, err
	}
	peak, err := peakMemory(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := w.Send(&wire.Stop{}); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	switch got := (<-result).(type) {
	case error:
		return 0, got
	case figures:
		fmt.Printf("%s.cores %.3f cores\n", r.name, got.cores)
		for s, cores := range got.stages {
			fmt.Printf("%s.%v.cores %.4f cores\n", r.name, wire.Stage(s), cores)
		}
		fmt.Printf("%s.mem %.1f MiB\n", r.name, float64(peak)/(1<<20))
		fmt.Printf("%s.ticks_repeated %d count\n", r.name, got.ticksRepeated)
		fmt.Printf("%s.frames_dropped %d count\n", r.name, got.framesDropped)
		if share := float64(got.ticksRepeated) / (30 * length.Seconds()); share > 0.01 {
			fmt.Fprintf(os.Stderr, "bench: %s: %.0f %% of the pictures were repeated as the machine was too busy: the figures are too low\n", r.name, 100*share)
		}
		fmt.Printf("%s.bitrate %.0f kbit/s\n", r.name, got.kbits)
		if r.anchor() {
			return got.cores, r.reference(got.cores, length, videos)
		}
		return got.cores, nil
	}
	return 0, nil
}

// setUp is a grid with names, as the server makes it.
func (r run) setUp() []wire.Message {
	messages := []wire.Message{&wire.Start{Renditions: r.renditions, FPS: 30, KeyInterval: 30, AudioBitrate: 128_000}}
	canvas := layout.Canvas{W: int(r.renditions[0].Width), H: int(r.renditions[0].Height)}
	labels := label.New(label.Config{BuiltinOnly: true})
	scene := &wire.Scene{Background: 0x0b0f1a}
	for i, tile := range canvas.Arrange(layout.Style{}, r.people) {
		id := uint32(i + 1)
		messages = append(messages,
			&wire.AddInput{ID: id, Codec: wire.VP8, Sync: id},
			&wire.AddInput{ID: 100 + id, Codec: wire.Opus, Sync: id})
		name := labels.Name(label.Name{Text: fmt.Sprintf("Person %d", id), Height: canvas.LabelHeight(), MaxWidth: canvas.LabelWidth(tile.Rect)})
		messages = append(messages, &wire.Bitmap{ID: id, W: uint16(name.W), H: uint16(name.H), Pix: name.Pix})
		scene.Items = append(scene.Items,
			wire.Item{Source: wire.FromInput, ID: id, Rect: tile.Rect, Radius: uint8(tile.Radius)},
			wire.Item{Source: wire.FromBitmap, ID: id, Rect: canvas.LabelAt(tile.Rect, name.Size())})
	}
	return append(messages, scene)
}

// feed sends all clips in real time.
func feed(w *wire.Writer, length time.Duration, videos, sounds []*clip.Clip) error {
	type stream struct {
		id   uint32
		clip *clip.Clip
		next int
	}
	var streams []*stream
	for i := range videos {
		streams = append(streams, &stream{uint32(i + 1), videos[i], 0}, &stream{uint32(101 + i), sounds[i], 0})
	}
	begin := time.Now()
	for now := time.Duration(0); now < length; now = time.Since(begin) {
		wake := length
		for i, s := range streams {
			// People are not in step: each begins a little later.
			shift := time.Duration(i) * 3 * time.Millisecond
			for {
				f := s.clip.At(s.next)
				if f.Time+shift > now {
					wake = min(wake, f.Time+shift)
					break
				}
				s.next++
				m := &wire.Frame{Input: s.id, RTP: f.RTP, Capture: begin.Add(f.Time + shift).UnixNano(), Key: f.Key, Data: f.Data}
				if err := w.Send(m); err != nil {
					return err
				}
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		time.Sleep(time.Until(begin.Add(wake)))
	}
	return nil
}

type figures struct {
	cores, kbits                 float64
	stages                       [wire.Stages]float64 // cores
	ticksRepeated, framesDropped uint64
}

// collect reads what the worker makes and compares its statistics of one second after the start
// with those a run's length later.
func collect(out io.Reader, length time.Duration) any {
	r := wire.NewReader(out)
	var first, last *wire.Stats
	var firstAt, lastAt time.Time
	var begin time.Time
	bytes := 0
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Started:
			begin = time.Now()
		case *wire.Video:
			if first != nil && m.Rendition == 0 && time.Since(firstAt) < length {
				bytes += len(m.Data)
			}
		case *wire.Stats:
			if first == nil && time.Since(begin) > time.Second {
				first, firstAt = m, time.Now()
			}
			if first != nil && (last == nil || lastAt.Sub(firstAt) < length) {
				last, lastAt = m, time.Now()
			}
		}
	}
	if first == nil || lastAt.Sub(firstAt) < length {
		return errors.New("the worker ended early")
	}
	f := figures{
		cores:         float64(last.CPU-first.CPU) / float64(lastAt.Sub(firstAt)),
		kbits:         float64(bytes) * 8 / 1000 / length.Seconds(),
		ticksRepeated: last.TicksRepeated,
	}
	for s := range f.stages {
		f.stages[s] = float64(last.Stages[s]-first.Stages[s]) / float64(lastAt.Sub(firstAt))
	}
	for _, in := range last.Inputs {
		f.framesDropped += in.Dropped
	}
	return f
}

func peakMemory(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmHWM")
}
