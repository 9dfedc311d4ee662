//go:build cgo

package codec

// #cgo pkg-config: libavcodec libavutil openh264 opus
// #include "lavc.h"
// #include "wels.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// VideoCodec is the encoding that a VideoDecoder takes.
type VideoCodec int

// The codecs of browsers' cameras.
const (
	VP8  VideoCodec = C.AMPHI_VP8
	H264 VideoCodec = C.AMPHI_H264
	VP9  VideoCodec = C.AMPHI_VP9
	AV1  VideoCodec = C.AMPHI_AV1
)

// VideoDecoder decodes one stream, on the caller's thread and without delay.
type VideoDecoder struct {
	codec VideoCodec
	c     *C.amphi_decoder
}

// NewVideoDecoder returns a decoder that waits for a key frame.
func NewVideoDecoder(codec VideoCodec) (*VideoDecoder, error) {
	c := C.amphi_decoder_new(C.int(codec), MaxLongSide, MaxShortSide)
	if c == nil {
		return nil, fmt.Errorf("codec: libavcodec has no decoder %d", codec)
	}
	return &VideoDecoder{codec, c}, nil
}

// Close frees the decoder. Pictures that it gave stay valid.
func (d *VideoDecoder) Close() {
	C.amphi_decoder_free(d.c)
	d.c = nil
}

// Decode takes one whole frame and returns the picture to show, or nil if there is none. The
// error is ErrTooLarge or ErrDamaged; then the decoder has forgotten its references.
func (d *VideoDecoder) Decode(frame []byte) (*Picture, error) {
	const maxFrame = 4 << 20
	if len(frame) == 0 || len(frame) > maxFrame {
		return nil, ErrDamaged
	}
	if d.codec == VP8 {
		w, h, key := vp8Size(frame)
		if key && !fits(w, h) {
			C.amphi_decoder_flush(d.c)
			return nil, ErrTooLarge
		}
	}
	var out C.amphi_picture
	switch C.amphi_decoder_decode(d.c, (*C.uint8_t)(&frame[0]), C.int(len(frame)), &out) {
	case 0:
	case C.AMPHI_TOO_LARGE:
		C.amphi_decoder_flush(d.c)
		return nil, ErrTooLarge
	default:
		C.amphi_decoder_flush(d.c)
		return nil, ErrDamaged
	}
	if out.frame == nil {
		return nil, nil
	}
	w, h := int(out.width), int(out.height)
	cw, ch := (w+1)/2, (h+1)/2
	plane := func(i, w, h int) []byte {
		return unsafe.Slice((*byte)(out.plane[i]), int(out.stride[i])*(h-1)+w)
	}
	if out.stride[0] < 0 || out.stride[1] != out.stride[2] {
		C.amphi_picture_free(out.frame)
		return nil, ErrDamaged
	}
	return &Picture{
		W: w, H: h,
		Y: plane(0, w, h), U: plane(1, cw, ch), V: plane(2, cw, ch),
		YStride: int(out.stride[0]), CStride: int(out.stride[1]),
		frame: out.frame,
	}, nil
}

// Picture is a decoded I420 picture. Its planes are the decoder's own memory, read-only, and
// valid until Close.
type Picture struct {
	W, H             int
	Y, U, V          []byte
	YStride, CStride int

	frame unsafe.Pointer
}

// Close gives the memory back. It may be called twice.
func (p *Picture) Close() {
	if p == nil || p.frame == nil {
		return
	}
	C.amphi_picture_free(p.frame)
	p.frame, p.Y, p.U, p.V = nil, nil, nil, nil
}

// vp8Size reads the header of a VP8 frame (RFC 6386, 9.1).
func vp8Size(frame []byte) (w, h int, key bool) {
	if frame[0]&1 != 0 {
		return 0, 0, false
	}
	if len(frame) < 10 {
		return 0, 0, true
	}
	return int(frame[6]) | int(frame[7])&0x3f<<8, int(frame[8]) | int(frame[9])&0x3f<<8, true
}

// IsVP8Key reports whether a VP8 frame is a key frame.
func IsVP8Key(frame []byte) bool { return len(frame) > 0 && frame[0]&1 == 0 }

// H264Config describes an H.264 stream to make.
type H264Config struct {
	Width, Height int // pixels, even
	FPS           int
	Bitrate       int // bit/s
}

// H264Encoder encodes High profile with CABAC and no B-frames: each picture gives its access
// unit at once. There are no key frames but those that are forced.
type H264Encoder struct {
	config   H264Config
	c        *C.amphi_h264
	out      unsafe.Pointer // C memory for an access unit
	space    int
	repeater repeater
}

// NewH264Encoder returns an encoder whose first picture will be a key frame.
func NewH264Encoder(config H264Config) (*H264Encoder, error) {
	c := C.amphi_h264_new(C.int(config.Width), C.int(config.Height), C.float(config.FPS), C.int(config.Bitrate))
	if c == nil {
		return nil, fmt.Errorf("codec: openh264 refuses %dx%d at %d bit/s", config.Width, config.Height, config.Bitrate)
	}
	// No access unit of this encoder is larger than the picture itself, but for tiny pictures.
	space := config.Width*config.Height*3/2 + 64<<10
	return &H264Encoder{config: config, c: c, out: C.malloc(C.size_t(space)), space: space}, nil
}

// Close frees the encoder.
func (e *H264Encoder) Close() {
	C.amphi_h264_free(e.c)
	C.free(e.out)
	e.c, e.out = nil, nil
}

// Encode takes an I420 picture of the configured size and the time in milliseconds since the
// start, and returns an access unit in Annex B, with SPS and PPS if it is a key frame. The unit
// is valid until the next call.
func (e *H264Encoder) Encode(y, u, v []byte, yStride, cStride int, ms int64, forceKey bool) (unit []byte, key bool, err error) {
	w, h := e.config.Width, e.config.Height
	if len(y) < yStride*(h-1)+w || min(len(u), len(v)) < cStride*(h/2-1)+w/2 {
		return nil, false, errors.New("codec: picture smaller than configured")
	}
	force := C.int(0)
	if forceKey {
		force = 1
	}
	var isKey C.int
	n := C.amphi_h264_encode(e.c, (*C.uint8_t)(&y[0]), (*C.uint8_t)(&u[0]), (*C.uint8_t)(&v[0]),
		C.int(yStride), C.int(cStride), C.int64_t(ms), force, (*C.uint8_t)(e.out), C.int(e.space), &isKey)
	if n <= 0 {
		return nil, false, fmt.Errorf("codec: openh264 gave no picture (%d)", int(n))
	}
	key = isKey != 0
	return e.repeater.take(unsafe.Slice((*byte)(e.out), int(n)), key), key, nil
}

// Repeat returns an access unit, valid until the next call, that shows the last picture once
// more. It is made without the encoder and takes 20 bytes or so. It is nil where the stream has not
// begun, or is not as openh264 has made it so far: then only Encode makes pictures.
func (e *H264Encoder) Repeat() []byte { return e.repeater.repeat() }
