package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

const (
	// packetBytes is the payload of a packet: with all headers it fits where 1,280 bytes do.
	packetBytes = 1150

	// reportEvery is how often receivers are told which time a timestamp is.
	reportEvery = time.Second

	// ntpEpoch is 1900-01-01 in seconds before 1970-01-01.
	ntpEpoch = 2208988800
)

// connection is a connection of this process with its SFU.
type connection struct {
	pc           *webrtc.PeerConnection
	video, audio *outgoing
}

// outgoing is one track's packets.
type outgoing struct {
	pc     *webrtc.PeerConnection
	track  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender
	marks  bool // the last packet of each picture

	// What follows is guarded by the stage's mutex.
	number   uint16
	reported time.Time
	sent     rtcp.SenderReport // packets and octets so far
	levelID  uint8             // of the header extension; 0: not known yet
}

var (
	h264Capability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: videoRate,
		SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}}
	opusCapability = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: audioRate, Channels: 2,
		SDPFmtpLine: "minptime=10;useinbandfec=1"}
)

// newConnection makes the connection's side of here, and the offer.
func newConnection(ctx context.Context, camera, microphone protocol.Track) (c *connection, offer string, err error) {
	m := &webrtc.MediaEngine{}
	var lost interceptor.Registry
	resend, err := nack.NewResponderInterceptor()
	if err != nil {
		return nil, "", err
	}
	// Nothing else: the reports that Pion makes say when a packet was sent, not when its sound was heard.
	lost.Add(resend)
	if err := errors.Join(
		m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264Capability, PayloadType: 102}, webrtc.RTPCodecTypeVideo),
		m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opusCapability, PayloadType: 111}, webrtc.RTPCodecTypeAudio),
		m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: sdp.AudioLevelURI}, webrtc.RTPCodecTypeAudio),
	); err != nil {
		return nil, "", err
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(&lost)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			_ = pc.GracefulClose()
		}
	}()
	c = &connection{pc: pc}
	if c.video, err = addTrack(pc, h264Capability, camera); err != nil {
		return nil, "", err
	}
	if c.audio, err = addTrack(pc, opusCapability, microphone); err != nil {
		return nil, "", err
	}
	d, err := pc.CreateOffer(nil)
	if err != nil {
		return nil, "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		return nil, "", err
	}
	select {
	case <-gathered:
		return c, pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

func addTrack(pc *webrtc.PeerConnection, how webrtc.RTPCodecCapability, t protocol.Track) (*outgoing, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(how, t.TrackID, t.StreamID)
	if err != nil {
		return nil, err
	}
	transceiver, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	sender := transceiver.Sender()
	go func() { // reports, and wishes for key pictures, of which most sources cannot be told
		for b := make([]byte, 1500); ; {
			if _, _, err := sender.Read(b); err != nil {
				return
			}
		}
	}()
	return &outgoing{pc: pc, track: track, sender: sender, marks: t.Kind == protocol.Video}, nil
}

// open takes the room's answer, and waits until the connection is up. Clients may be told of another address
// than the one that this machine has, so that is not asked for there.
func (c *connection) open(ctx context.Context, answer string, media []sfu.Address, gone func()) error {
	up, down := make(chan struct{}), make(chan struct{})
	var once, lost sync.Once
	c.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			once.Do(func() { close(up) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			lost.Do(func() { close(down) })
			gone()
		}
	})
	var lines []string
	for line := range strings.Lines(answer) {
		if !strings.HasPrefix(line, "a=candidate:") && !strings.HasPrefix(line, "a=end-of-candidates") {
			lines = append(lines, line)
		}
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: strings.Join(lines, "")}); err != nil {
		return err
	}
	for i, a := range media {
		text := fmt.Sprintf("candidate:%d 1 udp %d %s %d typ host", i+1, 2130706431-i, a.Local.Addr(), a.Local.Port())
		if err := c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: text}); err != nil {
			return err
		}
	}
	select {
	case <-up:
	case <-down:
		return errors.New("the connection failed")
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, ext := range c.audio.sender.GetParameters().HeaderExtensions {
		if ext.URI == sdp.AudioLevelURI {
			c.audio.levelID = uint8(ext.ID)
		}
	}
	return nil
}

// send sends the packets of one picture or sound, of which level says how loud it is, if that is known. at is the wall
// clock of its timestamp.
func (o *outgoing) send(at time.Time, timestamp uint32, level *uint8, payloads ...[]byte) error {
	if now := time.Now(); now.Sub(o.reported) >= reportEvery {
		o.reported = now
		if err := o.report(at, timestamp); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
	}
	for i, payload := range payloads {
		o.number++
		p := rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: o.marks && i == len(payloads)-1, SequenceNumber: o.number, Timestamp: timestamp},
			Payload: payload,
		}
		if level != nil && o.levelID != 0 {
			if err := p.SetExtension(o.levelID, []byte{*level & 0x7f}); err != nil {
				return err
			}
		}
		if err := o.track.WriteRTP(&p); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		o.sent.PacketCount++
		o.sent.OctetCount += uint32(len(payload))
	}
	return nil
}

// report tells which time a timestamp is (RFC 3550 §6.4.1): so sound and pictures are heard and seen together however
// long each was on its way here.
func (o *outgoing) report(at time.Time, timestamp uint32) error {
	encodings := o.sender.GetParameters().Encodings
	if len(encodings) == 0 {
		return nil
	}
	r := o.sent
	r.SSRC, r.RTPTime = uint32(encodings[0].SSRC), timestamp
	r.NTPTime = uint64(at.Unix()+ntpEpoch)<<32 | uint64(at.Nanosecond())<<32/uint64(time.Second)
	return o.pc.WriteRTCP([]rtcp.Packet{&r})
}
