package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"amphi/server/egress"
	"amphi/server/live"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// acceptLimit is how long a push may go without any server that takes it before it has failed. After
// that, servers that go away are tried again for as long as the push lasts.
const acceptLimit = time.Minute

// storeLimit bounds a write of a record.
const storeLimit = 30 * time.Second

// Pushes are the pushes of all rooms, one a room at a time: their records, and what rooms are told.
type Pushes struct {
	Rooms *room.Registry
	Live  *live.Manager
	Store *store.Store
	Log   *slog.Logger

	// Record, if set, records a room for a push that is to be recorded too, until stop is called. It
	// completes the push's record with the files itself (see [store.Store.RecordingDone]).
	Record func(ctx context.Context, r *room.Room, job store.Job) (stop func(reason string), err error)

	// Allow says which addresses rooms may be pushed to.
	Allow egress.Rule

	tls    *tls.Config   // nil but for tests
	within time.Duration // acceptLimit, but for tests

	mu     sync.Mutex
	jobs   map[string]*job // by room id; from the start to the end
	active sync.WaitGroup  // of them
	counts counters
	total  uint64
	failed uint64
}

// Stats counts since the start, but for Pushes and Targets, which are there now.
type Stats struct {
	Pushes  int64
	Targets int64
	Started uint64
	Failed  uint64
	Sent    uint64 // pictures and sounds, to each server
	Dropped uint64 // likewise: not sent, because a server did not keep up
	Lost    uint64 // connections, and attempts at one
}

// Stats returns the counters.
func (p *Pushes) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Pushes: int64(len(p.jobs)), Targets: p.counts.targets.Load(), Started: p.total, Failed: p.failed,
		Sent: p.counts.sent.Load(), Dropped: p.counts.dropped.Load(), Lost: p.counts.lost.Load()}
}

// Errors that clients get.
var (
	errRunning    = protocol.Errorf(protocol.CodeConflict, "beam already started")
	errNotRunning = protocol.Errorf(protocol.CodeNotFound, "no push to other services runs")
)

// job is one push from the accepted start to the end.
type job struct {
	p      *Pushes
	room   *room.Room
	log    *slog.Logger
	push   *Push
	outlet *live.Outlet
	late   *time.Timer // ends it if no server takes it

	mu      sync.Mutex // of what follows, and held while the state is written and told
	record  store.Job
	stop    func(reason string) // of the recording; nil: none
	refused string              // why it fails, of an end that the job asked for itself
}

// Start begins to push the room to the addresses in setup, which were checked, and returns the record.
// startedBy is a peer id, empty for the API. The
// room is told when a server takes the stream, or that none does. The error may be a [*protocol.Error].
func (p *Pushes) Start(ctx context.Context, r *room.Room, setup store.JobSetup, startedBy string) (store.Job, error) {
	addrs, err := p.addresses(setup)
	if err != nil {
		return store.Job{}, err
	}
	if err := p.Live.CheckMeetingURL(ctx, r, setup.MeetingURL); err != nil {
		return store.Job{}, err
	}
	// Asking the room makes sure that its session is recorded, which the job belongs to.
	if _, err := r.HLS(ctx); err != nil {
		return store.Job{}, room.AsProtocol(err)
	}
	j := &job{p: p, room: r}
	if !p.reserve(r.ID(), j) {
		return store.Job{}, errRunning
	}
	record, err := p.Store.StartJob(ctx, store.Job{Kind: store.ExternalStream, RoomID: r.ID(), Setup: setup, StartedBy: startedBy})
	if err != nil {
		p.forget(r.ID())
		if errors.Is(err, store.ErrConflict) {
			return store.Job{}, errRunning
		}
		return store.Job{}, err
	}
	j.run(ctx, record, addrs)
	return record, nil
}

