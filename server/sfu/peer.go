package sfu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// Target names one of a peer's connections; the values are those of the wire.
type Target int

// The two connections.
const (
	Publish   Target = 0
	Subscribe Target = 1
)

// Signals is a peer's way out. It is called from the SFU's goroutines, in
// order per connection, and must not block. A call that is under way when the
// peer is closed may come after Close returned.
type Signals interface {
	// Candidate is a local ICE candidate to trickle. Descriptions carry all
	// candidates as long as they are host candidates, so it may never be
	// called.
	Candidate(Target, webrtc.ICECandidateInit)
	// Offer is the next offer of the subscribe connection. There is never a
	// second one before the first was answered, but for Resend.
	Offer(sdp string)
	// Disconnected tells that a connection is gone: closed by the client,
	// failed (publish: only the client can restart it), or not to be
	// restored (subscribe).
	Disconnected(Target)
}

// Peer is one client. Its methods may be called from any goroutine.
type Peer struct {
	id      string
	sfu     *SFU
	log     *slog.Logger
	signals Signals

	publishing chan struct{} // holds one token while nobody negotiates

	sent, received path
	looks          looks

	mu     sync.Mutex
	closed bool
	up     *uplink
	down   *downlink
	tracks map[string]*Track
	wanted []*Track // subscriptions asked for before StartSubscribe
	early  []webrtc.ICECandidateInit
}

func newPeer(s *SFU, id string, signals Signals) *Peer {
	p := &Peer{
		id: id, sfu: s, signals: signals,
		log:        s.log.With("peer", id),
		publishing: make(chan struct{}, 1),
		tracks:     map[string]*Track{},
	}
	p.publishing <- struct{}{}
	return p
}

// Publish answers an offer of the publish connection. tracks is the complete
// list of what the peer may publish: media sections that match none of it are
// refused, tracks of earlier calls that are not in it end. An offer from a
// new connection of the client's replaces the old one; tracks with the same
// id, stream, kind and codec live on.
//
// On ErrBadSDP and ErrBadTracks nothing has changed.
func (p *Peer) Publish(ctx context.Context, offerSDP string, tracks []TrackInfo) (answerSDP string, err error) {
	select {
	case <-p.publishing:
		defer func() { p.publishing <- struct{}{} }()
	case <-ctx.Done():
		return "", fmt.Errorf("sfu: publish: %w", ctx.Err())
	}
	answerSDP, err = p.publish(ctx, offerSDP, tracks)
	if errors.Is(err, ErrBadSDP) {
		p.sfu.stats.badSDP.Add(1)
	}
	return answerSDP, err
}

func (p *Peer) publish(ctx context.Context, offerSDP string, infos []TrackInfo) (string, error) {
	if err := checkTracks(infos); err != nil {
		return "", err
	}
	p.mu.Lock()
	old, closed := p.up, p.closed
	p.mu.Unlock()
	if closed {
		return "", ErrClosed
	}
	// Payload types are checked against the connection's history, which an
	// offer that fails must not change.
	types := map[uint8]string{}
	if old != nil {
		for pt, name := range old.types {
			types[pt] = name
		}
	}
	infos = p.sameCodecs(infos)
	d, err := parseOffer(offerSDP, infos, types)
	if err != nil {
		return "", err
	}
	up := old
	if old == nil || !old.fits(d) {
		types = map[uint8]string{}
		if d, err = parseOffer(offerSDP, infos, types); err != nil {
			return "", err
		}
		if up, err = newUplink(p); err != nil {
			return "", err
		}
	}
	tracks := p.tracksOf(d)
	answer, broken, err := up.negotiate(ctx, d, tracks)
	if err != nil {
		for _, t := range tracks {
			if p.Track(t.info.ID) != t {
				t.close()
			}
		}
		switch {
		case up != old:
			up.close()
		case broken:
			// There is no way back; the client's next offer starts anew.
			p.log.Warn("publish connection given up", "error", err)
			p.install(nil, nil)
			up.close()
		}
		return "", err
	}
	up.types = types
	if !p.install(up, tracks) {
		up.close()
		return "", ErrClosed
	}
	if up != old {
		if old != nil {
			old.close()
			p.post(func(b *mailbox) { b.renewed = true })
		}
		p.flushCandidates(up)
	}
	return answer, nil
}

