package sfu

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// videoCache is how many packets of a video stream can be sent again: two
// seconds of 2 Mbit/s. Audio is not asked for again.
const videoCache = 512

// source is one RTP stream from a publisher: a track, or one simulcast layer
// of it, under one SSRC.
type source struct {
	track atomic.Pointer[Track] // see uplink.rehome
	up    *uplink
	whole *source // that this is a part of, see svc.go; nil: it is a stream
	rank  int     // 0 is the best layer
	ssrc  uint32
	pt    uint8
	level uint8 // id of the audio level extension, 0: none
	clock *publisherClock

	report atomic.Pointer[senderReport]
	lastAt atomic.Int64             // arrival of the newest packet, ns since the epoch
	key    atomic.Pointer[keyFrame] // the newest; nil: none came yet
	pli    keyFrameRequests
	tally  tally
	paced  atomic.Int64  // jitter in ns; of sound only
	rate   atomic.Uint64 // bit/s; 0: not known yet
	size   atomic.Uint32 // of its pictures, by the newest key frame: width<<16 | height; 0: not known

	// Under the track's forwarding, see measure.
	measured time.Time
	before   uint64

	// cache holds video only, but lends the receive buffer for both kinds.
	cache *cache

	// The rest belongs to the reading goroutine.
	seq     unwrapper
	nack    nacker
	frameTS uint32 // of the newest packet
	transit uint32 // of the newest packet, in clock units; of sound only
	jitter  int64  // in 16ths of a clock unit; of sound only
	parts   parts
}

// keyFrame is where a key frame begins.
type keyFrame struct {
	ext extSeq // its first packet
	ts  uint32
	vp8 vp8Counters
	at  time.Time // arrival
}

// packet is one RTP packet on its way through. The payload is only valid
// until forward returns.
type packet struct {
	src     *source
	ext     extSeq
	ts      uint32
	marker  bool
	key     bool  // may begin a key frame
	level   uint8 // audio level as in RFC 6464: V bit and -dBov
	leveled bool  // the packet says so
	vp8     vp8Descriptor
	payload []byte
	at      time.Time
}

// pump reads a stream until it ends.
func (src *source) pump(remote *webrtc.TrackRemote) {
	stats := &src.track.Load().sfu.stats
	header := rtp.Header{}
	failures := 0
	for {
		buf := src.cache.buffer()
		n, _, err := remote.Read(buf)
		if err != nil {
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
				return
			case errors.Is(err, webrtc.ErrCodecNotFound):
				stats.droppedCodec.Add(1)
				continue
			}
			// An interceptor did not like the packet. A stream that has
			// nothing else is not worth reading.
			stats.droppedMalformed.Add(1)
			if failures++; failures > 1000 {
				return
			}
			continue
		}
		src.receive(buf[:n], &header, time.Now())
	}
}

// receive takes one packet in the cache's buffer.
func (src *source) receive(buf []byte, header *rtp.Header, now time.Time) {
	t := src.track.Load()
	stats := &t.sfu.stats
	start, err := header.Unmarshal(buf)
	end := len(buf)
	if err == nil && header.Padding {
		end -= int(buf[end-1])
	}
	if err != nil || start > end {
		stats.droppedMalformed.Add(1)
		return
	}
	if header.PayloadType != src.pt {
		stats.droppedCodec.Add(1)
		return
	}
	before := src.seq.highest
	ext := src.seq.extend(header.SequenceNumber)
	p := packet{
		src: src, ext: ext, ts: header.Timestamp, marker: header.Marker,
		payload: buf[start:end], at: now, level: 127,
	}
	if t.info.Kind == Video {
		if ext <= before && (before-ext >= videoCache || src.cache.has(ext)) {
			stats.droppedLate.Add(1)
			src.tally.dropped.Add(1)
			return
		}
		first := ext == before+1 && header.Timestamp != src.frameTS || before == 0
		p.key = t.codec.keyStart(p.payload, first)
		if t.codec == VP8 {
			p.vp8, _ = parseVP8(p.payload)
		}
		if p.key {
			if size := t.codec.pictureSize(p.payload); size != 0 {
				src.size.Store(size)
			}
		}
		if last := src.key.Load(); p.key && (last == nil || ext > last.ext && p.ts != last.ts) {
			src.key.Store(&keyFrame{ext, p.ts, p.vp8.vp8Counters, now})
		}
		if ext > before {
			src.frameTS = header.Timestamp
		}
		// From here on the cache owns the bytes; they outlive this call.
		src.cache.add(ext, p.ts, p.marker, start, end)
		src.recover(ext, now)
	} else {
		if ext <= before && before-ext > 256 {
			stats.droppedLate.Add(1)
			src.tally.dropped.Add(1)
			return
		}
		p.key = true
		if src.level != 0 {
			if v := header.GetExtension(src.level); len(v) == 1 {
				p.level, p.leveled = v[0], true
				t.setLevel(v[0], now)
			}
		}
	}
	src.arrived(before, ext, t, &p)
	src.lastAt.Store(now.UnixNano())
	stats.packetsIn.Add(1)
	stats.bytesIn.Add(uint64(len(buf)))
	src.tally.packets.Add(1)
	src.tally.bytes.Add(uint64(len(buf)))
	if ext < before {
		src.tally.repeats.Add(1)
	}
	if p.marker && t.info.Kind == Video {
		src.tally.frames.Add(1)
	}
	t.forward(&p)
	if t.codec == VP9 {
		src.split(t, &p)
	}
}

