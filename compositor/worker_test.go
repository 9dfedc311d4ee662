//go:build cgo

package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/compositor/internal/clip"
	"amphi/compositor/layout"
	"amphi/compositor/wire"
)

var output720 = wire.Start{
	Renditions: []wire.Rendition{{Width: 1280, Height: 720, Bitrate: 2_500_000}},
	FPS:        30, KeyInterval: 30, AudioBitrate: 128_000,
}

// blocks gives the level of each tenth of a second of mono float samples.
func blocks(pcm []byte) (levels []float32) {
	const n = 4800
	for ; len(pcm) >= 4*n; pcm = pcm[4*n:] {
		sum := 0.0
		for i := range n {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(pcm[4*i:])))
			sum += v * v
		}
		levels = append(levels, float32(math.Sqrt(sum/n)))
	}
	return levels
}

func bitmap(id uint32, w, h int, luma, alpha byte) *wire.Bitmap {
	pix := append(bytes.Repeat([]byte{luma}, w*h), bytes.Repeat([]byte{128}, w*h/2)...)
	return &wire.Bitmap{ID: id, W: uint16(w), H: uint16(h), Pix: append(pix, bytes.Repeat([]byte{alpha}, w*h)...)}
}

func need(t *testing.T) clipSet {
	t.Helper()
	s, err := clips()
	if err != nil {
		t.Skip("no clips: ", err)
	}
	return s
}

// TestLive lets people come, mute, turn off their cameras and go, while it runs.
func TestLive(t *testing.T) {
	t.Parallel()
	c := need(t)
	start := output720
	start.Offset = 90 * time.Second
	p := launch(t, &start)
	if d := time.Since(time.Unix(0, p.started.Epoch).Add(start.Offset)); d < 0 || d > 5*time.Second {
		t.Errorf("epoch is %v off", d)
	}
	grid := layout.Canvas{W: 1280, H: 720}.Arrange(layout.Style{}, 2)
	left, right := grid[0].Rect, grid[1].Rect
	above := image.Rect(left.Min.X, 0, left.Max.X, left.Min.Y&^1)
	empty := p.ticks(5)

	// One person with camera and microphone on the left; a placeholder on the right.
	p.send(
		&wire.AddInput{ID: 1, Codec: wire.VP8, Sync: 1},
		&wire.AddInput{ID: 2, Codec: wire.Opus, Sync: 1},
		bitmap(50, right.Dx(), right.Dy(), 235, 255),
		&wire.Scene{Background: 0x0b0f1a, Items: []wire.Item{
			{Source: wire.FromInput, ID: 1, Rect: left, Radius: 12},
			{Source: wire.FromBitmap, ID: 50, Rect: right},
			{Source: wire.FromInput, ID: 3, Rect: right, Radius: 12},
		}})
	stopRed := p.feed(1, c.red, nil)
	stopTone := p.feed(2, c.tone, nil)
	p.until("red decoded", func() bool { return p.input(1).Width == 640 && p.input(2).Frames > 20 && p.input(2).Level < 30 })
	one := p.ticks(10)

	// Another comes with H.264.
	p.send(&wire.AddInput{ID: 3, Codec: wire.H264})
	stopGreen := p.feed(3, c.green, nil)
	p.until("green decoded", func() bool { return p.input(3).Width == 320 })
	two := p.ticks(10)

	// The first mutes, and turns the camera upright and then off.
	stopTone()
	stopRed()
	p.send(&wire.AddInput{ID: 1, Codec: wire.VP8, Sync: 1})
	stopBlue := p.feed(1, c.blue, nil)
	p.until("blue decoded", func() bool { return p.input(1).Height == 640 && p.input(2).Level == 127 })
	upright := p.ticks(10)
	stopBlue()
	p.send(&wire.RemoveInput{ID: 1})
	p.send(&wire.ForceKey{})
	off := p.ticks(10)

	// The second leaves, and the placeholder is seen again until it is dropped.
	stopGreen()
	p.send(&wire.RemoveInput{ID: 3})
	left2 := p.ticks(10)
	p.send(&wire.DropBitmap{ID: 50})
	nobody := p.ticks(10)
	p.finish()

	p.checkStream(&start)
	a := p.album(0, empty, one, two, upright, off, left2, nobody)
	for _, e := range []struct {
		what        string
		pts         int64
		left, right string
	}{
		{"empty", empty, "dark", "dark"},
		{"one person", one, "red", "white"},
		{"two", two, "red", "green"},
		{"upright camera", upright, "blue", "green"},
		{"camera off", off, "dark", "green"},
		{"second left", left2, "dark", "white"},
		{"nobody", nobody, "dark", "dark"},
	} {
		if l, r := a.color(e.pts, left), a.color(e.pts, right); l != e.left || r != e.right {
			t.Errorf("%s: %s and %s, want %s and %s", e.what, l, r, e.left, e.right)
		}
		if b := a.color(e.pts, above); b != "dark" {
			t.Errorf("%s: background is %s", e.what, b)
		}
	}
	levels := p.loudness()
	index := func(pts int64) int { return int((pts - start.Offset.Milliseconds()*90) / 9000) }
	if l := levels[index(one)-2]; l < 0.05 {
		t.Errorf("level %v while the microphone is on", l)
	}
	if l := levels[min(index(nobody), len(levels)-1)]; l > 0.001 {
		t.Errorf("level %v after it was muted", l)
	}
	forced := 0
	for _, v := range p.video[0] {
		if v.Key && (v.PTS-start.Offset.Milliseconds()*90)%90000 != 0 {
			forced++
		}
	}
	if forced == 0 {
		t.Error("ForceKey did nothing")
	}
}

