package sfu

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"amphi/server/sfu/transport"
)

// Track is a published track. It exists from the Publish call that named it
// until one that does not name it any more; media may come later, or pause.
type Track struct {
	sfu   *SFU
	info  TrackInfo
	codec Codec

	// sinks is read for every packet and replaced whole when it changes.
	sinks    atomic.Pointer[sinks]
	sinksMu  sync.Mutex // held by those who replace it
	level    atomic.Int64
	closed   atomic.Bool
	muted    atomic.Bool           // see Mute
	keyAsked atomic.Bool           // asked for a key frame before there was a source
	priority atomic.Int32          // see SetPriority
	voice    atomic.Pointer[voice] // in a group of which the loudest are forwarded; nil: in none
	held     atomic.Bool           // back, because others are louder; changed under forwarding

	sources   atomic.Pointer[[]*source] // replaced whole under sourcesMu
	sourcesMu sync.Mutex
	layers    atomic.Pointer[layers] // what subscribers get
	simulcast atomic.Bool            // it is, or was, sent in layers

	// forwarding is held by those who read the sources, and by timer.
	forwarding sync.Mutex
	frame      []packet // of which the end did not come yet
	timer      *time.Timer
	batch      transport.Batch
}

const (
	// hold is how long a packet may wait for the end of its frame. A frame is of use when its last
	// packet is there, and all that one subscriber gets of it is sent in one call; so only what lacks
	// its end waits that long.
	hold = 4 * time.Millisecond
	// maxHeld bounds the packets that wait. A call takes no more.
	maxHeld = 16
)

// sinks are those who get a track's packets.
type sinks struct {
	downs []*downTrack
	taps  []*Tap
}

func newTrack(s *SFU, info TrackInfo, codec Codec) *Track {
	t := &Track{sfu: s, info: info, codec: codec}
	t.sinks.Store(&sinks{})
	t.sources.Store(&[]*source{})
	s.stats.tracks.Add(1)
	return t
}

// ID is the id given in TrackInfo.
func (t *Track) ID() string { return t.info.ID }

// StreamID is the id of the publisher's stream that the track belongs to.
func (t *Track) StreamID() string { return t.info.StreamID }

// Kind is Audio or Video.
func (t *Track) Kind() Kind { return t.info.Kind }

// Codec is the one codec of the track.
func (t *Track) Codec() Codec { return t.codec }

// Closed says whether the track is not published any more.
func (t *Track) Closed() bool { return t.closed.Load() }

// RequestKeyFrame asks the publisher for a key frame. Requests are throttled,
// never lost. For audio it does nothing.
func (t *Track) RequestKeyFrame() {
	if t.info.Kind != Video || t.closed.Load() {
		return
	}
	t.keyAsked.Store(true)
	for _, src := range *t.sources.Load() {
		src.requestKeyFrame()
	}
}

// Mute stops forwarding, or has it go on with the next key frame: for publishers
// who cannot be asked to stop sending.
func (t *Track) Mute(on bool) {
	if t.muted.Swap(on) && !on {
		t.RequestKeyFrame()
	}
}

// SetPriority says which pictures a subscriber with little bandwidth gets first, or better than others: those of a
// higher priority. It is 0 at first.
func (t *Track) SetPriority(p int) { t.priority.Store(int32(p)) }

// Priority is what SetPriority said.
func (t *Track) Priority() int { return int(t.priority.Load()) }

// levelTimeout is after how much silence on the wire (DTX) a level is old.
const levelTimeout = 500 * time.Millisecond

// setLevel stores the octet of RFC 6464 and when it came, in one word:
// milliseconds since the epoch times 256, plus the octet.
func (t *Track) setLevel(v uint8, now time.Time) { t.level.Store(now.UnixMilli()<<8 | int64(v)) }

// Level is the loudness of an audio track by its last packet, in -dBov
// (RFC 6464): 0 is the loudest, 127 silence. active is whether the sender
// takes it for voice. A track that sends nothing is silent.
func (t *Track) Level() (level uint8, active bool) {
	v := t.level.Load()
	if t.muted.Load() || time.Since(time.UnixMilli(v>>8)) > levelTimeout {
		return 127, false
	}
	return uint8(v) & 0x7f, v&0x80 != 0
}

// watched says whether anybody gets the track.
func (t *Track) watched() bool {
	s := t.sinks.Load()
	return len(s.downs)+len(s.taps) > 0
}

