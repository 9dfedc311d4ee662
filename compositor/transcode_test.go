//go:build cgo

package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"amphi/compositor/codec"
	"amphi/compositor/internal/clip"
	"amphi/compositor/wire"
)

// aac encodes a lavfi source: its description, and its access units.
func aac(t *testing.T, source string, rate, channels string, seconds string) (mpeg4audio.AudioSpecificConfig, [][]byte) {
	t.Helper()
	if err := clip.Missing(); err != nil {
		t.Skip("no clips: ", err)
	}
	adts, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, "-t", seconds, "-ar", rate, "-ac", channels,
		"-c:a", "aac", "-b:a", "128k", "-f", "adts", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(adts); err != nil {
		t.Fatal(err)
	}
	var units [][]byte
	for _, p := range packets {
		units = append(units, p.AU)
	}
	return mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: packets[0].SampleRate, ChannelConfig: packets[0].ChannelConfig}, units
}

// transcoded is what a worker process makes of messages.
func transcoded(t *testing.T, list ...wire.Message) (sounds []*wire.Sound, stats *wire.Stats) {
	t.Helper()
	var in bytes.Buffer
	w := wire.NewWriter(&in)
	for _, m := range list {
		if err := w.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var messages bytes.Buffer
	cmd := exec.Command(program, "--"+wire.TranscodeFlag)
	cmd.Stdin, cmd.Stderr = &in, &messages
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, messages.String())
	}
	for r := wire.NewReader(bytes.NewReader(out)); ; {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return sounds, stats
		}
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *wire.Sound:
			sounds = append(sounds, m)
		case *wire.Stats:
			stats = m
		}
	}
}

// heard decodes packets; the left channel's samples by their time in samples since the first packet's.
func heard(t *testing.T, sounds []*wire.Sound) []float32 {
	t.Helper()
	d, err := codec.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var left []float32
	pcm := make([]float32, codec.MaxOpus*codec.Channels)
	for _, s := range sounds {
		n, err := d.Decode(s.Data, pcm)
		if err != nil {
			t.Fatal(err)
		}
		at := int(s.PTS - sounds[0].PTS)
		if at < len(left) {
			t.Fatalf("a packet at %d begins before the end of the last at %d", at, len(left))
		}
		left = append(left, make([]float32, at-len(left))...)
		for i := range n {
			left = append(left, pcm[i*codec.Channels])
		}
	}
	return left
}

// tone is the frequency of a sound, by where it rises through zero.
func tone(pcm []float32) float64 {
	first, last, n := -1.0, -1.0, 0
	for i := 1; i < len(pcm); i++ {
		if pcm[i-1] < 0 && pcm[i] >= 0 {
			last = float64(i) - float64(pcm[i]/(pcm[i]-pcm[i-1]))
			if first < 0 {
				first = last
			} else {
				n++
			}
		}
	}
	return float64(n) * codec.SampleRate / (last - first)
}

func config(t *testing.T, c mpeg4audio.AudioSpecificConfig) *wire.Transcode {
	t.Helper()
	b, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &wire.Transcode{Config: b, Bitrate: 96_000}
}

// Sound of all kinds comes out as it went in, and at its time: here a tone that begins half a second after the start.
func TestTranscode(t *testing.T) {
	t.Parallel()
	for _, how := range []struct{ rate, channels string }{{"48000", "2"}, {"44100", "1"}, {"22050", "2"}, {"48000", "6"}} {
		c, units := aac(t, "sine=frequency=1000:samples_per_frame=441,volume=4,volume=0:enable='lt(t,0.5)'", how.rate, how.channels, "2.5")
		list := []wire.Message{config(t, c)}
		const begin = 10 * time.Second // on the source's timeline
		for i, unit := range units {
			// The first unit is what the encoder needs to come up to speed; timestamps are whole milliseconds, as those of RTMP.
			at := time.Duration(i-1) * 1024 * time.Second / time.Duration(c.SampleRate)
			list = append(list, &wire.Frame{Capture: int64((begin + at).Round(time.Millisecond)), Data: unit})
		}
		sounds, stats := transcoded(t, list...)
		if len(sounds) < 115 || stats != nil && stats.Inputs[0].Errors != 0 {
			t.Fatalf("%v: %d packets, %+v", how, len(sounds), stats)
		}
		left := heard(t, sounds)
		onset := 0
		for onset < len(left) && math.Abs(float64(left[onset])) < 0.1 {
			onset++
		}
		at := time.Duration(sounds[0].PTS+int64(onset)) * time.Second / codec.SampleRate
		if off := at - begin - time.Second/2; off.Abs() > 5*time.Millisecond {
			t.Errorf("%v: the tone begins %v too late", how, off)
		}
		if f := tone(left[codec.SampleRate : 2*codec.SampleRate]); math.Abs(f-1000) > 2 {
			t.Errorf("%v: %.1f Hz", how, f)
		}
		if loud, silent := sounds[70].Level, sounds[10].Level; loud > 20 || silent < 60 {
			t.Errorf("%v: level %d of the tone, %d of silence", how, loud, silent)
		}
	}
}

