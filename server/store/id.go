package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// ids makes object ids as MongoDB does, which the API promises: 24 hexadecimal digits, of which the first 8 are the
// creation time in seconds, so that sorting by id sorts by time. The rest is 5 random bytes per process and a counter.
// Within a process ids only grow, also when the clock is set back.
var ids = newIDMaker(time.Now)

type idMaker struct {
	now    func() time.Time
	random [5]byte

	mu      sync.Mutex
	seconds uint32
	counter uint32 // 24 bits are used
}

func newIDMaker(now func() time.Time) *idMaker {
	m := &idMaker{now: now}
	rand.Read(m.random[:])
	return m
}

// NewID returns a new object id.
func NewID() string { return ids.next() }

func (m *idMaker) next() string {
	m.mu.Lock()
	if s := uint32(m.now().Unix()); s > m.seconds {
		m.seconds, m.counter = s, 0
	} else if m.counter++; m.counter == 1<<24 {
		m.seconds, m.counter = m.seconds+1, 0
	}
	seconds, counter := m.seconds, m.counter
	m.mu.Unlock()

	var b [12]byte
	binary.BigEndian.PutUint32(b[:4], seconds)
	copy(b[4:9], m.random[:])
	b[9], b[10], b[11] = byte(counter>>16), byte(counter>>8), byte(counter)
	return hex.EncodeToString(b[:])
}

// IsID says whether s has the form of an object id.
func IsID(s string) bool {
	if len(s) != 24 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
