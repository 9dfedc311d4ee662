package client

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"

	"github.com/google/uuid"
	"github.com/pion/webrtc/v4"
)

// Init flags that change what the client does (§2.3).
const (
	flagSimulcast            = "simulcast"
	flagSubscribeDegradation = "subscribeDegradation"
	flagNonWebRTC            = "nonWebRTCDisableOffer"
	flagPublishStats         = "publishStats"
	flagSubscribeStats       = "subscribeStats"
	flagWhiteboard           = "whiteboardEnabled"
	// These are only shown to the application.
	flagEffects           = "effectsSDKEnabled"
	flagVirtualBackground = "vb"
	flagHIPAA             = "hipaa"
)

// policyTimeout is how long the server may take to say what the peer's role is.
const policyTimeout = 20 * time.Second

// session is one stay in a room, from the first connection to the end. A lost
// socket or media connection does not end it; leave, removal and errors that
// cannot be mended do.
type session struct {
	c      *Client
	ctx    context.Context // ends with the session; its cause says why
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when all of it is cleaned up
	timing timing

	config    JoinConfig
	peerID    string
	claims    claims
	autoVideo bool

	link *link
	pub  *publisher
	sub  *subscriber
	red  *reducer

	// Set before the socket runs, then constant.
	init      initConfig
	rtcConfig webrtc.Configuration

	policyOnce sync.Once
	policyCame chan struct{}

	// lock serialises what changes local media: actions of the user and changes
	// of the role. Holding its one slot is the right to.
	lock chan struct{}

	// observing serialises changes of the observed keys of the session store.
	observing chan struct{}
	observed  map[string]bool // with observing's slot

	leaving  chan struct{} // closed when the last reports are to be sent
	reported chan struct{} // closed when they are

	mu        sync.Mutex
	joined    bool
	ending    bool
	applied   string                       // role that local media and connections are in line with
	troubles  map[string]*Error            // why the state is Reconnecting, by cause
	pollsOver map[string]protocol.PollInfo // those that were stopped, by id
	audio     *published                   // microphone and camera; nil while there is none
	video     *published
	screen    []*published
	added     []*published // the application's own tracks
	stream    *rtc.Stream  // of microphone and camera
}

func newSession(c *Client, config JoinConfig, token claims) *session {
	s := &session{
		c: c, done: make(chan struct{}), timing: c.timing, config: config, peerID: uuid.NewString(), claims: token,
		autoVideo: config.AutoVideoSubscribe, policyCame: make(chan struct{}), lock: make(chan struct{}, 1),
		observing: make(chan struct{}, 1), observed: map[string]bool{},
		leaving: make(chan struct{}), reported: make(chan struct{}),
		pollsOver: map[string]protocol.PollInfo{},
		troubles:  map[string]*Error{},
	}
	s.ctx, s.cancel = context.WithCancelCause(c.ctx)
	s.link = newLink(s.ctx, c.log, s.timing, s.handle)
	s.pub, s.sub = newPublisher(s), newSubscriber(s)
	s.red = newReducer(s.peerID)
	s.red.onMedia = c.remoteMedia
	s.red.onVisible = s.sub.refresh
	return s
}

