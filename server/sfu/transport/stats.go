package transport

import "sync/atomic"

// Stats is a snapshot of a Port's counters. They never go down.
type Stats struct {
	Garbage   uint64 // datagrams that belong to nobody or mean nothing
	Forged    uint64 // connectivity checks with one of our names that do not prove to be the client's
	Unsealed  uint64 // SRTCP that does not decrypt, is malformed, or came before
	Overflow  uint64 // DTLS datagrams that came faster than they were read
	Unsent    uint64 // packets that the kernel did not take
	Refused   uint64 // TCP connections beyond a limit
	Unmatched uint64 // DTLS handshakes that failed, with a wrong certificate for one
}

type counters struct {
	garbage, forged, unsealed, overflow, unsent, refused, unmatched atomic.Uint64
}

// Stats returns the counters.
func (p *Port) Stats() Stats {
	c := &p.stats
	return Stats{
		Garbage: c.garbage.Load(), Forged: c.forged.Load(), Unsealed: c.unsealed.Load(),
		Overflow: c.overflow.Load(), Unsent: c.unsent.Load(), Refused: c.refused.Load(), Unmatched: c.unmatched.Load(),
	}
}
