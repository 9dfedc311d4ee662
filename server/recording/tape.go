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
	spool[taped]

	paused bool
	cut    bool // what comes next does not continue what came last

	journal *journal

	// What follows belongs to the goroutine of write.
	layers  []*os.File
	init    [][]byte // of the last segment
	written int64    // bytes, in all layers
	since   int      // segments since the last sync
}

// taped is what a tape gets: a segment, or that it pauses.
type taped struct {
	hls.Segment
	paused *bool
}

// newTape makes the files of a recording and begins to write.
func newTape(m *Manager, spec Spec) (*Tape, error) {
	t := &Tape{m: m, spec: spec, spool: newSpool[taped](maxQueue)}
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

// resumeTape goes on with a recording that the server before left: at its end, after what is whole.
func resumeTape(m *Manager, id string, failed func(error)) (*Tape, error) {
	r, err := openReel(filepath.Join(m.cfg.Dir, id))
	if err != nil {
		return nil, err
	}
	defer r.close()
	if r.ending != nil || r.spec.Track != nil {
		return nil, fmt.Errorf("recording: %s has ended", id)
	}
	t := &Tape{m: m, spec: r.spec, spool: newSpool[taped](maxQueue), paused: r.paused, cut: len(r.segments) > 0}
	t.spec.Failed = failed
	sizes := make([]int64, len(r.spec.Layers))
	for _, s := range r.segments {
		for i, n := range s.Sizes {
			sizes[i] += n
			t.written += n
		}
	}
	for i, size := range sizes {
		f, err := os.OpenFile(filepath.Join(r.dir, layerName(i)), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			t.layers = append(t.layers, f)
			err = f.Truncate(size)
		}
		if err != nil {
			t.closeLayers()
			return nil, fmt.Errorf("recording: %w", err)
		}
	}
	if t.journal, err = m.reopenJournal(r); err != nil {
		t.closeLayers()
		return nil, err
	}
	go t.write()
	return t, nil
}

// Spec is what is recorded, and what is to be made of it.
func (t *Tape) Spec() Spec { return t.spec }

// Paused says whether what follows is left out.
func (t *Tape) Paused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.paused
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
	t.cut = !t.put(taped{Segment: s}, t.journal.log)
}

// Pause leaves out what follows, or no longer does, from the next segment on. It outlasts a restart of the server.
func (t *Tape) Pause(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.paused == paused {
		return
	}
	t.paused = paused
	t.put(taped{paused: &paused}, t.journal.log)
}

// write is the life of the tape.
func (t *Tape) write() {
	defer close(t.ended)
	var failure error
	for s := range t.queue {
		if failure != nil {
			continue // until the owner has heard
		}
		if s.paused != nil {
			failure = t.journal.line(entry{Paused: s.paused})
		} else {
			failure = t.add(s.Segment)
		}
		if failure != nil {
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
