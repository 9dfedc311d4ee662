package transport

import (
	"net"
	"sync"
	"time"

	"github.com/pion/transport/v5/deadline"
)

// pipeDepth is how many DTLS datagrams wait to be read: more than a handshake's flight, and than a data
// channel's window has.
const pipeDepth = 64

// pipe is what DTLS takes for its socket. Where datagrams go is the transport's affair.
type pipe struct {
	t      *Transport
	in     chan []byte
	due    *deadline.Deadline
	once   sync.Once
	closed chan struct{}
}

func newPipe(t *Transport) *pipe {
	return &pipe{t: t, in: make(chan []byte, pipeDepth), due: deadline.New(), closed: make(chan struct{})}
}

// push hands a copy of a datagram to the reader, unless too many wait.
func (p *pipe) push(b []byte) bool {
	if len(p.in) == cap(p.in) {
		return false
	}
	select {
	case p.in <- append([]byte(nil), b...):
		return true
	default:
		return false
	}
}

// ReadFrom is part of net.PacketConn.
func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-p.due.Done():
		return 0, nil, errDeadline
	default:
	}
	select {
	case d := <-p.in:
		return copy(b, d), pipeAddr{}, nil
	case <-p.due.Done():
		return 0, nil, errDeadline
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo is part of net.PacketConn. Without a path the datagram is lost, as it is without a network.
func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	if way := p.t.path.Load(); way != nil {
		if err := way.at.writeTo(b, way.to); err != nil {
			p.t.port.stats.unsent.Add(1)
		}
	}
	return len(b), nil
}

// Close is part of net.PacketConn.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// LocalAddr is part of net.PacketConn.
func (p *pipe) LocalAddr() net.Addr { return pipeAddr{} }

// SetDeadline is part of net.PacketConn.
func (p *pipe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline is part of net.PacketConn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.due.Set(t)
	return nil
}

// SetWriteDeadline is part of net.PacketConn. Writing does not wait.
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// pipeAddr is the address of both ends.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "ice" }
func (pipeAddr) String() string  { return "ice" }

var errDeadline = timeout{}

// timeout is a net.Error.
type timeout struct{}

func (timeout) Error() string   { return "deadline exceeded" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }
