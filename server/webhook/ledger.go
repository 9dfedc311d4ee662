package webhook

import (
	"context"
	"time"

	"amphi/server/store"
)

const (
	ledgerBatch   = 256              // outcomes in one transaction
	ledgerTimeout = 30 * time.Second // of one transaction
)

// ledger writes the outcomes of attempts. Those that come while a transaction is being committed share the next one, so
// that a commit to the disk does not bound the deliveries of all rooms together.
type ledger struct{ entries chan ledgerEntry }

type ledgerEntry struct {
	outcome store.Outcome
	written chan error
}

// start starts the writer; stop ends it once nobody records any more.
func (l *ledger) start(db *store.Store) (stop func()) {
	l.entries = make(chan ledgerEntry)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for first := range l.entries {
			l.write(db, l.gather(first))
		}
	}()
	return func() {
		close(l.entries)
		<-ended
	}
}

// gather returns an entry and those that wait beside it.
func (l *ledger) gather(first ledgerEntry) []ledgerEntry {
	batch := []ledgerEntry{first}
	for len(batch) < ledgerBatch {
		select {
		case e, ok := <-l.entries:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (l *ledger) write(db *store.Store, batch []ledgerEntry) {
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	outcomes := make([]store.Outcome, len(batch))
	for i, e := range batch {
		outcomes[i] = e.outcome
	}
	err := db.Settle(ctx, outcomes...)
	for _, e := range batch {
		e.written <- err
	}
}

// record returns once the outcome is on the disk.
func (l *ledger) record(o store.Outcome) error {
	e := ledgerEntry{o, make(chan error, 1)}
	l.entries <- e
	return <-e.written
}
