package sfu

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUnwrapper(t *testing.T) {
	var u unwrapper
	first := u.extend(65000)
	for _, step := range []struct {
		seq  uint16
		want extSeq // after the first
	}{
		{65001, 1}, {65535, 535}, {0, 536}, {65534, 534}, {10, 546},
		{32000, 32536}, {31999, 32535}, {64000, 64536}, {1, 66073},
	} {
		if got := u.extend(step.seq) - first; got != step.want {
			t.Errorf("%d: %d, want %d", step.seq, got, step.want)
		}
	}
}

func TestMungerOverPausesAndSources(t *testing.T) {
	a, b := &source{}, &source{}
	now := time.Unix(1000, 0)
	m := munger{clockRate: 90000}
	m.start(a, 1<<16+100, 5000, vp8Counters{}, now)
	check := func(src *source, ext extSeq, ts uint32, wantSeq uint16, wantTS uint32) {
		t.Helper()
		num, by, ok := m.rewrite(src, ext, ts, vp8Counters{}, now)
		seq, out := uint16(num), ts+by.ts
		if !ok || seq != wantSeq || out != wantTS {
			t.Errorf("%d/%d: %d/%d %v, want %d/%d", ext, ts, seq, out, ok, wantSeq, wantTS)
		}
	}
	check(a, 1<<16+100, 5000, 100, 5000)
	check(a, 1<<16+102, 8000, 102, 8000)
	check(a, 1<<16+101, 5000, 101, 5000) // late, but its place is free
	if _, _, ok := m.rewrite(a, 1<<16+99, 0, vp8Counters{}, now); ok {
		t.Error("a packet from before the start was mapped")
	}
	// A pause: numbers go on without a hole, the clock of the source as well.
	m.stop()
	if _, _, ok := m.rewrite(a, 1<<16+150, 0, vp8Counters{}, now); ok {
		t.Error("mapped while stopped")
	}
	m.start(a, 1<<16+200, 98000, vp8Counters{}, now)
	check(a, 1<<16+200, 98000, 103, 98000)
	// Another source: its clock is fitted to real time.
	now = now.Add(time.Second)
	m.start(b, 1<<16+7, 1, vp8Counters{}, now)
	check(b, 1<<16+7, 1, 104, 98000+90000)
	check(b, 1<<16+8, 3001, 105, 98000+93000)
	if _, _, ok := m.rewrite(a, 1<<16+201, 0, vp8Counters{}, now); ok {
		t.Error("the old source is still mapped")
	}
	for _, want := range []struct {
		seq uint16
		src *source
		ext extSeq
	}{{102, a, 1<<16 + 102}, {103, a, 1<<16 + 200}, {104, b, 1<<16 + 7}, {105, b, 1<<16 + 8}} {
		src, ext, _, ok := m.lookup(want.seq)
		if !ok || src != want.src || ext != want.ext {
			t.Errorf("lookup of %d: %d %v", want.seq, ext, ok)
		}
	}
	if _, _, _, ok := m.lookup(99); ok {
		t.Error("a number that was never sent was found")
	}
}

// FuzzMunger: whatever comes in, every number goes out once, what goes out is
// found again, and pauses leave no holes.
func FuzzMunger(f *testing.F) {
	f.Add([]byte{0, 1, 1, 1, 9, 1, 2, 255, 1, 128, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		sources := []*source{{}, {}, {}}
		next := []extSeq{1 << 16, 1<<16 + 65530, 1<<16 + 30000}
		cur := 0
		m := munger{clockRate: 90000}
		now := time.Unix(0, 0)
		type sent struct {
			src *source
			ext extSeq
		}
		out := map[extSeq]sent{} // by extended outgoing number
		for _, op := range ops {
			now = now.Add(time.Duration(op) * time.Millisecond)
			switch {
			case op >= 250:
				cur = int(op) % len(sources)
				m.stop()
			case op >= 240:
				m.stop()
			case op >= 200: // loss
				next[cur] += extSeq(op - 199)
			}
			ext := next[cur]
			if op >= 100 && op < 120 && ext > 1<<16+200 {
				ext -= extSeq(op - 99) // late
			} else {
				next[cur]++
			}
			before := m.highest
			resumed := !m.running
			if resumed {
				m.start(sources[cur], ext, uint32(ext)*3000, vp8Counters{}, now)
			}
			full, _, ok := m.rewrite(sources[cur], ext, uint32(ext)*3000, vp8Counters{}, now)
			if !ok {
				if resumed {
					t.Fatal("the first packet after a start was not mapped")
				}
				continue
			}
			if full < 1<<16 {
				t.Fatalf("number %d has less than no rollovers", full)
			}
			if resumed && len(out) > 0 && m.highest != before+1 {
				t.Fatalf("a hole from %d to %d", before, m.highest)
			}
			if _, twice := out[full]; twice {
				t.Fatalf("number %d used twice", full)
			}
			out[full] = sent{sources[cur], ext}
			src, e, _, ok := m.lookup(uint16(full))
			if !ok || src != sources[cur] || e != ext {
				t.Fatalf("lookup of %d: %d, want %d", full, e, ext)
			}
		}
	})
}

