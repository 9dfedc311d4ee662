package testserver

import (
	"os"
	"testing"
	"time"
)

func TestCost(t *testing.T) {
	if Memory(os.Getpid()) < 1<<20 {
		t.Errorf("this process has %d bytes", Memory(os.Getpid()))
	}
	begin := CPU(os.Getpid())
	for deadline := time.Now().Add(10 * time.Second); CPU(os.Getpid()) < begin+20*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("processor time does not grow")
		}
	}
	if CPU(1<<30) != 0 || Memory(1<<30) != 0 {
		t.Error("a process that is not there")
	}
}
