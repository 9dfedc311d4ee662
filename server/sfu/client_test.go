package sfu

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"
	"go.uber.org/goleak"

	"amphi/server/sfu/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("not within %v: %s", patience, what)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// testTiming has the patience of a busy machine, hastyTiming none.
var testTiming = timing{
	answer:       time.Minute,
	disconnected: 10 * time.Second,
	failed:       20 * time.Second,
	keepalive:    200 * time.Millisecond,
	restart:      20 * time.Second,
	silent:       10 * time.Second,
	giveUp:       time.Minute,
	renew:        10 * time.Second,
	settle:       5 * time.Second,
	tick:         50 * time.Millisecond,
}

var hastyTiming = timing{
	answer:       300 * time.Millisecond,
	disconnected: 500 * time.Millisecond,
	failed:       time.Second,
	keepalive:    100 * time.Millisecond,
	restart:      300 * time.Millisecond,
	silent:       500 * time.Millisecond,
	giveUp:       2 * time.Second,
	renew:        5 * time.Second,
	settle:       time.Second,
	tick:         50 * time.Millisecond,
}

func testSFU(t testing.TB) *SFU { return timedSFU(t, testTiming) }

func timedSFU(t testing.TB, tm timing) *SFU {
	t.Helper()
	s, err := newSFU(Config{Loopback: true, KeyFrameInterval: 100 * time.Millisecond, Log: quiet()}, tm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a participant on native pion, as a browser would be one.
type client struct {
	t    testing.TB
	sfu  *SFU
	peer *Peer
	api  *webrtc.API

	// loss, if set, decides which RTP packets of the client get lost.
	loseOut, loseIn atomic.Pointer[func(*rtp.Header) bool]
	mute            atomic.Bool  // do not answer subscribe offers
	foreign         atomic.Bool  // answer with the fingerprint of another one's certificate
	old             atomic.Bool  // know nothing of transport-wide feedback
	think           atomic.Int64 // ns before answering one
	answers         atomic.Int32 // given

	mu       sync.Mutex
	pub, sub *webrtc.PeerConnection
	infos    []TrackInfo
	offers   []string // received
	events   chan string
	inbound  map[string]*inbound // by track id of msid
	dc       *webrtc.DataChannel
	dcOpen   chan struct{}
	pending  int // offers received minus answers given
	overlap  bool
	gone     []Target
	work     chan string
	left     chan struct{}
	stopped  chan struct{}
}

// Signals

func (c *client) Candidate(Target, webrtc.ICECandidateInit) {}
func (c *client) Offer(sdp string) {
	c.mu.Lock()
	c.offers = append(c.offers, sdp)
	c.pending++
	if c.pending > 1 {
		c.overlap = true
	}
	c.mu.Unlock()
	select {
	case c.work <- sdp:
	case <-c.left: // Signals may be called while Close is under way
	}
}
func (c *client) Disconnected(t Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = append(c.gone, t)
}

func (c *client) lost(t Target) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.gone {
		if g == t {
			return true
		}
	}
	return false
}

func newClient(t testing.TB, s *SFU, id string, options ...func(*webrtc.MediaEngine)) *client {
	t.Helper()
	c := &client{
		t: t, sfu: s, inbound: map[string]*inbound{}, events: make(chan string, 1000),
		dcOpen: make(chan struct{}), work: make(chan string, 1000), left: make(chan struct{}), stopped: make(chan struct{}),
	}
	m := &webrtc.MediaEngine{}
	if len(options) == 0 {
		options = append(options, func(m *webrtc.MediaEngine) {
			if err := m.RegisterDefaultCodecs(); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, o := range options {
		o(m)
	}
	r := &interceptor.Registry{}
	r.Add(lossFactory{c})
	if err := webrtc.RegisterDefaultInterceptorsWithOptions(m, r, webrtc.WithInterceptorLoggerFactory(transport.PionLog(quiet()))); err != nil {
		t.Fatal(err)
	}
	if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: extLevel}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.LoggerFactory = transport.PionLog(quiet())
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(10*time.Second, 20*time.Second, 200*time.Millisecond)
	c.api = webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(r), webrtc.WithSettingEngine(e))
	c.peer = s.NewPeer(id, c)
	c.newPub()
	c.newSub()
	go c.answerAll()
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.peer.Close()
	close(c.left)
	<-c.stopped
	c.mu.Lock()
	pub, sub := c.pub, c.sub
	c.mu.Unlock()
	_ = pub.GracefulClose()
	_ = sub.GracefulClose()
}

func (c *client) newPub() {
	pc, err := c.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := pc.CreateDataChannel("ion-sfu", nil); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.pub = pc
	c.infos = nil
	c.mu.Unlock()
}

func (c *client) newSub() {
	pc, err := c.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		c.t.Fatal(err)
	}
	open := make(chan struct{})
	pc.OnDataChannel(func(dc *webrtc.DataChannel) {
		if dc.Label() != "ion-sfu" {
			return
		}
		dc.OnMessage(func(m webrtc.DataChannelMessage) {
			if m.IsString {
				c.events <- string(m.Data)
			}
		})
		dc.OnOpen(func() {
			c.mu.Lock()
			c.dc = dc
			c.mu.Unlock()
			close(open)
		})
	})
	pc.OnTrack(c.track)
	c.mu.Lock()
	c.sub, c.dcOpen = pc, open
	c.mu.Unlock()
}

// negotiate makes a publish offer and applies the answer.
func (c *client) negotiate(options *webrtc.OfferOptions) (answer string) {
	c.t.Helper()
	answer, err := c.tryNegotiate(options)
	if err != nil {
		c.t.Fatalf("publish: %v", err)
	}
	return answer
}

func (c *client) tryNegotiate(options *webrtc.OfferOptions) (string, error) {
	c.mu.Lock()
	pc, infos := c.pub, c.infos
	c.mu.Unlock()
	o, err := pc.CreateOffer(options)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(o); err != nil {
		return "", err
	}
	<-gathered
	answer, err := c.peer.Publish(context.Background(), pc.LocalDescription().SDP, infos)
	if err != nil {
		return "", err
	}
	return answer, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
}

// answerAll answers the subscribe offers, one after another.
func (c *client) answerAll() {
	defer close(c.stopped)
	for {
		var sdp string
		select {
		case sdp = <-c.work:
		case <-c.left:
			return
		}
		if c.mute.Load() {
			continue
		}
		time.Sleep(time.Duration(c.think.Load()))
		if err := c.answer(sdp); err != nil {
			c.t.Logf("answer: %v", err)
		}
	}
}

func (c *client) answer(sdp string) error {
	c.mu.Lock()
	pc := c.sub
	c.mu.Unlock()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	a, err := pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(a); err != nil {
		return err
	}
	<-gathered
	c.mu.Lock()
	c.pending--
	c.mu.Unlock()
	text := pc.LocalDescription().SDP
	if c.old.Load() {
		text = strings.ReplaceAll(text, extTWCC, "urn:none")
	}
	if c.foreign.Load() {
		i := strings.Index(text, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
		text = text[:i] + strings.Repeat("00:", 31) + "00" + text[i+95:]
	}
	err = c.peer.Answer(text)
	c.answers.Add(1)
	return err
}

func (c *client) call(method string, params map[string]any) map[string]any {
	c.t.Helper()
	c.mu.Lock()
	open := c.dcOpen
	c.mu.Unlock()
	select {
	case <-open:
	case <-time.After(patience):
		c.t.Fatal("data channel does not open")
	}
	id := fmt.Sprint(rand.Uint64())
	text, _ := json.Marshal(map[string]any{"id": id, "jsonrpc": "2.0", "method": method, "params": params})
	c.mu.Lock()
	dc := c.dc
	c.mu.Unlock()
	if err := dc.SendText(string(text)); err != nil {
		c.t.Fatal(err)
	}
	return c.event(func(m map[string]any) bool { return m["id"] == id })
}

func (c *client) event(fits func(map[string]any) bool) map[string]any {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-c.events:
			var m map[string]any
			if err := json.Unmarshal([]byte(e), &m); err != nil {
				c.t.Fatalf("message %q: %v", e, err)
			}
			if fits(m) {
				return m
			}
		case <-timeout:
			c.t.Fatal("no such message on the data channel")
		}
	}
}

func (c *client) prefer(track, layer string) map[string]any {
	c.t.Helper()
	return c.call("prefer-video-track-state", map[string]any{"track_id": track, "max_spatial_layer": layer})
}

func (c *client) in(id string) *inbound {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inbound[id]
	if in == nil {
		in = &inbound{}
		c.inbound[id] = in
	}
	return in
}

// inbound is what a subscriber got of one track.
type inbound struct {
	mu        sync.Mutex
	started   bool
	frames    []int // counters of whole frames
	keys      int
	packets   int
	torn      int // frames whose checksum is wrong
	first     uint16
	seq       uint16 // the highest
	seqs      map[uint16]bool
	lastTS    uint32
	lastAt    time.Time
	stream    string
	firstAt   time.Time
	codec     string
	levels    int
	starts    int
	reports   []*rtcp.SenderReport
	lastFrame int
}

func (in *inbound) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.frames)
}

func (in *inbound) last() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lastFrame
}

// holes are the sequence numbers that never came. A few get lost on a busy
// machine; what was left out on purpose would be many. The caller holds mu.
func (in *inbound) holes() int { return int(in.seq-in.first) + 1 - len(in.seqs) }

const fewHoles = 8

// more waits for n more frames.
func (in *inbound) more(t testing.TB, n int) {
	t.Helper()
	from := in.count()
	eventually(t, fmt.Sprintf("%d more frames after %d", n, from), func() bool { return in.count() >= from+n })
}

