package transport

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// inlet is what pion takes for the socket of a name: all TCP connections that clients made to it.
type inlet struct {
	mux   *streams
	key   inbox
	local *net.TCPAddr

	in     chan frame
	once   sync.Once
	closed chan struct{}

	mu      sync.Mutex
	streams map[netip.AddrPort]*stream
}

// frame is a datagram and whose it is.
type frame struct {
	data []byte
	from *net.TCPAddr
}

func (i *inlet) add(s *stream) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.streams[s.from] = s
}

func (i *inlet) remove(s *stream) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.streams[s.from] == s {
		delete(i.streams, s.from)
	}
}

// push hands a copy of a datagram to pion. It reports false when the name is no more; a datagram too many is lost.
func (i *inlet) push(b []byte, s *stream) bool {
	select {
	case <-i.closed:
		return false
	case i.in <- frame{append([]byte(nil), b...), net.TCPAddrFromAddrPort(s.from)}:
	default:
		i.mux.port.stats.overflow.Add(1)
	}
	return true
}

// ReadFrom is part of net.PacketConn.
func (i *inlet) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case f := <-i.in:
		return copy(b, f.data), f.from, nil
	case <-i.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo is part of net.PacketConn.
func (i *inlet) WriteTo(b []byte, to net.Addr) (int, error) {
	addr, ok := to.(*net.TCPAddr)
	if !ok {
		return 0, net.InvalidAddrError(to.String())
	}
	from := addr.AddrPort()
	i.mu.Lock()
	s := i.streams[netip.AddrPortFrom(from.Addr().Unmap(), from.Port())]
	i.mu.Unlock()
	if s == nil || s.put(b, len(b)) > 0 {
		i.mux.port.stats.unsent.Add(1)
	}
	return len(b), nil
}

// Close is part of net.PacketConn. The clients' connections end with it.
func (i *inlet) Close() error {
	i.once.Do(func() {
		close(i.closed)
		i.mux.mu.Lock()
		if i.mux.pions[i.key] == i {
			delete(i.mux.pions, i.key)
		}
		i.mux.mu.Unlock()
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, s := range i.streams {
			_ = s.Close()
		}
	})
	return nil
}

// LocalAddr is part of net.PacketConn.
func (i *inlet) LocalAddr() net.Addr { return i.local }

// SetDeadline is part of net.PacketConn; pion ends its reading by Close.
func (i *inlet) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing; see SetDeadline.
func (i *inlet) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: writing does not wait.
func (i *inlet) SetWriteDeadline(time.Time) error { return nil }
