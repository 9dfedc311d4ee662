package sfu

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/webrtc/v4"

	"amphi/server/sfu/transport"
)

// The connections on which clients publish are pion's.

var srtpProfiles = []dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

// newMediaEngine registers codecs and extensions. The payload types used are
// those of an offer.
func newMediaEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	twccFB := webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}
	videoFB := []webrtc.RTCPFeedback{
		{Type: webrtc.TypeRTCPFBNACK},
		{Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
		{Type: webrtc.TypeRTCPFBCCM, Parameter: "fir"},
		twccFB,
	}
	video := []webrtc.RTPCodecCapability{{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}}
	for _, p := range []string{"42e01f", "42001f"} {
		video = append(video, webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: h264Fmtp(p)})
	}
	video = append(video,
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP9, ClockRate: 90000, SDPFmtpLine: vp9Fmtp},
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeAV1, ClockRate: 90000})
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
		for _, uri := range publishExts[kind] {
			if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind.rtp()); err != nil {
				return nil, fmt.Errorf("sfu: register %s: %w", uri, err)
			}
		}
	}
	return m, nil
}

// newAPI makes pion's engine. It runs pion's receiver reports and
// transport-wide feedback; asking for lost packets is ours (nacker), because
// pion's does not see what arrives by RTX.
func newAPI(s *SFU) (*webrtc.API, error) {
	e, err := s.settings()
	if err != nil {
		return nil, err
	}
	m, err := newMediaEngine()
	if err != nil {
		return nil, err
	}
	reports, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(transport.PionLog(s.log)))
	if err != nil {
		return nil, fmt.Errorf("sfu: receiver reports: %w", err)
	}
	feedback, err := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(transport.PionLog(s.log)))
	if err != nil {
		return nil, fmt.Errorf("sfu: transport feedback: %w", err)
	}
	registry := &interceptor.Registry{}
	registry.Add(reports)
	registry.Add(feedback)
	return webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(registry)), nil
}

// newConnection makes a publish connection.
func (s *SFU) newConnection() (*webrtc.PeerConnection, error) {
	pc, err := s.pubAPI.NewPeerConnection(webrtc.Configuration{
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

// settings are the ICE and DTLS parameters of publish connections.
func (s *SFU) settings() (webrtc.SettingEngine, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = transport.PionLog(s.log)
	// The port's addresses are those of the start, so the kernel need not be asked for the interfaces by each connection,
	// which would also keep the answer.
	interfaces, err := stdnet.NewNet()
	if err != nil {
		return e, fmt.Errorf("sfu: network interfaces: %w", err)
	}
	e.SetNet(interfaces)
	e.SetICEUDPMux(s.port.Mux())
	e.SetICETCPMux(s.port.TCPMux())
	e.DisableActiveTCP(true) // the server connects to nobody
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(s.timing.disconnected, s.timing.failed, s.timing.keepalive)
	e.SetDTLSRetransmissionInterval(100 * time.Millisecond) // the default of 1 s makes one lost datagram a late join
	e.SetReceiveMTU(packetSize)
	e.SetSCTPMaxMessageSize(4 * maxMessage)
	// Nobody reads the clients' channels, so nobody has to wait at them with a buffer: each would take
	// 64 KiB. What a client sends in spite of that is as much as its window lets it.
	e.DetachDataChannels()
	e.SetSCTPMaxReceiveBufferSize(64 << 10)
	// Tracks are matched by media section, so nothing has to wait for the
	// first packet, and a first packet of a wrong codec spoils nothing.
	e.SetFireOnTrackBeforeFirstRTP(true)
	// Authenticated encryption in one pass: 0.3 µs a packet where AES-CM with
	// HMAC-SHA1 takes 2.1.
	e.SetSRTPProtectionProfiles(srtpProfiles...)

	var rules []webrtc.ICEAddressRewriteRule
	for _, a := range s.port.Addresses() {
		if a.Local.IsLoopback() {
			e.SetIncludeLoopbackCandidate(true)
		}
		if a.Local != a.Announced {
			rules = append(rules, webrtc.ICEAddressRewriteRule{
				Local:           a.Local.String(),
				External:        []string{a.Announced.String()},
				AsCandidateType: webrtc.ICECandidateTypeHost,
				Mode:            webrtc.ICEAddressRewriteReplace,
			})
		}
	}
	if len(rules) > 0 {
		if err := e.SetICEAddressRewriteRules(rules...); err != nil {
			return e, fmt.Errorf("sfu: node ips: %w", err)
		}
	}
	return e, nil
}