func (c *client) track(r *webrtc.TrackRemote, rec *webrtc.RTPReceiver) {
	in := c.in(r.ID())
	in.mu.Lock()
	in.stream = r.StreamID()
	in.starts++
	in.codec = r.Codec().MimeType
	in.mu.Unlock()
	go func() {
		for {
			packets, _, err := rec.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == uint32(r.SSRC()) {
					in.mu.Lock()
					in.reports = append(in.reports, sr)
					in.mu.Unlock()
				}
			}
		}
	}()
	var depacketizer rtp.Depacketizer
	rate := uint32(90000)
	switch r.Codec().MimeType {
	case webrtc.MimeTypeVP8:
		depacketizer = &codecs.VP8Packet{}
	case webrtc.MimeTypeH264:
		depacketizer = &codecs.H264Packet{}
	case webrtc.MimeTypeVP9:
		depacketizer = wholePictures{&codecs.VP9Packet{}}
	default:
		depacketizer, rate = &codecs.OpusPacket{}, 48000
	}
	sb := samplebuilder.New(200, depacketizer, rate)
	var level uint8
	for _, e := range rec.GetParameters().HeaderExtensions {
		if e.URI == extLevel {
			level = uint8(e.ID)
		}
	}
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		in.mu.Lock()
		in.packets++
		if level != 0 && len(p.GetExtension(level)) == 1 {
			in.levels++
		}
		if !in.started {
			in.seqs = map[uint16]bool{}
			in.first, in.seq = p.SequenceNumber, p.SequenceNumber
		}
		in.seqs[p.SequenceNumber] = true
		if int16(p.SequenceNumber-in.seq) > 0 {
			in.seq = p.SequenceNumber
		}
		in.started, in.lastTS, in.lastAt = true, p.Timestamp, time.Now()
		in.mu.Unlock()
		sb.Push(p)
		for s := sb.Pop(); s != nil; s = sb.Pop() {
			n, key, ok := readFrame(r.Codec().MimeType, s.Data)
			in.mu.Lock()
			if !ok {
				in.torn++
			} else {
				if len(in.frames) == 0 {
					in.firstAt = time.Now()
				}
				in.frames = append(in.frames, n)
				in.lastFrame = n
				if key {
					in.keys++
				}
			}
			in.mu.Unlock()
		}
	}
}

// subscribe lets c see the tracks and turns video on.
func (c *client) subscribe(tracks ...*Track) {
	c.t.Helper()
	c.peer.Subscribe(tracks)
	for _, t := range tracks {
		if t.Kind() == Video {
			eventually(c.t, "a video subscription", func() bool {
				return c.prefer(t.ID(), "high")["error"] == nil
			})
		}
	}
}
