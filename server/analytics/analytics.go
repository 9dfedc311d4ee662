// Package analytics keeps what happened in sessions besides their records: tracks that came and went, errors that clients
// met, how good their media was, and what was said.
//
// What it promises: the rooms never wait for it. Events go into a bounded queue and from there, some at a time, into the
// store; what the queue has no place for is dropped and counted, and a kill loses what happened in the last half second.
// It is for people who look back, not for accounting: sessions and peers have records, which lose nothing.
package analytics

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/room"
	"amphi/server/store"
)

const (
	queueSize    = 8192                   // events and reports that wait to be written
	batchSize    = 256                    // rows in one transaction
	batchEvery   = 500 * time.Millisecond // while there is something to write
	writeTimeout = 30 * time.Second
	pruneEvery   = time.Hour
)

// Config is what a Collector needs.
type Config struct {
	Store *store.Store
	Keep  time.Duration // events and reports are forgotten after that
	Most  int           // and all but so many of each
	// Messages are forgotten after KeepChat, and all but MostChat of them. 0: none are written.
	KeepChat time.Duration
	MostChat int
	Log      *slog.Logger
}

// Collector writes what it hears of. It is a room.Observer but for refusals.
type Collector struct {
	cfg   Config
	queue chan row
	stop  context.CancelFunc // of what takes long
	wg    sync.WaitGroup

	mu     sync.RWMutex // held while queueing, so that none comes after the close
	closed bool

	stats struct{ written, dropped, refused atomic.Uint64 }
}

// row is one of these.
type row struct {
	event   *store.AnalyticsEvent
	report  *store.PeerReport
	message *store.ChatMessage
}

// Stats counts since the start.
type Stats struct {
	Waiting int64
	Written uint64
	Dropped uint64 // the queue was full, or the database failed
	Refused uint64 // reports of clients that are not what they should be
}

// New starts a collector.
func New(cfg Config) *Collector {
	ctx, stop := context.WithCancel(context.Background())
	c := &Collector{cfg: cfg, queue: make(chan row, queueSize), stop: stop}
	c.wg.Go(c.write)
	c.wg.Go(func() { c.prune(ctx) })
	return c
}

// Close writes what waits and ends the collector. What comes later is dropped.
func (c *Collector) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
	}
	c.mu.Unlock()
	c.stop()
	c.wg.Wait()
}

// Stats returns the counters.
func (c *Collector) Stats() Stats {
	return Stats{int64(len(c.queue)), c.stats.written.Load(), c.stats.dropped.Load(), c.stats.refused.Load()}
}

// add queues a row. It does not block.
func (c *Collector) add(r row) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		select {
		case c.queue <- r:
			return
		default:
		}
	}
	c.stats.dropped.Add(1)
}

// write runs until the queue is closed and empty.
func (c *Collector) write() {
	for first := range c.queue {
		batch := c.gather(first)
		var events []store.AnalyticsEvent
		var reports []store.PeerReport
		var messages []store.ChatMessage
		for _, r := range batch {
			switch {
			case r.event != nil:
				events = append(events, *r.event)
			case r.report != nil:
				reports = append(reports, *r.report)
			default:
				messages = append(messages, *r.message)
			}
		}
		if n := len(events) + len(reports); n > 0 {
			c.wrote(n, func(ctx context.Context) error { return c.cfg.Store.AddAnalytics(ctx, events, reports) })
		}
		if n := len(messages); n > 0 {
			c.wrote(n, func(ctx context.Context) error { return c.cfg.Store.AddChat(ctx, messages...) })
		}
	}
}

// wrote writes n rows and counts them.
func (c *Collector) wrote(n int, write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := write(ctx); err != nil {
		c.stats.dropped.Add(uint64(n))
		c.cfg.Log.Error("could not write analytics", "rows", n, "err", err)
		return
	}
	c.stats.written.Add(uint64(n))
}

// Said records a message of a room.
func (c *Collector) Said(i room.Info, s room.Saying) {
	if c.cfg.KeepChat == 0 {
		return
	}
	c.add(row{message: &store.ChatMessage{SessionID: i.SessionID, PeerID: s.From.PeerID, Name: s.From.Name, UserID: s.From.UserID,
		Roles: s.Event.Roles, Type: s.Event.Info.Type, Message: s.Event.Info.Message, SentAt: time.UnixMilli(s.Event.Timestamp)}})
}

// gather waits a little for what comes after first.
func (c *Collector) gather(first row) []row {
	batch := []row{first}
	t := time.NewTimer(batchEvery)
	defer t.Stop()
	for len(batch) < batchSize {
		select {
		case r, ok := <-c.queue:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		case <-t.C:
			return batch
		}
	}
	return batch
}

func (c *Collector) prune(ctx context.Context) {
	t := time.NewTicker(pruneEvery)
	defer t.Stop()
	for {
		n, err := c.cfg.Store.PruneAnalytics(ctx, time.Now().Add(-c.cfg.Keep), c.cfg.Most)
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("could not prune analytics", "err", err)
		}
		chat, err := c.cfg.Store.PruneChat(ctx, time.Now().Add(-c.cfg.KeepChat), c.cfg.MostChat)
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Error("could not prune the chat", "err", err)
		}
		if n+chat > 0 {
			c.cfg.Log.Debug("pruned analytics", "rows", n, "messages", chat)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
