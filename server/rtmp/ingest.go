package rtmp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/live"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

// App is the application that encoders publish to: rtmp://host/live with the stream key.
const App = "live"

const (
	maxEncoders   = 200              // connections at a time
	greetingLimit = 10 * time.Second // from the connection to the key
	joinLimit     = 15 * time.Second // from the first key picture to the stage

	// idleLimit is how long an encoder may send nothing: it is gone then, and another may use its key.
	idleLimit = 10 * time.Second
)

// Reasons why an encoder is turned away, as webhooks name them.
const (
	refusedDisabled  = "stream key disabled"
	refusedInternal  = "internal error"
	refusedConnected = "already connected"
)

// Ingest takes in what encoders send with stream keys. An encoder is on the stage of its key's room, as a
// peer of the most important role that may publish video, and its room goes live if it has a destination.
//
// Its H.264 goes on as it is. Sound in RTMP is AAC, which WebRTC does not have: it is not passed on.
type Ingest struct {
	Rooms *room.Registry
	Store *store.Store
	Live  *live.Manager // may be nil: rooms do not go live by themselves
	Media func() []sfu.Address
	Log   *slog.Logger

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	held   map[string]bool // rooms with an encoder, by id
	active sync.WaitGroup

	accepted, refused, pictures, sounds atomic.Uint64
}

// IngestStats counts since the start, but for Encoders, which are there now.
type IngestStats struct {
	Encoders int64
	Accepted uint64
	Refused  uint64
	Pictures uint64
	Sounds   uint64 // that were not passed on
}

// Stats returns the counters.
func (g *Ingest) Stats() IngestStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return IngestStats{Encoders: int64(len(g.held)), Accepted: g.accepted.Load(), Refused: g.refused.Load(), Pictures: g.pictures.Load(), Sounds: g.sounds.Load()}
}

// Serve takes connections until the listener is closed, by Close.
func (g *Ingest) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("rtmp: %w", err)
		}
		if !g.admit(c) {
			c.Close()
		}
	}
}

func (g *Ingest) admit(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.conns) >= maxEncoders {
		return false
	}
	if g.conns == nil {
		g.conns, g.held = make(map[net.Conn]bool), make(map[string]bool)
	}
	g.conns[c] = true
	g.active.Go(func() {
		defer func() {
			c.Close()
			g.mu.Lock()
			delete(g.conns, c)
			g.mu.Unlock()
		}()
		log := g.Log.With("from", c.RemoteAddr().String())
		if err := g.serve(c, log); err != nil {
			log.Info("encoder gone", "err", err)
		}
	})
	return true
}

// Close takes all encoders off their stages. The listener is the caller's to close.
func (g *Ingest) Close() {
	g.mu.Lock()
	g.closed = true
	for c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.active.Wait()
}

// serve is the life of a connection.
func (g *Ingest) serve(c net.Conn, log *slog.Logger) error {
	_ = c.SetDeadline(time.Now().Add(greetingLimit))
	e, err := greet(c)
	if err != nil {
		return err
	}
	key, query, _ := strings.Cut(e.key, "?")
	ctx, cancel := context.WithTimeout(context.Background(), greetingLimit)
	defer cancel()
	k, err := g.Store.KeyHolder(ctx, key)
	if err != nil {
		g.refused.Add(1)
		e.refuse("no such stream key")
		if errors.Is(err, store.ErrNotFound) {
			return errors.New("no such stream key")
		}
		return err
	}
	log = log.With("room", k.RoomID)
	r, why, err := g.open(ctx, k)
	if err != nil {
		g.refused.Add(1)
		e.refuse(why)
		if storeErr := g.Store.IngestRefused(ctx, k.RoomID, why, time.Now()); storeErr != nil {
			log.Error("refusal could not be recorded", "err", storeErr)
		}
		return err
	}
	defer r.Release()
	defer g.leave(k.RoomID)
	if err := e.accept(); err != nil {
		return err
	}
	values, _ := url.ParseQuery(query)
	name := strings.TrimSpace(strings.ToValidUTF8(values.Get("name"), ""))
	if name == "" {
		name = "RTMP"
	}
	g.accepted.Add(1)
	s := &stage{g: g, conn: c, room: r, name: name, keyID: k.ID, log: log}
	err = s.play(e)
	if unfit(err) {
		e.refuse(err.Error())
	}
	s.leave(err)
	return err
}

// open holds the room of a key for one encoder. why is what webhooks say.
func (g *Ingest) open(ctx context.Context, k store.StreamKey) (r *room.Room, why string, err error) {
	g.mu.Lock()
	held := g.held[k.RoomID]
	g.held[k.RoomID] = true
	g.mu.Unlock()
	if held {
		return nil, refusedConnected, errors.New(refusedConnected)
	}
	r, err = g.Rooms.Open(ctx, k.RoomID)
	if err != nil {
		g.leave(k.RoomID)
		if errors.Is(err, room.ErrDisabled) {
			return nil, refusedDisabled, err
		}
		return nil, refusedInternal, err
	}
	return r, "", nil
}

func (g *Ingest) leave(roomID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, roomID)
}

// roleFor is the role that an encoder has: the most important one that may publish video.
func roleFor(t *policy.Template) (string, error) {
	var best *policy.Role
	for _, r := range t.Roles {
		may := false
		for _, p := range r.PublishParams.Allowed {
			may = may || p == policy.PublishVideo
		}
		if may && (best == nil || r.Priority < best.Priority || r.Priority == best.Priority && r.Name < best.Name) {
			best = r
		}
	}
	if best == nil {
		return "", protocol.Errorf(protocol.CodeForbidden, "no role of the room's template may publish video")
	}
	return best.Name, nil
}
