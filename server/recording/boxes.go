package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Boxes of the ISO base media file format (ISO/IEC 14496-12).

// box makes a box of its contents.
func box(kind string, contents ...[]byte) []byte {
	size := 8
	for _, c := range contents {
		size += len(c)
	}
	b := make([]byte, 0, size)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, kind...)
	for _, c := range contents {
		b = append(b, c...)
	}
	return b
}

// fullBox makes a box with version and flags.
func fullBox(kind string, version byte, flags uint32, contents ...[]byte) []byte {
	return box(kind, append([][]byte{u32(uint32(version)<<24 | flags)}, contents...)...)
}

func u16(v ...uint16) (b []byte) {
	for _, n := range v {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return b
}

func u32(v ...uint32) (b []byte) {
	b = make([]byte, 0, 4*len(v))
	for _, n := range v {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func u64(v ...uint64) (b []byte) {
	b = make([]byte, 0, 8*len(v))
	for _, n := range v {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

var errNoInit = errors.New("recording: initialisation section is not understood")

// find returns the contents of the nth box of a kind among others.
func find(boxes []byte, kind string, nth int) []byte {
	for len(boxes) >= 8 {
		size := binary.BigEndian.Uint32(boxes)
		if size < 8 || int64(size) > int64(len(boxes)) {
			return nil
		}
		if string(boxes[4:8]) == kind {
			if nth == 0 {
				return boxes[8:size]
			}
			nth--
		}
		boxes = boxes[size:]
	}
	return nil
}

// initialisation is what an initialisation section says.
type initialisation struct {
	video, audio  []byte // the sample entries, whole boxes
	rate          int64  // of the audio, samples a second
	width, height int    // pixels
	codec         string // of the video, as RFC 6381 has it
	sets          []byte // its parameter sets, each after its length in four bytes
}

const (
	videoEntryHead = 78 // bytes of a VisualSampleEntry before its boxes (12.1.3)
	audioEntryHead = 28 // of an AudioSampleEntry (12.2.3)
)

// parseInit reads an initialisation section of package hls: video in its first track, audio in its second.
func parseInit(section []byte) (in initialisation, err error) {
	moov := find(section, "moov", 0)
	entry := func(nth int) (whole []byte, scale uint32) {
		mdia := find(find(moov, "trak", nth), "mdia", 0)
		stsd := find(find(find(mdia, "minf", 0), "stbl", 0), "stsd", 0)
		mdhd := find(mdia, "mdhd", 0)
		if len(stsd) < 16 || len(mdhd) < 24 {
			return nil, 0
		}
		at := 12 // after version, flags and two times
		if mdhd[0] == 1 {
			at = 20
		}
		return stsd[8:], binary.BigEndian.Uint32(mdhd[at:])
	}
	var scale uint32
	if in.video, scale = entry(0); scale != videoScale {
		return in, fmt.Errorf("%w: %d ticks a second of video", errNoInit, scale)
	}
	if in.audio, scale = entry(1); scale == 0 || len(in.audio) < 8+audioEntryHead {
		return in, fmt.Errorf("%w: no audio", errNoInit)
	}
	in.rate = int64(scale)
	in.video = squarePixels(in.video)
	video := find(in.video, "avc1", 0)
	if len(video) < videoEntryHead {
		return in, fmt.Errorf("%w: no H.264", errNoInit)
	}
	in.width, in.height = int(binary.BigEndian.Uint16(video[24:])), int(binary.BigEndian.Uint16(video[26:]))
	avcC := find(video[videoEntryHead:], "avcC", 0)
	if len(avcC) < 4 {
		return in, fmt.Errorf("%w: no H.264 parameters", errNoInit)
	}
	if in.sets = parameterUnits(avcC); in.sets == nil {
		return in, fmt.Errorf("%w: no H.264 parameter sets", errNoInit)
	}
	in.codec = fmt.Sprintf("avc1.%02x%02x%02x", avcC[1], avcC[2], avcC[3])
	return in, nil
}

// squarePixels says in a video sample entry that pixels are square (12.1.4): where a file has entries of several shapes,
// players would think otherwise of all that are not of the shape of the track.
func squarePixels(entry []byte) []byte {
	if len(entry) < 8+videoEntryHead || find(entry[8+videoEntryHead:], "pasp", 0) != nil {
		return entry
	}
	return box(string(entry[4:8]), entry[8:], box("pasp", u32(1, 1)))
}
