package sfu

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
)

// downlink is the subscribe side of a peer. One goroutine owns the
// connection; everybody else leaves wishes in its mailbox.
type downlink struct {
	peer *Peer
	log  *slog.Logger

	wake    chan struct{} // of one element: the mailbox has something
	done    chan struct{} // closed when run ended
	reports atomic.Bool   // a stream began: send its report now
	limits  atomic.Bool   // look what fits: the limit is another one, or wishes are
	current atomic.Pointer[session]
	state   atomic.Int32 // webrtc.PeerConnectionState

	mu  sync.Mutex
	box mailbox

	// The rest belongs to run.
	link       *session
	autoVideo  bool
	desired    []*Track
	restart    bool
	lastState  webrtc.PeerConnectionState
	renewUntil time.Time // until then a connection that breaks is replaced
}

// mailbox is what run is asked to do. All of it is bounded: wishes replace
// each other, and lists have limits.
type mailbox struct {
	start      *bool // autoVideo
	desired    []*Track
	changed    bool
	restart    bool
	resend     bool
	renewed    bool // the client has a new publish connection
	answers    []answer
	play       []*play
	candidates int
	state      bool // of a connection changed
	closed     bool
}

type answer struct {
	sdp  *description
	done chan error
}

func newDownlink(p *Peer) *downlink {
	return &downlink{
		peer: p,
		log:  p.log,
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
}

func (d *downlink) kick() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// post changes the mailbox. It reports false when the downlink is closed.
func (d *downlink) post(change func(*mailbox)) bool {
	d.mu.Lock()
	open := !d.box.closed
	if open {
		change(&d.box)
	}
	d.mu.Unlock()
	d.kick()
	return open
}

// stateChanged only says that there is something to look at: states are found
// on several goroutines, and told in any order.
func (d *downlink) stateChanged() { d.post(func(b *mailbox) { b.state = true }) }

// answer hands over an answer and waits for the verdict.
func (d *downlink) answer(a *description) error {
	q := answer{a, make(chan error, 1)}
	full := false
	open := d.post(func(b *mailbox) {
		if full = len(b.answers) >= 4; !full {
			b.answers = append(b.answers, q)
		}
	})
	switch {
	case !open:
		return ErrClosed
	case full:
		return ErrUnexpectedAnswer
	}
	select {
	case err := <-q.done:
		return err
	case <-d.done:
		return ErrClosed
	}
}

func (d *downlink) run() {
	defer close(d.done)
	tick := time.NewTicker(d.peer.sfu.timing.tick)
	defer tick.Stop()
	var share <-chan time.Time // while the client's network does not take everything
	for {
		select {
		case <-d.wake:
		case <-share:
			d.limits.Store(true)
		case <-tick.C:
			d.housekeep(time.Now())
		}
		d.mu.Lock()
		box := d.box
		d.box = mailbox{closed: box.closed}
		d.mu.Unlock()
		if box.closed {
			for _, a := range box.answers {
				a.done <- ErrClosed
			}
			for _, q := range box.play {
				q.done <- played{err: ErrClosed}
			}
			d.drop()
			return
		}
		d.take(box)
		if d.reports.Swap(false) && d.link != nil {
			d.link.sendReports(time.Now())
			d.link.tellLayers()
		}
		if d.limits.Swap(false) && d.link != nil {
			share = nil
			if d.link.share(time.Now()) {
				share = time.After(shareEvery)
			}
		}
	}
}

// drop closes the connection, if there is one.
func (d *downlink) drop() {
	if d.link != nil {
		d.current.Store(nil)
		d.link.close()
		d.link = nil
	}
}

// reset replaces the connection: the client has a new one.
func (d *downlink) reset() {
	d.install(newSession(d, channelLabel))
	d.negotiate(true)
}

// install puts a session into the place of the one before.
func (d *downlink) install(l *session) {
	d.drop()
	d.link = l
	d.lastState = webrtc.PeerConnectionStateNew
	d.renewUntil = time.Time{}
	d.current.Store(l)
}

func (d *downlink) take(box mailbox) {
	now := time.Now()
	if box.changed {
		d.desired = box.desired
	}
	if state := d.connectionState(); box.state && state != d.lastState {
		d.stateIs(state, now)
	}
	for _, q := range box.play {
		answer, err := d.play(q.offer)
		if err != nil {
			d.peer.sfu.stats.badSDP.Add(1)
		}
		q.done <- played{answer, err}
	}
	switch {
	case box.start != nil && (d.link == nil || d.broken()):
		d.autoVideo = *box.start
		d.reset()
		return
	case box.renewed && d.link != nil:
		// Clients replace both connections or none. The subscribe one may
		// not have noticed yet.
		d.renewUntil = now.Add(d.peer.sfu.timing.renew)
		switch up := d.link.connected.Load(); {
		case up && !d.broken():
		case d.broken() || d.link.cameUp || !d.link.answered:
			d.reset()
			return
		default:
			// It is about to come up, and whose it is will be seen: if it does not,
			// the next answer tells. A new one now would meet the handshake of this
			// one, which the client could not tell from it.
			d.restart = true
		}
	}
	if d.link == nil {
		for _, a := range box.answers {
			a.done <- ErrUnexpectedAnswer
		}
		return
	}
	for _, a := range box.answers {
		a.done <- d.takeAnswer(a.sdp)
	}
	d.takeCandidates(box.candidates)
	if box.restart {
		d.restart = true
	}
	switch {
	case !box.resend:
	case d.link.offer != "":
		d.link.offeredAt = now
		d.peer.signals.Offer(d.link.offer)
	case d.link.cameUp && d.link.transport.Silence(now) > d.peer.sfu.timing.silent:
		d.recover(now) // the socket came back by another way, perhaps
	}
	d.negotiate(false)
}

func (d *downlink) takeAnswer(a *description) error {
	l := d.link
	if l.offer != "" && l.answered && (a.fingerprint != l.fingerprint || a.session != l.remote && !l.connected.Load()) {
		// Another certificate: a new connection of the client's took our
		// offer. It needs one of ours that starts from nothing.
		d.log.Info("subscriber has a new connection")
		d.reset()
		return nil
	}
	err := l.takeAnswer(a)
	if errors.Is(err, ErrBadSDP) {
		d.peer.sfu.stats.badSDP.Add(1)
	}
	return err
}

// takeCandidates counts what the client trickled. There is nothing to do about
// candidates: where a client is the server learns from its checks.
func (d *downlink) takeCandidates(n int) {
	before := d.link.candidates
	d.link.candidates += n
	if over := d.link.candidates - max(before, maxCandidates); over > 0 {
		d.peer.sfu.stats.droppedCandidates.Add(uint64(over))
	}
}

// negotiate offers what changed, unless an offer is outstanding: then the
// changes wait for its answer.
func (d *downlink) negotiate(first bool) {
	l := d.link
	if l == nil || l.offer != "" || d.broken() || !l.fixed && d.settling(time.Now()) {
		return
	}
	desired := d.desired
	if len(desired) > maxSubscribed {
		desired = desired[:maxSubscribed]
	}
	desired = slices.DeleteFunc(slices.Clone(desired), (*Track).Closed)
	if l.fixed {
		l.show(desired)
		return
	}
	changed := l.update(desired, d.autoVideo)
	restart := d.restart && l.answered
	if !changed && !restart && !first {
		return
	}
	if restart {
		d.restart = false
		l.lastRestart = time.Now()
		l.candidates = 0
		d.peer.sfu.stats.restarts.Add(1)
	}
	l.makeOffer(restart)
	d.peer.signals.Offer(l.offer)
}

// settling says that the connection is about to come up. Nothing could flow
// yet, so changes wait and go into one offer. It also spares clients built on
// pion, which lose streams when sections change hands before the connection
// is up.
func (d *downlink) settling(now time.Time) bool {
	return d.link.answered && !d.link.cameUp && now.Sub(d.link.answeredAt) < d.peer.sfu.timing.settle
}

func (d *downlink) broken() bool {
	return d.connectionState() == webrtc.PeerConnectionStateClosed
}

func (d *downlink) connectionState() webrtc.PeerConnectionState {
	if d.link == nil {
		return webrtc.PeerConnectionStateNew
	}
	return d.link.transport.State()
}

func (d *downlink) stateIs(state webrtc.PeerConnectionState, now time.Time) {
	l := d.link
	d.lastState = state
	d.state.Store(int32(state))
	if state != webrtc.PeerConnectionStateConnected && now.Before(d.renewUntil) &&
		state != webrtc.PeerConnectionStateConnecting {
		d.reset()
		return
	}
	l.count(state == webrtc.PeerConnectionStateConnected)
	switch state {
	case webrtc.PeerConnectionStateConnected:
		if !l.cameUp {
			d.restart = false // what was to be mended was its coming up
		}
		l.badSince, l.gaveUp, l.cameUp = time.Time{}, false, true
		l.connected.Store(true)
		l.up()
	case webrtc.PeerConnectionStateDisconnected:
		// Packets may still get through.
		if l.badSince.IsZero() {
			l.badSince = now
		}
	case webrtc.PeerConnectionStateFailed:
		if l.badSince.IsZero() {
			l.badSince = now
		}
		l.connected.Store(false)
		if l.fixed || l.transport.Refused() { // only the client could restart ICE, or nobody can mend it
			l.gaveUp = true
			d.peer.signals.Disconnected(Subscribe)
			return
		}
		d.recover(now)
	case webrtc.PeerConnectionStateClosed:
		// By the client: its DTLS said goodbye.
		l.connected.Store(false)
		d.peer.signals.Disconnected(Subscribe)
	}
}

// recover restarts ICE: on this connection that is the server's task.
func (d *downlink) recover(now time.Time) {
	if l := d.link; !l.fixed && l.answered && l.offer == "" && now.Sub(l.lastRestart) >= d.peer.sfu.timing.restart {
		d.log.Info("restarting ice", "connection", "subscribe")
		d.restart = true
	}
}

// housekeep runs every tick.
func (d *downlink) housekeep(now time.Time) {
	l := d.link
	if l == nil || d.broken() {
		return
	}
	tm := d.peer.sfu.timing
	l.sendReports(now)
	l.tellLayers()
	if l.offer != "" && !l.unanswered && now.Sub(l.offeredAt) > tm.answer {
		// On a live socket answers do not get lost, and a second offer
		// before the answer would end the call. Resend does it when the
		// socket was replaced.
		l.unanswered = true
		d.peer.sfu.stats.unanswered.Add(1)
		d.log.Warn("subscribe offer is unanswered", "for", now.Sub(l.offeredAt).Round(time.Second))
	}
	d.negotiate(false) // what waited for the connection that does not come up
	if l.badSince.IsZero() || !l.answered {
		return
	}
	bad := now.Sub(l.badSince)
	if bad >= tm.restart && !l.gaveUp {
		d.recover(now)
		d.negotiate(false)
	}
	if bad >= tm.giveUp && !l.gaveUp {
		l.gaveUp = true
		d.peer.signals.Disconnected(Subscribe)
	}
}
