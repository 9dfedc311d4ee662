//go:build cgo

package main

import (
	"fmt"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

// maxSoundLag is how far the sound may fall behind before the worker gives up on the machine, or
// on a server that does not read: a new worker is back in time sooner.
const maxSoundLag = 5 * time.Second

// sound mixes by the sample count and encodes.
type sound struct {
	w       *worker
	encoder *codec.AACEncoder
	config  []byte
	pcm     []float32
	next    int64 // first sample that is not mixed
	made    int64 // first sample that is not encoded
	offset  int64 // timestamp of sample 0
}

func newSound(w *worker) (*sound, error) {
	encoder, err := codec.NewAACEncoder(int(w.start.AudioBitrate))
	if err != nil {
		return nil, err
	}
	config, err := encoder.Config()
	if err != nil {
		encoder.Close()
		return nil, err
	}
	return &sound{
		w: w, encoder: encoder, config: config,
		pcm:    make([]float32, codec.AACSamples*codec.Channels),
		offset: w.start.Offset.Milliseconds() * (wire.AudioClock / 1000),
	}, nil
}

func (s *sound) close() { s.encoder.Close() }

// until sends the sound up to the end of a tick: as the picture, it is made when that begins. So the two of the same time
// leave together, and nobody who packs them has to wait for one of them.
func (s *sound) until(begin, end, now time.Time) error {
	at := func(sample int64) time.Time {
		// In two steps: nanoseconds times samples overflow after two days.
		seconds, rest := time.Duration(sample/codec.SampleRate), time.Duration(sample%codec.SampleRate)
		return begin.Add(seconds*time.Second + rest*time.Second/codec.SampleRate)
	}
	if late := now.Sub(at(s.next + codec.AACSamples)); late > maxSoundLag {
		return fmt.Errorf("sound is %v late", late.Round(time.Millisecond))
	}
	// What was mixed last is still in the encoder.
	for at(s.made).Before(end) {
		s.w.mixer.Mix(s.pcm, at(s.next))
		unit, pts, err := s.encoder.Encode(s.pcm, s.next)
		if err != nil {
			return err
		}
		s.next += codec.AACSamples
		if unit != nil {
			s.made = pts + codec.AACSamples
		}
		// The first unit decodes to what was before the start: the encoder's priming.
		if unit == nil || pts < 0 {
			continue
		}
		if err := s.w.send(&wire.Audio{PTS: s.offset + pts, Data: unit}); err != nil {
			return err
		}
	}
	return nil
}
