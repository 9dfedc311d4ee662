package webhook

import (
	"context"
	"net/url"
	"sync"
)

// Bounds of the attempts that go on at once.
const (
	maxAttempts        = 256 // at all receivers together
	maxAttemptsPerHost = 16  // at one receiver, so that it cannot take all of the above by answering slowly
)

// slots bounds the attempts that go on at once: at each host, and at all. A host is forgotten when nobody uses or awaits
// a slot of it.
type slots struct {
	all chan struct{}

	mu    sync.Mutex
	hosts map[string]*hostSlot
}

type hostSlot struct {
	taken chan struct{}
	users int // holding or awaiting a slot; guarded by slots.mu
}

func newSlots() *slots {
	return &slots{all: make(chan struct{}, maxAttempts), hosts: make(map[string]*hostSlot)}
}

// acquire takes a slot for the host; false when ctx ended instead. The host's own slot comes first: who waits for a slow
// host must not hold what others could use.
func (s *slots) acquire(ctx context.Context, host string) bool {
	s.mu.Lock()
	h := s.hosts[host]
	if h == nil {
		h = &hostSlot{taken: make(chan struct{}, maxAttemptsPerHost)}
		s.hosts[host] = h
	}
	h.users++
	s.mu.Unlock()
	select {
	case h.taken <- struct{}{}:
	case <-ctx.Done():
		s.leave(host, h)
		return false
	}
	select {
	case s.all <- struct{}{}:
		return true
	case <-ctx.Done():
		<-h.taken
		s.leave(host, h)
		return false
	}
}

func (s *slots) release(host string) {
	s.mu.Lock()
	h := s.hosts[host]
	s.mu.Unlock()
	<-s.all
	<-h.taken
	s.leave(host, h)
}

func (s *slots) leave(host string, h *hostSlot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(s.hosts, host)
	}
}

// hostOf returns the receiver's host and port.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Host
}
