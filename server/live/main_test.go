package live

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"go.uber.org/goleak"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
)

// playDir holds what the tests share: an encoded clip, and scripts that run this test binary in
// the part of a media worker.
var playDir string

func TestMain(m *testing.M) {
	if part := os.Getenv("LIVE_TEST_PART"); part != "" {
		act(part, os.Getenv("LIVE_TEST_CLIP"))
		return
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		fmt.Println("live: the tests need ffmpeg (apt-get install ffmpeg)")
		os.Exit(1)
	}
	var err error
	if playDir, err = os.MkdirTemp("", "amphi-live-test"); err == nil {
		err = encodeClip(filepath.Join(playDir, "clip"))
	}
	if err != nil {
		fmt.Println("live:", err)
		os.Exit(1)
	}
	// Streams run in real time: the tests sleep most of theirs.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(playDir)
		os.Exit(code)
	}))
}

// actor makes a program that plays a part of [act].
func actor(t testing.TB, part string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), mediaworker.Name)
	script := fmt.Sprintf("#!/bin/sh\nLIVE_TEST_PART=%s LIVE_TEST_CLIP=%s exec %s\n", part, filepath.Join(playDir, "clip"), self)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// kinds are the messages that an actor counts.
var kinds = []string{"AddInput", "RemoveInput", "Frame", "Bitmap", "DropBitmap", "Scene", "ForceKey"}

// heard is how many messages of each kind the current actor of a stream says it got.
func heard(s *stream) map[string]uint64 {
	counts := make(map[string]uint64)
	if w := s.worker.Load(); w != nil {
		if st := w.stats.Load(); st != nil {
			for _, in := range st.Inputs {
				counts[kinds[in.ID]] = in.Frames
			}
		}
	}
	return counts
}

// clip is four seconds of encoded media.
type clip struct {
	Video [][]byte // Annex-B, 30 a second, a key picture a second
	Audio [][]byte // AAC-LC, 48 kHz stereo
}

func encodeClip(path string) error {
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command("ffmpeg", append([]string{"-v", "error"}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd.Output()
	}
	video, err := run("-f", "lavfi", "-i", "testsrc2=rate=30:size=320x180", "-t", "4", "-c:v", "libx264",
		"-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
		"-x264-params", "keyint=30:min-keyint=30:scenecut=0:bframes=0:aud=1:repeat-headers=1", "-f", "h264", "-")
	if err != nil {
		return err
	}
	adts, err := run("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "4", "-ac", "2", "-c:a", "aac", "-f", "adts", "-")
	if err != nil {
		return err
	}
	var c clip
	aud := []byte{0, 0, 0, 1, 9}
	for _, au := range bytes.Split(video, aud)[1:] {
		c.Video = append(c.Video, append(bytes.Clone(aud), au...))
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(adts); err != nil {
		return err
	}
	for _, p := range packets {
		c.Audio = append(c.Audio, p.AU)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return gob.NewEncoder(f).Encode(c)
}

// act plays a media worker that behaves, or misbehaves, as the part says:
//
//	play    sends the clip again and again until it is told to stop
//	exit    ends at once
//	hang    sends the clip for three seconds, then nothing
//	deaf    sends the clip, and does not end when it is told to
//	babble  sends what is no message
//	old     speaks another version
//
// Its Stats tell how many messages of which of kinds it got, in the place of inputs.
func act(part, clipPath string) {
	if part == "exit" {
		fmt.Fprintln(os.Stderr, "no codecs here")
		os.Exit(3)
	}
	if part == "babble" {
		fmt.Print(strings.Repeat("hello, world ", 100))
		time.Sleep(time.Minute)
	}
	if part == "old" {
		fmt.Print("AMPHI\x00\x00\x00")
		time.Sleep(time.Minute)
	}
	f, err := os.Open(clipPath)
	if err != nil {
		panic(err)
	}
	var c clip
	if err := gob.NewDecoder(bufio.NewReader(f)).Decode(&c); err != nil {
		panic(err)
	}
	out := wire.NewWriter(os.Stdout)
	say := func(m wire.Message) {
		if out.Send(m) != nil || out.Flush() != nil {
			os.Exit(1)
		}
	}
	say(&wire.Hello{Libraries: "a play"})
	in := wire.NewReader(os.Stdin)
	m, err := in.Next()
	if err != nil {
		os.Exit(1)
	}
	start, ok := m.(*wire.Start)
	if !ok {
		panic(fmt.Sprintf("%T before Start", m))
	}
	told := make([]atomic.Uint64, len(kinds))
	var force atomic.Bool
	go func() {
		for {
			m, err := in.Next()
			if _, stop := m.(*wire.Stop); (err != nil || stop) && part != "deaf" {
				os.Exit(0)
			}
			if err != nil {
				return
			}
			if _, ok := m.(*wire.ForceKey); ok {
				force.Store(true)
			}
			if i := slices.Index(kinds, reflect.TypeOf(m).Elem().Name()); i >= 0 {
				told[i].Add(1)
			}
		}
	}()
	began := time.Now()
	say(&wire.Started{Epoch: began.Add(-start.Offset).UnixNano()})
	offset := start.Offset.Milliseconds()
	skipped := int64(0) // pictures of the clip
	for i, a := int64(0), int64(0); ; i++ {
		at := time.Duration(i) * time.Second / 30
		time.Sleep(time.Until(began.Add(at)))
		if part == "hang" && at > 3*time.Second {
			time.Sleep(time.Minute)
		}
		if force.Swap(false) {
			skipped += (30 - (i+skipped)%30) % 30 // on to the next key picture
		}
		n := int(i+skipped) % len(c.Video)
		say(&wire.Video{PTS: offset*90 + i*3000, Key: n%30 == 0, Data: c.Video[n]})
		for ; a*1024*30 <= i*48000; a++ {
			say(&wire.Audio{PTS: offset*48 + a*1024, Data: c.Audio[int(a)%len(c.Audio)]})
		}
		if i%15 == 0 {
			stats := &wire.Stats{Ticks: uint64(i), CPU: time.Since(began) / 10, Memory: 1 << 20}
			for kind := range told {
				stats.Inputs = append(stats.Inputs, wire.InputStats{ID: uint32(kind), Frames: told[kind].Load()})
			}
			say(stats)
		}
	}
}
