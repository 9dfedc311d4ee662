package transport

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"
)

// State is that of a connection as a whole, of ICE and DTLS together (W3C WebRTC, 4.4.3).
type State = webrtc.PeerConnectionState

// Handler gets what happens on a transport. Its methods are called from the goroutines that read the port:
// they must not wait for anything.
type Handler interface {
	// StateChanged says that State has another value.
	StateChanged()
	// RTCP is what the client reports, a compound packet. The bytes are only lent.
	RTCP(compound []byte)
	// Message is a message on the data channel. The bytes are only lent.
	Message(data []byte)
	// Moved says that the client is reached by another way. What was sent on the way before may be lost.
	Moved()
	// LimitChanged says that Limit has another value.
	LimitChanged()
	// Pad asks for packets of so many bytes that nobody needs. It is called from a goroutine of the transport's own.
	Pad(bytes int)
}

// Credentials are those of ICE (RFC 8445, 5.3).
type Credentials struct{ Ufrag, Password string }

// Remote is what an answer says of a client's transport.
type Remote struct {
	Credentials
	Fingerprint string // algorithm and value, as in a=fingerprint
	Passive     bool   // the client waits for our DTLS (a=setup:passive)
}

// maxPaths are the addresses that a client may have at a time.
const maxPaths = 8

// path is a way to a client: one of our sockets and an address of the client's.
type path struct {
	at *socket
	to netip.AddrPort
}

