package sfu

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// Synthetic frames have valid headers, a counter and a checksum.

const (
	vp8KeyHeader  = "\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00" // RFC 6386 §9.1: 320x240
	vp8PlainFrame = "\x11\x02\x00\x00\x00\x00\x00\x00\x00\x00"
)

// body is a counter and size random bytes, with the top bit set so that none
// of it looks like a start code, and a checksum.
func body(n, size int) []byte {
	b := make([]byte, size+12)
	for i := range b {
		b[i] = byte(rand.Uint32()) | 0x80
	}
	put := func(at int, v uint32) { // 5 times 7 bits
		for i := range 5 {
			b[at+i] = byte(v>>(7*i))&0x7f | 0x80
		}
	}
	put(0, uint32(n))
	put(len(b)-5, 0)
	put(len(b)-5, crc32.ChecksumIEEE(b[:len(b)-5]))
	return b
}

func readBody(b []byte) (n int, ok bool) {
	if len(b) < 12 {
		return 0, false
	}
	get := func(at int) (v uint32) {
		for i := range 5 {
			v |= uint32(b[at+i]&0x7f) << (7 * i)
		}
		return v
	}
	return int(get(0)), get(len(b)-5) == crc32.ChecksumIEEE(b[:len(b)-5])
}

func makeFrame(mime string, n, size int, key bool) []byte {
	switch mime {
	case webrtc.MimeTypeVP8:
		head := vp8PlainFrame
		if key {
			head = vp8KeyHeader
		}
		return append([]byte(head), body(n, size)...)
	case webrtc.MimeTypeH264:
		var b []byte
		if key {
			b = append(b, "\x00\x00\x00\x01\x67\x42\xe0\x1f\xda\x02\x80\xf6\x80"...)
			b = append(b, "\x00\x00\x00\x01\x68\xce\x06\xe2"...)
			b = append(b, "\x00\x00\x00\x01\x65"...)
		} else {
			b = append(b, "\x00\x00\x00\x01\x41"...)
		}
		return append(b, body(n, size)...)
	}
	return append([]byte{0x78}, body(n, 60)...)
}

func readFrame(mime string, b []byte) (n int, key, ok bool) {
	switch mime {
	case webrtc.MimeTypeVP8:
		if len(b) < 10 {
			return 0, false, false
		}
		n, ok = readBody(b[10:])
		return n, b[0]&1 == 0, ok
	case webrtc.MimeTypeH264:
		for i := 0; i+5 < len(b); i++ {
			if binary.BigEndian.Uint32(b[i:]) == 1 && (b[i+4] == 0x65 || b[i+4] == 0x41) {
				n, ok = readBody(b[i+5:])
				return n, b[i+4] == 0x65, ok
			}
		}
		return 0, false, false
	case webrtc.MimeTypeVP9:
		return readLayers(b)
	}
	if len(b) < 1 {
		return 0, false, false
	}
	n, ok = readBody(b[1:])
	return n, true, ok
}

// outbound is a published track.
type outbound struct {
	c      *client
	info   TrackInfo
	mime   string
	local  *webrtc.TrackLocalStaticRTP
	sender *webrtc.RTPSender
	stop   chan struct{}
	ended  sync.WaitGroup
	keyNow atomic.Bool
	plis   atomic.Int32
	sent   atomic.Int32
	pause  atomic.Bool
	level  atomic.Int32
	period time.Duration
	size   int
}

// publish adds a track and sends synthetic frames on it until the test ends.
func (c *client) publish(mime, stream, id string) *outbound {
	c.t.Helper()
	o := c.add(mime, stream, id)
	c.negotiate(nil)
	o.start()
	return o
}