// Over a change of the source VP8's counters go on by one, whatever their length.
func TestVP8Counters(t *testing.T) {
	descriptor := func(picture int, long bool, tl0 int) []byte {
		if long {
			return []byte{0x90, 0xe0, 0x80 | byte(picture>>8), byte(picture), byte(tl0), 0x20, 0x00, 1, 2}
		}
		return []byte{0x90, 0xe0, byte(picture), byte(tl0), 0x20, 0x00, 1, 2}
	}
	for _, long := range []bool{true, false} {
		limit := 1 << 7
		if long {
			limit = 1 << 15
		}
		a, b := &source{}, &source{}
		m := munger{clockRate: 90000}
		now := time.Unix(1000, 0)
		feed := func(src *source, start bool, ext extSeq, picture, tl0 int) (outPicture, outTL0 int) {
			t.Helper()
			p := descriptor(picture%limit, long, tl0%256)
			d, ok := parseVP8(p)
			if !ok || int(d.picture) != picture%limit || int(d.tl0) != tl0%256 || !d.start || !d.counts() || d.keyStart(p) != true {
				t.Fatalf("%x is parsed as %+v", p, d)
			}
			if start {
				m.start(src, ext, uint32(ext)*3000, d.vp8Counters, now)
			}
			_, by, ok := m.rewrite(src, ext, uint32(ext)*3000, d.vp8Counters, now)
			if !ok {
				t.Fatal("not mapped")
			}
			rest := string(p[d.size:])
			var buf [maxVP8Descriptor]byte
			head, tail := d.shifted(&buf, p, by.vp8)
			p = append(append([]byte(nil), head...), tail...)
			out, ok := parseVP8(p)
			if !ok || out.size != d.size || out.long != d.long || string(p[d.size:]) != rest {
				t.Fatalf("%x became another descriptor", p)
			}
			return int(out.picture), int(out.tl0)
		}
		picture, tl0 := feed(a, true, 1<<16, limit-3, 254)
		if picture != limit-3 || tl0 != 254 {
			t.Errorf("the first source is changed: %d, %d", picture, tl0)
		}
		feed(a, false, 1<<16+1, limit-2, 255)
		for i, src := range []*source{b, a, b} {
			for k := range 5 {
				first := 17 + 1000*i
				picture, tl0 = feed(src, k == 0, extSeq(1<<16+100*i+k), first+k, 40+k)
				if want := (limit - 1 + 5*i + k) % limit; picture != want || tl0 != (5*i+k)%256 {
					t.Errorf("source %d, picture %d: %d and %d, want %d", i, k, picture, tl0, want)
				}
			}
		}
	}
}

// FuzzVP8: whatever comes, what is parsed can be shifted there and back.
func FuzzVP8(f *testing.F) {
	f.Add([]byte{0x90, 0xe0, 0x80, 7, 9, 0x20, 0, 1}, uint16(5), uint8(7))
	f.Add([]byte{0x80, 0x80, 0x01, 0xff}, uint16(1<<15-1), uint8(255))
	f.Fuzz(func(t *testing.T, p []byte, picture uint16, tl0 uint8) {
		d, ok := parseVP8(p)
		if !ok {
			return
		}
		before := string(p)
		by := vp8Counters{picture & 0x7fff, tl0}
		var buf [maxVP8Descriptor]byte
		head, tail := d.shifted(&buf, p, by)
		parts := string(head) + string(tail)
		d.shift(p, by)
		moved, ok := parseVP8(p)
		if !ok || moved.size != d.size || moved.long != d.long {
			t.Fatalf("%x became %x", before, p)
		}
		if string(p) != parts {
			t.Fatalf("%x and %x are not the same", p, parts)
		}
		moved.shift(p, vp8Counters{-by.picture & 0x7fff, -by.tl0})
		if string(p) != before {
			t.Fatalf("%x came back as %x", before, p)
		}
	})
}

