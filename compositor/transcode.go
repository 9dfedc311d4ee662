//go:build cgo

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"

	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

// All in samples at 48 kHz.
const (
	// jump is a difference between a timestamp and where the sound has come to that is no drift: sound
	// is missing, or the source began to count anew. Lips are off by less than this until it is mended.
	jump = 40 * codec.SampleRate / 1000

	// slack is a difference that is left alone: timestamps of RTMP are whole milliseconds.
	slack = 2 * codec.SampleRate / 1000

	// maxStretch is by how much a second is made longer or shorter against drift: 0.5 % is not heard.
	maxStretch = codec.SampleRate / 200
)

// transcoder is the process in its other part: it makes Opus of the AAC that comes from encoders
// and other services, as it comes, with the timestamps of its source.
type transcoder struct {
	in  *wire.Reader
	out *wire.Writer
	log *slog.Logger

	decoder *codec.AACDecoder
	encoder *codec.OpusEncoder
	work    []float32 // room for the decoder
	pcm     []float32 // decoded, not encoded
	at      int64     // timestamp of the first sample in pcm
	begun   bool      // at is
	off     float64   // how far timestamps are ahead of the sound, mean of about two seconds
	seconds int       // samples since the sound was stretched last

	packets uint64 // made
	stats   wire.InputStats
}

func newTranscoder(in io.Reader, out io.Writer, log *slog.Logger) *transcoder {
	return &transcoder{in: wire.NewReader(in), out: wire.NewWriter(out), log: log, work: make([]float32, codec.MaxAACSamples*codec.Channels)}
}

// run works until the server closes the stream, or something breaks.
func (t *transcoder) run() error {
	defer t.close()
	if err := t.out.Send(&wire.Hello{Libraries: codec.Versions()}); err != nil {
		return err
	}
	for {
		if err := t.out.Flush(); err != nil {
			return err
		}
		m, err := t.in.Next()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Transcode:
			err = t.begin(m)
		case *wire.Frame:
			err = t.frame(m)
		case *wire.Stop:
			return nil
		default:
			err = fmt.Errorf("unexpected %T from the server", m)
		}
		if err != nil {
			return err
		}
	}
}

func (t *transcoder) close() {
	if t.decoder != nil {
		t.decoder.Close()
	}
	if t.encoder != nil {
		t.encoder.Close()
	}
}

// begin takes the description of the frames that follow. What listeners hear goes on.
func (t *transcoder) begin(m *wire.Transcode) (err error) {
	if t.decoder != nil {
		t.decoder.Close()
		t.decoder = nil
	}
	if t.decoder, err = codec.NewAACDecoder(m.Config); err != nil {
		return err
	}
	if t.encoder == nil {
		t.encoder, err = codec.NewOpusEncoder(int(m.Bitrate))
	}
	return err
}

// frame takes one access unit. Of one that is damaged the time is left out, as if it had not come. What gives no packet
// is answered too: so the server knows that this process lives.
func (t *transcoder) frame(f *wire.Frame) error {
	if t.decoder == nil {
		return errors.New("sound before its description")
	}
	t.stats.Frames++
	packets := t.packets
	n, err := t.decoder.Decode(f.Data, t.work)
	if err != nil {
		t.stats.Errors++
	} else if n > 0 {
		if err := t.place(f.Capture); err != nil {
			return err
		}
		t.pcm = append(t.pcm, t.work[:n*codec.Channels]...)
		t.seconds += n
		if err := t.encode(); err != nil {
			return err
		}
	}
	if t.packets == packets {
		return t.out.Send(&wire.Stats{CPU: cpuTime(), Memory: residentBytes(), Inputs: []wire.InputStats{t.stats}})
	}
	return nil
}

// place decides where on the timeline the sound goes that begins at a time of its source's, which is
// in nanoseconds.
func (t *transcoder) place(capture int64) error {
	ns := time.Duration(capture)
	stamp := int64(ns/time.Second)*codec.SampleRate + int64(ns%time.Second)*codec.SampleRate/int64(time.Second)
	off := stamp - t.at - int64(len(t.pcm)/codec.Channels)
	if !t.begun || off > jump || off < -jump {
		// What is left of the sound before is less than a packet; silence makes it one.
		if len(t.pcm) > 0 {
			t.pcm = append(t.pcm, make([]float32, codec.OpusSamplesOut*codec.Channels-len(t.pcm))...)
			if err := t.encode(); err != nil {
				return err
			}
		}
		t.begun, t.at, t.off, t.seconds = true, stamp, 0, 0
		return t.decoder.Stretch(0)
	}
	const smooth = 0.01 // of 21 ms in two seconds
	t.off += smooth * (float64(off) - t.off)
	if t.seconds < codec.SampleRate {
		return nil
	}
	t.seconds = 0
	more := 0
	if math.Abs(t.off) > slack {
		more = int(max(-maxStretch, min(maxStretch, t.off)))
	}
	return t.decoder.Stretch(more)
}

// encode sends all whole packets.
func (t *transcoder) encode() error {
	const frame = codec.OpusSamplesOut * codec.Channels
	for len(t.pcm) >= frame {
		data, err := t.encoder.Encode(t.pcm[:frame])
		if err != nil {
			return err
		}
		// What a packet decodes to is late by the encoder's lookahead, which the timestamp makes good.
		if err := t.out.Send(&wire.Sound{PTS: t.at - int64(t.encoder.Lookahead()), Level: level(t.pcm[:frame]), Data: data}); err != nil {
			return err
		}
		t.packets++
		t.pcm = append(t.pcm[:0], t.pcm[frame:]...)
		t.at += codec.OpusSamplesOut
	}
	return nil
}

// level is that of RFC 6464: -dBov, 0 loudest, 127 silence.
func level(pcm []float32) uint8 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	power := sum / float64(len(pcm))
	if !(power > 1e-12) { // nothing, or not a number
		return 127
	}
	return uint8(max(0, min(127, math.Round(-10*math.Log10(power)))))
}
