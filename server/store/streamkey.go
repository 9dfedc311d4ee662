package store

import (
	"context"
	"encoding/base64"
	"time"
)

// StreamKey lets whoever knows it send a room's live stream in. A room has one that is enabled at most.
type StreamKey struct {
	ID          string
	WorkspaceID string
	RoomID      string
	Key         string // secret
	Enabled     bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

const streamKeyColumns = `id, workspace_id, room_id, key, enabled, created_at, updated_at`

func scanStreamKey(row scanner) (k StreamKey, err error) {
	err = row.Scan(&k.ID, &k.WorkspaceID, &k.RoomID, &k.Key, &k.Enabled, (*timestamp)(&k.CreatedAt), (*timestamp)(&k.UpdatedAt))
	return k, err
}

// StreamKey returns the room's key.
func (s *Store) StreamKey(ctx context.Context, roomID string) (StreamKey, error) {
	k, err := scanStreamKey(s.query(ctx).row(`SELECT `+streamKeyColumns+` FROM stream_keys WHERE room_id = ? AND enabled`, roomID))
	return k, found(err, "stream key of room", roomID)
}

// NewStreamKey makes a key for a room. ErrConflict when it has one.
func (s *Store) NewStreamKey(ctx context.Context, roomID string) (StreamKey, error) {
	var k StreamKey
	err := s.update(ctx, func(t *tx) error {
		room, err := t.room(roomID)
		if err != nil {
			return err
		}
		now := trunc(time.Now())
		k = StreamKey{ID: NewID(), WorkspaceID: room.WorkspaceID, RoomID: roomID, Key: newSecret(24, base64.RawURLEncoding), Enabled: true,
			CreatedAt: now, UpdatedAt: now}
		_, err = t.exec(`INSERT INTO stream_keys (`+streamKeyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.WorkspaceID, k.RoomID, k.Key, k.Enabled, millis(now), millis(now))
		return t.conflict(err, "stream key of room", roomID)
	})
	return k, err
}

// DisableStreamKey takes the room's key away.
func (s *Store) DisableStreamKey(ctx context.Context, roomID string) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE stream_keys SET enabled = ?, updated_at = ? WHERE room_id = ? AND enabled`, false, time.Now().UnixMilli(), roomID)
		return changed(n, err, "stream key of room", roomID)
	})
}