func TestCache(t *testing.T) {
	c := newCache(8)
	for i := range extSeq(20) {
		ext := 1<<16 + i
		n := copy(c.buffer(), fmt.Sprintf("header--packet %d", i))
		c.add(ext, uint32(i), i%2 == 0, 8, n)
	}
	dst := make([]byte, 100)
	for i := range extSeq(20) {
		n, ts, marker, ok := c.get(1<<16+i, dst)
		if ok != (i >= 12) || c.has(1<<16+i) != ok {
			t.Errorf("%d: %v", i, ok)
		}
		if ok && (string(dst[:n]) != fmt.Sprintf("packet %d", i) || ts != uint32(i) || marker != (i%2 == 0)) {
			t.Errorf("%d: %q", i, dst[:n])
		}
	}
	if _, _, _, ok := c.get(1<<16+19, dst[:3]); ok {
		t.Error("a packet fit into less than its size")
	}
}

func TestNacker(t *testing.T) {
	var n nacker
	now := time.Unix(1000, 0)
	step := func(d time.Duration, exts ...extSeq) (asked []uint16, lost bool) {
		now = now.Add(d)
		for _, e := range exts {
			lost = n.arrived(e, now) || lost
		}
		pairs, _, _ := n.request(now)
		for _, p := range pairs {
			asked = append(asked, p.PacketList()...)
		}
		return asked, lost
	}
	same := func(got []uint16, want ...uint16) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("asked for %v, want %v", got, want)
		}
	}
	base := extSeq(1 << 16)
	asked, _ := step(0, base, base+1, base+4)
	same(asked) // may be reordering
	asked, _ = step(time.Millisecond, base+3)
	same(asked)
	asked, _ = step(10*time.Millisecond, base+5)
	same(asked, 2)
	asked, _ = step(10*time.Millisecond, base+6)
	same(asked) // too soon to ask again
	asked, _ = step(60*time.Millisecond, base+7)
	same(asked, 2)
	asked, _ = step(60*time.Millisecond, base+2) // it came
	same(asked)
	_, lost := step(0, base+1000)
	if !lost || len(n.missing) != 0 {
		t.Errorf("a gap of 1000: lost %v, %d missing", lost, len(n.missing))
	}
	step(0, base+1002)
	given := false
	for range 2 * nackTries {
		now = now.Add(time.Second)
		_, _, g := n.request(now)
		given = given || g
	}
	if !given || len(n.missing) != 0 {
		t.Error("not given up")
	}
}

func TestKeyStart(t *testing.T) {
	for _, tt := range []struct {
		codec Codec
		p     string
		first bool
		want  bool
	}{
		{VP8, "", true, false},
		{VP8, "\x10\x00\x00", true, true},
		{VP8, "\x10\x01\x00", true, false},
		{VP8, "\x00\x00\x00", true, false},                 // not the start of a partition
		{VP8, "\x11\x00\x00", true, false},                 // partition 1
		{VP8, "\x90\x80\x05\x00", true, true},              // 7-bit picture id
		{VP8, "\x90\x80\x85\x05\x00", true, true},          // 15-bit
		{VP8, "\x90\xf0\x85\x05\x01\x20\x00", true, true},  // all of it
		{VP8, "\x90\xf0\x85\x05\x01\x20\x01", true, false}, // interframe
		{VP8, "\x90\xf0\x85", true, false},                 // cut
		{VP8, "\x90", true, false},
		{H264, "", true, false},
		{H264, "\x67\x42", true, true},
		{H264, "\x65\x88", true, true},
		{H264, "\x65\x88", false, false}, // a later slice
		{H264, "\x41\x88", true, false},
		{H264, "\x78\x00\x02\x67\x42\x00\x02\x68\xce", true, true},
		{H264, "\x78\x00\x02\x68\xce\x00\x02\x65\x88", true, true},
		{H264, "\x78\x00\x02\x41\xce", true, false},
		{H264, "\x78\x00\x00\x00\x00", true, false},
		{H264, "\x7c\x85\x88", true, true},  // FU-A, start of an IDR slice
		{H264, "\x7c\x05\x88", true, false}, // its middle
		{H264, "\x7c", true, false},
		{Opus, "\x78", false, true},
	} {
		if got := tt.codec.keyStart([]byte(tt.p), tt.first); got != tt.want {
			t.Errorf("%v %x %v: %v", tt.codec, tt.p, tt.first, got)
		}
	}
}

func FuzzKeyStart(f *testing.F) {
	f.Add([]byte("\x90\xf0\x85\x05\x01\x20\x00"))
	f.Add([]byte("\x78\x00\x02\x67\x42\x00\x02\x68\xce"))
	f.Fuzz(func(_ *testing.T, p []byte) {
		VP8.keyStart(p, true)
		H264.keyStart(p, true)
	})
}

func TestNewRefusesBadConfig(t *testing.T) {
	s := testSFU(t)
	for _, cfg := range []Config{
		{},
		{Log: quiet(), NodeIPs: []string{"here"}},
		{Log: quiet(), Loopback: true, Port: s.Port()},
	} {
		if other, err := New(cfg); err == nil {
			t.Errorf("%+v accepted", cfg)
			_ = other.Close()
		}
	}
}

func TestPublisherClock(t *testing.T) {
	var c publisherClock
	theirs := time.Unix(5000, 0)
	ours := time.Unix(9000, 0)
	ntp := func(t time.Time) uint64 {
		return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
	}
	near := func(got, want time.Time) {
		t.Helper()
		if d := got.Sub(want).Abs(); d > time.Microsecond {
			t.Errorf("%v, want %v", got, want)
		}
	}
	near(ntpTime(ntp(theirs.Add(123456*time.Microsecond))), theirs.Add(123456*time.Microsecond))
	for i, delay := range []time.Duration{50, 30, 90, 40} {
		at := time.Duration(i) * time.Second
		c.observe(ntp(theirs.Add(at)), ours.Add(at+delay*time.Millisecond))
	}
	near(c.wall(theirs), ours.Add(30*time.Millisecond)) // the least delay counts
	// After two windows the old minimum is forgotten.
	for i := range 80 {
		at := time.Duration(10+i) * time.Second
		c.observe(ntp(theirs.Add(at)), ours.Add(at+60*time.Millisecond))
	}
	near(c.wall(theirs), ours.Add(60*time.Millisecond))
	// Their clock is set by an hour.
	c.observe(ntp(theirs.Add(time.Hour)), ours.Add(100*time.Second))
	near(c.wall(theirs.Add(time.Hour)), ours.Add(100*time.Second))

	r := senderReport{ntp: ntp(theirs), rtp: 1000, at: ours}
	n, rtp := r.later(ours.Add(1500*time.Millisecond), 90000)
	near(ntpTime(n), theirs.Add(1500*time.Millisecond))
	if rtp != 1000+135000 {
		t.Errorf("rtp %d", rtp)
	}
}

func TestKeyFrameRequestsAreThrottledAndKept(t *testing.T) {
	var k keyFrameRequests
	sent := make(chan struct{}, 10)
	ask := func() { k.request(50*time.Millisecond, func() { sent <- struct{}{} }) }
	ask()
	<-sent
	for range 5 {
		ask()
	}
	if len(sent) != 0 {
		t.Error("not throttled")
	}
	<-sent // the one that was kept
	ask()
	k.close()
	ask()
	time.Sleep(100 * time.Millisecond)
	if len(sent) != 0 {
		t.Error("sent after close")
	}
}

