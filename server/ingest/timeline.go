package ingest

import "time"

const (
	videoRate = 90000 // ticks of an RTP timestamp a second
	audioRate = 48000

	// leap is how far a timestamp may be from where the last one and the time since let it be expected:
	// a source that jumps farther began anew, or its clock was set. Pictures and sounds that belong
	// together come less far apart.
	leap = 5 * time.Second

	// seam is how far apart the last of one source is and the first of the next.
	seam = 50 * time.Millisecond

	// reorderSpan is how far back a picture goes that is decoded after another one and shown before it. What
	// goes farther back is a source that began anew.
	reorderSpan = time.Second
)

// timeline is what the stage's timestamps count on: it begins with the stage, and goes on when a source
// begins anew. Sound and pictures have one, so what was captured together stays together.
type timeline struct {
	began   time.Time
	offset  time.Duration // of the timeline before the source's clock
	last    time.Duration // the highest timestamp of the source
	seen    time.Time     // when that came
	running bool          // a source is
}

// at is the time of a source's timestamp.
func (t *timeline) at(stamp time.Duration, now time.Time) time.Duration {
	if ahead := stamp - t.last; !t.running || ahead < -leap || ahead > now.Sub(t.seen)+leap {
		// Here is now, but never before what has been sent.
		here := max(now.Sub(t.began), t.last+t.offset+seam)
		t.offset, t.last, t.seen, t.running = here-stamp, stamp, now, true
	}
	if stamp > t.last {
		t.last, t.seen = stamp, now
	}
	return stamp + t.offset
}

// wall is the wall clock at a time of the timeline, by the source's clock since it began.
func (t *timeline) wall(at time.Duration) time.Time { return t.began.Add(at) }

// near is the time at which the sound's RTP timestamp has a value, near the present.
func (t *timeline) near(rtp uint32) time.Duration {
	now := t.last + t.offset
	ahead := int32(rtp - ticks(now, audioRate))
	return now + time.Duration(ahead)*time.Second/audioRate
}

// ticks is a time as an RTP timestamp.
func ticks(at time.Duration, rate int64) uint32 {
	return uint32(int64(at/time.Second)*rate + int64(at%time.Second)*rate/int64(time.Second))
}