// TestBroken feeds what a hostile or broken sender may, beside one that is well.
func TestBroken(t *testing.T) {
	t.Parallel()
	c := need(t)
	p := launch(t, &output720)
	const (
		good, flippedVP8, flippedH264, garbage, large, largeH264, noKey, sound = 1, 2, 3, 4, 5, 6, 7, 8
	)
	tiles := layout.Canvas{W: 1280, H: 720}.Arrange(layout.Style{}, 7)
	scene := &wire.Scene{Background: 0x0b0f1a}
	for id := uint32(good); id <= noKey; id++ {
		codec := wire.VP8
		if id == flippedH264 || id == largeH264 {
			codec = wire.H264
		}
		p.send(&wire.AddInput{ID: id, Codec: codec})
		scene.Items = append(scene.Items, wire.Item{Source: wire.FromInput, ID: id, Rect: tiles[id-1].Rect})
	}
	p.send(scene, &wire.AddInput{ID: sound, Codec: wire.Opus}, &wire.Frame{Input: 999, Data: []byte{1}})
	random := func(seed uint64) func(i int, f *clip.Frame) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		return func(i int, f *clip.Frame) {
			switch {
			case seed == garbage || i%3 == 1:
				for k := range f.Data {
					f.Data[k] = byte(rnd.Uint32())
				}
				f.Key = true
			case i%3 == 2:
				f.Data = f.Data[:rnd.IntN(len(f.Data))]
			default:
				for range 8 {
					f.Data[rnd.IntN(len(f.Data))] ^= 1 << rnd.IntN(8)
				}
			}
		}
	}
	p.feed(good, c.red, nil)
	p.feed(flippedVP8, c.blue, random(flippedVP8))
	p.feed(flippedH264, c.green, random(flippedH264))
	p.feed(garbage, c.blue, random(garbage))
	p.feed(large, c.large, nil)
	p.feed(largeH264, c.largeH264, nil)
	p.feed(noKey, &clip.Clip{Frames: c.blue.Frames[1:], Length: time.Second, Clock: 90000}, nil)
	p.feed(sound, c.tone, random(garbage))
	p.until("errors counted", func() bool {
		for _, id := range []uint32{flippedVP8, flippedH264, garbage, large, largeH264, sound} {
			if p.input(id).Errors == 0 {
				return false
			}
		}
		for _, id := range []uint32{flippedVP8, flippedH264, garbage, large, largeH264, noKey} {
			if p.needKey[id] == 0 {
				return false
			}
		}
		return p.input(noKey).Dropped > 0 && p.input(good).Width == 640 && p.input(good).Errors == 0
	})
	at := p.ticks(5)
	p.mu.Lock()
	for id := uint32(large); id <= largeH264; id++ {
		if in := p.input(id); in.Width != 0 {
			t.Errorf("input %d: %dx%d was decoded", id, in.Width, in.Height)
		}
	}
	if p.needKey[good] > 1 {
		t.Errorf("%d key frames asked of the good one", p.needKey[good])
	}
	p.mu.Unlock()
	p.finish()
	p.checkStream(&output720)
	a := p.album(0, at)
	for id, want := range map[int]string{good: "red", large: "dark", largeH264: "dark", noKey: "dark"} {
		if got := a.color(at, tiles[id-1].Rect); got != want {
			t.Errorf("tile of input %d is %s, want %s", id, got, want)
		}
	}
}

