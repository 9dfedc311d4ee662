package room

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

// Room is a live room.
type Room struct {
	registry *Registry
	rec      Record
	session  Session
	limits   Limits
	log      *slog.Logger

	refs     int // guarded by registry.mu
	disabled atomic.Bool
	resumed  bool // from a saved state

	journal *journal

	calls chan func()   // in: work for the owner goroutine; without room to wait, so that what is taken is run
	done  chan struct{} // closed by the registry when the last reference is gone

	// What follows is owned by the goroutine of run.
	peers       map[string]*Peer // connected or awaited, by peer id
	order       []*Peer          // the joined ones, in the order of joining
	joins       uint64           // how many have joined so far
	hidden      int              // how many of order are hidden
	large       bool             // see crowd.go
	store       sessionStore
	polls       polls
	past        past
	roleTokens  map[string]roleOffer
	hls         protocol.HLSState
	rtmp        protocol.RunState
	recordings  protocol.Recording
	board       *whiteboard // nil until somebody makes it
	previews    *time.Timer // runs while somebody in preview is told of the room
	watchers    map[int]func(*Stage)
	listeners   map[int]func(Saying)
	nextWatcher int  // of both
	stageDirty  bool // tracks, roles or names changed since the last settle
	countSent   int
	countTimer  *time.Timer
	expiry      *time.Timer // ends the session
	speakers    speakerMeter
	front       front
	voices      map[string]*sfu.Loudest // see hear
	quality     qualityMeter
	saving      *time.Timer // runs while a change waits to be saved
	suspended   bool        // written before done is closed
	// Of what the observer is told.
	refusals, sayings, reactions *rate.Limiter
}

// Info is what does not change while a room is live.
type Info struct {
	RoomID         string
	Name           string
	CustomerID     string
	TemplateID     string
	Template       *policy.Template
	SessionID      string
	SessionStarted time.Time
}

func newRoom(g *Registry, rec Record, session Session) *Room {
	r := &Room{
		registry:   g,
		rec:        rec,
		limits:     g.cfg.Limits,
		session:    session,
		log:        g.cfg.Log.With("room", rec.RoomID),
		calls:      make(chan func()),
		done:       make(chan struct{}),
		peers:      map[string]*Peer{},
		roleTokens: map[string]roleOffer{},
		watchers:   map[int]func(*Stage){},
		listeners:  map[int]func(Saying){},
		voices:     map[string]*sfu.Loudest{},
		refusals:   newRefusalLimiter(),
		sayings:    newSayingLimiter(),
		reactions:  newSayingLimiter(),
		hls:        protocol.HLSState{Variants: []protocol.HLSVariant{}},
	}
	r.journal = newJournal(r.log)
	r.large = rec.LargeRoom
	r.setBounds(rec)
	return r
}

// ID returns the room's id.
func (r *Room) ID() string { return r.rec.RoomID }

// Info returns what does not change while the room is live.
func (r *Room) Info() Info {
	return Info{
		RoomID: r.rec.RoomID, Name: r.rec.Name, CustomerID: r.rec.CustomerID,
		TemplateID: r.rec.TemplateID, Template: r.rec.Template,
		SessionID: r.session.ID, SessionStarted: r.session.Started,
	}
}

// Release gives back the reference of Registry.Open.
func (r *Room) Release() { r.registry.release(r) }

// Done is closed when the room has ended.
func (r *Room) Done() <-chan struct{} { return r.done }

// run owns the room until its last reference is gone. The session is on record
// before the room takes its first call, so that callers can refer to it.
func (r *Room) run() {
	records := r.registry.cfg.Records
	if !r.resumed {
		r.journal.write(entry{"session opened", func(ctx context.Context) error { return records.SessionOpened(ctx, r.session) }})
	}
	go r.journal.run()
	if !r.resumed {
		r.linkPolls()
	}
	r.log.Info("room opened", "session", r.session.ID, "resumed", r.resumed)
	if opened := r.registry.cfg.Opened; opened != nil {
		opened(r)
	}
	for {
		select {
		case fn := <-r.calls:
			fn()
			r.settle()
		case <-r.done:
			r.shutdown()
			return
		}
	}
}

// shutdown runs on the owner goroutine, as its last act.
func (r *Room) shutdown() {
	var saved *state
	if r.suspended && len(r.order) > 0 {
		s := r.state()
		saved = &s
	}
	for _, p := range r.peers {
		p.tracksChanged(TrackRemoved, p.tracks...)
		p.stop()
	}
	r.speakers.stop()
	r.quality.stop()
	r.polls.stop()
	r.expiry.Stop()
	for _, t := range []*time.Timer{r.countTimer, r.saving, r.previews} {
		if t != nil {
			t.Stop()
		}
	}
	at := time.Now()
	if saved == nil {
		r.journal.add("session closed", func(ctx context.Context) error {
			return r.registry.cfg.Records.SessionClosed(ctx, r.session, at)
		})
	} else {
		r.save(*saved)
	}
	r.journal.close()
	if s := r.registry.cfg.Streamer(); s != nil {
		s.RoomClosed(r)
	}
	r.log.Info("room closed", "session", r.session.ID, "lasted", at.Sub(r.session.Started).Round(time.Second))
}

