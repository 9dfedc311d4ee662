package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

const (
	// tick is how often time limits are looked at and a gap is filled.
	tick = 100 * time.Millisecond

	// fillLag keeps what is filled behind the present, where the next worker goes on.
	fillLag = 300 * time.Millisecond

	// resumeLimit is how long a gap stays open for a worker that was told where to go on.
	// Players are about two seconds behind, which its start has used a part of.
	resumeLimit = time.Second

	// storeLimit bounds the write of a record. That of the end is tried for longer: without it
	// the room counts as streaming.
	storeLimit    = 5 * time.Second
	storeEndLimit = 30 * time.Second

	audioRate     = wire.AudioClock
	audioChannels = 2
)

// ending says why a stream ends. A failure has a text instead of a reason.
type ending struct {
	reason  string // one of store's
	failure string
}

// errStoppedEarly is the failure of a stream that was stopped before anybody could play it
// (the API wants it to count as one).
var errStoppedEarly = store.Failure{Type: "BEAM_STOPPED", Message: "Beam stopped too early"}

// stream is the live stream of one room.
type stream struct {
	m    *Manager
	room *room.Room
	info room.Info
	dest *policy.HLSDestination
	key  hls.Key
	log  *slog.Logger

	layers []policy.HLSLayer // the sizes to make, best first
	canvas layout.Canvas     // the first of them

	layouts chan *policy.Layout // the destination's, when it changes
	sayings chan room.Saying    // to all, while they are shown

	ended   atomic.Bool                // an ending was accepted
	endings chan ending                // one slot
	stage   atomic.Pointer[room.Stage] // the newest; owner: the room
	changed chan struct{}              // one slot: stage is new
	worker  atomic.Pointer[worker]     // takes frames; nil between two workers

	// What follows belongs to the goroutine of run.
	record    store.LiveStream
	out       *hls.Stream // nil until the first worker started
	onAir     bool
	initTime  time.Time // the start was accepted
	startTime time.Time // the playlist could be played
	epoch     time.Time // wall clock at presentation time zero

	current   *worker // talks; nil between two workers
	begun     time.Time
	producing bool          // a picture of the current worker was packaged
	resumeAt  time.Duration // where the current worker was told to go on; zero when it was not
	condemned bool          // the current worker was killed because it hung
	restarts  []time.Time
	restartAt time.Time
	forced    time.Time // last ForceKey

	layout     *policy.Layout // may be nil
	reader     *layoutReader
	design     *design
	cast       cast
	onStage    *room.Stage // nil until the room has told
	chat       string      // a line of it in the picture
	chatUntil  time.Time
	floated    time.Time // the last reaction
	sel        selection
	feeds      map[string]*feed // by track id
	nextInput  uint32
	syncs      map[string]uint32 // lip sync groups by peer id
	pictured   map[uint32]bool   // inputs of which the current worker has a picture
	presenter  *presenter
	emptySince time.Time // the stage is empty; zero when not
}

func newStream(m *Manager, r *room.Room, dest *policy.HLSDestination) *stream {
	info := r.Info()
	return &stream{
		m: m, room: r, info: info, dest: dest,
		key:      hls.Key{Customer: info.CustomerID, Room: info.RoomID},
		log:      m.cfg.Log.With("room", info.RoomID),
		layouts:  make(chan *policy.Layout),
		sayings:  make(chan room.Saying, maxSayings),
		endings:  make(chan ending, 1),
		changed:  make(chan struct{}, 1),
		feeds:    make(map[string]*feed),
		syncs:    make(map[string]uint32),
		pictured: make(map[uint32]bool),
	}
}

// event says that viewers can go back to the start of the stream.
func (s *stream) event() bool { return s.dest.PlaylistType == "event" }

// playlistTypes are what clients are told of that.
var playlistTypes = map[bool]string{true: "dvr", false: "no-dvr"}

func (s *stream) frameRate() int {
	if s.dest.VideoFrameRate > 0 {
		return min(s.dest.VideoFrameRate, 60)
	}
	return 30
}

// open records the start, keeps the room alive, and tells it. It runs in the caller's goroutine.
func (s *stream) open(ctx context.Context, o Options) error {
	// Asking the room makes sure that its session is recorded, which the stream's record needs.
	if _, err := s.room.HLS(ctx); err != nil {
		return refusal(err)
	}
	// A stream is one of those who keep a room alive.
	held, err := s.m.cfg.Rooms.Open(ctx, s.info.RoomID)
	if err != nil {
		s.log.Error("live stream refused", "err", err)
		return refusal(err)
	}
	if held != s.room {
		held.Release()
		return refusal(room.ErrClosed)
	}
	reader := &layoutReader{store: s.m.cfg.Store, roomID: s.info.RoomID, workspace: s.info.CustomerID, destination: s.dest.Name}
	s.layout = s.dest.Layout
	if l, changed, err := reader.read(ctx); err != nil {
		s.log.Warn("layout could not be read", "err", err)
	} else if changed {
		s.layout = l
	}
	s.reader, s.design = reader, newDesign(s.layout)
	s.layers = layersOf(s.dest, s.layout)
	best := s.layers[0]
	s.record, err = s.m.cfg.Store.StartLiveStream(ctx, store.LiveStream{
		RoomID:      s.info.RoomID,
		SessionID:   s.info.SessionID,
		Destination: s.dest.Name,
		MeetingURL:  o.MeetingURL,
		PlaybackURL: s.m.playlistURL(s.key),
		Width:       best.Width,
		Height:      best.Height,
		Recording:   o.Recording,
		StartedBy:   o.StartedBy,
	})
	if err != nil {
		s.room.Release()
		s.log.Error("live stream refused", "err", err)
		return refusal(err)
	}
	s.log = s.log.With("stream", s.record.ID)
	s.initTime = time.Now()
	s.cast.began = s.initTime
	s.canvas = layout.Canvas{W: best.Width, H: best.Height}
	s.room.SetHLS(s.state(protocol.StateInitialised, nil))
	return nil
}

