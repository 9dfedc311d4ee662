package network

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

// view is what somebody sees, from the first picture on.
type view struct {
	t   *testing.T
	who string

	mu    sync.Mutex
	shown []shown // by time
	told  []told
}

// told is a notification that somebody got.
type told struct {
	what, about string
	at          time.Time
}

func (n told) String() string { return n.at.Format("05.000 ") + n.what + " " + n.about }

// hears waits until somebody is told something, counted from a moment, and returns how long after it that was.
func (v *view) hears(what string, from time.Time) time.Duration {
	v.t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		v.mu.Lock()
		all := slices.Clone(v.told)
		v.mu.Unlock()
		for _, n := range all {
			if n.what == what && !n.at.Before(from) {
				return n.at.Sub(from)
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.t.Fatalf("%s is not told %s within %v of %v; told: %v", v.who, what, within, from.Format("05.000"), v.told)
	return 0
}

// shown is a picture and when it could be seen.
type shown struct {
	picture
	at time.Time
}

func (v *view) add(s ...shown) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shown = append(v.shown, s...)
}

// heard is how often somebody was told something since a moment.
func (v *view) heard(what string, since time.Time) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, heard := range v.told {
		if heard.what == what && !heard.at.Before(since) {
			n++
		}
	}
	return n
}

func (s shown) delay() time.Duration { return s.at.Sub(time.UnixMicro(s.Filmed)) }

// since are the pictures from a moment on.
func (v *view) since(from time.Time) []shown {
	v.mu.Lock()
	defer v.mu.Unlock()
	i, _ := slices.BinarySearchFunc(v.shown, from, func(s shown, t time.Time) int { return s.at.Compare(t) })
	return slices.Clone(v.shown[i:])
}

// frozen is a pause between pictures that a person sees.
const frozen = 250 * time.Millisecond

// steady is how long pictures have to come without such a pause for somebody to watch again.
const steady = time.Second

// watches waits until pictures flow, counted from a moment, and returns how long after it the first of these came.
func (v *view) watches(from time.Time) time.Duration {
	v.t.Helper()
	took, err := v.flow(from)
	if err != nil {
		v.t.Fatal(err)
	}
	return took
}

// flow is watches for other goroutines than the test's.
func (v *view) flow(from time.Time) (time.Duration, error) {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var begin, last time.Time
		for _, s := range v.since(from) {
			if begin.IsZero() || s.at.Sub(last) > frozen {
				begin = s.at
			}
			last = s.at
			if last.Sub(begin) >= steady {
				return begin.Sub(from), nil
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return 0, fmt.Errorf("%s does not see pictures flow within %v of %v; told: %v", v.who, within, from.Format("05.000"), v.told)
}

// sight is what somebody saw in a span of time.
type sight struct {
	pictures int
	freezes  int
	stood    time.Duration // how long the picture stood still in these
	longest  time.Duration // pause
	width    int           // of the last picture, where that is known
	p50, p95 time.Duration // delay from the camera on
}

// saw judges what somebody saw between two moments.
func (v *view) saw(from, to time.Time) (s sight) {
	last := from
	var delays []time.Duration
	pause := func(until time.Time) {
		d := until.Sub(last)
		if s.longest = max(s.longest, d); d > frozen {
			s.freezes++
			s.stood += d
		}
		last = until
	}
	for _, seen := range v.since(from) {
		if seen.at.After(to) {
			break
		}
		pause(seen.at)
		s.pictures++
		s.width = seen.Width
		delays = append(delays, seen.delay())
	}
	pause(to)
	slices.Sort(delays)
	s.p50, s.p95 = quantile(delays, 0.5), quantile(delays, 0.95)
	return s
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// figure prints what was measured, for people and for whoever collects figures.
func figure(t *testing.T, name string, value float64, unit string) {
	t.Helper()
	t.Logf("network.%s %g %s", name, math.Round(value*100)/100, unit)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report prints a sight.
func (s sight) report(t *testing.T, name string) {
	t.Helper()
	figure(t, name+".pictures", float64(s.pictures), "count")
	figure(t, name+".freezes", float64(s.freezes), "count")
	figure(t, name+".frozen", s.stood.Seconds(), "s")
	figure(t, name+".longest_pause", millis(s.longest), "ms")
	figure(t, name+".delay.p50", millis(s.p50), "ms")
	figure(t, name+".delay.p95", millis(s.p95), "ms")
	if s.width > 0 {
		figure(t, name+".width", float64(s.width), "px")
	}
}

// TestWatcher: the Go client's judgement of what could be shown.
func TestWatcher(t *testing.T) {
	now := time.Now()
	var made camera
	frame := func(key bool) []byte {
		made.key.Store(key)
		sample, err := made.Next()
		if err != nil {
			t.Fatal(err)
		}
		return sample.Data
	}
	// Frames of two packets, each from a sequence number on, over its end.
	packets := func(seq uint16, key bool) [2]fragment {
		data := frame(key)
		return [2]fragment{{seq: seq, begins: true, payload: data[:len(data)/2]}, {seq: seq + 1, ends: true, payload: data[len(data)/2:]}}
	}
	made.n = 1 // the first is no key frame by itself
	old, first, second, third, fresh := packets(65530, false), packets(65532, true), packets(65534, false), packets(0, false), packets(6, true)
	var w watcher
	take := func(what string, f fragment, after time.Duration, pictures int, asks bool) {
		t.Helper()
		now = now.Add(after)
		if seen, lost := w.take(now, f); len(seen) != pictures || lost != asks {
			t.Errorf("%s: %d pictures, asks %v", what, len(seen), lost)
		}
	}
	const soon = time.Millisecond
	take("before the key frame", old[0], soon, 0, true)
	take("the key frame's first half", first[0], soon, 0, false)
	take("and second", first[1], soon, 1, false)
	take("the next one but one", third[0], soon, 0, false)
	take("its end", third[1], soon, 0, false)
	take("the next one", second[0], soon, 0, false)
	take("brings both", second[1], soon, 2, false)
	take("again", second[1], soon, 0, false)
	take("something is missing", fragment{seq: 4, begins: true, ends: true, payload: frame(false)}, soon, 0, false)
	take("for long", fragment{seq: 5, begins: true, ends: true, payload: frame(false)}, patience+time.Second, 0, true)
	take("a new key frame", fresh[0], soon, 0, false)
	take("is a picture", fresh[1], soon, 1, false)
	take("the missing one is too late", fragment{seq: 2, begins: true, ends: true, payload: frame(true)}, soon, 0, false)
}
