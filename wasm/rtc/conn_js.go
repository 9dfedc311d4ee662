package rtc

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall/js"

	"amphi/wasm/jsbridge"

	"github.com/pion/webrtc/v4"
)

// Engine makes connections. The zero value is ready.
type Engine struct {
	// Loopback is of use natively only; a browser decides by itself.
	Loopback bool
}

// Conn is one peer connection. Offers and answers must be made one at a time;
// everything else may be called at any time.
type Conn struct {
	pc         *webrtc.PeerConnection
	raw        js.Value
	handlers   Handlers
	queue      *eventQueue
	candidates candidateBuffer
	closed     chan struct{}
	close      sync.Once

	mu      sync.Mutex
	stops   []func()                 // remove listeners
	channel js.Value                 // the other side's data channel; undefined before
	senders map[*LocalTrack]js.Value // RTCRtpSender of what is published
	msids   map[string]msid          // of the other side's sections, by mid
}

// NewConn makes a connection; handlers hear of it until Close.
func (e *Engine) NewConn(config webrtc.Configuration, handlers Handlers) (*Conn, error) {
	pc, err := webrtc.NewPeerConnection(config)
	if err != nil {
		return nil, fmt.Errorf("new peer connection: %w", err)
	}
	c := &Conn{
		pc: pc, raw: pc.JSValue(), handlers: handlers,
		queue:   newEventQueue(jsbridge.Go),
		senders: map[*LocalTrack]js.Value{},
		channel: js.Undefined(),
		closed:  make(chan struct{}),
	}
	// Listeners of our own: Pion's handlers lose IPv6 candidates and the fields
	// sdpMid and usernameFragment, and run without order or recover.
	c.listen(c.raw, "icecandidate", func(event js.Value) {
		candidate := event.Get("candidate")
		if candidate.IsNull() || candidate.IsUndefined() || candidate.Get("candidate").String() == "" {
			return // end of candidates: the protocol has no word for it
		}
		init := candidateInit(candidate)
		c.queue.put(func() { c.handlers.Candidate(init) })
	})
	c.listen(c.raw, "connectionstatechange", func(js.Value) {
		state := pc.ConnectionState()
		c.queue.put(func() { c.handlers.State(state) })
	})
	c.listen(c.raw, "track", func(event js.Value) {
		t := c.remoteTrack(event)
		c.queue.put(func() { c.handlers.Track(t) })
	})
	c.listen(c.raw, "datachannel", func(event js.Value) { c.adopt(event.Get("channel")) })
	return c, nil
}

func (c *Conn) listen(target js.Value, event string, fn func(js.Value)) {
	stop := jsbridge.Listen(target, event, fn)
	c.mu.Lock()
	c.stops = append(c.stops, stop)
	c.mu.Unlock()
}

func candidateInit(v js.Value) webrtc.ICECandidateInit {
	init := webrtc.ICECandidateInit{Candidate: v.Get("candidate").String()}
	if mid := v.Get("sdpMid"); mid.Type() == js.TypeString {
		s := mid.String()
		init.SDPMid = &s
	}
	if index := v.Get("sdpMLineIndex"); index.Type() == js.TypeNumber {
		n := uint16(index.Int())
		init.SDPMLineIndex = &n
	}
	if fragment := v.Get("usernameFragment"); fragment.Type() == js.TypeString {
		s := fragment.String()
		init.UsernameFragment = &s
	}
	return init
}

// remoteTrack names a received track by the msid of its section.
func (c *Conn) remoteTrack(event js.Value) *RemoteTrack {
	raw := event.Get("track")
	t := &RemoteTrack{ID: raw.Get("id").String(), Kind: Kind(raw.Get("kind").String()), raw: raw}
	if streams := event.Get("streams"); streams.Length() > 0 {
		t.StreamID = streams.Index(0).Get("id").String()
	}
	if mid := event.Get("transceiver").Get("mid"); mid.Type() == js.TypeString {
		c.mu.Lock()
		defer c.mu.Unlock()
		if id, ok := c.msids[mid.String()]; ok {
			t.StreamID, t.ID = id.stream, id.track
		}
	}
	return t
}

