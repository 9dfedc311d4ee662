package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/ice/v4"
)

// socketBuffer is what a socket may hold in either direction, in bytes. A key frame to a few hundred
// viewers is one burst of megabytes.
const socketBuffer = 4 << 20

// Config are the parameters of Open.
type Config struct {
	// Number is the UDP port; 0 chooses a free one.
	Number int
	// NodeIPs are the addresses announced to clients instead of those of the machine's interfaces: the
	// public ones of a machine behind NAT.
	NodeIPs []string
	// Loopback announces the loopback addresses as well, for clients on the same machine.
	Loopback bool
	// Certificate is what transports show of themselves in DTLS, with its Leaf: see NewCertificate.
	Certificate tls.Certificate

	// Disconnected is for how long a path may be silent until a transport is disconnected, Failed how long
	// after that it has failed, and Keepalive after how much silence it is asked for a sign of life.
	Disconnected, Failed, Keepalive time.Duration

	Log *slog.Logger
}

// Port is the one port of all connections, on one UDP socket per address of the machine, so that answers
// leave from the address that was asked. The TCP port of the same number takes those who have no UDP.
type Port struct {
	cfg     Config
	number  int
	addrs   []address
	sockets []*socket
	mux     *ice.MultiUDPMuxDefault
	streams *streams
	stats   counters
	done    chan struct{} // closed by Close
	watched sync.WaitGroup
	late    atomic.Int64 // when this process did not get the processor in time, ns since the epoch

	mu       sync.RWMutex
	byUfrag  map[string]*Transport // by the ufrags of their offers
	byAddr   map[source]*Transport
	sessions map[*Transport]struct{}
}

// source is where a datagram came from, and where it arrived.
type source struct {
	at   *socket
	from netip.AddrPort
}

// address is one that is listened on.
type address struct {
	local    netip.Addr
	announce netip.Addr // the same unless the machine is behind NAT
}

// addressesFor chooses the addresses to listen on. local are the machine's, route are those that its
// default routes leave from.
func addressesFor(local, route []netip.Addr, cfg Config) ([]address, error) {
	var addrs []address
	add := func(l, announce netip.Addr) {
		if !slices.ContainsFunc(addrs, func(a address) bool { return a.local == l }) {
			addrs = append(addrs, address{l, announce})
		}
	}
	if len(cfg.NodeIPs) == 0 {
		for _, l := range local {
			if !l.IsLoopback() {
				add(l, l)
			}
		}
	}
	translated := map[bool]bool{}
	for _, text := range cfg.NodeIPs {
		node, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("node ip: %w", err)
		}
		node = node.Unmap()
		if slices.Contains(local, node) {
			add(node, node)
			continue
		}
		// Behind NAT: what is sent to it arrives where packets leave.
		if translated[node.Is4()] {
			return nil, fmt.Errorf("node ip %v: only one address of a family can be another machine's", node)
		}
		translated[node.Is4()] = true
		found := false
		for _, l := range slices.Concat(route, local) {
			if l.Is4() == node.Is4() && !l.IsLoopback() && slices.Contains(local, l) && !found {
				add(l, node)
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("node ip %v: the machine has no address of that family", node)
		}
	}
	if cfg.Loopback || len(addrs) == 0 {
		for _, l := range local {
			if l.IsLoopback() {
				add(l, l)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, errors.New("the machine has no address to listen on")
	}
	return addrs, nil
}

// localAddresses are the machine's addresses, but for link-local ones.
func localAddresses() (all []netip.Addr, err error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.Unmap().IsLinkLocalUnicast() {
			all = append(all, ip.Unmap())
		}
	}
	return all, nil
}

// routeAddresses are the source addresses of the default routes. Connecting a UDP socket sends nothing.
func routeAddresses() (all []netip.Addr) {
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // RFC 5737, RFC 3849
		if c, err := net.Dial("udp", to); err == nil {
			all = append(all, c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
			_ = c.Close()
		}
	}
	return all
}

// addresses are those that a port has with a configuration.
func (cfg Config) addresses() ([]address, error) {
	local, err := localAddresses()
	if err != nil {
		return nil, err
	}
	return addressesFor(local, routeAddresses(), cfg)
}

// Addresses are those that a port has with a configuration. It need not be open.
func Addresses(cfg Config) ([]Address, error) {
	addrs, err := cfg.addresses()
	return exported(addrs), err
}

// Open opens the port.
func Open(cfg Config) (*Port, error) {
	addrs, err := cfg.addresses()
	if err != nil {
		return nil, err
	}
	conns, listeners, err := listen(addrs, cfg.Number)
	for try := 0; cfg.Number == 0 && errors.Is(err, syscall.EADDRINUSE) && try < 20; try++ {
		// The port that was free on the first address is taken on another, or for TCP.
		conns, listeners, err = listen(addrs, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("media port: %w", err)
	}
	p := &Port{
		cfg: cfg, number: conns[0].LocalAddr().(*net.UDPAddr).Port, addrs: addrs, done: make(chan struct{}),
		byUfrag: map[string]*Transport{}, byAddr: map[source]*Transport{}, sessions: map[*Transport]struct{}{},
	}
	var muxes []ice.UDPMux
	for _, c := range conns {
		// The kernel caps these; a refusal only means smaller bursts.
		_ = c.SetReadBuffer(socketBuffer)
		_ = c.SetWriteBuffer(socketBuffer)
		s := newSocket(p, c)
		p.sockets = append(p.sockets, s)
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{
			Logger:            logger{log: cfg.Log, scope: "udp"},
			UDPConn:           s,
			OnUnhandledPacket: func([]byte, netip.AddrPort) { p.stats.garbage.Add(1) },
		}))
	}
	p.mux = ice.NewMultiUDPMuxDefault(muxes...)
	p.streams = newStreams(p, listeners)
	p.watched.Go(p.watch)
	p.watched.Go(p.watchLag)
	return p, nil
}

