package bandwidth

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// way is a simulated way to a client, and the client's reports back.
type way struct {
	capacity float64 // bit/s; 0: any
	buffer   time.Duration
	delay    time.Duration
	jitter   time.Duration // in both directions
	loss     float64
	down     bool
	stall    bool // the client's processor does not get to what arrived
	busy     bool // nor does ours, and we know

	random *rand.Rand
	free   time.Time // when the last bit is on the line
	last   time.Time
}

// pass returns when a packet arrives.
func (w *way) pass(now time.Time, size int) (at time.Time, ok bool) {
	if w.down {
		return at, false
	}
	at = now
	if w.capacity > 0 {
		if w.free.Before(now) {
			w.free = now
		}
		if w.free.Sub(now) > w.buffer {
			return at, false
		}
		w.free = w.free.Add(time.Duration(float64(8*size) / w.capacity * float64(time.Second)))
		at = w.free
	}
	if w.random.Float64() < w.loss {
		return at, false
	}
	at = at.Add(w.delay)
	if w.jitter > 0 {
		at = at.Add(time.Duration(w.random.Int64N(int64(2*w.jitter))) - w.jitter)
	}
	if at.Before(w.last) {
		at = w.last
	}
	w.last = at
	return at, true
}

// call is a subscriber of one picture in layers, and of sound, behind a way.
type call struct {
	t      *testing.T
	way    way
	e      Estimator
	layers []float64 // bit/s, the best first

	now     time.Time
	flying  []flown // sent and not yet reported
	queue   []int   // sizes that the pacer holds
	credit  float64
	frame   int
	layer   int // sent; len(layers): none
	changed []change
	sent    float64 // bits
	padded  float64
}

type flown struct {
	sent, at time.Time
	size     int
	lost     bool
}

type change struct {
	after time.Duration
	layer int
}

var start = time.Unix(1_700_000_000, 0)

func newCall(t *testing.T, layers ...float64) *call {
	return &call{
		t: t, layers: layers, now: start,
		way: way{delay: 20 * ms, buffer: 200 * ms, random: rand.New(rand.NewPCG(1, 2))},
	}
}

func (c *call) total() float64 { return c.layers[0] + sound }

const (
	sound  = 40_000
	packet = 1200
)

func (c *call) send(size int) {
	at, ok := c.way.pass(c.now, size)
	c.sent += float64(8 * size)
	c.flying = append(c.flying, flown{c.now, at, size, !ok})
}

// run goes on for some time, in steps of 5 ms.
func (c *call) run(length time.Duration) {
	for end := c.now.Add(length); c.now.Before(end); c.now = c.now.Add(5 * ms) {
		n := int(c.now.Sub(start) / (5 * ms))
		limit := c.e.Limit()
		// The layer that fits; a better one only with something to spare.
		layer := 0
		for layer < len(c.layers) && limit > 0 {
			need := c.layers[layer] + sound
			if layer < c.layer {
				need *= 1.1
			}
			if need <= limit {
				break
			}
			layer++
		}
		if layer != c.layer {
			if layer > c.layer {
				c.queue = nil
			}
			c.layer = layer
			c.changed = append(c.changed, change{c.now.Sub(start), layer})
			c.frame = 0
		}
		if n%4 == 0 {
			c.send(sound / 8 / 50)
		}
		if n%7 == 0 && layer < len(c.layers) { // about 30 pictures a second, a key frame each 3 s
			size := c.layers[layer] / 8 / 28.6 * 0.8
			if c.frame%90 == 0 {
				size *= 18
			}
			c.frame++
			for ; size > 0; size -= packet {
				c.queue = append(c.queue, int(min(max(size, 100), packet)))
			}
		}
		pace, fill := 0.0, false
		if limit > 0 {
			pace, fill = c.e.Pace(c.total(), true, c.now)
		}
		if pace == 0 {
			for _, size := range c.queue {
				c.send(size)
			}
			c.queue, c.credit = nil, 0
		} else {
			c.credit = min(c.credit+pace*0.005/8, pace/8/20)
			for c.credit > 0 && (len(c.queue) > 0 || fill) {
				size := 250
				if len(c.queue) > 0 {
					size, c.queue = c.queue[0], c.queue[1:]
				} else {
					c.padded += float64(8 * size)
				}
				c.send(size)
				c.credit -= float64(size)
			}
		}
		if c.way.busy {
			c.e.Disturbed(c.now)
		}
		if n%20 == 0 && !c.way.stall {
			c.report()
		}
	}
}

// report is what the client says each 100 ms of what has arrived by then, one way ago.
func (c *call) report() {
	seen := c.now.Add(-c.way.delay)
	slices.SortStableFunc(c.flying, func(a, b flown) int { return a.sent.Compare(b.sent) })
	newest := -1
	for i, f := range c.flying {
		if !f.lost && f.at.Before(seen) {
			newest = i
		}
	}
	for _, f := range c.flying[:newest+1] {
		if f.lost {
			c.e.Lost(f.sent, c.now)
		} else {
			c.e.Arrived(f.sent, f.at.Sub(start)+time.Hour, f.size, c.now)
		}
	}
	c.flying = append(c.flying[:0], c.flying[newest+1:]...)
}

