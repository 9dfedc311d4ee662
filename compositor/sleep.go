//go:build cgo

package main

import (
	"syscall"
	"time"
	"unsafe"
)

// sleepUntil keeps the thread, and does not tell Go's scheduler that it sleeps. Told, it puts its
// monitor to sleep as well, which afterwards looks around every 20 µs until it believes again that
// all is well: 800 wake-ups a second, a tenth of the processor time of a worker of four people.
//
// What else runs in this process, the garbage collector and the helpers of a crowded tick, has
// processors of its own, and wire.Environment keeps the scheduler from interrupting the sleep. A
// collection that wants all processors waits for its end.
func sleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := syscall.NsecToTimespec(int64(d))
		// An error is a signal, and there is some time left.
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
}