// listen opens one port on all addresses.
func listen(addrs []address, number int) (conns []*net.UDPConn, listeners []*net.TCPListener, err error) {
	for _, a := range addrs {
		var c *net.UDPConn
		if c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.local, uint16(number)))); err != nil {
			break
		}
		conns = append(conns, c)
		number = c.LocalAddr().(*net.UDPAddr).Port
	}
	if err == nil {
		listeners, err = listenTCP(conns)
	}
	if err != nil {
		for _, c := range conns {
			_ = c.Close()
		}
		return nil, nil, err
	}
	return conns, listeners, nil
}

// Number is that of the UDP and the TCP port in use.
func (p *Port) Number() int { return p.number }

// Mux serves the connections of pion's that share the port.
func (p *Port) Mux() ice.UDPMux { return p.mux }

// TCPMux serves those of them that clients reach by TCP.
func (p *Port) TCPMux() ice.TCPMux { return p.streams }

// Address is one that the port listens on.
type Address struct {
	Local     netip.Addr
	Announced netip.Addr // what clients are told: another one behind NAT
}

// Addresses are those that the port listens on.
func (p *Port) Addresses() []Address { return exported(p.addrs) }

func exported(addrs []address) (all []Address) {
	for _, a := range addrs {
		all = append(all, Address{a.local, a.announce})
	}
	return all
}

// Candidates are the port's candidates as in a=candidate (RFC 8839, 5.1), the preferred first.
func (p *Port) Candidates() (all []string) {
	for i, a := range p.addrs {
		// RFC 8445, 5.1.2.1: host candidates, each with a preference of its own.
		priority := uint32(126)<<24 | uint32(65535-i)<<8 | 255
		all = append(all, fmt.Sprintf("%d 1 udp %d %v %d typ host", i+1, priority, a.announce, p.number))
	}
	for i, a := range p.addrs {
		// RFC 6544, 4.2: less preferred than UDP by its type, and passive among those.
		priority := uint32(90)<<24 | uint32(4<<13|8191-i)<<8 | 255
		all = append(all, fmt.Sprintf("%d 1 tcp %d %v %d typ host tcptype passive", len(p.addrs)+i+1, priority, a.announce, p.number))
	}
	return all
}

// Close closes the transports that are left, and the port.
func (p *Port) Close() error {
	p.mu.Lock()
	var left []*Transport
	for t := range p.sessions {
		left = append(left, t)
	}
	p.mu.Unlock()
	for _, t := range left {
		t.Close()
	}
	close(p.done)
	p.watched.Wait()
	return errors.Join(p.streams.Close(), p.mux.Close())
}

// watch looks after the life of all transports: silence makes no event of its own.
func (p *Port) watch() {
	tick := time.NewTicker(max(min(p.cfg.Keepalive, p.cfg.Disconnected)/4, 10*time.Millisecond))
	defer tick.Stop()
	var all []*Transport
	for {
		select {
		case <-p.done:
			return
		case now := <-tick.C:
			all = all[:0]
			p.mu.RLock()
			for t := range p.sessions {
				all = append(all, t)
			}
			p.mu.RUnlock()
			for i, t := range all {
				t.tick(now)
				all[i] = nil
			}
		}
	}
}
