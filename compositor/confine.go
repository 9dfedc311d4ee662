//go:build cgo

package main

import (
	"fmt"
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

// confine takes from the process what it does not need, and tells what is in force. What a machine
// does not grant, such as a system call filter in some containers, is a warning.
func confine(log *slog.Logger) {
	var inForce []any
	try := func(name string, value any, err error) {
		if err != nil {
			log.Warn("worker is not confined in all", "lacks", name, "err", err)
			return
		}
		inForce = append(inForce, name, value)
	}
	for _, l := range []struct {
		name     string
		resource int
		limit    uint64
	}{
		{"address_space", unix.RLIMIT_AS, addressSpace},
		{"open_files", unix.RLIMIT_NOFILE, openFiles},
		{"core_dump", unix.RLIMIT_CORE, 0},
	} {
		try(l.name, l.limit, unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.limit, Max: l.limit}))
	}
	try("nice", niceness, lowerPriority())
	try("new_privileges", "none", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	try("network", "none", refuseSyscalls())
	log.Info("worker is confined", inForce...)
}

// lowerPriority makes all threads nice. On Linux niceness is a thread's; threads made later inherit
// it.
func lowerPriority() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			if err := unix.Setpriority(unix.PRIO_PROCESS, tid, niceness); err != nil {
				return fmt.Errorf("thread %d: %w", tid, err)
			}
		}
	}
	return nil
}
