package live

import (
	"sync"

	"amphi/compositor/wire"
)

const (
	// queueBytes bounds the media waiting for a worker: about four seconds of nine cameras.
	// A worker that is so far behind shows the past, so more is of no use.
	queueBytes = 4 << 20

	// queueFrames bounds the number of frames waiting, for small ones.
	queueFrames = 1024

	// queueControl bounds the messages that are not frames. They come with changes of the
	// stage, some a second at most: a worker that has so many waiting is stuck.
	queueControl = 4096
)

// queue holds what is on its way to a worker. Control messages are all kept, in order with
// the frames; frames are dropped when the worker falls behind, video up to the next key frame.
// It never blocks those who push: they are the goroutines of the SFU.
type queue struct {
	mu     sync.Mutex
	items  []wire.Message
	bytes  int
	frames int
	closed bool
	open   bool          // Start is on its way: frames may follow
	wake   chan struct{} // one slot

	// gates are the inputs that the worker was told of.
	gates map[uint32]*gate
	stats queueStats
}

// gate is an input's state in a queue.
type gate struct {
	codec   wire.Codec
	needKey bool // deltas are of no use before a key frame
}

// queueStats are a queue's totals.
type queueStats struct {
	queued  uint64
	dropped uint64
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), gates: make(map[uint32]*gate)}
}

// push adds control messages. It reports whether there was room.
func (q *queue) push(ms ...wire.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.items)-q.frames+len(ms) > queueControl {
		return false
	}
	for _, m := range ms {
		switch m := m.(type) {
		case *wire.Start:
			q.open = true
		case *wire.RemoveInput:
			delete(q.gates, m.ID)
		}
		q.items = append(q.items, m)
	}
	q.signal()
	return true
}

// pushFrame adds a frame, or drops it. The first one of an input announces it to the worker.
// wantKey says that the input waits for a key frame and that there is room for it: the publisher
// should be asked.
func (q *queue) pushFrame(in wire.AddInput, f *wire.Frame) (wantKey bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if !q.open {
		q.stats.dropped++
		return false
	}
	g := q.gates[in.ID]
	if g == nil {
		if len(q.items)-q.frames >= queueControl {
			q.stats.dropped++
			return false
		}
		g = &gate{codec: in.Codec, needKey: in.Codec.Video()}
		q.gates[in.ID] = g
		q.items = append(q.items, &in)
	}
	if g.needKey && !f.Key {
		q.stats.dropped++
		return q.frames < queueFrames/2 && q.bytes < queueBytes/2
	}
	if q.frames >= queueFrames || q.bytes+len(f.Data) > queueBytes {
		q.stats.dropped++
		g.needKey = g.codec.Video()
		return false
	}
	g.needKey = false
	q.stats.queued++
	q.items = append(q.items, f)
	q.frames++
	q.bytes += len(f.Data)
	q.signal()
	return false
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Take implements [mediaworker.Outgoing]: it waits for messages and returns all that wait. It returns nil once the queue is closed.
func (q *queue) Take() []wire.Message {
	for {
		q.mu.Lock()
		items, closed := q.items, q.closed
		q.items, q.bytes, q.frames = nil, 0, 0
		q.mu.Unlock()
		if closed {
			return nil
		}
		if len(items) > 0 {
			return items
		}
		<-q.wake
	}
}

// opened says whether Start was pushed.
func (q *queue) opened() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.open
}

// Close implements [mediaworker.Outgoing]: it lets Take return and drops what waits.
func (q *queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.items = nil
	q.signal()
}

// read returns the totals.
func (q *queue) read() queueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}
