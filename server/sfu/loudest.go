package sfu

import (
	"slices"
	"sync"
	"time"
)

// Loudest forwards the n loudest audio tracks of a group to their subscribers and holds the others back: more voices
// at a time nobody can follow, and each that is forwarded costs the server and everybody's network. Taps get all.
//
// There are n seats. Whoever is heard in a free one, or is clearly louder than the quietest of those who sit, gets the
// seat with that very packet, so no beginning of a word is missing that could be heard among n others. A seat is kept
// over the pauses of speech. How loud somebody is the packets say (RFC 6464); those that do not are forwarded.
type Loudest struct {
	mu      sync.Mutex // taken for each audio packet of a member, for some ns
	members map[*Track]*voice
	most    int
	seats   []*voice // those that are taken
}

// voice is a member of a group. What follows group is guarded by its lock.
type voice struct {
	group *Loudest
	gone  bool // it is not a member any more
	sits  bool
	loud  float64 // in dB above silence, of who sits
	at    time.Time
}

const (
	// margin is by how many dB others have to be louder than who sits: noises that are equally loud do not take turns.
	margin = 6
	// keepSeat is for how long somebody who pauses is as loud as before: turns of a conversation are shorter.
	keepSeat = 2 * time.Second
	// fade is by how many dB a second somebody gets quieter then.
	fade = 10
	// rise is the part of a packet's loudness above that of its speaker that counts at once. With packets of 20 ms a
	// voice is there within a syllable, and a click does not get as loud as voices.
	rise = 0.25
	// silence is the level of no sound at all (RFC 6464 §3).
	silence = 127
)

// NewLoudest makes a group of which n tracks are forwarded at a time.
func NewLoudest(n int) *Loudest {
	return &Loudest{members: map[*Track]*voice{}, most: n}
}

// Set says which tracks are members. They leave the groups that they were in. Who is not a member any more is
// forwarded.
func (g *Loudest) Set(tracks []*Track) {
	members := make(map[*Track]*voice, len(tracks))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tracks {
		v := g.members[t]
		if v == nil || t.voice.Load() != v {
			v = &voice{group: g}
		}
		members[t] = v
	}
	for t, v := range g.members {
		if members[t] == v {
			continue
		}
		t.voice.CompareAndSwap(v, members[t])
		v.gone = true
		g.free(v)
	}
	for t, v := range members {
		t.voice.Store(v)
	}
	g.members = members
}

// Size is how many members there are.
func (g *Loudest) Size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members)
}

// free takes the seat from somebody who may have one. The caller holds g.mu.
func (g *Loudest) free(v *voice) {
	if v.sits {
		v.sits = false
		g.seats = slices.DeleteFunc(g.seats, func(other *voice) bool { return other == v })
	}
}

// sit gives somebody a seat. The caller holds g.mu.
func (g *Loudest) sit(v *voice, loud float64, now time.Time) {
	v.sits, v.loud, v.at = true, loud, now
	g.seats = append(g.seats, v)
}

// admits takes a packet of a member and says whether it is forwarded.
func (g *Loudest) admits(v *voice, level uint8, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	loud := float64(silence - min(level, silence))
	crowded := len(g.members) > g.most
	switch {
	case v.gone:
		return true
	case v.sits:
		before := v.loudness(now)
		if loud == 0 && before == 0 && crowded {
			g.free(v) // silence need not be sent to many
			return false
		}
		if loud >= before {
			v.loud, v.at = before+rise*(loud-before), now
		}
		return true
	case loud == 0 && crowded:
		return false
	case len(g.seats) < g.most:
		g.sit(v, loud, now)
		return true
	}
	var quietest *voice
	least := 0.0
	for _, other := range g.seats {
		if l := other.loudness(now); quietest == nil || l < least {
			quietest, least = other, l
		}
	}
	if quietest == nil || loud < least+margin {
		return false
	}
	g.free(quietest)
	g.sit(v, least+margin, now)
	return true
}

// loudness is how loud somebody who sits is now. The caller holds the group's lock.
func (v *voice) loudness(now time.Time) float64 {
	if quiet := now.Sub(v.at) - keepSeat; quiet > 0 {
		return max(v.loud-fade*quiet.Seconds(), 0)
	}
	return v.loud
}
