// Package signal is the WebSocket side of the client protocol: frames in and
// out, nothing decided. A frame is parsed once, its params are turned into the
// type that the method takes, and the room's answer goes back.
package signal

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"amphi/server/pagecast"
	"amphi/server/protocol"
	"amphi/server/room"
)

// Grant is what a valid auth token says.
type Grant struct {
	RoomID string
	UserID string
	Role   string
}

// Server accepts the sockets of clients at one URL.
type Server struct {
	// Authenticate checks an auth token, which may have expired during the call of
	// a peer that is expected back. Its error goes to the client as it is when it
	// is a *protocol.Error.
	Authenticate func(ctx context.Context, token, peerID string) (Grant, error)
	Rooms        *room.Registry
	Log          *slog.Logger

	// Bounds; New sets the defaults.
	QueueFrames     int           // frames waiting for one slow reader before it is dropped
	FrameBytes      int           // of one incoming frame; a larger one ends the socket (code 1009)
	FramesPerSecond float64       // of one socket
	FrameBurst      int           //
	PingEvery       time.Duration // RFC 6455 pings: the application's pause in hidden tabs
	WriteTimeout    time.Duration // for one frame, and for the pong

	pacer *pacer
	stats counters
	ctx   context.Context // ends all sockets
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

// Stats counts since the start, but for Sockets, which counts the open ones.
type Stats struct {
	Sockets    int64
	FramesIn   uint64
	FramesOut  uint64
	Writes     uint64 // that FramesOut took
	BadFrames  uint64 // not of the protocol's shape
	TooFast    uint64 // over the rate limit
	SlowSocket uint64 // sockets dropped because their queue was full
	Refused    uint64 // sockets refused by token, room or role
}

type counters struct {
	sockets                                                              atomic.Int64
	framesIn, framesOut, writes, badFrames, tooFast, slowSocket, refused atomic.Uint64
}

// writesPerCore is how many writes in a second are made for each processor: a
// seventh of its time. A crowd of 5,000 in talk then reads a message within
// 200 ms on a machine of two.
const writesPerCore = 12_500

// New returns a server with default bounds. Close ends it.
func New(auth func(ctx context.Context, token, peerID string) (Grant, error), rooms *room.Registry, log *slog.Logger) *Server {
	ctx, stop := context.WithCancel(context.Background())
	return &Server{
		Authenticate: auth, Rooms: rooms, Log: log,
		QueueFrames: 512, FrameBytes: 512 << 10, FramesPerSecond: 50, FrameBurst: 300,
		PingEvery: 20 * time.Second, WriteTimeout: 15 * time.Second,
		pacer: newPacer(writesPerCore * runtime.GOMAXPROCS(0)), ctx: ctx, stop: stop,
	}
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Sockets: c.sockets.Load(), FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(), Writes: c.writes.Load(),
		BadFrames: c.badFrames.Load(), TooFast: c.tooFast.Load(), SlowSocket: c.slowSocket.Load(), Refused: c.refused.Load(),
	}
}

// Close ends all sockets and waits for them. Clients reconnect, so call it when
// the listener is closed already.
func (s *Server) Close() {
	s.stop()
	s.wg.Wait()
	s.pacer.close()
}

const (
	maxPeerIDBytes = 64 // clients use UUIDs
	maxAgentBytes  = 512
)

// upgrader lets any origin connect: the token, not a cookie, is what lets one in.
// Sockets read through the buffer of the HTTP server and write without one.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, WriteBufferPool: new(sync.Pool)}

// ServeHTTP accepts one socket, which from then on is served by a goroutine of
// its own: that of the request would keep its memory. A client that may not come
// in is told so by on-error on the open socket: clients retry a failed handshake
// in a tight loop (§3.1, trap 31).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ctx.Err() != nil {
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
		return
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil { // the client has been answered
		s.Log.Debug("websocket handshake failed", "err", err)
		return
	}
	query := r.URL.Query()
	id := claim{query.Get("peer"), query.Get("token"), query.Get("user_agent_v2"), pagecast.TokenOf(r.UserAgent())}
	s.wg.Go(func() { s.serve(ws, id) })
}

// claim is what a client says of itself in the URL of the socket, and its browser of the composed page that it shows.
type claim struct{ peerID, token, agent, page string }

func (s *Server) serve(ws *websocket.Conn, id claim) {
	s.stats.sockets.Add(1)
	defer s.stats.sockets.Add(-1)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, func() { _ = ws.Close() })()

	c := newConn(s, ws)
	defer c.finish()
	peer, err := s.admit(ctx, id, c)
	if err != nil {
		s.stats.refused.Add(1)
		refusal := room.AsProtocol(err)
		if refusal.Code == protocol.CodeInternal {
			s.Log.Error("could not admit a peer", "err", err)
		}
		c.reply(protocol.Notification(protocol.OnError, refusal))
		c.Close(refusal.Message)
		c.drain()
		return
	}
	goingAway := c.serve(ctx, peer)
	peer.Disconnected(c, goingAway)
}

// admit checks who wants in and binds the socket to its peer.
func (s *Server) admit(ctx context.Context, id claim, c *conn) (*room.Peer, error) {
	if id.peerID == "" || len(id.peerID) > maxPeerIDBytes {
		return nil, protocol.Errorf(protocol.CodeBadRequest, "query parameter peer must have 1 to %d bytes", maxPeerIDBytes)
	}
	grant, err := s.Authenticate(ctx, id.token, id.peerID)
	if err != nil {
		return nil, err
	}
	r, err := s.Rooms.Open(ctx, grant.RoomID)
	if err != nil {
		return nil, err
	}
	defer r.Release() // the peer holds a reference of its own
	return r.Connect(ctx, room.Identity{
		PeerID: id.peerID, UserID: grant.UserID, Role: grant.Role, TokenHash: sha256.Sum256([]byte(id.token)),
		Agent: id.agent[:min(len(id.agent), maxAgentBytes)], Page: id.page,
	}, c)
}
