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
		lastVideo int64    // ticks of the last picture accepted
		lastAudio int64    // samples, of the last audio unit accepted
		hasAudio  bool     // lastAudio is valid
		beat      beat
		order     interleaver
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
		ranges  []dateRange   // timed metadata, in the order of coming
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
	if s.stumbles(dts) && !key {
		return ErrNeedKey
	}
	if key {
		if err := s.adoptParameters(dts, nalus); err != nil {
			return err
		}
	}
	if t := w.beat.part + ticks(partDuration, videoClockRate); w.beat.began && t < dts && w.lastVideo < t {
		// The picture at which the part should have ended is missing. One that is not much too
		// late takes its place, so that parts keep their duration; otherwise there is a gap.
		if dts-t <= ticks(partDuration, videoClockRate) {
			dts = t
			w.stats.Moved++
		} else {
			s.fill(pts)
		}
	}
	if !key && w.needKey {
		w.stats.Late++
		if err := s.pump(); err != nil {
			return err
		}
		return ErrNeedKey
	}
	if key {
		w.keyUnit, w.needKey = nalus, false
	}
	w.stats.VideoUnits++
	s.acceptVideo(dts, key, nalus)
	return s.pump()
}

// stumbles begins anew, at the next key picture, when a picture is missing in the first segment:
// from that the muxer learns how long parts must be, and nobody has seen it yet. It gives up
// after some attempts, with parts that are not all alike.
func (s *Stream) stumbles(dts int64) bool {
	w := &s.write
	if s.cfg.FrameRate <= 0 || !w.beat.began || w.packager.playable || w.stats.Stumbled >= maxStumbles {
		return false
	}
	if float64(dts-w.lastVideo) < 1.5*videoClockRate/s.cfg.FrameRate {
		return false
	}
	w.stats.Stumbled++
	w.packager.close()
	w.packager, w.keyUnit, w.needKey = nil, nil, true
	w.beat, w.order, w.hasAudio = beat{}, interleaver{}, false
	return true
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
	if w.packager == nil {
		return nil
	}
	t := ticks(pts, int64(s.cfg.SampleRate))
	if w.hasAudio && t < w.lastAudio+aacFrame/2 {
		w.stats.Late++
		return nil
	}
	if w.hasAudio && t > w.lastAudio+2*aacFrame {
		s.fillAudio(t)
	}
	w.stats.AudioUnits++
	s.acceptAudio(t, au)
	if pts-duration(w.lastVideo, videoClockRate) > 2*starvation {
		s.fill(pts - starvation)
	}
	return s.pump()
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
	s.fill(until)
	return s.pump()
}

// fill repeats the last key picture at each part's beginning before a time, and silence with
// it. The caller holds the write lock, as for all below.
func (s *Stream) fill(until time.Duration) {
	w := &s.write
	if w.packager == nil || w.keyUnit == nil {
		return
	}
	part := ticks(partDuration, videoClockRate)
	end := ticks(until, videoClockRate)
	for t := w.beat.part + part; t < end; t += part {
		if t <= w.lastVideo {
			continue
		}
		w.stats.Filled++
		s.acceptVideo(t, true, w.keyUnit)
		s.fillAudio(ticks(duration(t, videoClockRate), int64(s.cfg.SampleRate)))
		// Whatever the lost encoder still had to say refers to pictures before this one.
		w.needKey = true
	}
}

// fillAudio accepts silence up to a time in samples.
func (s *Stream) fillAudio(end int64) {
	w := &s.write
	if !w.hasAudio {
		return
	}
	for t := w.lastAudio + aacFrame; t+aacFrame <= end; t += aacFrame {
		s.acceptAudio(t, silence[s.cfg.Channels])
	}
}

func (s *Stream) acceptVideo(dts int64, key bool, nalus [][]byte) {
	w := &s.write
	p := picture{dts: dts, key: key, nalus: nalus}
	p.endsPart, p.endsSegment = w.beat.step(dts, key)
	w.order.pictures = append(w.order.pictures, p)
	w.lastVideo = dts
}

func (s *Stream) acceptAudio(pts int64, au []byte) {
	w := &s.write
	w.order.sounds = append(w.order.sounds, sound{pts, au})
	w.lastAudio, w.hasAudio = pts, true
}

// pump packages what can be packaged in step.
func (s *Stream) pump() error {
	w := &s.write
	for {
		p, a := w.order.next()
		var err error
		switch {
		case p != nil:
			err = s.packageVideo(*p)
		case a != nil:
			err = s.packageAudio(*a)
		default:
			until, starving := w.order.starving()
			if !starving {
				return nil
			}
			if !w.hasAudio {
				w.lastAudio, w.hasAudio = ticks(w.order.audioTime, int64(s.cfg.SampleRate)), true
			}
			s.fillAudio(ticks(until, int64(s.cfg.SampleRate)))
		}
		if err != nil {
			return err
		}
	}
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
	w.beat = beat{}
	w.order = interleaver{sampleRate: int64(s.cfg.SampleRate)}
	return nil
}

func (s *Stream) packageVideo(p picture) error {
	w := &s.write
	news, err := w.packager.writeVideo(s.cfg.Start.Add(duration(p.dts, videoClockRate)), p)
	if err != nil {
		w.needKey = true
		return fmt.Errorf("hls: %w", err)
	}
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

func (s *Stream) packageAudio(a sound) error {
	ntp := s.cfg.Start.Add(duration(a.pts, int64(s.cfg.SampleRate)))
	if err := s.write.packager.writeAudio(ntp, a.pts, a.au); err != nil {
		return fmt.Errorf("hls: %w", err)
	}
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
	s.addRanges(e)
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
