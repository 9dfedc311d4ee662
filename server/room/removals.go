package room

import (
	"sync"
	"time"

	"amphi/server/protocol"
)

// removals are the peers that were removed of late, with what they were told. They outlive sessions: who was away when its
// session was ended comes back into the next one, where nobody knows it, and would take itself for one of the people there.
type removals struct {
	mu    sync.Mutex
	list  map[removedPeer]removal
	swept time.Time // of what is too old
}

// removedPeer is a peer of a room. Its id is the client's choice, so it says nothing in another room.
type removedPeer struct{ room, peer string }

type removal struct {
	at    time.Time
	event protocol.PeerLeaveEvent
}

// add notes a removal and forgets those that are older than keep.
func (l *removals) add(room, peer string, event protocol.PeerLeaveEvent, keep time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.list == nil {
		l.list = make(map[removedPeer]removal)
	}
	if now.Sub(l.swept) > keep {
		l.swept = now
		for p, r := range l.list {
			if now.Sub(r.at) > keep {
				delete(l.list, p)
			}
		}
	}
	l.list[removedPeer{room, peer}] = removal{now, event}
}

// of returns what a peer was told when it was removed, at most keep ago.
func (l *removals) of(room, peer string, keep time.Duration) (event protocol.PeerLeaveEvent, removed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, removed := l.list[removedPeer{room, peer}]
	return r.event, removed && time.Since(r.at) <= keep
}
