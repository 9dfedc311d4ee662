// Package player is the policy of level 3: given what a media element reports
// ten times a second, it decides the playback rate and when to jump, so that
// the viewer is as close to live as the network allows. It moves no bytes; an
// hls.js-shaped engine does (static/sdk/hls-player.ts).
//
// The delay of a low-latency stream is mostly what the player holds back. An
// engine alone keeps about a second; this policy begins at half a second, makes
// it more at each stall, and slowly less again while none comes.
package player

import "math"

// State is what the viewer experiences.
type State string

// The states of playback.
const (
	Idle    State = "idle"    // nothing to play yet
	Playing State = "playing" // at the live edge
	Behind  State = "behind"  // the viewer went back in time, or paused and went on
	Starved State = "starved" // waiting for data
	Paused  State = "paused"
)

// Sample is one observation. Times are in seconds; NaN means unknown.
type Sample struct {
	Now         float64 // of a clock that never jumps
	Position    float64 // of playback, in media time
	BufferEnd   float64 // end of the buffered range around Position
	LiveEdge    float64 // end of what the playlist offers, in media time
	WallLatency float64 // between PROGRAM-DATE-TIME of Position and the wall clock
	Paused      bool
	Seeking     bool
	Starved     bool // it should play and has nothing to
}

// Decision is what to do until the next sample.
type Decision struct {
	Rate    float64 // of playback; 1 is normal
	Seek    float64 // where to jump, in media time; NaN to stay
	State   State
	Latency float64 // estimate of the viewer's delay in seconds; NaN while unknown
	Target  float64 // buffer that is aimed at, in seconds
	Reload  bool    // jumping did not help: the engine should start anew
}

// Config tunes a Policy. Zero fields get the defaults.
type Config struct {
	MinTarget  float64 // buffer to begin with, in seconds; default 0.5
	MaxTarget  float64 // never more, however bad the network; default 4
	MaxRate    float64 // to catch up; default 1.12, which few hear
	MinRate    float64 // to build up a buffer; default 0.95
	JumpAfter  float64 // this far above the target it jumps instead; default 2.5
	BehindFrom float64 // from here to the live edge a viewer counts as behind; default 5
}

