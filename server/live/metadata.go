package live

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"amphi/server/hls"
	"amphi/server/protocol"
	"amphi/server/room"
)

// Metadata implements [room.Streamer]. Players get the payloads when they come to the present picture.
func (m *Manager) Metadata(_ context.Context, r *room.Room, list []protocol.TimedMetadata) error {
	b := m.broadcast(r.ID())
	if b == nil {
		return errNotRunning
	}
	out := m.cfg.Origin.Stream(b.key)
	switch {
	case out == nil: // starting: there is no picture yet at which players could get it
		return errNotRunning
	case !b.dest.MetadataInserted:
		return protocol.Errorf(protocol.CodeBadRequest, "timed metadata is not enabled: enableMetadataInsertion of the destination %q is off", b.dest.Name)
	}
	now := time.Now()
	for _, md := range list {
		err := out.AddMetadata(hls.Metadata{ID: uuid.NewString(), Payload: md.Payload, Start: now, Duration: time.Duration(md.Duration) * time.Second})
		switch {
		case errors.Is(err, hls.ErrTooMuchMetadata):
			return protocol.Errorf(protocol.CodeTooMany, "too much timed metadata, slow down")
		case err != nil:
			return errNotRunning
		}
	}
	return nil
}
