package mix

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"amphi/compositor/internal/clip"
)

// play mixes so many seconds of what there is.
func play(m *Mixer, seconds float64) []float32 {
	var all []float32
	block := make([]float32, 1024*channels)
	for len(all) < int(seconds*sampleRate)*channels {
		m.Mix(block, time.Time{})
		all = append(all, block...)
	}
	return all
}

// tone counts the periods of the left channel in a second, and its peak.
func tone(pcm []float32) (hz float64, peak float32) {
	n, low := 0, false
	for i := 0; i < len(pcm); i += channels {
		switch {
		case pcm[i] < -0.02:
			low = true
		case pcm[i] > 0.02 && low:
			n, low = n+1, false
		}
		peak = max(peak, pcm[i], -pcm[i])
	}
	return float64(n) * sampleRate * channels / float64(len(pcm)), peak
}

// A file of any rate is heard at its pitch, again after its end, comes and goes softly, and is
// followed by another one.
func TestMusic(t *testing.T) {
	for _, rate := range []int{32000, 44100} {
		file, err := clip.MP3("sine=f=440,volume=4", rate, time.Second)
		if err != nil {
			t.Skip("no music: ", err)
		}
		higher, err := clip.MP3("sine=f=880,volume=4", rate, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var m Mixer
		if err := m.Play(file); err != nil {
			t.Fatal(err)
		}
		if _, peak := tone(play(&m, 0.1)); peak > 0.1 {
			t.Errorf("%d Hz: it begins at %.2f", rate, peak)
		}
		for range 2 { // longer than the file
			play(&m, 0.2)
			pcm := play(&m, 0.3)
			// Where it begins anew a moment is silent: the encoder's padding. At the wrong rate it has 479 Hz.
			if hz, peak := tone(pcm); hz < 350 || hz > 450 || peak < 0.15 || peak > 0.5 {
				t.Errorf("%d Hz: a tone of %.0f Hz, peak %.2f", rate, hz, peak)
			}
		}
		if err := m.Play(higher); err != nil {
			t.Fatal(err)
		}
		play(&m, 0.6)
		if hz, _ := tone(play(&m, 0.2)); math.Abs(hz-880) > 10 || len(m.music) != 1 {
			t.Errorf("%d Hz: a tone of %.0f Hz after the change, %d files are played", rate, hz, len(m.music))
		}
		if err := m.Play(nil); err != nil {
			t.Fatal(err)
		}
		play(&m, 0.6)
		if _, peak := tone(play(&m, 0.1)); peak != 0 || len(m.music) != 0 {
			t.Errorf("%d Hz: after the end there is a peak of %.2f", rate, peak)
		}
		for range 5 {
			if err := m.Play(file); err != nil {
				t.Fatal(err)
			}
		}
		if len(m.music) > maxFading {
			t.Errorf("%d files are played at a time", len(m.music))
		}
	}
}

// A tune is played once, also while music is, and can be paused and turned down.
func TestTune(t *testing.T) {
	file, err := clip.MP3("sine=f=440,volume=4", 44100, 3*time.Second)
	if err != nil {
		t.Skip("no music: ", err)
	}
	var m Mixer
	if err := m.PlayTune(file, 1, false); err != nil {
		t.Fatal(err)
	}
	play(&m, 1.2)
	hz, loud := tone(play(&m, 0.1))
	m.SetTune(0.5, false)
	play(&m, 0.6)
	_, quiet := tone(play(&m, 0.1))
	if math.Abs(hz-440) > 10 || loud < 0.2 || quiet < loud*0.4 || quiet > loud*0.6 {
		t.Errorf("a tone of %.0f Hz, peak %.2f, turned down %.2f", hz, loud, quiet)
	}
	m.SetTune(0.5, true)
	play(&m, 5) // more than is left
	if _, peak := tone(play(&m, 0.1)); peak != 0 || len(m.tunes) != 1 {
		t.Errorf("a pause has a peak of %.2f, %d tunes are there", peak, len(m.tunes))
	}
	m.SetTune(0.5, false)
	play(&m, 0.4)
	if _, peak := tone(play(&m, 0.1)); peak < 0.1 {
		t.Errorf("after the pause a peak of %.2f", peak)
	}
	play(&m, 2)
	if _, peak := tone(play(&m, 0.1)); peak != 0 || len(m.tunes) != 0 {
		t.Errorf("after the end a peak of %.2f, %d tunes are there", peak, len(m.tunes))
	}
}

// What is no MP3 is refused, and a damaged one is played as far as it goes. Neither stops the rest.
func TestMusicThatIsNone(t *testing.T) {
	var m Mixer
	for name, data := range map[string][]byte{
		"text": []byte("<html>not found</html>"), "zeros": make([]byte, 100_000), "header": {0xff, 0xfb, 0x90, 0x64},
		"tag": []byte("ID3\x04\x00\x00\x00\x00\x00\x00"), "endless tag": []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7fxx"),
	} {
		if m.Play(data) == nil {
			t.Errorf("%s is played", name)
		}
	}
	if slow, err := clip.MP3("sine=f=440", 22050, 500*time.Millisecond); err == nil && m.Play(slow) == nil {
		t.Error("22050 Hz is played")
	}
	file, err := clip.MP3("sine=f=440", 44100, 200*time.Millisecond)
	if err != nil {
		t.Skip("no music: ", err)
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 25 {
		broken := append([]byte(nil), file...)
		for range 1 + rnd.IntN(200) {
			broken[rnd.IntN(len(broken))] = byte(rnd.Uint32())
		}
		_ = m.Play(broken[:rnd.IntN(len(broken))])
		play(&m, 0.1)
	}
}

func FuzzMusic(f *testing.F) {
	if file, err := clip.MP3("sine=f=440", 44100, 100*time.Millisecond); err == nil {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Mixer
		_ = m.Play(data)
		play(&m, 0.2)
	})
}
