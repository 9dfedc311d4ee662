package sfu

import "time"

// layers are the sources for subscribers by the rank that they want, and when
// they were chosen.
type layers struct {
	byRank [3]*source
	at     time.Time
}

const (
	// sourceTimeout is for how long the forwarded layer may be silent until a
	// lesser one takes over.
	sourceTimeout = time.Second
	// chooseAgain is how often it is looked at which layers come.
	chooseAgain = sourceTimeout / 5
)

// layer is the source for those who want a rank at best, nil as long as
// nothing comes.
func (t *Track) layer(rank int32) *source {
	l := t.layers.Load()
	if l == nil {
		return nil
	}
	return l.byRank[rank]
}

// choose finds what comes for each rank: no better layer, if there is a lesser
// one. Browsers stop layers to fit their network, and do not begin those that a
// small camera picture has no use for.
func (t *Track) choose(now time.Time) {
	l := &layers{at: now}
	for _, src := range *t.sources.Load() {
		src.measure(now)
	}
	for rank := range l.byRank {
		for _, src := range *t.sources.Load() {
			best := l.byRank[rank]
			if now.Sub(time.Unix(0, src.lastAt.Load())) < sourceTimeout && (best == nil || src.fits(rank) > best.fits(rank)) {
				l.byRank[rank] = src
			}
		}
	}
	for _, tap := range t.sinks.Load().taps {
		tap.next = t.suited(tap.want.Load(), now)
	}
	t.layers.Store(l)
}

// fits compares sources for a wanted rank: those that are not better than that
// come first, the best of them first, then the least of the better ones.
func (src *source) fits(rank int) int {
	if src.rank >= rank {
		return 100 - src.rank
	}
	return src.rank
}

// suited is the source for pictures that are shown at a size, nil if nothing comes.
func (t *Track) suited(size uint32, now time.Time) (best *source) {
	for _, src := range *t.sources.Load() {
		if now.Sub(time.Unix(0, src.lastAt.Load())) < sourceTimeout && (best == nil || src.suits(size) > best.suits(size)) {
			best = src
		}
	}
	return best
}

// suits compares sources for a size: those that are not smaller come first, the smallest of them
// first, then the largest of the others, then those whose size is not known, in their order.
func (src *source) suits(size uint32) int64 {
	w, h := src.size.Load()>>16, src.size.Load()&0xffff
	switch {
	case size == 0 || w*h == 0:
		return -1 - int64(src.rank)
	case w >= size>>16 && h >= size&0xffff:
		return 1<<32 - int64(w*h)
	}
	return int64(w * h)
}

// packSize is the form in which sizes are kept, in pixels; 0 is none.
func packSize(w, h int) uint32 {
	if w <= 0 || h <= 0 {
		return 0
	}
	return uint32(min(w, 0xffff))<<16 | uint32(min(h, 0xffff))
}

// rateTime is over how long rates are measured: key frames make a part of a second say little.
const rateTime = time.Second

// measure finds what a source sends. The caller holds the track's forwarding.
func (src *source) measure(now time.Time) {
	bytes := src.tally.bytes.Load()
	span := now.Sub(src.measured)
	if span < rateTime {
		return
	}
	if !src.measured.IsZero() {
		rate := 8 * float64(bytes-src.before) / span.Seconds()
		if old := float64(src.rate.Load()); old > 0 && span < 2*rateTime {
			rate = (rate + old) / 2
		}
		src.rate.Store(uint64(rate))
	}
	src.measured, src.before = now, bytes
}

// bitrate is what a source sends, in bit/s: by its last seconds, or as long as those are not over by what came so far.
func (src *source) bitrate() float64 {
	if rate := src.rate.Load(); rate > 0 {
		return float64(rate)
	}
	return 8 * float64(src.tally.bytes.Load())
}
