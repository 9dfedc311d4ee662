package sfu

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
)

// Path says how media of a peer fared in one direction. Packets and Lost count
// from the peer's beginning on; retransmissions are not counted.
type Path struct {
	Packets uint64        // that were sent
	Lost    uint64        // of them; here, what was overtaken counts too
	RTT     time.Duration // of the last report; 0: not known
	Jitter  time.Duration // of sound, as in RFC 3550 §6.4.1; 0: not known
}

// Quality is how media comes from and gets to the peer. What it sends is seen
// here, what it receives is in its reports.
func (p *Peer) Quality() (up, down Path) { return p.sent.read(), p.received.read() }

// path is the live form of Path.
type path struct {
	packets, lost atomic.Uint64
	rtt, jitter   atomic.Int64 // ns
}

func (p *path) read() Path {
	return Path{
		// In this order: what is lost was sent before.
		Lost: p.lost.Load(), Packets: p.packets.Load(),
		RTT: time.Duration(p.rtt.Load()), Jitter: time.Duration(p.jitter.Load()),
	}
}

// arrived counts a packet in that came as ext when before was the highest number.
func (src *source) arrived(before, ext extSeq, t *Track, p *packet) {
	path := &src.up.peer.sent
	switch step := ext - before; {
	case before == 0, ext > before && step > nackGap: // the first one, or the first after a pause
		path.packets.Add(1)
	case ext > before:
		path.packets.Add(uint64(step))
		path.lost.Add(uint64(step - 1))
		src.tally.lost.Add(uint64(step - 1))
	}
	if t.info.Kind == Audio {
		src.pace(path, p, t.codec.ClockRate())
	}
}

// pace measures the jitter of sound (RFC 3550 §A.8). Pictures are sent in bursts,
// which says nothing of the network.
func (src *source) pace(path *path, p *packet, clockRate uint32) {
	transit := uint32(p.at.UnixMicro()*int64(clockRate)/1e6) - p.ts
	d := int64(int32(transit - src.transit))
	src.transit = transit
	if d = max(d, -d); d > int64(clockRate) { // the first one, or the clock was set
		return
	}
	src.jitter += d - (src.jitter+8)>>4
	src.paced.Store((src.jitter >> 4) * int64(time.Second) / int64(clockRate))
	path.jitter.Store(src.paced.Load())
}

// reception is what a subscriber reported of one stream so far.
type reception struct {
	mu      sync.Mutex
	started bool
	highest uint32 // sequence number, extended
	lost    int32
	// The last sender report: the time in it is the publisher's.
	report uint32 // the middle of its time, which the client repeats
	sentAt time.Time
}

// sent notes a sender report.
func (r *reception) sent(ntp uint64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report, r.sentAt = uint32(ntp>>16), at
}

// take adds a report of the stream to what is known of the peer's path.
func (r *reception) take(p *path, report *rtcp.ReceptionReport, t *Track, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := int32(report.TotalLost<<8) >> 8 // 24 bits with a sign
	if sent := int32(report.LastSequenceNumber - r.highest); r.started && sent > 0 && sent < 1<<15 {
		p.packets.Add(uint64(sent))
		p.lost.Add(uint64(min(max(lost-r.lost, 0), sent)))
	}
	r.started, r.highest, r.lost = true, report.LastSequenceNumber, lost
	if t.info.Kind == Audio {
		p.jitter.Store(int64(report.Jitter) * int64(time.Second) / int64(t.codec.ClockRate()))
	}
	if r.report != 0 && report.LastSenderReport == r.report {
		delay := time.Duration(report.Delay) * time.Second / (1 << 16)
		p.rtt.Store(int64(max(at.Sub(r.sentAt)-delay, 0)))
	}
}

// losses is what the subscriber reported lost since it began.
func (r *reception) losses() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(max(r.lost, 0))
}