// connect finds the server and waits until the role is known. The first
// attempts are repeated, with a pause that grows, where the reason may pass.
func (s *session) connect(ctx context.Context) error {
	var conn socket
	for try := 1; ; try++ {
		var err error
		if conn, err = s.open(ctx); err == nil {
			break
		}
		e := asError(err, "JOIN")
		if e.IsTerminal || e.Code == codeUnreachable && try > 1 || try >= s.timing.connectTries {
			return terminal(e)
		}
		if !sleep(ctx, time.Duration(try)*s.timing.reconnectEvery/2) {
			return ctx.Err()
		}
	}
	spawn(func() { s.run(conn) })
	timeout := time.NewTimer(policyTimeout)
	defer timeout.Stop()
	select {
	case <-s.policyCame:
		return nil
	case <-timeout.C:
		return terminal(newError(codeInvalidRole, "JOIN", "the server does not say which role this is"))
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openTimeout bounds one attempt to reach the server: a network that drops packets must not end the attempts.
const openTimeout = 15 * time.Second

// open does /init and opens a socket.
func (s *session) open(ctx context.Context) (socket, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	config, err := fetchInit(ctx, s.config.InitEndpoint, s.peerID, s.config.AuthToken)
	if err != nil {
		return nil, err
	}
	if s.init.Endpoint == "" { // flags are read once (§2.3)
		s.init, s.rtcConfig = config, config.rtcConfig(s.config.ICEServers)
		s.c.store.update(func(t *tx) { s.showInit(t) })
	}
	return dial(ctx, config.Endpoint, s.peerID, s.config.AuthToken)
}

// showInit puts into the state what /init says of the room.
func (s *session) showInit(t *tx) {
	t.setRoom(func(r *Room) {
		r.IsEffectsEnabled, r.IsVBEnabled = s.init.flag(flagEffects), s.init.flag(flagVirtualBackground)
		r.IsHIPAAEnabled, r.EffectsKey = s.init.flag(flagHIPAA), s.init.Config.VB.EffectsKey
	})
	t.Debug = &DebugInfo{WebsocketURL: s.init.Endpoint, EnabledFlags: s.init.Config.EnabledFlags, InitEndpoint: s.config.InitEndpoint}
	t.markField(fieldDebug)
}

// run keeps a socket until the session ends.
func (s *session) run(conn socket) {
	silent := false // that was the end of the last one
	for first := true; ; first = false {
		ctx, lost := context.WithCancel(s.ctx)
		err := s.link.serve(ctx, conn, func() {
			if !first {
				spawn(func() { s.resume(ctx, silent) })
			}
		})
		lost()
		if s.ctx.Err() != nil {
			return
		}
		s.c.log.Info("signalling lost", "err", err)
		s.trouble("socket", newError(codeSocketLost, "RECONNECT", "%w", err))
		silent = errors.Is(err, errSilent)
		if conn = s.reconnect(silent); conn == nil {
			return
		}
	}
}

// reconnect tries every second for a minute (§7.7), at once if that is not the
// second in which all others do, because the server has ended. It returns nil when
// the session has ended.
func (s *session) reconnect(atOnce bool) socket {
	deadline := time.Now().Add(s.timing.reconnectFor)
	for {
		if !atOnce && !sleep(s.ctx, s.timing.reconnectEvery) {
			return nil
		}
		atOnce = false
		conn, err := s.open(s.ctx)
		if err == nil {
			return conn
		}
		if s.ctx.Err() != nil {
			return nil
		}
		if e := asError(err, "RECONNECT"); e.IsTerminal || time.Now().After(deadline) {
			s.end(terminal(e), "sdk request")
			return nil
		}
		s.c.log.Debug("reconnect", "err", err)
	}
}

// resume tells the server, on a new socket, what is published (§1.8). There is
// no second join: the server knows the peer. socket ends with the socket, of which
// then nothing is said. Where the last one fell silent the network is another one,
// even if media connections have not noticed: ICE is restarted.
func (s *session) resume(socket context.Context, silent bool) {
	s.mu.Lock()
	joined := s.joined
	s.mu.Unlock()
	if joined {
		if err := s.pub.resume(s.ctx, silent); err != nil {
			if errors.Is(err, errSocketLost) || s.ctx.Err() != nil {
				return // the next socket does it again
			}
			s.c.fail(asError(err, "RECONNECT"))
		}
		s.link.notify(s.ctx, protocol.MethodTrackUpdate, protocol.TrackUpdate{Tracks: s.pub.trackMap()})
	}
	if socket.Err() == nil {
		s.calm("socket")
	}
}

// join enters the room (§1.3) and publishes what the role and settings allow.
func (s *session) join(ctx context.Context) error {
	role := s.role()
	params := protocol.Join{
		Name: s.config.UserName, Data: s.config.MetaData, DisableVidAutoSub: !s.autoVideo,
		ServerSubDegrade: s.init.flag(flagSubscribeDegradation), Simulcast: s.init.flag(flagSimulcast),
	}
	if err := s.pub.acquire(ctx); err != nil {
		return err
	}
	if s.webRTC(role) {
		desc, err := s.pub.open(ctx)
		if err == nil {
			err = s.sub.start()
		}
		if err != nil {
			s.pub.release()
			return terminal(asError(err, "JOIN"))
		}
		params.Offer = &desc
	}
	var answer protocol.AnswerResult
	err := s.link.requestTries(ctx, 2, protocol.MethodJoin, params, &answer)
	if err == nil {
		err = s.pub.accept(ctx, answer)
	}
	s.pub.release()
	if err != nil {
		return terminal(asError(err, "JOIN"))
	}
	now := time.Now().UnixMilli()
	s.mu.Lock()
	s.joined, s.applied = true, role.Name
	s.mu.Unlock()
	spawn(s.measure)
	s.c.store.update(func(t *tx) {
		if s.isEnding() {
			return
		}
		t.setRoom(func(r *Room) { r.RoomState, r.IsConnected, r.JoinedAt = Connected, true, now })
		if local, ok := t.Peers[s.peerID]; ok {
			local.JoinedAt = now
			t.setPeer(local)
		}
		t.setPreview(nil)
	})
	// From here on this peer is in the room: what cannot be published is told,
	// and does not undo that.
	if err := s.syncMedia(ctx); err != nil && s.ctx.Err() == nil {
		s.c.fail(asError(err, "PUBLISH"))
	}
	s.c.refreshDevices(ctx) // who publishes nothing chooses a loudspeaker too
	return nil
}

// webRTC tells whether a peer of the role has connections at all (§7.6).
func (s *session) webRTC(role policy.Role) bool { return role.WebRTC() || !s.init.flag(flagNonWebRTC) }

// role is the local peer's present role.
func (s *session) role() (role policy.Role) {
	s.c.store.read(func(st *State) { role = st.role() })
	return role
}

// trouble notes a reason for being Reconnecting.
func (s *session) trouble(cause string, e *Error) {
	s.mu.Lock()
	first := len(s.troubles) == 0
	s.troubles[cause] = e
	joined := s.joined
	s.mu.Unlock()
	s.c.store.update(func(t *tx) {
		// An ending closes its socket too. What it writes last comes after this or
		// has been written already, and must stay.
		if s.isEnding() {
			return
		}
		if cause == "socket" {
			s.red.reconnected = true
		}
		if first && joined {
			t.setRoom(func(r *Room) { r.RoomState = Reconnecting })
			t.notify(Notification{Type: NotifyReconnecting, Severity: severityError, Message: e.Message, Data: e})
		}
	})
}

func (s *session) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

// calm removes a reason again; without any left the state is Connected.
func (s *session) calm(cause string) {
	s.mu.Lock()
	_, was := s.troubles[cause]
	delete(s.troubles, cause)
	last := was && len(s.troubles) == 0
	joined := s.joined
	s.mu.Unlock()
	if !last || !joined {
		return
	}
	s.c.store.update(func(t *tx) {
		if s.isEnding() {
			return
		}
		t.setRoom(func(r *Room) { r.RoomState = Connected })
		t.notify(info(NotifyReconnected, nil))
	})
}

func (s *session) connState(which string, state webrtc.PeerConnectionState) {
	s.c.log.Debug("connection state", "connection", which, "state", state)
}

// end finishes the session, once. reason is told to the server, if there is one
// to tell (§3.6.1); e is told to the application.
func (s *session) end(e *Error, reason string) {
	s.mu.Lock()
	if s.ending {
		s.mu.Unlock()
		return
	}
	s.ending = true
	joined := s.joined
	s.mu.Unlock()
	var cause error = errLeft
	if e != nil {
		cause = e
	}
	spawn(func() {
		defer close(s.done)
		if joined && reason != "" {
			s.lastReports()
			s.link.notify(s.ctx, protocol.MethodLeave, protocol.Leave{ClientReason: reason})
		}
		s.link.close()
		s.cancel(cause)
		s.pub.close()
		s.sub.close()
		for _, t := range s.locals() {
			t.Close()
			s.c.localMedia(t, true)
		}
		s.mu.Lock()
		s.audio, s.video, s.screen, s.added = nil, nil, nil, nil
		s.mu.Unlock()
		var received []*rtc.RemoteTrack
		s.c.store.read(func(*State) { received = slices.Collect(maps.Values(s.red.media)) })
		for _, t := range received {
			s.c.remoteMedia(t.ID, t.Kind, nil)
		}
		s.c.ended(s, e)
	})
}

// errLeft is the cause of a session that ended as it should.
var errLeft = errors.New("left the room")

// handle takes one notification of the server, in order, from the reader of
// the socket or the data channel. It does not block.
func (s *session) handle(method string, params json.RawMessage) {
	if s.ctx.Err() != nil {
		return
	}
	if err := s.dispatch(method, params); err != nil {
		s.c.log.Warn("message not understood", "method", method, "err", err)
	}
}

func (s *session) dispatch(method string, params json.RawMessage) error {
	switch method {
	case protocol.MethodOffer:
		return decode(params, s.sub.offer)
	case protocol.MethodTrickle:
		return decode(params, s.trickle)
	case protocol.OnPolicyChange:
		return decode(params, s.policyChange)
	case protocol.OnNodeInfo:
		return decode(params, s.nodeInfo)
	case protocol.OnError:
		return decode(params, func(p protocol.Error) { s.end(terminal(asError(&p, "NONE")), "sdk request") })
	case protocol.OnWarning:
		s.c.log.Warn("server warns", "params", string(params))
		return nil
	case protocol.OnPeerLeaveRequest:
		return decode(params, s.removed)
	case protocol.OnRoleChangeRequest:
		return decode(params, s.roleRequested)
	case protocol.OnTrackUpdateRequest:
		return decode(params, s.trackRequested)
	case protocol.OnChangeTrackMute:
		return decode(params, s.tracksRequested)
	case onWhiteboard:
		return decode(params, s.whiteboardChanged)
	case protocol.OnPollStart:
		return decode(params, s.pollsStarted)
	case protocol.OnPollStop:
		return decode(params, s.pollsStopped)
	}
	var known bool
	var err error
	s.c.store.update(func(t *tx) {
		if !s.isEnding() {
			known, err = s.red.apply(t, method, params)
		}
	})
	if !known {
		s.c.log.Debug("unknown message", "method", method)
	}
	return err
}

func (s *session) trickle(p protocol.Trickle) {
	candidate := webrtc.ICECandidateInit{
		Candidate: p.Candidate.Candidate, SDPMid: p.Candidate.SDPMid, SDPMLineIndex: p.Candidate.SDPMLineIndex,
		UsernameFragment: p.Candidate.UsernameFragment,
	}
	if p.Target == protocol.TargetSubscribe {
		s.sub.remoteCandidate(candidate)
		return
	}
	spawn(func() { // the browser's part of it is a promise
		if err := s.pub.remoteCandidate(candidate); err != nil && s.ctx.Err() == nil {
			s.c.log.Debug("candidate not used", "err", err)
		}
	})
}

// policyChange takes the roles over; a change of the own one changes what is
// published and received (§7.5).
func (s *session) policyChange(p protocol.PolicyChange[policy.Role]) {
	if _, known := p.KnownRoles[p.Name]; !known {
		s.end(terminal(newError(codeInvalidRole, "NONE", "role %q is not in the policy", p.Name)), "sdk request")
		return
	}
	for name, role := range p.KnownRoles {
		role.Name = name
		p.KnownRoles[name] = role
	}
	s.c.store.update(func(t *tx) { s.red.policy(t, p) })
	s.policyOnce.Do(func() { close(s.policyCame) })
	s.mu.Lock()
	changed := s.joined && s.applied != p.Name
	s.mu.Unlock()
	if changed {
		spawn(func() {
			if err := s.syncMedia(s.ctx); err != nil && s.ctx.Err() == nil {
				s.c.fail(asError(err, "NONE"))
			}
		})
	}
}

// nodeInfo moves to another SFU (§7.9).
func (s *session) nodeInfo(p struct {
	SFUNodeID string `json:"sfu_node_id"`
}) {
	if !s.pub.setNode(p.SFUNodeID) || !s.webRTC(s.role()) {
		return
	}
	spawn(func() {
		if err := s.migrate(s.ctx); err != nil && s.ctx.Err() == nil {
			s.c.fail(asError(err, "NONE"))
		}
	})
}

func (s *session) migrate(ctx context.Context) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	tracks := s.pub.list()
	s.pub.close()
	s.sub.close()
	s.c.store.update(s.red.forgetRemote)
	if err := s.sub.start(); err != nil {
		return err
	}
	if err := s.pub.first(ctx); err != nil {
		return err
	}
	role := s.role()
	for _, t := range tracks {
		if err := s.pub.publish(ctx, t, encodings(role, t.Kind, t.source, s.init.flag(flagSimulcast))); err != nil {
			return err
		}
	}
	return nil
}

// removed: the server has taken this peer out of the room. There is no leave
// message for that (§3.6.1).
func (s *session) removed(p protocol.PeerLeaveEvent) {
	s.c.store.update(func(t *tx) {
		request := LeaveRequest{Reason: p.Reason, RoomEnded: p.RoomEnd, RequestedBy: peerPointer(t.State, p.RequestedBy)}
		n := info(NotifyRemovedFromRoom, request)
		n.Message = "Removed from room"
		if p.RoomEnd || request.RequestedBy == nil {
			n.Type, n.Message = NotifyRoomEnded, "Room ended"
		}
		if request.RequestedBy != nil {
			n.Message += " by " + request.RequestedBy.Name
		}
		t.notify(n)
	})
	s.end(nil, "")
}

func peerPointer(st *State, id string) *Peer {
	if p, ok := st.Peers[id]; ok {
		return &p
	}
	return nil
}

func (s *session) roleRequested(p protocol.RoleChange) {
	s.c.store.update(func(t *tx) {
		// One question at a time; unknown roles are none (§3.7.7).
		if _, known := t.Roles[p.Role]; known && len(t.RoleChangeRequests) == 0 {
			t.RoleChangeRequests = []RoleChangeRequest{{RequestedBy: p.RequestedBy, RoleName: p.Role, Token: p.Token}}
			t.markField(fieldRequests)
		}
	})
}

// remoteTrack takes the media of a track of another peer.
func (s *session) remoteTrack(t *rtc.RemoteTrack) {
	s.c.store.update(func(tx *tx) { s.red.mediaAdded(tx, t) })
}

func (s *session) acquire(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

func (s *session) release() { <-s.lock }