// TestNoise feeds 27 Mbit/s of noise that decodes, noise in all codecs, and a stream that is of another
// codec than announced, ever again: the worker and the one who is well go on.
func TestNoise(t *testing.T) {
	t.Parallel()
	c := need(t)
	p := launch(t, &output720)
	const good, decodes, first, last, switching = 1, 2, 3, 6, 7
	tiles := layout.Canvas{W: 1280, H: 720}.Arrange(layout.Style{}, switching)
	scene := &wire.Scene{Background: 0x0b0f1a}
	codecs := map[uint32]wire.Codec{3: wire.VP8, 4: wire.H264, 5: wire.VP9, 6: wire.AV1}
	for id := uint32(good); id <= switching; id++ {
		p.send(&wire.AddInput{ID: id, Codec: max(codecs[id], wire.VP8)})
		scene.Items = append(scene.Items, wire.Item{Source: wire.FromInput, ID: id, Rect: tiles[id-1].Rect})
	}
	p.send(scene)
	rnd := rand.New(rand.NewPCG(27, 27))
	noise := make([]byte, 27_000_000/8/30)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	p.feed(good, c.red, nil)
	// A key frame's header, and arithmetic code of noise: any bits decode.
	p.feed(decodes, c.red, func(i int, f *clip.Frame) {
		head := min(10, len(c.red.Frames[0].Data))
		f.Key, f.Data = true, append(bytes.Clone(c.red.Frames[0].Data[:head]), noise...)
	})
	for id := uint32(first); id <= last; id++ {
		p.feed(id, c.green, func(i int, f *clip.Frame) {
			at := i * 997 % (len(noise) / 2)
			f.Key, f.Data = true, noise[at:at+2000]
		})
	}
	p.feed(switching, c.red, func(i int, f *clip.Frame) {
		if i%5 == 0 {
			p.send(&wire.AddInput{ID: switching, Codec: []wire.Codec{wire.H264, wire.AV1, wire.Opus, wire.VP9, wire.VP8}[i/5%5]})
		}
	})
	p.until("errors counted", func() bool {
		for id := uint32(first); id <= last; id++ {
			if p.input(id).Errors == 0 {
				return false
			}
		}
		return p.input(decodes).Frames > 60 && p.input(good).Width == 640 && p.input(good).Errors == 0
	})
	at := p.ticks(30)
	p.finish()
	p.checkStream(&output720)
	if got := p.album(0, at).color(at, tiles[good-1].Rect); got != "red" {
		t.Errorf("the tile of the one who is well is %s", got)
	}
}

func TestRenditions(t *testing.T) {
	t.Parallel()
	c := need(t)
	start := output720
	start.Renditions = append(start.Renditions[:1:1],
		wire.Rendition{Width: 854, Height: 480, Bitrate: 1_000_000}, wire.Rendition{Width: 640, Height: 360, Bitrate: 500_000})
	p := launch(t, &start)
	p.send(&wire.AddInput{ID: 1, Codec: wire.VP8}, &wire.Scene{Items: []wire.Item{{Source: wire.FromInput, ID: 1, Rect: image.Rect(0, 0, 1280, 720)}}})
	p.feed(1, c.red, nil)
	p.until("decoded", func() bool { return p.input(1).Width > 0 })
	at := p.ticks(35)
	p.finish()
	p.checkStream(&start)
	for i, r := range start.Renditions {
		a := p.album(i, at)
		m := a[at]
		if m == nil { // stopped between two renditions
			t.Fatalf("rendition %d has no picture at %d", i, at)
		}
		if m.W != int(r.Width) || m.H != int(r.Height) {
			t.Errorf("rendition %d is %dx%d", i, m.W, m.H)
		}
		if got := a.color(at, image.Rect(0, 0, m.W, m.H)); got != "red" {
			t.Errorf("rendition %d is %s", i, got)
		}
	}
}

