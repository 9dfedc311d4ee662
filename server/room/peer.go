package room

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

// Identity is who a socket claims to be, after its token was checked.
type Identity struct {
	PeerID string
	UserID string
	Role   string
	// TokenHash ties the peer id to the token of its first socket: peer ids are
	// known to everybody in the room, tokens are not.
	TokenHash [32]byte
	// Agent is what the client says of its software; only analytics read it.
	Agent string
	// Page is the token of the composed page that has brought the client; empty: none has, see [Room.Brought].
	Page string
	// Silent clients do not speak the client protocol, see silent.go.
	Silent bool
}

// Sink takes a peer's outgoing frames: one socket's bounded queue.
type Sink interface {
	// Send queues a frame and never blocks. A sink that is full drops its socket.
	Send(frame []byte)
	// Close ends the socket once what is queued was sent.
	Close(reason string)
}

// Peer is one participant. Its methods may be called from any goroutine.
type Peer struct {
	ID   string
	room *Room
	log  *slog.Logger

	sink  atomic.Pointer[sinkRef]
	media atomic.Pointer[connections] // nil for peers without WebRTC
	chat  *rate.Limiter
	// What the observer hears of the peer is bounded in number and in bytes.
	reports     *rate.Limiter
	reportBytes *rate.Limiter
	told        atomic.Uint64 // number of the newest event of the past that was handed to the sink
	heard       atomic.Uint64 // and of the newest that is known to have arrived

	// What follows is owned by the room's goroutine.
	node         string // name of the place of the connections, see moveMedia
	moves        int    // how often it was given a new node
	moving       bool   // the client was told of a new node and has forgotten all tracks
	tokenHash    [32]byte
	agent        string
	page         string // see Identity.Page
	silent       bool   // see silent.go; never changes
	plays        bool   // a silent one that receives
	reporter     reporter
	phase        phase
	joinedOn     *sinkRef // the socket that it joined over
	role         *policy.Role
	groups       []string // never nil
	info         protocol.PeerInfo
	joinedAt     time.Time
	joinNumber   uint64          // counts those who joined
	observed     map[string]bool // keys of the session store
	iterators    []*iterator     // lists of peers that it goes through, the newest last
	lastIterator int
	tracks       []*track        // in the order of publishing
	withdrawn    map[string]bool // ids of tracks that a role change ended and the client still lists
	autoVideo    bool            // forward video without being asked for it
	hidden       bool            // socket lost for so long that the others saw it leave
	listed       bool            // others know of it without asking
	line         line
	timer        *time.Timer
}

// sinkRef makes a Sink comparable and fit for an atomic pointer.
type sinkRef struct{ Sink }

type phase int

const (
	preview phase = iota // connected, not yet visible to others
	joining              // join is being negotiated
	joined
	left
)

// track is a published track with its media.
type track struct {
	protocol.Track
	media   *sfu.Track
	started time.Time
}

