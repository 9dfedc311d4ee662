package live

import (
	"errors"
	"sync"
	"time"

	"amphi/server/hls"
	"amphi/server/protocol"
	"amphi/server/recording"
	"amphi/server/room"
)

// recorder is a recording of a stream: its tape, and what the room is told of it. What is recorded begins with the first
// segments that there are, and may be paused before.
type recorder struct {
	tapes *recording.Manager
	room  *room.Room
	kind  string // of the room's recordings: protocol.RecordHLS or RecordBrowser
	stop  func() // is called when the recording ends by itself; may be nil

	mu      sync.Mutex
	spec    recording.Spec  // without layers until they are known
	tape    *recording.Tape // nil until there is something to record, and when that failed
	paused  bool
	failure error
	state   protocol.RunState
}

// newRecorder prepares a recording of a room.
func newRecorder(m *Manager, r *room.Room, kind string, spec recording.Spec, stop func()) *recorder {
	c := &recorder{tapes: m.cfg.Recordings, room: r, kind: kind, stop: stop, spec: spec,
		state: protocol.RunState{Enabled: true, State: protocol.StateInitialised, InitialisedAt: spec.Began.UnixMilli()}}
	c.spec.Failed = c.fail
	return c
}

// resume goes on with a recording that the server before left.
func (c *recorder) resume(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	tape, err := c.tapes.Resume(id, c.fail)
	if err != nil {
		return err
	}
	c.tape, c.spec, c.paused = tape, tape.Spec(), tape.Paused()
	c.state.InitialisedAt = c.spec.Began.UnixMilli()
	c.state.StartedAt = c.state.InitialisedAt
	c.tell(protocol.StateStarted)
	if c.paused {
		c.tell(protocol.StatePaused)
	}
	return nil
}

// announce tells that the room will be recorded.
func (c *recorder) announce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(protocol.StateInitialised)
}

// begin returns what takes segments; nil when nothing is recorded any more. The first call begins the recording, of
// those layers.
func (c *recorder) begin(frameRate int, layers []recording.Layer) func(hls.Segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tape == nil && c.failure == nil {
		c.spec.FrameRate, c.spec.Layers = frameRate, layers
		if c.tape, c.failure = c.tapes.Begin(c.spec); c.failure != nil {
			c.tell(protocol.StateFailed)
			return nil
		}
		c.tape.Pause(c.paused)
	}
	if c.failure != nil {
		return nil
	}
	return c.tape.Segment
}

// started tells, once, that what happens is recorded from now on.
func (c *recorder) started() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.StartedAt != 0 {
		return
	}
	c.state.StartedAt = time.Now().UnixMilli()
	c.tell(protocol.StateStarted)
	if c.paused {
		c.tell(protocol.StatePaused)
	}
}

// pause leaves out what follows, or no longer does. It reports whether anything is recorded.
func (c *recorder) pause(paused bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.state.Enabled {
		return false
	}
	c.paused = paused
	if c.tape != nil {
		c.tape.Pause(paused)
	}
	if paused {
		c.tell(protocol.StatePaused)
	} else {
		c.tell(protocol.StateResumed)
	}
	return true
}

// fail ends the recording with the first failure.
func (c *recorder) fail(err error) {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = err
		c.tell(protocol.StateFailed)
	}
	c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	}
}

// failed is why the recording has not all that it should.
func (c *recorder) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// end ends the recording, whose files follow. It reports whether there is anything to make them of.
func (c *recorder) end() (recorded bool) {
	c.mu.Lock()
	tape := c.tape
	c.mu.Unlock()
	if tape != nil {
		tape.End()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(protocol.StateStopped)
	return tape != nil
}

// tell tells the room, with mu held, so that it hears all in their order. After an end there is nothing to tell.
func (c *recorder) tell(state string) {
	if !c.state.Enabled {
		return
	}
	c.state.State, c.state.Enabled = state, state != protocol.StateFailed && state != protocol.StateStopped
	if state == protocol.StateFailed && !errors.As(c.failure, &c.state.Error) {
		c.state.Error = protocol.Errorf(protocol.CodeInternal, "%v", c.failure)
	}
	c.room.SetRecording(c.kind, c.state)
}
