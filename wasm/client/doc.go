// Package client is one participant of a room: it signals, publishes,
// subscribes, and keeps the state of the room as applications see it.
//
// It knows no browser. Under GOOS=js it is the engine of the web SDK
// (wasm/main.go); built natively it is the Go client that tests, load
// generators and bots use. Both speak the client protocol as the 100ms web
// client 0.15.2 does; section numbers in comments are those of
// server/protocol/PROTOCOL.md.
//
// A [Client] joins one room at a time. What happens in it becomes a change of
// [State], which goes out as a [Patch] with consecutive versions, and where it
// is worth telling, a [Notification] after the patch that it is about.
//
// Inside: link is the WebSocket over any number of sockets; session the life
// of one stay in a room; publisher and subscriber its two peer connections;
// store owns the state. reduce.go turns server messages into changes of state,
// and does nothing else.
package client
