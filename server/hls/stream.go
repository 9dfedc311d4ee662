package hls

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Stream is one stream on the air. All methods may be called from any goroutine; access units
// of one kind must come in the order of their presentation times.
type Stream struct {
	cfg Config

	// write guards the packager and the clocks of what was written.
	write struct {
		sync.Mutex
		packager  *packager
		number    int      // of packagers made
		keyUnit   [][]byte // the last key picture, repeated to fill gaps
		lastVideo int64    // ticks of the last picture
		lastAudio int64    // ticks of the last audio unit
		hasAudio  bool
		needKey   bool // pictures before the next key picture cannot be decoded
		stats     StreamStats
	}

	// window is what requests see. It is replaced or added to once for each finished part.
	window struct {
		sync.RWMutex
		master  []byte
		lists   map[string]mediaList
		files   map[string]file
		changed chan struct{} // closed, and replaced, at each change
	}

	waiting atomic.Int64 // requests being held back

	ready     chan struct{}
	readyOnce sync.Once
	done      chan struct{}
	doneOnce  sync.Once
}

// NewStream makes a stream that waits for its first key picture.
func NewStream(c Config) (*Stream, error) {
	if silence[c.Channels] == nil || c.SampleRate <= 0 {
		return nil, fmt.Errorf("hls: %d channels of audio at %d Hz are not supported", c.Channels, c.SampleRate)
	}
	s := &Stream{cfg: c, ready: make(chan struct{}), done: make(chan struct{})}
	s.write.needKey = true
	s.window.changed = make(chan struct{})
	return s, nil
}

// Ready is closed when the first segment is complete, so that a player can begin.
func (s *Stream) Ready() <-chan struct{} { return s.ready }

// Close ends the stream. Requests being held back are answered with 410, and so is every
// later one.
func (s *Stream) Close() {
	s.doneOnce.Do(func() { close(s.done) })

	s.write.Lock()
	if s.write.packager != nil {
		s.write.packager.close()
		s.write.packager = nil
	}
	s.write.keyUnit = nil
	s.write.Unlock()

	s.window.Lock()
	s.window.master, s.window.lists, s.window.files = nil, nil, nil
	s.window.Unlock()
}

func (s *Stream) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Stats counts what was written.
func (s *Stream) Stats() StreamStats {
	s.write.Lock()
	defer s.write.Unlock()
	return s.write.stats
}

// WriteVideo packages one H.264 access unit in Annex-B form. Key pictures must carry SPS and
// PPS. Pictures come in display order (no B pictures), so decoding time is presentation time.
// The stream keeps au; the caller must not change it afterwards.
//
// A unit that is not after the last one is refused with [ErrNeedKey], and so are all up to the
// next key picture: without the refused one they cannot be decoded.
func (s *Stream) WriteVideo(pts time.Duration, key bool, au []byte) error {
	var nalus h264.AnnexB
	if err := nalus.Unmarshal(au); err != nil {
		return fmt.Errorf("hls: access unit: %w", err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	if s.closed() {
		return ErrClosed
	}
	w := &s.write
	dts := ticks(pts, videoClockRate)
	if w.packager != nil && dts <= w.lastVideo {
		w.stats.Late++
		w.needKey = true
		return ErrNeedKey
	}
	if key {
		if err := s.adoptParameters(dts, nalus); err != nil {
			return err
		}
	}
	if w.stats.VideoUnits > 0 {
		if err := s.fill(pts); err != nil {
			return err
		}
	}
	if !key && w.needKey {
		w.stats.Late++
		return ErrNeedKey
	}
	if key {
		w.keyUnit, w.needKey = nalus, false
	}
	w.stats.VideoUnits++
	return s.packageVideo(dts, key, nalus)
}

// WriteAudio packages one AAC-LC access unit (a raw data block, no ADTS header). Units before
// the first picture are dropped: a stream begins with a picture.
func (s *Stream) WriteAudio(pts time.Duration, au []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.closed() {
		return ErrClosed
	}
	w := &s.write
	if w.packager == nil || !w.packager.started {
		return nil
	}
	t := ticks(pts, int64(s.cfg.SampleRate))
	if w.hasAudio && t < w.lastAudio+aacFrame/2 {
		w.stats.Late++
		return nil
	}
	if w.hasAudio && t > w.lastAudio+4*aacFrame {
		if err := s.fillAudio(t); err != nil {
			return err
		}
	}
	w.stats.AudioUnits++
	return s.packageAudio(t, au)
}

// Fill continues the stream up to a presentation time with its last key picture and silence,
// so that players keep playing while there is no encoder. It does nothing before the first
// picture.
func (s *Stream) Fill(until time.Duration) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.closed() {
		return ErrClosed
	}
	return s.fill(until)
}

// fill repeats the last key picture at each part's beginning before a time, and silence with
// it. The caller holds the write lock.
func (s *Stream) fill(until time.Duration) error {
	w := &s.write
	if w.packager == nil || w.keyUnit == nil {
		return nil
	}
	part := ticks(partDuration, videoClockRate)
	end := ticks(until, videoClockRate)
	if end-w.lastVideo < ticks(gapMin, videoClockRate) {
		return nil
	}
	for t := w.packager.partStart + part; t < end; t += part {
		if t <= w.lastVideo {
			continue
		}
		if err := s.fillAudio(ticks(duration(t, videoClockRate), int64(s.cfg.SampleRate))); err != nil {
			return err
		}
		w.stats.Filled++
		if err := s.packageVideo(t, true, w.keyUnit); err != nil {
			return err
		}
		// Whatever the lost encoder still had to say refers to pictures before this one.
		w.needKey = true
	}
	return nil
}

// fillAudio writes silence up to a time in samples.
func (s *Stream) fillAudio(end int64) error {
	w := &s.write
	if !w.hasAudio {
		return nil
	}
	for t := w.lastAudio + aacFrame; t+aacFrame <= end; t += aacFrame {
		if err := s.packageAudio(t, silence[s.cfg.Channels]); err != nil {
			return err
		}
	}
	return nil
}

// adoptParameters makes a packager for the parameter sets of a key picture, unless there is
// one already.
func (s *Stream) adoptParameters(dts int64, nalus [][]byte) error {
	w := &s.write
	var sps, pps []byte
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			sps = n
		case h264.NALUTypePPS:
			pps = n
		}
	}
	if p := w.packager; p != nil {
		same := (sps == nil || bytes.Equal(sps, p.sps)) && (pps == nil || bytes.Equal(pps, p.pps))
		if same && dts-w.lastVideo <= ticks(maxFill, videoClockRate) {
			return nil
		}
		if sps == nil {
			sps = p.sps
		}
		if pps == nil {
			pps = p.pps
		}
	}
	if sps == nil || pps == nil {
		return ErrNoParameters
	}
	// Earlier streams of the same room had other directories, so the name says when.
	dir := strconv.FormatInt(s.cfg.Start.UnixMilli(), 36) + "-" + strconv.Itoa(w.number)
	p, err := newPackager(s.cfg, dir, bytes.Clone(sps), bytes.Clone(pps))
	if err != nil {
		return fmt.Errorf("hls: %w", err)
	}
	if w.packager != nil {
		w.packager.close()
		w.stats.Renewed++
		s.cfg.Log.Info("hls: packaged anew", "dir", dir)
	}
	w.packager = p
	w.number++
	w.keyUnit = nil
	w.hasAudio = false
	return nil
}

