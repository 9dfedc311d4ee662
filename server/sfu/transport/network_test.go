package transport

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/webrtc/v4"
)

// gate is a client's network that can be shut, or loses one of so many datagrams.
type gate struct {
	shut   atomic.Bool
	losing atomic.Bool
	lose   int
}

func (g *gate) use(e *webrtc.SettingEngine) {
	system, err := stdnet.NewNet()
	if err != nil {
		panic(err)
	}
	g.losing.Store(g.lose > 0)
	e.SetNet(gated{system, g})
}

func (g *gate) lost() bool {
	return g.shut.Load() || g.losing.Load() && rand.IntN(g.lose) == 0
}

type gated struct {
	*stdnet.Net
	g *gate
}

func (n gated) ListenUDP(kind string, addr *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := net.ListenUDP(kind, addr)
	if err != nil {
		return nil, err
	}
	return &gatedConn{conn, n.g}, nil
}

type gatedConn struct {
	*net.UDPConn
	g *gate
}

func (c *gatedConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil || !c.g.lost() {
			return n, from, err
		}
	}
}

func (c *gatedConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.g.lost() {
		return len(b), nil
	}
	return c.WriteToUDPAddrPort(b, to)
}

// relay is a NAT on the way from a client to the port: what the client sends comes from the relay's
// address, which can change.
type relay struct {
	t    testing.TB
	port *Port

	record atomic.Bool // keep what the client sends

	mu       sync.Mutex
	recorded [][]byte
	out      *net.UDPConn // what the port sees
	copies   sync.WaitGroup
}

func newRelay(t testing.TB, p *Port) *relay {
	r := &relay{t: t, port: p}
	r.move()
	t.Cleanup(func() {
		r.out.Close()
		r.copies.Wait()
	})
	return r
}

// move gives the client another address.
func (r *relay) move() {
	conn, err := net.DialUDP("udp4", nil, r.port.loopback())
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	old := r.out
	r.out = conn
	r.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

func (r *relay) use(e *webrtc.SettingEngine) {
	system, err := stdnet.NewNet()
	if err != nil {
		panic(err)
	}
	e.SetNet(relayed{system, r})
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
}

type relayed struct {
	*stdnet.Net
	r *relay
}

func (n relayed) ListenUDP(string, *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return &relayedConn{conn, n.r}, nil
}

// relayedConn sends by the relay's socket and reads from it.
type relayedConn struct {
	*net.UDPConn
	r *relay
}

func (c *relayedConn) Close() error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.out.Close()
	return c.UDPConn.Close()
}

func (c *relayedConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		c.r.mu.Lock()
		out := c.r.out
		c.r.mu.Unlock()
		n, err := out.Read(b)
		if err == nil {
			return n, c.r.port.loopback().AddrPort(), nil
		}
		c.r.mu.Lock()
		moved := c.r.out != out
		c.r.mu.Unlock()
		if !moved {
			return 0, netip.AddrPort{}, err
		}
	}
}

func (c *relayedConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if int(to.Port()) != c.r.port.number || to.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return len(b), nil
	}
	if c.r.record.Load() {
		c.r.recorded = append(c.r.recorded, bytes.Clone(b))
	}
	return c.r.out.Write(b)
}

// inject sends something as the client.
func (r *relay) inject(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.out.Write(b)
}
