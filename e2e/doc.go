// Package e2e tests the whole: the built server as a process, people in real browsers, the unmodified client SDK of
// the service whose protocol Amphi speaks, and players that know nothing of Amphi.
//
// The tests need bin/amphi, bin/amphi-compositor and the web assets (go tool task build), Chromium and ffmpeg (go
// tool task deps); go test -short leaves them out. When one fails, what each person saw last lies in failures/.
package e2e
