// Package bandwidth finds out how much the way to a subscriber carries, and shares it out among tracks.
//
// The [Estimator] takes a way for wide enough until there is proof that it is not, because a wrong suspicion costs a
// viewer the picture, and most ways are wide enough. Proof is what nothing but a bottleneck does for about a second: a
// queue that stands, which means that not even the quickest packet passes without waiting (as in CoDel, RFC 8289), and
// overflows or grows; or so much loss among packets that arrive that no repair helps. A processor that stalls, ours or
// the client's, delays packets as well, but then they come all at once and the quickest one has not waited; an outage
// loses packets in a row, with none between that arrive; and radio loses some at random, without a queue.
//
// From then on what arrives is what the way carries. Whether it has become wider is found out by sending more than
// there is to send, for some tenths of a second: padding, so that the viewer loses nothing if it has not.
//
// Nothing here has a clock of its own, or a lock.
package bandwidth

import "time"

const (
	// A span is what was sent, or took to arrive, in this time, and at least so many packets: the unit that is judged.
	spanLength  = 250 * time.Millisecond
	spanPackets = 6
	// rateSpans are over how many spans rates are measured.
	rateSpans = 4

	// standing is the least wait of a span's packets that is a queue, and not what jitter leaves over where no packet
	// overtakes another.
	standing = 60 * time.Millisecond
	// overflow is the share of packets lost that together with a queue is proof, policed the one that is without: what
	// drops packets instead of keeping them waiting.
	overflow, policed = 0.15, 0.3
	// growing is how much the least wait grows from one span to the next where more is sent than passes: 8 % more.
	growing = 20 * time.Millisecond

	// proof is the weight of the spans, one after the other, that make certain: three of overflow, or six of growth.
	proof, overflowing, filling = 6, 2, 1

	// margin is the share of what arrived that is used from then on: the queue has to become empty, too.
	margin = 0.85
	// least is the limit below which there never is one, bit/s: sound needs as much.
	least = 40_000
	// settle is how long after a cut what is sent may still be too much: the new layer's key frame has to come.
	settle = 700 * time.Millisecond
	// disturbance is how long delays mean nothing after this machine was found to lag behind.
	disturbance = time.Second
)

// Estimator finds out what the way to one subscriber carries, from when packets were sent and arrived. Its zero value
// is ready.
type Estimator struct {
	delay delays
	span  span // that is not over
	spans [rateSpans]span
	count int // of spans that are known, rateSpans at most

	wait  time.Duration // of the last span, the least
	proof int

	limit     float64 // bit/s; 0: the way is wide enough
	settled   time.Time
	raised    time.Time // when a probe raised the limit the last time
	disturbed time.Time // until then

	probe probe
	remb  remb
}

// span is what became of the packets that were sent in a time.
type span struct {
	from          time.Time
	to            time.Time // when the last of them was sent
	bits          float64   // that arrived
	arrived, lost int
	wait          time.Duration // of the quickest one
	begin, end    time.Duration // when the first and the last one arrived, by the client's clock
}

// Limit is how much may be sent, in bit/s; 0 means that nothing speaks against as much as there is.
func (e *Estimator) Limit() float64 { return e.limit }

// Queue is how much longer packets take at present than the quickest ones did lately.
func (e *Estimator) Queue() time.Duration { return e.delay.queue }

// Rate is how much arrived lately, in bit/s.
func (e *Estimator) Rate() float64 {
	if e.count < 2 {
		return 0
	}
	first, last := e.spans[rateSpans-e.count], e.spans[rateSpans-1]
	bits := 0.0
	for _, s := range e.spans[rateSpans-e.count+1:] {
		bits += s.bits
	}
	// After a stall much arrives in little time, which says nothing of the way.
	return bits / max(last.end-first.end, last.to.Sub(first.to), spanLength).Seconds()
}

// Arrived takes what the client said of a packet: that it arrived, at a time of its own clock.
func (e *Estimator) Arrived(sent time.Time, at time.Duration, size int, now time.Time) {
	wait := e.delay.take(sent, at, now)
	e.begin(sent, now)
	s := &e.span
	switch {
	case s.arrived == 0:
		s.wait, s.begin, s.end = wait, at, at
	case wait < s.wait:
		s.wait = wait
	}
	s.arrived++
	s.bits += 8 * float64(size)
	s.end = max(s.end, at)
	if e.probe.on {
		e.probe.arrived(sent, at, size, wait)
	}
}

