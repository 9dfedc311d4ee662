package transport

import (
	"time"

	"amphi/server/sfu/bandwidth"
)

const (
	// paceEvery is how often held packets are sent, paceBurst what may be sent at once after a pause, as time at the
	// present rate.
	paceEvery, paceBurst = 10 * time.Millisecond, 30 * time.Millisecond
	// maxHeld bounds what waits, in bytes, with paceLongest, which is how long the last one of it would: a key frame of
	// a small picture has to pass, and what is later is of no use. leastHeld is always allowed.
	maxHeld, leastHeld = 128 << 10, 16 << 10
	paceLongest        = time.Second
)

// pacer holds packets of a transport whose way is narrow, and lets them go as fast as that takes them: the burst of a
// key frame would not fit into the queue in front of the bottleneck. While the way is wide it is off and costs nothing.
// It belongs to whoever holds Transport.sending.
type pacer struct {
	on     bool
	rate   float64 // bit/s
	credit float64 // bytes that may be sent now
	at     time.Time
	queue  []held
	size   int // bytes in the queue
	nonce  [12]byte

	demand  float64 // bit/s, what would be sent if all fit
	padding bool    // the handler can make it
}

// held is a packet that waits. It is numbered and sealed when it leaves.
type held struct {
	packet   []byte // with room for a tag
	header   int
	ssrc     uint32
	index    uint64
	numbered bool
}

// hold takes a packet, unless too much waits.
func (p *pacer) hold(packet []byte, header int, h *Header) bool {
	most := min(max(int(p.rate/8*paceLongest.Seconds()), leastHeld), maxHeld)
	if p.size+len(packet) > most {
		return false
	}
	b := append(make([]byte, 0, len(packet)+tagSize), packet...)
	p.queue = append(p.queue, held{b, header, h.SSRC, h.Index, h.TWCC != 0})
	p.size += len(b)
	return true
}

// Limit is how much may be sent to the client, in bit/s; 0: as much as there is. What is not urgent is held back so
// that no more is sent; that it is not much more for long is the caller's affair.
func (t *Transport) Limit() float64 {
	t.sending.Lock()
	defer t.sending.Unlock()
	if t.history == nil {
		return 0
	}
	return t.history.estimator.Limit()
}

// Demand says how much would be sent if all fit, in bit/s, which the transport tries for while there is a limit, with
// padding if there can be any.
func (t *Transport) Demand(bits float64, padding bool) {
	t.sending.Lock()
	defer t.sending.Unlock()
	t.pacer.demand, t.pacer.padding = bits, padding
}

// Drop forgets what waits: other packets come in place of it.
func (t *Transport) Drop() {
	t.sending.Lock()
	defer t.sending.Unlock()
	clear(t.pacer.queue)
	t.pacer.queue, t.pacer.size = t.pacer.queue[:0], 0
}

// limited begins to pace if there is a limit now, and tells if it has changed. The caller holds t.sending, which is
// released.
func (t *Transport) limited(before float64) {
	limit := t.history.estimator.Limit()
	begins := limit > 0 && !t.pacer.on
	if begins {
		t.pacer.on, t.pacer.rate, t.pacer.at, t.pacer.credit = true, limit, time.Now(), 0
	}
	t.sending.Unlock()
	if begins {
		t.mu.Lock()
		if !t.closed {
			t.running.Go(t.pace)
		}
		t.mu.Unlock()
	}
	if limit != before {
		t.handler.LimitChanged()
	}
}

// pace sends held packets until there is no limit any more.
func (t *Transport) pace() {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.ending:
			return
		case <-tick.C:
		}
		now := time.Now()
		t.sending.Lock()
		e := &t.history.estimator
		before := e.Limit()
		on, padding := t.release(e, now)
		t.limited(before)
		if !on {
			return
		}
		if padding > 0 {
			t.handler.Pad(padding)
		}
	}
}

// release sends what may leave now, and returns how much padding should follow. The caller holds t.sending.
func (t *Transport) release(e *bandwidth.Estimator, now time.Time) (on bool, padding int) {
	p := &t.pacer
	rate, fill := e.Pace(p.demand, p.padding, now)
	p.rate = rate
	if rate == 0 {
		p.credit = float64(p.size)
	} else {
		p.credit += rate / 8 * now.Sub(p.at).Seconds()
		p.credit = min(p.credit, rate/8*paceBurst.Seconds())
	}
	p.at = now
	n := 0
	for n < len(p.queue) && p.credit > 0 {
		h := &p.queue[n]
		t.depart(h, now)
		p.credit -= float64(len(h.packet))
		p.size -= len(h.packet)
		*h = held{}
		n++
	}
	p.queue = append(p.queue[:0], p.queue[n:]...)
	clear(p.queue[len(p.queue):][:n])
	p.on = rate > 0
	if fill && len(p.queue) == 0 && p.credit > 0 {
		padding = int(p.credit)
	}
	return p.on, padding
}

// depart sends a packet that was held.
func (t *Transport) depart(h *held, now time.Time) {
	c, w := t.crypto.Load(), t.path.Load()
	if c == nil || w == nil {
		return
	}
	if h.numbered {
		t.number(h.packet, len(h.packet), now)
	}
	sealed, err := c.seal(h.packet, h.header, h.ssrc, h.index, &t.pacer.nonce)
	if err == nil {
		err = w.at.writeTo(sealed, w.to)
	}
	if err != nil {
		t.port.stats.unsent.Add(1)
	}
}

// Estimated takes what the client estimates of the way to it, in bit/s, where it does not say when packets arrive. sent
// are the bytes that were sent so far.
func (t *Transport) Estimated(bits float64, sent uint64, now time.Time) {
	t.sending.Lock()
	if t.history == nil {
		t.history = new(history)
	}
	e := &t.history.estimator
	before := e.Limit()
	e.Estimated(bits, sent, now)
	t.limited(before)
}
