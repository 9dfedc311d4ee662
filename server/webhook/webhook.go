// Package webhook delivers the events of the store's outbox to the receivers that workspaces and rooms name.
//
// What it promises: an event is delivered at least once, and events of one room in order: the next one is not tried
// before the one ahead of it was delivered or given up. Attempts are repeated with growing pauses; an event that could
// not be delivered for RetryFor becomes a dead letter, which is kept but not tried again. A slow or broken receiver
// delays the rooms that name it, nobody else. All of it survives a kill: what was not recorded as delivered is sent
// again, under the same webhook-id.
//
// WEBHOOKS.md is what the people who write receivers are told.
package webhook

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/store"
)

const (
	rescanEvery   = time.Minute     // finds events that were written by another process
	pruneEvery    = time.Hour       //
	errorPause    = 5 * time.Second // after the database failed
	drain         = 2 * time.Second // that a stopping sender gives to attempts on their way
	maxRetryAfter = time.Hour       // that a receiver may ask for
	readAhead     = 16              // events of a room whose receiver takes them
)

// noWebhook is why an event is given up when its receiver was taken away.
const noWebhook = "no webhook is configured any more"

// Sender delivers events. Set the exported fields, then call Run.
type Sender struct {
	Store         *store.Store
	AllowNetworks []netip.Prefix  // private networks that events may be sent to
	Timeout       time.Duration   // of one attempt
	RetryPauses   []time.Duration // after the first, second, … failed attempt; the last one repeats
	RetryFor      time.Duration
	Keep          time.Duration // finished events are forgotten after that
	KeepEvents    int           // and all but so many
	Resolver      *net.Resolver // nil: the system's
	Log           *slog.Logger

	client      *http.Client
	slots       *slots
	ledger      ledger
	stats       struct{ delivered, failed, dead atomic.Uint64 }
	replayEvery time.Duration // zero: the constant of that name

	mu      sync.Mutex
	rooms   map[string]*roomWork // rooms whose events are being delivered; bounded by the rooms with pending events
	running map[string]bool      // replays, by id; the store bounds them
	wg      sync.WaitGroup
}

// roomWork is the state of a room's goroutine. It ends when it finds no event; more says that one may have come since
// it looked.
type roomWork struct{ more bool }

// Stats counts attempts and their outcomes since Run was called.
type Stats struct {
	Rooms     int64 // whose events are on their way
	Delivered uint64
	Failed    uint64 // attempts
	Dead      uint64
}

// Stats returns the counters.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	rooms := len(s.rooms)
	s.mu.Unlock()
	return Stats{int64(rooms), s.stats.delivered.Load(), s.stats.failed.Load(), s.stats.dead.Load()}
}

// Run delivers events until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	s.client = newClient(s.AllowNetworks, s.Resolver)
	defer s.client.CloseIdleConnections()
	s.slots = newSlots()
	s.replayEvery = cmp.Or(s.replayEvery, replayEvery)
	s.mu.Lock()
	s.rooms, s.running = make(map[string]*roomWork), make(map[string]bool)
	s.mu.Unlock()
	stopLedger := s.ledger.start(s.Store)
	defer stopLedger() // after the rooms, which wait for it

	// Attempts outlive ctx by a little: what was sent should also be recorded as sent.
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drain, cut) })
	defer stop()
	defer s.wg.Wait()

	rescan := time.NewTicker(rescanEvery)
	defer rescan.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	s.scan(ctx, hard)
	s.replays(ctx, hard)
	s.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.Store.Fresh():
			for _, id := range s.Store.FreshRooms() {
				s.serve(ctx, hard, id)
			}
		case <-s.Store.ReplayStarted():
			s.replays(ctx, hard)
		case <-rescan.C:
			s.scan(ctx, hard)
			s.replays(ctx, hard)
		case <-prune.C:
			s.prune(ctx)
		}
	}
}

func (s *Sender) scan(ctx, hard context.Context) {
	rooms, err := s.Store.RoomsWithEvents(ctx)
	if err != nil && ctx.Err() == nil {
		s.Log.Error("could not look for webhook events", "err", err)
	}
	for _, id := range rooms {
		s.serve(ctx, hard, id)
	}
}

func (s *Sender) prune(ctx context.Context) {
	before := time.Now().Add(-s.Keep)
	n, err := s.Store.PruneEvents(ctx, before, s.KeepEvents)
	if err == nil {
		err = s.Store.PruneReplays(ctx, before)
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Error("could not prune webhook events", "err", err)
	}
	if n > 0 {
		s.Log.Debug("pruned webhook events", "events", n)
	}
}

