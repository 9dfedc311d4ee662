package layout

import (
	"math"
	"time"
)

// Levels of voices, in dB below the loudest possible (RFC 6464: 0 is the loudest, 127 silence).
// Room noise lies at 60 to 80, a voice at 20 to 45.
const (
	speaks     = 50.0 // a mean below it is a voice
	silent     = 60.0 // until it is above this
	drownedOut = 6.0  // a voice that is louder by this takes over, in the end
)

const (
	meanOver     = 300 * time.Millisecond  // of the level's mean
	notACough    = 500 * time.Millisecond  // of voice before somebody comes to the front
	leastInFront = 1500 * time.Millisecond // there, before the next
	louderFor    = 2 * time.Second         // before somebody is interrupted
)

// Voices finds out by the levels of their microphones who speaks, and which of them stands in
// front. Levels jump, and people talk over each other; so the means of levels count, limits have
// two sides, and nobody is in front for a moment only.
type Voices struct {
	all     map[string]*voice
	front   string
	changed time.Time // when front did
}

type voice struct {
	mean     float64   // level
	heard    time.Time // when it was measured
	speaking bool
	since    time.Time // when speaking changed
	last     time.Time // when the voice was heard last; zero: never
	louder   time.Time // since when it has been louder than the one in front; zero: it is not
}

// Hear takes levels by the names of the people whose microphones are on. Whoever is not among them
// is silent. It reports whether anything that the methods below say is different now.
func (v *Voices) Hear(now time.Time, levels map[string]uint8) (changed bool) {
	if v.all == nil {
		v.all = make(map[string]*voice)
	}
	for name := range v.all {
		if _, on := levels[name]; !on {
			changed = changed || v.all[name].speaking
			delete(v.all, name)
		}
	}
	for name, level := range levels {
		o := v.all[name]
		if o == nil {
			o = &voice{mean: 127, since: now, heard: now.Add(-meanOver)}
			v.all[name] = o
		}
		weight := 1 - math.Exp(-float64(now.Sub(o.heard))/float64(meanOver))
		o.mean += (min(127, float64(level)) - o.mean) * weight
		o.heard = now
		if o.speaking && o.mean > silent || !o.speaking && o.mean < speaks {
			o.speaking, o.since, changed = !o.speaking, now, true
		}
		if o.speaking {
			o.last = now
		}
	}
	return v.choose(now) || changed
}

// choose looks whether somebody else comes to the front.
func (v *Voices) choose(now time.Time) bool {
	front := v.all[v.front]
	next, loudest := "", math.Inf(1)
	for name, o := range v.all {
		if name == v.front || !o.speaking {
			o.louder = time.Time{}
			continue
		}
		switch {
		case front == nil || !front.speaking || o.mean > front.mean-drownedOut:
			o.louder = time.Time{}
		case o.louder.IsZero():
			o.louder = now
		}
		ripe := now.Sub(o.since) >= notACough
		if front != nil && front.speaking {
			ripe = !o.louder.IsZero() && now.Sub(o.louder) >= louderFor
		}
		if ripe && (o.mean < loudest || o.mean == loudest && name < next) {
			next, loudest = name, o.mean
		}
	}
	if next == "" || v.front != "" && now.Sub(v.changed) < leastInFront {
		return false
	}
	v.front, v.changed = next, now
	v.all[next].louder = time.Time{}
	return true
}

// Front is who stands in front: somebody who speaks, or who spoke last. It is empty until somebody
// has spoken, and may name somebody who has left.
func (v *Voices) Front() string { return v.front }

// Speaking says whether somebody speaks now.
func (v *Voices) Speaking(name string) bool {
	o := v.all[name]
	return o != nil && o.speaking
}

// Last is when somebody was heard last; the zero time if never.
func (v *Voices) Last(name string) time.Time {
	if o := v.all[name]; o != nil {
		return o.last
	}
	return time.Time{}
}
