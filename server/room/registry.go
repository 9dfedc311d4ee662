package room

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

// Record is what is stored of a room, as much as a live one needs.
type Record struct {
	RoomID      string
	Name        string
	Description string
	CustomerID  string
	TemplateID  string
	Template    *policy.Template
	Enabled     bool
	LargeRoom   bool          // see Limits.Listed
	MaxPeers    int           // 0 = Limits.Peers
	MaxDuration time.Duration // of a session; 0 = Limits.SessionLength
}

// Streamer makes the room's composed stream. Called in the goroutine of the
// peer or request that wants it, never in the room's.
type Streamer interface {
	// StartHLS returns when the start is accepted; Room.SetHLS tells the rest.
	// The error is a *protocol.Error, 409 when a stream runs already.
	StartHLS(ctx context.Context, r *Room, req protocol.HLSStart, startedBy string) error
	// StopHLS returns when the stop is accepted, 404 when nothing runs.
	StopHLS(ctx context.Context, r *Room, stoppedBy string) error
	// Metadata puts checked timed metadata into the stream, 404 when nothing runs.
	Metadata(ctx context.Context, r *Room, list []protocol.TimedMetadata) error
	// RoomClosed is called after the room's end; what runs for it must stop.
	RoomClosed(r *Room)
}

// Limits bound what one room and one peer may take.
type Limits struct {
	Peers             int           // in one room, previews included
	Listed            int           // in a room with more people, clients list only some of them
	TracksPerPeer     int           // published at once
	MessageBytes      int           // of a broadcast's text
	NameBytes         int           // of a peer's name
	DataBytes         int           // of a peer's metadata
	MessagesPerSecond float64       // broadcasts of one peer
	MessageBurst      int           //
	HideAfter         time.Duration // others see a peer leave so long after its socket was lost
	ForgetAfter       time.Duration // and so long it may return with its state
	ForgetClosedTab   time.Duration // HideAfter when the socket said "going away" (1001)
	SessionLength     time.Duration // the session ends itself then
	QualityEvery      time.Duration // clients are told of new connection qualities; less often in crowds
}

// DefaultLimits are used for fields that are zero.
var DefaultLimits = Limits{
	Peers: 2500, Listed: 500, TracksPerPeer: 8, MessageBytes: 16 << 10, NameBytes: 256, DataBytes: 4 << 10,
	MessagesPerSecond: 10, MessageBurst: 30,
	HideAfter: 20 * time.Second, ForgetAfter: 60 * time.Second, ForgetClosedTab: 4 * time.Second, SessionLength: 12 * time.Hour,
	QualityEvery: 5 * time.Second,
}

// Config is what a Registry needs.
type Config struct {
	SFU      *sfu.SFU
	Records  Records
	Observer Observer        // may be nil
	Streamer func() Streamer // asked late: the streamer is built on top of the registry
	Recorder Recorder        // may be nil
	// Opened is told of each room that opens, before anything happens in it. It must not block, and not call the room. It
	// may be nil.
	Opened func(*Room)
	// Whiteboard gives somebody access to a whiteboard; nil: there are none.
	Whiteboard Whiteboards
	NewID      func() string // object ids (24 hex digits) for sessions
	NodeID     string        // sfu_node_id; differs after a restart
	// ChatHistory is how many chat messages somebody who joins is sent, at most.
	ChatHistory int
	// Loudest is how many of the microphones that the same people hear are forwarded to them at a time; 0: all.
	Loudest int
	Limits  Limits
	Log     *slog.Logger
}

// Registry holds the rooms that are live on this node. A room is live while
// somebody holds a reference: its peers, open sockets, a running stream.
type Registry struct {
	cfg Config

	mu     sync.Mutex
	rooms  map[string]*Room // by room id
	closed bool
	wg     sync.WaitGroup // rooms' goroutines

	removed removals
}

// NewRegistry returns an empty registry.
func NewRegistry(cfg Config) *Registry {
	cfg.Limits = cfg.Limits.withDefaults()
	return &Registry{cfg: cfg, rooms: map[string]*Room{}}
}

// Lookup returns the live room of that id, or nil. It takes no reference: a
// call on a room that ended meanwhile returns ErrClosed.
func (g *Registry) Lookup(roomID string) *Room {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rooms[roomID]
}

// Rooms returns the live rooms, in no order.
func (g *Registry) Rooms() []*Room {
	g.mu.Lock()
	defer g.mu.Unlock()
	rooms := make([]*Room, 0, len(g.rooms))
	for _, r := range g.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Open returns the live room of that id, which it starts if need be, with a
// reference that the caller must Release. A disabled room opens only if it is
// live already: its session goes on, but admits nobody (Connect says so).
func (g *Registry) Open(ctx context.Context, roomID string) (*Room, error) {
	rec, err := g.cfg.Records.LoadRoom(ctx, roomID)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	r := g.rooms[roomID]
	if r == nil {
		if !rec.Enabled {
			return nil, ErrDisabled
		}
		r = newRoom(g, rec, Session{ID: g.cfg.NewID(), RoomID: rec.RoomID, CustomerID: rec.CustomerID, Started: time.Now()})
		g.rooms[roomID] = r
		g.wg.Go(r.run)
	}
	r.disabled.Store(!rec.Enabled)
	r.refs++
	return r, nil
}

// retain takes one more reference to a room that has at least one.
func (g *Registry) retain(r *Room) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.refs++
}

// release gives a reference back; the last one ends the room.
func (g *Registry) release(r *Room) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.refs--
	if r.refs == 0 && g.rooms[r.rec.RoomID] == r {
		delete(g.rooms, r.rec.RoomID)
		close(r.done)
	}
}

// Close ends all rooms and waits for their goroutines. Peers are told nothing:
// their sockets close with the server, and they reconnect elsewhere or later.
func (g *Registry) Close() { g.close(false) }

// Suspend is Close but for the sessions with people in them, which are not over:
// their states are saved, for Resume.
func (g *Registry) Suspend() { g.close(true) }

func (g *Registry) close(suspend bool) {
	g.mu.Lock()
	g.closed = true
	for id, r := range g.rooms {
		delete(g.rooms, id)
		r.suspended = suspend
		close(r.done)
	}
	g.mu.Unlock()
	g.wg.Wait()
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&l.Peers, d.Peers)
	set(&l.Listed, d.Listed)
	set(&l.TracksPerPeer, d.TracksPerPeer)
	set(&l.MessageBytes, d.MessageBytes)
	set(&l.NameBytes, d.NameBytes)
	set(&l.DataBytes, d.DataBytes)
	set(&l.MessageBurst, d.MessageBurst)
	if l.MessagesPerSecond == 0 {
		l.MessagesPerSecond = d.MessagesPerSecond
	}
	if l.QualityEvery == 0 {
		l.QualityEvery = d.QualityEvery
	}
	if l.HideAfter == 0 {
		l.HideAfter = d.HideAfter
	}
	if l.ForgetAfter == 0 {
		l.ForgetAfter = d.ForgetAfter
	}
	if l.ForgetClosedTab == 0 {
		l.ForgetClosedTab = d.ForgetClosedTab
	}
	if l.SessionLength == 0 {
		l.SessionLength = d.SessionLength
	}
	return l
}
