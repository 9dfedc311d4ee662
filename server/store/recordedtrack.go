package store

import (
	"context"
	"time"
)

// TrackRef says whose track was recorded, and where. The ids of peer, stream and track are those of clients.
type TrackRef struct {
	RoomID    string
	SessionID string
	PeerID    string
	StreamID  string
	TrackID   string
	Kind      string // audio or video
}

func (r TrackRef) event() trackEvent {
	return trackEvent{RoomID: r.RoomID, SessionID: r.SessionID, PeerID: r.PeerID, StreamID: r.StreamID, TrackID: r.TrackID, TrackType: r.Kind}
}

// RecordedTrack is what became of the recording of a track.
type RecordedTrack struct {
	Track TrackRef
	At    time.Time
	File  RecordedFile // with the id of the recording; one that could not be made is a failed asset that says why
}

// TrackRecording tells that a track is recorded. Event track.recording.started.success.
func (s *Store) TrackRecording(ctx context.Context, r TrackRef, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		room, err := t.room(r.RoomID)
		if err != nil {
			return err
		}
		return t.event(room, trunc(at), "track.recording.started.success", r.event())
	})
}

// TrackRecorded records the file that the recording of a track left. Events track.recording.success or, when it could not
// be made, track.recording.failure. A recording that is on record already stays as it is.
func (s *Store) TrackRecorded(ctx context.Context, r RecordedTrack) error {
	return s.update(ctx, func(t *tx) error {
		room, err := t.room(r.Track.RoomID)
		if err != nil {
			return err
		}
		known, err := t.strings(`SELECT id FROM assets WHERE id = ?`, r.File.ID)
		if err != nil || len(known) > 0 {
			return err
		}
		f := r.File
		f.WorkspaceID, f.CreatedAt = room.WorkspaceID, trunc(r.At)
		if err := t.insertAsset(f.Asset); err != nil {
			return err
		}
		e := trackRecorded{r.Track.event(), recordedFile{Size: f.Size, Duration: f.Duration, RecordingID: f.ID, RecordingPath: f.Path, RecordingURL: f.URL}}
		if f.Status != AssetCompleted {
			e.ErrorMessage, _ = f.Metadata["error"].(string)
			return t.event(room, f.CreatedAt, "track.recording.failure", e)
		}
		return t.event(room, f.CreatedAt, "track.recording.success", e)
	})
}