// sameCodecs prefers, for tracks that are there, the codec that they have: another one would be another track for
// subscribers.
func (p *Peer) sameCodecs(infos []TrackInfo) []TrackInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	infos = slices.Clone(infos)
	for i, info := range infos {
		if t := p.tracks[info.ID]; t != nil {
			infos[i].Prefer = t.codec
		}
	}
	return infos
}

// tracksOf finds or makes the tracks of an offer's sections.
func (p *Peer) tracksOf(d *description) map[string]*Track {
	p.mu.Lock()
	defer p.mu.Unlock()
	tracks := map[string]*Track{}
	for _, sec := range d.sections {
		if sec.info.ID == "" {
			continue
		}
		t := p.tracks[sec.info.ID]
		if t == nil || t.info != sec.info || t.codec != sec.codec {
			t = newTrack(p.sfu, sec.info, sec.codec)
		}
		tracks[sec.info.ID] = t
	}
	return tracks
}

// install makes a negotiated connection the peer's and closes the tracks that
// are not published any more. It reports false if the peer was closed
// meanwhile.
func (p *Peer) install(up *uplink, tracks map[string]*Track) bool {
	var gone []*Track
	p.mu.Lock()
	for id, t := range p.tracks {
		if tracks[id] != t {
			gone = append(gone, t)
		}
	}
	open := !p.closed
	if open {
		p.up, p.tracks = up, tracks
	} else {
		for _, t := range tracks {
			gone = append(gone, t)
		}
	}
	p.mu.Unlock()
	for _, t := range gone {
		t.close()
	}
	return open
}

// flushCandidates adds what the client trickled before its offer was
// answered.
func (p *Peer) flushCandidates(up *uplink) {
	p.mu.Lock()
	early := p.early
	p.early = nil
	p.mu.Unlock()
	for _, c := range early {
		if err := up.takeCandidate(c); err != nil {
			p.sfu.stats.droppedCandidates.Add(1)
		}
	}
}

// StartSubscribe makes the subscribe connection and sends its first offer.
// autoVideo forwards video unasked; otherwise it waits for the client's
// request on the data channel. Calling it again does nothing, unless the
// client closed the connection: then it makes a new one.
func (p *Peer) StartSubscribe(autoVideo bool) {
	if d := p.startDownlink(); d != nil {
		d.post(func(b *mailbox) { b.start = &autoVideo })
	}
}

// startDownlink returns the subscribe side, running and with what was wanted before;
// nil if the peer is closed.
func (p *Peer) startDownlink() *downlink {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	wanted := p.wanted
	p.wanted = nil
	if p.down == nil {
		p.down = newDownlink(p)
		p.sfu.jobs.start(p.down.run)
	}
	d := p.down
	p.mu.Unlock()
	if wanted != nil {
		d.post(func(b *mailbox) {
			if !b.changed {
				b.desired, b.changed = wanted, true
			}
		})
	}
	return d
}

