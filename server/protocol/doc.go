// Package protocol holds the messages of the client protocol as Go types.
//
// It has no behaviour beyond reading and writing JSON: the server's signal and
// room packages and the client in wasm/client share it, so that both sides mean
// the same by a field. PROTOCOL.md beside this file is the contract; section
// numbers in comments are its; BEYOND.md says what it leaves open. All times are epoch milliseconds.
package protocol
