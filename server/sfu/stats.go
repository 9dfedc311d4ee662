package sfu

import "sync/atomic"

// Stats is a snapshot of an SFU's counters. Counters never go down while the
// SFU lives; Peers, PublishConnected, SubscribeConnected, Tracks,
// Subscriptions, Narrow and Withheld are gauges.
type Stats struct {
	Peers              int64
	PublishConnected   int64 // publish connections with media flowing or able to
	SubscribeConnected int64
	Tracks             int64 // published tracks
	Subscriptions      int64 // tracks times subscribers, negotiated or about to be
	Narrow             int64 // subscribers whose network does not take all they want
	Withheld           int64 // pictures that they do not get because of it

	PacketsIn  uint64 // RTP packets received and accepted
	PacketsOut uint64 // RTP packets sent, retransmissions included
	BytesIn    uint64 // of RTP, header included
	BytesOut   uint64 // of RTP payload
	HeldBack   uint64 // RTP packets of sound that nobody got because others were louder

	NACKsIn       uint64 // sequence numbers asked for by subscribers
	NACKsOut      uint64 // sequence numbers asked from publishers
	Retransmitted uint64 // packets sent again
	Padding       uint64 // packets of nothing, sent to find out whether a subscriber's network takes more
	PLIsIn        uint64 // picture losses reported by subscribers (PLI and FIR)
	PLIsOut       uint64 // key frames asked from publishers

	DroppedCodec      uint64 // RTP of a payload type that was not negotiated
	DroppedMalformed  uint64 // RTP that does not parse
	DroppedLate       uint64 // RTP duplicated or too late to be of use
	DroppedWrite      uint64 // RTP that could not be sent
	DroppedGarbage    uint64 // datagrams at the port that belong to nobody, or do not prove to be whose they seem
	RefusedStreams    uint64 // TCP connections beyond a limit
	DroppedCandidates uint64 // remote ICE candidates over the limit or malformed
	DroppedTap        uint64 // packets and frames that a Tap's owner was too slow for
	DroppedEvents     uint64 // data channel notifications over the buffer's limit

	BadSDP           uint64 // session descriptions refused
	BadMessages      uint64 // data channel messages that are no valid request
	UnansweredOffers uint64 // subscribe offers without an answer in time
	ICERestarts      uint64 // of subscribe connections
	Unsupported      uint64 // subscriptions that the client has no codec for
}

// counters are the live form of Stats.
type counters struct {
	peers, pubConnected, subConnected, tracks, subscriptions atomic.Int64
	narrow, withheld                                         atomic.Int64

	packetsIn, packetsOut, bytesIn, bytesOut               atomic.Uint64
	nacksIn, nacksOut, retransmitted, plisIn, plisOut      atomic.Uint64
	padding, heldBack                                      atomic.Uint64
	droppedCodec, droppedMalformed, droppedLate            atomic.Uint64
	droppedCandidates, droppedTap, droppedEvents           atomic.Uint64
	badSDP, badMessages, unanswered, restarts, unsupported atomic.Uint64
}

// Stats returns the counters as they are now. They are read one by one, so
// two of them can be some packets apart.
func (s *SFU) Stats() Stats {
	c, port := &s.stats, s.port.Stats()
	return Stats{
		Peers:              c.peers.Load(),
		PublishConnected:   c.pubConnected.Load(),
		SubscribeConnected: c.subConnected.Load(),
		Tracks:             c.tracks.Load(),
		Subscriptions:      c.subscriptions.Load(),
		Narrow:             c.narrow.Load(),
		Withheld:           c.withheld.Load(),
		PacketsIn:          c.packetsIn.Load(),
		PacketsOut:         c.packetsOut.Load(),
		BytesIn:            c.bytesIn.Load(),
		BytesOut:           c.bytesOut.Load(),
		HeldBack:           c.heldBack.Load(),
		NACKsIn:            c.nacksIn.Load(),
		NACKsOut:           c.nacksOut.Load(),
		Retransmitted:      c.retransmitted.Load(),
		Padding:            c.padding.Load(),
		PLIsIn:             c.plisIn.Load(),
		PLIsOut:            c.plisOut.Load(),
		DroppedCodec:       c.droppedCodec.Load(),
		DroppedMalformed:   c.droppedMalformed.Load(),
		DroppedLate:        c.droppedLate.Load(),
		DroppedWrite:       port.Unsent,
		DroppedGarbage:     port.Garbage + port.Forged + port.Unsealed + port.Overflow,
		RefusedStreams:     port.Refused,
		DroppedCandidates:  c.droppedCandidates.Load(),
		DroppedTap:         c.droppedTap.Load(),
		DroppedEvents:      c.droppedEvents.Load(),
		BadSDP:             c.badSDP.Load(),
		BadMessages:        c.badMessages.Load(),
		UnansweredOffers:   c.unanswered.Load(),
		ICERestarts:        c.restarts.Load(),
		Unsupported:        c.unsupported.Load(),
	}
}
