package sfu

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"amphi/server/sfu/transport"
)

// noLayer is the rank of nothing.
const noLayer = -1

// maxRetransmit bounds what one subscription is sent again within a second.
const maxRetransmit = 1000

// downTrack is one subscription: a track on the subscribe connection of one
// peer.
type downTrack struct {
	track *Track
	link  *session
	// ssrc and rtxSSRC are the outgoing streams: media, and what is sent again.
	ssrc, rtxSSRC uint32

	// wanted is the subscriber's wish: packets or none, and at best of the layer rank.
	wanted  atomic.Bool
	rank    atomic.Int32
	waiting atomic.Bool // wanted, but no key frame came yet
	// least is the rank of the best layer that the subscriber's network takes: 0, or higher where it is narrow, up to
	// withheld.
	least atomic.Int32
	// sent is the rank of the layer being sent, noLayer while it is none.
	sent atomic.Int32

	out   atomic.Pointer[binding] // nil until the client's answer is there
	tally tally

	// unsupported: the client's answer left the codec out. The downlink's own.
	unsupported bool

	// mu is held by the packet path when it changes the munger, and by others
	// when they read it: the packet path alone changes it, so it reads without.
	mu     sync.Mutex
	munger munger

	again     again
	reception reception
}

// binding is what negotiation settled about the outgoing stream.
type binding struct {
	ssrc      uint32
	rtxSSRC   uint32
	pt, rtxPT uint8
	twcc      uint8 // ids of header extensions, 0: none
	level     uint8
}

func newDownTrack(t *Track, link *session, wanted bool) *downTrack {
	d := &downTrack{track: t, link: link, ssrc: newSSRC(), rtxSSRC: newSSRC()}
	d.munger.clockRate = t.codec.ClockRate()
	d.wanted.Store(wanted)
	d.sent.Store(noLayer)
	d.again.index = rand.Uint64N(1 << 16) // SRTP counts rollovers from 0 on
	return d
}

// newSSRC makes an SSRC. Two are the same once in a few million connections,
// and then a client takes one track for another until its next subscription.
func newSSRC() uint32 { return rand.Uint32N(1<<32-1) + 1 }

// want turns forwarding on or off. rank is that of the best layer wanted.
func (d *downTrack) want(on bool, rank int32) {
	other := d.rank.Swap(rank) != rank
	if d.wanted.Swap(on) != on || on && other {
		d.askKey()
	}
}

// target is the source of the layer that is wanted, or of the next lesser one that the network takes; nil if there is
// none.
func (d *downTrack) target() *source {
	least := d.least.Load()
	if least == withheld {
		return nil
	}
	return d.track.layer(max(d.rank.Load(), least))
}

// askKey asks for a key frame to start with, if one could be sent now. Asked
// for earlier it would be lost, and the next one is throttled. If one came a
// moment ago, that is what the subscription starts with.
func (d *downTrack) askKey() {
	if !d.shown() || d.out.Load() == nil || !d.link.connected.Load() {
		return
	}
	src := d.target()
	d.mu.Lock()
	cur, _, running := d.munger.offset()
	ask := src == nil || !(running && cur == src) && d.recentKey(src, time.Now(), d.track.sfu.cfg.KeyFrameInterval) == nil
	d.mu.Unlock()
	if ask {
		d.requestKey()
	}
}

// requestKey asks for a key frame of the layer that is wanted.
func (d *downTrack) requestKey() {
	if src := d.target(); src != nil {
		src.requestKeyFrame()
		return
	}
	if d.least.Load() != withheld {
		d.track.RequestKeyFrame()
	}
}

// recentKey is the newest key frame, if the subscription may start with it: it
// came at most so long ago, and the subscriber has seen nothing later. The
// caller holds d.mu or is the packet path.
func (d *downTrack) recentKey(src *source, now time.Time, longest time.Duration) *keyFrame {
	if k := src.recentKey(now, longest); k != nil && d.munger.newer(src, k.ts) {
		return k
	}
	return nil
}

// deliver forwards packets of a frame in their order, in one go, and returns
// how many were sent.
func (d *downTrack) deliver(batch *transport.Batch, packets []packet) (sent int) {
	b := d.out.Load()
	if b == nil || !d.shown() || d.track.muted.Load() || !d.link.connected.Load() || !batch.Begin(d.link.transport) {
		d.pause()
		return 0
	}
	for i := range packets {
		if d.forward(b, batch, &packets[i]) {
			sent++
		}
	}
	failed := batch.End()
	d.tally.dropped.Add(uint64(failed))
	return sent - failed
}

