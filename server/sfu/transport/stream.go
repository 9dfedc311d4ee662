package transport

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxBehind is what may wait for a client that takes it slowly, in bytes, here and in the kernel each. Media that
	// is later is of no use.
	maxBehind = 128 << 10
	// stalled is how long a client may take nothing at all until its connection is closed.
	stalled = 10 * time.Second
	// maxSilence ends a stream: clients check their paths every few seconds.
	maxSilence = 60 * time.Second
)

// stream is a TCP connection that carries datagrams, each behind its length (RFC 4571), for clients whose network lets
// no UDP through (RFC 6544). Writing never waits: what does not fit is lost, as with UDP.
type stream struct {
	net.Conn
	from   netip.AddrPort
	closed chan struct{}
	once   sync.Once
	ready  chan struct{} // holds one: there is something to write

	mu      sync.Mutex
	waiting []byte // frames
}

func newStream(c *net.TCPConn) *stream {
	_ = c.SetWriteBuffer(maxBehind)
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	return &stream{Conn: c, from: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), closed: make(chan struct{}), ready: make(chan struct{}, 1)}
}

// put takes datagrams that lie one behind the other, which end where ends says. It returns how many are lost: all, if
// they do not fit together.
func (s *stream) put(datagrams []byte, ends ...int) (lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(datagrams)+2*len(ends) > maxBehind {
		return len(ends)
	}
	start := 0
	for _, end := range ends {
		s.waiting = binary.BigEndian.AppendUint16(s.waiting, uint16(end-start))
		s.waiting = append(s.waiting, datagrams[start:end]...)
		start = end
	}
	select {
	case s.ready <- struct{}{}:
	default:
	}
	return 0
}

// write writes what waits until the stream is closed.
func (s *stream) write() {
	var frames []byte
	for {
		select {
		case <-s.closed:
			return
		case <-s.ready:
		}
		s.mu.Lock()
		frames, s.waiting = s.waiting, frames[:0]
		s.mu.Unlock()
		_ = s.SetWriteDeadline(time.Now().Add(stalled))
		if _, err := s.Write(frames); err != nil {
			_ = s.Close()
			return
		}
	}
}

// read reads one datagram into b, which has room for any.
func (s *stream) read(b []byte, patience time.Duration) (n int, err error) {
	_ = s.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(s.Conn, b[:2]); err != nil {
		return 0, err
	}
	n = int(binary.BigEndian.Uint16(b))
	if n > len(b) {
		return 0, io.ErrShortBuffer
	}
	_, err = io.ReadFull(s.Conn, b[:n])
	return n, err
}

// Close ends the stream at once.
func (s *stream) Close() (err error) {
	s.once.Do(func() {
		close(s.closed)
		err = s.Conn.Close()
	})
	return err
}