// attach makes a source known. A source of the same layer that was there
// before ends.
func (t *Track) attach(src *source) {
	old := t.replaceSources(func(s *source) bool { return s.rank == src.rank }, src)
	for _, s := range old {
		s.pli.close()
	}
	if t.closed.Load() {
		src.pli.close()
	} else if t.keyAsked.Load() && t.watched() {
		src.requestKeyFrame()
	}
}

// detach ends a source whose stream ended.
func (t *Track) detach(src *source) {
	src.pli.close()
	t.replaceSources(func(s *source) bool { return s == src })
}

// replaceSources takes out the sources that are gone, which it returns, and
// adds others.
func (t *Track) replaceSources(gone func(*source) bool, add ...*source) (old []*source) {
	t.sourcesMu.Lock()
	defer t.sourcesMu.Unlock()
	var kept []*source
	for _, s := range *t.sources.Load() {
		if gone(s) {
			old = append(old, s)
		} else {
			kept = append(kept, s)
		}
	}
	kept = append(kept, add...)
	t.sources.Store(&kept)
	t.layers.Store(nil)
	return old
}

// forward hands a packet to everybody. It runs on the goroutine that read it.
func (t *Track) forward(p *packet) {
	t.forwarding.Lock()
	defer t.forwarding.Unlock()
	if l := t.layers.Load(); l == nil || p.at.Sub(l.at) > chooseAgain {
		t.choose(p.at)
	}
	s := t.sinks.Load()
	if !t.holdBack(p, s) && len(s.downs) > 0 {
		t.frame = append(t.frame, *p)
		switch {
		case p.marker || t.info.Kind == Audio || len(t.frame) >= maxHeld:
			t.deliver(s)
		case len(t.frame) > 1:
		case t.timer == nil:
			t.timer = time.AfterFunc(hold, t.late)
		default:
			t.timer.Reset(hold)
		}
	}
	if t.muted.Load() {
		return
	}
	for _, tap := range s.taps {
		if tap.takes(p) {
			tap.push(p)
		}
	}
}

// holdBack says whether subscribers do not get a packet, because others are louder. What they get next goes on with the
// next number.
func (t *Track) holdBack(p *packet, s *sinks) bool {
	v := t.voice.Load()
	held := v != nil && p.leveled && !v.group.admits(v, p.level&0x7f, p.at)
	if held {
		t.sfu.stats.heldBack.Add(1)
	}
	if held != t.held.Load() {
		t.held.Store(held)
		for _, d := range s.downs {
			d.pause()
		}
	}
	return held
}

// late sends the frame of which the end does not come.
func (t *Track) late() {
	t.forwarding.Lock()
	defer t.forwarding.Unlock()
	t.deliver(t.sinks.Load())
}

// deliver sends what there is of a frame to one subscriber after the other. The
// caller holds t.forwarding. The packets' bytes are those of their source's
// cache, where they stay as they are until many more came.
func (t *Track) deliver(s *sinks) {
	if len(t.frame) == 0 {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	sent := 0
	size := 0
	for i := range t.frame {
		size += len(t.frame[i].payload)
	}
	for _, d := range s.downs {
		sent += d.deliver(&t.batch, t.frame)
	}
	t.sfu.stats.packetsOut.Add(uint64(sent))
	t.sfu.stats.bytesOut.Add(uint64(sent * size / len(t.frame)))
	clear(t.frame)
	t.frame = t.frame[:0]
}

// replaceSinks changes who gets the packets.
func (t *Track) replaceSinks(change func(*sinks)) {
	t.sinksMu.Lock()
	defer t.sinksMu.Unlock()
	old := t.sinks.Load()
	s := &sinks{downs: slices.Clone(old.downs), taps: slices.Clone(old.taps)}
	change(s)
	t.sinks.Store(s)
}

func (t *Track) addDown(d *downTrack) {
	t.replaceSinks(func(s *sinks) { s.downs = append(s.downs, d) })
}

func (t *Track) removeDown(d *downTrack) {
	t.replaceSinks(func(s *sinks) {
		s.downs = slices.DeleteFunc(s.downs, func(x *downTrack) bool { return x == d })
	})
}

// close ends the track: its publisher took it back or is gone. Subscribers
// keep their sections until Subscribe says otherwise.
func (t *Track) close() {
	if t.closed.Swap(true) {
		return
	}
	t.sfu.stats.tracks.Add(-1)
	for _, src := range t.replaceSources(func(*source) bool { return true }) {
		src.pli.close()
	}
	for _, tap := range t.sinks.Load().taps {
		tap.Close()
	}
}
