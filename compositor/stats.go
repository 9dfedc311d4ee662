//go:build cgo

package main

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"amphi/compositor/wire"
)

// collect is the statistics up to a tick.
func (w *worker) collect(tick int64) *wire.Stats {
	s := &wire.Stats{
		Ticks:         uint64(tick) + 1,
		TicksRepeated: w.repeated,
		Limited:       w.mixer.Limited(),
		CPU:           cpuTime(),
		Stages:        w.meter.spent,
		Memory:        residentBytes(),
	}
	for id, in := range w.inputs {
		t := wire.InputStats{ID: id, Level: 127}
		if v := in.video; v != nil {
			t.Frames, t.Dropped, t.Errors = v.frames, v.dropped, v.errors
			if v.shown != nil {
				t.Width, t.Height = uint16(v.shown.W), uint16(v.shown.H)
			}
		} else {
			a, level := in.audio.Stats()
			t.Frames, t.Dropped, t.Errors, t.Concealed, t.Level = a.Packets, a.Dropped, a.Errors, a.Concealed, level
		}
		s.Inputs = append(s.Inputs, t)
	}
	return s
}

// meter divides the processor time of the process among the stages of its ticks.
type meter struct {
	at    time.Duration // as of the last lap
	spent [wire.Stages]time.Duration
}

// lap gives a stage what was used since the last lap.
func (m *meter) lap(s wire.Stage) {
	now := cpuTime()
	m.spent[s] += now - m.at
	m.at = now
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
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