func (c *Config) defaults() {
	for _, d := range []struct {
		field *float64
		value float64
	}{{&c.MinTarget, 0.5}, {&c.MaxTarget, 4}, {&c.MaxRate, 1.12}, {&c.MinRate, 0.95}, {&c.JumpAfter, 2.5}, {&c.BehindFrom, 5}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// Constants of the control loop.
const (
	smoothing = 0.5  // seconds; parts arrive in lumps, and the buffer with them
	deadband  = 0.08 // seconds around the target where the rate stays 1
	gain      = 0.3  // rate per second of error

	widen     = 1.5  // target at a stall: × this
	widenBy   = 0.1  // … and + this
	calmAfter = 20.0 // seconds without a stall until the target shrinks
	shrink    = 0.01 // of the target, per second
	settle    = 1.0  // seconds of playing before a stall counts: start and jumps stall too
	stuckFor  = 2.0  // seconds without progress before it jumps; twice as long each time
	stuckMost = 3    // such jumps in a row; then the engine starts anew
	landing   = 1.0  // seconds before the live edge where a jump out of the buffer lands at most
)

// Policy is the decision maker for one element. It is not safe for concurrent use.
type Policy struct {
	cfg      Config
	target   float64
	ahead    float64 // smoothed buffer; NaN: take the next as it is
	last     float64 // time of the last sample; NaN before the first
	played   float64 // since when it has been playing without a break; NaN while not
	calm     float64 // time of the last stall or shrinking
	starved  float64 // since when; NaN while not
	moved    float64 // time when the position last changed
	position float64 // then
	stuck    int     // jumps since
	catching bool    // the rate is above 1 until the target is met
	begun    bool    // it has played; before that, what the engine does is nobody's will
	behind   bool    // by the viewer's will
	paused   bool
	toLive   bool // the viewer asked for it
}

// New makes a policy.
func New(cfg Config) *Policy {
	cfg.defaults()
	nan := math.NaN()
	return &Policy{cfg: cfg, target: cfg.MinTarget, ahead: nan, last: nan, played: nan, calm: nan, starved: nan}
}

// SeekToLive returns to the live edge.
func (p *Policy) SeekToLive() { p.behind, p.toLive = false, true }

// Tick takes a sample and decides. Samples may come at any interval; hidden
// pages get one a second.
func (p *Policy) Tick(s Sample) Decision {
	d := Decision{Rate: 1, Seek: math.NaN(), Latency: p.latency(s)}
	elapsed := s.Now - p.last
	if !(elapsed >= 0) { // the first sample
		elapsed = 0
		p.calm, p.moved = s.Now, s.Now
	}
	p.last = s.Now
	p.noteWill(s)
	if math.Abs(s.Position-p.position) > 0.01 || s.Paused {
		p.moved, p.position = s.Now, s.Position
		if s.Now-p.played > settle {
			p.stuck = 0
		}
	}

	switch {
	case s.Paused:
		d.State = Paused
		p.rest()
	case s.Starved:
		d.State = Starved
		p.starve(s, &d)
	case math.IsNaN(s.BufferEnd):
		d.State = Idle
		p.rest()
	default:
		p.play(s, elapsed, &d)
	}
	p.unstick(s, &d)
	if p.toLive && !s.Paused && !math.IsNaN(s.LiveEdge) {
		p.toLive = false
		p.jump(s, &d, p.edge(s))
	}
	d.Target = p.target
	return d
}

// edge is where a jump lands that leaves the buffer: what is newest may not be
// loaded by the time it is wanted.
func (p *Policy) edge(s Sample) float64 { return s.LiveEdge - max(p.target, landing) }

// unstick helps an element that does not move though it should: over a gap in
// what was loaded, out of a seek that never ends, or after an outage back to
// live.
func (p *Policy) unstick(s Sample, d *Decision) {
	if s.Paused || p.behind || math.IsNaN(s.LiveEdge) || s.Now-p.moved < stuckFor*float64(int(1)<<p.stuck) {
		return
	}
	to := p.edge(s)
	if to < s.Position+0.1 {
		return // there is nothing newer to go to
	}
	p.moved = s.Now
	if p.stuck++; p.stuck > stuckMost {
		p.stuck, p.begun, d.Reload = 0, false, true
		return
	}
	p.jump(s, d, to)
}

// noteWill notices that the viewer chose to be elsewhere than live: by going
// back, or by going on after a pause. Only a viewer goes back: this policy and
// engines jump ahead, over holes and to where they begin, which on a slow
// machine is far from live by then and must not count.
func (p *Policy) noteWill(s Sample) {
	const least = 0.3 // seconds; less is an engine's rounding
	back := s.Position < p.position-least
	resumed := p.paused && !s.Paused
	p.paused = s.Paused
	if p.begun && (resumed || back) {
		p.behind = s.LiveEdge-s.Position > p.cfg.BehindFrom
	}
}

// rest: playback was interrupted; what was measured before says nothing.
func (p *Policy) rest() {
	p.ahead, p.played, p.starved, p.catching = math.NaN(), math.NaN(), math.NaN(), false
}

func (p *Policy) starve(s Sample, d *Decision) {
	if math.IsNaN(p.starved) {
		p.starved = s.Now
		if s.Now-p.played > settle && !p.behind {
			p.target = min(p.target*widen+widenBy, p.cfg.MaxTarget)
			p.calm = s.Now
		}
	}
	p.ahead, p.played, p.catching = math.NaN(), math.NaN(), false
}

func (p *Policy) play(s Sample, elapsed float64, d *Decision) {
	d.State = Playing
	p.starved = math.NaN()
	if math.IsNaN(p.played) {
		p.played = s.Now
	}
	buffer := max(0, s.BufferEnd-s.Position)
	if math.IsNaN(p.ahead) {
		p.ahead = buffer
	} else {
		p.ahead += (buffer - p.ahead) * min(1, elapsed/smoothing)
	}
	if s.LiveEdge-s.Position <= p.cfg.BehindFrom {
		p.behind = false // caught up
	}
	if p.behind {
		d.State, p.catching = Behind, false
		return
	}
	if s.Seeking {
		return
	}
	p.begun = true
	if s.Now-p.calm > calmAfter {
		p.target = max(p.cfg.MinTarget, p.target*(1-shrink*elapsed))
	}
	surplus := p.ahead - p.target
	if surplus > p.cfg.JumpAfter {
		p.jump(s, d, s.BufferEnd-p.target)
		return
	}
	d.Rate = p.rate(surplus)
}

// rate closes the gap between buffer and target. Catching up goes on until the
// target is met, not just to the edge of the deadband: else it never ends.
func (p *Policy) rate(surplus float64) float64 {
	switch {
	case surplus > deadband:
		p.catching = true
	case surplus <= 0:
		p.catching = false
	}
	r := 1.0
	switch {
	case p.catching:
		r = min(p.cfg.MaxRate, 1.02+gain*max(0, surplus))
	case surplus < -deadband:
		r = max(p.cfg.MinRate, 1+gain*(surplus+deadband))
	}
	return math.Round(r*100) / 100 // not a new rate every tick
}

func (p *Policy) jump(s Sample, d *Decision, to float64) {
	if math.IsNaN(to) || to <= s.Position {
		return
	}
	d.Seek = to
	p.ahead, p.catching = math.NaN(), false
	p.played = math.NaN()
}

// latency prefers the clock in the stream; without one it is what lies between
// the position and the newest part.
func (p *Policy) latency(s Sample) float64 {
	if !math.IsNaN(s.WallLatency) {
		return s.WallLatency
	}
	return s.LiveEdge - s.Position
}