// Subscribe sets what the peer gets: the complete set. It does not wait;
// changes are offered to the client together, when the last offer is answered.
// Before StartSubscribe the set is kept.
func (p *Peer) Subscribe(tracks []*Track) {
	tracks = append(make([]*Track, 0, len(tracks)), tracks...)
	p.mu.Lock()
	if p.down == nil {
		p.wanted = tracks
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.post(func(b *mailbox) { b.desired, b.changed = tracks, true })
}

// post leaves a wish for the subscribe connection, if there is one.
func (p *Peer) post(change func(*mailbox)) {
	if d := p.downlink(); d != nil {
		d.post(change)
	}
}

func (p *Peer) downlink() *downlink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

// Answer takes the client's answer to the outstanding subscribe offer. It
// must not be called from within Signals.
func (p *Peer) Answer(sdp string) error {
	d := p.downlink()
	if d == nil {
		return ErrUnexpectedAnswer
	}
	a, err := parseDescription(sdp)
	if err != nil {
		p.sfu.stats.badSDP.Add(1)
		return err
	}
	return d.answer(a)
}

// Candidate adds a remote ICE candidate. Those that come before the
// connection has a remote description are kept.
func (p *Peer) Candidate(target Target, c webrtc.ICECandidateInit) error {
	err := p.candidate(target, c)
	if err != nil {
		p.sfu.stats.droppedCandidates.Add(1)
	}
	return err
}

func (p *Peer) candidate(target Target, c webrtc.ICECandidateInit) error {
	value := strings.TrimPrefix(c.Candidate, "candidate:")
	if value == "" {
		return nil // the end of candidates, as some browsers write it
	}
	if len(value) > 512 {
		return fmt.Errorf("%w: %d bytes", ErrBadCandidate, len(value))
	}
	if _, err := ice.UnmarshalCandidate(value); err != nil {
		return fmt.Errorf("%w: %w", ErrBadCandidate, err)
	}
	p.mu.Lock()
	up, down := p.up, p.down
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if target == Publish && up == nil {
		defer p.mu.Unlock()
		if len(p.early) >= maxCandidates {
			return fmt.Errorf("%w: %d candidates", ErrTooMany, maxCandidates)
		}
		p.early = append(p.early, c)
		return nil
	}
	p.mu.Unlock()
	switch {
	case target == Publish:
		return up.takeCandidate(c)
	case target != Subscribe || down == nil:
		return fmt.Errorf("%w: no such connection", ErrBadCandidate)
	}
	full := false
	down.post(func(b *mailbox) {
		if full = b.candidates >= maxCandidates; !full {
			b.candidates++
		}
	})
	if full {
		return fmt.Errorf("%w: %d candidates", ErrTooMany, maxCandidates)
	}
	return nil
}

// RestartICE restarts ICE on the subscribe connection, with the next offer.
// The SFU does so by itself when the connection is disconnected or failed.
func (p *Peer) RestartICE() { p.post(func(b *mailbox) { b.restart = true }) }

// Resend sends the outstanding subscribe offer again, if there is one: for
// when the signalling connection was replaced and the offer or its answer may
// be lost.
func (p *Peer) Resend() { p.post(func(b *mailbox) { b.resend = true }) }

// SendEvent sends a notification on the subscribe connection's data channel.
// It reports false, and the event is dropped, when the channel is not open or
// the client reads too slowly.
func (p *Peer) SendEvent(json []byte) bool {
	if d := p.downlink(); d != nil {
		if l := d.current.Load(); l != nil {
			return l.send(json)
		}
	}
	p.sfu.stats.droppedEvents.Add(1)
	return false
}

// Track is what the peer publishes under an id, or nil. It exists from the
// moment that Publish returns; media may come later.
func (p *Peer) Track(id string) *Track {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tracks[id]
}

// State is the state of one of the peer's connections.
func (p *Peer) State(target Target) webrtc.PeerConnectionState {
	p.mu.Lock()
	up, down := p.up, p.down
	p.mu.Unlock()
	switch {
	case target == Publish && up != nil:
		return webrtc.PeerConnectionState(up.state.Load())
	case target == Subscribe && down != nil:
		return webrtc.PeerConnectionState(down.state.Load())
	}
	return webrtc.PeerConnectionStateNew
}

// Close ends the peer: its connections, its tracks and its subscriptions.
// What remains to be torn down goes on in the background.
func (p *Peer) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	up, down, tracks := p.up, p.down, p.tracks
	p.up, p.tracks, p.wanted, p.early = nil, map[string]*Track{}, nil, nil
	p.mu.Unlock()
	p.sfu.forget(p)
	for _, t := range tracks {
		t.close()
	}
	if up != nil {
		up.close()
	}
	if down != nil {
		down.post(func(b *mailbox) { b.closed = true })
	}
}
