package mix

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

const (
	fade     = 1.0 / (0.5 * sampleRate) // of the gain, in a sample
	musicDip = 0.5                      // music is mastered to full scale, people speak at -20 dB

	// slowest and fastest are the sample rates of MPEG 1. Those of MPEG 2 the decoder gets wrong in
	// part: at 22,050 Hz it makes noise.
	slowest, fastest = 32000, 48000
	// leastPass is what a pass over the file must give, in bytes: half a second. One that is mostly
	// rubbish would be looked through again and again for a few samples each.
	leastPass = slowest / 2 * 4
	// maxFading bounds what is heard at a time when the music changes again and again.
	maxFading = 3
)

var errNoMusic = errors.New("mix: no sound in the music")

// music is an MP3 that is played in a loop, or once.
type music struct {
	data    []byte
	once    bool
	decoder *mp3.Decoder
	buffer  [4096]byte // decoded: 16-bit stereo
	left    []byte     // of buffer
	pass    int        // bytes decoded since the beginning

	window [4][channels]float32 // the samples around at
	at     float64              // between the second and the third of them
	step   float64              // their distance in samples of ours
	gain   float32
	volume float32 // to which the gain goes
	paused bool
	ending bool
}

// Play plays an MP3 under the inputs, again and again, in place of what was played before. Both
// fade. Without data there is no music any more.
func (m *Mixer) Play(data []byte) error {
	return m.music.play(&music{data: data, volume: musicDip})
}

// PlayTune plays an MP3 over the inputs once, in place of the one before. The volume is a part of the file's.
func (m *Mixer) PlayTune(data []byte, volume float32, paused bool) error {
	return m.tunes.play(&music{data: data, once: true, volume: volume, paused: paused})
}

// SetTune changes how the tune is heard that is played.
func (m *Mixer) SetTune(volume float32, paused bool) {
	if len(m.tunes) > 0 {
		t := m.tunes[len(m.tunes)-1]
		t.volume, t.paused = volume, paused
	}
}

// player is pieces of which the last is played, those before fade away.
type player []*music

// play goes over to another piece; one without data is silence.
func (p *player) play(next *music) error {
	if len(next.data) > 0 {
		if err := next.begin(); err != nil {
			return err
		}
		if err := next.read(); err != nil {
			return err
		}
	}
	for _, mu := range *p {
		mu.ending = true
	}
	if len(next.data) > 0 {
		*p = append(*p, next)
	}
	*p = (*p)[max(0, len(*p)-maxFading):]
	return nil
}

// addTo plays on top of what out holds. What has ended, or breaks off, is taken away.
func (p *player) addTo(out []float32) {
	kept := (*p)[:0]
	for _, mu := range *p {
		if mu.addTo(out) {
			kept = append(kept, mu)
		}
	}
	clear((*p)[len(kept):])
	*p = kept
}

// begin starts the decoder at the beginning.
func (mu *music) begin() error {
	// Without Seek, or it would look through all of the data first.
	d, err := mp3.NewDecoder(struct{ io.Reader }{bytes.NewReader(mu.data)})
	if err != nil {
		return fmt.Errorf("mix: music: %w", err)
	}
	rate := d.SampleRate()
	if rate < slowest || rate > fastest {
		return fmt.Errorf("mix: music of %d Hz", rate)
	}
	mu.decoder, mu.step, mu.pass = d, float64(rate)/sampleRate, 0
	return nil
}

// read fills the empty buffer, from the beginning again after the end. The decoder is known to panic
// on some damaged files, and this one came from outside.
func (mu *music) read() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("mix: music: %v", p)
		}
	}()
	for range 2 {
		n, err := io.ReadFull(mu.decoder, mu.buffer[:])
		if n -= n % 4; n > 0 {
			mu.left = mu.buffer[:n]
			mu.pass += n
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("mix: music: %w", err)
		}
		if mu.once || mu.pass < leastPass {
			break
		}
		if err := mu.begin(); err != nil {
			return err
		}
	}
	return errNoMusic
}

// advance moves the window on by a sample.
func (mu *music) advance() error {
	if len(mu.left) == 0 {
		if err := mu.read(); err != nil {
			return err
		}
	}
	copy(mu.window[:], mu.window[1:])
	for c := range channels {
		mu.window[3][c] = float32(int16(uint16(mu.left[2*c])|uint16(mu.left[2*c+1])<<8)) / (1 << 15)
	}
	mu.left = mu.left[4:]
	return nil
}

// addTo plays so many samples and reports whether there are more.
func (mu *music) addTo(out []float32) bool {
	for i := 0; i+1 < len(out); i += channels {
		volume := mu.volume
		if mu.paused || mu.ending {
			volume = 0
		}
		if mu.gain < volume {
			mu.gain = min(volume, mu.gain+fade)
		} else {
			mu.gain = max(volume, mu.gain-fade)
		}
		if mu.gain == 0 && (mu.paused || mu.ending) {
			return !mu.ending
		}
		for ; mu.at >= 1; mu.at-- {
			if mu.advance() != nil {
				return false
			}
		}
		f := float32(mu.at)
		for c := range channels {
			out[i+c] += mu.gain * cubic(mu.window[0][c], mu.window[1][c], mu.window[2][c], mu.window[3][c], f)
		}
		mu.at += mu.step
	}
	return true
}

// cubic is Catmull and Rom's curve through b and c, at f between them: a line between them would
// be heard as dull.
func cubic(a, b, c, d, f float32) float32 {
	return b + f/2*(c-a+f*(2*a-5*b+4*c-d+f*(3*(b-c)+d-a)))
}
