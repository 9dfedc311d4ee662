// Package room holds live rooms: who is in them, in which role, what they
// publish, what they say to each other.
//
// One goroutine owns each room. Callers (signal, api, live) ask it through
// methods of Room and Peer; it decides, answers, and puts events into the
// queues of the peers concerned. It knows no HTTP, no WebSocket and no RTP: a
// peer's socket is a Sink, its media an sfu.Peer that is only told whom it may
// hear. SDP is negotiated in the caller's goroutine, so a room with many joins
// keeps answering.
package room
