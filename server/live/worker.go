package live

import (
	"log/slog"
	"sync/atomic"

	"amphi/compositor/wire"
	"amphi/server/mediaworker"
)

// worker is one media worker process that composes a stream.
type worker struct {
	*mediaworker.Process
	outgoing *queue
	stats    atomic.Pointer[wire.Stats]
}

// startWorker starts a process. The caller reads its messages until they end, or kills it.
func startWorker(path string, log *slog.Logger) (*worker, error) {
	w := &worker{outgoing: newQueue()}
	var err error
	w.Process, err = mediaworker.Start(path, w.outgoing, log)
	return w, err
}

// stop asks the worker to finish what it has and exit.
func (w *worker) stop() {
	w.outgoing.push(&wire.Stop{})
}

// addTo adds what the worker has done so far.
func (w *worker) addTo(st *Stats) {
	q := w.outgoing.read()
	st.FramesIn += q.queued
	st.FramesDropped += q.dropped
	if m := w.stats.Load(); m != nil {
		st.WorkerCPU += m.CPU
		st.WorkerMemory += m.Memory
		st.TicksRepeated += m.TicksRepeated
		for i, stage := range st.stages() {
			*stage += m.Stages[i]
		}
	}
}

// settle adds the totals of a worker that has ended.
func (w *worker) settle(c *counters) {
	var st Stats
	w.addTo(&st)
	c.framesIn.Add(st.FramesIn)
	c.framesDropped.Add(st.FramesDropped)
	c.workerCPU.Add(int64(st.WorkerCPU))
	c.ticksRepeated.Add(st.TicksRepeated)
	for i, stage := range st.stages() {
		c.stages[i].Add(int64(*stage))
	}
}
