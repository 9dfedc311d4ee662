package hls

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Stream is one stream on the air. All methods may be called from any goroutine; access units
// of one kind must come in the order of their presentation times.
type Stream struct {
	cfg   Config
	clock clock

	// write is the writer's side: the timeline up to now.
	write struct {
		sync.Mutex
		stats StreamStats

		began    bool
		needKey  bool  // pictures before the next key picture cannot be decoded
		next     int64 // the number of the picture that comes next
		arrived  []picture
		keys     []picture // the last key picture in all renditions, repeated to fill gaps
		init     *initial
		msn      uint64   // media sequence number of the segment that is opened next
		open     *segment // takes pictures; nil between a segment's last picture and the next one's first
		fragment fragment
		unheard  []fragment // that wait for their sound

		sound sound

		segments []*segment // complete, oldest first; replaced and not changed, as editions share it
		growing  *segment   // has parts, and more will come; nil between two segments
		parts    uint64     // made since the stream began
		ranges   []dateRange
		told     int    // how many of them there were
		left     uint64 // discontinuities that left the window

		past past // of an event
	}
	shelf *shelf // of an event; nil otherwise
	first uint64 // media sequence number of the first segment, but for gaps and what was before a restart

	edition atomic.Pointer[edition]
	waiting atomic.Int64 // requests being held back

	ready     chan struct{}
	readyOnce sync.Once
	done      chan struct{}
	doneOnce  sync.Once
}

// picture is an access unit of one rendition.
type picture struct {
	key   bool
	nalus [][]byte
	data  []byte // its [payload]
}

// NewStream makes a stream that waits for its first key picture.
func NewStream(c Config) (*Stream, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Stream{cfg: c, clock: newClock(c), ready: make(chan struct{}), done: make(chan struct{})}
	s.first = firstSequence(c.Start) + gapSegments
	s.write.msn = s.first
	s.write.sound.silent = silence[c.Channels]
	if c.Event {
		shelf, before, err := openShelf(&s.cfg)
		if err != nil {
			return nil, err
		}
		if s.shelf = shelf; len(before) > 0 {
			s.restore(before)
		}
	}
	s.edition.Store(newEdition(s, false))
	return s, nil
}

// Ready is closed when the first segment is complete, so that a player can begin.
func (s *Stream) Ready() <-chan struct{} { return s.ready }

// End ends the timeline: what is there can be played to its end, and playlists say that nothing
// follows. Writing more is refused.
func (s *Stream) End() {
	s.write.Lock()
	defer s.write.Unlock()
	if s.over() {
		return
	}
	s.endSegment()
	if err := s.settle(true); err != nil {
		s.cfg.Log.Warn("the end of a live stream is lost", "err", err)
	}
	s.publish(true)
}

// Close gives the stream's memory and files free. Requests being held back are answered with 410, and so is
// every later one.
func (s *Stream) Close() {
	s.doneOnce.Do(func() {
		close(s.done)
		s.write.Lock()
		defer s.write.Unlock()
		w := &s.write
		w.segments, w.growing, w.open, w.fragment, w.unheard = nil, nil, nil, fragment{}, nil
		w.keys, w.arrived, w.sound, w.past = nil, nil, sound{}, past{}
		s.publish(true)
	})
	if s.shelf == nil {
		return
	}
	s.shelf.close()
	if err := Discard(context.Background(), s.cfg.Dir, s.cfg.Bucket); err != nil {
		s.cfg.Log.Warn("segments of a live stream stay until the server starts anew", "err", err)
	}
}

func (s *Stream) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// over says that nothing can be written any more.
func (s *Stream) over() bool { return s.closed() || s.edition.Load().ended }

// Stats counts what was written.
func (s *Stream) Stats() StreamStats {
	s.write.Lock()
	defer s.write.Unlock()
	st := s.write.stats
	s.shelf.addTo(&st)
	return st
}

