package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/ice/v4"
)

const (
	// maxStreams are the TCP connections at a time, and maxStrangers those of them that have not proved yet whom
	// they are for.
	maxStreams, maxStrangers = 8192, 512
	// firstProof is for how long a connection may be a stranger, and firstChecks how many checks it may take.
	firstProof, firstChecks = 5 * time.Second, 16
	// streamDepth is how many datagrams of a stream wait for pion.
	streamDepth = 256
)

// streams are the port's TCP side, for clients who cannot reach it by UDP. Its first datagram, which must be a
// connectivity check, says whose a connection is: one of our transports', or a connection's of pion's. Nobody's is
// closed, so that whoever knows no name makes no state.
//
// It is pion's TCPMux: its agents ask it for what is sent to their names.
type streams struct {
	port      *Port
	listeners []*net.TCPListener
	running   sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	open      map[*stream]struct{}
	strangers int
	pions     map[inbox]*inlet
}

// inbox is what a name of pion's is called on one of our addresses.
type inbox struct {
	ufrag string
	at    netip.Addr
}

// listenTCP opens the port for TCP where it is open for UDP.
func listenTCP(conns []*net.UDPConn) (listeners []*net.TCPListener, err error) {
	for _, c := range conns {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(c.LocalAddr().(*net.UDPAddr).AddrPort()))
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func newStreams(p *Port, listeners []*net.TCPListener) *streams {
	m := &streams{port: p, listeners: listeners, open: map[*stream]struct{}{}, pions: map[inbox]*inlet{}}
	for _, l := range listeners {
		m.running.Go(func() { m.accept(l) })
	}
	return m
}

// accept takes connections until the listener is closed.
func (m *streams) accept(l *net.TCPListener) {
	for {
		conn, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond) // no descriptors left
			continue
		}
		m.mu.Lock()
		if m.closed || len(m.open) >= maxStreams || m.strangers >= maxStrangers {
			m.mu.Unlock()
			m.port.stats.refused.Add(1)
			_ = conn.Close()
			continue
		}
		s := newStream(conn)
		m.open[s] = struct{}{}
		m.strangers++
		m.running.Go(func() { m.serve(s) })
		m.mu.Unlock()
	}
}

// serve reads a connection to its end.
func (m *streams) serve(s *stream) {
	m.running.Go(s.write)
	b := make([]byte, 2048)
	take, leave := m.admit(s, b)
	m.mu.Lock()
	m.strangers--
	m.mu.Unlock()
	for take != nil {
		n, err := s.read(b, maxSilence)
		if err != nil || !take(b[:n]) {
			leave()
			break
		}
	}
	_ = s.Close()
	m.mu.Lock()
	delete(m.open, s)
	m.mu.Unlock()
}

// admit reads what a connection begins with, until that proves whose it is. It returns what takes the rest, as long as
// that is true, and what is to be called after it; nil if the connection is nobody's.
func (m *streams) admit(s *stream, b []byte) (take func([]byte) bool, leave func()) {
	p := m.port
	at := &socket{stream: s, port: p}
	from := source{at, s.from}
	local := s.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	deadline := time.Now().Add(firstProof)
	// A check may be of an older name, and the next one of the present.
	for range firstChecks {
		n, err := s.read(b, time.Until(deadline))
		ufrag, check := addressee(b[:n])
		if err != nil || !check {
			break
		}
		p.mu.RLock()
		ours := p.byUfrag[string(ufrag)] != nil
		p.mu.RUnlock()
		if ours {
			take = func(b []byte) bool {
				if !at.take(b, s.from, time.Now()) {
					p.stats.garbage.Add(1)
				}
				return p.knows(from)
			}
			if take(b[:n]) {
				return take, func() { p.lose(from) }
			}
			continue
		}
		m.mu.Lock()
		in := m.pions[inbox{string(ufrag), local}]
		m.mu.Unlock()
		if in != nil {
			in.add(s)
			in.push(b[:n], s)
			return func(b []byte) bool { return in.push(b, s) }, func() { in.remove(s) }
		}
	}
	p.stats.garbage.Add(1)
	return nil, nil
}

// knows tells whether an address belongs to a transport.
func (p *Port) knows(from source) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byAddr[from] != nil
}

// lose forgets an address that cannot come back.
func (p *Port) lose(from source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byAddr[from]
	if t == nil {
		return
	}
	delete(p.byAddr, from)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.paths {
		if w.source() == from {
			t.paths = append(t.paths[:i:i], t.paths[i+1:]...)
			break
		}
	}
}

// GetConnByUfrag is part of ice.TCPMux: what clients send to a name at one of our addresses.
func (m *streams) GetConnByUfrag(ufrag string, _ bool, local net.IP) (net.PacketConn, error) {
	at, ok := netip.AddrFromSlice(local)
	at = at.Unmap()
	for _, l := range m.listeners {
		if addr := l.Addr().(*net.TCPAddr); ok && addr.AddrPort().Addr().Unmap() == at {
			m.mu.Lock()
			defer m.mu.Unlock()
			key := inbox{ufrag, at}
			if m.closed {
				return nil, net.ErrClosed
			}
			in := m.pions[key]
			if in == nil {
				in = &inlet{mux: m, key: key, local: addr, in: make(chan frame, streamDepth), closed: make(chan struct{}),
					streams: map[netip.AddrPort]*stream{}}
				m.pions[key] = in
			}
			return in, nil
		}
	}
	return nil, errNotHere
}

var errNotHere = errors.New("transport: an address that is not listened on")

// RemoveConnByUfrag is part of ice.TCPMux.
func (m *streams) RemoveConnByUfrag(ufrag string) {
	var gone []*inlet
	m.mu.Lock()
	for key, in := range m.pions {
		if key.ufrag == ufrag {
			gone = append(gone, in)
		}
	}
	m.mu.Unlock()
	for _, in := range gone {
		_ = in.Close()
	}
}

// Close is part of ice.TCPMux.
func (m *streams) Close() error {
	m.mu.Lock()
	m.closed = true
	open, pions := make([]*stream, 0, len(m.open)), make([]*inlet, 0, len(m.pions))
	for s := range m.open {
		open = append(open, s)
	}
	for _, in := range m.pions {
		pions = append(pions, in)
	}
	m.mu.Unlock()
	var err error
	for _, l := range m.listeners {
		err = errors.Join(err, l.Close())
	}
	for _, s := range open {
		_ = s.Close()
	}
	for _, in := range pions {
		_ = in.Close()
	}
	m.running.Wait()
	return err
}

var _ ice.TCPMux = (*streams)(nil)