// add adds a track without negotiating.
func (c *client) add(mime, stream, id string) *outbound {
	c.t.Helper()
	kind, rate, channels := Video, uint32(90000), uint16(0)
	if mime == webrtc.MimeTypeOpus {
		kind, rate, channels = Audio, 48000, 2
	}
	capability := webrtc.RTPCodecCapability{MimeType: mime, ClockRate: rate, Channels: channels}
	if mime == webrtc.MimeTypeH264 {
		capability.SDPFmtpLine = h264Fmtp("42e01f")
	}
	local, err := webrtc.NewTrackLocalStaticRTP(capability, id, stream)
	if err != nil {
		c.t.Fatal(err)
	}
	tr, err := c.pub.AddTransceiverFromTrack(local, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		c.t.Fatal(err)
	}
	if kind == Video {
		// What is sent is named first, as by setCodecPreferences.
		var first, rest []webrtc.RTPCodecParameters
		for _, p := range tr.Sender().GetParameters().Codecs {
			if p.MimeType == mime && (mime != webrtc.MimeTypeH264 || fmtpValue(p.SDPFmtpLine, "profile-level-id") == "42e01f" && fmtpValue(p.SDPFmtpLine, "packetization-mode") == "1") {
				first = append(first, p)
			} else {
				rest = append(rest, p)
			}
		}
		if err := tr.SetCodecPreferences(append(first, rest...)); err != nil {
			c.t.Fatal(err)
		}
	}
	info := TrackInfo{ID: id, StreamID: stream, Kind: kind}
	c.mu.Lock()
	c.infos = append(c.infos, info)
	c.mu.Unlock()
	o := &outbound{
		c: c, info: info, mime: mime, local: local, sender: tr.Sender(),
		stop: make(chan struct{}), period: 10 * time.Millisecond, size: 2500,
	}
	return o
}

// remove unpublishes.
func (o *outbound) remove() {
	o.halt()
	c := o.c
	if err := c.pub.RemoveTrack(o.sender); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	for i, info := range c.infos {
		if info.ID == o.info.ID {
			c.infos = append(append([]TrackInfo(nil), c.infos[:i]...), c.infos[i+1:]...)
			break
		}
	}
	c.mu.Unlock()
}

func (o *outbound) halt() {
	select {
	case <-o.stop:
	default:
		close(o.stop)
	}
	o.ended.Wait()
}

func (o *outbound) start() {
	o.c.t.Cleanup(o.halt)
	go func() {
		for {
			packets, _, err := o.sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if _, ok := p.(*rtcp.PictureLossIndication); ok {
					o.plis.Add(1)
					o.keyNow.Store(true)
				}
			}
		}
	}()
	o.ended.Add(1)
	go func() {
		defer o.ended.Done()
		var payloader rtp.Payloader
		rate := uint32(90000)
		switch o.mime {
		case webrtc.MimeTypeVP8:
			payloader = &codecs.VP8Payloader{EnablePictureID: true}
		case webrtc.MimeTypeH264:
			payloader = &codecs.H264Payloader{}
		default:
			payloader, rate = &codecs.OpusPayloader{}, 48000
		}
		p := rtp.NewPacketizer(1200, 0, 0, payloader, rtp.NewRandomSequencer(), rate)
		tick := time.NewTicker(o.period)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-o.stop:
				return
			case <-tick.C:
			}
			if o.pause.Load() {
				continue
			}
			key := n == 0 || o.keyNow.Swap(false)
			for _, packet := range p.Packetize(makeFrame(o.mime, n, o.size, key), uint32(o.period.Seconds()*float64(rate))) {
				if o.mime == webrtc.MimeTypeOpus && o.level.Load() != 0 {
					for _, e := range o.sender.GetParameters().HeaderExtensions {
						if e.URI == extLevel {
							_ = packet.SetExtension(uint8(e.ID), []byte{byte(o.level.Load())})
						}
					}
				}
				_ = o.local.WriteRTP(packet)
			}
			n++
			o.sent.Store(int32(n))
		}
	}()
}

// lossFactory makes the interceptor next to the network, which loses what the
// test wants lost.
type lossFactory struct{ c *client }

func (f lossFactory) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &lossy{c: f.c}, nil
}

type lossy struct {
	interceptor.NoOp
	c *client
}

func (l *lossy) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if f := l.c.loseOut.Load(); f != nil && (*f)(h) {
			return len(payload), nil
		}
		return w.Write(h, payload, a)
	})
}

func (l *lossy) BindRemoteStream(_ *interceptor.StreamInfo, r interceptor.RTPReader) interceptor.RTPReader {
	return interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		for {
			n, attributes, err := r.Read(b, a)
			if err != nil {
				return n, attributes, err
			}
			var h rtp.Header
			if f := l.c.loseIn.Load(); f != nil {
				if _, err := h.Unmarshal(b[:n]); err == nil && (*f)(&h) {
					continue
				}
			}
			return n, attributes, nil
		}
	})
}

// oneOf loses one of so many packets, as they come. Not by their numbers: Pion numbers what it sends again as it numbered the
// packets, so that of those that were lost for their number all repetitions might get lost as well.
func oneOf(n uint64) *func(*rtp.Header) bool {
	var seen atomic.Uint64
	f := func(*rtp.Header) bool { return seen.Add(1)%n == 0 }
	return &f
}
