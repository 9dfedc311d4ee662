// Package transport is a WebRTC transport as a sending server needs it: ICE, DTLS, SRTP and one data
// channel, for connections on which the server offers and sends.
//
// All transports share a Port, one UDP port on a socket per address. What arrives there is told apart by
// its first byte and its source (RFC 7983): an address belongs to a transport once a connectivity check
// from it proved, by its message integrity, that it comes from whoever got the transport's credentials.
// Nothing else makes state: DTLS and SRTCP of unknown addresses is none of ours, and goes on to pion's
// mux, which serves the connections on which clients send.
//
// The agent is a lite one (RFC 8445, 2.5): the server is where it says it is, so it answers checks and
// never has to look for a way. Two things are more than lite. A valid check is answered with one of ours,
// as a full agent would, because clients that regard that as the proof that the pair works both ways
// nominate it at once instead of at their next tick. And a path that is silent is asked whether it still
// lives, because some clients check less often than others want to know.
//
// A packet to a subscriber is written, sealed and sent in one place and without a queue: see Batch.
package transport