// WriteVideo packages one H.264 access unit of a rendition, in Annex-B form. Key pictures must carry
// SPS and PPS, and come in all renditions at the same times, once a second. Each tick of the frame
// rate has a picture in each rendition, and they come in the order of the renditions. Pictures come
// in display order (no B pictures), so decoding time is presentation time. The stream keeps au; the
// caller must not change it afterwards.
//
// A unit that is not after the last one is refused with [ErrNeedKey], and so are all up to the
// next key picture: without the refused one they cannot be decoded.
func (s *Stream) WriteVideo(rendition int, pts time.Duration, key bool, au []byte) error {
	var nalus h264.AnnexB
	if err := nalus.Unmarshal(au); err != nil {
		return fmt.Errorf("hls: access unit: %w", err)
	}
	s.write.Lock()
	defer s.write.Unlock()
	w := &s.write
	if s.over() {
		return ErrClosed
	}
	if rendition == 0 {
		w.arrived = w.arrived[:0]
	}
	if rendition != len(w.arrived) {
		return s.refuse() // the one before it was
	}
	w.arrived = append(w.arrived, picture{key, nalus, payload(nalus)})
	if len(w.arrived) < len(s.cfg.Renditions) {
		return nil
	}
	pictures := w.arrived
	w.arrived = nil
	return s.writePictures(ticks(pts, s.clock.frameRate), pictures)
}

// refuse drops a picture, and thereby those that depend on it.
func (s *Stream) refuse() error {
	s.write.stats.Late++
	s.write.needKey = true
	return ErrNeedKey
}

// writePictures continues the timeline with the nth picture, in all renditions.
func (s *Stream) writePictures(n int64, pictures []picture) error {
	w := &s.write
	key := true
	for _, p := range pictures {
		key = key && p.key
	}
	switch {
	case w.began && n < w.next:
		return s.refuse()
	case !key && (w.needKey || !w.began || w.open == nil || n > w.next || w.open.tooBig()):
		return s.refuse()
	}
	if key {
		if err := s.writeKey(n, pictures); err != nil {
			return err
		}
	}
	w.stats.VideoUnits += uint64(len(pictures))
	s.add(pictures, 1)
	return s.settle(false)
}

// writeKey prepares for a key picture: it fills the gap before it, and begins a segment.
func (s *Stream) writeKey(n int64, pictures []picture) error {
	w := &s.write
	init, err := s.initFor(n, pictures)
	if err != nil {
		return err
	}
	renewed := init != w.init
	if w.began && !renewed && n > w.next {
		s.fill(n)
	}
	s.endSegment()
	if renewed {
		if err := s.begin(n); err != nil {
			return err
		}
	}
	if w.stats.Renewed > 0 {
		for r := range pictures {
			pictures[r].data = init.params[r].before(pictures[r].data)
		}
	}
	w.init, w.needKey, w.keys = init, false, pictures
	s.beginSegment(renewed)
	return nil
}

// initFor returns the initialisation sections that a key picture needs: those that there are unless
// its parameter sets say otherwise, or the gap before it is too long to be filled.
func (s *Stream) initFor(n int64, pictures []picture) (*initial, error) {
	w := &s.write
	params := make([]parameters, len(pictures))
	same := w.init != nil && n-w.next <= ticks(maxFill, s.clock.frameRate)
	for r, p := range pictures {
		var old parameters
		if w.init != nil {
			old = w.init.params[r]
		}
		var err error
		if params[r], err = old.adopt(p.nalus); err != nil {
			return nil, err
		}
		same = same && params[r].equal(old)
	}
	if same {
		return w.init, nil
	}
	return newInitial(s.cfg, w.msn, params)
}

// begin sets the timeline to its nth picture, the first or the first after a discontinuity.
func (s *Stream) begin(n int64) error {
	w := &s.write
	if w.began {
		if err := s.settle(true); err != nil {
			return err
		}
		w.stats.Renewed++
		s.cfg.Log.Info("live stream goes on with a discontinuity", "after", s.clock.at(n-w.next))
	} else {
		w.began = true
		if !s.cfg.Event { // or who goes back to the start would find nothing there
			w.segments = gaps(firstSequence(s.cfg.Start))
		}
	}
	w.next = n
	w.sound.begin(s.samples(n))
	return nil
}

// nextSequence is the media sequence number of the open segment, or of the one to be opened.
func (s *Stream) nextSequence() uint64 {
	if n := len(s.write.segments); n > 0 {
		return s.write.segments[n-1].msn + 1
	}
	return s.first
}

