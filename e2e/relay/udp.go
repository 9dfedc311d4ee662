package relay

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

const (
	maxDatagram = 2048
	maxFlows    = 64 // a client has some sockets for each of its connections
)

// udpRelay forwards datagrams like a router that translates addresses: each of the client's sockets gets a socket of
// its own towards the server.
type udpRelay struct {
	conn   *net.UDPConn
	target *net.UDPAddr
	cut    *atomic.Bool
	wg     *sync.WaitGroup

	mu    sync.Mutex
	flows map[netip.AddrPort]*net.UDPConn // by the client's address; nil once closed
}

func listenUDP(target string, cut *atomic.Bool, wg *sync.WaitGroup) (*udpRelay, error) {
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	u := &udpRelay{conn: conn, target: to, cut: cut, wg: wg, flows: map[netip.AddrPort]*net.UDPConn{}}
	wg.Go(u.upstream)
	return u, nil
}

func (u *udpRelay) upstream() {
	buf := make([]byte, maxDatagram)
	for {
		n, client, err := u.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if flow := u.flow(client); flow != nil && !u.cut.Load() {
			_, _ = flow.Write(buf[:n])
		}
	}
}

// flow returns the socket of a client's address, or nil when there are too many or the relay is closed.
func (u *udpRelay) flow(client netip.AddrPort) *net.UDPConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	if flow := u.flows[client]; flow != nil || u.flows == nil || len(u.flows) >= maxFlows {
		return flow
	}
	flow, err := net.DialUDP("udp", nil, u.target)
	if err != nil {
		return nil
	}
	u.flows[client] = flow
	u.wg.Go(func() { u.downstream(flow, client) })
	return flow
}

func (u *udpRelay) downstream(flow *net.UDPConn, client netip.AddrPort) {
	buf := make([]byte, maxDatagram)
	for {
		n, err := flow.Read(buf)
		if err != nil {
			if u.closed() {
				return
			}
			continue // refused, as long as the server is away
		}
		if !u.cut.Load() {
			_, _ = u.conn.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}

func (u *udpRelay) closed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.flows == nil
}

func (u *udpRelay) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.conn.Close()
	for _, flow := range u.flows {
		_ = flow.Close()
	}
	u.flows = nil
}
