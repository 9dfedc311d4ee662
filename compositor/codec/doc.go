// Package codec is a thin layer over the system's codec libraries: libavcodec decodes VP8, H.264, VP9
// and AV1 (that by libdav1d), and decodes and encodes AAC, libswresample brings that to one rate,
// libopenh264 encodes H.264, libopus decodes and encodes Opus. It is the only place where they are
// touched, and it runs in the media worker only: what a hostile stream may do to a decoder stays in a
// process without network or secrets.
//
// It needs cgo and, on Debian and Ubuntu, the packages
//
//	gcc pkg-config libavcodec-dev libavutil-dev libswresample-dev libopenh264-dev libopus-dev
//
// ("Package libavcodec was not found" from pkg-config means that these are missing.)
//
// Each type belongs to one goroutine at a time and holds memory that Go's collector does not
// see: it must be closed.
package codec

import "errors"

// MaxPixels bounds the pictures that are decoded: full HD, lying or upright. Larger ones are
// refused before memory is taken for them.
const (
	MaxLongSide  = 1920
	MaxShortSide = 1088 // 1080 is coded as whole macroblocks
)

// Errors of decoders. After either the decoder can be used on; video needs a key frame first.
var (
	ErrTooLarge = errors.New("codec: picture larger than full HD")
	ErrDamaged  = errors.New("codec: damaged frame")
)

// fits reports whether a picture of this size is decoded.
func fits(w, h int) bool {
	return w > 0 && h > 0 && max(w, h) <= MaxLongSide && min(w, h) <= MaxShortSide
}
