package sfu

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// noLayer is the rank of nothing.
const noLayer = -1

// maxRetransmit bounds what one subscription is sent again within a second.
const maxRetransmit = 1000

// downTrack is one subscription: a track on the subscribe connection of one
// peer. It implements webrtc.TrackLocal.
type downTrack struct {
	track *Track
	link  *session

	// wanted is the subscriber's wish: packets or none, and at best of the layer rank.
	wanted  atomic.Bool
	rank    atomic.Int32
	waiting atomic.Bool // wanted, but no key frame came yet
	// sent is the rank of the layer being sent, noLayer while it is none.
	sent atomic.Int32
	// unsupported: the client's answer left the codec out.
	unsupported atomic.Bool

	out     atomic.Pointer[binding]
	packets atomic.Uint32 // for sender reports
	octets  atomic.Uint32

	// mu is held by the packet path when it changes the munger, and by others
	// when they read it: the packet path alone changes it, so it reads without.
	mu     sync.Mutex
	munger munger

	// The packet path's own: one goroutine at a time, see Track.mu.
	header     rtp.Header
	headerFor  *binding
	twcc       [2]byte
	levelOctet [1]byte
	scratch    []byte // a payload with other counters; nil until one is needed

	// The RTCP reader's own.
	again again

	reception reception
}

// binding is what negotiation settled about the outgoing stream.
type binding struct {
	w         webrtc.TrackLocalWriter
	ssrc      uint32
	rtxSSRC   uint32
	pt, rtxPT uint8
	twcc      uint8 // ids of header extensions, 0: none
	level     uint8
}

func newDownTrack(t *Track, link *session, wanted bool) *downTrack {
	d := &downTrack{track: t, link: link}
	d.munger.clockRate = t.codec.ClockRate()
	d.wanted.Store(wanted)
	d.sent.Store(noLayer)
	d.again.seq = uint16(rand.Uint32())
	return d
}

// ID, StreamID, RID and Kind are part of webrtc.TrackLocal: subscribers see
// the publisher's ids.
func (d *downTrack) ID() string                { return d.track.info.ID }
func (d *downTrack) StreamID() string          { return d.track.info.StreamID }
func (d *downTrack) RID() string               { return "" }
func (d *downTrack) Kind() webrtc.RTPCodecType { return d.track.info.Kind.rtp() }

// Bind is called by pion when an answer settled the section. It never fails:
// an error would keep pion from starting the sections after this one. Without
// our codec the subscription stays silent.
func (d *downTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	var codec webrtc.RTPCodecParameters
	b := &binding{w: c.WriteStream(), ssrc: uint32(c.SSRC())}
	for _, p := range c.CodecParameters() {
		_, name, _ := strings.Cut(p.MimeType, "/")
		if strings.EqualFold(name, d.track.codec.String()) {
			codec, b.pt = p, uint8(p.PayloadType)
			break
		}
	}
	if b.pt == 0 {
		return codec, nil
	}
	for _, p := range c.CodecParameters() {
		_, name, _ := strings.Cut(p.MimeType, "/")
		if strings.EqualFold(name, "rtx") && fmtpValue(p.SDPFmtpLine, "apt") == strconv.Itoa(int(b.pt)) {
			b.rtxPT, b.rtxSSRC = uint8(p.PayloadType), uint32(c.SSRCRetransmission())
		}
	}
	for _, e := range c.HeaderExtensions() {
		switch e.URI {
		case extTWCC:
			b.twcc = uint8(e.ID)
		case extLevel:
			b.level = uint8(e.ID)
		}
	}
	d.out.Store(b)
	d.askKey()
	return codec, nil
}

// Unbind is called by pion when the section ends.
func (d *downTrack) Unbind(webrtc.TrackLocalContext) error {
	d.out.Store(nil)
	return nil
}

// want turns forwarding on or off. rank is that of the best layer wanted.
func (d *downTrack) want(on bool, rank int32) {
	other := d.rank.Swap(rank) != rank
	if d.wanted.Swap(on) != on || on && other {
		d.askKey()
	}
}

