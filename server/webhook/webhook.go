// Package webhook delivers the events of the store's outbox to the receivers that workspaces and rooms name.
//
// What it promises: an event is delivered at least once, and events of one room in order: the next one is not tried
// before the one ahead of it was delivered or given up. Attempts are repeated with growing pauses; an event that could
// not be delivered for RetryFor becomes a dead letter, which is kept but not tried again. A slow or broken receiver
// delays the rooms that name it, nobody else. All of it survives a kill: what was not recorded as delivered is sent
// again, under the same webhook-id.
package webhook

import (
	"context"
	"fmt"
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

// Bounds of what goes on at once.
const (
	maxAttempts        = 128 // at all receivers together
	maxAttemptsPerHost = 16  // at one receiver, so that it cannot take all of the above by answering slowly
)

const (
	rescanEvery = time.Minute     // finds events that were written by another process
	pruneEvery  = time.Hour       //
	errorPause  = 5 * time.Second // after the database failed
	drain       = 2 * time.Second // that a stopping sender gives to attempts on their way
)

// Sender delivers events. Set the exported fields, then call Run.
type Sender struct {
	Store         *store.Store
	AllowNetworks []netip.Prefix  // private networks that events may be sent to
	Timeout       time.Duration   // of one attempt
	RetryPauses   []time.Duration // after the first, second, … failed attempt; the last one repeats
	RetryFor      time.Duration
	Keep          time.Duration // finished events are forgotten after that
	Resolver      *net.Resolver // nil: the system's
	Log           *slog.Logger

	client *http.Client
	slots  chan struct{}
	hosts  hostSlots
	stats  struct{ delivered, failed, dead atomic.Uint64 }

	mu    sync.Mutex
	rooms map[string]*roomWork // rooms whose events are being delivered; bounded by the rooms with pending events
	wg    sync.WaitGroup
}

// roomWork is the state of a room's goroutine. It ends when it finds no event; more says that one may have come since
// it looked.
type roomWork struct{ more bool }

// Stats counts attempts and their outcomes since Run was called.
type Stats struct {
	Delivered uint64
	Failed    uint64 // attempts
	Dead      uint64
}

// Stats returns the counters.
func (s *Sender) Stats() Stats {
	return Stats{s.stats.delivered.Load(), s.stats.failed.Load(), s.stats.dead.Load()}
}

// Run delivers events until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	s.client = newClient(s.AllowNetworks, s.Resolver)
	defer s.client.CloseIdleConnections()
	s.slots = make(chan struct{}, maxAttempts)
	s.rooms = make(map[string]*roomWork)

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
	s.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.Store.Fresh():
			for _, id := range s.Store.FreshRooms() {
				s.serve(ctx, hard, id)
			}
		case <-rescan.C:
			s.scan(ctx, hard)
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
	n, err := s.Store.PruneEvents(ctx, time.Now().Add(-s.Keep))
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
		for s.deliverNext(ctx, hard, roomID) || s.cameMeanwhile(ctx, roomID, w) {
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

// deliverNext waits for the time of the room's next event and makes one attempt. It returns false when there is no event,
// or the sender stops.
func (s *Sender) deliverNext(ctx, hard context.Context, roomID string) bool {
	e, ok, err := s.Store.NextEvent(ctx, roomID)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("could not read a webhook event", "room", roomID, "err", err)
		}
		return sleep(ctx, errorPause)
	}
	if !ok || !sleep(ctx, time.Until(e.NextAt)) {
		return false
	}
	to, secret, err := s.Store.Receiver(ctx, roomID)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("could not read where webhook events go", "room", roomID, "err", err)
		}
		return sleep(ctx, errorPause)
	}
	if to.URL == "" {
		return s.record(ctx, e, s.Store.EventDead(hard, e.Seq, "no webhook is configured any more", time.Now()))
	}
	host := hostOf(to.URL)
	if !s.hosts.acquire(ctx, host) {
		return false
	}
	defer s.hosts.release(host)
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return false
	}
	return s.attempt(ctx, hard, e, to, secret)
}

// attempt sends the event once and records how it went.
func (s *Sender) attempt(ctx, hard context.Context, e store.Event, to store.Webhook, secret string) bool {
	failure := send(hard, s.client, s.Timeout, e, to, secret)
	log := s.Log.With("event", e.ID, "type", e.Type, "room", e.RoomID, "attempt", e.Attempts+1)
	if failure == nil {
		s.stats.delivered.Add(1)
		log.Debug("webhook delivered")
		return s.record(ctx, e, s.Store.EventDelivered(context.WithoutCancel(ctx), e.Seq, time.Now()))
	}
	if hard.Err() != nil {
		return false // cut by ourselves: no fault of the receiver
	}
	s.stats.failed.Add(1)
	now := time.Now()
	next := now.Add(s.pause(e.Attempts))
	if next.Sub(e.CreatedAt) > s.RetryFor {
		s.stats.dead.Add(1)
		log.Error("webhook given up: the event is a dead letter", "err", failure)
		return s.record(ctx, e, s.Store.EventDead(context.WithoutCancel(ctx), e.Seq, failure.Error(), now))
	}
	level := slog.LevelDebug
	if e.Attempts == 0 { // once per event is enough
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "webhook attempt failed", "err", failure, "next", next)
	return s.record(ctx, e, s.Store.EventFailed(context.WithoutCancel(ctx), e.Seq, failure.Error(), next))
}

// record reports a database that did not take the outcome. The event will be sent again: at least once.
func (s *Sender) record(ctx context.Context, e store.Event, err error) bool {
	if err == nil {
		return ctx.Err() == nil
	}
	s.Log.Error("could not record a webhook attempt", "event", e.ID, "err", err)
	return sleep(ctx, errorPause)
}

// pause is the time before the next attempt after n+1 failed ones, with a tenth of jitter, so that rooms that failed
// together do not come back together.
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

// hostSlots bounds the attempts at each host. A host is forgotten when nobody uses or awaits a slot of it.
type hostSlots struct {
	mu    sync.Mutex
	hosts map[string]*hostSlot
}

type hostSlot struct {
	slots chan struct{}
	users int // holding or awaiting a slot; guarded by hostSlots.mu
}

func (h *hostSlots) acquire(ctx context.Context, host string) bool {
	h.mu.Lock()
	if h.hosts == nil {
		h.hosts = make(map[string]*hostSlot)
	}
	s := h.hosts[host]
	if s == nil {
		s = &hostSlot{slots: make(chan struct{}, maxAttemptsPerHost)}
		h.hosts[host] = s
	}
	s.users++
	h.mu.Unlock()
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		h.leave(host, s)
		return false
	}
}

func (h *hostSlots) release(host string) {
	h.mu.Lock()
	s := h.hosts[host]
	h.mu.Unlock()
	<-s.slots
	h.leave(host, s)
}

func (h *hostSlots) leave(host string, s *hostSlot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(h.hosts, host)
	}
}

// statusError is an answer other than 2xx.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("receiver answered %d %s", int(e), http.StatusText(int(e)))
}
