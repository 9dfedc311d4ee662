package sfu

import (
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
// form, or an Opus packet.
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
				tap.track.RequestKeyFrame()
			}
			continue
		case p := <-tap.packets:
			if tap.overrun.Swap(false) {
				a.lose()
				tap.track.RequestKeyFrame()
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
				tap.track.RequestKeyFrame()
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
				tap.track.RequestKeyFrame()
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
		a.data, a.arrival = nil, p.at
		a.h264 = codecs.H264Packet{}
	}
	a.key = a.key || p.key
	switch a.codec {
	case VP8:
		var v codecs.VP8Packet
		body, err := v.Unmarshal(p.payload)
		a.bad = a.bad || err != nil
		a.data = append(a.data, body...)
	case H264:
		body, err := a.h264.Unmarshal(p.payload)
		a.bad = a.bad || err != nil
		a.data = append(a.data, body...)
	}
	a.bad = a.bad || len(a.data) > maxFrame
	if !p.marker {
		if a.bad {
			a.data = nil
		}
		return Frame{}, false
	}
	a.begun = false
	if a.bad || len(a.data) == 0 {
		a.lose()
		return Frame{}, false
	}
	return Frame{Codec: a.codec, Data: a.data, RTPTime: a.ts, Key: a.key}, true
}
