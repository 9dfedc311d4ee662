//go:build cgo

package main

import (
	"errors"
	"fmt"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// allowed are the system calls of a worker that runs: memory, threads, time, its pipes, and files
// that are only read. Not among them are sockets, programs, other processes, and whatever makes or
// changes a file. It is a list of what may be, so that calls of another architecture's numbers, and
// those of kernels to come, are refused too. Those that an architecture lacks are left out.
var allowed = []string{
	"read", "readv", "pread64", "write", "writev", "close", "lseek", "dup", "dup3", "fcntl", "pipe2",
	"fstat", "newfstatat", "stat", "lstat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd",
	"poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2",
	"mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "brk", "membarrier",
	"futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue", "set_robust_list", "get_robust_list", "rseq",
	"clone", "set_tid_address", "arch_prctl", "exit", "exit_group", "gettid", "getpid", "getppid", "tgkill",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigpending", "sigaltstack", "restart_syscall",
	"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
	"sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
	"getrandom", "getrusage", "getrlimit", "sysinfo", "uname", "getuid", "geteuid", "getgid", "getegid",
	"timer_create", "timer_settime", "timer_delete", "setitimer",
}

// refuseSyscalls takes all other system calls from all threads, for good. Those that are refused
// fail with EPERM.
func refuseSyscalls() error {
	machine, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	var names []string
	for _, name := range allowed {
		if _, known := machine.SyscallNames[name]; known {
			names = append(names, name)
		}
	}
	groups := []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: names}}
	if _, known := machine.SyscallNames["clone3"]; known {
		// Its arguments are out of a filter's sight. Libraries that hear that there is none take clone.
		groups = append(groups, seccomp.SyscallGroup{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}})
	}
	// Reading only. O_TMPFILE needs one of O_ACCMODE. It stands last: the filter's number of the call
	// is lost where arguments are looked at.
	groups = append(groups, seccomp.SyscallGroup{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{{
		Name:       "openat",
		Conditions: []seccomp.Condition{{Argument: 2, Operation: seccomp.BitsNotSet, Value: unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC}},
	}}})
	if !seccomp.Supported() {
		return errors.New("seccomp: this kernel has none")
	}
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy:     seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: groups},
	})
}
