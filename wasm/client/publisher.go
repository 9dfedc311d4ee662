package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"amphi/server/protocol"
	"amphi/wasm/rtc"

	"github.com/pion/webrtc/v4"
)

// published is one local track of this stay in the room.
type published struct {
	*rtc.LocalTrack
	source string
	muted  bool // guarded by publisher.mu once published
}

func (p *published) track() protocol.Track {
	return protocol.Track{
		TrackID: p.ID, StreamID: p.StreamID, Kind: protocol.TrackKind(p.Kind), Source: p.source, Mute: p.muted,
	}
}

// publisher owns the connection that the client sends on. Negotiations are made
// one at a time: the lock is held from an offer to its answer.
type publisher struct {
	s *session

	lock chan struct{} // one slot; holding it is the right to negotiate

	mu       sync.Mutex
	conn     *rtc.Conn    // nil for peers without WebRTC
	tracks   []*published // in the order of publishing
	answered bool         // the last offer is answered: candidates may go out
	early    []protocol.Candidate
	nodeID   string // of the SFU that conn is with; echoed to it
	next     string // of the one that conn's successor will be with; empty: the same
	stopped  context.CancelFunc
}

// maxEarlyCandidates is far above what one client gathers.
const maxEarlyCandidates = 128

func newPublisher(s *session) *publisher { return &publisher{s: s, lock: make(chan struct{}, 1)} }

func (p *publisher) acquire(ctx context.Context) error {
	select {
	case p.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *publisher) release() { <-p.lock }

// open makes the connection and its first offer, which has no media (§4.2). An
// existing connection just makes another offer: that is how a peer who comes
// back to the stage begins (§7.5).
func (p *publisher) open(ctx context.Context) (protocol.Description, error) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		var err error
		watch := newWatchdog(p.s, p.restart)
		conn, err = p.s.c.cfg.Engine.NewConn(p.s.rtcConfig, rtc.Handlers{
			Candidate: p.candidate,
			State: func(state webrtc.PeerConnectionState) {
				watch.state(state)
				p.s.connState("publish", state)
			},
			Track: func(t *rtc.RemoteTrack) { t.Discard() }, // the server never sends here
			Open:  func() {}, Message: func([]byte) {},
		})
		if err != nil {
			return protocol.Description{}, newError(codeOfferFailed, "JOIN", "%w", err)
		}
		if err := conn.CreateChannel(protocol.DataChannelLabel); err != nil {
			conn.Close()
			return protocol.Description{}, newError(codeOfferFailed, "JOIN", "%w", err)
		}
		p.mu.Lock()
		ended := p.s.ctx.Err() // before close, which would not have seen the connection
		if ended == nil {
			p.conn, p.stopped = conn, watch.stop
		}
		p.mu.Unlock()
		if ended != nil {
			watch.stop()
			conn.Close()
			return protocol.Description{}, ended
		}
	}
	p.mu.Lock()
	p.answered = false
	p.mu.Unlock()
	sdp, err := conn.Offer(ctx, false)
	if err != nil {
		return protocol.Description{}, newError(codeOfferFailed, "JOIN", "%w", err)
	}
	return protocol.Description{Type: "offer", SDP: sdp}, nil
}

// accept takes the answer to an offer, and lets waiting candidates go.
func (p *publisher) accept(ctx context.Context, answer protocol.AnswerResult) error {
	p.mu.Lock()
	conn := p.conn
	if answer.SFUNodeID != "" {
		p.nodeID = answer.SFUNodeID
	}
	p.mu.Unlock()
	if conn == nil || answer.SDP == "" {
		return nil
	}
	if err := conn.SetAnswer(ctx, answer.SDP); err != nil {
		return newError(4004, "PUBLISH", "%w", err)
	}
	p.letGo()
	return nil
}

// letGo sends the candidates that waited.
func (p *publisher) letGo() {
	p.mu.Lock()
	early := p.early
	p.answered, p.early = true, nil
	node := p.nodeID
	p.mu.Unlock()
	for _, c := range early {
		p.s.link.notify(p.s.ctx, protocol.MethodTrickle, protocol.Trickle{Target: protocol.TargetPublish, Candidate: c, SFUNodeID: node})
	}
}

// candidate sends a local candidate, or keeps it until the present offer has
// been answered: before that the server may not know whose it is.
func (p *publisher) candidate(init webrtc.ICECandidateInit) {
	c := protocol.Candidate{
		Candidate: init.Candidate, SDPMid: init.SDPMid, SDPMLineIndex: init.SDPMLineIndex, UsernameFragment: init.UsernameFragment,
	}
	p.mu.Lock()
	if !p.answered {
		if len(p.early) < maxEarlyCandidates {
			p.early = append(p.early, c)
		}
		p.mu.Unlock()
		return
	}
	node := p.nodeID
	p.mu.Unlock()
	p.s.link.notify(p.s.ctx, protocol.MethodTrickle, protocol.Trickle{Target: protocol.TargetPublish, Candidate: c, SFUNodeID: node})
}

// remoteCandidate takes a candidate of the server.
func (p *publisher) remoteCandidate(c webrtc.ICECandidateInit) error {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.AddCandidate(c)
}