// recover asks the publisher for what did not arrive.
func (src *source) recover(ext extSeq, now time.Time) {
	lost := src.nack.arrived(ext, now)
	pairs, n, givenUp := src.nack.request(now)
	if n > 0 {
		src.track.Load().sfu.stats.nacksOut.Add(uint64(n))
		src.tally.nacks.Add(uint64(n))
		src.up.write(&rtcp.TransportLayerNack{SenderSSRC: src.up.ssrc, MediaSSRC: src.ssrc, Nacks: pairs})
	}
	if (lost || givenUp) && src.track.Load().watched() {
		src.requestKeyFrame()
	}
}

// recentKey is the newest key frame, if it came at most so long ago and it and
// all that came since are in the cache.
func (src *source) recentKey(now time.Time, longest time.Duration) *keyFrame {
	k := src.key.Load()
	if k == nil || now.Sub(k.at) > longest || !src.cache.has(k.ext) {
		return nil
	}
	return k
}

// pumpReports reads a stream's RTCP: sender reports are what is wanted.
func (src *source) pumpReports(receiver *webrtc.RTPReceiver, rid string) {
	buf := make([]byte, packetSize)
	for failures := 0; failures < 1000; {
		var n int
		var err error
		if rid == "" {
			n, _, err = receiver.Read(buf)
		} else {
			n, _, err = receiver.ReadSimulcast(buf, rid)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			return
		}
		var packets []rtcp.Packet
		if err == nil {
			packets, err = rtcp.Unmarshal(buf[:n])
		}
		if err != nil {
			failures++
			continue
		}
		for _, p := range packets {
			if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == src.ssrc {
				now := time.Now()
				src.clock.observe(sr.NTPTime, now)
				src.report.Store(&senderReport{ntp: sr.NTPTime, rtp: sr.RTPTime, at: now})
			}
		}
	}
}

// capture is when the sample at an RTP timestamp was captured, by our clock:
// exact once the publisher reported, else it is the time of arrival.
func (src *source) capture(ts uint32, arrival time.Time) time.Time {
	r := src.report.Load()
	if r == nil {
		return arrival
	}
	since := time.Duration(int32(ts-r.rtp)) * time.Second / time.Duration(src.track.Load().codec.ClockRate())
	return src.clock.wall(ntpTime(r.ntp).Add(since))
}

// requestKeyFrame asks the publisher for a key frame, now or as soon as the
// throttle allows. For audio it does nothing.
func (src *source) requestKeyFrame() {
	src = src.stream()
	if src.track.Load().info.Kind != Video {
		return
	}
	src.pli.request(src.track.Load().sfu.cfg.KeyFrameInterval, func() {
		src.track.Load().sfu.stats.plisOut.Add(1)
		src.tally.plis.Add(1)
		src.up.write(&rtcp.PictureLossIndication{SenderSSRC: src.up.ssrc, MediaSSRC: src.ssrc})
	})
}

// keyFrameRequests throttles requests without losing any: one that comes too
// early is sent when its time comes.
type keyFrameRequests struct {
	mu      sync.Mutex
	last    time.Time
	pending *time.Timer
	closed  bool
}

func (k *keyFrameRequests) request(interval time.Duration, send func()) {
	k.mu.Lock()
	if k.closed || k.pending != nil {
		k.mu.Unlock()
		return
	}
	if wait := interval - time.Since(k.last); wait > 0 {
		k.pending = time.AfterFunc(wait, func() {
			k.mu.Lock()
			k.pending = nil
			open := !k.closed
			if open {
				k.last = time.Now()
			}
			k.mu.Unlock()
			if open {
				send()
			}
		})
		k.mu.Unlock()
		return
	}
	k.last = time.Now()
	k.mu.Unlock()
	send()
}

func (k *keyFrameRequests) reopen() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = false
}

func (k *keyFrameRequests) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.pending != nil {
		k.pending.Stop()
		k.pending = nil
	}
}

// rank orders simulcast layers, best first: by the protocol's names if they
// are used, else in the order of the offer.
func rank(rid string, offered []string) int {
	if i := slices.Index([]string{"f", "h", "q"}, rid); i >= 0 {
		return i
	}
	return max(slices.Index(offered, rid), 0)
}
