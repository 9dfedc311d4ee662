package mediaworker

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestStarved(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	if !starved(os.Getpid()) { // this thread runs
		t.Error("a process that runs counts as asleep")
	}
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	for deadline := time.Now().Add(10 * time.Second); starved(sleeper.Process.Pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a process that sleeps counts as starved")
		}
	}
	if starved(1 << 30) {
		t.Error("a process that does not exist counts as starved")
	}
}
