package recording

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
)

// opusChannels is how many a browser's microphone may have; packets say themselves how many they have.
const opusChannels = 2

// trackCodec is what a file must say of its track, learned from the first key frame, which a browser made: it may be
// anything.
type trackCodec struct {
	id            string // as Matroska names it
	private       []byte // what a decoder must know before the first frame; nil: nothing
	width, height int    // pixels, of video
	annexB        bool   // frames are of H.264 in Annex-B form
	units         bool   // frames are AV1 temporal units
}

// learn reads a key frame. It reports whether it is one that a file can begin with.
func (c *trackCodec) learn(codec string, key []byte) bool {
	switch codec {
	case "opus":
		c.id = "A_OPUS"
		c.private = binary.LittleEndian.AppendUint32(append([]byte("OpusHead"), 1, opusChannels, 0, 0), 48000) // RFC 7845, 5.1
		c.private = append(c.private, 0, 0, 0)
		return true
	case "VP8":
		c.id = "V_VP8"
		if len(key) < 10 || key[0]&1 != 0 || key[3] != 0x9d || key[4] != 1 || key[5] != 0x2a { // RFC 6386, 9.1
			return false
		}
		c.width, c.height = int(binary.LittleEndian.Uint16(key[6:])&0x3fff), int(binary.LittleEndian.Uint16(key[8:])&0x3fff)
	case "VP9":
		c.id = "V_VP9"
		var h vp9.Header
		if h.Unmarshal(key) != nil || h.FrameSize == nil {
			return false
		}
		c.width, c.height = h.Width(), h.Height()
	case "AV1":
		c.id, c.units = "V_AV1", true
		return c.learnAV1(key)
	case "H264":
		c.id, c.annexB = "V_MPEG4/ISO/AVC", true
		return c.learnH264(key)
	}
	return c.width > 0 && c.height > 0
}

func (c *trackCodec) learnAV1(key []byte) bool {
	var units av1.Bitstream
	if units.Unmarshal(key) != nil {
		return false
	}
	for _, u := range units {
		var h av1.SequenceHeader
		if h.Unmarshal(u) != nil || len(h.SeqLevelIdx) == 0 || len(h.SeqTier) == 0 {
			continue
		}
		header, err := av1.Bitstream{u}.Marshal()
		if err != nil {
			return false
		}
		bit := func(b bool, at int) byte {
			if b {
				return 1 << at
			}
			return 0
		}
		// AV1CodecConfigurationRecord (AV1 in ISOBMFF, 2.3.3)
		color := h.ColorConfig
		c.private = append([]byte{0x81, h.SeqProfile<<5 | h.SeqLevelIdx[0]&0x1f,
			bit(h.SeqTier[0], 7) | bit(color.HighBitDepth, 6) | bit(color.TwelveBit, 5) | bit(color.MonoChrome, 4) |
				bit(color.SubsamplingX, 3) | bit(color.SubsamplingY, 2) | byte(color.ChromaSamplePosition)&3, 0}, header...)
		c.width, c.height = int(h.MaxFrameWidthMinus1)+1, int(h.MaxFrameHeightMinus1)+1
		return true
	}
	return false
}

func (c *trackCodec) learnH264(key []byte) bool {
	var units h264.AnnexB
	if units.Unmarshal(key) != nil {
		return false
	}
	var sps, pps []byte
	for _, u := range units {
		switch h264.NALUType(u[0] & 0x1f) {
		case h264.NALUTypeSPS:
			sps = u
		case h264.NALUTypePPS:
			pps = u
		}
	}
	var h h264.SPS
	if len(sps) < 4 || len(sps) > 1<<15 || len(pps) == 0 || len(pps) > 1<<15 || h.Unmarshal(sps) != nil {
		return false
	}
	c.width, c.height = h.Width(), h.Height()
	// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3)
	c.private = append([]byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1}, u16(uint16(len(sps)))...)
	c.private = append(append(c.private, sps...), 1)
	c.private = append(append(c.private, u16(uint16(len(pps)))...), pps...)
	return c.width > 0 && c.height > 0
}

// block is a frame as it is in a file. What is not of its codec stays as it is: decoders pass over it.
func (c *trackCodec) block(data []byte) []byte {
	switch {
	case c.annexB:
		var units h264.AnnexB
		if units.Unmarshal(data) == nil {
			if b, err := h264.AVCC(units).Marshal(); err == nil {
				return b
			}
		}
	case c.units && len(data) > 2 && data[0]>>3&0xf == byte(av1.OBUTypeTemporalDelimiter) && data[1] == 0:
		return data[2:] // blocks have none (AV1 in Matroska, 3.1)
	}
	return data
}