// publish adds a track and waits until the server has taken it. Each track is
// a round trip of its own (§4.2).
func (p *publisher) publish(ctx context.Context, t *published, encodings []rtc.Encoding) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer p.release()
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return newError(codeNotConnected, "PUBLISH", "there is no publish connection")
	}
	if err := conn.Publish(ctx, t.LocalTrack, encodings); err != nil {
		return newError(codeTrack, "PUBLISH", "%w", err)
	}
	p.mu.Lock()
	p.tracks = append(p.tracks, t)
	p.mu.Unlock()
	if err := p.negotiate(ctx, conn, false); err != nil {
		p.forget(t)
		_ = conn.Unpublish(t.LocalTrack)
		return err
	}
	return nil
}

// unpublish takes tracks back.
func (p *publisher) unpublish(ctx context.Context, tracks ...*published) error {
	if len(tracks) == 0 {
		return nil
	}
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer p.release()
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	var errs []error
	for _, t := range tracks {
		p.forget(t)
		errs = append(errs, conn.Unpublish(t.LocalTrack))
	}
	return errors.Join(append(errs, p.negotiate(ctx, conn, false))...)
}

func (p *publisher) forget(t *published) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.tracks {
		if other == t {
			p.tracks = append(p.tracks[:i:i], p.tracks[i+1:]...)
			return
		}
	}
}

// negotiate makes one offer and applies its answer. The caller holds the lock.
func (p *publisher) negotiate(ctx context.Context, conn *rtc.Conn, restartICE bool) error {
	p.mu.Lock()
	p.answered = false
	p.mu.Unlock()
	defer p.letGo()
	sdp, err := conn.Offer(ctx, restartICE)
	if err != nil {
		return newError(codeOfferFailed, "PUBLISH", "%w", err)
	}
	var answer protocol.AnswerResult
	offer := protocol.Offer{Desc: protocol.Description{Type: "offer", SDP: sdp}, Tracks: p.trackMap(), SFUNodeID: p.node()}
	if err := p.s.link.request(ctx, protocol.MethodOffer, offer, &answer); err != nil {
		var refused *protocol.Error
		if errors.As(err, &refused) && refused.Code == protocol.CodeStaleNode {
			return nil // a migration is under way: it offers all of it again (§3.6.2)
		}
		_ = conn.Rollback(ctx)
		return err
	}
	return p.accept(ctx, answer)
}

// first makes the first offer of a connection that join did not make: after a
// promotion or a migration (§7.5, §7.9).
func (p *publisher) first(ctx context.Context) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer p.release()
	desc, err := p.open(ctx)
	if err != nil {
		return err
	}
	var answer protocol.AnswerResult
	offer := protocol.Offer{Desc: desc, Tracks: p.trackMap(), SFUNodeID: p.node()}
	if err := p.s.link.request(ctx, protocol.MethodOffer, offer, &answer); err != nil {
		return fmt.Errorf("first offer: %w", err)
	}
	return p.accept(ctx, answer)
}

// resume offers again after a reconnect; with new ICE credentials unless media
// still flows (§7.7).
func (p *publisher) resume(ctx context.Context, restart bool) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer p.release()
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	return p.negotiate(ctx, conn, restart || conn.State() != webrtc.PeerConnectionStateConnected)
}

// restart is the watchdog's: new ICE credentials.
func (p *publisher) restart(ctx context.Context) error {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer p.release()
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if conn == nil {
		return nil
	}
	return p.negotiate(ctx, conn, true)
}

// trackMap is the complete list of what is published.
func (p *publisher) trackMap() map[string]protocol.Track {
	p.mu.Lock()
	defer p.mu.Unlock()
	tracks := make(map[string]protocol.Track, len(p.tracks))
	for _, t := range p.tracks {
		tracks[t.ID] = t.track()
	}
	return tracks
}

// setMuted notes the state of a track, and tells the server if it is published.
func (p *publisher) setMuted(ctx context.Context, t *published, muted bool) {
	p.mu.Lock()
	t.muted = muted
	track := t.track()
	known := false
	for _, other := range p.tracks {
		known = known || other == t
	}
	p.mu.Unlock()
	if known {
		p.s.link.notify(ctx, protocol.MethodTrackUpdate, protocol.TrackUpdate{Tracks: map[string]protocol.Track{t.ID: track}})
	}
}

func (p *publisher) list() []*published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*published(nil), p.tracks...)
}

func (p *publisher) node() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodeID
}

// setNode notes the SFU's node and tells whether it is another one than before. A connection stays with its node as long as
// it is there: what it offers would otherwise be taken for its successor's, by a server that waits for that.
func (p *publisher) setNode(id string) (moved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := cmp.Or(p.next, p.nodeID)
	if p.conn == nil || known == "" {
		p.nodeID = id
	} else {
		p.next = id
	}
	return known != "" && known != id
}

// close ends the connection. Tracks stay what they are.
func (p *publisher) close() {
	p.mu.Lock()
	conn, stop := p.conn, p.stopped
	p.conn, p.tracks, p.answered, p.early, p.stopped = nil, nil, false, nil, nil
	p.nodeID, p.next = cmp.Or(p.next, p.nodeID), ""
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
	if conn != nil {
		_ = conn.Close()
	}
}
