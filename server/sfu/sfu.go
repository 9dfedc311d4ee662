// Package sfu is a selective forwarding unit: RTP in, RTP out.
//
// It knows tracks and subscribers, not people or roles. A Peer has up to two
// WebRTC connections, as the client protocol wants it: on the publish
// connection, which is one of pion's, the client offers and sends; on the
// subscribe connection, which is our own (package transport), the server
// offers and sends. All connections of a server share one UDP port.
//
// Who owns what:
//
//   - a Peer's publish connection is negotiated by one Publish call at a time;
//   - its subscribe connection belongs to one goroutine (downlink.run), which
//     takes wishes from a mailbox where newer ones replace older ones;
//   - a Track's packets are forwarded by the goroutine that reads them, a frame
//     at a time to one subscriber after the other. It takes no lock that a
//     signalling message can hold: the list of receivers is replaced whole
//     behind an atomic pointer.
package sfu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"amphi/server/sfu/transport"
)

// Limits on what one peer may make the server hold. They are far above what a
// client needs.
const (
	maxSDP        = 256 << 10 // bytes of one session description
	maxSections   = 256       // media sections of one connection: an answer with so many fits into maxSDP
	maxTracks     = 32        // tracks published by one peer
	maxSubscribed = 240       // tracks subscribed by one peer, which leaves sections for those that were refused
	maxCandidates = 256       // remote candidates of one connection and ICE generation
	maxMessage    = 16 << 10  // bytes of one data channel message
)

// Errors that callers tell apart.
var (
	// ErrBadSDP: a session description that cannot be used. Nothing changed.
	ErrBadSDP = errors.New("sfu: bad session description")
	// ErrBadTracks: a list of tracks with unusable or too many entries.
	ErrBadTracks = errors.New("sfu: bad list of tracks")
	// ErrBadCandidate: an ICE candidate that cannot be parsed.
	ErrBadCandidate = errors.New("sfu: bad ice candidate")
	// ErrTooMany: a limit per peer is reached.
	ErrTooMany = errors.New("sfu: limit reached")
	// ErrUnexpectedAnswer: an answer while no offer waits for one, or one that
	// does not fit the offer. It is harmless: answers arrive twice after a
	// reconnect.
	ErrUnexpectedAnswer = errors.New("sfu: unexpected answer")
	// ErrClosed: the peer or the whole unit is closed.
	ErrClosed = errors.New("sfu: closed")
)

// Config are the parameters of New.
type Config struct {
	// Port is the UDP and TCP port for all media; 0 chooses a free one.
	Port int
	// NodeIPs are the addresses announced to clients instead of those of the
	// machine's interfaces: the public ones of a machine behind NAT.
	NodeIPs []string
	// Loopback announces the loopback addresses as well, for clients on the
	// same machine.
	Loopback bool
	// KeyFrameInterval is the least time between two key-frame requests for
	// one track; 500 ms if 0.
	KeyFrameInterval time.Duration
	// Log receives what an operator may want to know; required.
	Log *slog.Logger
}

// timing are the periods that tests shorten.
type timing struct {
	answer       time.Duration // an offer unanswered for so long is logged and counted
	disconnected time.Duration // ICE silence until "disconnected"
	failed       time.Duration // and from there until "failed"
	keepalive    time.Duration
	restart      time.Duration // "disconnected" for so long: restart ICE; never more often
	silent       time.Duration // nothing heard for so long when the client's socket is another one: restart ICE at once
	giveUp       time.Duration // not connected for so long in spite of restarts: tell Signals
	renew        time.Duration // for so long after a new publish connection the subscribe one is expected to break
	settle       time.Duration // for so long a new subscribe connection may come up before it is renegotiated
	tick         time.Duration // sender reports and housekeeping of a subscribe connection
}

var defaultTiming = timing{
	answer:       10 * time.Second,
	disconnected: 5 * time.Second,
	failed:       15 * time.Second,
	keepalive:    2 * time.Second,
	restart:      5 * time.Second,
	silent:       time.Second,
	giveUp:       60 * time.Second,
	renew:        3 * time.Second,
	settle:       2 * time.Second,
	tick:         time.Second,
}

