//go:build cgo

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// refusals is what a confined process tries, as a child of the tests.
const refusals = "AMPHI_TEST_REFUSALS"

// tryRefused takes the process's system calls and says what of it went wrong.
func tryRefused() int {
	parent := os.Getppid()
	if err := refuseSyscalls(); err != nil {
		fmt.Println("no filter:", err)
		return 0
	}
	socket := func(domain, kind int) error {
		_, err := unix.Socket(domain, kind, 0)
		return err
	}
	for what, err := range map[string]error{
		"a TCP socket":         socket(unix.AF_INET6, unix.SOCK_STREAM),
		"a UDP socket":         socket(unix.AF_INET, unix.SOCK_DGRAM),
		"a local socket":       socket(unix.AF_UNIX, unix.SOCK_STREAM),
		"a program":            unix.Exec("/bin/true", []string{"true"}, nil),
		"a signal":             unix.Kill(parent, 0),
		"a trace":              unix.PtraceAttach(parent),
		"a file to write":      open("/dev/null", unix.O_WRONLY),
		"a file to read+write": open("/dev/null", unix.O_RDWR),
		"a new file":           open(os.TempDir(), unix.O_RDWR|unix.O_TMPFILE),
		"no file":              unix.Unlink("/nowhere/at/all"),
		"a namespace":          unix.Unshare(unix.CLONE_NEWUSER),
	} {
		if !errors.Is(err, unix.EPERM) {
			fmt.Printf("%s: %v\n", what, err)
		}
	}
	if err := open("/proc/self/statm", unix.O_RDONLY); err != nil {
		fmt.Println("a file to read:", err)
	}
	done := make(chan bool)
	for range 4 { // threads of their own
		go func() {
			runtime.LockOSThread()
			done <- errors.Is(socket(unix.AF_INET, unix.SOCK_STREAM), unix.EPERM)
		}()
	}
	for range 4 {
		if !<-done {
			fmt.Println("a new thread may do more")
		}
	}
	return 0
}

func open(path string, flags int) error {
	fd, err := unix.Open(path, flags, 0o600)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func TestRefusals(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), refusals+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil && strings.HasPrefix(string(out), "no filter: ") {
		t.Skip(strings.TrimSpace(string(out)))
	}
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// A worker that runs has what its log says.
func TestConfined(t *testing.T) {
	t.Parallel()
	p := launch(t, &output720)
	proc := func(file string) string {
		t.Helper()
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b)), " ")
	}
	status, limits := proc("status"), proc("limits")
	stat := proc("stat")
	stat = stat[strings.LastIndexByte(stat, ')'):]
	p.finish()
	for _, c := range []struct{ in, want string }{
		{status, "NoNewPrivs: 1 "},
		{limits, "Max core file size 0 0 "},
		{limits, "Max open files 64 64 "},
		{limits, "Max address space 4294967296 4294967296 "},
	} {
		if !strings.Contains(c.in, c.want) {
			t.Errorf("lacks %q", c.want)
		}
	}
	if nice := strings.Fields(stat)[17]; nice != "2" { // proc(5): field 19; 2 of them stand before the parenthesis
		t.Errorf("nice %s", nice)
	}
	for _, want := range []string{"worker is confined", "address_space=4294967296", "open_files=64", "core_dump=0", "nice=2"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, p.log)
		}
	}
	if strings.Contains(p.log.String(), "lacks=network") {
		t.Skip("no system call filter here")
	}
	if !strings.Contains(status, "Seccomp: 2 ") || !strings.Contains(p.log.String(), "network=none") {
		t.Errorf("no filter: %s; %s", status, p.log)
	}
}