// Transport is one connection.
type Transport struct {
	port    *Port
	handler Handler
	log     *slog.Logger
	label   string // of the data channel; empty: there is none
	pipe    *pipe

	path   atomic.Pointer[path]   // in use, nil while there is none
	crypto atomic.Pointer[crypto] // nil until DTLS is up
	state  atomic.Int32           // State
	heard  atomic.Int64           // when the client last proved to be there, on the path in use; ns since the epoch

	// sending is held by whoever writes packets, for the time of a frame. Nothing that waits is done
	// under it.
	sending sync.Mutex
	twcc    uint16   // the last transport-wide sequence number
	history *history // nil until one was given
	pacer   pacer

	channel atomic.Pointer[channel] // nil until it is open

	mu      sync.Mutex // for the fields below
	local   generation
	before  generation // of the offer before: it lives until a path of this one is nominated
	paths   []path     // the youngest last
	agreed  bool       // a path of the local generation is nominated
	current bool       // the answer to the local generation is there
	remote  Remote
	asker   string // USERNAME of our checks
	askKey  stun.MessageIntegrity
	asked   [stun.TransactionIDSize]byte
	askedAt time.Time
	failed  bool // DTLS did not come up
	ended   bool // DTLS or SCTP were ended by the client
	closed  bool
	found   chan struct{} // closed when there is a path
	ending  <-chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// generation are the credentials of an offer of ours.
type generation struct {
	Credentials
	key stun.MessageIntegrity
}

func newGeneration() generation {
	// Letters of RFC 4648's base 32, 5 bits each: 60 bits for a name, of which two must not be the same,
	// and 120 for the password (RFC 8445, 5.3: 24 and 128 at least, of the base-64 letters that makes
	// 4 and 22 letters).
	c := Credentials{rand.Text()[:12], rand.Text()}
	return generation{c, stun.NewShortTermIntegrity(c.Password)}
}

// New makes a transport for an offer, or an answer, with its credentials, and a data channel of that label, if there is
// one. Close it.
func (p *Port) New(label string, handler Handler, log *slog.Logger) *Transport {
	t := &Transport{port: p, handler: handler, log: log, label: label, local: newGeneration(), found: make(chan struct{})}
	t.pipe = newPipe(t)
	t.state.Store(int32(webrtc.PeerConnectionStateNew))
	p.mu.Lock()
	p.byUfrag[t.local.Ufrag] = t
	p.sessions[t] = struct{}{}
	p.mu.Unlock()
	return t
}

// Local are the credentials for the next offer.
func (t *Transport) Local() Credentials {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.local.Credentials
}

// Restart makes new credentials, for an offer that restarts ICE. The present path stays in use until the
// client nominated one with them.
func (t *Transport) Restart() {
	p := t.port
	p.mu.Lock()
	defer p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.agreed || t.before.key == nil {
		delete(p.byUfrag, t.before.Ufrag)
		t.before = t.local
	} else {
		// Nobody answered the offer before; the one before that is what the client lives by.
		delete(p.byUfrag, t.local.Ufrag)
	}
	t.local, t.agreed, t.current = newGeneration(), false, false
	p.byUfrag[t.local.Ufrag] = t
}

// SetRemote takes what the answer to the last offer says. The first one begins DTLS.
func (t *Transport) SetRemote(r Remote) error {
	f, err := parseFingerprint(r.Fingerprint)
	if err != nil {
		return err
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return fmt.Errorf("transport: %w", context.Canceled)
	}
	t.remote, t.current = r, true
	t.asker, t.askKey = r.Ufrag+":"+t.local.Ufrag, stun.NewShortTermIntegrity(r.Password)
	if t.cancel == nil {
		t.heard.CompareAndSwap(0, time.Now().UnixNano()) // from here on silence counts
		ctx, cancel := context.WithCancel(context.Background())
		t.cancel, t.ending = cancel, ctx.Done()
		t.running.Go(func() { t.run(ctx, f, r.Passive) })
	}
	var ask []path
	if !t.agreed {
		ask = slices.Clone(t.paths)
	}
	t.mu.Unlock()
	for _, p := range ask {
		t.ask(p, time.Now())
	}
	t.update(time.Now())
	return nil
}

// State is the present state.
func (t *Transport) State() State { return State(t.state.Load()) }

// Refused says that DTLS did not come up. Only another transport can help: this one's handshake is over.
func (t *Transport) Refused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// Close ends the transport, tells the client, and waits for what it ran. It must not be called by the
// handler.
func (t *Transport) Close() {
	p := t.port
	p.mu.Lock()
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		p.mu.Unlock()
		t.running.Wait()
		return
	}
	t.closed = true
	cancel := t.cancel
	delete(p.sessions, t)
	delete(p.byUfrag, t.local.Ufrag)
	delete(p.byUfrag, t.before.Ufrag)
	t.mu.Unlock()
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	t.running.Wait() // it says goodbye on the path, which is still there
	_ = t.pipe.Close()
	p.mu.Lock()
	t.mu.Lock()
	for _, w := range t.paths {
		if p.byAddr[w.source()] == t {
			delete(p.byAddr, w.source())
		}
	}
	t.paths = nil
	t.mu.Unlock()
	p.mu.Unlock()
	t.path.Store(nil)
	t.state.Store(int32(webrtc.PeerConnectionStateClosed))
}

func (w path) source() source { return source{w.at, w.to} }

// keyOf is the key of the generation that goes by a name, nil if there is none.
func (t *Transport) keyOf(ufrag string) (current bool, key stun.MessageIntegrity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
	case ufrag == t.local.Ufrag:
		return true, t.local.key
	case ufrag == t.before.Ufrag:
		return false, t.before.key
	}
	return false, nil
}

