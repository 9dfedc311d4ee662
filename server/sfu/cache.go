package sfu

import "sync"

// packetSize is the largest RTP packet accepted, header included. Ethernet
// carries 1472 bytes of UDP payload.
const packetSize = 1500

// extSeq is a sequence number extended by its rollovers (RFC 3550 §A.1), so
// that it only grows. It starts at 2^16 to leave room for packets that are
// older than the first.
type extSeq uint64

// unwrapper extends the sequence numbers of one stream.
type unwrapper struct {
	started bool
	highest extSeq
}

// extend returns the extended form of a sequence number and counts it as
// seen. Numbers up to 2^15 behind the highest are old, others are new.
func (u *unwrapper) extend(seq uint16) extSeq {
	if !u.started {
		u.started = true
		u.highest = 1<<16 + extSeq(seq)
		return u.highest
	}
	diff := int16(seq - uint16(u.highest))
	ext := u.highest + extSeq(diff) // two's complement: may go back
	if diff > 0 {
		u.highest = ext
	}
	return ext
}

// cache keeps the last packets of one stream for retransmission. One
// goroutine adds, several read. It owns its buffers and lends one at a time
// for receiving, so a packet is never copied on its way in.
type cache struct {
	spare []byte // belongs to the adding goroutine

	mu    sync.Mutex
	slots []slot // ring by extended sequence number
}

type slot struct {
	ext    extSeq // 0: empty
	buf    []byte
	start  int // of the payload
	end    int
	ts     uint32
	marker bool
}

// newCache makes a cache of size packets, a power of two.
func newCache(size int) *cache {
	return &cache{spare: make([]byte, packetSize), slots: make([]slot, size)}
}

// buffer is where the next packet is received.
func (c *cache) buffer() []byte { return c.spare }

// has says whether a packet is in the cache.
func (c *cache) has(ext extSeq) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slots[ext%extSeq(len(c.slots))].ext == ext
}

// add takes the buffer over, with a packet in it whose payload is
// buf[start:end]. The bytes stay as they are until size newer packets came.
func (c *cache) add(ext extSeq, ts uint32, marker bool, start, end int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[ext%extSeq(len(c.slots))]
	old := s.buf
	if old == nil {
		old = make([]byte, packetSize)
	}
	*s = slot{ext: ext, buf: c.spare, start: start, end: end, ts: ts, marker: marker}
	c.spare = old
}

// get copies a packet's payload to dst and returns its length.
func (c *cache) get(ext extSeq, dst []byte) (n int, ts uint32, marker, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[ext%extSeq(len(c.slots))]
	if s.ext != ext || ext == 0 || len(dst) < s.end-s.start {
		return 0, 0, false, false
	}
	return copy(dst, s.buf[s.start:s.end]), s.ts, s.marker, true
}
