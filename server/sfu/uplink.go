package sfu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// uplink is one publish connection. It is negotiated by one goroutine at a
// time, the holder of Peer.publishing; when the client makes a new connection
// a new uplink takes its place.
type uplink struct {
	peer  *Peer
	pc    *webrtc.PeerConnection
	ssrc  uint32 // of our RTCP
	clock publisherClock
	state atomic.Int32 // webrtc.PeerConnectionState

	// The negotiating goroutine's own.
	remote      string // session id of the client's descriptions
	fingerprint string
	ufrag       string
	types       map[uint8]string // payload types in use

	mu         sync.Mutex
	published  map[string]published // by mid
	connected  bool
	gone       bool               // replaced or closed: states are of no interest
	candidates int                // of this ICE generation
	sources    map[*source]string // those being read, by mid
}

// published is what a section of the connection carries.
type published struct {
	track *Track
	sec   *section
}

func newUplink(p *Peer) (*uplink, error) {
	pc, err := p.sfu.newConnection()
	if err != nil {
		return nil, err
	}
	u := &uplink{
		peer: p, pc: pc, ssrc: rand.Uint32(),
		types: map[uint8]string{}, published: map[string]published{}, sources: map[*source]string{},
	}
	pc.OnTrack(u.onTrack)
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { u.stateChanged() })
	return u, nil
}

// fits says whether an offer continues this connection. A new connection of
// the client's has another certificate, or, where certificates are shared, a
// new session and new credentials.
func (u *uplink) fits(d *description) bool {
	if u.pc.ConnectionState() == webrtc.PeerConnectionStateClosed {
		return false
	}
	return d.fingerprint == u.fingerprint && (d.session == u.remote || d.ufrag == u.ufrag)
}

// negotiate applies an offer and returns the answer. tracks are those of the
// offer's sections by id. On an error the connection is as it was, or, if
// that cannot be had, broken is true.
func (u *uplink) negotiate(ctx context.Context, d *description, tracks map[string]*Track) (answer string, broken bool, err error) {
	offer, err := d.offer()
	if err != nil {
		return "", false, err
	}
	u.mu.Lock()
	before := u.published
	u.published = make(map[string]published, len(d.sections))
	for _, sec := range d.sections {
		if sec.info.ID != "" {
			u.published[sec.mid] = published{tracks[sec.info.ID], sec}
		}
	}
	u.mu.Unlock()
	if err := u.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		u.mu.Lock()
		u.published = before
		u.mu.Unlock()
		return "", u.pc.SignalingState() != webrtc.SignalingStateStable, badSDP("%v", err)
	}
	if d.ufrag != u.ufrag {
		u.mu.Lock()
		u.candidates = 0
		u.mu.Unlock()
	}
	u.remote, u.fingerprint, u.ufrag = d.session, d.fingerprint, d.ufrag
	a, err := u.pc.CreateAnswer(nil)
	if err != nil {
		return "", true, fmt.Errorf("sfu: answer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(u.pc)
	if err := u.pc.SetLocalDescription(a); err != nil {
		return "", true, fmt.Errorf("sfu: answer: %w", err)
	}
	if err := settle(ctx, gathered); err != nil {
		return "", true, err
	}
	u.rehome()
	answer, err = d.answer(u.pc.LocalDescription().SDP)
	return answer, err != nil, err
}

// rehome moves running streams to the tracks that their sections carry now:
// the client may give a track another id without a new stream.
func (u *uplink) rehome() {
	u.mu.Lock()
	moved := map[*source]*Track{}
	for src, mid := range u.sources {
		if p, ok := u.published[mid]; ok && p.track != src.track.Load() && p.track.codec == src.track.Load().codec {
			moved[src] = p.track
		}
	}
	u.mu.Unlock()
	for src, t := range moved {
		src.track.Load().detach(src)
		src.track.Store(t)
		src.pli.reopen()
		t.attach(src)
	}
}

// onTrack is called by pion for each stream: at once after the answer for
// those with an SSRC in the offer, at the first packet for simulcast layers.
func (u *uplink) onTrack(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	tr := receiver.RTPTransceiver()
	if tr == nil {
		return
	}
	u.mu.Lock()
	pub, ok := u.published[tr.Mid()]
	if !ok || u.gone {
		u.mu.Unlock()
		return
	}
	size := 1 // audio: only the receive buffer is used
	if pub.track.info.Kind == Video {
		size = videoCache
	}
	src := &source{
		up: u, clock: &u.clock,
		rank:  rank(remote.RID(), pub.sec.rids),
		ssrc:  uint32(remote.SSRC()),
		pt:    pub.sec.pt,
		level: pub.sec.exts[extLevel],
		cache: newCache(size),
	}
	if remote.RID() != "" {
		pub.track.simulcast.Store(true)
	}
	src.track.Store(pub.track)
	u.sources[src] = tr.Mid()
	u.mu.Unlock()
	pub.track.attach(src)
	u.peer.sfu.jobs.start(func() { src.pumpReports(receiver, remote.RID()) })
	u.peer.sfu.jobs.start(func() {
		src.pump(remote)
		src.unite()
		u.mu.Lock()
		delete(u.sources, src)
		u.mu.Unlock()
		src.track.Load().detach(src)
	})
}

// write sends RTCP to the publisher. A failure is that of the connection,
// whose state tells.
func (u *uplink) write(p rtcp.Packet) { _ = u.pc.WriteRTCP([]rtcp.Packet{p}) }

// stateChanged looks at the state itself: pion reports each one on a goroutine
// of its own, in any order.
func (u *uplink) stateChanged() {
	u.mu.Lock()
	state := u.pc.ConnectionState()
	if u.gone || state == webrtc.PeerConnectionState(u.state.Load()) {
		u.mu.Unlock()
		return
	}
	u.state.Store(int32(state))
	connected := state == webrtc.PeerConnectionStateConnected
	if connected != u.connected {
		u.connected = connected
		if connected {
			u.peer.sfu.stats.pubConnected.Add(1)
		} else {
			u.peer.sfu.stats.pubConnected.Add(-1)
		}
	}
	u.mu.Unlock()
	u.peer.log.Debug("connection state", "connection", "publish", "state", state.String())
	switch state {
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		u.peer.signals.Disconnected(Publish)
	}
}

// takeCandidate adds a remote candidate.
func (u *uplink) takeCandidate(c webrtc.ICECandidateInit) error {
	u.mu.Lock()
	u.candidates++
	full := u.candidates > maxCandidates
	u.mu.Unlock()
	if full {
		return fmt.Errorf("%w: %d candidates", ErrTooMany, maxCandidates)
	}
	if err := u.pc.AddICECandidate(c); err != nil {
		return fmt.Errorf("%w: %w", ErrBadCandidate, err)
	}
	return nil
}

func (u *uplink) close() {
	u.mu.Lock()
	u.gone = true
	if u.connected {
		u.connected = false
		u.peer.sfu.stats.pubConnected.Add(-1)
	}
	u.mu.Unlock()
	u.peer.sfu.discard(u.pc)
}
