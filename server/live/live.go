// Package live runs the composed streams of rooms: it starts a media worker for each, feeds it
// from the room's stage, puts what comes back on the air as HLS, gives it to recordings and pushes,
// and starts another worker when one dies.
//
// A [Manager] holds the streams, one a room whoever takes it: what is composed is encoded once. Each
// stream belongs to one goroutine ([stream.run]) from its start to its end: it alone talks to the
// room, the store, the worker and the packager. The goroutines of the SFU only push frames into the
// queue of the worker that is current, and never wait.
//
// A stream's timeline is the wall clock since its first worker started. A worker that dies
// leaves a gap, which the packager fills with the last picture, until the next worker goes on at
// the present time; players notice a short freeze.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"amphi/compositor/label"
	"amphi/compositor/wire"
	"amphi/server/egress"
	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/room"
	"amphi/server/store"
)

// Config is what a Manager needs. Zero times and limits have the defaults named.
type Config struct {
	Rooms     *room.Registry
	Store     *store.Store
	Origin    *hls.Origin
	PublicURL string // without a slash at its end: where clients reach the origin
	Worker    string // the amphi-compositor binary; empty: beside this binary, then $PATH
	Dir       string // for what is too much for memory; [Manager.Resume] removes what is of no use any more

	Bucket hls.Bucket // where that goes on to; nil: it stays in Dir
	Spool  int64      // bytes of each stream that may wait in Dir for the Bucket; zero: see [hls.Config]

	Recordings *recording.Manager // nil: nothing is recorded

	Studio   Studio // films pages that are composed instead of stages; nil: there are no such
	MaxPages int    // at a time; 1
	// OwnLink is the address of a page of this server if a URL leads to that room, else empty; nil: none does.
	OwnLink    func(ctx context.Context, roomID string, u *url.URL) (string, error)
	JoinWithin time.Duration // of a page: from its first picture until it has brought somebody into the room; 10 s

	Labels *label.Renderer // draws names
	Sounds egress.Rule     // where playlists may have files fetched from

	// Cores are the processors that streams may take together; more streams are refused. The default
	// leaves a fifth of the machine's to the rooms.
	Cores      float64
	MaxStreams int // at a time, whatever they take; zero: as many as the cores allow

	MaxDuration time.Duration // of a stream whose template names none; 4 h
	AutoStop    time.Duration // after the last peer left the stage, likewise; 5 min

	Log *slog.Logger
}

// Manager runs the live streams of one server. It implements [room.Streamer].
type Manager struct {
	cfg Config

	mu         sync.Mutex
	streams    map[string]*stream    // by room id
	composites map[string]*composite // recordings of composed rooms, by room id
	line       []waiting             // rooms that were turned away, the first first
	closed     bool
	ending     chan struct{} // closed with it
	running    sync.WaitGroup

	counters counters
}

// counters are totals over all streams.
type counters struct {
	started, failed atomic.Uint64
	workers         atomic.Int64
	restarts        atomic.Uint64
	framesIn        atomic.Uint64
	framesDropped   atomic.Uint64
	videoOut        atomic.Uint64
	audioOut        atomic.Uint64
	refused         atomic.Uint64
	turnedAway      atomic.Uint64
	workerCPU       atomic.Int64 // nanoseconds; this and what follows of the workers that have ended
	ticksRepeated   atomic.Uint64
	stages          [wire.Stages]atomic.Int64 // nanoseconds
}

// Stats is a snapshot of a manager's counters.
type Stats struct {
	Streams       int           // rooms being composed
	Started       uint64        // live streams accepted
	Failed        uint64        // live streams that ended by a failure
	Workers       int64         // processes alive
	Restarts      uint64        // workers started in place of a dead one
	FramesIn      uint64        // encoded frames given to workers
	FramesDropped uint64        // encoded frames not given, because a worker was behind or a key frame was missing
	VideoOut      uint64        // pictures from workers
	AudioOut      uint64        // audio units from workers
	Refused       uint64        // of the pictures, those that could not be packaged
	TurnedAway    uint64        // starts refused because the processors, or all places, were taken
	Waiting       int           // rooms that were turned away and ask again
	Cores         float64       // that streams may take together
	CoresTaken    float64       // what they take, or will when their stages fill
	WorkerCPU     time.Duration // used by workers
	WorkerMemory  uint64        // resident bytes of the workers alive
	TicksRepeated uint64        // pictures that workers showed again because they were behind

	// Parts of WorkerCPU, see [wire.Stage].
	StageInput, StageDecode, StageDraw, StageScale, StageEncode, StageSound, StageOutput time.Duration
}

func (st *Stats) stages() [wire.Stages]*time.Duration {
	return [...]*time.Duration{
		wire.StageInput: &st.StageInput, wire.StageDecode: &st.StageDecode, wire.StageDraw: &st.StageDraw, wire.StageScale: &st.StageScale,
		wire.StageEncode: &st.StageEncode, wire.StageSound: &st.StageSound, wire.StageOutput: &st.StageOutput,
	}
}

