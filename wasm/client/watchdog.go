package client

import (
	"context"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// watchdog repairs a connection that does not get or stay connected (§4.8): it
// calls restart, again after 1, 2, 4 … seconds, and ends the call when a minute
// of that was in vain. The minute does not run while there is no signalling: then
// nothing can be mended, and the session has a minute of its own for that. A
// subscribe connection has no restart: the server must offer anew, and the client
// only waits.
type watchdog struct {
	s       *session
	restart func(context.Context) error // nil for the subscribe connection
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	present webrtc.PeerConnectionState
	running bool
}

func newWatchdog(s *session, restart func(context.Context) error) *watchdog {
	w := &watchdog{s: s, restart: restart}
	w.ctx, w.stop = context.WithCancel(s.ctx)
	return w
}

// state takes a change of the connection's state.
func (w *watchdog) state(state webrtc.PeerConnectionState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.present = state
	bad := state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateDisconnected ||
		state == webrtc.PeerConnectionStateConnecting
	if bad && state != webrtc.PeerConnectionStateConnecting {
		w.s.link.doubt()
	}
	if bad && !w.running {
		w.running = true
		failed := state == webrtc.PeerConnectionStateFailed
		spawn(func() { w.repair(failed) })
	}
}

func (w *watchdog) good() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.present == webrtc.PeerConnectionStateConnected {
		w.running = false
		return true
	}
	return false
}

func (w *watchdog) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.present == webrtc.PeerConnectionStateFailed
}

const watchStep = 100 * time.Millisecond

// until waits for the connection to be good, for at most d.
func (w *watchdog) until(d time.Duration, orFailed bool) (good bool) {
	for deadline := time.Now().Add(d); ; {
		if w.good() {
			return true
		}
		if orFailed && w.failed() || time.Now().After(deadline) || !sleep(w.ctx, watchStep) {
			return false
		}
	}
}

func (w *watchdog) repair(failed bool) {
	if !failed && w.until(w.s.timing.mediaGrace, true) || w.ctx.Err() != nil {
		return
	}
	cause := "subscribe"
	if w.restart != nil {
		cause = "publish"
	}
	problem := newError(codeICEFailed, "RECONNECT", "%s connection is not connected", cause)
	w.s.trouble(cause, problem)
	defer w.s.calm(cause)
	var inVain time.Duration
	for wait := time.Second; inVain < w.s.timing.reconnectFor; wait = min(2*wait, 8*time.Second) {
		began, could := time.Now(), w.s.link.isUp()
		if w.restart != nil {
			if err := w.restart(w.ctx); err != nil {
				w.s.c.log.Debug("ICE restart", "err", err)
			}
		}
		if w.until(wait, false) {
			return
		}
		if w.ctx.Err() != nil {
			return
		}
		if could {
			inVain += time.Since(began)
		}
	}
	w.s.end(terminal(problem), "sdk request")
}
