package sfu

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp/codecs"
)

// TapConfig are the parameters of a Tap; zero values choose the defaults.
type TapConfig struct {
	Queue int // whole frames waiting for the reader; 128
	// Wait is for how long a missing packet holds up what came after it;
	// 150 ms for video, which is time for it to be sent again, 60 for audio.
	Wait time.Duration
}

// Frame is one encoded frame: a VP8 frame, an H.264 access unit in Annex-B
// form, a VP9 picture (the frames of its spatial layers, one after the other),
// an AV1 temporal unit of OBUs with sizes, or an Opus packet.
type Frame struct {
	Codec   Codec
	Data    []byte // belongs to the receiver
	RTPTime uint32 // in units of the codec's clock
	// Capture is when the frame was captured, by this machine's clock. All
	// tracks of a publisher share one estimate of the difference between the
	// two clocks, so it can align them.
	Capture time.Time
	Key     bool // decodable without an earlier one
}

// Tap delivers the whole frames of a track, in order. After a loss, video
// goes on at the next key frame, which is asked for.
type Tap struct {
	track   *Track
	wait    time.Duration
	packets chan tapPacket
	frames  chan Frame
	done    chan struct{}
	once    sync.Once
	dropped atomic.Uint64
	overrun atomic.Bool // packets were dropped: the stream has a hole
	pool    sync.Pool

	want atomic.Uint32          // see Want: width<<16 | height
	src  atomic.Pointer[source] // the layer that it gets; owner: the track's forwarding
	next *source                // the one that it should get; likewise
}

type tapPacket struct {
	packet
	buf *[]byte // pooled; packet.payload is in it
}

// Tap begins to deliver the track's frames. A tap ends when it or the track
// is closed.
func (t *Track) Tap(cfg TapConfig) *Tap {
	if cfg.Queue <= 0 {
		cfg.Queue = 128
	}
	if cfg.Wait <= 0 {
		cfg.Wait = 150 * time.Millisecond
		if t.info.Kind == Audio {
			cfg.Wait = 60 * time.Millisecond
		}
	}
	tap := &Tap{
		track:   t,
		wait:    cfg.Wait,
		packets: make(chan tapPacket, 1024),
		frames:  make(chan Frame, cfg.Queue),
		done:    make(chan struct{}),
		pool:    sync.Pool{New: func() any { b := make([]byte, packetSize); return &b }},
	}
	go tap.run()
	t.replaceSinks(func(s *sinks) { s.taps = append(s.taps, tap) })
	if t.closed.Load() {
		tap.Close()
	}
	t.RequestKeyFrame()
	return tap
}

// Frames is where the frames arrive. It is closed after the tap ended.
func (tap *Tap) Frames() <-chan Frame { return tap.frames }

// Want tells the size, in pixels, at which the pictures are shown. Of a track that comes in layers
// the tap gets the least that is not smaller, or the best if all are smaller or nothing was told. It
// changes at a key frame, which is asked for.
func (tap *Tap) Want(w, h int) {
	tap.want.Store(packSize(w, h))
}

// RequestKeyFrame asks the publisher for a key frame of the layer that the tap gets. Requests are
// throttled, never lost. For audio it does nothing.
func (tap *Tap) RequestKeyFrame() {
	if src := tap.src.Load(); src != nil {
		src.requestKeyFrame()
	} else {
		tap.track.RequestKeyFrame()
	}
}

// takes says whether a packet is of the tap's layer, or begins the one that it should have. The
// caller holds the track's forwarding.
func (tap *Tap) takes(p *packet) bool {
	if tap.next == nil {
		tap.next = tap.track.suited(tap.want.Load(), p.at)
	}
	cur := tap.src.Load()
	switch {
	case p.src == cur:
		return true
	case p.src != tap.next:
		return false
	case !p.key:
		p.src.requestKeyFrame()
		return false
	}
	tap.src.Store(p.src)
	return true
}

