package main

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// Whoever reads a socket gets one datagram after the other, however the kernel handed them over, and the viewer's tap knows
// when they came.
func TestSocket(t *testing.T) {
	listen := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	far, sent := listen(), newSendTimes()
	seen := newTap(sent)
	seen.begin()
	s := newSocket(listen(), seen)
	send := func(b []byte) {
		if _, err := far.WriteTo(b, s.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 1500)
	// The kernel turns its clock on when the first socket of the machine asks for it, and has that done in a while by
	// another thread. Until then it stamps what is read, not what comes.
	for waited := time.Now(); ; {
		send([]byte("is the clock on?"))
		time.Sleep(time.Millisecond)
		looked := time.Now()
		if _, _, err := s.ReadFromAddrPort(buf); err != nil {
			t.Fatal(err)
		}
		if s.at.Before(looked) {
			break
		}
		if time.Since(waited) > 20*time.Second {
			t.Fatalf("what came before %v is stamped %v", looked, s.at)
		}
	}
	begin := time.Now()
	sent.put(100, begin, true)
	send(packet(1, 1, 100, false))
	send(packet(1, 2, 100, true))
	send([]byte("other"))
	time.Sleep(50 * time.Millisecond) // nobody reads yet
	looked := time.Now()
	_ = s.SetReadDeadline(looked.Add(20 * time.Second))
	n, from, err := s.ReadFromAddrPort(buf)
	if err != nil || !bytes.Equal(buf[:n], []byte("other")) || from.Port() != uint16(far.LocalAddr().(*net.UDPAddr).Port) {
		t.Fatalf("read %q from %v, %v: what is no RTP goes on, RTP does not", buf[:n], from, err)
	}
	got := seen.end()
	if got.expected != 2 || got.missing != 0 || len(got.video) != 1 {
		t.Fatalf("%+v", got)
	}
	if at := begin.Add(got.video[0]); at.After(looked) {
		t.Errorf("the frame came %v after it was there", at.Sub(looked))
	}

	s.rest, s.size = append(packet(1, 3, 200, false), "ab"...), 40 // as cut by the kernel
	if n, _, err := s.ReadFromAddrPort(buf); err != nil || string(buf[:n]) != "ab" {
		t.Errorf("%q, %v after the packet, not its rest", buf[:n], err)
	}
}