// SFU forwards media between peers.
type SFU struct {
	cfg    Config
	timing timing
	log    *slog.Logger
	port   *transport.Port
	pubAPI *webrtc.API
	cert   webrtc.Certificate // the port's
	stats  counters

	jobs jobs // all that runs or is being torn down

	mu     sync.Mutex
	closed bool
	peers  map[*Peer]struct{}
}

// New opens the port and returns a running SFU. Close it.
func New(cfg Config) (*SFU, error) { return newSFU(cfg, defaultTiming) }

func newSFU(cfg Config, tm timing) (*SFU, error) {
	if cfg.Log == nil {
		return nil, errors.New("sfu: Config.Log is required")
	}
	if cfg.KeyFrameInterval <= 0 {
		cfg.KeyFrameInterval = 500 * time.Millisecond
	}
	cert, err := transport.NewCertificate()
	if err != nil {
		return nil, fmt.Errorf("sfu: %w", err)
	}
	s := &SFU{
		cfg: cfg, timing: tm, log: cfg.Log, peers: map[*Peer]struct{}{},
		cert: webrtc.CertificateFromX509(cert.PrivateKey, cert.Leaf),
	}
	if s.port, err = transport.Open(transport.Config{
		Number: cfg.Port, NodeIPs: cfg.NodeIPs, Loopback: cfg.Loopback, Certificate: cert,
		Disconnected: tm.disconnected, Failed: tm.failed, Keepalive: tm.keepalive, Log: cfg.Log,
	}); err != nil {
		return nil, fmt.Errorf("sfu: %w", err)
	}
	if s.pubAPI, err = newAPI(s); err != nil {
		_ = s.port.Close()
		return nil, err
	}
	var announced []string
	for _, a := range s.port.Addresses() {
		announced = append(announced, a.Announced.String())
	}
	s.log.Info("sfu listening", "port", s.port.Number(), "addresses", announced)
	return s, nil
}

// Port is the UDP and TCP port in use.
func (s *SFU) Port() int { return s.port.Number() }

// Close closes all peers and the port and waits for what they ran, at most
// some seconds.
func (s *SFU) Close() error {
	s.mu.Lock()
	s.closed = true
	peers := make([]*Peer, 0, len(s.peers))
	for p := range s.peers {
		peers = append(peers, p)
	}
	s.mu.Unlock()
	for _, p := range peers {
		p.Close()
	}
	err := s.jobs.wait(5 * time.Second)
	return errors.Join(err, s.port.Close())
}

// NewPeer makes a peer without connections. The id is for logs. Signals must
// not be nil. On a closed SFU the peer is closed from the start.
func (s *SFU) NewPeer(id string, signals Signals) *Peer {
	p := newPeer(s, id, signals)
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.peers[p] = struct{}{}
		s.stats.peers.Add(1)
	}
	s.mu.Unlock()
	if closed {
		p.Close()
	}
	return p
}

func (s *SFU) forget(p *Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.peers[p]; ok {
		delete(s.peers, p)
		s.stats.peers.Add(-1)
	}
}

// discard closes a connection and everything pion runs for it, off the
// caller's goroutine: it can take as long as a DTLS alert and a lost mutex.
func (s *SFU) discard(pc *webrtc.PeerConnection) {
	s.jobs.start(func() {
		if err := pc.GracefulClose(); err != nil {
			s.log.Debug("closing connection", "error", err)
		}
	})
}

// jobs counts goroutines. Unlike a sync.WaitGroup it may be waited for while
// new ones start.
type jobs struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // made by wait, closed when n gets to 0
}

func (j *jobs) start(f func()) {
	j.mu.Lock()
	j.n++
	j.mu.Unlock()
	go func() {
		defer func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			if j.n--; j.n == 0 && j.idle != nil {
				close(j.idle)
				j.idle = nil
			}
		}()
		f()
	}()
}

func (j *jobs) wait(longest time.Duration) error {
	j.mu.Lock()
	if j.n == 0 {
		j.mu.Unlock()
		return nil
	}
	if j.idle == nil {
		j.idle = make(chan struct{})
	}
	idle := j.idle
	j.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-time.After(longest):
		return errors.New("sfu: some connections did not close in time")
	}
}

// settle waits until all local candidates are in the description, so that
// none needs to be trickled. They are host candidates of one open socket:
// this takes no network round trip.
func settle(ctx context.Context, gathered <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	select {
	case <-gathered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sfu: gathering candidates: %w", ctx.Err())
	}
}