func (s *Stream) packageVideo(dts int64, key bool, nalus [][]byte) error {
	w := &s.write
	news, err := w.packager.writeVideo(s.cfg.Start.Add(duration(dts, videoClockRate)), dts, key, nalus)
	if err != nil {
		w.needKey = true
		return fmt.Errorf("hls: %w", err)
	}
	w.lastVideo = dts
	if !news {
		return nil
	}
	e, err := w.packager.edition()
	if err != nil {
		return fmt.Errorf("hls: %w", err)
	}
	s.publish(e)
	return nil
}

func (s *Stream) packageAudio(pts int64, au []byte) error {
	w := &s.write
	ntp := s.cfg.Start.Add(duration(pts, int64(s.cfg.SampleRate)))
	if err := w.packager.writeAudio(ntp, pts, au); err != nil {
		return fmt.Errorf("hls: %w", err)
	}
	w.lastAudio, w.hasAudio = pts, true
	return nil
}

// publish shows requests an edition. Files of an earlier packager go with the first edition
// of the next one.
func (s *Stream) publish(e *edition) {
	s.window.Lock()
	defer s.window.Unlock()
	if s.closed() {
		return
	}
	w := &s.window
	renewed := false
	for name := range e.lists {
		_, known := w.lists[name]
		renewed = renewed || !known
	}
	if renewed {
		w.files = make(map[string]file)
	}
	for name, f := range w.files {
		if !f.keep && f.msn < e.oldest {
			delete(w.files, name)
		}
	}
	for name, f := range e.files {
		w.files[name] = f
	}
	w.master, w.lists = e.master, e.lists
	close(w.changed)
	w.changed = make(chan struct{})
	s.readyOnce.Do(func() { close(s.ready) })
}

// await calls look under the window's lock until it says that it has seen enough. It gives
// false when the request ended, the stream was closed, or maxWait was over first.
func (s *Stream) await(ctx context.Context, look func() bool) bool {
	var timeout <-chan time.Time
	for {
		s.window.RLock()
		ok, changed := look(), s.window.changed
		s.window.RUnlock()
		if ok {
			return true
		}
		if timeout == nil {
			if s.waiting.Add(1) > maxWaiting {
				s.waiting.Add(-1)
				return false
			}
			defer s.waiting.Add(-1)
			t := time.NewTimer(maxWait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		case <-s.done:
			return false
		case <-timeout:
			return false
		}
	}
}
