package hls

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
)

// maxToShelve bounds the segments that wait for a disk. One that stands still for a minute loses the rest.
const maxToShelve = 60

// shelf writes the segments of an event into files, so that hours of them need no memory. A nil one has none.
type shelf struct {
	dir   string
	names []string // of the renditions
	log   *slog.Logger

	queue chan *segment
	upTo  atomic.Uint64 // the media sequence number before which nothing waits to be written
	lost  atomic.Uint64
	ended chan struct{}
}

// newShelf makes the directories and begins to write. It must be closed.
func newShelf(c Config) (*shelf, error) {
	h := &shelf{dir: c.Dir, log: c.Log, queue: make(chan *segment, maxToShelve), ended: make(chan struct{})}
	for _, r := range c.Renditions {
		if err := os.MkdirAll(filepath.Join(c.Dir, r.Name), 0o700); err != nil {
			return nil, fmt.Errorf("hls: directory of segments: %w", err)
		}
		h.names = append(h.names, r.Name)
	}
	go h.run()
	return h, nil
}

// path is where a rendition's segment is.
func (h *shelf) path(rendition int, seg *segment) string {
	return filepath.Join(h.dir, h.names[rendition], seg.name())
}

func (h *shelf) run() {
	defer close(h.ended)
	for seg := range h.queue {
		for r, body := range seg.bodies {
			if err := os.WriteFile(h.path(r, seg), body, 0o600); err != nil {
				h.lose("err", err)
				break
			}
		}
		h.upTo.Store(seg.msn + 1)
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.log.Warn("segments of a live stream stay on disk", "err", err)
	}
}

// lose counts a segment that was not written, and tells the first time.
func (h *shelf) lose(args ...any) {
	if h.lost.Add(1) == 1 {
		h.log.Error("segments of a live stream cannot be written", args...)
	}
}

// put takes a complete segment. It never waits.
func (h *shelf) put(seg *segment) {
	select {
	case h.queue <- seg:
	default:
		h.lose("waiting", maxToShelve)
	}
}

func (h *shelf) failures() uint64 {
	if h == nil {
		return 0
	}
	return h.lost.Load()
}

// close removes the files. Nothing may be put any more.
func (h *shelf) close() {
	if h == nil {
		return
	}
	close(h.queue)
	<-h.ended
}

// past is the text of an event's playlists that does not change any more, and is the same for all renditions.
type past struct {
	text     []byte // only ever appended to: editions share it
	segments int    // how many of the listed it has
	init     *initial
}

// shelve forgets the contents of segments that are in files, and renders for good what is old.
func (s *Stream) shelve() {
	w := &s.write
	n := len(w.segments)
	for left := ticks(skipAfter, s.clock.frameRate); n > 0 && left > 0; n-- {
		left -= w.segments[n-1].ticks
	}
	written := s.shelf.upTo.Load()
	for i := n - 1 - graceSegments; i >= 0 && !w.segments[i].shelved; i-- {
		if old := *w.segments[i]; old.msn < written || n-i > graceSegments+maxToShelve {
			old.bodies, old.transports, old.parts, old.shelved = nil, nil, nil, true
			w.segments[i] = &old // of this slice nobody knows yet
		}
	}
	for w.past.segments < n {
		var b bytes.Buffer
		w.past.init = w.segments[w.past.segments].write(&b, &s.cfg, w.past.init, false)
		w.past.text = append(w.past.text, b.Bytes()...)
		w.past.segments++
	}
}
