package store

import (
	"context"
	"errors"
	"time"
)

// LiveRoom is the state of an open session, as the room wrote it.
type LiveRoom struct {
	RoomID    string
	SessionID string
	State     string
}

// SaveLiveRoom keeps the state of an open session in place of the one before. It goes with the end of the session.
func (s *Store) SaveLiveRoom(ctx context.Context, r LiveRoom) error {
	return s.update(ctx, func(t *tx) error {
		v, _, err := t.sessionAndRoom(r.SessionID)
		if err != nil || !v.EndedAt.IsZero() {
			return err
		}
		_, err = t.exec(`INSERT INTO live_rooms (room_id, session_id, state_json, saved_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (room_id) DO UPDATE SET session_id = excluded.session_id, state_json = excluded.state_json, saved_at = excluded.saved_at`,
			r.RoomID, r.SessionID, r.State, millis(time.Now()))
		return err
	})
}

// LiveRooms returns the states of all open sessions.
func (s *Store) LiveRooms(ctx context.Context) ([]LiveRoom, error) {
	rows, err := s.query(ctx).rows(`SELECT l.room_id, l.session_id, l.state_json FROM live_rooms l JOIN sessions s ON s.id = l.session_id
		WHERE s.ended_at = 0 ORDER BY l.room_id`)
	return collect(rows, err, func(row scanner) (r LiveRoom, err error) {
		err = row.Scan(&r.RoomID, &r.SessionID, &r.State)
		return r, err
	})
}

// Beat records that a server is alive at that time. Recover asks for it.
func (s *Store) Beat(ctx context.Context, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO heartbeat (id, beat_at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at`, millis(at))
		return err
	})
}

// lastBeat returns when a server was last known to be alive; zero: never.
func (q querier) lastBeat() (time.Time, error) {
	var at timestamp
	err := q.row(`SELECT beat_at FROM heartbeat`).Scan(&at)
	if errors.Is(err, errNoRows) {
		err = nil
	}
	return time.Time(at), err
}
