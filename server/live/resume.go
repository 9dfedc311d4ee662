package live

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"amphi/server/hls"
	"amphi/server/room"
	"amphi/server/store"
)

// Resume goes on with the live streams and the recordings that a server left which was killed: their rooms must have
// been made again already, and what was recorded not yet be finished. Players find the same address, and recordings and
// events go on where they were; what cannot go on has failed. It is called once, before anything else.
func (m *Manager) Resume(ctx context.Context) error {
	left, err := m.cfg.Store.InterruptedLiveStreams(ctx)
	if err != nil {
		return err
	}
	recordings, err := m.cfg.Store.InterruptedJobs(ctx, store.Recording)
	if err != nil {
		return err
	}
	var kept []string
	for _, l := range left {
		log := m.cfg.Log.With("room", l.RoomID, "stream", l.ID)
		err := m.resume(ctx, l)
		if err == nil {
			kept = append(kept, l.ID)
			continue
		}
		log.Error("live stream does not go on", "err", err)
		failed := store.Failure{At: time.Now(), Type: "INTERNAL_ERROR", Message: "Internal error"}
		if err := m.cfg.Store.LiveStreamFailed(ctx, l.ID, failed); err != nil && !errors.Is(err, store.ErrConflict) {
			log.Error("end could not be recorded", "err", err)
		}
	}
	for _, j := range recordings { // after the live streams, which say what is made of a room
		if err := m.resumeRecording(ctx, j); err != nil {
			m.cfg.Log.Error("recording does not go on", "room", j.RoomID, "recording", j.ID, "err", err)
			m.recordingFailed(ctx, j, err)
		}
	}
	m.running.Go(func() { m.discard(kept) })
	return nil
}

func (m *Manager) resume(ctx context.Context, l store.LiveStream) error {
	r, err := m.Reopened(l.RoomID, l.SessionID)
	if err != nil {
		return err
	}
	_, err = m.Start(ctx, r, Options{Destination: l.Destination, MeetingURL: l.MeetingURL, StartedBy: l.StartedBy, resumed: &l})
	return err
}

func (m *Manager) resumeRecording(ctx context.Context, j store.Job) error {
	r, err := m.Reopened(j.RoomID, j.SessionID)
	if err != nil {
		return err
	}
	if m.cfg.Recordings == nil {
		return errNoRecorder
	}
	return m.record(ctx, r, j)
}

// Reopened is the room of a session that the server before left.
func (m *Manager) Reopened(roomID, sessionID string) (*room.Room, error) {
	r := m.cfg.Rooms.Lookup(roomID)
	if r == nil || r.Info().SessionID != sessionID {
		return nil, errors.New("its session has ended")
	}
	return r, nil
}

// discard removes the segments of all streams but those, of servers before this one.
func (m *Manager) discard(but []string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-m.ending:
		case <-ctx.Done():
		}
		cancel()
	}()
	dirs, err := os.ReadDir(m.cfg.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.cfg.Log.Warn("old segments stay", "err", err)
	}
	for _, d := range dirs {
		if slices.Contains(but, d.Name()) {
			continue
		}
		if err := hls.Discard(ctx, filepath.Join(m.cfg.Dir, d.Name()), m.cfg.Bucket); err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("old segments stay", "err", err)
		}
	}
}