// Connect binds a socket to the peer of that id: a new one in preview, or one
// that comes back after its socket was lost. The policy is the first thing that
// is sent on every socket (§3.7.1).
func (r *Room) Connect(ctx context.Context, id Identity, sink Sink) (*Peer, error) {
	var p *Peer
	err := r.do(ctx, func() error {
		if event, removed := r.registry.removed.of(r.rec.RoomID, id.PeerID, r.limits.ForgetAfter); removed {
			sink.Send(protocol.Notification(protocol.OnPeerLeaveRequest, event)) // it may have missed it
			return errLeft
		}
		stranger := Stay{PeerID: id.PeerID, UserID: id.UserID, Role: id.Role}
		if p = r.peers[id.PeerID]; p != nil {
			err := r.reconnect(p, id, sink)
			if err != nil {
				r.refused(stranger, Refusal{Of: JoinRefused, Message: refusedID})
			}
			return err
		}
		role := r.role(id.Role)
		switch {
		case r.disabled.Load():
			return errRoomDisabled
		case role == nil:
			r.refused(stranger, Refusal{Of: JoinRefused, Message: refusedRole})
			return errNoRole
		case len(r.peers) >= r.limits.Peers:
			return ErrRoomFull
		}
		p = newPeer(r, id, role)
		p.sink.Store(&sinkRef{sink})
		r.peers[p.ID] = p
		r.registry.retain(r)
		p.sendPolicy()
		p.notify(protocol.OnRoomInfo, r.info())
		if p.hearsState() {
			r.tellState(p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// newPeer returns a peer in preview without a socket.
func newPeer(r *Room, id Identity, role *policy.Role) *Peer {
	return &Peer{
		ID: id.PeerID, room: r, log: r.log.With("peer", id.PeerID),
		chat:    rate.NewLimiter(rate.Limit(r.limits.MessagesPerSecond), r.limits.MessageBurst),
		reports: newReportLimiter(), reportBytes: newReportByteLimiter(),
		node: r.registry.cfg.NodeID, tokenHash: id.TokenHash, agent: id.Agent, page: id.Page, silent: id.Silent, role: role, groups: []string{}, withdrawn: map[string]bool{},
		info: protocol.PeerInfo{UserID: id.UserID, Type: "regular"},
	}
}

// reconnect gives a known peer a new socket and brings it up to date (§7.7).
func (r *Room) reconnect(p *Peer, id Identity, sink Sink) error {
	if p.tokenHash != id.TokenHash {
		return errPeerIDTaken
	}
	if old := p.sink.Swap(&sinkRef{sink}); old != nil {
		old.Close("replaced by a newer connection")
	}
	p.stopTimer()
	p.sendPolicy()
	p.notify(protocol.OnRoomInfo, r.info())
	if p.phase != joined {
		return nil
	}
	if p.hidden {
		p.hidden = false
		r.hidden--
		r.announceJoin(p)
	}
	if p.moving {
		p.tellNode()
	}
	p.notify(protocol.OnPeerList, r.peerList(p))
	p.notify(protocol.OnSessionInfo, r.sessionInfo())
	p.tellMetadata(slices.Sorted(maps.Keys(p.observed))) // it may have missed changes, and does not ask again
	r.tellMissed(p)
	r.tellWhiteboard(p)
	if m := p.media.Load(); m != nil {
		m.Resend() // the answer to the last offer may have died with the old socket
	}
	return nil
}

// Disconnected says that a socket is gone without a leave. goingAway is the
// close code 1001: the tab is closed. The peer stays for a while, see Limits.
func (p *Peer) Disconnected(sink Sink, goingAway bool) {
	r := p.room
	_ = r.do(context.Background(), func() error {
		if ref := p.sink.Load(); ref == nil || ref.Sink != sink || p.phase == left {
			return nil // a newer socket took over, or the peer has left
		}
		p.sink.Store(nil)
		if p.phase != joined {
			if p.phase == joining {
				r.refused(p.stay(), Refusal{Of: JoinRefused, Message: refusedNetwork})
			}
			r.remove(p, Departure{})
			return nil
		}
		hide := r.limits.HideAfter
		if goingAway {
			hide = r.limits.ForgetClosedTab
		}
		r.await(p, hide)
		return nil
	})
}

// await waits for somebody without a socket to come back. After hide the others
// see them leave.
func (r *Room) await(p *Peer, hide time.Duration) {
	p.timer = r.after(hide, func() {
		if p.phase != joined || p.sink.Load() != nil {
			return
		}
		r.announceLeave(p)
		p.hidden = true
		r.hidden++
		p.timer = r.after(max(0, r.limits.ForgetAfter-hide), func() {
			if p.phase == joined && p.sink.Load() == nil {
				r.remove(p, Departure{Reason: LeftSocket})
			}
		})
	})
}

// Join makes the peer visible to the others. The result holds the answer to the
// publish connection's first offer for roles with WebRTC (§3.6.1).
func (p *Peer) Join(ctx context.Context, req protocol.Join) (protocol.AnswerResult, error) {
	var negotiate negotiation
	if req.Offer != nil {
		negotiate = func(ctx context.Context, m *connections) (string, error) {
			return m.publishAll(ctx, req.Offer.SDP, nil)
		}
	}
	return p.join(ctx, req, nil, negotiate)
}

// negotiation answers the offer that somebody joins with.
type negotiation func(ctx context.Context, m *connections) (answer string, err error)

// join is Join with the tracks that a silent client's offer brings along. Without
// an offer negotiate is nil. Who joins again on another socket than before has not
// got the answer, and is given one.
func (p *Peer) join(ctx context.Context, req protocol.Join, tracks map[string]protocol.Track, negotiate negotiation) (protocol.AnswerResult, error) {
	r := p.room
	var result protocol.AnswerResult
	var media *connections
	again := false
	enter := func() error {
		switch {
		case p.phase == left:
			return errLeft
		case p.phase == joined && p.joinedOn != p.sink.Load():
			again = true
			return nil
		case p.phase != preview:
			return errJoined
		case r.disabled.Load():
			return errRoomDisabled
		}
		if err := r.checkInfo(&req.Name, &req.Data); err != nil {
			return err
		}
		if err := p.checkTracks(tracks); err != nil {
			return err
		}
		if err := r.roleHasPlace(p.role); err != nil {
			stay := p.stay()
			stay.Name, stay.Data = req.Name, req.Data
			r.refused(stay, Refusal{Of: JoinRefused, Message: ErrRoleFull.Message})
			return err
		}
		p.phase = joining
		return nil
	}
	err := r.do(ctx, func() error {
		if err := enter(); err != nil {
			return err
		}
		p.joinedOn = p.sink.Load()
		result.SFUNodeID = p.node
		if negotiate != nil {
			media = p.openMedia()
		}
		return nil
	})
	if err != nil {
		return result, err
	}

	if media != nil {
		result.Type = "answer"
		result.SDP, err = negotiate(ctx, media)
	}
	if again {
		return result, mediaError(err)
	}

	if commit := r.do(ctx, func() error {
		if err != nil {
			p.phase = preview
			return nil
		}
		if p.phase != joining { // removed meanwhile
			return errLeft
		}
		p.phase, p.joinedAt = joined, time.Now()
		r.joins++
		p.joinNumber = r.joins
		p.info.Name, p.info.Data = req.Name, req.Data
		p.autoVideo = !req.DisableVidAutoSub
		p.notify(protocol.OnPeerList, r.peerList(p))
		r.tellHistory(p)
		r.tellRunningPolls(p)
		r.tellWhiteboard(p)
		p.upToDate()
		r.order = append(r.order, p)
		r.changed()
		r.grow()
		r.announceJoin(p)
		r.quality.tell(p)
		stay := p.stay()
		r.journal.add("peer joined", func(ctx context.Context) error {
			return r.registry.cfg.Records.PeerJoined(ctx, r.session, stay)
		})
		p.log.Info("peer joined", "name", p.info.Name, "role", p.role.Name)
		if len(tracks) > 0 {
			p.setTracks(tracks, media)
		}
		if p.silent {
			r.stageDirty = true
			p.reportLater()
		}
		if media != nil && !p.silent {
			media.StartSubscribe(p.autoVideo)
		}
		return nil
	}); commit != nil {
		return result, commit
	}
	return result, mediaError(err)
}

// Leave takes the peer out of the room at its own wish.
func (p *Peer) Leave(ctx context.Context) error {
	return p.room.do(ctx, func() error {
		if p.phase == preview {
			p.room.refused(p.stay(), Refusal{Of: LeaveRefused, Message: refusedNotJoined})
		}
		p.room.remove(p, Departure{Reason: LeftByRequest})
		return nil
	})
}

// remove takes a peer out for good. why matters only for peers that had joined.
func (r *Room) remove(p *Peer, why Departure) {
	if p.phase == left {
		return
	}
	if p.phase == joined && !p.hidden {
		r.announceLeave(p)
	}
	if p.phase == joined {
		if p.silent {
			p.reportMedia()
		}
		p.tracksChanged(TrackRemoved, p.tracks...)
		why.At = time.Now()
		r.changed()
		stay := p.stay()
		r.journal.add("peer left", func(ctx context.Context) error {
			return r.registry.cfg.Records.PeerLeft(ctx, r.session, stay, why)
		})
		p.log.Info("peer left", "reason", why.Reason, "stayed", why.At.Sub(p.joinedAt).Round(time.Second))
	}
	p.phase = left
	r.closeWhiteboard(p)
	p.stop()
	delete(r.peers, p.ID)
	if i := slices.Index(r.order, p); i >= 0 {
		r.order = slices.Delete(r.order, i, i+1)
		if p.hidden {
			r.hidden--
		}
	}
	r.registry.release(r)
}

// peerList is what a joining or returning peer is told of the others who are
// listed.
func (r *Room) peerList(to *Peer) protocol.PeerList {
	peers := make(map[string]protocol.Peer, len(r.order))
	for _, o := range r.order {
		if o != to && !o.hidden && o.listed {
			peers[o.ID] = o.wire(true)
		}
	}
	return protocol.PeerList{Peers: peers, Room: r.shown()}
}

// Update changes the peer's own name or metadata.
func (p *Peer) Update(ctx context.Context, req protocol.PeerUpdate) error {
	r := p.room
	if !p.chat.Allow() {
		return errTooFast
	}
	return p.doJoined(ctx, func() error {
		if err := r.checkInfo(req.Name, req.Data); err != nil {
			return err
		}
		r.setInfo(p, req.Name, req.Data)
		r.announceChange(p, false)
		return nil
	})
}

// Lookup answers get-peer.
func (p *Peer) Lookup(ctx context.Context, req protocol.GetPeer) (found protocol.Peer, err error) {
	err = p.doJoined(ctx, func() error {
		o := p.room.visible(req.PeerID)
		if o == nil {
			return errNoPeer
		}
		found = o.wire(false)
		return nil
	})
	return found, err
}

// Knows says whether that peer is in the room, or is expected back after its
// socket was lost.
func (r *Room) Knows(ctx context.Context, peerID string) bool {
	known := false
	err := r.do(ctx, func() error { known = r.peers[peerID] != nil; return nil })
	return err == nil && known
}

// doJoined runs fn on the room's goroutine if the peer has joined.
func (p *Peer) doJoined(ctx context.Context, fn func() error) error {
	return p.room.do(ctx, func() error {
		switch p.phase {
		case joined:
			return fn()
		case left:
			return errLeft
		default:
			return errNotJoined
		}
	})
}

// visible returns the joined peer of that id, or nil.
func (r *Room) visible(id string) *Peer {
	if p := r.peers[id]; p != nil && p.phase == joined && !p.hidden {
		return p
	}
	return nil
}

// wire returns the peer as others see it.
func (p *Peer) wire(withTracks bool) protocol.Peer {
	w := protocol.Peer{
		PeerID: p.ID, Role: p.role.Name, Groups: p.groups, Realtime: p.listed,
		JoinedAt: p.joinedAt.UnixMilli(), Info: p.info,
	}
	if withTracks {
		w.Tracks = p.trackMap()
	}
	return w
}

// stay returns the peer as it is recorded.
func (p *Peer) stay() Stay {
	return Stay{PeerID: p.ID, UserID: p.info.UserID, Name: p.info.Name, Role: p.role.Name, Data: p.info.Data, Joined: p.joinedAt, Agent: p.agent}
}

// sendPolicy tells the peer its current role and all roles.
func (p *Peer) sendPolicy() {
	p.notify(protocol.OnPolicyChange, protocol.PolicyChange[*policy.Role]{
		Name: p.role.Name, KnownRoles: p.room.rec.Template.ClientRoles(), TemplateID: p.room.rec.TemplateID,
		Plugins: p.room.rec.Template.ClientPlugins(), AppData: map[string]string{},
	})
}

func (p *Peer) notify(method string, params any) { p.send(protocol.Notification(method, params)) }

// send queues a frame on the current socket; without one it is lost, and the
// peer-list of the next connection makes up for it.
func (p *Peer) send(frame []byte) {
	if s := p.sink.Load(); s != nil {
		s.Send(frame)
	}
}

func (p *Peer) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// stop lets go of what the peer holds outside the room.
func (p *Peer) stop() {
	p.stopTimer()
	if p.reporter.timer != nil {
		p.reporter.timer.Stop()
	}
	if m := p.media.Load(); m != nil {
		go m.Close() // closing a connection takes milliseconds that the room does not have
	}
	if s := p.sink.Swap(nil); s != nil {
		s.Close("left the room")
	}
}