// stall keeps the client's processor for some time: what arrived meanwhile it sees at the end, all at once.
func (c *call) stall(length time.Duration) {
	from := c.now
	c.way.stall = true
	c.run(length)
	c.way.stall = false
	for i := range c.flying {
		if f := &c.flying[i]; f.at.After(from) && f.at.Before(c.now) {
			f.at = c.now
		}
	}
	c.way.last = c.now
}

// reaches says how long after a moment a layer was reached.
func (c *call) reaches(layer int, from time.Duration) time.Duration {
	c.t.Helper()
	for _, x := range c.changed {
		if x.after >= from && x.layer == layer {
			return x.after - from
		}
	}
	c.t.Fatalf("layer %d is not reached after %v: %v, limit %.0f", layer, from, c.changed, c.e.Limit())
	return 0
}

var simulcast = []float64{1_500_000, 500_000, 120_000}

// A way becomes narrow and wide again.
func TestCapacitySteps(t *testing.T) {
	for _, x := range []struct {
		name          string
		before, small float64
		buffer        time.Duration
		layer         int // the one that fits
		within        time.Duration
	}{
		{"2M to 300k", 2_000_000, 300_000, 200 * ms, 2, 2 * time.Second},
		{"100M to 300k", 0, 300_000, 200 * ms, 2, 2 * time.Second},
		{"a deep queue", 0, 300_000, 3 * time.Second, 2, 3 * time.Second},
		{"a shallow queue", 0, 300_000, 30 * ms, 2, 3 * time.Second},
		{"700k", 0, 700_000, 200 * ms, 1, 3 * time.Second},
		{"120k", 0, 120_000, 200 * ms, 3, 5 * time.Second},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := newCall(t, simulcast...)
			c.way.capacity, c.way.buffer = x.before, x.buffer
			c.run(15 * time.Second)
			if len(c.changed) > 0 {
				t.Fatalf("layers change on a wide way: %v", c.changed)
			}
			c.way.capacity = x.small
			c.run(x.within)
			down := c.reaches(x.layer, 15*time.Second)
			at := len(c.changed)
			c.padded, c.sent = 0, 0
			c.run(30 * time.Second)
			if len(c.changed) > at+4 {
				t.Errorf("it flaps: %v", c.changed[at:])
			}
			if c.layer != x.layer {
				t.Errorf("layer %d fits, not %d; limit %.0f", x.layer, c.layer, c.e.Limit())
			}
			if limit := c.e.Limit(); limit > 1.2*x.small || limit < 0.6*x.small {
				t.Errorf("a limit of %.0f, %.0f fit", limit, x.small)
			}
			padded := c.padded / c.sent
			c.way.capacity = x.before
			again := c.now.Sub(start)
			c.run(15 * time.Second)
			up := c.reaches(0, again)
			t.Logf("down after %v, %.0f %% padding, up after %v; %v", down, 100*padded, up, c.changed)
			if up > 12*time.Second || padded > 0.15 {
				t.Errorf("up after %v, %.0f %% padding", up, 100*padded)
			}
			c.run(10 * time.Second)
			if c.e.Limit() != 0 {
				t.Errorf("a limit of %.0f is left", c.e.Limit())
			}
		})
	}
}

// What is no bottleneck lowers nothing.
func TestFalseAlarms(t *testing.T) {
	const second = time.Second
	for _, x := range []struct {
		name string
		do   func(*call)
	}{
		{"2 % loss", func(c *call) { c.way.loss = 0.02; c.run(60 * second) }},
		{"10 % loss", func(c *call) { c.way.loss = 0.10; c.run(60 * second) }},
		{"jitter", func(c *call) { c.way.delay, c.way.jitter = 100*ms, 50*ms; c.run(60 * second) }},
		{"jitter and 5 % loss", func(c *call) { c.way.delay, c.way.jitter, c.way.loss = 100*ms, 50*ms, 0.05; c.run(60 * second) }},
		{"a longer way", func(c *call) { c.way.delay += 150 * ms; c.run(60 * second) }},
		{"outages", func(c *call) {
			for range 10 {
				c.way.down = true
				c.run(second)
				c.way.down = false
				c.run(3 * second)
			}
		}},
		{"stalls of the client", func(c *call) {
			for n := range 40 {
				c.stall(time.Duration(50+40*n) * ms)
				c.run(second)
			}
		}},
		{"stalls one after the other", func(c *call) {
			for range 200 {
				c.stall(time.Duration(50+c.way.random.IntN(400)) * ms)
				c.run(time.Duration(5+c.way.random.IntN(100)) * ms)
			}
		}},
		{"a key frame fills the queue", func(c *call) { c.way.capacity = 1.1 * c.total(); c.run(60 * second) }},
		{"a client that becomes slower and slower, and so do we", func(c *call) {
			c.way.busy = true
			for range 60 {
				c.way.delay += 20 * ms
				c.run(100 * ms)
			}
		}},
	} {
		for _, layers := range [][]float64{simulcast, {2_500_000}, {100_000}} {
			c := newCall(t, layers...)
			c.run(5 * second)
			x.do(c)
			if len(c.changed) > 0 {
				t.Errorf("%s at %.0f kbit/s: %v, limit %.0f", x.name, layers[0]/1000, c.changed, c.e.Limit())
			}
		}
	}
}
