package transport

import (
	"encoding/binary"
	"errors"
	"iter"
	"time"

	"github.com/pion/rtcp"

	"amphi/server/sfu/bandwidth"
)

// Line is what a client's transport-wide feedback says of the way to it.
type Line struct {
	Arrived, Lost uint64        // packets that the client has spoken of
	Rate          float64       // of what arrived lately, bit/s
	Queue         time.Duration // how much longer packets take at present than the quickest ones did lately
	Limit         float64       // how much may be sent, bit/s; 0: as much as there is
}

const (
	// historySize is how many packets are remembered until the client speaks of them: a second of
	// 10 Mbit/s. A power of two.
	historySize = 1024
	// unit is that of arrival times in feedback, referenceUnit that of the time they begin at.
	unit, referenceUnit = 250 * time.Microsecond, 64 * time.Millisecond
)

// history is what was sent, by transport-wide sequence number, and what came of it. It belongs to
// whoever holds Transport.sending.
type history struct {
	sent          [historySize]sentPacket
	via           *path // that the client's last report was of
	arrived, lost uint64
	estimator     bandwidth.Estimator
}

// sentPacket is 8 bytes, as there is a history for each subscriber.
type sentPacket struct {
	at   uint32 // milliseconds times 16 since the epoch, the lowest bits of it
	size uint16
	lap  uint8 // the number, divided by the history's size
	fate fate
}

type fate uint8

const (
	forgotten fate = iota
	flying
	missing
	arrived
)

// ticks is the time of a sentPacket: it wraps after three days.
func ticks(at time.Time) uint32 { return uint32(at.UnixMicro() * 16 / 1000) }

// note remembers a packet that is about to be sent.
func (h *history) note(number uint16, size int, now time.Time) {
	h.sent[number%historySize] = sentPacket{ticks(now), uint16(size), uint8(number / historySize), flying}
}

// take learns from a feedback message.
func (h *history) take(f feedback, now time.Time) {
	for r := range f.reports() {
		p := &h.sent[r.number%historySize]
		if p.lap != uint8(r.number/historySize) || p.fate == forgotten || p.fate == arrived {
			continue
		}
		sent := now.Add(-time.Duration(ticks(now)-p.at) * time.Millisecond / 16)
		switch {
		case r.arrived:
			if p.fate == missing { // said too early
				h.lost--
				h.estimator.Found()
			}
			p.fate = arrived
			h.arrived++
			h.estimator.Arrived(sent, r.at, int(p.size), now)
		case p.fate == flying:
			p.fate = missing
			h.lost++
			h.estimator.Lost(sent, now)
		}
	}
}

// feedback is a message of transport-wide feedback, without its RTCP header
// (draft-holmer-rmcat-transport-wide-cc-extensions-01, 3.1).
type feedback struct {
	base, count uint16
	reference   time.Duration // of the client's clock
	chunks      []byte        // two bytes each
	deltas      []byte
}

var errFeedback = errors.New("malformed transport-wide feedback")

const (
	symbolLost, symbolSmall, symbolLarge = 0, 1, 2
	maxReported                          = 1 << 12 // packets in a message; a client has no reason to say more at once
)

// parseFeedback reads a message.
func parseFeedback(b []byte) (f feedback, err error) {
	const header, fixed = 4, 20
	if len(b) < fixed {
		return f, errFeedback
	}
	f.base, f.count = binary.BigEndian.Uint16(b[12:]), binary.BigEndian.Uint16(b[14:])
	reference := int32(binary.BigEndian.Uint32(b[16:])&^0xff) >> 8 // 24 bits and a sign, before a counter
	f.reference = time.Duration(reference) * referenceUnit
	if f.count == 0 || f.count > maxReported {
		return f, errFeedback
	}
	rest := b[fixed:]
	need := 0 // bytes of deltas
	n, seen := 0, 0
	for seen < int(f.count) {
		if len(rest) < n+2 {
			return f, errFeedback
		}
		for symbol := range symbols(binary.BigEndian.Uint16(rest[n:]), int(f.count)-seen) {
			if symbol > symbolLarge {
				return f, errFeedback
			}
			seen++
			need += symbol
		}
		n += 2
	}
	if len(rest) < n+need {
		return f, errFeedback
	}
	f.chunks, f.deltas = rest[:n], rest[n:n+need]
	return f, nil
}

// symbols are those of a chunk, at most so many of them. Their values are the sizes of their deltas.
func symbols(chunk uint16, most int) iter.Seq[int] {
	return func(yield func(int) bool) {
		n, width := 14, 1
		switch {
		case chunk>>15 == 0: // a run
			n, width = int(chunk&0x1fff), 0
		case chunk>>14&1 == 1:
			n, width = 7, 2
		}
		for i := range min(n, most) {
			symbol := int(chunk >> 13 & 3)
			if width > 0 {
				symbol = int(chunk) >> (14 - width*(i+1)) & (1<<width - 1)
			}
			if !yield(symbol) {
				return
			}
		}
	}
}

// report is what a message says of a packet.
type report struct {
	number  uint16
	arrived bool
	at      time.Duration // of the client's clock
}

// reports are those of a message.
func (f *feedback) reports() iter.Seq[report] {
	return func(yield func(report) bool) {
		at, deltas, seen := f.reference, f.deltas, 0
		for i := 0; i < len(f.chunks); i += 2 {
			for symbol := range symbols(binary.BigEndian.Uint16(f.chunks[i:]), int(f.count)-seen) {
				switch symbol {
				case symbolSmall:
					at += time.Duration(deltas[0]) * unit
				case symbolLarge:
					at += time.Duration(int16(binary.BigEndian.Uint16(deltas))) * unit
				}
				deltas = deltas[symbol:]
				r := report{f.base + uint16(seen), symbol != symbolLost, at}
				seen++
				if !yield(r) {
					return
				}
			}
		}
	}
}

// takeFeedback looks for transport-wide feedback in a compound packet.
func (t *Transport) takeFeedback(b []byte, now time.Time) {
	for len(b) >= 4 {
		n := (int(binary.BigEndian.Uint16(b[2:])) + 1) * 4
		if n > len(b) {
			return
		}
		if b[0]&0x1f == rtcp.FormatTCC && rtcp.PacketType(b[1]) == rtcp.TypeTransportSpecificFeedback {
			f, err := parseFeedback(b[:n])
			if err != nil {
				t.port.stats.unsealed.Add(1)
				return
			}
			t.judge(f, now)
		}
		b = b[n:]
	}
}

// judge takes a feedback message for what it says of the way to the client.
func (t *Transport) judge(f feedback, now time.Time) {
	t.sending.Lock()
	h := t.history
	if h == nil {
		t.sending.Unlock()
		return
	}
	if via := t.path.Load(); via != h.via {
		h.via = via
		h.estimator.Moved()
	}
	if t.port.lagged(now) {
		h.estimator.Disturbed(now)
	}
	before := h.estimator.Limit()
	h.take(f, now)
	t.limited(before)
}

// Line is what the client has said of the way to it so far.
func (t *Transport) Line() Line {
	t.sending.Lock()
	defer t.sending.Unlock()
	h := t.history
	if h == nil {
		return Line{}
	}
	return Line{Arrived: h.arrived, Lost: h.lost, Rate: h.estimator.Rate(), Queue: h.estimator.Queue(), Limit: h.estimator.Limit()}
}