// checked notes a valid check on a path.
func (t *Transport) checked(w path, current, nominate bool, now time.Time) {
	if !t.learn(w, now) {
		return
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	old := t.path.Load()
	switch {
	case old == nil:
		t.path.Store(&w)
		close(t.found)
	case *old == w:
	case nominate,
		// A NAT on the way gave the client another address, without its knowledge.
		t.Silence(now) > 2*t.port.cfg.Keepalive:
		t.path.Store(&w)
		defer t.handler.Moved()
	}
	t.hear(w, now)
	if current && nominate && !t.agreed {
		t.agreed = true
		defer t.forget()
	}
	ask := current && t.current && !t.agreed
	t.mu.Unlock()
	if ask {
		t.ask(w, now)
	}
	t.update(now)
}

// hear notes that the client proved to be there.
func (t *Transport) hear(w path, now time.Time) {
	if used := t.path.Load(); used != nil && *used == w {
		t.heard.Store(now.UnixNano())
	}
}

// learn makes an address the transport's.
func (t *Transport) learn(w path, now time.Time) bool {
	p := t.port
	p.mu.RLock()
	owner := p.byAddr[w.source()]
	p.mu.RUnlock()
	if owner == t {
		return true
	}
	if owner != nil && owner.Silence(now) < p.cfg.Disconnected {
		p.stats.forged.Add(1) // nobody takes an address from somebody who lives there
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if len(t.paths) == maxPaths {
		i := 0
		if used := t.path.Load(); used != nil && *used == t.paths[0] {
			i = 1
		}
		if p.byAddr[t.paths[i].source()] == t {
			delete(p.byAddr, t.paths[i].source())
		}
		t.paths = slices.Delete(t.paths, i, i+1)
	}
	t.paths = append(t.paths, w)
	p.byAddr[w.source()] = t
	return true
}

// forget ends the generation before.
func (t *Transport) forget() {
	p := t.port
	p.mu.Lock()
	defer p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(p.byUfrag, t.before.Ufrag)
	t.before = generation{}
}

// ask sends a check of ours on a path.
func (t *Transport) ask(w path, now time.Time) {
	id := stun.NewTransactionID()
	t.mu.Lock()
	if t.closed || t.askKey == nil {
		t.mu.Unlock()
		return
	}
	t.asked, t.askedAt = id, now
	username, key := t.asker, t.askKey
	t.mu.Unlock()
	w.ask(id, username, key)
}

// answered notes the answer to the last check of ours, and reports whether it is one.
func (t *Transport) answered(m *stun.Message, w path, now time.Time) bool {
	t.mu.Lock()
	mine := t.askKey != nil && m.TransactionID == t.asked
	key := t.askKey
	t.mu.Unlock()
	if !mine {
		return false
	}
	if m.Type != stun.BindingSuccess || key.Check(m) != nil {
		t.port.stats.forged.Add(1)
		return true
	}
	t.hear(w, now)
	t.update(now)
	return true
}

// takeRTCP decrypts what came, and hands it on.
func (t *Transport) takeRTCP(b []byte, w path, now time.Time) {
	c := t.crypto.Load()
	if c == nil {
		t.port.stats.unsealed.Add(1)
		return
	}
	plain, err := c.open(w.at.plain[:0], b)
	if err != nil {
		t.port.stats.unsealed.Add(1)
		return
	}
	w.at.plain = plain
	t.hear(w, now)
	t.takeFeedback(plain, now)
	t.handler.RTCP(plain)
}

// Silence is how long nothing was heard of the client, which speaks every few seconds at least.
func (t *Transport) Silence(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, t.heard.Load()))
}

// tick asks a silent path whether it lives, and looks how long it has been silent.
func (t *Transport) tick(now time.Time) {
	if w := t.path.Load(); w != nil && t.Silence(now) > t.port.cfg.Keepalive {
		t.mu.Lock()
		due := now.Sub(t.askedAt) >= t.port.cfg.Keepalive/2
		t.mu.Unlock()
		if due {
			t.ask(*w, now)
		}
	}
	t.update(now)
}

// update finds the state again, and tells if it is another one.
func (t *Transport) update(now time.Time) {
	cfg := &t.port.cfg
	state := webrtc.PeerConnectionStateConnected
	silent := t.Silence(now)
	t.mu.Lock()
	switch {
	case t.closed:
		t.mu.Unlock()
		return
	case t.ended:
		state = webrtc.PeerConnectionStateClosed
	case t.cancel == nil:
		state = webrtc.PeerConnectionStateNew
	case t.failed, silent > cfg.Disconnected+cfg.Failed:
		state = webrtc.PeerConnectionStateFailed
	case t.crypto.Load() == nil:
		state = webrtc.PeerConnectionStateConnecting
	case silent > cfg.Disconnected:
		state = webrtc.PeerConnectionStateDisconnected
	}
	changed := t.state.Swap(int32(state)) != int32(state)
	t.mu.Unlock()
	if changed {
		t.handler.StateChanged()
	}
}
