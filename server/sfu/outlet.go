package sfu

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// hold is how long a packet may wait for those that can be sent with it. A frame is of use
	// when its last packet is there, and with that all are sent; so only what lacks its end waits
	// that long.
	hold = 4 * time.Millisecond
	// maxSegments and maxBatch bound what one call sends to one address. More gains nothing.
	maxSegments = 16
	maxBatch    = maxSegments * 1300
	// maxWaiting is how many bytes wait at most: a key frame to a few hundred viewers is more.
	maxWaiting = 2 << 20
)

// outlet is a socket of the port. It gathers the RTP for each address until flush, and gives the
// kernel all that goes to one in one call, which cuts it apart again (UDP GSO, udp(7)): the system
// call is most of what a forwarded packet costs. Everything else is sent at once.
type outlet struct {
	*net.UDPConn
	stats  *counters
	single atomic.Bool // the kernel or the device does not take several packets at once

	mu      sync.Mutex // for the fields below; held for the time of a copy
	to      map[netip.AddrPort]*batch
	queue   []*batch // in the order of their first packets
	waiting int      // bytes
	free    []*batch
	timer   *time.Timer

	sending sync.Mutex // held while a queue is sent, so that none overtakes it
	segment segmentSize
}

// batch are packets to one address, one behind the other.
type batch struct {
	to      netip.AddrPort
	packets []byte
	ends    []int
}

func newOutlet(c *net.UDPConn, stats *counters) *outlet {
	o := &outlet{UDPConn: c, stats: stats, to: make(map[netip.AddrPort]*batch), segment: newSegmentSize()}
	o.single.Store(o.segment == nil)
	o.timer = time.AfterFunc(time.Hour, o.flush)
	o.timer.Stop()
	return o
}

// ReadFromAddrPort is part of ice.AddrPortReaderWriter.
func (o *outlet) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	return o.ReadFromUDPAddrPort(b)
}

// WriteToAddrPort is part of ice.AddrPortReaderWriter. What cannot be sent later is counted.
func (o *outlet) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if !isRTP(b) {
		return o.WriteToUDPAddrPort(b, to)
	}
	o.mu.Lock()
	if len(o.queue) == 0 {
		o.timer.Reset(hold)
	}
	t := o.to[to]
	if t == nil || len(t.ends) == maxSegments || len(t.packets)+len(b) > maxBatch {
		t = o.begin(to)
	}
	t.packets = append(t.packets, b...)
	t.ends = append(t.ends, len(t.packets))
	o.waiting += len(b)
	full := o.waiting >= maxWaiting
	o.mu.Unlock()
	if full {
		o.flush()
	}
	return len(b), nil
}

// begin queues another batch.
func (o *outlet) begin(to netip.AddrPort) *batch {
	var t *batch
	if n := len(o.free); n > 0 {
		t, o.free = o.free[n-1], o.free[:n-1]
	} else {
		t = new(batch)
	}
	t.to = to
	o.to[to] = t
	o.queue = append(o.queue, t)
	return t
}

// flush sends what waits.
func (o *outlet) flush() {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.mu.Lock()
	queue := o.queue
	o.queue, o.waiting = nil, 0
	clear(o.to)
	o.timer.Stop()
	o.mu.Unlock()
	if len(queue) == 0 {
		return
	}
	for _, t := range queue {
		o.send(t)
		t.packets, t.ends = t.packets[:0], t.ends[:0]
	}
	o.mu.Lock()
	// One packet lent to each of a crowd must not be kept for ever.
	if len(o.free) < maxWaiting/maxBatch {
		o.free = append(o.free, queue...)
	}
	o.mu.Unlock()
}

// send sends a batch, with as few calls as its packets' sizes allow: in one they must be equal,
// but for the last, which may be smaller.
func (o *outlet) send(t *batch) {
	start := 0
	for i := 0; i < len(t.ends); {
		size := t.ends[i] - start
		end, last := t.ends[i], size
		for i++; i < len(t.ends) && last == size && t.ends[i]-end <= size; i++ {
			end, last = t.ends[i], t.ends[i]-end
		}
		o.write(t.packets[start:end], size, t.to)
		start = end
	}
}

// write sends packets of a size, the last of which may be smaller.
func (o *outlet) write(b []byte, size int, to netip.AddrPort) {
	if len(b) > size && !o.single.Load() {
		if _, _, err := o.WriteMsgUDPAddrPort(b, o.segment.of(size), to); err == nil {
			return
		} else if cannotCut(err) {
			o.single.Store(true)
		}
	}
	for len(b) > 0 {
		n := min(size, len(b))
		if _, err := o.WriteToUDPAddrPort(b[:n], to); err != nil {
			o.stats.droppedWrite.Add(1)
		}
		b = b[n:]
	}
}

// isRTP tells RTP from RTCP, STUN and DTLS (RFC 7983, RFC 5761, 4).
func isRTP(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && (b[1]&0x7f < 64 || b[1]&0x7f > 95)
}