// TestStoodStill lets the worker stand still for a while. The stream has no gap then.
func TestStoodStill(t *testing.T) {
	t.Parallel()
	c := need(t)
	start := output720
	start.Renditions = append(start.Renditions[:1:1], wire.Rendition{Width: 426, Height: 240, Bitrate: 300_000})
	p := launch(t, &start)
	p.send(&wire.AddInput{ID: 1, Codec: wire.VP8}, &wire.Scene{Items: []wire.Item{{Source: wire.FromInput, ID: 1, Rect: image.Rect(0, 0, 1280, 720)}}})
	p.feed(1, c.red, nil)
	p.until("decoded", func() bool { return p.input(1).Width > 0 })
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.until("noticed", func() bool { return p.stats.TicksRepeated >= 20 })
	at := p.ticks(35)
	p.finish()
	p.checkStream(&start)
	if got := p.album(0, at).color(at, image.Rect(0, 0, 1280, 720)); got != "red" {
		t.Errorf("afterwards the picture is %s", got)
	}
}

// TestStill checks that a canvas on which nothing changes is not encoded over and over.
func TestStill(t *testing.T) {
	t.Parallel()
	need(t)
	start := output720
	start.KeyInterval = 60
	p := launch(t, &start)
	p.send(bitmap(1, 640, 360, 235, 255), &wire.Scene{Items: []wire.Item{{Source: wire.FromBitmap, ID: 1, Rect: image.Rect(0, 0, 640, 360)}}})
	p.ticks(90)
	p.send(&wire.Scene{Items: []wire.Item{{Source: wire.FromBitmap, ID: 1, Rect: image.Rect(640, 0, 1280, 360)}}})
	at := p.ticks(90)
	p.finish()
	p.checkStream(&start)
	encoded := 0
	for _, v := range p.video[0] {
		if len(v.Data) > 100 {
			encoded++
		}
	}
	// the two scenes and the key frames
	if n := len(p.video[0]); encoded < 4 || encoded > (2+n/60+1)*finer {
		t.Errorf("%d of %d pictures are not repeated", encoded, n)
	}
	a := p.album(0, at)
	if l, r := a.color(at, image.Rect(0, 0, 640, 360)), a.color(at, image.Rect(640, 0, 1280, 360)); l != "dark" || r != "white" {
		t.Errorf("the second scene is %s and %s", l, r)
	}
}

// TestEnds checks how the process ends, and that it always does.
func TestEnds(t *testing.T) {
	t.Parallel()
	exit := func(p *process) error {
		t.Helper()
		select {
		case <-p.end:
		case <-time.After(10 * time.Second):
			t.Fatal("the worker goes on")
		}
		return p.cmd.Wait()
	}
	p := launch(t, &output720)
	p.in.Close()
	if err := exit(p); err != nil {
		t.Errorf("after the server closed the stream: %v", err)
	}
	p = launch(t, &output720)
	io.WriteString(p.in, "\x00\x00\x00\x05garbage")
	if err := exit(p); err == nil || !strings.Contains(p.log.String(), "malformed") {
		t.Errorf("after garbage: %v, log %q", err, p.log)
	}
	p = launch(t, &output720)
	p.send(&wire.Hello{})
	if err := exit(p); err == nil || !strings.Contains(p.log.String(), "unexpected *wire.Hello") {
		t.Errorf("after a worker's message: %v, log %q", err, p.log)
	}
	p = launch(t, &output720)
	p.cmd.Process.Kill()
	exit(p)

	cmd := exec.Command(program)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\n\r\n")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not an amphi media stream") {
		t.Errorf("something else on stdin: %v, %q", err, out)
	}
	for _, flag := range []string{"--version", "--check"} {
		out, err := exec.Command(program, flag).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "libopenh264 ") {
			t.Errorf("%s: %v, %q", flag, err, out)
		}
	}
}

// TestHeartbeat checks that Stats keep coming, and what they say of the process.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	p := launch(t, &output720)
	var first *wire.Stats
	p.until("first stats", func() bool { first = p.stats; return first != nil })
	p.until("next stats", func() bool { return p.stats != first })
	if s := p.stats; s.Memory < 1<<20 || s.CPU <= 0 || s.Ticks == 0 {
		t.Errorf("%+v", s)
	}
	p.finish()
}