// askKey asks for a key frame to start with, if one could be sent now. Asked
// for earlier it would be lost, and the next one is throttled. If one came a
// moment ago, that is what the subscription starts with.
func (d *downTrack) askKey() {
	if !d.wanted.Load() || d.out.Load() == nil || !d.link.connected.Load() {
		return
	}
	src := d.track.layer(d.rank.Load())
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
	if src := d.track.layer(d.rank.Load()); src != nil {
		src.requestKeyFrame()
		return
	}
	d.track.RequestKeyFrame()
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

// forward sends one packet and reports whether it did.
func (d *downTrack) forward(p *packet) bool {
	b := d.out.Load()
	if b == nil || !d.wanted.Load() || d.track.muted.Load() || !d.link.connected.Load() {
		if d.munger.running {
			d.mu.Lock()
			d.munger.stop()
			d.mu.Unlock()
			d.sent.Store(noLayer)
		}
		return false
	}
	want := d.track.layer(d.rank.Load())
	cur, _, running := d.munger.offset()
	if running && cur == p.src {
		if cur != want {
			d.wait(want)
		}
		return d.send(b, p)
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
	d.catchUp(b, from.ext, p)
	return d.send(b, p)
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
func (d *downTrack) catchUp(b *binding, from extSeq, to *packet) {
	if from == to.ext {
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
		d.send(b, &p)
	}
}

// send sends a packet of the running segment and reports whether it did.
func (d *downTrack) send(b *binding, p *packet) bool {
	d.mu.Lock()
	seq, by, ok := d.munger.rewrite(p.src, p.ext, p.ts, p.vp8.vp8Counters, p.at)
	d.mu.Unlock()
	if !ok {
		return false
	}
	payload := p.payload
	if by.vp8 != (vp8Counters{}) && p.vp8.counts() {
		d.scratch = append(d.scratch[:0], payload...)
		payload = d.scratch
		p.vp8.shift(payload, by.vp8)
	}
	if d.headerFor != b {
		d.prepare(b)
	}
	h := &d.header
	h.Marker, h.SequenceNumber, h.Timestamp = p.marker, seq, p.ts+by.ts
	d.number(&d.twcc)
	d.levelOctet[0] = p.level
	if _, err := b.w.WriteRTP(h, payload); err != nil {
		d.track.sfu.stats.droppedWrite.Add(1)
		return false
	}
	d.packets.Add(1)
	d.octets.Add(uint32(len(p.payload)))
	return true
}

// prepare makes the header that packets to b share.
func (d *downTrack) prepare(b *binding) {
	d.headerFor = b
	d.header = rtp.Header{Version: 2, PayloadType: b.pt, SSRC: b.ssrc}
	b.extend(&d.header, d.twcc[:], d.levelOctet[:])
}

// extend adds the extensions in use, whose values are filled in per packet.
func (b *binding) extend(h *rtp.Header, twcc, level []byte) {
	// The ids came out of negotiation, where 1 to 14 are the only ones.
	if b.twcc != 0 {
		_ = h.SetExtension(b.twcc, twcc)
	}
	if b.level != 0 {
		_ = h.SetExtension(b.level, level)
	}
}

// number gives the next packet of the connection its transport-wide number.
func (d *downTrack) number(to *[2]byte) {
	n := d.link.twcc.Add(1)
	to[0], to[1] = byte(n>>8), byte(n)
}

// again is the state of retransmission.
type again struct {
	buf    [packetSize + 2]byte
	seq    uint16 // of the RTX stream
	since  time.Time
	budget int
}

// pumpRTCP reads what the subscriber reports about the stream.
func (d *downTrack) pumpRTCP(sender *webrtc.RTPSender) {
	buf := make([]byte, packetSize)
	for {
		n, _, err := sender.Read(buf)
		if err != nil {
			return // no interceptors here: an error is the end
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		b := d.out.Load()
		if err != nil || b == nil {
			continue
		}
		now := time.Now()
		for _, p := range packets {
			// A compound packet is delivered once for each of its streams.
			for _, r := range reports(p) {
				if r.SSRC == b.ssrc {
					d.reception.take(&d.link.down.peer.received, &r, d.track, now)
				}
			}
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				if p.MediaSSRC == b.ssrc {
					d.pictureLost()
				}
			case *rtcp.FullIntraRequest:
				for _, e := range p.FIR {
					if e.SSRC == b.ssrc {
						d.pictureLost()
					}
				}
			case *rtcp.TransportLayerNack:
				if p.MediaSSRC == b.ssrc {
					for i := range p.Nacks {
						p.Nacks[i].Range(func(seq uint16) bool { return d.retransmit(b, seq) })
					}
					d.track.sfu.port.flush()
				}
			}
		}
	}
}

func (d *downTrack) pictureLost() {
	d.track.sfu.stats.plisIn.Add(1)
	if !d.wanted.Load() {
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

// retransmit sends a packet again, as RTX (RFC 4588) if that was negotiated.
// It reports whether the budget has room for more.
func (d *downTrack) retransmit(b *binding, seq uint16) bool {
	stats := &d.track.sfu.stats
	stats.nacksIn.Add(1)
	now := time.Now()
	a := &d.again
	if now.Sub(a.since) > time.Second {
		a.since, a.budget = now, maxRetransmit
	}
	if a.budget == 0 {
		return false
	}
	d.mu.Lock()
	src, ext, by, ok := d.munger.lookup(seq)
	d.mu.Unlock()
	if !ok {
		return true
	}
	a.buf[0], a.buf[1] = byte(seq>>8), byte(seq)
	n, ts, marker, ok := src.cache.get(ext, a.buf[2:])
	if !ok {
		return true // too old, or lost on its way to us as well
	}
	if d.track.codec == VP8 {
		vp8, _ := parseVP8(a.buf[2 : 2+n])
		vp8.shift(a.buf[2:2+n], by.vp8)
	}
	a.budget--
	var twcc [2]byte
	d.number(&twcc)
	h := rtp.Header{Version: 2, Marker: marker, Timestamp: ts + by.ts, PayloadType: b.pt, SSRC: b.ssrc, SequenceNumber: seq}
	payload := a.buf[2 : 2+n]
	if b.rtxSSRC != 0 && b.rtxPT != 0 {
		a.seq++
		h.PayloadType, h.SSRC, h.SequenceNumber = b.rtxPT, b.rtxSSRC, a.seq
		payload = a.buf[:2+n]
	}
	b.extend(&h, twcc[:], []byte{127})
	if _, err := b.w.WriteRTP(&h, payload); err != nil {
		stats.droppedWrite.Add(1)
		return true
	}
	stats.retransmitted.Add(1)
	stats.packetsOut.Add(1)
	stats.bytesOut.Add(uint64(n))
	return true
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
		PacketCount: d.packets.Load(), OctetCount: d.octets.Load(),
	}, true
}
