package turn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// grace is how long a connection may be without a relay, its TLS handshake included.
	grace = 15 * time.Second
	// mostPerAddress bounds the connections of one address: a company's firewall is one address.
	mostPerAddress = 256
	// stalled is for how long a client may take nothing before its connection is closed.
	stalled = 10 * time.Second
	// behind is what may wait in a socket for a client, in bytes: media that is later is of no use.
	behind = 128 << 10
)

// door takes TCP connections and hands them to pion, as a net.Listener. Pion neither bounds nor ends them, so that is
// done here: who gets no relay within the grace has to leave, and who loses the last one, too.
type door struct {
	net.Listener
	s   *Server
	tls *tls.Config // nil: plain TCP

	ready chan net.Conn
	done  chan struct{}
	wg    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	guests map[netip.AddrPort]*guest
	counts map[netip.Addr]int
}

func newDoor(s *Server, l net.Listener, config *tls.Config) *door {
	d := &door{Listener: l, s: s, tls: config, ready: make(chan net.Conn), done: make(chan struct{}),
		guests: map[netip.AddrPort]*guest{}, counts: map[netip.Addr]int{}}
	d.wg.Go(d.accept)
	return d
}

// guest is a connection.
type guest struct {
	net.Conn
	door *door
	from netip.AddrPort
	late *time.Timer // closes it; stopped while it has a relay
	once sync.Once
}

// accept takes connections until the door closes.
func (d *door) accept() {
	for {
		conn, err := d.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors left, or a client that has gone already
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-d.done:
				return
			}
		}
		if g := d.let(conn); g != nil {
			d.wg.Go(func() { d.lead(g) })
		}
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// let makes a connection a guest if there is room.
func (d *door) let(conn net.Conn) *guest {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := unmapped(conn.RemoteAddr().(*net.TCPAddr).AddrPort())
	if d.closed || d.counts[from.Addr()] >= mostPerAddress || len(d.guests) >= 2*d.s.cfg.Allocations {
		d.s.stats.refusedConnections.Add(1)
		conn.Close()
		return nil
	}
	_ = conn.(*net.TCPConn).SetWriteBuffer(behind)
	g := &guest{Conn: conn, door: d, from: from}
	d.guests[from] = g
	d.counts[from.Addr()]++
	d.s.stats.connections.Add(1)
	g.late = time.AfterFunc(d.s.grace, func() { g.Close() })
	return g
}

// lead brings a guest through the handshake and to pion.
func (d *door) lead(g *guest) {
	if d.tls != nil {
		c := tls.Server(g.Conn, d.tls)
		ctx, cancel := context.WithTimeout(context.Background(), d.s.grace)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			d.s.stats.garbage.Add(1)
			g.Close()
			return
		}
		d.mu.Lock()
		g.Conn = c
		d.mu.Unlock()
	}
	select {
	case d.ready <- g:
	case <-d.done:
		g.Close()
	}
}

// Accept is for pion.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.ready:
		return conn, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Close ends the door and all connections that came through it.
func (d *door) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	var all []*guest
	for _, g := range d.guests {
		all = append(all, g)
	}
	d.mu.Unlock()
	close(d.done)
	err := d.Listener.Close()
	for _, g := range all {
		g.Close()
	}
	d.wg.Wait()
	return err
}

// relayed notes that a client of an address got its relay, or lost it.
func (d *door) relayed(from netip.AddrPort, has bool) {
	d.mu.Lock()
	g := d.guests[from]
	d.mu.Unlock()
	switch {
	case g == nil:
	case has:
		g.late.Stop()
	default:
		g.Close()
	}
}

// Write gives up on a client that takes nothing.
func (g *guest) Write(b []byte) (int, error) {
	_ = g.Conn.SetWriteDeadline(time.Now().Add(stalled))
	n, err := g.Conn.Write(b)
	if err != nil {
		g.Close()
	}
	return n, err
}

func (g *guest) Close() error {
	var err error
	g.once.Do(func() {
		d := g.door
		d.mu.Lock()
		conn := g.Conn
		delete(d.guests, g.from)
		if d.counts[g.from.Addr()]--; d.counts[g.from.Addr()] == 0 {
			delete(d.counts, g.from.Addr())
		}
		d.mu.Unlock()
		g.late.Stop()
		d.s.stats.connections.Add(-1)
		err = conn.Close()
	})
	return err
}
