package bandwidth

import "time"

const (
	// rembAgain is how many estimates of the client's, one after the other, have to say that there is too much.
	rembAgain = 3
	// rembShort is the share of what is sent that an estimate has to be below to say so: what a client estimates
	// follows what it gets.
	rembShort = 0.85
	// rembPause is the time over which what is sent is measured.
	rembPause = 500 * time.Millisecond
)

// remb are the estimates of a client that does not say when packets arrive.
type remb struct {
	at   time.Time
	sent uint64 // bytes until then
	low  int    // how many said that there is too much
}

// Estimated takes what the client estimates, in bit/s (REMB), which counts as long as it does not say when packets
// arrive. sent are the bytes that were sent to it so far.
func (e *Estimator) Estimated(bits float64, sent uint64, now time.Time) {
	r := &e.remb
	span := now.Sub(r.at)
	if !e.delay.since.IsZero() || span < rembPause {
		return
	}
	rate := 8 * float64(sent-r.sent) / span.Seconds()
	known := !r.at.IsZero() && sent >= r.sent
	r.at, r.sent = now, sent
	if !known || bits >= rembShort*rate || now.Before(e.settled) {
		r.low = 0
		return
	}
	if r.low++; r.low >= rembAgain {
		r.low = 0
		e.lower(bits, now)
	}
}
