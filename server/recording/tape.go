package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"amphi/server/hls"
)

const (
	// maxQueue bounds the segments that wait for a disk: a minute of them.
	maxQueue = 60

	// syncEvery is after how many segments the disk is told to keep them.
	syncEvery = 10
)

// errDiskFull ends a recording while there is still room to make its files.
var errDiskFull = errors.New("the disk is full")

// Tape is a recording that runs. Its methods may be called from any goroutine; Segment never waits.
type Tape struct {
	m    *Manager
	spec Spec
	dir  string
	log  *slog.Logger

	queue chan hls.Segment
	ended chan struct{} // closed when all is written

	mu     sync.Mutex
	closed bool
	paused bool
	cut    bool // what comes next does not continue what came last
	lost   int  // segments, because the disk was too slow

	// What follows belongs to the goroutine of write.
	journal *os.File
	layers  []*os.File
	init    [][]byte // of the last segment
	written int64    // bytes, in all layers
	since   int      // segments since the last sync
}

// newTape makes the directory of a recording and begins to write.
func newTape(m *Manager, spec Spec) (*Tape, error) {
	t := &Tape{m: m, spec: spec, dir: filepath.Join(m.cfg.Dir, spec.ID), log: m.cfg.Log.With("recording", spec.ID),
		queue: make(chan hls.Segment, maxQueue), ended: make(chan struct{})}
	if err := m.room(spec, 0); err != nil {
		return nil, err
	}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if err := t.create(); err != nil {
		t.closeFiles()
		return nil, errors.Join(fmt.Errorf("recording: %w", err), os.RemoveAll(t.dir))
	}
	go t.write()
	return t, nil
}

func (t *Tape) create() error {
	for i := range t.spec.Layers {
		f, err := os.OpenFile(filepath.Join(t.dir, layerName(i)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		t.layers = append(t.layers, f)
	}
	var err error
	t.journal, err = os.OpenFile(filepath.Join(t.dir, journalName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return t.line(t.spec)
}

// Segment records a segment, unless the tape is paused or ended.
func (t *Tape) Segment(s hls.Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	for _, l := range t.spec.Layers {
		if l.Rendition >= len(s.Bodies) { // of a stream that was made anew, with fewer
			t.cut = true
			return
		}
	}
	if t.paused {
		t.cut = true
		return
	}
	s.Discontinuity = s.Discontinuity || t.cut
	select {
	case t.queue <- s:
		t.cut = false
	default:
		t.cut = true
		if t.lost++; t.lost == 1 {
			t.log.Error("recording has a hole: the disk is too slow", "waiting", maxQueue)
		}
	}
}

// Pause leaves out what follows, or no longer does, from the next segment on.
func (t *Tape) Pause(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = paused
}

// End ends the recording; its files are made then, and told of. It waits until what there is is on the disk.
func (t *Tape) End() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.queue)
	}
	t.mu.Unlock()
	<-t.ended
}

// write is the life of the tape.
func (t *Tape) write() {
	defer close(t.ended)
	var failure error
	for s := range t.queue {
		if failure != nil {
			continue // until the owner has heard
		}
		if failure = t.add(s); failure != nil {
			t.log.Error("recording ends", "err", failure)
			if t.spec.Failed != nil {
				go t.spec.Failed(failure)
			}
		}
	}
	end := Ending{At: time.Now()}
	switch lost := t.lost; { // nothing is queued any more
	case failure != nil:
		end.Failure = failure.Error()
	case lost > 0:
		end.Failure = fmt.Sprintf("the disk was too slow: %d segments are missing", lost)
	}
	// On a disk without room for a line the journal ends as that of a killed server does.
	if err := t.line(entry{End: &end}); err != nil {
		t.log.Warn("end of the recording is not in its journal", "err", err)
	}
	t.sync()
	t.closeFiles()
	t.m.finish(t.spec.ID)
}

// add writes a segment, and then the line about it.
func (t *Tape) add(s hls.Segment) error {
	e := entry{Start: s.Start, Duration: s.Duration, Cut: s.Discontinuity}
	if len(t.init) == 0 || &t.init[0] != &s.Init[0] {
		e.Cut = e.Cut || len(t.init) > 0
		for _, l := range t.spec.Layers {
			e.Init = append(e.Init, s.Init[l.Rendition])
		}
	}
	var size int64
	for _, l := range t.spec.Layers {
		size += int64(len(s.Bodies[l.Rendition]))
	}
	if err := t.m.room(t.spec, t.written+size); err != nil {
		return err
	}
	for i, f := range t.layers {
		body := s.Bodies[t.spec.Layers[i].Rendition]
		if _, err := f.Write(body); err != nil {
			return diskError(err)
		}
		e.Sizes = append(e.Sizes, int64(len(body)))
		e.Sums = append(e.Sums, crc32.Checksum(body, castagnoli))
	}
	if err := t.line(e); err != nil {
		return err
	}
	t.init = s.Init
	t.written += size
	if t.since++; t.since >= syncEvery {
		t.since = 0
		t.sync()
	}
	return nil
}

// line appends a line to the journal.
func (t *Tape) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	if _, err := t.journal.Write(append(text, '\n')); err != nil {
		return diskError(err)
	}
	return nil
}

// sync makes what is written outlast a power failure. What fails here fails at the next write too.
func (t *Tape) sync() {
	for _, f := range append(t.layers, t.journal) {
		if err := f.Sync(); err != nil {
			t.log.Warn("recording could not be synced", "err", err)
			return
		}
	}
}

func (t *Tape) closeFiles() {
	for _, f := range t.layers {
		_ = f.Close()
	}
	if t.journal != nil {
		_ = t.journal.Close()
	}
}

// diskError names a full disk as people know it.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, errDiskFull) {
		return errDiskFull
	}
	return err
}