// Dropped counts the frames and packets lost because the reader was slow.
func (tap *Tap) Dropped() uint64 { return tap.dropped.Load() }

// Close ends the tap. It may be called at any time, repeatedly.
func (tap *Tap) Close() {
	tap.once.Do(func() {
		tap.track.replaceSinks(func(s *sinks) {
			s.taps = slices.DeleteFunc(s.taps, func(x *Tap) bool { return x == tap })
		})
		close(tap.done)
	})
}

// push is called on the packet path: it copies and never waits.
func (tap *Tap) push(p *packet) {
	buf := tap.pool.Get().(*[]byte)
	q := tapPacket{packet: *p, buf: buf}
	q.payload = (*buf)[:copy(*buf, p.payload)]
	select {
	case tap.packets <- q:
	default:
		tap.pool.Put(buf)
		tap.drop()
		tap.overrun.Store(true)
	}
}

func (tap *Tap) drop() {
	tap.dropped.Add(1)
	tap.track.sfu.stats.droppedTap.Add(1)
}

// run puts packets in order and frames together.
func (tap *Tap) run() {
	defer close(tap.frames)
	r := &reorderer{limit: 256, wait: tap.wait}
	a := assembler{codec: tap.track.codec}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		select {
		case <-tap.done:
			return
		case <-retry.C:
			// The request or the key frame itself may have been lost.
			if a.broken {
				tap.RequestKeyFrame()
			}
			continue
		case p := <-tap.packets:
			if tap.overrun.Swap(false) {
				a.lose()
				tap.RequestKeyFrame()
			}
			if old := r.push(p); old != nil {
				tap.pool.Put(old.buf)
			}
		case <-timer.C:
		}
		for {
			p, lost, ok := r.pop(time.Now())
			if lost {
				a.lose()
				tap.RequestKeyFrame()
			}
			if !ok {
				break
			}
			f, ok := a.push(&p)
			tap.pool.Put(p.buf)
			if !ok {
				continue
			}
			f.Capture = p.src.capture(f.RTPTime, a.arrival)
			select {
			case tap.frames <- f:
			default:
				tap.drop()
				a.lose() // what depends on it is of no use either
				tap.RequestKeyFrame()
			}
		}
		if wait, ok := r.due(time.Now()); ok {
			timer.Reset(max(wait, time.Millisecond))
		}
	}
}

// reorderer holds packets back until those before them came or waited for
// long enough.
type reorderer struct {
	limit int
	wait  time.Duration

	src     *source
	next    extSeq
	waiting []tapPacket // sorted by ext, all after next
}

// push adds a packet. One that is of no use is returned.
func (r *reorderer) push(p tapPacket) (useless *tapPacket) {
	if p.src != r.src {
		// Another source starts at this packet; the rest of the old one
		// is not waited for.
		for _, q := range r.waiting {
			q.src.track.Load().sfu.stats.droppedTap.Add(1)
		}
		r.src, r.next, r.waiting = p.src, p.ext, r.waiting[:0]
	}
	if p.ext < r.next {
		return &p
	}
	i, found := slices.BinarySearchFunc(r.waiting, p.ext, func(q tapPacket, ext extSeq) int {
		return int(int64(q.ext) - int64(ext))
	})
	if found {
		return &p
	}
	r.waiting = slices.Insert(r.waiting, i, p)
	return nil
}

// pop returns the next packet if it is its turn; lost says that packets
// before it were given up.
func (r *reorderer) pop(now time.Time) (p tapPacket, lost, ok bool) {
	if len(r.waiting) == 0 {
		return p, false, false
	}
	p = r.waiting[0]
	if p.ext != r.next {
		if len(r.waiting) < r.limit && now.Sub(p.at) < r.wait {
			return tapPacket{}, false, false
		}
		lost = true
	}
	r.waiting = slices.Delete(r.waiting, 0, 1)
	r.next = p.ext + 1
	return p, lost, true
}

