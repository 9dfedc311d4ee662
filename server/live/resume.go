package live

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"amphi/server/hls"
	"amphi/server/store"
)

// Resume goes on with the live streams that a server left which was killed: their rooms must have been made again
// already, and their recordings not yet be finished. Players find the same address, and recordings and events go on
// where they were; what cannot go on has failed. It is called once, before anything else.
func (m *Manager) Resume(ctx context.Context) error {
	left, err := m.cfg.Store.InterruptedLiveStreams(ctx)
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
	m.running.Go(func() { m.discard(kept) })
	return nil
}

func (m *Manager) resume(ctx context.Context, l store.LiveStream) error {
	r := m.cfg.Rooms.Lookup(l.RoomID)
	if r == nil || r.Info().SessionID != l.SessionID {
		return errors.New("its session has ended")
	}
	_, err := m.Start(ctx, r, Options{Destination: l.Destination, MeetingURL: l.MeetingURL, StartedBy: l.StartedBy, resumed: &l})
	return err
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