// nextPart is the number of the part that comes next.
func (s *Stream) nextPart() uint64 { return firstPart(s.cfg.Start) + s.write.parts }

// beginSegment opens a segment at the picture that comes next.
func (s *Stream) beginSegment(discontinuity bool) {
	w := &s.write
	w.open = &segment{
		msn: w.msn, start: w.next, date: s.cfg.Start.Add(s.clock.at(w.next)),
		discontinuity: discontinuity, init: w.init, bytes: make([]int, len(s.cfg.Renditions)),
	}
	w.msn++
}

// add appends the next picture, to be shown for some ticks, and ends the part and the segment that
// are full with it.
func (s *Stream) add(pictures []picture, n int64) {
	w := &s.write
	f := &w.fragment
	if f.ticks == 0 {
		*f = fragment{of: w.open, start: w.next, independent: pictures[0].key, video: make([][]sample, len(pictures))}
	}
	for r, p := range pictures {
		f.video[r] = append(f.video[r], sample{p.data, p.key, n})
		w.open.bytes[r] += len(p.data)
	}
	f.ticks += n
	w.next += n
	switch {
	case w.next-w.open.start >= s.clock.frameRate:
		s.endSegment()
	case f.ticks >= s.cfg.partTicks():
		s.endFragment()
	}
}

// tooBig says that an encoder has gone wild.
func (s *segment) tooBig() bool {
	for _, n := range s.bytes {
		if n > maxSegmentBytes {
			return true
		}
	}
	return false
}

// endFragment ends the part that takes pictures.
func (s *Stream) endFragment() {
	w := &s.write
	if w.fragment.ticks > 0 {
		w.unheard = append(w.unheard, w.fragment)
		w.fragment = fragment{}
	}
}

// endSegment ends the segment that takes pictures, if there is one.
func (s *Stream) endSegment() {
	s.endFragment()
	s.write.open = nil
}

// settle makes parts of the pictures whose sound is there, and publishes them. A part has the sound of the time of its
// pictures, to an access unit: players take a part's place on the timeline from either, and pass over a short one that
// seems to end before what they have. What is missing is silence if it is late, or if nothing is waited for any more.
func (s *Stream) settle(atOnce bool) error {
	w := &s.write
	made := false
	for len(w.unheard) > 0 {
		f := w.unheard[0]
		end := s.samples(f.start + f.ticks)
		if !w.sound.reaches(end) {
			if !atOnce && s.samples(w.next)-w.sound.end() <= ticks(starvation, s.clock.sampleRate) {
				break
			}
			w.stats.Silent += w.sound.pad(end)
		}
		w.unheard = w.unheard[1:]
		if err := s.makePart(f); err != nil {
			return err
		}
		made = true
	}
	// A segment is complete with its last part. One that ended early is so only now that nothing of it waits.
	if g := w.growing; g != nil && g != w.open && len(w.unheard) == 0 {
		s.complete()
		made = true
	}
	if made {
		s.publish(false)
	}
	return nil
}

// makePart makes the next part.
func (s *Stream) makePart(f fragment) error {
	w := &s.write
	if w.growing != nil && w.growing != f.of {
		s.complete()
	}
	if w.growing == nil {
		w.growing = f.of
		w.growing.first = s.nextPart()
	}
	w.parts++
	units, at := w.sound.take(s.samples(f.start + f.ticks))
	p := part{ticks: f.ticks, independent: f.independent, bodies: make([][]byte, len(f.video))}
	for r := range f.video {
		body, err := f.body(s.clock, r, uint32(w.parts), units, at)
		if err != nil {
			return err
		}
		p.bodies[r] = body
	}
	w.growing.parts = append(w.growing.parts, p)
	w.growing.ticks += p.ticks
	return nil
}

