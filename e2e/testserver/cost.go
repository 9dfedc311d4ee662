package testserver

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// CPU is the processor time that a process has used; 0 if there is none.
func CPU(pid int) time.Duration { return processor(pid, 11) + processor(pid, 12) }

// KernelTime is the part of CPU that passed in the kernel: that of the network, which on one machine includes the
// receiving side.
func KernelTime(pid int) time.Duration { return processor(pid, 12) }

// processor reads a field after the name in /proc/PID/stat, in ticks of 10 ms (proc(5)).
func processor(pid, field int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var ticks int64
	fmt.Sscan(strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[field], &ticks)
	return time.Duration(ticks) * time.Second / 100
}

// Memory is the resident set of a process in bytes; 0 if there is none.
func Memory(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	fmt.Sscan(string(b), &size, &resident)
	return resident * int64(os.Getpagesize())
}
