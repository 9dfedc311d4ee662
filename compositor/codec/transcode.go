//go:build cgo

package codec

// #cgo pkg-config: libswresample
// #include "lavc.h"
// #include "transcode.h"
import "C"

import "fmt"

// MaxAACSamples is room for what an access unit may decode to, per channel: 2048 samples (with SBR)
// at the lowest rate, 7350 Hz, are 13,375 at 48 kHz.
const MaxAACSamples = 1 << 14

// AACDecoder decodes AAC of any profile, rate and number of channels to the format of this package.
type AACDecoder struct{ c *C.amphi_aac_decoder }

// NewAACDecoder returns a decoder for what an AudioSpecificConfig describes.
func NewAACDecoder(config []byte) (*AACDecoder, error) {
	if len(config) == 0 {
		return nil, ErrDamaged
	}
	c := C.amphi_aac_decoder_new((*C.uint8_t)(&config[0]), C.int(len(config)))
	if c == nil {
		return nil, fmt.Errorf("codec: libavcodec does not decode AAC of configuration %x", config)
	}
	return &AACDecoder{c}, nil
}

// Close frees the decoder.
func (d *AACDecoder) Close() {
	C.amphi_aac_decoder_free(d.c)
	d.c = nil
}

// Decode decodes an access unit into pcm, which has room for MaxAACSamples samples, and returns the
// samples per channel. The error is ErrDamaged.
func (d *AACDecoder) Decode(unit []byte, pcm []float32) (int, error) {
	if len(unit) == 0 || len(pcm) < MaxAACSamples*Channels {
		return 0, ErrDamaged
	}
	n := C.amphi_aac_decoder_decode(d.c, (*C.uint8_t)(&unit[0]), C.int(len(unit)), (*C.float)(&pcm[0]), C.int(len(pcm)/Channels))
	if n < 0 {
		return 0, ErrDamaged
	}
	return int(n), nil
}

// Stretch makes the next second of sound so many samples longer, or shorter.
func (d *AACDecoder) Stretch(samples int) error {
	if C.amphi_aac_decoder_stretch(d.c, C.int(samples), SampleRate) < 0 {
		return fmt.Errorf("codec: libswresample cannot make a second %d samples longer", samples)
	}
	return nil
}

// OpusSamplesOut is the length of the packets of an OpusEncoder, 20 ms, in samples per channel.
const OpusSamplesOut = 960

// OpusEncoder encodes one stream of Opus packets.
type OpusEncoder struct {
	c   *C.OpusEncoder
	out [opusPacket]byte
}

// NewOpusEncoder returns an encoder for a bit rate in bit/s.
func NewOpusEncoder(bitrate int) (*OpusEncoder, error) {
	c := C.amphi_opus_new(C.int(bitrate))
	if c == nil {
		return nil, fmt.Errorf("codec: libopus does not encode with %d bit/s", bitrate)
	}
	return &OpusEncoder{c: c}, nil
}

// Close frees the encoder.
func (e *OpusEncoder) Close() {
	C.opus_encoder_destroy(e.c)
	e.c = nil
}

// Lookahead is by how many samples what a packet decodes to is later than what was encoded.
func (e *OpusEncoder) Lookahead() int { return int(C.amphi_opus_lookahead(e.c)) }

// Encode encodes OpusSamplesOut samples. The packet is valid until the next call.
func (e *OpusEncoder) Encode(pcm []float32) ([]byte, error) {
	if len(pcm) != OpusSamplesOut*Channels {
		return nil, fmt.Errorf("codec: Opus frame of %d values", len(pcm))
	}
	n := C.opus_encode_float(e.c, (*C.float)(&pcm[0]), OpusSamplesOut, (*C.uchar)(&e.out[0]), C.opus_int32(len(e.out)))
	if n < 0 {
		return nil, fmt.Errorf("codec: Opus encoder failed (%d)", int(n))
	}
	return e.out[:n], nil
}
