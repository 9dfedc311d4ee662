//go:build cgo

package codec

// #include "lavc.h"
// #include "wels.h"
// #include <opus.h>
import "C"

import (
	"errors"
	"fmt"
)

// The audio format of all types here: interleaved stereo, 48 kHz, full scale ±1.
const (
	SampleRate  = 48000
	Channels    = 2
	AACSamples  = 1024             // per channel, of one access unit
	MaxOpus     = 5760             // samples per channel of the longest Opus packet, 120 ms
	opusPacket  = 1275*3 + 7       // bytes of the largest packet (RFC 6716, 3.4)
	aacUnitSize = 6144 / 8 * 2 * 2 // bytes of the largest access unit of two channels, twice
)

// OpusDecoder decodes one stream of Opus packets.
type OpusDecoder struct{ c *C.OpusDecoder }

// NewOpusDecoder returns a decoder.
func NewOpusDecoder() (*OpusDecoder, error) {
	var code C.int
	c := C.opus_decoder_create(SampleRate, Channels, &code)
	if c == nil {
		return nil, fmt.Errorf("codec: libopus: error %d", int(code))
	}
	return &OpusDecoder{c}, nil
}

// Close frees the decoder.
func (d *OpusDecoder) Close() {
	C.opus_decoder_destroy(d.c)
	d.c = nil
}

// Decode decodes a packet into pcm and returns the samples per channel. pcm has room for
// MaxOpus samples. The error is ErrDamaged.
func (d *OpusDecoder) Decode(packet []byte, pcm []float32) (int, error) {
	if len(packet) == 0 || len(packet) > opusPacket {
		return 0, ErrDamaged
	}
	return d.decode(packet, pcm, len(pcm)/Channels, 0)
}

// Recover decodes what a packet carries of the lost one before it, n samples per channel. If it
// carries nothing, they are concealed.
func (d *OpusDecoder) Recover(packet []byte, pcm []float32, n int) (int, error) {
	if len(packet) == 0 || len(packet) > opusPacket {
		return 0, ErrDamaged
	}
	return d.decode(packet, pcm, n, 1)
}

// Conceal makes up n samples per channel for a lost packet. n is a multiple of 120 (2.5 ms).
func (d *OpusDecoder) Conceal(pcm []float32, n int) (int, error) {
	return d.decode(nil, pcm, n, 0)
}

func (d *OpusDecoder) decode(packet []byte, pcm []float32, n, fec int) (int, error) {
	if n <= 0 || n*Channels > len(pcm) {
		return 0, ErrDamaged
	}
	var data *C.uchar
	if len(packet) > 0 {
		data = (*C.uchar)(&packet[0])
	}
	got := C.opus_decode_float(d.c, data, C.opus_int32(len(packet)), (*C.float)(&pcm[0]), C.int(n), C.int(fec))
	if got < 0 {
		return 0, ErrDamaged
	}
	return int(got), nil
}

// OpusSamples is the length of a packet in samples at 48 kHz, 0 if it is none.
func OpusSamples(packet []byte) int {
	if len(packet) == 0 || len(packet) > opusPacket {
		return 0
	}
	n := C.opus_packet_get_nb_samples((*C.uchar)(&packet[0]), C.opus_int32(len(packet)), SampleRate)
	if n < 0 || n > MaxOpus {
		return 0
	}
	return int(n)
}

// AACEncoder encodes AAC-LC.
type AACEncoder struct {
	c   *C.amphi_aac
	out [aacUnitSize]byte
}

// NewAACEncoder returns an encoder for a bit rate in bit/s.
func NewAACEncoder(bitrate int) (*AACEncoder, error) {
	c := C.amphi_aac_new(C.int(bitrate))
	if c == nil {
		return nil, fmt.Errorf("codec: libavcodec has no AAC encoder for %d bit/s", bitrate)
	}
	return &AACEncoder{c: c}, nil
}

// Close frees the encoder.
func (e *AACEncoder) Close() {
	C.amphi_aac_free(e.c)
	e.c = nil
}

// Config is the AudioSpecificConfig.
func (e *AACEncoder) Config() ([]byte, error) {
	n := C.amphi_aac_config(e.c, (*C.uint8_t)(&e.out[0]), C.int(len(e.out)))
	if n <= 0 {
		return nil, errors.New("codec: AAC encoder without configuration")
	}
	return append([]byte(nil), e.out[:n]...), nil
}

// Encode takes AACSamples samples, of which the first has the number pts, and returns an access
// unit or nil. unitPTS is the number of the first sample that the unit decodes to: the encoder
// is AACSamples late, which is already taken off, so the first unit's is negative. The unit is
// valid until the next call.
func (e *AACEncoder) Encode(pcm []float32, pts int64) (unit []byte, unitPTS int64, err error) {
	if len(pcm) != AACSamples*Channels {
		return nil, 0, fmt.Errorf("codec: AAC frame of %d values", len(pcm))
	}
	var at C.int64_t
	n := C.amphi_aac_encode(e.c, (*C.float)(&pcm[0]), C.int64_t(pts), (*C.uint8_t)(&e.out[0]), C.int(len(e.out)), &at)
	if n < 0 {
		return nil, 0, fmt.Errorf("codec: AAC encoder failed (%d)", int(n))
	}
	if n == 0 {
		return nil, 0, nil
	}
	return e.out[:n], int64(at), nil
}

// Versions names the libraries in use.
func Versions() string {
	v := uint(C.amphi_lavc_version())
	var major, minor, revision C.int
	C.amphi_h264_version(&major, &minor, &revision)
	return fmt.Sprintf("libavcodec %d.%d.%d, libopenh264 %d.%d.%d, %s",
		v>>16, v>>8&0xff, v&0xff, int(major), int(minor), int(revision), C.GoString(C.opus_get_version_string()))
}