// A source whose clock is 0.2 % off stays in step, and one that leaves something out or begins anew is followed.
func TestTranscodeKeepsTime(t *testing.T) {
	t.Parallel()
	c, units := aac(t, "sine=frequency=1000,volume=4", "48000", "2", "25")
	unit := 1024 * time.Second / 48000
	list := []wire.Message{config(t, c)}
	for i, u := range units {
		list = append(list, &wire.Frame{Capture: int64(float64(i) * float64(unit) * 1.002), Data: u})
	}
	sounds, _ := transcoded(t, list...)
	end := time.Duration(sounds[len(sounds)-1].PTS+codec.OpusSamplesOut) * time.Second / codec.SampleRate
	want := time.Duration(float64(len(units)) * float64(unit) * 1.002)
	if off := want - end; off < -10*time.Millisecond || off > 45*time.Millisecond { // up to 20 ms wait for a packet
		t.Errorf("%v is missing of %v", off, want)
	}
	for i, s := range sounds[1:] {
		if s.PTS-sounds[i].PTS != codec.OpusSamplesOut {
			t.Fatalf("packet %d comes %d samples after the one before: it was not stretched", i, s.PTS-sounds[i].PTS)
		}
	}

	list = []wire.Message{config(t, c)}
	for i, u := range units[:300] {
		at := time.Duration(i) * unit
		switch {
		case i >= 200: // it begins anew
			at -= 5 * time.Second
		case i >= 100: // five seconds are missing
			at += 5 * time.Second
		}
		list = append(list, &wire.Frame{Capture: int64(at), Data: u})
	}
	sounds, _ = transcoded(t, list...)
	var jumps []time.Duration
	for i, s := range sounds[1:] {
		if d := s.PTS - sounds[i].PTS; d != codec.OpusSamplesOut {
			jumps = append(jumps, time.Duration(d)*time.Second/codec.SampleRate)
		}
	}
	if len(jumps) != 2 || (jumps[0]-5*time.Second).Abs() > 50*time.Millisecond || (jumps[1]+10*time.Second).Abs() > 50*time.Millisecond {
		t.Errorf("jumps %v", jumps)
	}
}

// What is no AAC costs its time and nothing else; what is no description of sound ends the process.
func TestTranscodeDamaged(t *testing.T) {
	t.Parallel()
	c, units := aac(t, "sine=frequency=1000,volume=4", "48000", "2", "2")
	rng := rand.New(rand.NewPCG(1, 2))
	list := []wire.Message{config(t, c)}
	for i, u := range units {
		if i%4 == 3 {
			u = bytes.Clone(u)
			for range 20 {
				u[rng.IntN(len(u))] ^= byte(1 + rng.IntN(255))
			}
		}
		if i == 20 {
			u = nil
		}
		list = append(list, &wire.Frame{Capture: int64(i) * int64(1024*time.Second/48000), Data: u})
	}
	sounds, stats := transcoded(t, list...)
	if len(sounds) < 60 || stats == nil || stats.Inputs[0].Errors == 0 {
		t.Errorf("%d packets, %+v", len(sounds), stats)
	}
	heard(t, sounds)

	for name, first := range map[string]wire.Message{
		"no description": &wire.Frame{Data: units[0]},
		"nonsense":       &wire.Transcode{Config: []byte{0xff, 0xff, 0xff, 0xff}, Bitrate: 96_000},
		"a picture":      &wire.ForceKey{},
	} {
		var in bytes.Buffer
		w := wire.NewWriter(&in)
		if err := errors.Join(w.Send(first), w.Send(&wire.Frame{Data: units[0]}), w.Flush()); err != nil {
			t.Fatal(err)
		}
		tr := newTranscoder(&in, io.Discard, slog.New(slog.DiscardHandler))
		if err := tr.run(); err == nil || errors.Is(err, io.EOF) && name != "nonsense" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