// adopt takes the data channel that the other side made.
func (c *Conn) adopt(channel js.Value) {
	c.mu.Lock()
	c.channel = channel
	c.mu.Unlock()
	c.listen(channel, "message", func(event js.Value) {
		data := event.Get("data")
		if data.Type() != js.TypeString {
			return // the protocol's messages are text
		}
		text := []byte(data.String())
		c.queue.put(func() { c.handlers.Message(text) })
	})
	opened := func(js.Value) { c.queue.put(c.handlers.Open) }
	if channel.Get("readyState").String() == "open" {
		opened(js.Undefined())
		return
	}
	c.listen(channel, "open", opened)
}

// CreateChannel makes a data channel, so that an offer without media has a
// section to carry ICE and DTLS. Nothing is sent on it.
func (c *Conn) CreateChannel(label string) error {
	_, err := jsbridge.Call(c.raw, "createDataChannel", label, map[string]any{"protocol": "SCTP"})
	if err != nil {
		return fmt.Errorf("create data channel: %w", err)
	}
	return nil
}

// Send writes a text message to the channel that the other side made.
func (c *Conn) Send(text []byte) error {
	c.mu.Lock()
	channel := c.channel
	c.mu.Unlock()
	if !channel.Truthy() {
		return ErrClosed
	}
	if _, err := jsbridge.Call(channel, "send", string(text)); err != nil {
		return fmt.Errorf("data channel: %w", err)
	}
	return nil
}

// Publish adds a track; the next Offer tells the other side.
func (c *Conn) Publish(ctx context.Context, t *LocalTrack, encodings []Encoding) error {
	list := make([]any, 0, len(encodings))
	for _, e := range encodings {
		m := map[string]any{"active": true}
		if e.RID != "" {
			m["rid"] = e.RID
		}
		if e.ScaleDownBy > 1 {
			m["scaleResolutionDownBy"] = e.ScaleDownBy
		}
		if e.MaxBitrate > 0 {
			m["maxBitrate"] = e.MaxBitrate
		}
		if e.MaxFrameRate > 0 {
			m["maxFramerate"] = e.MaxFrameRate
		}
		list = append(list, m)
	}
	init := map[string]any{"direction": "sendonly", "streams": []any{t.stream.raw}}
	if len(list) > 0 {
		init["sendEncodings"] = list
	}
	transceiver, err := jsbridge.Call(c.raw, "addTransceiver", t.anchor, init)
	if err != nil {
		return fmt.Errorf("add transceiver: %w", err)
	}
	sender := transceiver.Get("sender")
	c.mu.Lock()
	c.senders[t] = sender
	c.mu.Unlock()
	return t.bind(ctx, sender)
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
	t.unbind()
	if _, err := jsbridge.Call(c.raw, "removeTrack", sender); err != nil {
		return fmt.Errorf("remove track: %w", err)
	}
	return nil
}

// Offer makes a new offer the local description and returns it.
func (c *Conn) Offer(_ context.Context, restartICE bool) (sdp string, err error) {
	return unlessClosed(c, func() (string, error) { return c.offer(restartICE) })
}

func (c *Conn) offer(restartICE bool) (sdp string, err error) {
	c.candidates.hold()
	options := &webrtc.OfferOptions{ICERestart: restartICE}
	options.VoiceActivityDetection = true // absent means false to Pion, and that turns comfort noise off
	offer, err := c.pc.CreateOffer(options)
	if err != nil {
		return "", fmt.Errorf("create offer: %w", err)
	}
	offer.SDP = withDTX(offer.SDP)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		return "", fmt.Errorf("set local description: %w", err)
	}
	return offer.SDP, nil
}

