package main

import (
	"encoding/binary"
	"testing"
	"time"
)

func packet(ssrc uint32, seq uint16, ts uint32, marker bool) []byte {
	b := make([]byte, 40)
	b[0] = 0x80
	if marker {
		b[1] = 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

func TestTap(t *testing.T) {
	begin := time.Now()
	sent := newSendTimes()
	sent.put(100, begin, true)
	sent.put(100, begin.Add(time.Second), true) // a later packet of the frame
	sent.put(200, begin, true)
	sent.put(7, begin, false)
	s := newTap(sent)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	s.begin()
	s.take(packet(1, 65534, 100, false), at(1))
	s.take(packet(1, 0, 100, true), at(2)) // 65535 is missing: not whole
	if !s.first.IsZero() {
		t.Error("a frame with a hole is the first whole one")
	}
	s.take(packet(1, 1, 200, false), at(3))
	s.take(packet(1, 2, 200, true), at(4))
	if !s.first.Equal(at(4)) {
		t.Errorf("the first frame came at %v", s.first.Sub(begin))
	}
	s.take(packet(2, 10, 7, false), at(5))
	s.take(packet(2, 14, 8, false), at(6))
	s.take(packet(2, 12, 9, false), at(7)) // late
	got := s.end()
	if got.missing != 3 || got.expected != 10 || s.received() != 7 {
		t.Errorf("%d of %d missing, %d received", got.missing, got.expected, s.received())
	}
	if len(got.video) != 2 || got.video[0] != 2*time.Millisecond || got.video[1] != 4*time.Millisecond {
		t.Errorf("delay of frames %v", got.video)
	}
	if len(got.audio) != 1 || got.audio[0] != 5*time.Millisecond {
		t.Errorf("delay of sound %v", got.audio)
	}
}

func TestSendTimesAreBounded(t *testing.T) {
	s := newSendTimes()
	for ts := range uint32(5000) {
		s.put(ts, time.Now(), true)
	}
	if _, old := s.get(0); old || len(s.at) > len(s.ring) {
		t.Errorf("%d times are kept", len(s.at))
	}
	if _, ok := s.get(4999); !ok {
		t.Error("the newest is not there")
	}
}

func TestHeader(t *testing.T) {
	rtcp := packet(1, 2, 3, false)
	rtcp[1] = 200
	for name, b := range map[string][]byte{"rtcp": rtcp, "stun": append([]byte{0, 1}, make([]byte, 30)...), "dtls": append([]byte{22, 254}, make([]byte, 30)...), "short": {0x80, 96}} {
		if rtpHeader(b) {
			t.Errorf("%s is taken for rtp", name)
		}
	}
	if !rtpHeader(packet(1, 2, 3, true)) {
		t.Error("rtp is not")
	}
}

func TestCamera(t *testing.T) {
	c := &camera{rate: clipRate}
	keys, size := 0, 0
	for i := range 60 * frameRate {
		if i == 100 {
			c.KeyFrame()
		}
		s, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s.Data[0]&1 == 0 {
			keys++
		}
		size += len(s.Data)
	}
	if rate := size * 8 / 60; keys != 31 || rate < 1_900_000 || rate > 2_100_000 {
		t.Errorf("%d key frames, %d bit/s", keys, rate)
	}
}