// TestNoGoroutineStays runs a worker inside the test.
func TestNoGoroutineStays(t *testing.T) {
	c := need(t)
	before := goleak.IgnoreCurrent()
	in, toWorker, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer toWorker.Close()
	fromWorker, out := io.Pipe()
	ended := make(chan error)
	go func() {
		err := newWorker(in, out, slog.New(slog.DiscardHandler)).run()
		out.Close()
		ended <- err
	}()
	go func() {
		w := wire.NewWriter(toWorker)
		messages := []wire.Message{&output720}
		for id := uint32(1); id <= maxInputs+5; id++ { // more than it takes
			messages = append(messages, &wire.AddInput{ID: id, Codec: wire.Codec(1 + id%3), Sync: 1})
		}
		for i := range 40 {
			messages = append(messages, &wire.Frame{Input: 3, Key: true, Data: c.red.At(i).Data},
				&wire.Frame{Input: 2, RTP: uint32(i) * 960, Data: c.tone.At(i).Data})
		}
		for _, m := range append(messages, &wire.AddInput{ID: 3, Codec: wire.VP8}, &wire.RemoveInput{ID: 2}, &wire.RemoveInput{ID: 2}) {
			if err := w.Send(m); err != nil {
				t.Error(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
		time.Sleep(300 * time.Millisecond)
		if err := w.Send(&wire.Stop{}); err != nil {
			t.Error(err)
		}
		if err := w.Flush(); err != nil {
			t.Error(err)
		}
	}()
	r := wire.NewReader(fromWorker)
	pictures := 0
	for {
		m, err := r.Next()
		if err != nil {
			break
		}
		if _, ok := m.(*wire.Video); ok {
			pictures++
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if pictures == 0 {
		t.Error("no picture came")
	}
	goleak.VerifyNone(t, before)
}

// TestUploads shows an uploaded picture behind all; what is none, or a bomb, is left out, and the
// stream goes on all the same.
// Music is heard until it is taken away; what is no MP3 is refused.
func TestMusic(t *testing.T) {
	t.Parallel()
	music, err := clip.MP3("sine=f=440,volume=4", 44100, time.Second)
	if err != nil {
		t.Skip("no music: ", err)
	}
	p := launch(t, &output720)
	p.send(&wire.Music{Data: []byte("no music")}, &wire.Music{Data: music})
	p.ticks(45)
	p.send(&wire.Music{})
	p.ticks(45)
	p.finish()
	if !strings.Contains(p.log.String(), "music refused") {
		t.Errorf("the log: %s", p.log)
	}
	levels := p.loudness()
	if most := slices.Max(levels); most < 0.05 || levels[0] > most/2 {
		t.Errorf("it is not heard to come: %.3f", levels)
	}
	if last := levels[len(levels)-2]; last > 0.001 {
		t.Errorf("it is heard at the end: %.3f", levels)
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	start := &wire.Start{Renditions: []wire.Rendition{{Width: 320, Height: 180, Bitrate: 500_000}}, FPS: 30, KeyInterval: 30, AudioBitrate: 64_000}
	p := launch(t, start)
	encoded := func(w, h int) []byte {
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := 0; i < len(m.Pix); i += 4 {
			copy(m.Pix[i:], []byte{0x20, 0x20, 0xd0, 0xff})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	bomb := encoded(8, 8)
	binary.BigEndian.PutUint32(bomb[16:], 60000)
	binary.BigEndian.PutUint32(bomb[20:], 60000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	p.send(&wire.Picture{ID: 1, W: 320, H: 180, Data: bomb}, &wire.Picture{ID: 2, W: 320, H: 180, Data: []byte("GIF89a")},
		&wire.Picture{ID: 3, W: 320, H: 180, Data: encoded(1600, 900)},
		&wire.Picture{ID: 4, W: 320, H: 180, Data: encoded(64, 64)}, &wire.DropBitmap{ID: 4}, &wire.DropBitmap{ID: 3})
	p.send(&wire.Picture{ID: 6, W: 320, H: 180, Data: encoded(1600, 900)}, &wire.Scene{Background: 0x20a020, Backdrop: 6})
	for i := range uint32(3 * maxUploads) { // more than may wait
		p.send(&wire.Picture{ID: 100 + i, W: 320, H: 180, Data: encoded(64, 64)})
	}
	p.send(&wire.Float{ID: 6, Rect: image.Rect(0, 0, 320, 180), Rise: 100, Time: time.Second}, &wire.Float{ID: 99, Rect: image.Rect(0, 0, 2, 2), Rise: 100, Time: time.Second})
	whole := image.Rect(0, 0, 320, 180)
	var last int64
	seen := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.album(0, last).color(last, whole)
	}
	for range 20 {
		if last = p.ticks(15); seen() == "blue" {
			break
		}
	}
	p.finish()
	if got := seen(); got != "blue" {
		t.Errorf("the uploaded picture is %s", got)
	}
	p.checkStream(start)
	for _, want := range []string{"60000", "bitmap=2"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("%s is not in the log", want)
		}
	}
}