// complete adds the growing segment to the complete ones and forgets the oldest of them.
func (s *Stream) complete() {
	w := &s.write
	seg := w.growing
	w.growing = nil
	for r := range seg.bytes {
		seg.bytes[r] = 0
		for _, p := range seg.parts {
			seg.bytes[r] += len(p.bodies[r])
		}
	}
	done := *seg // editions have the other one
	done.join()
	keep := w.segments
	if over := len(keep) + 1 - windowSegments - graceSegments; over > 0 && !s.cfg.Event {
		keep = keep[over:]
	}
	if over := len(w.segments) - windowSegments; over >= 0 && w.segments[over].discontinuity && !s.cfg.Event {
		w.left++
	}
	w.segments = append(append(make([]*segment, 0, len(keep)+1), keep...), &done)
	if s.cfg.Event {
		s.shelf.put(&done)
		s.shelve()
	}
	if s.cfg.Keep != nil {
		s.cfg.Keep(Segment{Start: done.date, Duration: s.clock.at(done.ticks), Discontinuity: done.discontinuity && done.msn > s.first, Init: done.init.bodies, Bodies: done.bodies})
	}
}

// Fill continues the stream up to a presentation time with its last key picture and silence,
// so that players keep playing while there is no encoder. It does nothing before the first
// picture.
func (s *Stream) Fill(until time.Duration) error {
	s.write.Lock()
	defer s.write.Unlock()
	w := &s.write
	if s.over() {
		return ErrClosed
	}
	n := int64(until) * s.clock.frameRate / int64(time.Second)
	if !w.began || n <= w.next {
		return nil
	}
	s.fill(n)
	return s.settle(false)
}

// fill shows the last key picture until the nth. What it adds is published at once, with the picture after it if there
// is one: hls.js passes over a part that comes to be followed by another segment while it decodes the one before.
func (s *Stream) fill(n int64) {
	w := &s.write
	w.needKey = true
	for w.next < n {
		if w.open == nil {
			s.beginSegment(false)
		}
		left := min(n-w.next, s.cfg.partTicks()-w.fragment.ticks, s.clock.frameRate-(w.next-w.open.start))
		w.stats.Filled++
		w.stats.Silent += w.sound.pad(s.samples(w.next + left))
		s.add(w.keys, left)
	}
}

// WriteAudio packages one AAC-LC access unit (a raw data block, no ADTS header). Units before
// the first picture are dropped: a stream begins with a picture.
func (s *Stream) WriteAudio(pts time.Duration, au []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.over() {
		return ErrClosed
	}
	w := &s.write
	if !w.began {
		return nil
	}
	silent, late := w.sound.write(ticks(pts, s.clock.sampleRate), au)
	w.stats.Silent += silent
	w.stats.Late += late
	if late == 0 {
		w.stats.AudioUnits++
	}
	return s.settle(false)
}

// samples is the time of the nth picture, in samples.
func (s *Stream) samples(n int64) int64 { return n * s.clock.sampleRate / s.clock.frameRate }

// AddMetadata puts timed metadata into the media playlists, where it stays as long as the segment of
// its start: players that load a playlist fire at once what is past.
func (s *Stream) AddMetadata(m Metadata) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.over() {
		return ErrClosed
	}
	if len(s.write.ranges) >= maxMetadata {
		if !s.cfg.Event {
			return ErrTooMuchMetadata
		}
		s.write.ranges = s.write.ranges[1:] // the segments of an event never leave, and theirs would not either
	}
	s.write.ranges = append(s.write.ranges[:len(s.write.ranges):len(s.write.ranges)], dateRange{m.tag(), m.Start})
	s.write.told++
	s.publish(false)
	return nil
}

// publish shows requests what there is now.
func (s *Stream) publish(ended bool) {
	before := s.edition.Load()
	s.edition.Store(newEdition(s, ended))
	close(before.changed)
	if len(s.edition.Load().listed) > 0 {
		s.readyOnce.Do(func() { close(s.ready) })
	}
}

// await calls look with the newest edition until it says that it has seen enough. It gives
// false when the request ended, the stream was closed, or maxWait was over first.
func (s *Stream) await(ctx context.Context, look func(*edition) bool) bool {
	var timeout <-chan time.Time
	for {
		e := s.edition.Load()
		if s.closed() {
			return false
		}
		if look(e) {
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
		case <-e.changed:
		case <-ctx.Done():
			return false
		case <-timeout:
			return false
		}
	}
}
