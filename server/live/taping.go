package live

import (
	"context"
	"time"

	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/store"
)

// taping is the recording of a live stream: of what its playlists have. A nil one records nothing.
type taping struct {
	*recorder
	b *broadcast
}

// newTaping returns nil when nothing of the live stream is to be kept.
func newTaping(b *broadcast) *taping {
	what := b.record.Recording
	if !what.HLSVOD && !what.SingleFilePerLayer || b.m.cfg.Recordings == nil {
		return nil
	}
	spec := recording.Spec{
		ID: b.record.ID, Customer: b.key.Customer, Room: b.key.Room, Session: b.record.SessionID, Began: b.initTime,
		VOD: what.HLSVOD, Files: what.SingleFilePerLayer,
	}
	if r := b.dest.Recording; r != nil {
		spec.URLsFor, spec.Thumbnails = time.Duration(r.PresignDuration)*time.Second, r.Thumbnails
	}
	t := &taping{newRecorder(b.m, b.room, protocol.RecordHLS, spec, nil), b}
	if b.resumed {
		err := t.resume(spec.ID)
		if err == nil {
			return t
		}
		b.log.Warn("recording begins anew", "err", err) // if there is nothing of it
	}
	t.announce()
	return t
}

// keep begins with the first playlists, and goes on with those that follow. What it returns is given their segments.
func (t *taping) keep(layers []policy.HLSLayer) func(hls.Segment) {
	if t == nil {
		return nil
	}
	segment := t.begin(t.b.frameRate(), t.wanted(layers))
	if segment == nil {
		t.b.log.Error("live stream is not recorded", "err", t.failed())
		return nil
	}
	t.started()
	return segment
}

// wanted are the layers that the template wants kept, of those that there are: all if it names none.
func (t *taping) wanted(layers []policy.HLSLayer) (kept []recording.Layer) {
	named := map[[2]int]bool{}
	if r := t.b.dest.Recording; r != nil {
		for _, l := range r.Layers {
			named[[2]int{l.Width, l.Height}] = true
		}
	}
	for i, l := range layers {
		if len(named) == 0 || named[[2]int{l.Width, l.Height}] {
			kept = append(kept, recording.Layer{Rendition: i, Bitrate: (l.VideoBitrate + l.AudioBitrate) * 1000})
		}
	}
	if len(kept) == 0 { // a layout of another shape has other sizes
		kept = []recording.Layer{{Rendition: 0, Bitrate: (layers[0].VideoBitrate + layers[0].AudioBitrate) * 1000}}
	}
	return kept
}

var errNotRecorded = protocol.Errorf(protocol.CodeBadRequest, "the live stream is not being recorded")

// PauseHLSRecording pauses or resumes the recording of the room's live stream. Code 404 when there is no live stream, 400
// when it is not being recorded.
func (m *Manager) PauseHLSRecording(roomID string, paused bool) error {
	b := m.broadcast(roomID)
	switch {
	case b == nil:
		return errNotRunning
	case b.taping == nil || !b.taping.pause(paused):
		return errNotRecorded
	}
	return nil
}

// end ends the recording, after the record of the live stream says that files are to come.
func (t *taping) end(ctx context.Context) {
	if t == nil || t.recorder.end() {
		return
	}
	r := store.Recorded{ID: t.spec.ID, At: time.Now(), Failure: "nothing was recorded"}
	if err := t.failed(); err != nil {
		r.Failure = err.Error()
	}
	if err := t.b.m.cfg.Store.RecordingDone(ctx, r); err != nil {
		t.b.log.Error("end of the recording could not be recorded", "err", err)
	}
}
