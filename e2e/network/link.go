package network

import (
	"math"
	"math/rand/v2"
	"time"
)

// Link is what happens to packets in one direction of a host's line. The zero value is a perfect line.
type Link struct {
	// Loss is the share of packets that are lost, 0 to 1.
	Loss float64
	// Burst is how many packets are lost in a row on average (Gilbert's model); up to 1 each is lost by itself.
	Burst float64
	// Duplicate is the share of packets that arrive twice.
	Duplicate float64
	// Delay of each packet, and what it differs by, evenly spread, in both directions.
	Delay, Jitter time.Duration
	// Reorder lets a packet with less jitter overtake others. Most real networks have queues, which do not.
	Reorder bool
	// Rate is how many bits a second pass, counted from the IP header on; 0: any.
	Rate int
	// Queue is how long a packet may wait for its turn at Rate before it is dropped instead; 0 means 200 ms.
	Queue time.Duration
	// Down drops everything.
	Down bool
	// Block, if set, drops the packets that it is true for, as a firewall does.
	Block func(Packet) bool
}

// NoUDP is a firewall that lets no UDP pass.
func NoUDP(p Packet) bool { return p.Protocol == UDP }

// OnlyTCP is a firewall that lets nothing pass but TCP connections to the given ports.
func OnlyTCP(ports ...uint16) func(Packet) bool {
	return func(p Packet) bool {
		for _, port := range ports {
			if p.Protocol == TCP && (p.Source.Port() == port || p.Destination.Port() == port) {
				return false
			}
		}
		return true
	}
}

// defaultQueue is about what a home router buffers when it is set up well.
const defaultQueue = 200 * time.Millisecond

// Counts is what a direction of a line did to packets.
type Counts struct {
	Passed, Lost, Blocked uint64
	Full                  uint64 // dropped because too many waited for their turn
}

// line is the state of one direction. It decides; it keeps no packets and no time of its own.
type line struct {
	link   Link
	random *rand.Rand
	counts Counts

	losing bool      // inside of a burst of losses
	free   time.Time // when the last packet's last bit is on the line
	last   time.Time // when the last packet arrives
}

// carry tells when a packet of so many bytes arrives that is sent now, and how often: not at all, once or twice.
func (l *line) carry(now time.Time, p Packet) (at time.Time, copies int) {
	if l.link.Down || l.link.Block != nil && l.link.Block(p) {
		l.counts.Blocked++
		return at, 0
	}
	at = now
	if l.link.Rate > 0 {
		queue := l.link.Queue
		if queue == 0 {
			queue = defaultQueue
		}
		begin := now
		if l.free.After(begin) {
			begin = l.free
		}
		if begin.Sub(now) > queue {
			l.counts.Full++
			return at, 0
		}
		l.free = begin.Add(time.Duration(float64(p.Size*8) / float64(l.link.Rate) * float64(time.Second)))
		at = l.free
	}
	// A packet that gets lost took its time on the line.
	if l.lose() {
		l.counts.Lost++
		return at, 0
	}
	at = at.Add(l.link.Delay)
	if j := l.link.Jitter; j > 0 {
		at = at.Add(time.Duration(l.random.Int64N(int64(2*j))) - j)
	}
	if at.Before(now) {
		at = now // more jitter than delay
	}
	if !l.link.Reorder && at.Before(l.last) {
		at = l.last
	}
	l.last = at
	l.counts.Passed++
	if l.link.Duplicate > 0 && l.random.Float64() < l.link.Duplicate {
		return at, 2
	}
	return at, 1
}

// lose draws whether a packet is lost. In bursts the line goes over from good to bad and back with the probabilities
// that give the wanted share and length.
func (l *line) lose() bool {
	loss, burst := l.link.Loss, l.link.Burst
	switch {
	case loss <= 0:
		l.losing = false
	case loss >= 1:
		l.losing = true
	case burst <= 1:
		l.losing = l.random.Float64() < loss
	case l.losing:
		l.losing = l.random.Float64() >= 1/burst
	default:
		l.losing = l.random.Float64() < math.Min(1, loss/(burst*(1-loss)))
	}
	return l.losing
}
