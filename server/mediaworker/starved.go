package mediaworker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Starved says whether the process has something to do and waits for a processor
// or a disk to do it: one of its threads is runnable (R) or in uninterruptible
// sleep (D), proc(5). A worker that hangs has all its threads asleep. Where there
// is no /proc it is false.
func (p *Process) Starved() bool { return starved(p.Pid()) }

func starved(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		// The state follows the name, which is in parentheses and may hold any byte.
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) && (stat[i+2] == 'R' || stat[i+2] == 'D') {
			return true
		}
	}
	return false
}