// pause ends what is sent, for now. It belongs to the packet path.
func (d *downTrack) pause() {
	if !d.munger.running {
		return
	}
	d.mu.Lock()
	d.munger.stop()
	d.mu.Unlock()
	d.sent.Store(noLayer)
}

// forward adds one packet to a batch and reports whether it did.
func (d *downTrack) forward(b *binding, batch *transport.Batch, p *packet) bool {
	want := d.target()
	cur, _, running := d.munger.offset()
	switch {
	case !running:
	case cur != want && int32(cur.rank) < d.least.Load():
		// It does not fit: what is sent of it takes the place of the key frame that is waited for.
		d.pause()
		d.wait(want)
	case cur == p.src && cur != want && p.key && want != nil && want.stream() == cur.stream():
		d.pause() // the key frame that is waited for is this one, and follows as the other source's
	case cur == p.src:
		if cur != want {
			d.wait(want)
		}
		return d.send(b, batch, p)
	}
	if p.src != want {
		return false
	}
	from := keyFrame{ext: p.ext, ts: p.ts, vp8: p.vp8.vp8Counters}
	if !p.key {
		// What was asked for a moment ago for another subscriber serves this one too.
		k := d.recentKey(p.src, p.at, 2*d.track.sfu.cfg.KeyFrameInterval)
		if k == nil {
			d.wait(want)
			return false
		}
		from = *k
	}
	d.mu.Lock()
	d.munger.start(p.src, from.ext, from.ts, from.vp8, p.at)
	d.mu.Unlock()
	d.waiting.Store(false)
	d.sent.Store(int32(p.src.rank))
	d.link.reportSoon()
	d.catchUp(b, batch, from.ext, p)
	return d.send(b, batch, p)
}

// wait notes that a key frame of a source is missing. It is asked for at once,
// and by sendReports as long as none comes.
func (d *downTrack) wait(src *source) {
	if !d.waiting.Swap(true) && src != nil {
		src.requestKeyFrame()
	}
}

// catchUp sends what came from a key frame on before a packet. It is a second
// of video at most, and a decoder is quicker than that.
func (d *downTrack) catchUp(b *binding, batch *transport.Batch, from extSeq, to *packet) {
	if from >= to.ext {
		return
	}
	buf := make([]byte, packetSize)
	for ext := from; ext < to.ext; ext++ {
		n, ts, marker, ok := to.src.cache.get(ext, buf)
		if !ok {
			continue // it was lost, and the subscriber can ask for it when it is there
		}
		p := packet{src: to.src, ext: ext, ts: ts, marker: marker, level: 127, payload: buf[:n], at: to.at}
		if d.track.codec == VP8 {
			p.vp8, _ = parseVP8(p.payload)
		}
		d.send(b, batch, &p)
	}
}

// send adds a packet of the running segment to a batch and reports whether it
// did.
func (d *downTrack) send(b *binding, batch *transport.Batch, p *packet) bool {
	d.mu.Lock()
	out, by, ok := d.munger.rewrite(p.src, p.ext, p.ts, p.vp8.vp8Counters, p.at)
	d.mu.Unlock()
	if !ok {
		return false
	}
	h := transport.Header{
		SSRC: b.ssrc, Index: uint64(out - 1<<16), Timestamp: p.ts + by.ts, PayloadType: b.pt, Marker: p.marker,
		TWCC: b.twcc, LevelID: b.level, Level: p.level, Urgent: d.track.info.Kind == Audio,
	}
	var descriptor [maxVP8Descriptor]byte
	head, payload := p.vp8.shifted(&descriptor, p.payload, by.vp8)
	if !batch.Add(&h, head, payload) {
		return false
	}
	d.tally.packets.Add(1)
	d.tally.bytes.Add(uint64(len(p.payload)))
	return true
}

// again is the state of retransmission.
type again struct {
	mu     sync.Mutex // a client's reports may come by two sockets
	index  uint64     // of the RTX stream
	since  time.Time
	budget int
}

// repairs lends what is needed to send packets again.
var repairs = sync.Pool{New: func() any { return new(repair) }}

type repair struct {
	batch transport.Batch
	buf   [packetSize]byte
}