const chromeOffer = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS s1\r\n" +
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:f7k9\r\na=ice-pwd:Cz0a7v4nYxqUJ5tYDhWq5gLb\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + fp + "\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:f7k9\r\na=ice-pwd:Cz0a7v4nYxqUJ5tYDhWq5gLb\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + fp + "\r\na=setup:actpass\r\na=mid:1\r\n" +
	"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n" +
	"a=sendonly\r\na=msid:s1 a1\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\na=ssrc:1001 cname:x\r\na=ssrc:1001 msid:s1 a1\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 35 36 96 97 103 104 107 108 109 114\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:f7k9\r\na=ice-pwd:Cz0a7v4nYxqUJ5tYDhWq5gLb\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + fp + "\r\na=setup:actpass\r\na=mid:2\r\n" +
	"a=extmap:14 urn:ietf:params:rtp-hdrext:toffset\r\na=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:13 urn:3gpp:video-orientation\r\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\na=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n" +
	"a=sendonly\r\na=msid:s1 random-id\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:35 VP9/90000\r\na=rtcp-fb:35 nack\r\na=rtpmap:36 rtx/90000\r\na=fmtp:36 apt=35\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n" +
	"a=rtpmap:103 H264/90000\r\na=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:104 rtx/90000\r\na=fmtp:104 apt=103\r\na=rtpmap:107 H264/90000\r\na=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r\na=rtpmap:108 rtx/90000\r\na=fmtp:108 apt=107\r\na=rtpmap:109 H264/90000\r\na=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:114 rtx/90000\r\na=fmtp:114 apt=109\r\n" +
	"a=ssrc-group:FID 2001 2002\r\na=ssrc:2001 cname:x\r\na=ssrc:2001 msid:s1 random-id\r\na=ssrc:2002 cname:x\r\na=ssrc:2002 msid:s1 random-id\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 98 99\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:f7k9\r\na=ice-pwd:Cz0a7v4nYxqUJ5tYDhWq5gLb\r\na=fingerprint:sha-256 " + fp + "\r\na=setup:actpass\r\na=mid:3\r\na=sendonly\r\na=msid:s2 v2\r\na=rtcp-mux\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"

const fp = "E1:48:A0:05:97:EC:AA:CD:38:95:55:3D:B2:78:CC:19:A1:09:4E:04:BC:3B:8A:A2:6B:C2:77:EF:FF:5A:37:10"

