package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// maxToShelve bounds the segments that wait for a disk. One that stands still for a minute loses the rest.
const maxToShelve = 60

// errSpoolFull says that a bucket has taken nothing for too long.
var errSpoolFull = errors.New("hls: the bucket takes nothing, and what may wait for it on disk does")

// shelf keeps the segments of an event out of memory: in files, which go on into a bucket if there is one. A nil one has
// none.
type shelf struct {
	cfg *Config
	log *slog.Logger

	queue chan *segment
	upTo  atomic.Uint64 // the media sequence number before which nothing waits to be written
	lost  atomic.Uint64
	ended chan struct{}

	index  *index // belongs to the goroutine of run
	depot  *depot // nil: files stay where they are
	closed sync.Once
}

// openShelf makes the directories and begins to write. The segments are those that the server before left there, if they
// are wanted and fit. It must be closed.
func openShelf(c *Config) (h *shelf, segments []*segment, err error) {
	h = &shelf{cfg: c, log: c.Log, queue: make(chan *segment, maxToShelve), ended: make(chan struct{})}
	if c.Resume {
		h.index, segments, err = reopenIndex(c.Dir, c)
		if err != nil {
			c.Log.Warn("a live stream cannot go on with the segments that it had", "err", err)
		}
	}
	if segments == nil {
		if err := Discard(context.Background(), c.Dir, c.Bucket); err != nil {
			c.Log.Warn("old segments of a live stream stay", "err", err)
		}
	}
	for _, r := range c.Renditions {
		if err := os.MkdirAll(filepath.Join(c.Dir, r.Name), 0o700); err != nil {
			return nil, nil, fmt.Errorf("hls: directory of segments: %w", err)
		}
	}
	if segments == nil {
		if h.index, err = createIndex(c.Dir, c.heading()); err != nil {
			return nil, nil, fmt.Errorf("hls: index of segments: %w", err)
		}
	}
	if c.Bucket != nil {
		h.depot = openDepot(c, segments)
	}
	if n := len(segments); n > 0 {
		h.upTo.Store(segments[n-1].msn + 1)
	}
	go h.run()
	return h, segments, nil
}

// path is where a rendition's segment is.
func (c *Config) path(rendition int, seg *segment) string {
	return filepath.Join(c.Dir, c.Renditions[rendition].Name, seg.name())
}

func (h *shelf) run() {
	defer close(h.ended)
	for seg := range h.queue {
		if err := h.write(seg); err != nil {
			h.lose("err", err)
		}
		h.upTo.Store(seg.msn + 1)
	}
	if err := h.index.file.Close(); err != nil {
		h.log.Warn("index of segments could not be closed", "err", err)
	}
}

// write writes a segment's files, and then the line about it.
func (h *shelf) write(seg *segment) error {
	size := 0
	for _, body := range seg.bodies {
		size += len(body)
	}
	if h.depot != nil && !h.depot.hasRoom(size) {
		return errSpoolFull
	}
	for r, body := range seg.bodies {
		if err := os.WriteFile(h.cfg.path(r, seg), body, 0o600); err != nil {
			return err
		}
	}
	if err := h.index.add(seg); err != nil {
		return err
	}
	if h.depot != nil {
		h.depot.take(seg, size)
	}
	return nil
}

// lose counts a segment that was not written, and tells the first time.
func (h *shelf) lose(args ...any) {
	if h.lost.Add(1) == 1 {
		h.log.Error("segments of a live stream cannot be kept: viewers who go back there find nothing", args...)
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

// open is a segment that was shelved. From a bucket it comes whole: players ask for nothing else.
func (h *shelf) open(ctx context.Context, seg *segment, rendition int) (io.ReadSeekCloser, error) {
	f, err := os.Open(h.cfg.path(rendition, seg))
	if h.depot == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	body, err := h.depot.fetch(ctx, h.cfg.key(rendition, seg.name()))
	if err != nil {
		return nil, err
	}
	return inMemory{bytes.NewReader(body)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// addTo adds what became of segments to the counters.
func (h *shelf) addTo(st *StreamStats) {
	if h == nil {
		return
	}
	st.Lost = h.lost.Load()
	if h.depot != nil {
		st.Stored, st.Spooled = h.depot.stored.Load(), h.depot.spooled.Load()
	}
}

// close ends all work. Nothing may be put any more. What there is stays: for [Discard].
func (h *shelf) close() {
	h.closed.Do(func() {
		close(h.queue)
		<-h.ended
		if h.depot != nil {
			h.depot.close()
		}
	})
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
		left -= w.segments[n-1].length(&s.cfg)
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

// restore goes on with the segments of an event that the server before left. What that had not completed is listed as a
// gap: some players have its first parts, under the number that comes next.
func (s *Stream) restore(old []*segment) {
	w := &s.write
	w.msn = old[len(old)-1].msn + 2
	w.segments = append(old, &segment{msn: w.msn - 1, gap: true, shelved: true})
	s.first = w.msn
	s.shelve()
}