// serve sees to it that a goroutine delivers the room's events.
func (s *Sender) serve(ctx, hard context.Context, roomID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.rooms[roomID]; w != nil {
		w.more = true
		return
	}
	w := new(roomWork)
	s.rooms[roomID] = w
	s.wg.Go(func() {
		s.deliver(ctx, hard, roomID)
		for s.cameMeanwhile(ctx, roomID, w) {
			s.deliver(ctx, hard, roomID)
		}
	})
}

// cameMeanwhile says whether events may have come after the room's goroutine found none, and takes the room off the
// list if not.
func (s *Sender) cameMeanwhile(ctx context.Context, roomID string, w *roomWork) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.more && ctx.Err() == nil {
		w.more = false
		return true
	}
	delete(s.rooms, roomID)
	return false
}

// deliver delivers the room's events in order, until there is none or the sender stops.
func (s *Sender) deliver(ctx, hard context.Context, roomID string) {
	ahead := 1
	for ctx.Err() == nil {
		events, err := s.Store.NextEvents(ctx, roomID, ahead)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.Error("could not read webhook events", "room", roomID, "err", err)
			}
			sleep(ctx, errorPause)
			continue
		}
		if len(events) == 0 {
			return
		}
		ahead = readAhead
		for _, e := range events {
			if !sleep(ctx, time.Until(e.NextAt)) {
				return
			}
			done, err := s.try(ctx, hard, e)
			if err != nil {
				if ctx.Err() == nil {
					// It will be sent again: at least once.
					s.Log.Error("could not read where a webhook event goes, or record that it went", "event", e.ID, "err", err)
				}
				sleep(ctx, errorPause)
			}
			if !done { // so that it stays the next one
				ahead = 1
				break
			}
		}
	}
}

// try makes one attempt at an event and records how it went. done says that the event is finished.
func (s *Sender) try(ctx, hard context.Context, e store.Event) (done bool, err error) {
	to, err := s.Store.Receiver(ctx, e.RoomID)
	if err != nil {
		return false, err
	}
	if to.URL == "" {
		s.stats.dead.Add(1)
		o := store.Outcome{Seq: e.Seq, Now: store.Dead, Reason: noWebhook, At: time.Now()}
		return true, s.ledger.record(o)
	}
	host := hostOf(to.URL)
	if !s.slots.acquire(ctx, host) {
		return false, nil
	}
	failure := send(hard, s.client, s.Timeout, e, to)
	s.slots.release(host)
	if failure != nil && hard.Err() != nil {
		return false, nil // cut by ourselves: no fault of the receiver
	}
	o := s.outcome(e, failure)
	o.URL = to.URL
	return o.Now != store.Pending, s.ledger.record(o)
}

// outcome judges an attempt, and tells of it.
func (s *Sender) outcome(e store.Event, failure error) store.Outcome {
	now := time.Now()
	log := s.Log.With("event", e.ID, "type", e.Type, "room", e.RoomID, "attempt", e.Attempts+1)
	if failure == nil {
		s.stats.delivered.Add(1)
		log.Debug("webhook delivered")
		return store.Outcome{Seq: e.Seq, Now: store.Delivered, At: now}
	}
	s.stats.failed.Add(1)
	next := now.Add(max(s.pause(e.Attempts), min(retryAfter(failure), maxRetryAfter)))
	if next.Sub(e.CreatedAt) > s.RetryFor {
		s.stats.dead.Add(1)
		log.Error("webhook given up: the event is a dead letter", "err", failure)
		return store.Outcome{Seq: e.Seq, Now: store.Dead, Reason: failure.Error(), At: now}
	}
	level := slog.LevelDebug
	if e.Attempts == 0 { // once per event is enough
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "webhook attempt failed", "err", failure, "next", next)
	return store.Outcome{Seq: e.Seq, Now: store.Pending, Reason: failure.Error(), At: now, Next: next}
}

// pause is the time before the next attempt after n+1 failed ones, with up to a tenth of jitter, so that rooms that
// failed together do not come back together.
func (s *Sender) pause(n int) time.Duration {
	p := s.RetryPauses[min(n, len(s.RetryPauses)-1)]
	return p + time.Duration(rand.Int64N(int64(p)/10+1))
}

// sleep returns false when ctx ended instead.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
