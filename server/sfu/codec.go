package sfu

import (
	"fmt"
	"sync/atomic"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
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
// 1, the one form that every receiver decodes.
const (
	VP8 Codec = iota + 1
	H264
	Opus
)

func (c Codec) String() string {
	switch c {
	case VP8:
		return "VP8"
	case H264:
		return "H264"
	case Opus:
		return "opus"
	}
	return "unknown"
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

var srtpProfiles = []dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
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
	// Towards subscribers only what is filled in: transport-wide sequence
	// numbers, so that their feedback can steer bandwidth, and the level of
	// audio. Not the orientation of video: where a client may not announce a
	// rotation it rotates the picture itself, and the compositor need not.
	subscribeExts = map[Kind][]string{
		Audio: {extLevel, extTWCC},
		Video: {extTWCC},
	}
)

const opusFmtp = "minptime=10;useinbandfec=1;usedtx=1"

func h264Fmtp(profile string) string {
	return "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=" + profile
}

// newMediaEngine registers codecs and extensions. Payload types matter on the
// subscribe side only: on the publish side those of the offer are used.
func newMediaEngine(exts map[Kind][]string, profiles ...string) (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	twccFB := webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}
	videoFB := []webrtc.RTCPFeedback{
		{Type: webrtc.TypeRTCPFBNACK},
		{Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
		{Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"},
		twccFB,
	}
	video := []webrtc.RTPCodecCapability{{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}}
	for _, p := range profiles {
		video = append(video, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: h264Fmtp(p)})
	}
	pt := webrtc.PayloadType(96)
	for _, c := range video {
		c.RTCPFeedback = videoFB
		rtx := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt)}
		for i, capability := range []webrtc.RTPCodecCapability{c, rtx} {
			p := webrtc.RTPCodecParameters{RTPCodecCapability: capability, PayloadType: pt + webrtc.PayloadType(i)}
			if err := m.RegisterCodec(p, webrtc.RTPCodecTypeVideo); err != nil {
				return nil, fmt.Errorf("sfu: register %s: %w", c.MimeType, err)
			}
		}
		pt += 2
	}
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
			SDPFmtpLine: opusFmtp, RTCPFeedback: []webrtc.RTCPFeedback{twccFB},
		},
		PayloadType: 111,
	}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, fmt.Errorf("sfu: register opus: %w", err)
	}
	for _, kind := range []Kind{Audio, Video} {
		for _, uri := range exts[kind] {
			if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind.rtp()); err != nil {
				return nil, fmt.Errorf("sfu: register %s: %w", uri, err)
			}
		}
	}
	return m, nil
}

// newAPIs makes the two sets of engines. The publish side runs pion's
// receiver reports and transport-wide feedback; asking for lost packets is
// ours (nacker), because pion's does not see what arrives by RTX. The
// subscribe side runs no interceptor at all: each would cost every packet to
// every viewer, and what they do is done once per track here.
func newAPIs(s *SFU) (pub, sub *webrtc.API, err error) {
	e, err := s.settings()
	if err != nil {
		return nil, nil, err
	}
	m, err := newMediaEngine(publishExts, "42e01f", "42001f")
	if err != nil {
		return nil, nil, err
	}
	reports, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(loggerFactory{s.log}))
	if err != nil {
		return nil, nil, fmt.Errorf("sfu: receiver reports: %w", err)
	}
	feedback, err := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(loggerFactory{s.log}))
	if err != nil {
		return nil, nil, fmt.Errorf("sfu: transport feedback: %w", err)
	}
	registry := &interceptor.Registry{}
	registry.Add(reports)
	registry.Add(feedback)
	pub = webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(registry))

	if m, err = newMediaEngine(subscribeExts, "42e01f"); err != nil {
		return nil, nil, err
	}
	sub = webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	return pub, sub, nil
}

// newConnection makes a connection of api with the common configuration.
func (s *SFU) newConnection(api *webrtc.API) (*webrtc.PeerConnection, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{s.cert},
		BundlePolicy: webrtc.BundlePolicyMaxBundle,
		// Encrypted header extensions (RFC 9335) are not offered: nothing
		// secret is in them, and not every middlebox or client agrees.
		RTPHeaderEncryptionPolicy: webrtc.RTPHeaderEncryptionPolicyDisable,
	})
	if err != nil {
		return nil, fmt.Errorf("sfu: connection: %w", err)
	}
	// Clients open one channel on the publish connection, for the sake of its
	// media section, and nobody reads it. More than a few are not wanted.
	var channels atomic.Int32
	pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		if channels.Add(1) > 4 {
			if err := dc.Close(); err != nil {
				s.log.Debug("closing a client's data channel", "error", err)
			}
		}
	})
	return pc, nil
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
	case Opus:
		return true
	}
	return false
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