func TestOfferOfABrowser(t *testing.T) {
	tracks := []TrackInfo{{ID: "a1", StreamID: "s1", Kind: Audio}, {ID: "v1", StreamID: "s1", Kind: Video}, {ID: "v2", StreamID: "s2", Kind: Video}}
	d, err := parseOffer(chromeOffer, tracks, map[uint8]string{})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, s := range d.sections {
		got += fmt.Sprintf("%s %v %v pt %d rtx %d track %q ssrcs %v refused %v fb %v\n", s.mid, s.kind, s.codec, s.pt, s.rtx, s.info.ID, s.ssrcs, s.refused, s.feedback)
	}
	want := `0 unknown unknown pt 0 rtx 0 track "" ssrcs [] refused false fb []
1 audio opus pt 111 rtx 0 track "a1" ssrcs [1001] refused false fb [transport-cc]
2 video VP8 pt 96 rtx 97 track "v1" ssrcs [2001 2002] refused false fb [transport-cc ccm fir nack nack pli]
3 video VP9 pt 98 rtx 99 track "v2" ssrcs [] refused false fb []
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	offer, err := d.offer()
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"AV1", "red/", "orientation", "goog-remb", "random-id"} {
		if strings.Contains(offer, not) {
			t.Errorf("pion sees %s:\n%s", not, offer)
		}
	}

	// H.264 first: constrained baseline is taken.
	h264 := strings.Replace(chromeOffer, "SAVPF 35 36 96 97 103 104 107 108 109 114", "SAVPF 107 108 103 104 109 114 96 97", 1)
	if d, err = parseOffer(h264, tracks, map[uint8]string{}); err != nil {
		t.Fatal(err)
	}
	if s := d.sections[2]; s.codec != H264 || s.pt != 109 || s.rtx != 114 || !strings.Contains(s.fmtp, "42e01f") {
		t.Errorf("%v pt %d rtx %d %s", s.codec, s.pt, s.rtx, s.fmtp)
	}

	// A real connection answers it, with a section for each.
	s := testSFU(t)
	p := s.NewPeer("p", &client{})
	answer, err := p.Publish(t.Context(), chromeOffer, tracks)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(answer, "m="); n != 4 || !strings.Contains(answer, "m=video 9 UDP/TLS/RTP/SAVPF 98 99\r\n") || !strings.Contains(answer, "BUNDLE 0 1 2 3\r\n") {
		t.Errorf("%d sections:\n%s", n, answer)
	}
	for _, have := range []string{"a=rtpmap:111 opus/48000/2", "useinbandfec=1;usedtx=1", "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=candidate:", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "transport-wide-cc"} {
		if !strings.Contains(answer, have) {
			t.Errorf("the answer lacks %s:\n%s", have, answer)
		}
	}
	if p.Track("v1").Codec() != VP8 || p.Track("v2") == nil || p.Track("v2").Codec() != VP9 {
		t.Error("wrong tracks")
	}
}

// However many tracks there are, and whatever the client refuses, an offer has no more sections than an
// answer may have.
func TestSectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := timedSFU(t, hastyTiming)
	c := &client{t: t, work: make(chan string, 100), left: make(chan struct{})}
	p := s.NewPeer("p", c)
	defer p.Close()
	var tracks []*Track
	for i := range 2 * maxSubscribed {
		id := fmt.Sprintf("track-%d", i)
		track := newTrack(s, TrackInfo{ID: id, StreamID: "s-" + id, Kind: Video}, VP8)
		defer track.close()
		tracks = append(tracks, track)
	}
	p.Subscribe(tracks)
	p.StartSubscribe(true)
	for round := range 3 {
		offer := <-c.work
		sections := strings.Count(offer, "m=")
		if sections > maxSections || round == 0 && sections != maxSubscribed+1 {
			t.Fatalf("%d sections", sections)
		}
		refusing := strings.ReplaceAll(strings.ReplaceAll(offer, "m=video 9 ", "m=video 0 "), "actpass", "active")
		if err := p.Answer(refusing); err != nil {
			t.Fatal(err)
		}
		p.Subscribe(nil)
		p.Subscribe(tracks[round+1:])
		p.RestartICE()
	}
}

func FuzzDescription(f *testing.F) {
	f.Add(chromeOffer)
	f.Add(strings.ReplaceAll(chromeOffer, "a=mid:3", "a=rid:f send\r\na=rid:q send\r\na=simulcast:send f;~q\r\na=mid:3"))
	f.Add("v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n")
	tracks := []TrackInfo{{ID: "a1", StreamID: "s1", Kind: Audio}, {ID: "v1", StreamID: "s1", Kind: Video}}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseOffer(text, tracks, map[uint8]string{})
		if err != nil {
			if !errors.Is(err, ErrBadSDP) {
				t.Fatal(err)
			}
			return
		}
		offer, err := d.offer()
		if err != nil {
			return
		}
		// What was understood once is understood again, and the same.
		again, err := parseOffer(offer, tracks, map[uint8]string{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, offer)
		}
		if len(again.sections) > len(d.sections) {
			t.Fatal("more sections")
		}
	})
}

func TestReorderer(t *testing.T) {
	now := time.Unix(1000, 0)
	track := &Track{sfu: &SFU{}}
	src := &source{}
	src.track.Store(track)
	r := &reorderer{limit: 16, wait: 100 * time.Millisecond}
	push := func(ext extSeq) bool { return r.push(tapPacket{packet: packet{src: src, ext: ext, at: now}}) == nil }
	pop := func() (all []extSeq, lost bool) {
		for {
			p, l, ok := r.pop(now)
			lost = lost || l
			if !ok {
				return all, lost
			}
			all = append(all, p.ext)
		}
	}
	for _, e := range []extSeq{10, 12, 11, 12, 15, 9} {
		useful := push(e)
		if useful == (e == 9) && e != 12 {
			t.Errorf("%d: %v", e, useful)
		}
	}
	if got, lost := pop(); !slices.Equal(got, []extSeq{10, 11, 12}) || lost {
		t.Errorf("%v %v", got, lost)
	}
	now = now.Add(150 * time.Millisecond)
	push(16)
	if got, lost := pop(); !slices.Equal(got, []extSeq{15, 16}) || !lost {
		t.Errorf("%v %v", got, lost)
	}
	for i := range extSeq(16) {
		push(30 + i)
	}
	if got, lost := pop(); len(got) != 16 || !lost {
		t.Errorf("over the limit: %v %v", got, lost)
	}
	for range 100 {
		push(46 + extSeq(rand.IntN(5)))
	}
	if len(r.waiting) > 5 {
		t.Errorf("%d waiting", len(r.waiting))
	}
}
