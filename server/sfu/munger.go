package sfu

import "time"

// sentWindow is how many numbers behind the highest a packet may still be sent,
// a multiple of 64.
const sentWindow = 512

// munger rewrites the sequence numbers and timestamps of one subscription so
// that the subscriber sees one stream without holes of our making: over
// pauses, over changes of the source (another layer, a publisher's new SSRC),
// over whatever was not forwarded.
//
// The mapping is a list of segments. Within a segment the distance between
// incoming and outgoing numbers is constant, so losses and reorderings on the
// way to us stay visible to the subscriber, who can ask for what is missing.
type munger struct {
	clockRate uint32
	segments  [8]segment // ring, newest at last; one is added at each resumption
	last      int
	started   bool
	running   bool // between start and stop

	highest extSeq // outgoing
	sent    [sentWindow / 64]uint64
	topTS   uint32 // outgoing timestamp of highest
	topVP8  vp8Counters
	topAt   time.Time
}

// segment maps what src sent from number in on.
type segment struct {
	src *source
	in  extSeq // first incoming
	out extSeq // its outgoing number
	shift
}

// shift is outgoing minus incoming.
type shift struct {
	ts  uint32
	vp8 vp8Counters
}

// start begins a segment at a packet that arrived now.
func (m *munger) start(src *source, ext extSeq, ts uint32, vp8 vp8Counters, now time.Time) {
	s := segment{src: src, in: ext}
	if !m.started {
		m.started = true
		// Numbers and timestamps are the source's own at first, but with no
		// rollovers: SRTP counts those from 0 on (RFC 3711 §3.3.1).
		s.out = 1<<16 | ext&0xffff
		m.highest = s.out - 1
		m.topTS, m.topAt = ts, now
	} else {
		s.out = m.highest + 1
		old := m.segments[m.last]
		if old.src == src {
			s.shift = old.shift
		} else {
			// Another clock: continue where real time is, and never stand
			// still, which would make two frames one.
			elapsed := uint32(now.Sub(m.topAt).Seconds() * float64(m.clockRate))
			s.ts = m.topTS + max(elapsed, 1) - ts
			s.vp8 = vp8.after(m.topVP8)
		}
		m.last = (m.last + 1) % len(m.segments)
	}
	m.segments[m.last] = s
	m.running = true
}

// newer says whether a subscription may start at a source's timestamp: it is
// later than all that was sent, so nothing is shown twice.
func (m *munger) newer(src *source, ts uint32) bool {
	s := &m.segments[m.last]
	return !m.started || s.src == src && int32(ts+s.ts-m.topTS) > 0
}

// stop ends the segment: the next packet forwarded starts another one.
func (m *munger) stop() { m.running = false }

// rewrite maps a packet of the running segment to its outgoing number. Packets
// older than its start are not mapped: their place is taken.
func (m *munger) rewrite(src *source, ext extSeq, ts uint32, vp8 vp8Counters, now time.Time) (out extSeq, by shift, ok bool) {
	s := &m.segments[m.last]
	if !m.running || src != s.src || ext < s.in {
		return 0, by, false
	}
	out = s.out + (ext - s.in)
	if !m.once(out) {
		return 0, by, false
	}
	if out > m.highest {
		m.highest, m.topTS, m.topVP8, m.topAt = out, ts+s.ts, vp8.plus(s.vp8), now
	}
	return out, s.shift, true
}

// once says whether nothing was sent under a number yet, and notes that
// something is now. Two different packets under one number would be sealed with
// one nonce, which gives the key of AES-GCM's authentication away (RFC 7714 §9.1).
func (m *munger) once(out extSeq) bool {
	switch {
	case out > m.highest+sentWindow:
		clear(m.sent[:])
	case out > m.highest:
		for n := m.highest + 1; n <= out; n++ {
			m.sent[n/64%extSeq(len(m.sent))] &^= 1 << (n % 64)
		}
	case m.highest-out >= sentWindow:
		return false
	}
	word, bit := &m.sent[out/64%extSeq(len(m.sent))], uint64(1)<<(out%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// lookup finds what was sent, or would have been, under an outgoing number.
func (m *munger) lookup(seq uint16) (src *source, ext extSeq, by shift, ok bool) {
	if !m.started {
		return nil, 0, by, false
	}
	out := m.highest - extSeq(uint16(m.highest)-seq)
	for i := range m.segments {
		s := &m.segments[(m.last-i+len(m.segments))%len(m.segments)]
		if s.src == nil {
			break
		}
		if out >= s.out {
			return s.src, s.in + (out - s.out), s.shift, true
		}
	}
	return nil, 0, by, false
}

// offset is the running segment's source and timestamp offset.
func (m *munger) offset() (src *source, ts uint32, ok bool) {
	return m.segments[m.last].src, m.segments[m.last].ts, m.running
}
