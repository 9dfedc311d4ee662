//go:build !js

package rtc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/webrtc/v4"
)

var errNoOffer = errors.New("an answer to no offer")

// Engine makes connections. The zero value is ready.
type Engine struct {
	// Loopback also gathers candidates of the loopback interface: a server on
	// the same machine is reached even without any other network.
	Loopback bool
	// Settings may change Pion's settings before they are used; nil changes nothing.
	Settings func(*webrtc.SettingEngine)

	once sync.Once
	api  *webrtc.API
	err  error
}

// Times of ICE, which are those of browsers more or less: a lost connection is seen after four checks without an answer.
const (
	lostAfter   = 1500 * time.Millisecond
	failedAfter = 15 * time.Second // later
	askEvery    = 300 * time.Millisecond
)

func (e *Engine) init() {
	e.once.Do(func() {
		media := &webrtc.MediaEngine{}
		if e.err = media.RegisterDefaultCodecs(); e.err != nil {
			return
		}
		settings := webrtc.SettingEngine{}
		// Pion would write to standard error what a caller can do nothing about,
		// such as a candidate that is late for a restart.
		settings.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
		settings.SetIncludeLoopbackCandidate(e.Loopback)
		settings.SetICETimeouts(lostAfter, failedAfter, askEvery)
		var system *stdnet.Net
		if system, e.err = stdnet.NewNet(); e.err != nil {
			return
		}
		settings.SetNet(roaming{system})
		if e.Settings != nil {
			e.Settings(&settings)
		}
		e.api = webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings))
	})
}

// roaming is the system's network. Pion's asks for the addresses of the machine once; after an ICE restart they may be
// others.
type roaming struct{ *stdnet.Net }

func (roaming) Interfaces() ([]*transport.Interface, error) {
	system, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return system.Interfaces()
}

// Conn is one peer connection. Offers and answers must be made one at a time;
// everything else may be called at any time.
type Conn struct {
	pc         *webrtc.PeerConnection
	handlers   Handlers
	queue      *eventQueue
	candidates candidateBuffer

	mu      sync.Mutex
	channel *webrtc.DataChannel // the other side's; nil before
	senders map[*LocalTrack]*webrtc.RTPSender
	offered *webrtc.SessionDescription // waits for its answer; nil: none does
}

// NewConn makes a connection; handlers hear of it until Close.
func (e *Engine) NewConn(config webrtc.Configuration, handlers Handlers) (*Conn, error) {
	e.init()
	if e.err != nil {
		return nil, fmt.Errorf("media engine: %w", e.err)
	}
	pc, err := e.api.NewPeerConnection(config)
	if err != nil {
		return nil, fmt.Errorf("new peer connection: %w", err)
	}
	c := &Conn{
		pc: pc, handlers: handlers, queue: newEventQueue(func(run func()) { go run() }),
		senders: map[*LocalTrack]*webrtc.RTPSender{},
	}
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) {
		if candidate == nil {
			return // end of candidates: the protocol has no word for it
		}
		init := candidate.ToJSON()
		c.queue.put(func() { c.handlers.Candidate(init) })
	})
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		c.queue.put(func() { c.handlers.State(state) })
	})
	pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		t := &RemoteTrack{ID: track.ID(), StreamID: track.StreamID(), Kind: Kind(track.Kind().String()), track: track, receiver: receiver, pc: pc}
		c.queue.put(func() { c.handlers.Track(t) })
	})
	pc.OnDataChannel(func(channel *webrtc.DataChannel) {
		c.mu.Lock()
		c.channel = channel
		c.mu.Unlock()
		channel.OnOpen(func() { c.queue.put(c.handlers.Open) })
		channel.OnMessage(func(m webrtc.DataChannelMessage) {
			if m.IsString { // the protocol's messages are text
				c.queue.put(func() { c.handlers.Message(m.Data) })
			}
		})
	})
	return c, nil
}

