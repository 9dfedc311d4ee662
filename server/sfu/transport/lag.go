package transport

import "time"

const (
	// lagEvery is how often it is looked whether this process gets the processor in time, lag what is too late, and
	// lagLasts how long what was measured meanwhile is in doubt.
	lagEvery, lag, lagLasts = 50 * time.Millisecond, 30 * time.Millisecond, time.Second
)

// watchLag looks whether this machine has too much to do. What is sent late then, or received late by a client on the
// same machine, says nothing of the network.
func (p *Port) watchLag() {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
			now := time.Now()
			if now.Sub(last) > lagEvery+lag {
				p.late.Store(now.UnixNano())
			}
			last = now
		}
	}
}

// lagged says whether that was so lately.
func (p *Port) lagged(now time.Time) bool {
	return now.Sub(time.Unix(0, p.late.Load())) < lagLasts
}
