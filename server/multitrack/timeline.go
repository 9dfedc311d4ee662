package multitrack

import "time"

const (
	// maxSlip is by how much a track's own clock may be off the wall clock before the wall clock counts at once: a new
	// connection has another clock.
	maxSlip = 500 * time.Millisecond

	// pull is which part of the difference each frame takes away otherwise: publishers' clocks drift, and all tracks
	// should stay together. It is a thousandth of a frame's length at most.
	pull, maxPull = 64, 1000
)

// timeline gives frames their times since the first: by the steps of the track's own clock, which are even, held to the
// time of capture, which all tracks of a room share.
type timeline struct {
	rate  uint32 // of the track's clock, Hz
	begun bool
	first time.Time // capture of the first frame
	ts    uint32    // of the last frame, in ticks
	at    time.Duration
}

// place is the time of the next frame. It does not go back.
func (t *timeline) place(ts uint32, capture time.Time) time.Duration {
	if !t.begun {
		t.begun, t.first, t.ts = true, capture, ts
		return 0
	}
	step := time.Duration(int32(ts-t.ts)) * time.Second / time.Duration(t.rate)
	wall := capture.Sub(t.first)
	at := t.at + step
	if slip := wall - at; step < 0 || slip.Abs() > maxSlip {
		at = wall
	} else {
		most := step / maxPull
		at += min(max(slip/pull, -most), most)
	}
	t.ts, t.at = ts, max(t.at, at)
	return t.at
}
