package store

import (
	"context"
	"errors"
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

// NextEvent returns the oldest pending event of a room: no other one of the room may be delivered before it is
// finished. ok is false when there is none.
func (s *Store) NextEvent(ctx context.Context, roomID string) (e Event, ok bool, err error) {
	err = s.query(ctx).row(`SELECT seq, event_id, workspace_id, room_id, type, payload, attempts, next_at, created_at
		FROM outbox WHERE state = 'pending' AND room_id = ? ORDER BY seq LIMIT 1`, roomID).
		Scan(&e.Seq, &e.ID, &e.WorkspaceID, &e.RoomID, &e.Type, &e.Payload, &e.Attempts, (*timestamp)(&e.NextAt), (*timestamp)(&e.CreatedAt))
	if errors.Is(err, errNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// Receiver returns where the room's events go now, and the secret that signs them.
func (s *Store) Receiver(ctx context.Context, roomID string) (w Webhook, secret string, err error) {
	q := s.query(ctx)
	room, err := q.anyRoom(roomID)
	if err != nil {
		return w, "", err
	}
	owner, err := q.workspace(room.WorkspaceID)
	if room.Webhook != nil {
		return *room.Webhook, owner.WebhookSecret, err
	}
	return owner.Webhook, owner.WebhookSecret, err
}

// EventDelivered finishes an event: the receiver has it.
func (s *Store) EventDelivered(ctx context.Context, seq int64, at time.Time) error {
	return s.finishEvent(ctx, seq, "delivered", "", at)
}

// EventDead finishes an event as a dead letter: it is kept, but not tried again.
func (s *Store) EventDead(ctx context.Context, seq int64, reason string, at time.Time) error {
	return s.finishEvent(ctx, seq, "dead", reason, at)
}

func (s *Store) finishEvent(ctx context.Context, seq int64, state, reason string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE outbox SET state = ?, attempts = attempts + 1, last_error = ?, finished_at = ? WHERE seq = ? AND state = 'pending'`,
			state, reason, millis(at), seq)
		return err
	})
}

// EventFailed records an attempt that failed; the next one is not before next.
func (s *Store) EventFailed(ctx context.Context, seq int64, reason string, next time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE outbox SET attempts = attempts + 1, last_error = ?, next_at = ? WHERE seq = ? AND state = 'pending'`,
			reason, millis(next), seq)
		return err
	})
}

// PruneEvents forgets finished events from before that time, and says how many.
func (s *Store) PruneEvents(ctx context.Context, before time.Time) (int64, error) {
	var n int64
	err := s.update(ctx, func(t *tx) (err error) {
		n, err = t.exec(`DELETE FROM outbox WHERE state <> 'pending' AND finished_at < ?`, millis(before))
		return err
	})
	return n, err
}

// CountEvents returns the number of events in each state: pending, delivered, dead.
func (s *Store) CountEvents(ctx context.Context) (map[string]int, error) {
	rows, err := s.query(ctx).rows(`SELECT state, COUNT(*) FROM outbox GROUP BY state`)
	type count struct {
		state string
		n     int
	}
	counts, err := collect(rows, err, func(row scanner) (c count, err error) {
		err = row.Scan(&c.state, &c.n)
		return c, err
	})
	m := make(map[string]int, len(counts))
	for _, c := range counts {
		m[c.state] = c.n
	}
	return m, err
}
