package live

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
)

const (
	// silenceLimit is how long a worker may say nothing. Its heartbeat comes each 500 ms.
	silenceLimit = 2 * time.Second

	// startLimit is how long a new worker may take to its first word and from its start to its
	// first picture: on a quiet machine 0.2 s, but it loads 30 MB of libraries.
	startLimit = 5 * time.Second

	// starvedLimit is for both when the worker waits for a processor: on an overloaded machine
	// another worker would only add to the load.
	starvedLimit = 15 * time.Second

	// stopLimit is how long a worker may take to end by itself.
	stopLimit = 2 * time.Second

	// A stream whose workers die maxRestarts times within restartWindow has failed.
	maxRestarts   = 5
	restartWindow = 30 * time.Second
	maxBackoff    = 2 * time.Second
)

// launch starts a worker.
func (s *stream) launch() error {
	path, err := mediaworker.Path(s.m.cfg.Worker)
	if err != nil {
		return err
	}
	w, err := startWorker(path, s.log)
	if err != nil {
		return err
	}
	s.m.counters.workers.Add(1)
	s.current, s.begun, s.producing, s.condemned = w, time.Now(), false, false
	s.resumeAt = 0
	clear(s.pictured)
	s.log.Info("media worker started", "pid", w.Pid())
	return nil
}

// workerLost takes leave of a worker that has said all, and decides about the next.
func (s *stream) workerLost() error {
	err := s.bury()
	if errors.Is(err, wire.ErrVersion) {
		return fmt.Errorf("the media worker is not of this server's version, build both anew: %w", err)
	}
	now := time.Now()
	s.restarts = append(s.restarts, now)
	for len(s.restarts) > 0 && now.Sub(s.restarts[0]) > restartWindow {
		s.restarts = s.restarts[1:]
	}
	n := len(s.restarts)
	if n > maxRestarts {
		return fmt.Errorf("the media worker ended %d times in %v, the last time with: %v", n, restartWindow, err)
	}
	var pause time.Duration // none the first time: viewers see it
	if n > 1 {
		pause = min(maxBackoff, tick<<(n-1))
	}
	s.restartAt = now.Add(pause)
	s.log.Warn("media worker lost", "err", err, "times", n, "restart_in", pause)
	if pause == 0 {
		return s.relaunch()
	}
	return nil
}

func (s *stream) relaunch() error {
	s.m.counters.restarts.Add(1)
	return s.launch()
}

// bury waits for the end of the current worker, which has ended or is about to, and adds up
// what it did.
func (s *stream) bury() error {
	w := s.current
	s.worker.Store(nil)
	s.current = nil
	w.Kill()
	err := w.Wait()
	s.m.counters.workers.Add(-1)
	w.settle(&s.m.counters)
	return err
}

// look is done at each tick: watch the worker, fill its gap, mind the time limits.
func (s *stream) look(now time.Time) error {
	switch {
	case s.layers == nil: // nobody has joined yet
		return nil
	case s.current == nil && s.page.waits(): // there is nothing to show yet
	case s.current == nil && !now.Before(s.restartAt):
		if err := s.relaunch(); err != nil {
			return err
		}
	case s.current != nil && !s.condemned && s.hangs(now):
		s.log.Warn("media worker hangs", "silent", s.current.Silent(), "producing", s.producing)
		s.condemned = true
		s.current.Kill() // its messages end, and so workerLost is called
	}
	if b := s.broadcast; b != nil && b.out != nil && !s.producing {
		if err := b.out.Fill(s.fillUntil(now)); err != nil {
			b.log.Error("gap could not be filled", "err", err)
		}
	}

	s.ageChat(now)
	s.turnPage(now)

	if b := s.broadcast; b != nil {
		if reason, over := b.limits.reached(now, s.emptySince); over {
			s.dropBroadcast(b, Ended{Reason: reason})
		}
	}
	for _, o := range slices.Clone(s.outlets) {
		if reason, over := o.limits.reached(now, s.emptySince); over {
			s.dropOutlet(o, Ended{Reason: reason})
		}
	}
	return nil
}

// fillUntil is how far a gap is filled by now. What is filled may not pass the place where a
// worker that was told to go on there does so, or its first key picture would come too late,
// and all up to the next with it. A worker that keeps players waiting loses that place.
func (s *stream) fillUntil(now time.Time) time.Duration {
	until := now.Sub(s.epoch) - fillLag
	if s.resumeAt > 0 && now.Sub(s.epoch)-s.resumeAt < resumeLimit {
		until = min(until, s.resumeAt)
	}
	return until
}

// hangs says whether the worker must be given up.
func (s *stream) hangs(now time.Time) bool {
	silent, limit := s.current.Silent(), silenceLimit
	if !s.producing {
		silent, limit = now.Sub(s.begun), startLimit
	}
	return silent > starvedLimit || silent > limit && !s.current.Starved()
}

// dismiss lets the worker finish, and packages what it still says, until stopLimit.
func (s *stream) dismiss() {
	if !s.current.outgoing.opened() { // it was never told what to make: there is nothing to finish
		_ = s.bury()
		return
	}
	s.current.stop()
	deadline := time.NewTimer(stopLimit)
	defer deadline.Stop()
	for {
		select {
		case m, ok := <-s.current.Messages():
			if !ok {
				if err := s.bury(); err != nil {
					s.log.Info("media worker ended", "err", err)
				}
				return
			}
			s.hear(m)
		case <-deadline.C:
			s.log.Warn("media worker does not end, killed")
			_ = s.bury()
			return
		}
	}
}
