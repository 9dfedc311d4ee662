package player

import (
	"math"
	"testing"
)

var nan = math.NaN()

// element plays a stream that grows in parts, and can lose its network.
type element struct {
	now, pos, edge, buffered float64
	rate                     float64
	part                     float64 // seconds
	online                   bool
	paused, seeking          bool
	stalls                   int
	starved                  bool
	seeked                   int
}

func newElement(behind float64) *element {
	return &element{now: 100, pos: 10 - behind, edge: 10, buffered: 10, rate: 1, part: 0.2, online: true}
}

// step lets dt pass and gives the policy a sample.
func (e *element) step(p *Policy, dt float64) Decision {
	e.now += dt
	e.edge += dt
	if e.online {
		e.buffered = math.Floor(e.edge/e.part) * e.part
	}
	was := e.starved
	if !e.paused {
		e.pos += dt * e.rate
		if e.starved = e.pos >= e.buffered; e.starved {
			e.pos = e.buffered
		}
	}
	if e.starved && !was {
		e.stalls++
	}
	d := p.Tick(Sample{
		Now: e.now, Position: e.pos, BufferEnd: e.buffered, LiveEdge: math.Floor(e.edge/e.part) * e.part, WallLatency: nan,
		Paused: e.paused, Seeking: e.seeking, Starved: e.starved,
	})
	e.rate = d.Rate
	if !math.IsNaN(d.Seek) {
		e.pos = d.Seek
		e.seeked++
	}
	return d
}

func (e *element) run(p *Policy, seconds float64) (d Decision) {
	for range int(seconds * 10) {
		d = e.step(p, 0.1)
	}
	return d
}

func TestConvergesToTarget(t *testing.T) {
	for _, behind := range []float64{0.3, 0.5, 1, 2.9} {
		e, p := newElement(behind), New(Config{})
		d := e.run(p, 60)
		if got := e.edge - e.pos; math.Abs(got-0.5) > 0.3 {
			t.Errorf("start %.1f s behind: %.2f s behind after a minute", behind, got)
		}
		if d.State != Playing || e.seeked != 0 || e.stalls > 1 {
			t.Errorf("start %.1f s behind: state %s, %d jumps, %d stalls", behind, d.State, e.seeked, e.stalls)
		}
	}
}

func TestJumpsWhenFarAway(t *testing.T) {
	e, p := newElement(4.5), New(Config{})
	e.run(p, 3)
	if e.seeked != 1 || e.edge-e.pos > 1.2 {
		t.Errorf("%d jumps, %.2f s behind", e.seeked, e.edge-e.pos)
	}
}

func TestWidensOnStallAndShrinksAgain(t *testing.T) {
	e, p := newElement(0.5), New(Config{})
	e.run(p, 10)
	before := e.run(p, 1).Target
	e.online = false
	e.run(p, 1.5)
	e.online = true
	d := e.run(p, 5)
	if e.stalls == 0 || d.Target <= before {
		t.Fatalf("%d stalls, target %.2f, before %.2f", e.stalls, d.Target, before)
	}
	if d := e.run(p, 240); d.Target != 0.5 {
		t.Errorf("target %.2f s after four minutes without a stall", d.Target)
	}
}

func TestTargetIsBounded(t *testing.T) {
	e, p := newElement(0.5), New(Config{MaxTarget: 2})
	var d Decision
	for range 20 {
		e.run(p, 5)
		e.online = false
		e.run(p, 4)
		e.online = true
		d = e.run(p, 1)
	}
	if d.Target > 2 {
		t.Errorf("target %.2f", d.Target)
	}
}

func TestPauseStaysBehindUntilAsked(t *testing.T) {
	e, p := newElement(0.5), New(Config{})
	e.run(p, 5)
	e.paused = true
	if d := e.run(p, 20); d.State != Paused {
		t.Fatalf("state %s", d.State)
	}
	e.paused = false
	if d := e.run(p, 10); d.State != Behind || d.Rate != 1 || e.seeked != 0 {
		t.Fatalf("after the pause: %+v, %d jumps", d, e.seeked)
	}
	p.SeekToLive()
	if d := e.run(p, 3); d.State != Playing || e.edge-e.pos > 1.2 {
		t.Errorf("back to live: %+v, %.2f s behind", d, e.edge-e.pos)
	}
}

// An engine begins where live was when it asked, by a seek, and with an element that was paused: nobody wanted that.
func TestSlowStartCatchesUp(t *testing.T) {
	e, p := newElement(9), New(Config{})
	at := e.pos
	e.pos, e.paused = 0, true
	e.run(p, 1)
	e.pos, e.seeking = at, true
	e.run(p, 3)
	e.paused = false
	e.step(p, 0.1)
	e.seeking = false
	if d := e.run(p, 10); d.State != Playing || e.edge-e.pos > 1.2 {
		t.Errorf("%+v, %.2f s behind", d, e.edge-e.pos)
	}
}