// do runs fn on the owner goroutine and waits for it.
func (r *Room) do(ctx context.Context, fn func() error) error {
	reply := make(chan error, 1)
	select {
	case r.calls <- func() { reply <- fn() }:
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-reply // the owner has taken fn, and runs it: even if it is what ends the room
}

// after runs fn on the owner goroutine after d, unless the room ends before.
func (r *Room) after(d time.Duration, fn func()) *time.Timer {
	return time.AfterFunc(d, func() {
		select {
		case r.calls <- fn:
		case <-r.done:
		}
	})
}

// settle runs after each call: what many changes may have touched is brought up
// to date once.
func (r *Room) settle() {
	if r.stageDirty {
		r.stageDirty = false
		r.subscribeAll()
		r.notifyWatchers()
		r.speakers.watch(r)
		r.quality.watch(r)
	}
	r.announceCount()
}

// role returns the template's role of that name, or nil.
func (r *Room) role(name string) *policy.Role { return r.rec.Template.Roles[name] }

// tell queues a notification for every visible peer that want accepts, encoded
// once.
func (r *Room) tell(method string, params any, want func(*Peer) bool) {
	var frame []byte
	for _, p := range r.order {
		if !want(p) {
			continue
		}
		if frame == nil {
			frame = protocol.Notification(method, params)
		}
		p.send(frame)
	}
}

func everybody(*Peer) bool { return true }

func allBut(p *Peer) func(*Peer) bool { return func(o *Peer) bool { return o != p } }

// shown returns the room part of peer-list and room-state.
func (r *Room) shown() protocol.RoomState {
	return protocol.RoomState{
		Name:           r.rec.Name,
		SessionID:      r.session.ID,
		StartedAt:      r.session.Started.UnixMilli(),
		Recording:      r.recordings,
		Streaming:      protocol.Streaming{Enabled: r.hls.Enabled || r.rtmp.Enabled, HLS: r.hls, RTMP: r.rtmp},
		Transcriptions: []any{},
	}
}

func (r *Room) info() protocol.RoomInfo {
	return protocol.RoomInfo{RoomID: r.rec.RoomID, Name: r.rec.Name, Description: r.rec.Description, MaxSize: r.limits.Peers, LargeRoomOptimization: r.large}
}

func (r *Room) sessionInfo() protocol.SessionInfo {
	tracks := 0
	for _, p := range r.order {
		tracks += len(p.tracks)
	}
	return protocol.SessionInfo{SessionID: r.session.ID, RoomID: r.rec.RoomID, PeerCount: r.countVisible(), TrackCount: tracks}
}

// Stage is an immutable snapshot of who publishes, for the composed stream.
type Stage struct {
	Peers []StagePeer // visible peers whose role may publish, in the order of joining
}

// StagePeer is one of them.
type StagePeer struct {
	ID         string
	Name       string
	Role       string
	HandRaised bool
	Tracks     []StageTrack
}

// StageTrack is one published track. Media is the track in the SFU.
type StageTrack struct {
	ID     string
	Kind   protocol.TrackKind
	Source string
	Muted  bool
	Media  *sfu.Track
}

// Watch calls fn with a snapshot of the stage at once and after every change,
// on the room's goroutine: fn must not block and must not call the room. stop
// ends it.
func (r *Room) Watch(fn func(*Stage)) (stop func()) {
	var id int
	err := r.do(context.Background(), func() error {
		id = r.nextWatcher
		r.nextWatcher++
		r.watchers[id] = fn
		fn(r.stage())
		return nil
	})
	if err != nil {
		return func() {}
	}
	return func() {
		_ = r.do(context.Background(), func() error { delete(r.watchers, id); return nil })
	}
}

// Listen calls fn with every message to all from now on, under the rules of [Room.Watch].
func (r *Room) Listen(fn func(Saying)) (stop func()) {
	var id int
	err := r.do(context.Background(), func() error {
		id = r.nextWatcher
		r.nextWatcher++
		r.listeners[id] = fn
		return nil
	})
	if err != nil {
		return func() {}
	}
	return func() {
		_ = r.do(context.Background(), func() error { delete(r.listeners, id); return nil })
	}
}

func (r *Room) notifyWatchers() {
	if len(r.watchers) == 0 {
		return
	}
	s := r.stage()
	for _, fn := range r.watchers {
		fn(s)
	}
}

func (r *Room) stage() *Stage {
	s := &Stage{}
	for _, p := range r.order {
		if p.hidden || p.role.Level() != policy.Stage {
			continue
		}
		sp := StagePeer{ID: p.ID, Name: p.info.Name, Role: p.role.Name, HandRaised: slices.Contains(p.groups, protocol.HandRaiseGroup)}
		for _, t := range p.tracks {
			sp.Tracks = append(sp.Tracks, StageTrack{ID: t.TrackID, Kind: t.Kind, Source: t.Source, Muted: t.Mute, Media: t.media})
		}
		s.Peers = append(s.Peers, sp)
	}
	return s
}
