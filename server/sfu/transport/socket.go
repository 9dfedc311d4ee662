package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
)

// socket is one of the port's. pion's mux reads it, and gets what is none of ours. Or it is one end of a stream, which
// the streams read.
type socket struct {
	*net.UDPConn
	stream *stream // instead of UDP
	port   *Port
	raw    syscall.RawConn
	four   bool        // IPv4
	single atomic.Bool // the kernel or the device does not take several packets at once

	// The reading goroutine's own.
	check, reply stun.Message
	plain        []byte // decrypted RTCP
}

func newSocket(p *Port, c *net.UDPConn) *socket {
	local, _ := netip.AddrFromSlice(c.LocalAddr().(*net.UDPAddr).IP)
	s := &socket{UDPConn: c, port: p, four: local.Unmap().Is4()}
	s.raw, _ = c.SyscallConn() // of a UDPConn there always is one
	s.single.Store(!cuts(c))
	return s
}

// ReadFromAddrPort is part of ice.AddrPortReaderWriter.
func (s *socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil || !s.take(b[:n], from, time.Now()) {
			return n, from, err
		}
	}
}

// WriteToAddrPort is part of ice.AddrPortReaderWriter.
func (s *socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return s.WriteToUDPAddrPort(b, to)
}

// writeTo sends a datagram.
func (s *socket) writeTo(b []byte, to netip.AddrPort) error {
	if s.stream != nil {
		if s.stream.put(b, len(b)) > 0 {
			return errBehind
		}
		return nil
	}
	_, err := s.WriteToUDPAddrPort(b, to)
	return err
}

var errBehind = errors.New("transport: the client takes too little")

// take handles a datagram if it is one of ours, and reports whether it is (RFC 7983, 7). Whatever it
// holds, it is used up when take returns.
func (s *socket) take(b []byte, from netip.AddrPort, now time.Time) (ours bool) {
	if len(b) == 0 {
		return false
	}
	if b[0] < 4 { // STUN
		return s.takeSTUN(b, from, now)
	}
	s.port.mu.RLock()
	t := s.port.byAddr[source{s, from}]
	s.port.mu.RUnlock()
	switch {
	case t == nil:
		return false
	case b[0] >= 20 && b[0] < 64: // DTLS
		if !t.pipe.push(b) {
			s.port.stats.overflow.Add(1)
		}
	case b[0]>>6 == 2 && len(b) > 1 && b[1] >= 192 && b[1] < 224: // SRTCP (RFC 5761, 4)
		t.takeRTCP(b, path{s, from}, now)
	default:
		s.port.stats.garbage.Add(1)
	}
	return true
}

// send sends packets that lie one behind the other, which end where ends says, with as few calls as
// their sizes allow: in one they must be equal, but for the last, which may be smaller (UDP GSO, udp(7)).
// The system call is most of what a forwarded packet costs. It returns how many were not sent.
func (s *socket) send(packets []byte, ends []int, to netip.AddrPort, out *datagram) (failed int) {
	if s.stream != nil {
		failed = s.stream.put(packets, ends...)
		s.port.stats.unsent.Add(uint64(failed))
		return failed
	}
	start := 0
	for i := 0; i < len(ends); {
		size := ends[i] - start
		end, last, n := ends[i], size, 1
		for i++; i < len(ends) && last == size && ends[i]-end <= size; i++ {
			end, last, n = ends[i], ends[i]-end, n+1
		}
		failed += s.write(packets[start:end], size, n, to, out)
		start = end
	}
	if failed > 0 {
		s.port.stats.unsent.Add(uint64(failed))
	}
	return failed
}

// write sends n packets of a size, the last of which may be smaller.
func (s *socket) write(b []byte, size, n int, to netip.AddrPort, out *datagram) (failed int) {
	if n > 1 && !s.single.Load() {
		err := out.send(s, b, size, to)
		if err == nil {
			return 0
		}
		once, always := cannotCut(err)
		if !once && !always {
			return n // they would be refused again: the way there is closed
		}
		if always {
			s.single.Store(true)
		}
	}
	for len(b) > 0 {
		k := min(size, len(b))
		if err := out.send(s, b[:k], k, to); err != nil {
			failed++
		}
		b = b[k:]
	}
	return failed
}
