package multitrack

import (
	"testing"
	"time"
)

// An hour of a clock that is 100 ppm too fast, seen through a network that jitters, is even and ends where it should; so it
// is after another connection with another clock, and after a pause.
func TestTimeline(t *testing.T) {
	line := timeline{rate: 48_000}
	start := time.Unix(1_700_000_000, 0)
	const packet = 20 * time.Millisecond
	var at, last time.Duration
	ts := uint32(1<<32 - 5000) // it turns over
	n := 0
	frame := func() {
		real := time.Duration(n) * packet
		jitter := time.Duration(n*7919%20) * time.Millisecond
		at = line.place(ts, start.Add(real+jitter))
		ts += 960
		if n%10_000 == 9999 {
			ts++ // 1 in 9.6 million; the rest of the drift is below
		}
		if n%10 == 9 {
			ts++ // 104 ppm
		}
		n++
	}
	for n < 180_000 {
		frame()
		if step := at - last; n > 1 && (step < packet*98/100 || step > packet*102/100) {
			t.Fatalf("frame %d comes after %v", n, step)
		}
		last = at
	}
	near := func(what string) {
		t.Helper()
		if off := at - time.Duration(n-1)*packet; off.Abs() > 60*time.Millisecond {
			t.Errorf("%s: %v off", what, off)
		}
	}
	near("after an hour")
	ts = 12345
	frame()
	near("over another connection")
	n += 500 // ten seconds without packets, of a sender whose clock stands still meanwhile
	frame()
	near("after a pause")
	before := at
	ts -= 960 * 3
	n -= 3
	if frame(); at < before {
		t.Errorf("%v comes after %v", at, before)
	}
}
