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
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
)

// App is the application that encoders publish to: rtmp://host/live with the stream key.
const App = "live"

const (
	maxEncoders   = 200              // connections at a time
	greetingLimit = 10 * time.Second // from the connection to the key

	// idleLimit is how long an encoder may send nothing: it is gone then.
	idleLimit = 10 * time.Second

	// staleLimit is how long an encoder must have sent nothing for another connection with its key to take its
	// place: an encoder that has lost its network is back before the old connection is known to be dead.
	staleLimit = 3 * time.Second
)

// Reasons why an encoder is turned away, as webhooks name them.
const (
	refusedDisabled      = "stream key disabled"
	refusedInternal      = "internal error"
	refusedConnected     = "already connected"
	refusedNoDestination = "no hls destinations"
	refusedNotLive       = "beam start error"
)

// Ingest takes in what encoders send with stream keys. An encoder is on the stage of its key's room, as a
// peer of the most important role that may publish video, and its room goes live. One that loses its connection
// keeps its place for a while.
type Ingest struct {
	Rooms  *room.Registry
	Store  *store.Store
	Live   *live.Manager // may be nil: rooms do not go live by themselves
	Media  func() []sfu.Address
	Worker string        // the media worker's program, see [mediaworker.Path]
	Window time.Duration // how long an encoder that lost its connection may take to return
	Log    *slog.Logger

	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]bool
	sessions map[string]*session // by room id
	active   sync.WaitGroup      // of connections, and of sessions without one

	accepted, refused, resumed, pictures, sounds atomic.Uint64
}

// IngestStats counts since the start, but for Encoders, which are there now.
type IngestStats struct {
	Encoders int64
	Accepted uint64
	Refused  uint64
	Resumed  uint64 // connections of encoders that had lost one
	Pictures uint64
	Sounds   uint64
}

// Stats returns the counters.
func (g *Ingest) Stats() IngestStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return IngestStats{Encoders: int64(len(g.sessions)), Accepted: g.accepted.Load(), Refused: g.refused.Load(), Resumed: g.resumed.Load(),
		Pictures: g.pictures.Load(), Sounds: g.sounds.Load()}
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
		g.conns, g.sessions = make(map[net.Conn]bool), make(map[string]*session)
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
	for _, s := range g.sessions {
		s.hurry()
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
	values, _ := url.ParseQuery(query)
	name := strings.TrimSpace(strings.ToValidUTF8(values.Get("name"), ""))
	if name == "" {
		name = "RTMP"
	}
	s, err := g.claim(ctx, k, e, name)
	if err == nil {
		if err = e.accept(); err == nil {
			err = s.play(e)
		}
		g.part(s, e, err)
	}
	var no refusal
	if errors.As(err, &no) {
		g.refused.Add(1)
		e.refuse(no.Error())
		if storeErr := g.Store.IngestRefused(context.WithoutCancel(ctx), k.RoomID, no.why, time.Now()); storeErr != nil {
			log.Error("refusal could not be recorded", "err", storeErr)
		}
	}
	return err
}

// refusal is why an encoder is turned away.
type refusal struct {
	why string // as webhooks name it
	err error  // what more there is to say; may be nil
}

func (r refusal) Error() string {
	if r.err == nil {
		return r.why
	}
	return r.why + ": " + r.err.Error()
}
