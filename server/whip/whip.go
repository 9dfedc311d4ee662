// Package whip lets encoders publish and players watch over HTTP: WHIP, the
// WebRTC-HTTP Ingestion Protocol (RFC 9725), and WHEP, the Egress Protocol
// (draft-ietf-wish-whep). A client posts an offer and gets an answer; from then on
// it is a peer of the room like everybody, until it deletes its session, its
// connection fails, or somebody removes it.
//
// The package owns sessions: what lies behind the URLs that the answers' Location
// headers name. Who may have one is decided by the caller, who has checked the
// token before.
package whip

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/config"
	"amphi/server/protocol"
	"amphi/server/room"
)

// Grant is what a valid credential lets its bearer do.
type Grant struct {
	RoomID string
	UserID string
	Role   string
	// Credential is a digest of the token or room code. The session belongs to
	// whoever has it.
	Credential [32]byte
	// Place is how the client names the room in the path. It may be a room code.
	Place string
}

// Server holds the sessions.
type Server struct {
	Rooms *room.Registry
	// ICEServers are told to clients with the answer; nil: none.
	ICEServers func() []config.ICEServer
	Log        *slog.Logger

	// Bounds; New sets the defaults.
	Sessions      int           // at a time
	PerCredential int           // of them that publish with one credential; a code for viewers is for many
	ConnectWithin time.Duration // of the answer; who has not connected by then is removed

	stats counters

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session // by id
	held     map[[32]byte]int    // publishing sessions by credential
}

// Stats counts since the start, but for Sessions, which counts the open ones.
type Stats struct {
	Sessions   int64
	Opened     uint64
	Refused    uint64 // offers
	Restarts   uint64 // of ICE
	NeverCame  uint64 // sessions whose client did not connect in time
	Candidates uint64 // trickled
}

type counters struct {
	opened, refused, restarts, neverCame, candidates atomic.Uint64
}

// New returns a server with default bounds. Close ends it.
func New(rooms *room.Registry, log *slog.Logger) *Server {
	return &Server{
		Rooms: rooms, Log: log,
		Sessions: 5000, PerCredential: 16, ConnectWithin: 30 * time.Second,
		sessions: map[string]*session{}, held: map[[32]byte]int{},
	}
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open := len(s.sessions)
	s.mu.Unlock()
	c := &s.stats
	return Stats{
		Sessions: int64(open), Opened: c.opened.Load(), Refused: c.refused.Load(), Restarts: c.restarts.Load(),
		NeverCame: c.neverCame.Load(), Candidates: c.candidates.Load(),
	}
}

// Close takes all clients out of their rooms. They cannot come back by themselves,
// so nobody should wait for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*session, 0, len(s.sessions))
	for _, e := range s.sessions {
		all = append(all, e)
	}
	s.mu.Unlock()
	for _, e := range all {
		e.drop(room.LeftRemoved)
	}
}

// session is one client's. It is the sink of its peer, which ends it.
type session struct {
	server     *Server
	id         string // unguessable
	credential [32]byte
	plays      bool        // it is a player's
	late       *time.Timer // runs until the client has to be connected

	mu    sync.Mutex // one PATCH at a time
	peer  *room.Peer // nil until it has joined
	offer *offer     // the last one that was answered
	tag   string     // entity tag of the ICE session, quoted
}

// reserve makes a session, if there is room for one more.
func (s *Server) reserve(g Grant, plays bool) (*session, error) {
	e := &session{server: s, id: rand.Text(), credential: g.Credential, plays: plays, tag: newTag()}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, protocol.Errorf(protocol.CodeUnavailable, "the server is shutting down")
	case len(s.sessions) >= s.Sessions:
		return nil, protocol.Errorf(protocol.CodeUnavailable, "the server has no place for more sessions")
	case !plays && s.held[g.Credential] >= s.PerCredential:
		return nil, protocol.Errorf(protocol.CodeTooMany, "there are %d sessions with this token already", s.PerCredential)
	}
	s.sessions[e.id] = e
	if !plays {
		s.held[e.credential]++
	}
	return e, nil
}

// release ends a session. It does nothing the second time.
func (s *Server) release(e *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[e.id] != e {
		return
	}
	delete(s.sessions, e.id)
	if !e.plays {
		if s.held[e.credential]--; s.held[e.credential] == 0 {
			delete(s.held, e.credential)
		}
	}
	if e.late != nil {
		e.late.Stop()
	}
}

// find returns the session of that id, for who has its credential.
func (s *Server) find(id string, credential [32]byte) (*session, error) {
	s.mu.Lock()
	e := s.sessions[id]
	s.mu.Unlock()
	switch {
	case e == nil:
		return nil, protocol.Errorf(protocol.CodeNotFound, "no such session")
	case subtle.ConstantTimeCompare(e.credential[:], credential[:]) == 0:
		return nil, protocol.Errorf(protocol.CodeForbidden, "the session belongs to another token")
	}
	return e, nil
}

// watch removes the client if it does not connect in time.
func (s *Server) watch(e *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[e.id] != e { // it has ended already
		return
	}
	e.late = time.AfterFunc(s.ConnectWithin, func() {
		if !e.peer.Came() {
			s.stats.neverCame.Add(1)
			e.drop(room.LeftSocket)
		}
	})
}

// Send implements room.Sink: the client has no way to hear anything.
func (*session) Send([]byte) {}

// Close implements room.Sink: the peer has left the room, for whatever reason.
func (e *session) Close(string) { e.server.release(e) }

// drop takes the client out of the room.
func (e *session) drop(why string) {
	e.mu.Lock()
	p := e.peer
	e.mu.Unlock()
	if p != nil {
		p.Drop(why)
	}
	e.server.release(e)
}

// join puts the client into the room. The answer is to its offer.
func (e *session) join(ctx context.Context, g Grant, id room.Identity, name string, o *offer) (answer string, err error) {
	r, err := e.server.Rooms.Open(ctx, g.RoomID)
	if err != nil {
		return "", err
	}
	defer r.Release() // the peer holds a reference of its own
	p, err := r.Connect(ctx, id, e)
	if err != nil {
		return "", err
	}
	if e.plays {
		answer, err = p.PlayOnly(ctx, name, o.text())
	} else if answer, err = p.PublishOnly(ctx, name, o.text(), o.tracks); err == nil {
		answer, err = dress(answer, o, r.Info().Template.Roles[g.Role])
	}
	if err != nil {
		p.Drop(room.LeftByRequest)
		return "", err
	}
	e.mu.Lock()
	e.peer, e.offer = p, o
	e.mu.Unlock()
	return answer, nil
}

// newTag returns a strong entity tag (RFC 9110 §8.8.3).
func newTag() string { return `"` + rand.Text()[:12] + `"` }
