package main

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"golang.org/x/sys/unix"
)

// sendTimes are when the publisher sent what, by RTP timestamp. The server leaves timestamps as
// they are, so that viewers can look theirs up without decrypting anything.
type sendTimes struct {
	mu   sync.RWMutex
	at   map[uint32]sending
	ring [1024]uint32 // the timestamps in at, the oldest overwritten first
	next int
}

type sending struct {
	at    time.Time
	video bool
}

func newSendTimes() *sendTimes { return &sendTimes{at: make(map[uint32]sending)} }

// put notes the first packet of a timestamp.
func (s *sendTimes) put(ts uint32, at time.Time, video bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.at[ts]; there {
		return
	}
	delete(s.at, s.ring[s.next])
	s.ring[s.next] = ts
	s.next = (s.next + 1) % len(s.ring)
	s.at[ts] = sending{at, video}
}

func (s *sendTimes) get(ts uint32) (sending, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, ok := s.at[ts]
	return at, ok
}

func newTap(sent *sendTimes) *tap { return &tap{sent: sent, streams: make(map[uint32]*stream)} }

// network makes a participant's sockets.
type network struct {
	*stdnet.Net
	tap *tap
}

// ListenUDP is part of transport.Net.
func (n network) ListenUDP(kind string, addr *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := net.ListenUDP(kind, addr)
	if err != nil {
		return nil, err
	}
	return newSocket(conn, n.tap), nil
}

// socket is one of them. It reads the headers of RTP on its way, and keeps most viewers' RTP
// from going any further.
//
// The kernel says when each datagram came (socket(7), SO_TIMESTAMPNS), as this process may be late to look. It also
// leaves those together that were sent by one call (udp(7), UDP_GRO): what taking them one by one costs is a viewer's
// matter, which on loopback would be charged to the server, and there is not that much processor for a thousand viewers.
type socket struct {
	*net.UDPConn
	tap *tap

	// The reading goroutine's own.
	buf, control []byte
	rest         []byte // of what was read last
	size         int    // of each datagram in rest; the last may be smaller
	from         netip.AddrPort
	at           time.Time
}

func newSocket(conn *net.UDPConn, t *tap) *socket {
	s := &socket{UDPConn: conn, tap: t, buf: make([]byte, 64<<10), control: make([]byte, 128)}
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		})
	}
	return s
}

// tap is what went through a participant's sockets.
type tap struct {
	sent      *sendTimes
	publishes bool
	takes     bool // RTP goes on to who reads the socket

	mu        sync.Mutex
	packets   uint64
	streams   map[uint32]*stream
	first     time.Time // when the first frame was whole
	measuring bool
	seen      seen
}

// stream is the RTP of one SSRC.
type stream struct {
	started bool
	highest uint16
	broken  bool // something of the present frame is missing
}

// seen is what a viewer saw in the time of a measurement.
type seen struct {
	missing, expected uint64
	audio             []time.Duration // of each packet
	video             []time.Duration // of each frame, to its last packet
}

func rtpHeader(b []byte) bool {
	return len(b) >= 12 && b[0]>>6 == 2 && (b[1]&0x7f < 64 || b[1]&0x7f > 95) // RFC 5761, 4
}

// ReadFromAddrPort is part of ice.AddrPortReaderWriter.
func (s *socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		if len(s.rest) == 0 {
			if err := s.read(); err != nil {
				return 0, netip.AddrPort{}, err
			}
		}
		one := s.rest[:min(s.size, len(s.rest))]
		s.rest = s.rest[len(one):]
		if !s.tap.publishes && rtpHeader(one) {
			s.tap.take(one, s.at)
			if !s.tap.takes {
				continue
			}
		}
		return copy(b, one), s.from, nil
	}
}

// read waits for datagrams, and for when they came.
func (s *socket) read() error {
	n, controls, _, from, err := s.ReadMsgUDPAddrPort(s.buf, s.control)
	if err != nil {
		return err
	}
	s.rest, s.size, s.from, s.at = s.buf[:n], max(n, 1), from, time.Now()
	messages, err := unix.ParseSocketControlMessage(s.control[:controls])
	if err != nil {
		return nil // the present time and one datagram
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16:
			s.at = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		case m.Header.Level == unix.IPPROTO_UDP && m.Header.Type == unix.UDP_GRO && len(m.Data) >= 2:
			s.size = int(binary.NativeEndian.Uint16(m.Data))
		}
	}
	return nil
}

// WriteToAddrPort is part of ice.AddrPortReaderWriter.
func (s *socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if s.tap.publishes && rtpHeader(b) {
		const small = 300 // bytes, more than silence takes
		s.tap.sent.put(binary.BigEndian.Uint32(b[4:]), time.Now(), len(b) > small)
	}
	return s.WriteToUDPAddrPort(b, to)
}

// take counts a packet.
func (t *tap) take(b []byte, now time.Time) {
	seq, ts, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	sending, known := t.sent.get(ts)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.packets++
	st := t.streams[ssrc]
	if st == nil {
		st = new(stream)
		t.streams[ssrc] = st
	}
	step := seq - st.highest
	switch {
	case !st.started:
		st.started, step = true, 1
	case step == 0 || step > 1<<15: // late: it has been counted as missing
		if t.measuring && t.seen.missing > 0 {
			t.seen.missing--
		}
		return
	case step > 1:
		st.broken = true
	}
	st.highest = seq
	if t.measuring {
		t.seen.expected += uint64(step)
		t.seen.missing += uint64(step - 1)
	}
	marker := b[1]&0x80 != 0
	if marker && known && sending.video && !st.broken && t.first.IsZero() {
		t.first = now
	}
	if marker {
		st.broken = false
	}
	if !t.measuring || !known {
		return
	}
	if delay := now.Sub(sending.at); !sending.video {
		t.seen.audio = append(t.seen.audio, delay)
	} else if marker {
		t.seen.video = append(t.seen.video, delay)
	}
}

func (t *tap) received() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.packets
}

// begin starts a measurement, which ends with end.
func (t *tap) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.measuring, t.seen = true, seen{}
}

func (t *tap) end() seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.measuring = false
	return t.seen
}

// firstFrame waits for the first whole frame.
func (t *tap) firstFrame(ctx context.Context) (at time.Time, ok bool) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		t.mu.Lock()
		at = t.first
		t.mu.Unlock()
		if !at.IsZero() {
			return at, true
		}
	}
	return time.Time{}, false
}