// repeat sends what add adds on the stream for repairs, and returns how many packets the kernel did not take.
func (d *downTrack) repeat(add func(*repair)) (failed int) {
	r := repairs.Get().(*repair)
	defer repairs.Put(r)
	d.again.mu.Lock()
	defer d.again.mu.Unlock()
	if !r.batch.Begin(d.link.transport) {
		return 0
	}
	add(r)
	return r.batch.End()
}

// repair sends again what the client is missing, as RTX (RFC 4588). Without
// that it gets a key frame: the same number twice is not for SRTP, see
// munger.once.
func (d *downTrack) repair(pairs []rtcp.NackPair) {
	b := d.out.Load()
	if b == nil || !d.link.connected.Load() || d.least.Load() == withheld {
		return // what is missing of a picture that is not sent any more would only be in the way of sound
	}
	if b.rtxPT == 0 {
		d.pictureLost()
		return
	}
	sent := 0
	failed := d.repeat(func(r *repair) {
		for i := range pairs {
			pairs[i].Range(func(seq uint16) bool {
				n, more := d.retransmit(b, r, seq)
				sent += n
				return more
			})
		}
	})
	sent -= failed
	d.tally.repeats.Add(uint64(sent))
	d.track.sfu.stats.retransmitted.Add(uint64(sent))
	d.track.sfu.stats.packetsOut.Add(uint64(sent))
}

func (d *downTrack) pictureLost() {
	d.tally.plis.Add(1)
	d.track.sfu.stats.plisIn.Add(1)
	if !d.shown() {
		return
	}
	d.mu.Lock()
	src, _, running := d.munger.offset()
	d.mu.Unlock()
	if running {
		src.requestKeyFrame() // of what it sees
	} else {
		d.requestKey()
	}
}

// retransmit adds a packet to the batch once more and returns how many that
// are, one or none. It reports whether the budget has room for others.
func (d *downTrack) retransmit(b *binding, r *repair, seq uint16) (n int, more bool) {
	stats := &d.track.sfu.stats
	stats.nacksIn.Add(1)
	d.tally.nacks.Add(1)
	now := time.Now()
	a := &d.again
	if now.Sub(a.since) > time.Second {
		a.since, a.budget = now, maxRetransmit
	}
	if a.budget == 0 {
		return 0, false
	}
	d.mu.Lock()
	src, ext, by, ok := d.munger.lookup(seq)
	present, _, _ := d.munger.offset()
	d.mu.Unlock()
	// Of another layer than the present one: its key frame has made them needless, and on a narrow way they would be in the
	// way of it.
	if !ok || src != present || src.track.Load().codec != d.track.codec {
		return 0, true
	}
	size, ts, marker, ok := src.cache.get(ext, r.buf[:])
	if !ok {
		return 0, true // too old, or lost on its way to us as well
	}
	payload := r.buf[:size]
	if d.track.codec == VP8 {
		vp8, _ := parseVP8(payload)
		vp8.shift(payload, by.vp8)
	}
	a.budget--
	a.index++
	h := transport.Header{
		SSRC: b.rtxSSRC, Index: a.index, Timestamp: ts + by.ts, PayloadType: b.rtxPT, Marker: marker,
		TWCC: b.twcc, LevelID: b.level, Level: 127,
	}
	if !r.batch.Add(&h, []byte{byte(seq >> 8), byte(seq)}, payload) {
		return 0, true
	}
	stats.bytesOut.Add(uint64(size))
	return 1, true
}

// report is the sender report for the subscriber: the publisher's clock at
// the timestamps that we forward, so sound and picture of one publisher can
// be aligned.
func (d *downTrack) report(now time.Time) (rtcp.Packet, bool) {
	b := d.out.Load()
	d.mu.Lock()
	src, offset, running := d.munger.offset()
	d.mu.Unlock()
	if b == nil || !running {
		return nil, false
	}
	r := src.report.Load()
	if r == nil {
		return nil, false
	}
	ntp, ts := r.later(now, d.track.codec.ClockRate())
	d.reception.sent(ntp, now)
	return &rtcp.SenderReport{
		SSRC: b.ssrc, NTPTime: ntp, RTPTime: ts + offset,
		PacketCount: uint32(d.tally.packets.Load()), OctetCount: uint32(d.tally.bytes.Load()),
	}, true
}
