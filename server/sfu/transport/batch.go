package transport

import (
	"encoding/binary"
	"time"
)

const (
	// maxSegments and maxBatch bound what one call sends to one address. More gains nothing.
	maxSegments = 16
	maxBatch    = maxSegments * 1300
	// PacketSize is the largest RTP packet, in bytes, before it is sealed. Ethernet carries 1472 bytes
	// over IPv4.
	PacketSize = 1500
)

// Header is that of an RTP packet to be.
type Header struct {
	SSRC        uint32
	Index       uint64 // sequence number with its rollovers: it never goes back by more than a window
	Timestamp   uint32
	PayloadType uint8
	Marker      bool
	// Ids of header extensions (RFC 8285), 0 for none: transport-wide sequence numbers, which the
	// transport counts, and the level of audio with its value (RFC 6464).
	TWCC, LevelID, Level uint8
	// Padding says that the payload is nothing else (RFC 3550, 5.1): its last byte is its length.
	Padding bool
	// Urgent packets do not wait where the way is narrow: sound is little, and silence worse than a picture that
	// stands.
	Urgent bool
}

// Batch writes packets to transports, to one after the other: all that one gets of a frame is sealed in
// a buffer that is small enough for the processor's cache, and the kernel gets it in one call. A Batch
// belongs to one goroutine at a time. Its zero value is ready.
type Batch struct {
	t      *Transport
	crypto *crypto
	buf    []byte
	ends   []int
	out    *datagram
	nonce  [12]byte
	failed int
	now    time.Time
}

// Begin begins with a transport. It reports false if that has no way to its client yet. What it sends is
// in order; End has to follow.
func (b *Batch) Begin(t *Transport) bool {
	c := t.crypto.Load()
	if c == nil || t.path.Load() == nil {
		return false
	}
	if b.buf == nil {
		b.buf = make([]byte, 0, maxBatch+PacketSize+tagSize)
		b.ends = make([]int, 0, maxSegments)
		b.out = newDatagram()
	}
	t.sending.Lock()
	b.t, b.crypto, b.failed, b.now = t, c, 0, time.Now()
	return true
}

// Add writes a packet. Its payload is head and then payload; both are only read. It reports false if it is
// too large.
func (b *Batch) Add(h *Header, head, payload []byte) bool {
	start := len(b.buf)
	size := 12 + h.extensions() + len(head) + len(payload)
	if size > PacketSize {
		return false
	}
	p := b.buf[start : start+size : start+size+tagSize]
	n := h.marshal(p)
	copy(p[n+copy(p[n:], head):], payload)
	if pacer := &b.t.pacer; pacer.on {
		if !h.Urgent {
			return pacer.hold(p, n, h)
		}
		pacer.credit -= float64(size)
	}
	if h.TWCC != 0 {
		b.t.number(p, size, b.now)
	}
	sealed, err := b.crypto.seal(p, n, h.SSRC, h.Index, &b.nonce)
	if err != nil {
		return false
	}
	b.buf = b.buf[:start+len(sealed)]
	b.ends = append(b.ends, len(b.buf))
	if len(b.ends) == maxSegments || len(b.buf) > maxBatch {
		b.flush()
	}
	return true
}

// End sends what was added, and returns how many packets the kernel did not take.
func (b *Batch) End() (failed int) {
	b.flush()
	b.t.sending.Unlock()
	b.t, b.crypto = nil, nil
	return b.failed
}

func (b *Batch) flush() {
	if len(b.ends) == 0 {
		return
	}
	if w := b.t.path.Load(); w != nil {
		b.failed += w.at.send(b.buf, b.ends, w.to, b.out)
	}
	b.buf, b.ends = b.buf[:0], b.ends[:0]
}

// extensions is the size of the header's extensions, in bytes: elements of one byte and their values,
// filled up to words, after a word that says so.
func (h *Header) extensions() int {
	n := 0
	if h.TWCC != 0 {
		n += 3
	}
	if h.LevelID != 0 {
		n += 2
	}
	if n == 0 {
		return 0
	}
	return 4 + (n+3)&^3
}

// marshal writes the header to b, where the payload is to follow, and returns its size.
func (h *Header) marshal(b []byte) (n int) {
	b[0], b[1] = 2<<6, h.PayloadType
	if h.Padding {
		b[0] |= 1 << 5
	}
	if h.Marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(h.Index))
	binary.BigEndian.PutUint32(b[4:], h.Timestamp)
	binary.BigEndian.PutUint32(b[8:], h.SSRC)
	size := h.extensions()
	if size == 0 {
		return 12
	}
	b[0] |= 1 << 4
	binary.BigEndian.PutUint16(b[12:], 0xbede)
	binary.BigEndian.PutUint16(b[14:], uint16(size/4-1))
	e := b[16 : 12+size]
	if h.TWCC != 0 {
		e[0] = h.TWCC<<4 | 1 // length minus one
		e = e[3:]            // see number
	}
	if h.LevelID != 0 {
		e[0], e[1] = h.LevelID<<4, h.Level
		e = e[2:]
	}
	clear(e)
	return 12 + size
}

// number gives a packet that leaves now, of so many bytes, the next transport-wide number. It stands in the first
// extension.
func (t *Transport) number(b []byte, size int, now time.Time) {
	t.twcc++
	if t.history == nil {
		t.history = new(history)
	}
	t.history.note(t.twcc, size, now)
	binary.BigEndian.PutUint16(b[17:], t.twcc)
}

// SendRTCP sends a compound packet. What cannot be sent is counted.
func (t *Transport) SendRTCP(compound []byte) {
	c, w := t.crypto.Load(), t.path.Load()
	if c == nil || w == nil {
		return
	}
	t.sending.Lock()
	defer t.sending.Unlock()
	sealed, err := c.out.EncryptRTCP(nil, compound, nil)
	if err == nil {
		err = w.at.writeTo(sealed, w.to)
	}
	if err != nil {
		t.port.stats.unsent.Add(1)
	}
}
