package turn

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/pion/turn/v5"
)

// Target is an address of the media port: the one that is listened on, and the one that clients are told.
type Target struct{ Local, Announced netip.AddrPort }

func (t Target) loopback() bool { return t.Local.Addr().IsLoopback() }

var (
	errQuota  = errors.New("turn: too many relays")
	errFamily = errors.New("turn: no media port of that address family")
	errTCP    = errors.New("turn: TCP is not relayed")
)

// relays makes the relays of those who come in at one address. It is pion's RelayAddressGenerator.
type relays struct {
	s    *Server
	near Target // on that address
}

func (relays) Validate() error { return nil }

// AllocatePacketConn makes a relay to the media port, on the address where the client came in if it asks for no other
// family.
func (r relays) AllocatePacketConn(conf turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	four := conf.Network == "udp4"
	to := r.near
	if to.Local.Addr().Is4() != four {
		found := false
		for _, t := range r.s.cfg.Targets {
			if t.Local.Addr().Is4() == four && t.loopback() == r.near.loopback() {
				to, found = t, true
				break
			}
		}
		if !found {
			return nil, nil, errFamily
		}
	}
	if !r.s.take(conf.UserID) {
		return nil, nil, errQuota
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: to.Local.Addr().AsSlice()}, net.UDPAddrFromAddrPort(to.Local))
	if err != nil {
		r.s.give(conf.UserID)
		return nil, nil, err
	}
	own := conn.LocalAddr().(*net.UDPAddr)
	return &relay{UDPConn: conn, s: r.s, user: conf.UserID, peer: net.UDPAddrFromAddrPort(to.Announced), announced: to.Announced},
		&net.UDPAddr{IP: to.Announced.Addr().AsSlice(), Port: own.Port}, nil
}

// AllocateListener refuses relays for TCP (RFC 6062).
func (relays) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

// AllocateConn refuses them, too.
func (relays) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

// relay is a socket that is connected to the media port. To the client the port has its announced address.
type relay struct {
	*net.UDPConn
	s         *Server
	user      string
	peer      net.Addr
	announced netip.AddrPort
	close     sync.Once
}

// WriteTo sends a client's packet to the media port. What is for anybody else goes nowhere.
func (r *relay) WriteTo(b []byte, to net.Addr) (int, error) {
	addr, ok := to.(*net.UDPAddr)
	if !ok || addr.AddrPort().Port() != r.announced.Port() || addr.AddrPort().Addr().Unmap() != r.announced.Addr() {
		r.s.stats.refusedPeer.Add(1)
		return len(b), nil
	}
	r.s.stats.packetsIn.Add(1)
	return r.Write(b)
}

// ReadFrom reads what the media port sends to the client. That the port was closed for a moment is no end.
func (r *relay) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, err := r.Read(b)
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue
		}
		if err == nil {
			r.s.stats.packetsOut.Add(1)
		}
		return n, r.peer, err
	}
}

func (r *relay) Close() error {
	r.close.Do(func() { r.s.give(r.user) })
	return r.UDPConn.Close()
}