// Resume goes on with the pushes that a server left which was killed: their rooms must have been made again already,
// and what was recorded of them not yet be finished. Those who are pushed to see an encoder that comes back. What cannot
// go on has failed. It is called once, before anything else.
func (p *Pushes) Resume(ctx context.Context) error {
	left, err := p.Store.InterruptedJobs(ctx, store.ExternalStream)
	if err != nil {
		return err
	}
	for _, record := range left {
		err := p.resume(ctx, record)
		if err == nil {
			continue
		}
		p.Log.Error("push does not go on", "room", record.RoomID, "push", record.ID, "err", err)
		failed := store.Failure{At: time.Now(), Type: "INTERNAL_ERROR", Message: "Internal error"}
		if _, err := p.Store.JobFailed(ctx, record.ID, failed); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pushes) resume(ctx context.Context, record store.Job) error {
	addrs, err := p.addresses(record.Setup) // the operator may allow others now
	if err != nil {
		return err
	}
	r, err := p.Live.Reopened(record.RoomID, record.SessionID)
	if err != nil {
		return err
	}
	j := &job{p: p, room: r}
	if !p.reserve(r.ID(), j) {
		return errRunning
	}
	j.run(ctx, record, addrs)
	return nil
}

// addresses are where a push goes, if it may.
func (p *Pushes) addresses(setup store.JobSetup) (all []Address, err error) {
	for _, text := range setup.RTMPURLs {
		a, err := ParseAddress(text)
		if err == nil {
			err = a.permitted(p.Allow)
		}
		if err != nil {
			return nil, protocol.Errorf(protocol.CodeBadRequest, "rtmp_urls: %v", err)
		}
		all = append(all, a)
	}
	return all, nil
}

// run begins what is on record, or goes on with it.
func (j *job) run(ctx context.Context, record store.Job, to []Address) {
	p, setup, again := j.p, record.Setup, record.Status == store.StatusRunning
	j.record = record
	j.log = p.Log.With("room", record.RoomID, "push", record.ID)
	j.log.Info("push starting", "to", to, "by", record.StartedBy, "again", again)
	if again {
		j.tell(protocol.StateStarted, nil)
	} else {
		j.tell(protocol.StateInitialised, nil)
	}
	j.push = newPush(to, j.log, &p.counts, j.begun, j.over)
	j.push.allow, j.push.tls = p.Allow, p.tls

	j.mu.Lock()
	defer j.mu.Unlock()
	j.push.start()
	var err error
	j.outlet, err = p.Live.Attach(ctx, j.room, j.outletConfig(record))
	if err != nil {
		j.push.End(live.Ended{Failure: err.Error()}) // it is on record that it was accepted
		return
	}
	if !again { // servers that took it once are tried for as long as it lasts
		within := p.within
		if within == 0 {
			within = acceptLimit
		}
		if setup.MeetingURL != "" {
			within += live.PageLimit
		}
		j.late = time.AfterFunc(within, j.giveUp)
	}
	if setup.Recording && p.Record != nil {
		if j.stop, err = p.Record(ctx, j.room, record); err != nil {
			j.log.Error("push is not recorded", "err", err)
		}
	}
}

// StartPush implements api.Pusher.
func (p *Pushes) StartPush(ctx context.Context, roomID string, setup store.JobSetup) (store.Job, error) {
	r, err := p.Rooms.Open(ctx, roomID)
	if err != nil {
		return store.Job{}, room.AsProtocol(err)
	}
	defer r.Release() // the stream holds a reference of its own
	return p.Start(ctx, r, setup, "")
}

// StopPush implements api.Pusher.
func (p *Pushes) StopPush(ctx context.Context, roomID string) error { return p.Stop(ctx, roomID, "") }

// outletConfig is what a push wants of the room's stream. Templates have times in seconds.
func (j *job) outletConfig(record store.Job) live.OutletConfig {
	setup := record.Setup
	c := live.OutletConfig{Sink: j.push, MeetingURL: setup.MeetingURL, Width: setup.Width, Height: setup.Height, Began: record.CreatedAt}
	if d := j.room.Info().Template.Destinations.RTMP[setup.Destination]; d != nil {
		c.MaxDuration = time.Duration(d.MaxDuration) * time.Second
		c.AutoStop = time.Duration(d.AutoStopTimeout) * time.Second
	}
	return c
}

// Stop ends the room's push. The stop is on record when it returns.
func (p *Pushes) Stop(ctx context.Context, roomID, by string) error {
	p.mu.Lock()
	j := p.jobs[roomID]
	p.mu.Unlock()
	if j == nil {
		return errNotRunning
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.outlet == nil { // it fails
		return errNotRunning
	}
	if _, err := p.Store.JobStopping(ctx, j.record.ID, by, time.Now()); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return errNotRunning
		}
		return err
	}
	j.outlet.Detach(store.StoppedByRequest)
	return nil
}

