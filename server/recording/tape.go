package recording

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"

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
	spool[hls.Segment]

	paused bool
	cut    bool // what comes next does not continue what came last

	journal *journal

	// What follows belongs to the goroutine of write.
	layers  []*os.File
	init    [][]byte // of the last segment
	written int64    // bytes, in all layers
	since   int      // segments since the last sync
}

// newTape makes the files of a recording and begins to write.
func newTape(m *Manager, spec Spec) (*Tape, error) {
	t := &Tape{m: m, spec: spec, spool: newSpool[hls.Segment](maxQueue)}
	var err error
	if t.journal, err = m.newJournal(spec); err != nil {
		return nil, err
	}
	for i := range t.spec.Layers {
		f, err := os.OpenFile(filepath.Join(t.journal.dir, layerName(i)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			t.closeLayers()
			return nil, errors.Join(fmt.Errorf("recording: %w", err), t.journal.abandon())
		}
		t.layers = append(t.layers, f)
	}
	go t.write()
	return t, nil
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
	t.cut = !t.put(s, t.journal.log)
}

// Pause leaves out what follows, or no longer does, from the next segment on.
func (t *Tape) Pause(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = paused
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
			t.journal.log.Error("recording ends", "err", failure)
			if t.spec.Failed != nil {
				go t.spec.Failed(failure)
			}
		}
	}
	t.journal.end(failure, t.lost, "segments", t.layers...) // nothing is queued any more
	t.closeLayers()
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
	if err := t.journal.line(e); err != nil {
		return err
	}
	t.init = s.Init
	t.written += size
	if t.since++; t.since >= syncEvery {
		t.since = 0
		t.journal.sync(t.layers...)
	}
	return nil
}

func (t *Tape) closeLayers() {
	for _, f := range t.layers {
		_ = f.Close()
	}
}

// diskError names a full disk as people know it.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, errDiskFull) {
		return errDiskFull
	}
	return err
}