// New returns a manager without streams.
func New(cfg Config) *Manager {
	if cfg.Cores == 0 {
		cfg.Cores = (1 - spare) * float64(runtime.NumCPU())
	}
	if cfg.MaxDuration == 0 {
		cfg.MaxDuration = 4 * time.Hour
	}
	if cfg.AutoStop == 0 {
		cfg.AutoStop = 5 * time.Minute
	}
	if cfg.MaxPages == 0 {
		cfg.MaxPages = 1
	}
	if cfg.JoinWithin == 0 {
		cfg.JoinWithin = 10 * time.Second
	}
	m := &Manager{cfg: cfg, streams: make(map[string]*stream), composites: make(map[string]*composite), ending: make(chan struct{})}
	// The first text makes an index of the machine's fonts, which may take seconds.
	m.running.Go(func() { cfg.Labels.Name(label.Name{Text: emptyStage, Height: 32, MaxWidth: 320}) })
	return m
}

// StartHLS implements [room.Streamer].
func (m *Manager) StartHLS(ctx context.Context, r *room.Room, req protocol.HLSStart, startedBy string) error {
	o := Options{StartedBy: startedBy}
	if len(req.Variants) > 0 {
		o.MeetingURL = req.Variants[0].MeetingURL
	}
	if rec := req.Recording; rec != nil {
		o.Recording = &store.StreamRecording{HLSVOD: rec.VOD, SingleFilePerLayer: rec.SingleFilePerLayer}
	}
	_, err := m.Start(ctx, r, o)
	return err
}

// Options are what a start may ask for.
type Options struct {
	Destination string                 // of the template; may be empty when it has only one
	MeetingURL  string                 // of a page to compose, see [Manager.pageFor]
	Recording   *store.StreamRecording // nil: what the template says
	StartedBy   string                 // peer id, empty for the API

	resumed *store.LiveStream // of the server before this one
}

// Start starts the room's stream and returns its record when the start is accepted: the room is
// told when the stream can be played, or that it failed. The error is a [*protocol.Error].
func (m *Manager) Start(ctx context.Context, r *room.Room, o Options) (store.LiveStream, error) {
	info := r.Info()
	dest := destination(info.Template, o.Destination)
	if dest == nil {
		return store.LiveStream{}, protocol.Errorf(protocol.CodeBadRequest, "live streaming is not enabled in the room's template, or has no destination %q", o.Destination)
	}
	page, err := m.pageFor(ctx, r, o.MeetingURL)
	if err != nil {
		return store.LiveStream{}, err
	}
	frames := (&broadcast{dest: dest}).frameRate()
	s, err := m.claim(ctx, r, claim{onHLS: true, page: page, need: cost(layersOf(dest, dest.Layout), frames)})
	if err != nil {
		return store.LiveStream{}, err
	}
	l := s.openLayout(ctx, dest.Name, dest.Layout)
	b, err := openBroadcast(ctx, s, dest, l.layout, o)
	if err != nil {
		m.release(s, true)
		return store.LiveStream{}, err
	}
	m.counters.started.Add(1)
	m.ask(s, b)
	if end := s.do(func() {
		if b.resumed && s.epoch.IsZero() {
			// Players ask already: they find a stream that has no segments yet, or the old ones, and not none.
			s.epoch = time.Now().Truncate(time.Millisecond)
		}
		s.addBroadcast(b, l)
	}); end != nil {
		b.close(*end)
		m.release(s, true)
	}
	return b.record, nil
}

// destination picks an HLS destination of a template. Clients cannot name one, so of several
// the first by name is theirs.
func destination(t *policy.Template, name string) *policy.HLSDestination {
	if d := t.HLS(name); d != nil || name != "" || len(t.Destinations.HLS) == 0 {
		return d
	}
	var names []string
	for n := range t.Destinations.HLS {
		names = append(names, n)
	}
	return t.Destinations.HLS[slices.Min(names)]
}

// claim is what somebody wants of a room's stream.
type claim struct {
	onHLS bool    // it is the broadcast
	need  float64 // cores, without those of a page
	page  string  // to compose; empty: the stage, or what is composed already
}

// claim returns the room's stream with one more user. It makes the stream if there is none and the limits allow one
// more. Release gives the claim back.
func (m *Manager) claim(ctx context.Context, r *room.Room, c claim) (*stream, error) {
	for {
		s, ending, err := m.tryClaim(r, c)
		if ending == nil {
			return s, err
		}
		select { // a moment, and there is a place for the next
		case <-ending:
		case <-ctx.Done():
			return nil, errRunning
		}
	}
}

