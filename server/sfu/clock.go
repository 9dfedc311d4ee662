package sfu

import (
	"sync"
	"time"
)

// senderReport is the last RTCP sender report of a stream: its publisher's
// clock and the RTP clock at the same moment (RFC 3550 §6.4.1).
type senderReport struct {
	ntp uint64 // 32.32 s since 1900
	rtp uint32
	at  time.Time // arrival
}

// ntpEpoch is 1900-01-01 in seconds before 1970-01-01.
const ntpEpoch = 2208988800

func ntpTime(ntp uint64) time.Time {
	frac := (ntp & 0xffffffff) * uint64(time.Second) >> 32
	return time.Unix(int64(ntp>>32)-ntpEpoch, int64(frac))
}

func ntpAdd(ntp uint64, d time.Duration) uint64 {
	// 32.32 fixed point; a report is minutes old at most.
	return ntp + uint64(d/time.Second)<<32 + uint64(d%time.Second)<<32/uint64(time.Second)
}

// later is the report as the publisher would have sent it at time t.
func (r *senderReport) later(t time.Time, clockRate uint32) (ntp uint64, rtp uint32) {
	elapsed := max(t.Sub(r.at), 0)
	return ntpAdd(r.ntp, elapsed), r.rtp + uint32(elapsed.Seconds()*float64(clockRate))
}

// publisherClock estimates how far a publisher's clock is from ours. It is
// one for all of a publisher's tracks: an error in it moves sound and picture
// alike, so lips stay in sync.
type publisherClock struct {
	mu sync.Mutex
	// The smallest difference seen, arrival minus NTP time, is the one with
	// the least delay in the network in it. Two windows let it follow drift.
	cur, prev time.Duration
	n         int // samples in cur
	hasPrev   bool
	since     time.Time
}

const clockWindow = 30 * time.Second

func (c *publisherClock) observe(ntp uint64, arrival time.Time) {
	diff := arrival.Sub(ntpTime(ntp))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.n == 0 && !c.hasPrev,
		// The publisher's clock was set.
		c.n > 0 && (diff-c.cur).Abs() > 2*time.Second:
		c.cur, c.n, c.hasPrev, c.since = diff, 1, false, arrival
	case arrival.Sub(c.since) > clockWindow:
		c.prev, c.hasPrev = c.cur, true
		c.cur, c.n, c.since = diff, 1, arrival
	default:
		c.cur = min(c.cur, diff)
		c.n++
	}
}

// wall is the time of our clock at the publisher's time ntp.
func (c *publisherClock) wall(ntp time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	diff := c.cur
	if c.hasPrev {
		diff = min(diff, c.prev)
	}
	return ntp.Add(diff)
}
