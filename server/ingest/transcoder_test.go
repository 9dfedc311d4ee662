//go:build cgo

package ingest

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"amphi/server/logtest"
)

// A worker that hangs is replaced, and the sound goes on with timestamps that fit. What comes meanwhile is not kept for
// ever. Without a program there is no sound, and nothing else is wrong.
func TestTranscoderHangs(t *testing.T) {
	t.Parallel()
	log := &logtest.Journal{}
	var last atomic.Int64
	tr := newTranscoder(workerPath, log.Log(), func(pts int64, _ uint8, _ []byte) { last.Store(pts) })
	defer tr.close()
	c := encode(t)
	stop := make(chan struct{})
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				tr.push(time.Since(began), c.config, c.sounds[i%len(c.sounds)].data)
			}
		}
	}()
	defer func() { close(stop); <-ended }()
	until(t, "sound", func() bool { return last.Load() > 0 })
	if err := signalWorker(log, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "another worker", func() bool { return strings.Count(log.String(), "sound worker started") == 2 })
	now := last.Load()
	until(t, "sound of now", func() bool { return last.Load() > now })
	if behind := time.Since(began) - time.Duration(last.Load())*time.Second/audioRate; behind.Abs() > 3*time.Second {
		t.Errorf("the sound is %v behind", behind)
	}
	if !strings.Contains(log.String(), "sound worker hangs") {
		t.Error("nobody has noticed")
	}

	none := newTranscoder("/nowhere/program", log.Log(), func(int64, uint8, []byte) { t.Error("sound of nobody") })
	for range 10 {
		none.push(0, c.config, c.sounds[0].data)
	}
	until(t, "why there is no sound", func() bool { return strings.Contains(log.String(), "no such file") })
	none.close()
}
