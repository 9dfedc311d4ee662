package store

import (
	"context"
	"time"
)

// KeyHolder returns what a stream key opens; ErrNotFound also for one that was taken away.
func (s *Store) KeyHolder(ctx context.Context, key string) (StreamKey, error) {
	k, err := scanStreamKey(s.query(ctx).row(`SELECT `+streamKeyColumns+` FROM stream_keys WHERE key = ? AND enabled`, key))
	return k, found(err, "stream key", "given")
}

// Ingest is a stream that an encoder sends in with a stream key.
type Ingest struct {
	ID        string // from NewID
	RoomID    string
	StreamID  string // of the tracks on stage
	StartedAt time.Time
}

// Reasons why an ingest ends, as webhooks name them.
const (
	IngestClosed   = "stream closed"
	IngestExpired  = "reconnection window expired"
	IngestBroken   = "publish error"
	IngestInternal = "internal error"
)

// IngestStarted tells that an encoder is on stage. Event ingest.start.success.
func (s *Store) IngestStarted(ctx context.Context, i Ingest) error {
	return s.ingestEvent(ctx, i, i.StartedAt, "ingest.start.success", func(ref ingestRef) any { return i.started(ref) })
}

// IngestEnded tells that it is not any more; lost is when its last connection ended. Event ingest.end.success.
func (s *Store) IngestEnded(ctx context.Context, i Ingest, reason string, lost, at time.Time) error {
	return s.ingestEvent(ctx, i, at, "ingest.end.success", func(ref ingestRef) any {
		return ingestEnded{ingestStarted: i.started(ref), CompletedAt: at, LastDisconnectedAt: lost, Duration: seconds(i.StartedAt, at), Reason: reason}
	})
}

// IngestRefused tells that an encoder with the room's key was turned away. Event ingest.start.failure.
func (s *Store) IngestRefused(ctx context.Context, roomID, why string, at time.Time) error {
	return s.ingestEvent(ctx, Ingest{RoomID: roomID}, at, "ingest.start.failure", func(ref ingestRef) any {
		return ingestFailed{ingestRef: ref, ErrorMessage: why}
	})
}

func (i Ingest) started(ref ingestRef) ingestStarted {
	return ingestStarted{ingestRef: ref, IngestID: i.ID, StreamID: i.StreamID, StartedAt: i.StartedAt}
}

func (s *Store) ingestEvent(ctx context.Context, i Ingest, at time.Time, kind string, data func(ingestRef) any) error {
	return s.update(ctx, func(t *tx) error {
		room, err := t.room(i.RoomID)
		if err != nil {
			return err
		}
		w, err := t.workspace(room.WorkspaceID)
		if err != nil {
			return err
		}
		return t.event(room, at, kind, data(ingestRef{AccountID: w.ID, AppID: w.AppID, RoomID: room.ID, TemplateID: room.TemplateID}))
	})
}