// tryClaim is claim without waiting: until ending is closed the room has a stream that nobody can join.
func (m *Manager) tryClaim(r *room.Room, c claim) (s *stream, ending <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s = m.streams[r.ID()]
	switch {
	case m.closed:
		return nil, nil, protocol.Errorf(protocol.CodeUnavailable, "the server is shutting down")
	case s != nil && (c.onHLS && s.onHLS || s.room != r):
		return nil, nil, errRunning
	case s != nil && s.closing:
		return nil, s.done, nil
	case s == nil:
		s = newStream(m, r)
		if c.page != "" {
			s.page = newPage(s, c.page)
			c.need += coresPage
		}
		if err := m.admit(s, c.need); err != nil {
			return nil, nil, err
		}
		m.streams[s.info.RoomID] = s
		m.running.Go(s.run)
	case c.page != "" && (s.page == nil || s.page.url != c.page):
		return nil, nil, errOtherPage
	case c.onHLS: // what there is for outlets may be made anew, in other sizes
		if s.page != nil {
			c.need += coresPage
		}
		if err := m.admit(s, c.need); err != nil {
			return nil, nil, err
		}
	}
	s.users++
	s.onHLS = s.onHLS || c.onHLS
	return s, nil, nil
}

// release gives back what claim gave.
func (m *Manager) release(s *stream, onHLS bool) {
	m.mu.Lock()
	s.users--
	if onHLS {
		s.onHLS, s.asked = false, nil
	}
	m.mu.Unlock()
	s.do(func() {}) // nobody may be left
}

// unused reports whether a stream has so few users that it ends now. Nobody can join then.
func (m *Manager) unused(s *stream, most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.closing = s.closing || s.users <= most
	return s.closing
}

// shut lets nobody join any more.
func (m *Manager) shut(s *stream) { m.unused(s, math.MaxInt) }

// ask says what the live stream of a claim is, so that it can be stopped.
func (m *Manager) ask(s *stream, b *broadcast) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.asked = b
}

// forget gives the room's place back, as the last act of a stream.
func (m *Manager) forget(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, s.info.RoomID)
}

var (
	errRunning    = protocol.Errorf(protocol.CodeConflict, "beam already started")
	errOtherPage  = protocol.Errorf(protocol.CodeConflict, "meeting_url: the room is composed already, and not from this page; what is live and what is recorded shows the same")
	errNotRunning = protocol.Errorf(protocol.CodeNotFound, "hls not running")
)

// StopHLS implements [room.Streamer]. The stop is on record when it returns.
func (m *Manager) StopHLS(ctx context.Context, r *room.Room, stoppedBy string) error {
	b := m.broadcast(r.ID())
	if b == nil {
		return errNotRunning
	}
	if !b.stopping.CompareAndSwap(false, true) {
		return nil
	}
	b.recordStop(ctx, stoppedBy)
	s := b.stream
	s.do(func() { s.dropBroadcast(b, Ended{Reason: store.StoppedByRequest}) })
	return nil
}

// RoomClosed implements [room.Streamer].
func (m *Manager) RoomClosed(r *room.Room) {
	if s := m.stream(r.ID()); s != nil && s.room == r {
		s.stop(Ended{Reason: store.StoppedRoomEnded})
	}
}

func (m *Manager) stream(roomID string) *stream {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams[roomID]
}

// broadcast is the live stream of a room; nil if it has none.
func (m *Manager) broadcast(roomID string) *broadcast {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.streams[roomID]; s != nil {
		return s.asked
	}
	return nil
}

// Close stops all streams and waits for their ends, at most until the context is done. Workers
// that do not end by themselves are killed before that.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closed {
		close(m.ending)
	}
	m.closed = true
	for _, s := range m.streams {
		s.stop(Ended{Reason: store.StoppedByRequest})
	}
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("live streams: %w", ctx.Err())
	}
}

// Stats reads the counters.
func (m *Manager) Stats() Stats {
	c := &m.counters
	st := Stats{
		Started:       c.started.Load(),
		Failed:        c.failed.Load(),
		Workers:       c.workers.Load(),
		Restarts:      c.restarts.Load(),
		FramesIn:      c.framesIn.Load(),
		FramesDropped: c.framesDropped.Load(),
		VideoOut:      c.videoOut.Load(),
		AudioOut:      c.audioOut.Load(),
		Refused:       c.refused.Load(),
		WorkerCPU:     time.Duration(c.workerCPU.Load()),
		TicksRepeated: c.ticksRepeated.Load(),
		TurnedAway:    c.turnedAway.Load(),
	}
	for i, stage := range st.stages() {
		*stage = time.Duration(c.stages[i].Load())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Streams = len(m.streams)
	st.Cores, st.CoresTaken = m.cfg.Cores, m.cores()
	st.Waiting = m.waiting(time.Now())
	for _, s := range m.streams {
		if w := s.worker.Load(); w != nil {
			w.addTo(&st)
		}
	}
	return st
}

// playlistURL is the static address of a room's stream.
func (m *Manager) playlistURL(k hls.Key) string {
	return strings.TrimSuffix(m.cfg.PublicURL, "/") + k.Path()
}

// refusal makes an error of the store one that clients may see.
func refusal(err error) error {
	var e *protocol.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrConflict):
		return errRunning
	case errors.Is(err, room.ErrClosed):
		return protocol.Errorf(protocol.CodeGone, "the room has ended")
	default:
		return protocol.Errorf(protocol.CodeInternal, "live stream could not be started")
	}
}