// due is when pop is worth calling again.
func (r *reorderer) due(now time.Time) (time.Duration, bool) {
	if len(r.waiting) == 0 {
		return 0, false
	}
	return r.wait - now.Sub(r.waiting[0].at), true
}

// maxFrame bounds an assembled frame, in bytes.
const maxFrame = 8 << 20

// assembler makes frames of packets in order.
type assembler struct {
	codec  Codec
	broken bool // wait for a key frame

	begun   bool
	started bool
	ts      uint32
	key     bool
	data    []byte
	arrival time.Time // of the frame's first packet
	h264    codecs.H264Packet
	av1     codecs.AV1Depacketizer
	begins  []int // where in data the frames of VP9's spatial layers begin
	bad     bool
}

// lose is told that packets are missing.
func (a *assembler) lose() {
	if a.codec == Opus {
		return // every packet stands for itself
	}
	a.broken, a.begun, a.data = true, false, nil
}

// push adds a packet and returns the frame that it completes.
func (a *assembler) push(p *tapPacket) (Frame, bool) {
	if len(p.payload) == 0 {
		return Frame{}, false // padding
	}
	if a.codec == Opus {
		a.arrival = p.at
		return Frame{Codec: Opus, Data: slices.Clone(p.payload), RTPTime: p.ts, Key: true}, true
	}
	if !a.started {
		a.started, a.broken = true, true
	}
	if a.broken {
		if !p.key {
			return Frame{}, false
		}
		a.broken, a.begun = false, false
	}
	if !a.begun || p.ts != a.ts {
		// A frame without a marker at its end is dropped: nothing says
		// that it is whole. (It cannot be lost: numbers are consecutive.)
		a.begun, a.ts, a.key, a.bad = true, p.ts, p.key, false
		a.data, a.begins, a.arrival = nil, a.begins[:0], p.at
		a.h264, a.av1 = codecs.H264Packet{}, codecs.AV1Depacketizer{}
	}
	a.key = a.key || p.key
	body, err := a.depacketize(p.payload)
	a.data = append(a.data, body...)
	a.bad = a.bad || err != nil || len(a.data) > maxFrame
	if !p.marker {
		if a.bad {
			a.data = nil
		}
		return Frame{}, false
	}
	a.begun = false
	if a.bad || len(a.data) == 0 || a.codec == VP9 && !a.joinLayers() {
		a.lose()
		return Frame{}, false
	}
	return Frame{Codec: a.codec, Data: a.data, RTPTime: a.ts, Key: a.key}, true
}

// depacketize takes the part of a frame out of a packet.
func (a *assembler) depacketize(payload []byte) ([]byte, error) {
	switch a.codec {
	case VP8:
		var v codecs.VP8Packet
		return v.Unmarshal(payload)
	case VP9:
		var v codecs.VP9Packet
		body, err := v.Unmarshal(payload)
		if v.B {
			a.begins = append(a.begins, len(a.data))
		}
		return body, err
	case AV1:
		return a.av1.Unmarshal(payload)
	default:
		return a.h264.Unmarshal(payload)
	}
}

// maxLayers is how many frames a VP9 superframe may have.
const maxLayers = 8

// joinLayers makes the frames of several spatial layers one superframe, by an index of their sizes
// (VP9 bitstream specification, Annex B): without it a decoder sees the lowest layer only. It
// reports whether the frames can be told apart.
func (a *assembler) joinLayers() bool {
	n := len(a.begins)
	if n == 0 || n > maxLayers || a.begins[0] != 0 {
		return false
	}
	if n == 1 {
		return true
	}
	const sizeBytes = 4
	marker := byte(0b110<<5 | (sizeBytes-1)<<3 | (n - 1))
	end := len(a.data)
	a.data = append(a.data, marker)
	for i, begin := range a.begins {
		next := end
		if i+1 < n {
			next = a.begins[i+1]
		}
		a.data = binary.LittleEndian.AppendUint32(a.data, uint32(next-begin))
	}
	a.data = append(a.data, marker)
	return true
}
