package bandwidth

import "time"

const (
	// probeLength is how long more is sent than there is. It has to be longer than clients wait with their reports.
	probeLength = 350 * time.Millisecond
	// firstStep is by how much more is tried first, step after that went well. Little is lost where it does not.
	firstStep, step = 1.5, 2
	// probePackets are the least that say something.
	probePackets = 10
	// tooLong is the wait that ends a probe at once, probeWait and probeLoss what one that goes well does not exceed.
	tooLong, probeWait, probeLoss = 120 * time.Millisecond, 50 * time.Millisecond, 0.12
	// probeShare is the share of a probe that arrives as fast as it was sent, where no queue has grown: if it waited all
	// the same, something else is the reason.
	probeShare = 0.92
	// probeAnswer is how long after a probe's end the client may take to say what came of it.
	probeAnswer = time.Second
	// pause is the time between probes that go well. After one that does not it is backOff,
	// mostBackOff after the next, and up to longest where the limit had to be lowered within the time of regret after
	// one that did.
	pause       = 400 * time.Millisecond
	backOff     = 3 * time.Second
	mostBackOff = 6 * time.Second
	longest     = 24 * time.Second
	regret      = 10 * time.Second
	// enough is how much more than wanted has to fit for the way to be called wide enough again, spare how much more
	// than wanted is tried.
	enough, spare = 1.1, 1.25
	// headroom is the rate of the pacer above the limit: a queue in front of it should become empty as well.
	headroom = 1.15
	// blindStep is by how much the limit is raised at a time where there is nothing to try with.
	blindStep = 1.3
)

// probe tries whether more fits than the limit says.
type probe struct {
	on    bool
	rate  float64 // bit/s
	from  time.Time
	until time.Time

	came, missing int
	bits          float64
	first, last   time.Duration // arrival, by the client's clock
	wait          time.Duration // the least of the last packets
	over          bool          // the client spoke of what was sent later

	next   time.Time // when the next one may begin
	back   time.Duration
	better bool // the last one went well
}

// arrived takes a packet that was sent while the probe is on.
func (p *probe) arrived(sent time.Time, at time.Duration, size int, wait time.Duration) {
	switch {
	case sent.Before(p.from):
		return
	case sent.After(p.until):
		p.over = true
		return
	}
	if p.came == 0 {
		p.first = at
	} else {
		p.bits += 8 * float64(size)
	}
	p.came++
	p.last = max(p.last, at)
	if sent.After(p.until.Add(-probeLength/3)) && (p.wait < 0 || wait < p.wait) {
		p.wait = wait
	}
	if wait > tooLong && p.came > probePackets && sent.Before(p.until) {
		p.until = sent // it is answered
		p.wait, p.over = wait, true
	}
}

func (p *probe) missed(sent time.Time) {
	if !sent.Before(p.from) && !sent.After(p.until) {
		p.missing++
	}
}

// failed puts the next probe off.
func (p *probe) failed(now time.Time) { p.rest(min(max(2*p.back, backOff), mostBackOff), now) }

// cut puts the next probe off because the limit was lowered, for longer if the last probe raised it by mistake.
func (p *probe) cut(now time.Time, mistaken bool) {
	if mistaken {
		p.rest(min(2*max(p.back, backOff), longest), now)
	} else {
		p.rest(backOff, now)
	}
}

func (p *probe) rest(length time.Duration, now time.Time) {
	p.on, p.better = false, false
	p.back, p.next = length, now.Add(length)
}

// Pace says how fast packets are to be sent now, in bit/s, and whether padding is to fill what media does not need of
// that. want is what would be sent if everything fit, padding whether there can be any. It is called every few
// milliseconds while there is a limit.
func (e *Estimator) Pace(want float64, padding bool, now time.Time) (rate float64, fill bool) {
	p := &e.probe
	if p.on && now.After(p.until) && (p.over || now.After(p.until.Add(probeAnswer))) {
		e.learn(now)
	}
	if e.limit == 0 {
		return 0, false
	}
	switch {
	case p.on && !now.After(p.until):
		return p.rate, true
	case p.on, now.Before(p.next), now.Before(e.settled):
	case e.limit >= enough*want:
		// It has been so for a while: then it is wide enough.
		if e.proof == 0 && now.Sub(e.raised) > settle && now.Sub(e.settled) > 0 {
			e.limit = 0
		}
	case !padding:
		e.raise(blindStep*e.limit, now)
		p.next = now.Add(max(p.back, backOff))
	case e.proof == 0 && e.delay.queue < probeWait:
		by := firstStep
		if p.better {
			by = step
		}
		*p = probe{
			on: true, rate: min(by*e.limit, spare*want), from: now, until: now.Add(probeLength),
			wait: -1, next: p.next, back: p.back, better: p.better,
		}
		return p.rate, true
	}
	return headroom * e.limit, false
}

// learn ends a probe.
func (e *Estimator) learn(now time.Time) {
	p := &e.probe
	p.on = false
	total := p.came + p.missing
	if p.came < probePackets || p.last <= p.first {
		p.failed(now)
		return
	}
	rate := p.bits / max(p.last-p.first, p.until.Sub(p.from)/2).Seconds()
	waited := p.wait < 0 || p.wait > probeWait
	if float64(p.missing) > probeLoss*float64(total) || waited && rate < probeShare*p.rate {
		e.raise(margin*rate, now)
		if now.Before(e.disturbed) {
			p.rest(backOff, now) // it may be our own fault
		} else {
			p.failed(now)
		}
		e.settled = now.Add(settle) // its queue has to become empty
		return
	}
	e.raise(min(rate, p.rate), now)
	p.better, p.next = true, now.Add(pause)
}

// raise lifts the limit, if that is higher.
func (e *Estimator) raise(to float64, now time.Time) {
	if to > e.limit {
		e.limit, e.raised = to, now
	}
}
