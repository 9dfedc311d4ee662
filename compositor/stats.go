//go:build cgo

package main

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"amphi/compositor/wire"
)

// heartbeat is the interval of Stats.
const heartbeat = 400 * time.Millisecond

func (w *worker) reportStats(begin time.Time) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for n := 1; ; n++ {
		if !w.wait(timer, begin.Add(time.Duration(n)*heartbeat)) {
			return nil
		}
		if err := w.out.send(w.collect()); err != nil {
			return err
		}
	}
}

func (w *worker) collect() *wire.Stats {
	s := &wire.Stats{
		Ticks:        w.video.ticks.Load(),
		TicksLate:    w.video.late.Load(),
		TicksDropped: w.video.dropped.Load(),
		Limited:      w.mixer.Limited(),
		CPU:          cpuTime(),
		Memory:       residentBytes(),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, in := range w.stats {
		t := wire.InputStats{ID: id, Level: 127}
		if v := in.video; v != nil {
			size := v.size.Load()
			t.Frames, t.Dropped, t.Errors = v.frames.Load(), v.dropped.Load(), v.errors.Load()
			t.Width, t.Height = uint16(size>>16), uint16(size)
		} else {
			a, level := in.audio.Stats()
			t.Frames, t.Dropped, t.Errors, t.Concealed, t.Level = a.Packets, a.Dropped, a.Errors, a.Concealed, level
		}
		s.Inputs = append(s.Inputs, t)
	}
	return s
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
