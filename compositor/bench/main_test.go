package main

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"amphi/compositor/wire"
)

// say sends what a worker would say, each message after a pause.
func say(t *testing.T, messages ...any) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	go func() {
		defer w.Close()
		out := wire.NewWriter(w)
		for _, m := range messages {
			switch m := m.(type) {
			case time.Duration:
				time.Sleep(m)
			case wire.Message:
				if out.Send(m) != nil || out.Flush() != nil {
					return
				}
			}
		}
	}()
	return r
}

func TestCollect(t *testing.T) {
	const length = 100 * time.Millisecond
	got := collect(say(t,
		&wire.Started{}, 1100*time.Millisecond,
		&wire.Stats{CPU: time.Second},
		&wire.Video{Data: make([]byte, 1000)}, length,
		&wire.Stats{CPU: time.Second + 50*time.Millisecond, TicksRepeated: 2, Inputs: []wire.InputStats{{Dropped: 3}}},
	), length)
	f, ok := got.(figures)
	if !ok {
		t.Fatalf("got %v", got)
	}
	// 50 ms of CPU in 100 ms, or somewhat more when this machine was slow.
	if f.cores <= 0 || f.cores > 0.5 || f.kbits != 80 || f.ticksRepeated != 2 || f.framesDropped != 3 {
		t.Errorf("got %+v", f)
	}
	if err, ok := collect(say(t, &wire.Started{}), length).(error); !ok || err == nil {
		t.Error("a worker that ends at once is measured")
	}
}

func TestPeakMemory(t *testing.T) {
	bytes, err := peakMemory(os.Getpid())
	if err != nil || bytes < 1<<20 {
		t.Errorf("%d bytes, %v", bytes, err)
	}
	if _, err := peakMemory(1 << 30); err == nil {
		t.Error("a process that does not exist has a peak")
	}
}

func TestFamily(t *testing.T) {
	child := exec.Command("sh", "-c", "while :; do :; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ours, err := family([]int{os.Getpid()})
		theirs, err2 := family([]int{child.Process.Pid})
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if theirs >= 50*time.Millisecond && ours >= theirs {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v of ours, %v of the child's", ours, theirs)
		}
	}
}