// CreateChannel makes a data channel, so that an offer without media has a
// section to carry ICE and DTLS. Nothing is sent on it.
func (c *Conn) CreateChannel(label string) error {
	protocol := "SCTP"
	if _, err := c.pc.CreateDataChannel(label, &webrtc.DataChannelInit{Protocol: &protocol}); err != nil {
		return fmt.Errorf("create data channel: %w", err)
	}
	return nil
}

// Send writes a text message to the channel that the other side made.
func (c *Conn) Send(text []byte) error {
	c.mu.Lock()
	channel := c.channel
	c.mu.Unlock()
	if channel == nil {
		return ErrClosed
	}
	if err := channel.SendText(string(text)); err != nil {
		return fmt.Errorf("data channel: %w", err)
	}
	return nil
}

// Publish adds a track; the next Offer tells the other side. Encodings limit a
// browser's encoder; a native track is encoded already, so they are ignored.
func (c *Conn) Publish(_ context.Context, t *LocalTrack, _ []Encoding) error {
	transceiver, err := c.pc.AddTransceiverFromTrack(t.out, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return fmt.Errorf("add transceiver: %w", err)
	}
	sender := transceiver.Sender()
	c.mu.Lock()
	c.senders[t] = sender
	c.mu.Unlock()
	go func() { // ends when the sender stops
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			t.feedback(packets)
		}
	}()
	return nil
}

// Unpublish takes a track back; the next Offer tells the other side.
func (c *Conn) Unpublish(t *LocalTrack) error {
	c.mu.Lock()
	sender, ok := c.senders[t]
	delete(c.senders, t)
	c.mu.Unlock()
	if !ok {
		return nil
	}
	if err := c.pc.RemoveTrack(sender); err != nil {
		return fmt.Errorf("remove track: %w", err)
	}
	return nil
}

// Offer makes a new offer and returns it. It becomes the local description with its answer: one that has become it is not
// to be taken back, for Pion knows no rollback.
func (c *Conn) Offer(_ context.Context, restartICE bool) (sdp string, err error) {
	c.candidates.hold()
	offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restartICE})
	if err != nil {
		return "", fmt.Errorf("create offer: %w", err)
	}
	c.mu.Lock()
	c.offered = &offer
	c.mu.Unlock()
	return offer.SDP, nil
}

// SetAnswer completes the last offer.
func (c *Conn) SetAnswer(_ context.Context, sdp string) error {
	c.mu.Lock()
	offer := c.offered
	c.offered = nil
	c.mu.Unlock()
	if offer == nil {
		return errNoOffer
	}
	if err := c.pc.SetLocalDescription(*offer); err != nil {
		return fmt.Errorf("set local description: %w", err)
	}
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp}
	if err := c.pc.SetRemoteDescription(answer); err != nil {
		return fmt.Errorf("set remote description: %w", err)
	}
	return c.flush()
}

// Answer applies an offer of the other side and returns the answer to it.
func (c *Conn) Answer(_ context.Context, sdp string) (answer string, err error) {
	c.candidates.hold()
	offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: keepReceivers(sdp, c.knows)}
	if err := c.pc.SetRemoteDescription(offer); err != nil {
		return "", fmt.Errorf("set remote description: %w", err)
	}
	if err := c.flush(); err != nil {
		return "", err
	}
	local, err := c.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("create answer: %w", err)
	}
	if err := c.pc.SetLocalDescription(local); err != nil {
		return "", fmt.Errorf("set local description: %w", err)
	}
	return local.SDP, nil
}

// knows says whether there is a media section with that mid already.
func (c *Conn) knows(mid string) bool {
	return slices.ContainsFunc(c.pc.GetTransceivers(), func(t *webrtc.RTPTransceiver) bool { return t.Mid() == mid })
}

// Rollback takes an offer back that will not be answered.
func (c *Conn) Rollback(context.Context) error {
	c.mu.Lock()
	c.offered = nil
	c.mu.Unlock()
	if c.pc.RemoteDescription() == nil {
		return nil
	}
	return c.flush()
}

