package live

import (
	"bytes"
	"sync"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
)

// presenter paints scenes and sends them to workers, in a goroutine of its own: drawing the
// tiles of a full stage takes tens of milliseconds, in which a stream has pictures to package.
// When scenes are wanted faster than they can be painted, only the newest is.
type presenter struct {
	painter *painter

	mu     sync.Mutex
	next   *showing // what is to be painted, replaced by newer ones
	gone   []uint32 // inputs that next does not show any more, and no scene after it will
	rising []floating
	closed bool
	wake   chan struct{} // one slot
	done   chan struct{}

	// What follows belongs to the goroutine.
	worker  *worker
	sent    map[uint32]bool // bitmaps that worker has, for scenes
	floats  map[uint32]bool // and for reactions
	floated uint32          // reactions so far
	music   []byte          // that it plays
}

// floating is a reaction on its way to a worker.
type floating struct {
	worker *worker
	canvas layout.Canvas
	emoji  string
}

// maxRising bounds the reactions that wait to be drawn.
const maxRising = 16

// showing is a selection for a worker.
type showing struct {
	worker *worker
	start  *wire.Start // goes before the scene: its first. A worker begins with it at once, so
	// it is sent when the scene is painted, and no stream begins with an empty picture.
	sel    selection
	inputs map[string]shownInput // by track id
	chat   string                // a line of it; may be empty
}

// shownInput is a track's number for a worker, and whether that has a picture of it.
type shownInput struct {
	id       uint32
	pictured bool
}

func startPresenter(p *painter) *presenter {
	pr := &presenter{painter: p, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go pr.run()
	return pr
}

// show has a scene painted and sent, and inputs removed after it: before that the worker still
// shows them.
func (pr *presenter) show(s showing, gone ...uint32) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch {
	case pr.next == nil:
	case pr.next.worker != s.worker:
		pr.gone = nil
	case s.start == nil:
		s.start = pr.next.start
	}
	pr.next = &s
	pr.gone = append(pr.gone, gone...)
	pr.signal()
}

// float lets a reaction rise over a worker's picture.
func (pr *presenter) float(w *worker, c layout.Canvas, emoji string) {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if len(pr.rising) < maxRising {
		pr.rising = append(pr.rising, floating{w, c, emoji})
		pr.signal()
	}
}

// stop ends the goroutine and waits for it.
func (pr *presenter) stop() {
	pr.mu.Lock()
	pr.closed = true
	pr.signal()
	pr.mu.Unlock()
	<-pr.done
}

func (pr *presenter) signal() {
	select {
	case pr.wake <- struct{}{}:
	default:
	}
}

func (pr *presenter) run() {
	defer close(pr.done)
	for range pr.wake {
		pr.mu.Lock()
		next, gone, rising, closed := pr.next, pr.gone, pr.rising, pr.closed
		pr.next, pr.gone, pr.rising = nil, nil, nil
		pr.mu.Unlock()
		if closed {
			return
		}
		if next != nil && !next.worker.outgoing.push(pr.messages(next, gone)...) {
			// It has ended, or does not read. In both cases it is of no use.
			next.worker.Kill()
		}
		for _, f := range rising {
			if f.worker == pr.worker { // it has a scene
				_ = f.worker.outgoing.push(pr.floatOf(f)...) // of no use to a worker that is behind
			}
		}
	}
}

// messages are a scene with what has to come before and after it.
func (pr *presenter) messages(s *showing, gone []uint32) []wire.Message {
	if pr.worker != s.worker {
		pr.worker, pr.sent, pr.floats = s.worker, make(map[uint32]bool), make(map[uint32]bool)
		pr.music = nil
	}
	sc := pr.painter.paint(s.sel, s.inputs, s.chat)
	var ms []wire.Message
	if s.start != nil {
		ms = append(ms, s.start)
	}
	for id, b := range sc.bitmaps {
		if !pr.sent[id] {
			pr.sent[id] = true
			ms = append(ms, b)
		}
	}
	ms = append(ms, sc.message)
	for _, id := range gone {
		ms = append(ms, &wire.RemoveInput{ID: id})
	}
	var music []byte
	if len(s.sel.tiles) == 0 {
		music = s.sel.design.slate.music
	}
	if !bytes.Equal(music, pr.music) {
		pr.music = music
		ms = append(ms, &wire.Music{Data: music})
	}
	for id := range pr.sent {
		if _, used := sc.bitmaps[id]; !used {
			delete(pr.sent, id)
			ms = append(ms, &wire.DropBitmap{ID: id})
		}
	}
	return ms
}