// stop asks the stream to end. Only the first ending counts.
func (s *stream) stop(e ending) {
	if s.ended.CompareAndSwap(false, true) {
		s.endings <- e
	}
}

// recordStop writes down that a stop was accepted, and by whom.
func (s *stream) recordStop(ctx context.Context, by string) {
	if err := s.m.cfg.Store.LiveStreamStopping(ctx, s.record.ID, by, time.Now()); err != nil {
		s.log.Error("stop could not be recorded", "err", err)
	}
}

// state is what clients see of the stream.
func (s *stream) state(state string, failure *protocol.Error) protocol.HLSState {
	v := protocol.HLSVariant{
		State:         state,
		MeetingURL:    s.record.MeetingURL,
		PlaylistType:  playlistTypes[s.event()],
		StreamType:    "composite",
		InitialisedAt: s.initTime.UnixMilli(),
	}
	if !s.startTime.IsZero() {
		v.URL, v.StartedAt = s.record.PlaybackURL, s.startTime.UnixMilli()
	}
	return protocol.HLSState{
		Enabled:  state == protocol.StateInitialised || state == protocol.StateStarted,
		Variants: []protocol.HLSVariant{v},
		Error:    failure,
	}
}

// run is the life of the stream.
func (s *stream) run() {
	s.presenter = startPresenter(newPainter(s.info.Name, s.m.cfg.Labels))
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.watchLayout(ctx, s.reader) })
	unlisten := s.room.Listen(s.said)
	unwatch := s.room.Watch(func(stage *room.Stage) {
		s.stage.Store(stage)
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	s.log.Info("live stream starting", "by", s.record.StartedBy)
	end := s.loop()
	unwatch()
	unlisten()
	cancel()
	watching.Wait()
	s.close(end)
}

// loop runs until the stream must end.
func (s *stream) loop() ending {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	if err := s.launch(); err != nil {
		return ending{failure: err.Error()}
	}
	for {
		var messages <-chan wire.Message
		if s.current != nil {
			messages = s.current.messages
		}
		var ready <-chan struct{}
		if s.out != nil && !s.onAir {
			ready = s.out.Ready()
		}
		select {
		case e := <-s.endings:
			return e
		case m, ok := <-messages:
			if ok {
				s.hear(m)
			} else if err := s.workerLost(); err != nil {
				return ending{failure: err.Error()}
			}
		case <-ready:
			if err := s.announce(); err != nil {
				return ending{failure: err.Error()}
			}
		case <-s.changed:
			s.setStage(s.stage.Load())
		case l := <-s.layouts:
			s.setLayout(l)
		case said := <-s.sayings:
			s.hearSaying(said)
		case now := <-ticker.C:
			if e, over := s.look(now); over {
				return e
			}
		}
	}
}

// announce tells the room, and the customer's server, that the stream can be played.
func (s *stream) announce() error {
	s.onAir, s.startTime = true, time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	switch err := s.m.cfg.Store.LiveStreamRunning(ctx, s.record.ID, s.startTime); {
	case errors.Is(err, store.ErrConflict): // a stop was accepted meanwhile; its ending comes next
		s.startTime = time.Time{}
		return nil
	case err != nil:
		s.log.Error("start could not be recorded", "err", err)
		return errors.New("the start could not be recorded")
	}
	s.log.Info("live stream on the air", "url", s.record.PlaybackURL, "after", s.startTime.Sub(s.initTime).Round(time.Millisecond))
	s.room.SetHLS(s.state(protocol.StateStarted, nil))
	return nil
}

// close ends everything that the stream has, and writes down and tells how it ended.
func (s *stream) close(end ending) {
	s.ended.Store(true)
	s.presenter.stop()
	for id, f := range s.feeds {
		f.stop()
		delete(s.feeds, id)
	}
	if s.current != nil {
		s.dismiss()
	}
	if s.out != nil {
		s.m.cfg.Origin.Retire(s.key, s.out)
	}

	ctx, cancel := context.WithTimeout(context.Background(), storeEndLimit)
	defer cancel()
	now := time.Now()
	var err error
	state := s.state(protocol.StateStopped, nil)
	switch {
	case end.failure != "":
		s.m.counters.failed.Add(1)
		err = s.m.cfg.Store.LiveStreamFailed(ctx, s.record.ID, store.Failure{At: now, Type: "INTERNAL_ERROR", Message: end.failure})
		state = s.state(protocol.StateFailed, protocol.Errorf(protocol.CodeInternal, "%s", end.failure))
		state.Variants[0].URL = ""
	case s.startTime.IsZero():
		early := errStoppedEarly
		early.At = now
		err = s.m.cfg.Store.LiveStreamFailed(ctx, s.record.ID, early)
	default:
		err = s.m.cfg.Store.LiveStreamStopped(ctx, s.record.ID, end.reason, now)
	}
	if err != nil {
		s.log.Error("end could not be recorded", "err", err)
	}
	s.log.Info("live stream ended", "reason", end.reason, "failure", end.failure, "lasted", now.Sub(s.initTime).Round(time.Millisecond))
	s.room.SetHLS(state)
	s.room.Release()
}
