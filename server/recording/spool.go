package recording

import (
	"log/slog"
	"sync"
)

// spool carries what is recorded to the goroutine that writes it. That takes it from the queue until this is closed, and
// closes ended then.
type spool[T any] struct {
	queue chan T
	ended chan struct{}

	mu     sync.Mutex
	closed bool
	lost   int // because the disk was too slow
}

func newSpool[T any](size int) spool[T] {
	return spool[T]{queue: make(chan T, size), ended: make(chan struct{})}
}

// put does not wait: what the queue has no room for is lost. The caller holds mu, and knows that it is not closed.
func (s *spool[T]) put(v T, log *slog.Logger) (taken bool) {
	select {
	case s.queue <- v:
		return true
	default:
		if s.lost++; s.lost == 1 {
			log.Error("recording has a hole: the disk is too slow", "waiting", cap(s.queue))
		}
		return false
	}
}

// End ends the recording; its files are made then, and told of. It waits until what there is is on the disk.
func (s *spool[T]) End() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	<-s.ended
}
