//go:build cgo

package main

import (
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// addressSpace is far above what nine full HD inputs take, and far below what would hurt the
	// machine. Most of it is reserved by runtimes and thread stacks, and never touched.
	addressSpace = 4 << 30
	openFiles    = 64
	niceness     = 2 // packets of the live room go first
)

// confine takes from the process what it does not need.
func confine(log *slog.Logger) {
	for _, l := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"address space", unix.RLIMIT_AS, addressSpace},
		{"open files", unix.RLIMIT_NOFILE, openFiles},
		{"core dump", unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			log.Warn("limit not set", "limit", l.name, "err", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		log.Warn("new privileges not refused", "err", err)
	}
	// On Linux niceness is a thread's; threads made later inherit it.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		log.Warn("threads not listed", "err", err)
		return
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			if err := unix.Setpriority(unix.PRIO_PROCESS, tid, niceness); err != nil {
				log.Warn("priority not lowered", "err", err)
				return
			}
		}
	}
}
