package sfu

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/pion/rtp/codecs"
)

// pictureSize reads the size of the pictures from the packet that begins a key frame, in the form
// of packSize; 0 where it does not say.
func (c Codec) pictureSize(payload []byte) uint32 {
	switch c {
	case VP8:
		return vp8PictureSize(payload)
	case H264:
		var sps h264.SPS
		if raw := h264SPS(payload); raw != nil && sps.Unmarshal(raw) == nil {
			return packSize(sps.Width(), sps.Height())
		}
	case VP9:
		return vp9PictureSize(payload)
	case AV1:
		return av1PictureSize(payload)
	}
	return 0
}

// vp8PictureSize reads a key frame's header (RFC 6386, 9.1).
func vp8PictureSize(p []byte) uint32 {
	d, ok := parseVP8(p)
	if !ok || !d.start || len(p) < d.size+10 {
		return 0
	}
	h := p[d.size:]
	if h[3] != 0x9d || h[4] != 0x01 || h[5] != 0x2a {
		return 0
	}
	return packSize(int(h[6])|int(h[7])&0x3f<<8, int(h[8])|int(h[9])&0x3f<<8)
}

// h264SPS finds a sequence parameter set in a payload, by itself or in a STAP-A.
func h264SPS(p []byte) []byte {
	const nalSPS, nalSTAPA = 7, 24
	if len(p) == 0 {
		return nil
	}
	switch p[0] & 0x1f {
	case nalSPS:
		return p
	case nalSTAPA:
		for p = p[1:]; len(p) > 2; {
			n := int(p[0])<<8 | int(p[1])
			if p = p[2:]; n == 0 || n > len(p) {
				return nil
			}
			if p[0]&0x1f == nalSPS {
				return p[:n]
			}
			p = p[n:]
		}
	}
	return nil
}

// vp9PictureSize takes the largest spatial layer, if the packet tells them (RFC 9628, 4.2.1), or the
// frame's own size.
func vp9PictureSize(p []byte) uint32 {
	var d codecs.VP9Packet
	body, err := d.Unmarshal(p)
	if err != nil {
		return 0
	}
	if n := min(len(d.Width), len(d.Height)); n > 0 {
		return packSize(int(d.Width[n-1]), int(d.Height[n-1]))
	}
	var h vp9.Header
	if h.Unmarshal(body) != nil || h.NonKeyFrame || h.FrameSize == nil {
		return 0
	}
	return packSize(h.Width(), h.Height())
}

// av1PictureSize reads a sequence header, which stands first in the packet that begins a coded
// video sequence.
func av1PictureSize(p []byte) uint32 {
	var d codecs.AV1Depacketizer
	stream, err := d.Unmarshal(p)
	if err != nil {
		return 0
	}
	var units av1.Bitstream
	var sequence av1.SequenceHeader
	if units.Unmarshal(stream) != nil || len(units) == 0 || sequence.Unmarshal(units[0]) != nil {
		return 0
	}
	return packSize(sequence.Width(), sequence.Height())
}