func (p *Pushes) reserve(roomID string, j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs[roomID] != nil {
		return false
	}
	if p.jobs == nil {
		p.jobs = make(map[string]*job)
	}
	p.jobs[roomID] = j
	p.active.Add(1)
	p.total++
	return true
}

func (p *Pushes) forget(roomID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.jobs, roomID)
	p.active.Done()
}

// Wait waits for the ends of pushes whose streams have ended, at most until the context is done.
func (p *Pushes) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		p.active.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pushes: %w", ctx.Err())
	}
}

// tell tells the room the state.
func (j *job) tell(state string, failure *protocol.Error) {
	s := protocol.RunState{State: state, Error: failure, InitialisedAt: j.record.CreatedAt.UnixMilli(),
		Enabled: state == protocol.StateInitialised || state == protocol.StateStarted}
	if !j.record.StartedAt.IsZero() {
		s.StartedAt = j.record.StartedAt.UnixMilli()
	}
	j.room.SetRTMP(s)
}

// begun records and tells that a server takes the stream, the first time.
func (j *job) begun() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.record.Status != store.StatusStarting {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	record, err := j.p.Store.JobRunning(ctx, j.record.ID, time.Now())
	if err != nil {
		if !errors.Is(err, store.ErrConflict) { // a stop was accepted meanwhile
			j.log.Error("start could not be recorded", "err", err)
		}
		return
	}
	j.record = record
	j.late.Stop()
	j.log.Info("push running", "after", record.StartedAt.Sub(record.CreatedAt))
	j.tell(protocol.StateStarted, nil)
}

// giveUp ends a push that no server has taken.
func (j *job) giveUp() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.record.Status != store.StatusStarting {
		return
	}
	j.refused = "no server takes the stream"
	if why := j.push.failures(); why != "" {
		j.refused += ": " + why
	}
	j.outlet.Detach(store.StoppedByRequest)
}

// over records and tells the end.
func (j *job) over(end live.Ended) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.late != nil {
		j.late.Stop()
	}
	if j.refused != "" {
		end.Failure = j.refused
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	now := time.Now()
	var err error
	switch {
	case end.Failure != "":
		_, err = j.p.Store.JobFailed(ctx, j.record.ID, end.Record())
	case j.record.Status == store.StatusStarting:
		_, err = j.p.Store.JobFailed(ctx, j.record.ID, store.Failure{At: now, Type: "BEAM_STOPPED", Message: "Beam stopped too early"})
	case j.stop != nil:
		_, err = j.p.Store.JobRecorded(ctx, j.record.ID, end.Reason, now)
	default:
		_, err = j.p.Store.JobStopped(ctx, j.record.ID, end.Reason, now)
	}
	if j.stop != nil { // its files follow, and find the end on record
		j.stop(end.Reason)
	}
	if err != nil {
		j.log.Error("end could not be recorded", "err", err)
	}
	j.log.Info("push ended", "reason", end.Reason, "failure", end.Failure)
	defer j.p.forget(j.room.ID())
	if end.Failure != "" {
		j.p.mu.Lock()
		j.p.failed++
		j.p.mu.Unlock()
		j.tell(protocol.StateFailed, protocol.Errorf(protocol.CodeUnavailable, "%s", end.Failure))
		return
	}
	j.tell(protocol.StateStopped, nil)
}
