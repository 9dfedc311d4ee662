package rtmp

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"amphi/server/ingest"
	"amphi/server/live"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// session is an encoder's time on the stage of a room, from its first picture to its end: over several connections
// when it loses one.
type session struct {
	g    *Ingest
	room *room.Room
	name string
	key  store.StreamKey
	log  *slog.Logger

	// What follows belongs to the connection that the session has, and to who ends it when it has none.
	stage *ingest.Stage // nil before the first key picture
	entry store.Ingest

	gone atomic.Bool // the peer is not in the room any more

	// What follows is guarded by the ingest's mutex.
	conn   *encoder      // nil: it may return
	parted chan struct{} // closed when conn has let go
	window *time.Timer   // until when it may return; nil while it has a connection
	lost   time.Time     // the last connection
	over   bool
}

// claim gives a connection the session of its key's room.
func (g *Ingest) claim(ctx context.Context, k store.StreamKey, e *encoder, name string) (*session, error) {
	for {
		s, stale, err := g.tryClaim(k, e, name)
		switch {
		case stale != nil:
			select {
			case <-stale:
				continue
			case <-ctx.Done():
				return nil, refusal{why: refusedConnected}
			}
		case err != nil || s.room != nil:
			return s, err
		}
		if err := s.open(ctx); err != nil {
			g.forget(s)
			return nil, err
		}
		g.accepted.Add(1)
		return s, nil
	}
}

// tryClaim is claim without waiting, and without a room for a new session. Until stale is closed the session has a
// connection that is dead.
func (g *Ingest) tryClaim(k store.StreamKey, e *encoder, name string) (s *session, stale <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s = g.sessions[k.RoomID]
	switch {
	case g.closed:
		return nil, nil, refusal{why: refusedInternal}
	case s == nil:
		s = &session{g: g, name: name, key: k, log: g.Log.With("room", k.RoomID), conn: e, parted: make(chan struct{})}
		g.sessions[k.RoomID] = s
	case s.over || s.key.ID != k.ID:
		return nil, nil, refusal{why: refusedConnected}
	case s.conn == nil:
		s.window.Stop() // or it finds that there is a connection
		s.window, s.conn, s.parted = nil, e, make(chan struct{})
		g.active.Done()
		g.resumed.Add(1)
		s.log.Info("encoder is back", "after", time.Since(s.lost).Round(time.Millisecond))
	case s.stage != nil && s.conn.silent() > staleLimit:
		s.conn.conn.Close()
		return nil, s.parted, nil
	default:
		return nil, nil, refusal{why: refusedConnected}
	}
	return s, nil, nil
}

// open holds the room.
func (s *session) open(ctx context.Context) error {
	r, err := s.g.Rooms.Open(ctx, s.key.RoomID)
	switch {
	case errors.Is(err, room.ErrDisabled):
		return refusal{why: refusedDisabled}
	case err != nil:
		return refusal{refusedInternal, err}
	case s.g.Live != nil && len(r.Info().Template.Destinations.HLS) == 0:
		r.Release()
		return refusal{why: refusedNoDestination}
	}
	s.room = r
	return nil
}

func (g *Ingest) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.key.RoomID)
}

// play puts a connection's pictures and sounds on the stage until it ends.
func (s *session) play(e *encoder) error {
	if s.stage != nil {
		s.stage.Restart()
	}
	for begun := false; ; {
		m, err := e.next()
		if err != nil {
			return err
		}
		if !begun { // nothing can be shown before a key picture
			if !m.key {
				continue
			}
			begun = true
			if s.stage == nil {
				if err := s.enter(); err != nil {
					return err
				}
			}
		}
		switch {
		case m.picture != nil:
			s.g.pictures.Add(1)
			err = s.stage.Video(m.at, m.picture)
		case m.config != nil:
			s.g.sounds.Add(1)
			s.stage.AAC(m.at, m.config, m.sound)
		default:
			s.g.sounds.Add(1)
			err = s.stage.Opus(m.at, m.sound)
		}
		if err != nil {
			return err
		}
	}
}

