package rtmp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"amphi/server/live"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

const (
	videoRate = 90000 // ticks of an RTP timestamp a second

	// packetBytes is the payload of a packet: with all headers it fits where 1,280 bytes do.
	packetBytes = 1150
)

// stage is an encoder's place in a room: a silent peer, as encoders are that come over WHIP. Its media goes
// the way of everybody's, over a connection of this process with itself.
type stage struct {
	g     *Ingest
	conn  net.Conn // of the encoder
	room  *room.Room
	name  string
	keyID string
	log   *slog.Logger

	peer   *room.Peer
	pc     *webrtc.PeerConnection
	track  *webrtc.TrackLocalStaticRTP
	split  codecs.H264Payloader
	number uint16
	ingest store.Ingest
	told   bool // that its sound is not passed on

	once sync.Once
}

// Send implements room.Sink: an encoder has no way to hear anything.
func (*stage) Send([]byte) {}

// Close implements room.Sink: the peer has left the room, for whatever reason.
func (s *stage) Close(string) { s.once.Do(func() { s.conn.Close() }) }

// play puts the encoder's pictures on the stage until it ends.
func (s *stage) play(e *encoder) error {
	for {
		p, err := e.next(s.unheard)
		if err != nil {
			return err
		}
		if s.peer == nil {
			if !p.key {
				continue
			}
			if err := s.enter(); err != nil {
				return err
			}
		}
		s.g.pictures.Add(1)
		if err := s.send(p); err != nil {
			return err
		}
	}
}

// unheard counts sound, and tells of the first.
func (s *stage) unheard() {
	s.g.sounds.Add(1)
	if !s.told {
		s.told = true
		s.log.Warn("sound that comes over RTMP is not passed on")
	}
}

// enter joins the room with one video track, and has it go live.
func (s *stage) enter() error {
	ctx, cancel := context.WithTimeout(context.Background(), joinLimit)
	defer cancel()
	role, err := roleFor(s.room.Info().Template)
	if err != nil {
		return err
	}
	t := protocol.Track{TrackID: uuid.NewString(), StreamID: uuid.NewString(), Kind: protocol.Video, Source: protocol.SourceRegular}
	offer, err := s.offer(ctx, t)
	if err != nil {
		return fmt.Errorf("media: %w", err)
	}
	s.peer, err = s.room.Connect(ctx, room.Identity{PeerID: uuid.NewString(), UserID: "rtmp-" + s.keyID, Role: role,
		TokenHash: sha256.Sum256([]byte(s.keyID)), Agent: "RTMP", Silent: true}, s)
	if err != nil {
		return err
	}
	answer, err := s.peer.PublishOnly(ctx, s.name, offer, map[string]protocol.Track{t.TrackID: t})
	if err != nil {
		return err
	}
	if err := s.connect(ctx, answer); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	s.ingest = store.Ingest{ID: store.NewID(), RoomID: s.room.ID(), StreamID: t.StreamID, StartedAt: time.Now()}
	if err := s.g.Store.IngestStarted(ctx, s.ingest); err != nil {
		s.log.Error("start could not be recorded", "err", err)
	}
	s.log.Info("encoder on stage", "role", role, "ingest", s.ingest.ID)
	s.goLive(ctx)
	return nil
}

// goLive starts the room's live stream unless there is one.
func (s *stage) goLive(ctx context.Context) {
	if s.g.Live == nil || len(s.room.Info().Template.Destinations.HLS) == 0 {
		return
	}
	_, err := s.g.Live.Start(ctx, s.room, live.Options{})
	var refusal *protocol.Error
	if err != nil && !(errors.As(err, &refusal) && refusal.Code == protocol.CodeConflict) {
		s.log.Warn("the room does not go live", "err", err)
	}
}

// offer makes the connection's side of here.
func (s *stage) offer(ctx context.Context, t protocol.Track) (string, error) {
	m := &webrtc.MediaEngine{}
	h264 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: videoRate, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}}
	if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}, webrtc.RTPCodecTypeVideo); err != nil {
		return "", err
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	s.pc = pc
	if s.track, err = webrtc.NewTrackLocalStaticRTP(h264, t.TrackID, t.StreamID); err != nil {
		return "", err
	}
	sender, err := pc.AddTransceiverFromTrack(s.track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return "", err
	}
	go func() { // reports, and wishes for key pictures, of which an encoder cannot be told
		for b := make([]byte, 1500); ; {
			if _, _, err := sender.Sender().Read(b); err != nil {
				return
			}
		}
	}()
	d, err := pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		return "", err
	}
	select {
	case <-gathered:
		return pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// connect takes the room's answer, and waits until the connection is up. Clients may be told of another address
// than the one that this machine has, so that is not asked for there.
func (s *stage) connect(ctx context.Context, answer string) error {
	up, down := make(chan struct{}), make(chan struct{})
	var once, lost sync.Once
	s.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			once.Do(func() { close(up) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			lost.Do(func() { close(down) })
			s.Close("")
		}
	})
	var lines []string
	for line := range strings.Lines(answer) {
		if !strings.HasPrefix(line, "a=candidate:") && !strings.HasPrefix(line, "a=end-of-candidates") {
			lines = append(lines, line)
		}
	}
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: strings.Join(lines, "")}); err != nil {
		return err
	}
	for i, a := range s.g.Media() {
		text := fmt.Sprintf("candidate:%d 1 udp %d %s %d typ host", i+1, 2130706431-i, a.Local.Addr(), a.Local.Port())
		if err := s.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: text}); err != nil {
			return err
		}
	}
	select {
	case <-up:
		return nil
	case <-down:
		return errors.New("the connection failed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send sends a picture in packets.
func (s *stage) send(p picture) error {
	parts := s.split.Payload(packetBytes, p.au)
	for i, payload := range parts {
		s.number++
		err := s.track.WriteRTP(&rtp.Packet{
			Header:  rtp.Header{Version: 2, Marker: i == len(parts)-1, SequenceNumber: s.number, Timestamp: uint32(p.at.Milliseconds() * (videoRate / 1000))},
			Payload: payload,
		})
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
	}
	return nil
}

// leave takes the encoder off the stage; err is why it ended.
func (s *stage) leave(err error) {
	if s.peer != nil {
		s.peer.Drop(room.LeftByRequest)
	}
	if s.pc != nil {
		_ = s.pc.GracefulClose()
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	now := time.Now()
	var failed error
	if s.ingest.ID != "" {
		reason := store.IngestClosed
		if unfit(err) {
			reason = store.IngestBroken
		}
		failed = s.g.Store.IngestEnded(ctx, s.ingest, reason, now)
	} else if !errors.Is(err, io.EOF) {
		failed = s.g.Store.IngestRefused(ctx, s.room.ID(), refusedInternal, now)
	}
	if failed != nil {
		s.log.Error("end could not be recorded", "err", failed)
	}
}
