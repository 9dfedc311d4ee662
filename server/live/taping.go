package live

import (
	"context"
	"sync"
	"time"

	"amphi/server/hls"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/store"
)

// taping is the recording of a live stream: of what its playlists have. A nil one records nothing.
type taping struct {
	b    *broadcast
	spec recording.Spec

	mu      sync.Mutex
	tape    *recording.Tape // nil until there is something to record, and when that failed
	paused  bool
	state   protocol.RunState
	failure error
}

// newTaping returns nil when nothing of the live stream is to be kept.
func newTaping(b *broadcast) *taping {
	what := b.record.Recording
	if !what.HLSVOD && !what.SingleFilePerLayer || b.m.cfg.Recordings == nil {
		return nil
	}
	t := &taping{b: b, state: protocol.RunState{Enabled: true, State: protocol.StateInitialised, InitialisedAt: b.initTime.UnixMilli()}}
	t.spec = recording.Spec{
		ID: b.record.ID, Customer: b.key.Customer, Room: b.key.Room, Session: b.record.SessionID, Began: b.initTime,
		VOD: what.HLSVOD, Files: what.SingleFilePerLayer, FrameRate: b.frameRate(), Failed: t.fail,
	}
	if r := b.dest.Recording; r != nil {
		t.spec.URLsFor = time.Duration(r.PresignDuration) * time.Second
	}
	b.room.SetRecording(protocol.RecordHLS, t.state)
	return t
}

// keep begins with the first playlists, and goes on with those that follow. What it returns is given their segments.
func (t *taping) keep(layers []policy.HLSLayer) func(hls.Segment) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tape == nil && t.failure == nil {
		t.spec.Layers = t.wanted(layers)
		if t.tape, t.failure = t.b.m.cfg.Recordings.Begin(t.spec); t.failure != nil {
			t.b.log.Error("live stream is not recorded", "err", t.failure)
			t.tell(protocol.StateFailed)
			return nil
		}
		t.tape.Pause(t.paused)
		t.tell(protocol.StateStarted)
	}
	if t.tape == nil {
		return nil
	}
	return t.tape.Segment
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

// tell tells the room what becomes of the recording, with mu held, so that it hears all in their order.
func (t *taping) tell(state string) {
	if !t.state.Enabled { // it is over
		return
	}
	t.state.State, t.state.Enabled = state, state != protocol.StateFailed && state != protocol.StateStopped
	switch state {
	case protocol.StateStarted:
		t.state.StartedAt = time.Now().UnixMilli()
	case protocol.StateFailed:
		t.state.Error = protocol.Errorf(protocol.CodeInternal, "%v", t.failure)
	}
	t.b.room.SetRecording(protocol.RecordHLS, t.state)
}

// fail is told when a tape ends by itself. The live stream goes on.
func (t *taping) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failure = err
	t.tell(protocol.StateFailed)
}

// pause leaves out what follows, or no longer does.
func (t *taping) pause(paused bool) error {
	if t == nil {
		return errNotRecorded
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failure != nil || !t.state.Enabled {
		return errNotRecorded
	}
	t.paused = paused
	if t.tape != nil {
		t.tape.Pause(paused)
	}
	state := protocol.StateResumed
	if paused {
		state = protocol.StatePaused
	}
	t.tell(state)
	return nil
}

var errNotRecorded = protocol.Errorf(protocol.CodeBadRequest, "the live stream is not being recorded")

// PauseHLSRecording pauses or resumes the recording of the room's live stream. Code 404 when there is no live stream, 400
// when it is not being recorded.
func (m *Manager) PauseHLSRecording(roomID string, paused bool) error {
	b := m.broadcast(roomID)
	if b == nil {
		return errNotRunning
	}
	return b.taping.pause(paused)
}

// end ends the recording, after the record of the live stream says that files are to come.
func (t *taping) end(ctx context.Context) {
	if t == nil {
		return
	}
	t.mu.Lock()
	tape, failure := t.tape, t.failure
	t.mu.Unlock()
	if tape != nil {
		tape.End()
	} else {
		r := store.Recorded{ID: t.spec.ID, At: time.Now(), Failure: "nothing was recorded"}
		if failure != nil {
			r.Failure = failure.Error()
		}
		if err := t.b.m.cfg.Store.RecordingDone(ctx, r); err != nil {
			t.b.log.Error("end of the recording could not be recorded", "err", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(protocol.StateStopped)
}
