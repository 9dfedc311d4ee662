package sfu

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// BenchmarkJoin measures from the first offer of a subscriber to the first
// whole frame, on loopback, with a publisher that answers a key-frame request
// within 10 ms. Both ends of it run on this machine.
func BenchmarkJoin(b *testing.B) {
	s, err := newSFU(Config{Loopback: true, Log: quiet()}, defaultTiming)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck
	a := joined(b, s, "a", false)
	o := a.publish(webrtc.MimeTypeVP8, "s", "v")
	for o.sent.Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	var total time.Duration
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		time.Sleep(700 * time.Millisecond) // out of the throttle's reach
		c := newClient(b, s, fmt.Sprint(i))
		b.StartTimer()
		began := time.Now()
		c.peer.Subscribe([]*Track{a.peer.Track("v")})
		c.peer.StartSubscribe(true)
		for c.in("v").count() == 0 {
			time.Sleep(200 * time.Microsecond)
		}
		b.StopTimer()
		c.in("v").mu.Lock()
		total += c.in("v").firstAt.Sub(began)
		c.in("v").mu.Unlock()
		b.StartTimer()
	}
	b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms/firstframe")
}

// BenchmarkWire sends real packets to real subscribers: SRTP,
// ICE and the system call are in it, and so is receiving, which shares the
// machine. The server's share is what a CPU profile says of Track.forward,
// divided by the packets forwarded.
func BenchmarkWire(b *testing.B) {
	const viewers = 20
	s, err := newSFU(Config{Loopback: true, Log: quiet()}, defaultTiming)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck
	a := joined(b, s, "a", false)
	o := a.add(webrtc.MimeTypeVP8, "s", "v")
	o.size = 8000 // 7 packets a frame, as of 2 Mbit/s
	a.negotiate(nil)
	for i := range viewers {
		c := joined(b, s, fmt.Sprint(i), true)
		c.peer.Subscribe([]*Track{a.peer.Track("v")})
		defer func() { eventually(b, "frames", func() bool { return c.in("v").count() > 0 }) }()
	}
	o.start()
	b.ResetTimer()
	start := s.Stats().PacketsOut
	for s.Stats().PacketsOut < start+uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(s.Stats().PacketsOut-start)/b.Elapsed().Seconds(), "packets/s")
}

// BenchmarkAudio forwards packets of sound to twenty subscribers, as BenchmarkWire does pictures: freely, as one of the
// loudest, and held back. ns/op is for a packet in.
func BenchmarkAudio(b *testing.B) {
	const viewers = 20
	s, err := newSFU(Config{Loopback: true, Log: quiet()}, defaultTiming)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck
	a := joined(b, s, "a", false)
	o := a.publish(webrtc.MimeTypeOpus, "s", "mic")
	track := a.peer.Track("mic")
	for i := range viewers {
		c := joined(b, s, fmt.Sprint(i), true)
		c.peer.Subscribe([]*Track{track})
		eventually(b, "sound", func() bool { return c.in("mic").count() > 0 })
	}
	o.pause.Store(true)
	time.Sleep(3 * o.period)
	src := (*track.sources.Load())[0]
	for _, bench := range []struct {
		name string
		n    int // of the loudest; none: all are heard
	}{{"all", -1}, {"loudest", 1}, {"held", 0}} {
		b.Run(bench.name, func(b *testing.B) {
			if bench.n >= 0 {
				group := NewLoudest(bench.n)
				group.Set([]*Track{track})
				defer group.Set(nil)
			}
			b.ReportAllocs()
			sent := s.Stats().PacketsOut
			for range b.N {
				p := packet{
					src: src, ext: src.seq.highest + 1, ts: src.frameTS, marker: true, key: true, level: 30, leveled: true,
					payload: src.cache.buffer()[:80], at: time.Now(),
				}
				src.seq.highest++
				src.frameTS += 960
				track.forward(&p)
			}
			if out := s.Stats().PacketsOut - sent; out > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(out), "ns/sent")
			}
		})
	}
}