// AddCandidate applies a candidate of the other side, now or when its
// description comes.
func (c *Conn) AddCandidate(candidate webrtc.ICECandidateInit) error {
	if candidate.Candidate == "" || !c.candidates.add(candidate) {
		return nil
	}
	if err := c.pc.AddICECandidate(candidate); err != nil {
		return fmt.Errorf("add candidate: %w", err)
	}
	return nil
}

func (c *Conn) flush() error {
	for _, candidate := range c.candidates.open() {
		if err := c.pc.AddICECandidate(candidate); err != nil {
			return fmt.Errorf("add candidate: %w", err)
		}
	}
	return nil
}

// State is the connection's present state.
func (c *Conn) State() webrtc.PeerConnectionState { return c.pc.ConnectionState() }

// Stats is what the connection measured up to now. Pion counts no packets of
// tracks by itself, so this is about the connection alone. It reads all values:
// there is no other side that they had to come over from.
func (c *Conn) Stats(_ context.Context, _ ...string) ([]Stat, error) {
	var stats []Stat
	for _, entry := range c.pc.GetStats() {
		switch entry.(type) {
		case webrtc.CodecStats, webrtc.CertificateStats, webrtc.ICECandidateStats:
			continue // dozens that nobody reads
		}
		text, err := json.Marshal(entry)
		if err != nil {
			return nil, fmt.Errorf("stats: %w", err)
		}
		var s Stat
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("stats: %w", err)
		}
		stats = append(stats, s)
	}
	return stats, nil
}

// Close ends the connection. Handlers are not called afterwards.
func (c *Conn) Close() error {
	c.queue.close()
	return c.pc.GracefulClose()
}

// RemoteTrack is a track that another peer publishes. Somebody must read it:
// with ReadRTP, or nobody cares and Discard does.
type RemoteTrack struct {
	ID       string // as its publisher named it
	StreamID string
	Kind     Kind

	track    *webrtc.TrackRemote
	receiver *webrtc.RTPReceiver
	pc       *webrtc.PeerConnection
	packets  atomic.Uint64
	bytes    atomic.Uint64
}

// ReadRTP blocks for the next packet; io.EOF when the track has ended.
func (t *RemoteTrack) ReadRTP() (*rtp.Packet, error) {
	packet, _, err := t.track.ReadRTP()
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			return nil, io.EOF
		}
		return nil, err
	}
	t.packets.Add(1)
	t.bytes.Add(uint64(len(packet.Payload)))
	return packet, nil
}

// Received counts packets, and bytes of payload, since the track began.
func (t *RemoteTrack) Received() (packets, bytes uint64) { return t.packets.Load(), t.bytes.Load() }

// Codec is what the track's packets carry, e.g. "video/VP8".
func (t *RemoteTrack) Codec() string { return t.track.Codec().MimeType }

// RequestKeyFrame tells the other side that the picture is lost.
func (t *RemoteTrack) RequestKeyFrame() error {
	return t.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.track.SSRC())}})
}

// Discard reads the track to its end in a goroutine, counting.
func (t *RemoteTrack) Discard() {
	go func() {
		for {
			if _, err := t.ReadRTP(); err != nil {
				return
			}
		}
	}()
}

// String names the track in log lines.
func (t *RemoteTrack) String() string { return string(t.Kind) + " " + strconv.Quote(t.ID) }

// CreateChannelFor makes a data channel that carries requests of the other
// side: what a server does. handle gets each text and a way to reply.
func (c *Conn) CreateChannelFor(label string, handle func(text []byte, reply func([]byte))) error {
	channel, err := c.pc.CreateDataChannel(label, nil)
	if err != nil {
		return fmt.Errorf("create data channel: %w", err)
	}
	channel.OnMessage(func(m webrtc.DataChannelMessage) {
		handle(m.Data, func(text []byte) { _ = channel.SendText(string(text)) })
	})
	return nil
}