// Lost takes that a packet did not arrive so far.
func (e *Estimator) Lost(sent time.Time, now time.Time) {
	e.begin(sent, now)
	e.span.lost++
	if e.probe.on {
		e.probe.missed(sent)
	}
}

// Found takes back that a packet was lost: Arrived follows.
func (e *Estimator) Found() { e.span.lost = max(e.span.lost-1, 0) }

// Moved says that packets take another way from now on. What was known of delays is void.
func (e *Estimator) Moved() {
	e.delay = delays{}
	e.span, e.count, e.proof, e.wait = span{}, 0, 0, 0
	e.probe.on = false
}

// Disturbed says that this machine lags behind: it sends late, and if the client is on it that receives late, too.
func (e *Estimator) Disturbed(now time.Time) { e.disturbed = now.Add(disturbance) }

// begin closes the span if it is over when a packet was sent.
func (e *Estimator) begin(sent, now time.Time) {
	s := &e.span
	if n := s.arrived + s.lost; n == 0 {
		*s = span{from: sent, to: sent}
	} else if n >= spanPackets && (sent.Sub(s.from) >= spanLength || s.end-s.begin >= spanLength) {
		e.judge(s, now)
		*s = span{from: sent, to: sent}
	}
	if sent.After(s.to) {
		s.to = sent
	}
}

// judge takes a span that is over for what it proves.
func (e *Estimator) judge(s *span, now time.Time) {
	if s.arrived == 0 { // an outage
		e.proof, e.wait, e.count = 0, 0, 0
		return
	}
	copy(e.spans[:], e.spans[1:])
	e.spans[rateSpans-1] = *s
	e.count = min(e.count+1, rateSpans)

	loss := float64(s.lost) / float64(s.arrived+s.lost)
	calm := now.After(e.disturbed)
	grown := s.wait - e.wait
	e.wait = s.wait
	switch {
	case e.limit > 0 && s.from.Before(e.settled), e.probe.on:
		return // there is too much on the way on purpose, or from before
	case loss >= policed, loss >= overflow && s.wait >= standing:
		e.proof += filling
		if calm {
			e.proof += overflowing - filling
		}
	case s.wait < standing, grown <= -growing/2:
		e.proof = 0
	case grown >= growing && calm:
		e.proof += filling
	default:
		e.proof = max(e.proof-filling, 0)
	}
	if e.proof >= proof {
		e.cut(now)
	}
}

// cut lowers the limit to what arrives.
func (e *Estimator) cut(now time.Time) {
	rate := e.Rate()
	if e.limit > 0 {
		rate = min(rate, e.limit)
	}
	e.proof = 0
	e.lower(margin*rate, now)
}

func (e *Estimator) lower(to float64, now time.Time) {
	e.limit = max(to, least)
	e.settled = now.Add(settle)
	e.probe.cut(now, now.Sub(e.raised) < regret)
}

// delays are held against the quickest one of the present time. Clocks differ, so they mean something only next to
// each other.
type delays struct {
	least, before time.Duration // of the present time, and of the one before
	since         time.Time     // when the present time began
	queue         time.Duration // smoothed
}

const (
	// delayTime is for how long a quick packet is what others are held against, twice that at most. The clocks of both
	// ends drift apart by a tenth of a millisecond in it.
	delayTime = 10 * time.Second
	// otherClock is a difference that only another clock of the client's makes.
	otherClock = time.Minute
)

// take returns by how much longer a packet took than the quickest one.
func (d *delays) take(sent time.Time, at time.Duration, now time.Time) time.Duration {
	delay := at - time.Duration(sent.UnixNano())
	switch {
	case d.since.IsZero(), (delay - d.least).Abs() > otherClock:
		*d = delays{least: delay, before: delay, since: now}
	case now.Sub(d.since) > delayTime:
		d.before, d.least, d.since = d.least, delay, now
	default:
		d.least = min(d.least, delay)
	}
	wait := max(delay-min(d.least, d.before), 0)
	d.queue += (wait - d.queue) / 8
	return wait
}