// enter goes on stage, and has the room go live.
func (s *session) enter() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	var err error
	s.stage, err = ingest.Enter(ctx, ingest.Config{Room: s.room, Name: s.name, UserID: "rtmp-" + s.key.ID, Agent: "RTMP",
		Media: s.g.Media, Worker: s.g.Worker, Log: s.log, Closed: s.left})
	if err != nil {
		return refusal{refusedInternal, err}
	}
	if err := s.goLive(ctx); err != nil {
		return refusal{refusedNotLive, err}
	}
	s.entry = store.Ingest{ID: store.NewID(), RoomID: s.room.ID(), StreamID: s.stage.StreamID, StartedAt: time.Now()}
	if err := s.g.Store.IngestStarted(ctx, s.entry); err != nil {
		s.log.Error("start could not be recorded", "err", err)
	}
	return nil
}

// goLive starts the room's live stream unless there is one.
func (s *session) goLive(ctx context.Context) error {
	if s.g.Live == nil {
		return nil
	}
	_, err := s.g.Live.Start(ctx, s.room, live.Options{})
	var no *protocol.Error
	if errors.As(err, &no) && no.Code == protocol.CodeConflict {
		return nil
	}
	return err
}

// left is told that the peer is not in the room any more, for whatever reason. It does not wait.
func (s *session) left() {
	s.gone.Store(true)
	go func() { // the mutex may be held by who waits for the room
		s.g.mu.Lock()
		defer s.g.mu.Unlock()
		s.hurry()
	}()
}

// hurry ends the session soon. The caller holds the ingest's mutex.
func (s *session) hurry() {
	switch {
	case s.conn != nil:
		s.conn.conn.Close()
	case s.window != nil:
		s.window.Reset(0)
	}
}

// part takes the connection from a session; err is why. One that has not said that its stream is over may return.
func (g *Ingest) part(s *session, e *encoder, err error) {
	if ingest.Unfit(err) {
		e.refuse(err.Error())
	}
	g.mu.Lock()
	defer close(s.parted)
	s.conn = nil
	var no refusal
	final := s.entry.ID == "" || s.gone.Load() || g.closed || errors.Is(err, errEnded) || ingest.Unfit(err) || errors.As(err, &no)
	if final {
		s.over = true
		g.mu.Unlock()
		s.end(err)
		return
	}
	s.lost = time.Now()
	g.active.Add(1)
	s.window = time.AfterFunc(g.Window, s.expire)
	g.mu.Unlock()
	s.log.Info("encoder lost, it may return", "within", g.Window, "err", err)
}

// errExpired ends a session that nobody has come back to.
var errExpired = errors.New("the encoder has not come back")

// expire ends a session whose window is over.
func (s *session) expire() {
	s.g.mu.Lock()
	if s.conn != nil || s.over {
		s.g.mu.Unlock()
		return
	}
	s.over = true
	s.g.mu.Unlock()
	defer s.g.active.Done()
	s.end(errExpired)
}

// end takes the encoder off the stage; err is why.
func (s *session) end(err error) {
	defer s.g.forget(s)
	defer s.room.Release()
	removed := s.gone.Load()
	if s.stage != nil {
		s.stage.Leave()
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	now := time.Now()
	var no refusal
	if s.entry.ID == "" { // it has not been on stage for anybody to know
		if !errors.Is(err, errEnded) && !errors.As(err, &no) {
			if err := s.g.Store.IngestRefused(ctx, s.key.RoomID, refusedInternal, now); err != nil {
				s.log.Error("refusal could not be recorded", "err", err)
			}
		}
		return
	}
	reason := store.IngestClosed
	switch {
	case ingest.Unfit(err):
		reason = store.IngestBroken
	case errors.Is(err, errExpired) && !removed:
		reason = store.IngestExpired
	}
	lost := s.lost
	if lost.IsZero() {
		lost = now
	}
	if err := s.g.Store.IngestEnded(ctx, s.entry, reason, lost, now); err != nil {
		s.log.Error("end could not be recorded", "err", err)
	}
}