// Who goes back stays there, however quickly the seek was over; an engine that jumps ahead means nothing by it.
func TestGoingBackIsTheViewersWill(t *testing.T) {
	e, p := newElement(0.5), New(Config{})
	e.run(p, 20)
	e.pos -= 12
	if d := e.run(p, 5); d.State != Behind || e.seeked != 0 {
		t.Errorf("after going back: %+v, %d jumps", d, e.seeked)
	}
	e.pos += 4
	if d := e.run(p, 5); d.State != Behind || e.seeked != 0 {
		t.Errorf("ahead, but not to live: %+v, %d jumps", d, e.seeked)
	}
	e.pos = e.edge - 2
	if d := e.run(p, 5); d.State != Playing || e.edge-e.pos > 1.8 {
		t.Errorf("back at live: %+v, %.2f s behind", d, e.edge-e.pos)
	}

	e.online = false
	e.run(p, 9)
	e.pos += 0.4 // over a hole
	e.seeking = true
	e.step(p, 0.1)
	e.online, e.seeking = true, false
	if d := e.run(p, 5); d.State != Playing || e.edge-e.pos > 2.5 {
		t.Errorf("after a hole: %+v, %.2f s behind", d, e.edge-e.pos)
	}
}

func TestShortPauseCatchesUp(t *testing.T) {
	e, p := newElement(0.5), New(Config{})
	e.run(p, 5)
	e.paused = true
	e.run(p, 2)
	e.paused = false
	if d := e.run(p, 40); d.State != Playing || e.edge-e.pos > 1 {
		t.Errorf("%+v, %.2f s behind", d, e.edge-e.pos)
	}
}

func TestLongOutageReturnsToLive(t *testing.T) {
	e, p := newElement(0.5), New(Config{})
	e.run(p, 5)
	e.online = false
	e.run(p, 15)
	e.online = true
	if d := e.run(p, 5); d.State != Playing || e.edge-e.pos > 2 {
		t.Errorf("%+v, %.2f s behind", d, e.edge-e.pos)
	}
}

// An element that does not move is helped: by jumps, ever more slowly, and then
// by starting anew.
func TestStuckElement(t *testing.T) {
	p := New(Config{})
	var jumps, reloads int
	position := 7.0
	for i := range 400 {
		now := float64(i) * 0.1
		d := p.Tick(Sample{Now: now, Position: position, BufferEnd: nan, LiveEdge: 9 + now, WallLatency: nan})
		if !math.IsNaN(d.Seek) {
			jumps++
			position = d.Seek
		}
		if d.Reload {
			reloads++
			break
		}
	}
	if jumps != stuckMost || reloads != 1 {
		t.Errorf("%d jumps, %d reloads", jumps, reloads)
	}
	// Without anything newer there is nothing to do.
	p = New(Config{})
	for i := range 400 {
		if d := p.Tick(Sample{Now: float64(i) * 0.1, Position: 9, BufferEnd: 9, LiveEdge: 9, WallLatency: nan, Starved: true}); d.Reload || !math.IsNaN(d.Seek) {
			t.Fatalf("%+v", d)
		}
	}
}

// Whatever an element reports, rates and jumps are such that it can obey.
func FuzzTick(f *testing.F) {
	f.Add(1.0, 1.0, 2.0, 3.0, 0.5, false, false, false)
	f.Add(nan, nan, nan, nan, nan, true, true, true)
	f.Add(math.Inf(1), -1.0, math.Inf(-1), 1e308, 0.0, false, true, false)
	f.Fuzz(func(t *testing.T, now, pos, end, edge, wall float64, paused, seeking, starved bool) {
		p := New(Config{})
		for i := range 30 {
			d := p.Tick(Sample{
				Now: now + float64(i)*0.1, Position: pos, BufferEnd: end, LiveEdge: edge, WallLatency: wall,
				Paused: paused && i%2 == 0, Seeking: seeking, Starved: starved && i%3 == 0,
			})
			if !(d.Rate >= 0.5 && d.Rate <= 2) {
				t.Fatalf("rate %v", d.Rate)
			}
			if !math.IsNaN(d.Seek) && !(d.Seek > pos) {
				t.Fatalf("jump from %v to %v", pos, d.Seek)
			}
			if !(d.Target >= 0.4 && d.Target <= 4) {
				t.Fatalf("target %v", d.Target)
			}
		}
	})
}
