// Package whip publishes into rooms with an encoder that shares no code with the
// server, GStreamer, over WHIP (RFC 9725), and looks at what others in the room
// get of it: people, a player over WHEP, the composed stream.
package whip
