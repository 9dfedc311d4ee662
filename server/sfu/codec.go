package sfu

import (
	"strings"

	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Kind is what a track carries.
type Kind uint8

// The kinds of tracks.
const (
	Audio Kind = iota + 1
	Video
)

func (k Kind) String() string {
	switch k {
	case Audio:
		return "audio"
	case Video:
		return "video"
	}
	return "unknown"
}

func (k Kind) rtp() webrtc.RTPCodecType {
	if k == Audio {
		return webrtc.RTPCodecTypeAudio
	}
	return webrtc.RTPCodecTypeVideo
}

// Codec is one of the codecs that are forwarded.
type Codec uint8

// The codecs. H264 is baseline or constrained baseline in packetization mode
// 1, the one form that every receiver decodes. VP9 and AV1 are those of profile
// 0, and taken from publishers who offer nothing that more receivers decode.
const (
	VP8 Codec = iota + 1
	H264
	Opus
	VP9
	AV1
)

func (c Codec) String() string {
	switch c {
	case VP8:
		return "VP8"
	case H264:
		return "H264"
	case Opus:
		return "opus"
	case VP9:
		return "VP9"
	case AV1:
		return "AV1"
	}
	return "unknown"
}

// CodecNamed is the codec of a name as in SDP, in upper or lower case; 0 if it is not forwarded.
func CodecNamed(name string) Codec {
	for c := VP8; c <= AV1; c++ {
		if strings.EqualFold(name, c.String()) {
			return c
		}
	}
	return 0
}

// ClockRate is the RTP clock in Hz.
func (c Codec) ClockRate() uint32 {
	if c == Opus {
		return 48000
	}
	return 90000
}

func (c Codec) kind() Kind {
	if c == Opus {
		return Audio
	}
	return Video
}

// Header extensions, RFC 8285.
const (
	extLevel    = sdp.AudioLevelURI  // RFC 6464
	extSendTime = sdp.ABSSendTimeURI // libwebrtc's own
	extTWCC     = sdp.TransportCCURI // draft-holmer-rmcat-transport-wide-cc-extensions
	extMid      = sdp.SDESMidURI
	extRID      = sdp.SDESRTPStreamIDURI
	extRepaired = sdp.SDESRepairRTPStreamIDURI
)

var (
	publishExts = map[Kind][]string{
		Audio: {extMid, extLevel, extSendTime, extTWCC},
		Video: {extMid, extRID, extRepaired, extSendTime, extTWCC},
	}
)

const opusFmtp = "minptime=10;useinbandfec=1;usedtx=1"

const vp9Fmtp = "profile-id=0" // 8 bits, 4:2:0

func h264Fmtp(profile string) string {
	return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile
}

// keyStart says whether a packet can begin a key frame; first is whether it
// is the first packet of its frame. Forwarding to a new viewer starts there.
func (c Codec) keyStart(payload []byte, first bool) bool {
	switch c {
	case VP8:
		d, ok := parseVP8(payload)
		return ok && d.keyStart(payload)
	case H264:
		sps, idr := h264Key(payload)
		// An IDR picture that is not preceded by its parameter sets in the
		// same access unit still is a start: they came before.
		return sps || idr && first
	case VP9:
		return vp9KeyStart(payload)
	case AV1:
		// N: the first packet of a coded video sequence (AV1 RTP, 4.4); Z would be a fragment's rest.
		return len(payload) > 1 && payload[0]&0x88 == 0x08
	case Opus:
		return true
	}
	return false
}

// vp9KeyStart says whether a payload of RFC 9628 begins a key frame, at its lowest spatial layer: those
// above are predicted from it. Some senders do not say so (P), so the frame's own header is asked too.
func vp9KeyStart(p []byte) bool {
	const predicted, begin = 0x40, 0x08 // P, B
	if len(p) == 0 || p[0]&(predicted|begin) != begin {
		return false
	}
	var d codecs.VP9Packet
	frame, err := d.Unmarshal(p)
	// frame_marker 0b10, two bits of the profile, show_existing_frame, and frame_type: 0 is a key frame.
	return err == nil && (!d.L || d.SID == 0) && len(frame) > 0 && frame[0]&0xcc == 0x80
}

// h264Key looks for a sequence parameter set and for the begin of an IDR
// slice in a payload of RFC 6184: single unit, STAP-A or FU-A.
func h264Key(p []byte) (sps, idr bool) {
	const (
		nalIDR, nalSPS, nalSTAPA, nalFUA = 5, 7, 24, 28
	)
	if len(p) == 0 {
		return false, false
	}
	switch t := p[0] & 0x1f; t {
	case nalIDR:
		return false, true
	case nalSPS:
		return true, false
	case nalSTAPA:
		for p = p[1:]; len(p) > 2; {
			n := int(p[0])<<8 | int(p[1])
			switch p[2] & 0x1f {
			case nalSPS:
				sps = true
			case nalIDR:
				idr = true
			}
			if n == 0 || len(p) < 2+n {
				return sps, idr
			}
			p = p[2+n:]
		}
	case nalFUA:
		if len(p) > 1 && p[1]&0x80 != 0 {
			return p[1]&0x1f == nalSPS, p[1]&0x1f == nalIDR
		}
	}
	return sps, idr
}
