package store

import (
	"context"
	"time"
)

// Event is a webhook event in the outbox.
type Event struct {
	Seq         int64  // order of delivery within a room
	ID          string // UUID, the same in every attempt
	WorkspaceID string
	RoomID      string
	Type        string
	Payload     []byte    // the request's body
	Attempts    int       // so far
	NextAt      time.Time // not before; zero: at once
	CreatedAt   time.Time
}

// Fresh receives when rooms got events since the last FreshRooms.
func (s *Store) Fresh() <-chan struct{} { return s.wake }

// FreshRooms returns the rooms that got events since the last call.
func (s *Store) FreshRooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := make([]string, 0, len(s.fresh))
	for id := range s.fresh {
		rooms = append(rooms, id)
	}
	clear(s.fresh)
	return rooms
}

// announce tells the reader of Fresh about rooms with new events.
func (s *Store) announce(rooms map[string]struct{}) {
	if len(rooms) == 0 {
		return
	}
	s.mu.Lock()
	for id := range rooms {
		s.fresh[id] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// RoomsWithEvents returns all rooms that have pending events.
func (s *Store) RoomsWithEvents(ctx context.Context) ([]string, error) {
	return s.query(ctx).strings(`SELECT DISTINCT room_id FROM outbox WHERE state = 'pending'`)
}

// NextEvents returns the oldest pending events of a room, at most limit, in the order in which they must be finished:
// none of the room may be delivered before those ahead of it are.
func (s *Store) NextEvents(ctx context.Context, roomID string, limit int) ([]Event, error) {
	rows, err := s.query(ctx).rows(`SELECT `+eventColumns+` FROM outbox WHERE state = 'pending' AND room_id = ? ORDER BY seq LIMIT ?`, roomID, limit)
	return collect(rows, err, scanEvent)
}

const eventColumns = `seq, event_id, workspace_id, room_id, type, payload, attempts, next_at, created_at`

// eventFields is where eventColumns are scanned to.
func eventFields(e *Event) []any {
	return []any{&e.Seq, &e.ID, &e.WorkspaceID, &e.RoomID, &e.Type, &e.Payload, &e.Attempts, (*timestamp)(&e.NextAt), (*timestamp)(&e.CreatedAt)}
}

func scanEvent(row scanner) (e Event, err error) {
	err = row.Scan(eventFields(&e)...)
	return e, err
}

// Receiver is where a room's events go now.
type Receiver struct {
	Webhook
	Secrets []string // that sign them, each on its own
}

// Receiver returns where the room's events go: to its own webhook, or the workspace's.
func (s *Store) Receiver(ctx context.Context, roomID string) (v Receiver, err error) {
	q := s.query(ctx)
	room, err := q.anyRoom(roomID)
	if err != nil {
		return v, err
	}
	owner, err := q.workspace(room.WorkspaceID)
	if err != nil {
		return v, err
	}
	v.Webhook = owner.Webhook
	v.Secrets, err = q.webhookSecrets(owner)
	if room.Webhook != nil {
		v.Webhook = *room.Webhook
	}
	return v, err
}

// WorkspaceReceiver returns where the events of rooms go that have no webhook of their own.
func (s *Store) WorkspaceReceiver(ctx context.Context, workspaceID string) (v Receiver, err error) {
	q := s.query(ctx)
	owner, err := q.workspace(workspaceID)
	if err != nil {
		return v, err
	}
	v.Webhook = owner.Webhook
	v.Secrets, err = q.webhookSecrets(owner)
	return v, err
}

// Delivery is what became of an event.
type Delivery string

// The fates of an event. A dead letter is kept, but not tried again unless somebody replays it.
const (
	Pending   Delivery = "pending"
	Delivered Delivery = "delivered"
	Dead      Delivery = "dead"
)

// Outcome is how an attempt at an event went.
type Outcome struct {
	Seq    int64
	Now    Delivery // Pending: to be tried again, not before Next
	URL    string   // where it went
	Reason string   // of a failure
	At     time.Time
	Next   time.Time
}

// Settle records outcomes, all in one transaction: a commit costs the same for one and for a hundred. An event that is
// finished already stays as it is.
func (s *Store) Settle(ctx context.Context, outcomes ...Outcome) error {
	return s.update(ctx, func(t *tx) error {
		for _, o := range outcomes {
			finished := millis(o.At)
			if o.Now == Pending {
				finished = 0
			}
			_, err := t.exec(`UPDATE outbox SET state = ?, attempts = attempts + 1, url = ?, last_error = ?, next_at = ?, finished_at = ?
				WHERE seq = ? AND state = 'pending'`, string(o.Now), o.URL, o.Reason, millis(o.Next), finished, o.Seq)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// pruneBatch is how many rows one transaction deletes: writers wait for it.
const pruneBatch = 500

// PruneEvents forgets finished events: those from before that time, and all but the newest most. It says how many.
func (s *Store) PruneEvents(ctx context.Context, before time.Time, most int) (int64, error) {
	limit := millis(before)
	var newest []int64
	rows, err := s.query(ctx).rows(`SELECT finished_at FROM outbox WHERE state <> 'pending' ORDER BY finished_at DESC LIMIT 1 OFFSET ?`, most)
	newest, err = collect(rows, err, func(row scanner) (v int64, err error) { err = row.Scan(&v); return v, err })
	if err != nil {
		return 0, err
	}
	if len(newest) == 1 { // the newest one of those that are too many; others of its millisecond go with it
		limit = max(limit, newest[0]+1)
	}
	return s.prune(ctx, `DELETE FROM outbox WHERE seq IN
		(SELECT seq FROM outbox WHERE state <> 'pending' AND finished_at < ? ORDER BY finished_at LIMIT ?)`, limit)
}

// prune runs a statement that deletes what is older than limit, a batch at a time, until nothing is left.
func (s *Store) prune(ctx context.Context, statement string, limit any) (total int64, err error) {
	for {
		var n int64
		err := s.update(ctx, func(t *tx) (err error) {
			n, err = t.exec(statement, limit, pruneBatch)
			return err
		})
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
}

// CountEvents returns the number of events in each state.
func (s *Store) CountEvents(ctx context.Context) (map[Delivery]int, error) {
	rows, err := s.query(ctx).rows(`SELECT state, COUNT(*) FROM outbox GROUP BY state`)
	type count struct {
		state Delivery
		n     int
	}
	counts, err := collect(rows, err, func(row scanner) (c count, err error) {
		err = row.Scan(&c.state, &c.n)
		return c, err
	})
	m := make(map[Delivery]int, len(counts))
	for _, c := range counts {
		m[c.state] = c.n
	}
	return m, err
}
