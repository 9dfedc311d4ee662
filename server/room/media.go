package room

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

// connections are a peer's connections in the SFU, with the name that the client
// knows their place by.
type connections struct {
	*sfu.Peer
	node string
}

// openMedia returns the peer's connections, made on first use. It runs on the
// room's goroutine.
func (p *Peer) openMedia() *connections {
	if m := p.media.Load(); m != nil {
		return m
	}
	m := &connections{node: p.node}
	m.Peer = p.room.registry.cfg.SFU.NewPeer(p.ID, mediaSignals{p, m})
	p.media.Store(m)
	return m
}

// publishAll answers an offer that has to bring all of the tracks, or none.
func (m *connections) publishAll(ctx context.Context, offer string, tracks map[string]protocol.Track) (string, error) {
	answer, err := m.Publish(ctx, offer, trackInfos(tracks, nil))
	if err != nil {
		return "", err
	}
	for id, t := range tracks {
		if m.Track(id) == nil {
			return "", protocol.Errorf(protocol.CodeUnprocessable, "the offered %s has no codec that this server forwards", t.Kind)
		}
	}
	return answer, nil
}

// moveMedia lets go of connections that cannot be mended and has the client make
// new ones: it believes that it moves to another node (§7.9). It forgets all
// tracks then, and publishes its own again under new ids.
func (p *Peer) moveMedia() {
	m := p.media.Swap(nil)
	if m != nil {
		go m.Close() // takes milliseconds that the room does not have
	}
	if len(p.tracks) > 0 {
		p.room.tell(protocol.OnTrackRemove, protocol.TrackEvent{Tracks: p.trackMap(), Peer: p.wire(false)}, allBut(p))
		p.tracksChanged(TrackRemoved, p.tracks...)
		p.tracks = nil
		p.room.touchStage(p)
	}
	p.moves++
	p.node = fmt.Sprintf("%s.%d", p.room.registry.cfg.NodeID, p.moves)
	p.moving = true
	p.log.Info("media connections are made anew", "node", p.node)
	p.tellNode()
}

// tellNode tells the client where its connections are, which it compares with
// what it knew.
func (p *Peer) tellNode() {
	p.notify(protocol.OnNodeInfo, protocol.NodeInfo{SFUNodeID: p.node})
}

// tellTracks tells a peer of everybody's tracks.
func (r *Room) tellTracks(to *Peer) {
	for _, o := range r.order {
		if o != to && !o.hidden && len(o.tracks) > 0 {
			to.notify(protocol.OnTrackAdd, protocol.TrackEvent{Tracks: o.trackMap(), Peer: o.wire(false)})
		}
	}
}

// Answer takes the answer to the last subscribe offer.
func (p *Peer) Answer(req protocol.Answer) error {
	m := p.media.Load()
	switch {
	case m == nil:
		return protocol.Errorf(protocol.CodeConflict, "an answer without an offer")
	case req.SFUNodeID != "" && req.SFUNodeID != m.node:
		return errStaleNode
	}
	return mediaError(m.Answer(req.Desc.SDP))
}

// Trickle takes one ICE candidate of the client.
func (p *Peer) Trickle(req protocol.Trickle) error {
	m := p.media.Load()
	switch {
	case m == nil:
		return protocol.Errorf(protocol.CodeConflict, "a candidate without a connection")
	case req.SFUNodeID != "" && req.SFUNodeID != m.node:
		return errStaleNode
	}
	if req.Target != protocol.TargetPublish && req.Target != protocol.TargetSubscribe {
		return protocol.Errorf(protocol.CodeBadRequest, "trickle target must be 0 or 1")
	}
	err := m.Candidate(sfu.Target(req.Target), webrtc.ICECandidateInit{
		Candidate: req.Candidate.Candidate, SDPMid: req.Candidate.SDPMid,
		SDPMLineIndex: req.Candidate.SDPMLineIndex, UsernameFragment: req.Candidate.UsernameFragment,
	})
	return mediaError(err)
}

// mediaError turns the SFU's refusals into the client's words.
func mediaError(err error) error {
	var code int
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sfu.ErrBadSDP), errors.Is(err, sfu.ErrBadTracks), errors.Is(err, sfu.ErrBadCandidate):
		code = protocol.CodeBadRequest
	case errors.Is(err, sfu.ErrUnexpectedAnswer):
		code = protocol.CodeConflict
	case errors.Is(err, sfu.ErrTooMany):
		code = protocol.CodeTooMany
	case errors.Is(err, sfu.ErrClosed):
		return errLeft
	default:
		return err
	}
	return protocol.Errorf(code, "%s", strings.TrimPrefix(err.Error(), "sfu: "))
}

// mediaSignals carries what the SFU says to the peer's socket.
type mediaSignals struct {
	peer *Peer
	on   *connections
}

// stale says that the client has other connections by now.
func (s mediaSignals) stale() bool { return s.peer.media.Load() != s.on }

// Candidate implements sfu.Signals.
func (s mediaSignals) Candidate(target sfu.Target, c webrtc.ICECandidateInit) {
	if s.stale() {
		return
	}
	s.peer.notify(protocol.MethodTrickle, protocol.Trickle{
		Target: int(target),
		Candidate: protocol.Candidate{
			Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex, UsernameFragment: c.UsernameFragment,
		},
	})
}

// Offer implements sfu.Signals.
func (s mediaSignals) Offer(sdp string) {
	if s.stale() {
		return
	}
	s.peer.notify(protocol.MethodOffer, protocol.SubscribeOffer{
		Type: "offer", SDP: sdp, SFUNodeID: s.on.node,
	})
}

// Disconnected implements sfu.Signals. The client restarts a lost publish
// connection, the SFU a lost subscribe connection. When that was in vain, only new
// connections help; unless the client closed the old one itself.
func (s mediaSignals) Disconnected(target sfu.Target) {
	p := s.peer
	p.log.Info("media connection lost", "target", int(target))
	if p.silent {
		p.room.after(0, func() {
			if !s.stale() {
				p.room.remove(p, Departure{Reason: LeftSocket})
			}
		})
		return
	}
	if target == sfu.Publish || s.on.State(target) == webrtc.PeerConnectionStateClosed {
		return
	}
	p.room.after(0, func() {
		if p.phase == joined && !s.stale() {
			p.moveMedia()
		}
	})
}