// SetAnswer completes the last offer.
func (c *Conn) SetAnswer(_ context.Context, sdp string) error {
	_, err := unlessClosed(c, func() (struct{}, error) { return struct{}{}, c.setAnswer(sdp) })
	return err
}

func (c *Conn) setAnswer(sdp string) error {
	if err := c.setRemote(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: sdp}); err != nil {
		return err
	}
	return c.flush()
}

// Answer applies an offer of the other side and returns the answer to it.
func (c *Conn) Answer(_ context.Context, sdp string) (answer string, err error) {
	return unlessClosed(c, func() (string, error) { return c.answer(sdp) })
}

func (c *Conn) answer(sdp string) (answer string, err error) {
	c.candidates.hold()
	if err := c.setRemote(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		return "", err
	}
	if err := c.flush(); err != nil {
		return "", err
	}
	// The browser makes the answer itself: createAnswer holds the page until WebRTC's own threads have the time for it, which
	// they do not have while twenty-five pictures are decoded.
	if _, err := jsbridge.CallAsync(context.Background(), c.raw, "setLocalDescription"); err != nil {
		return "", fmt.Errorf("set local description: %w", err)
	}
	local := c.raw.Get("localDescription")
	if !local.Truthy() {
		return "", ErrClosed
	}
	return local.Get("sdp").String(), nil
}

// setRemote applies the other side's description. Its tracks are named before the browser tells of them, from the text that is
// at hand: the browser writes the whole description anew each time it is asked, and a full stage has fifty tracks to tell of.
func (c *Conn) setRemote(description webrtc.SessionDescription) error {
	msids := tracksOf(description.SDP)
	c.mu.Lock()
	c.msids = msids
	c.mu.Unlock()
	if err := c.pc.SetRemoteDescription(description); err != nil {
		return fmt.Errorf("set remote description: %w", err)
	}
	return nil
}

// unlessClosed waits for an operation of the browser's, but not beyond Close: what is under way then is never settled
// (its promise stays pending for ever), and whoever waited would hold its locks for ever.
func unlessClosed[T any](c *Conn, operation func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	jsbridge.Go(func() {
		value, err := operation()
		done <- outcome{value, err}
	})
	select {
	case o := <-done:
		return o.value, o.err
	case <-c.closed:
		var none T
		return none, ErrClosed
	}
}

// Rollback takes an offer back that will not be answered.
func (c *Conn) Rollback(ctx context.Context) error {
	if c.raw.Get("signalingState").String() != "have-local-offer" {
		return nil
	}
	if _, err := jsbridge.CallAsync(ctx, c.raw, "setLocalDescription", map[string]any{"type": "rollback"}); err != nil {
		return fmt.Errorf("rollback: %w", err)
	}
	if !c.raw.Get("remoteDescription").Truthy() {
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

// Close ends the connection. Handlers are not called afterwards.
func (c *Conn) Close() error {
	c.mu.Lock()
	stops, senders := c.stops, c.senders
	c.stops, c.senders, c.channel = nil, map[*LocalTrack]js.Value{}, js.Undefined()
	c.mu.Unlock()
	c.queue.close()
	c.close.Do(func() { close(c.closed) })
	for _, stop := range stops {
		stop()
	}
	for t := range senders {
		t.unbind()
	}
	return c.pc.Close()
}

// RemoteTrack is a track that another peer publishes.
type RemoteTrack struct {
	ID       string // as its publisher named it
	StreamID string
	Kind     Kind
	raw      js.Value
}

// Native is the browser's MediaStreamTrack.
func (t *RemoteTrack) Native() js.Value { return t.raw }

// Discard is for platforms where somebody must read what is received; a browser does.
func (t *RemoteTrack) Discard() {}

// String names the track in log lines.
func (t *RemoteTrack) String() string { return string(t.Kind) + " " + strconv.Quote(t.ID) }
