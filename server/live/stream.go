package live

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/room"
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

	audioRate        = wire.AudioClock
	audioChannels    = 2
	defaultFrameRate = 30
)

// stream is the composition of one room, for whoever takes it: viewers over HLS, recordings, pushes to
// other services. It is encoded once for all of them, and ends with the last.
type stream struct {
	m    *Manager
	room *room.Room
	info room.Info
	log  *slog.Logger

	load load
	page *page // composed instead of the stage; nil: none

	// Guarded by the manager's mutex.
	users   int        // broadcast and outlets, from the claim to the end
	onHLS   bool       // the broadcast is one of them
	asked   *broadcast // from the accepted start to the end
	closing bool       // nobody can join any more

	layouts chan layoutView  // the destination's, when it changes
	sayings chan room.Saying // to all, while they are shown

	ended   atomic.Bool                // an ending of all was accepted
	endings chan Ended                 // one slot
	stage   atomic.Pointer[room.Stage] // the newest; owner: the room
	changed chan struct{}              // one slot: stage is new
	worker  atomic.Pointer[worker]     // takes frames; nil between two workers
	jukebox atomic.Pointer[jukebox]    // nil before there is a playlist
	orders  orders
	done    chan struct{} // closed when all is over

	// What follows belongs to the goroutine of run.
	broadcast *broadcast // nil while the stream is not on the air
	outlets   []*Outlet
	layers    []policy.HLSLayer // the sizes to make, best first; nil before anybody has joined
	fps       int
	canvas    layout.Canvas // the first of the layers
	epoch     time.Time     // wall clock at presentation time zero; zero before a worker has set it
	finished  bool          // nothing is made any more

	current   *worker // talks; nil between two workers
	begun     time.Time
	producing bool          // a picture of the current worker was taken
	resumeAt  time.Duration // where the current worker was told to go on; zero when it was not
	condemned bool          // the current worker was killed because it hung
	restarts  []time.Time
	restartAt time.Time
	forced    time.Time // last ForceKey

	view       layoutView
	unfollow   context.CancelFunc
	watching   sync.WaitGroup
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

func newStream(m *Manager, r *room.Room) *stream {
	info := r.Info()
	return &stream{
		m: m, room: r, info: info,
		log:      m.cfg.Log.With("room", info.RoomID),
		layouts:  make(chan layoutView),
		sayings:  make(chan room.Saying, maxSayings),
		endings:  make(chan Ended, 1),
		changed:  make(chan struct{}, 1),
		orders:   orders{wake: make(chan struct{}, 1)},
		done:     make(chan struct{}),
		unfollow: func() {},
		design:   newDesign(nil),
		cast:     cast{began: time.Now()},
		feeds:    make(map[string]*feed),
		syncs:    make(map[string]uint32),
		pictured: make(map[uint32]bool),
	}
}

// hold keeps the room alive for one more user of the stream, who releases it.
func (s *stream) hold(ctx context.Context) error {
	held, err := s.m.cfg.Rooms.Open(ctx, s.info.RoomID)
	if err != nil {
		s.log.Error("stream refused", "err", err)
		return refusal(err)
	}
	if held != s.room {
		held.Release()
		return refusal(room.ErrClosed)
	}
	return nil
}

// stop asks the stream to end, for all who take it. Only the first ending counts.
func (s *stream) stop(e Ended) {
	if s.ended.CompareAndSwap(false, true) {
		s.endings <- e
	}
}

// orders are calls that wait for the stream's goroutine: one for each who joins or leaves.
type orders struct {
	wake chan struct{} // one slot
	mu   sync.Mutex
	list []func()
	over *Ended // no more are taken
}

// do has fn called in the stream's goroutine. When the stream is over it returns how that ended instead.
func (s *stream) do(fn func()) *Ended {
	s.orders.mu.Lock()
	defer s.orders.mu.Unlock()
	if s.orders.over == nil {
		s.orders.list = append(s.orders.list, fn)
		select {
		case s.orders.wake <- struct{}{}:
		default:
		}
	}
	return s.orders.over
}

// take returns the orders that wait. With an ending they are the last.
func (o *orders) take(over *Ended) []func() {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list, o.over = nil, over
	return list
}

// run is the life of the stream.
func (s *stream) run() {
	s.presenter = startPresenter(newPainter(s.info.Name, s.m.cfg.Labels))
	unlisten := s.room.Listen(s.said)
	unwatch := s.room.Watch(func(stage *room.Stage) {
		s.stage.Store(stage)
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	end := s.loop()
	unwatch()
	unlisten()
	s.close(end)
}

// loop runs until the stream must end, or nobody takes it.
func (s *stream) loop() Ended {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !s.finished {
		var messages <-chan wire.Message
		if s.current != nil {
			messages = s.current.Messages()
		}
		var changed <-chan struct{}
		if s.layers != nil { // there is a picture to arrange
			changed = s.changed
		}
		select {
		case e := <-s.endings:
			return e
		case <-s.orders.wake:
			for _, fn := range s.orders.take(nil) {
				fn()
			}
			if s.m.unused(s, 0) { // whoever made it could not join
				s.finish()
			}
		case m, ok := <-messages:
			if ok {
				s.hear(m)
			} else if err := s.workerLost(); err != nil {
				return Ended{Failure: err.Error()}
			}
		case <-s.broadcast.ready():
			if err := s.broadcast.announce(); err != nil {
				return Ended{Failure: err.Error()}
			}
		case <-changed:
			s.setStage(s.stage.Load())
		case l := <-s.layouts:
			s.setLayout(l)
		case said := <-s.sayings:
			s.hearSaying(said)
		case now := <-ticker.C:
			if err := s.look(now); err != nil {
				return Ended{Failure: err.Error()}
			}
		}
	}
	return Ended{}
}

// plan decides what is made: what the live stream wants, or else the first outlet, and as long as
// nobody wants anything else what there is. It reports whether that changes. No encoder can change
// its size: another worker takes over then, which players see as a discontinuity.
func (s *stream) plan() bool {
	layers, fps := s.layers, s.fps
	switch {
	case s.broadcast != nil:
		layers, fps = layersOf(s.broadcast.dest, s.view.layout), s.broadcast.frameRate()
	case layers == nil:
		layers, fps = s.outlets[0].layers(), defaultFrameRate
	}
	if fps == s.fps && slices.Equal(layers, s.layers) {
		return false
	}
	launch := s.layers == nil
	s.layers, s.fps = layers, fps
	s.canvas = layout.Canvas{W: layers[0].Width, H: layers[0].Height}
	if s.current != nil {
		s.worker.Store(nil)
		s.dismiss()
		launch = true
	}
	if s.page != nil {
		launch = s.page.open(s.canvas, fps) && launch
	}
	if launch { // between two workers the next one is told
		if err := s.launch(); err != nil {
			s.stop(Ended{Failure: err.Error()})
		}
	}
	s.arrange()
	if !s.epoch.IsZero() {
		s.begin()
	}
	return true
}

func (s *stream) addBroadcast(b *broadcast, l layoutView) {
	s.broadcast = b
	if s.finished { // it ends with the others
		return
	}
	s.follow(l)
	s.plan()
	s.publish()
}

// publish puts the live stream's playlists in place once the clock is set.
func (s *stream) publish() {
	if b := s.broadcast; b != nil && b.out == nil && !s.epoch.IsZero() {
		if err := b.put(s.epoch, s.layers); err != nil {
			s.stop(Ended{Failure: err.Error()})
		}
	}
}

func (s *stream) dropBroadcast(b *broadcast, end Ended) {
	if s.broadcast != b {
		return
	}
	s.leave(true, func() {
		s.broadcast = nil
		b.close(end)
	})
}

// leave ends one who takes the stream. The last one gets what the worker still has.
func (s *stream) leave(hls bool, end func()) {
	if s.m.unused(s, 1) {
		s.finish()
	}
	end()
	s.m.release(s, hls)
}

// finish ends all that makes the stream.
func (s *stream) finish() {
	if s.finished {
		return
	}
	s.finished = true
	if j := s.jukebox.Load(); j != nil {
		j.cancel()
	}
	if s.page != nil {
		s.page.close()
	}
	s.presenter.stop()
	for id, f := range s.feeds {
		f.stop()
		delete(s.feeds, id)
	}
	if s.current != nil {
		s.dismiss()
	}
	s.unfollow()
	s.watching.Wait()
}

// close ends the stream for all who are left, and for those who come too late.
func (s *stream) close(end Ended) {
	s.m.shut(s)
	s.finish()
	for _, fn := range s.orders.take(&end) {
		fn()
	}
	if s.broadcast != nil {
		s.dropBroadcast(s.broadcast, end)
	}
	for len(s.outlets) > 0 {
		s.dropOutlet(s.outlets[0], end)
	}
	s.m.forget(s)
	close(s.done)
}
