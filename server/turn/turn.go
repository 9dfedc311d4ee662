package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
)

// Config are the parameters of New.
type Config struct {
	// Port of UDP and TCP, and the one of TLS; 0 chooses a free one.
	Port, TLSPort int
	// Targets are the addresses of the media port. They are listened on, too.
	Targets []Target
	// Host is what clients are told to connect to; empty: the announced addresses. TLS needs a name that is in the
	// certificate.
	Host string
	// Certificate and Key are PEM files; the key may be in the certificate's. Without them there is no TLS. They are
	// read again when they change.
	Certificate, Key string
	// Secret signs credentials, Lifetime is how long these are valid.
	Secret   []byte
	Lifetime time.Duration
	// Allocations is how many relays there may be, PerUser how many of one user. A browser takes one for each URL,
	// connection and address family.
	Allocations, PerUser int
	Log                  *slog.Logger
}

// Server is a running server.
type Server struct {
	cfg   Config
	grace time.Duration
	urls  []string
	port  int
	tls   int // port
	pion  *turn.Server
	doors []*door
	stats counters

	mu    sync.Mutex
	users map[string]int // relays
	total int
}

// Stats is a snapshot of the server's counters.
type Stats struct {
	Allocations int64 // relays that there are
	Connections int64 // TCP and TLS

	Allocated  uint64 // relays that were made
	PacketsIn  uint64 // to the media port
	PacketsOut uint64 // to clients

	RefusedAuth        uint64 // credentials that are none of ours, or expired
	RefusedQuota       uint64 // relays beyond a limit
	RefusedPeer        uint64 // packets and permissions for others than the media port
	RefusedConnections uint64 // beyond a limit
	Garbage            uint64 // messages that came to nothing (those with bad credentials, too), and failed handshakes
}

type counters struct {
	connections                                                         atomic.Int64
	allocated, packetsIn, packetsOut                                    atomic.Uint64
	refusedAuth, refusedQuota, refusedPeer, refusedConnections, garbage atomic.Uint64
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	total := s.total
	s.mu.Unlock()
	c := &s.stats
	return Stats{
		Allocations: int64(total), Connections: c.connections.Load(),
		Allocated: c.allocated.Load(), PacketsIn: c.packetsIn.Load(), PacketsOut: c.packetsOut.Load(),
		RefusedAuth: c.refusedAuth.Load(), RefusedQuota: c.refusedQuota.Load(), RefusedPeer: c.refusedPeer.Load(),
		RefusedConnections: c.refusedConnections.Load(), Garbage: c.garbage.Load(),
	}
}

// Of is a server that is not opened: it makes the credentials that another process with the same configuration takes.
func Of(cfg Config) *Server {
	s := &Server{cfg: cfg, port: cfg.Port}
	if cfg.Certificate != "" {
		s.tls = cfg.TLSPort
	}
	s.urls = s.addresses()
	return s
}

// New opens the ports and returns a running server. Close it.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, grace: grace, users: map[string]int{}}
	return s, s.open()
}

func (s *Server) open() error {
	if len(s.cfg.Targets) == 0 {
		return errors.New("turn: there is no media port to relay to")
	}
	var secure *tls.Config
	if s.cfg.Certificate != "" {
		c := &certificate{cert: s.cfg.Certificate, key: s.cfg.Key}
		if _, err := c.get(nil); err != nil {
			return fmt.Errorf("turn: certificate: %w", err)
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	}
	config := turn.ServerConfig{
		Realm: realm, AuthHandler: s.authenticate, QuotaHandler: s.mayHave,
		// What happens to clients is counted; it is nothing that an operator could mend.
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
		EventHandler: turn.EventHandler{
			OnAuth: func(_, _ net.Addr, _, _, _, _ string, ok bool) {
				if !ok {
					s.stats.refusedAuth.Add(1)
				}
			},
			OnAllocationCreated: func(from, to net.Addr, _, _, _ string, _ net.Addr, _ int) {
				s.stats.allocated.Add(1)
				s.relayed(from, to, true)
			},
			OnAllocationDeleted: func(from, to net.Addr, _, _, _ string) { s.relayed(from, to, false) },
			OnAllocationError:   func(_, _ net.Addr, _, _ string) { s.stats.garbage.Add(1) },
		},
	}
	var sockets []net.PacketConn
	closeAll := func() {
		for _, c := range sockets {
			c.Close()
		}
		for _, d := range s.doors {
			d.Close()
		}
		sockets, s.doors = nil, nil
	}
	port, err := s.listen(s.cfg.Port, func(at netip.AddrPort, t Target) (int, error) {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return 0, err
		}
		sockets = append(sockets, udp)
		at = udp.LocalAddr().(*net.UDPAddr).AddrPort()
		config.PacketConnConfigs = append(config.PacketConnConfigs,
			turn.PacketConnConfig{PacketConn: udp, RelayAddressGenerator: relays{s, t}, PermissionHandler: s.permit})
		return int(at.Port()), s.openDoor(&config, at, t, nil)
	}, func() { closeAll(); config.PacketConnConfigs, config.ListenerConfigs = nil, nil })
	s.port = port
	if err == nil && secure != nil {
		doors, configs := len(s.doors), len(config.ListenerConfigs)
		s.tls, err = s.listen(s.cfg.TLSPort, func(at netip.AddrPort, t Target) (int, error) {
			if err := s.openDoor(&config, at, t, secure); err != nil {
				return 0, err
			}
			return s.doors[len(s.doors)-1].Addr().(*net.TCPAddr).Port, nil
		}, func() {
			for _, d := range s.doors[doors:] {
				d.Close()
			}
			s.doors, config.ListenerConfigs = s.doors[:doors], config.ListenerConfigs[:configs]
		})
	}
	if err == nil {
		s.pion, err = turn.NewServer(config)
	}
	if err != nil {
		closeAll()
		return fmt.Errorf("turn: %w", err)
	}
	s.urls = s.addresses()
	s.cfg.Log.Info("turn listening", "port", s.port, "tls_port", s.tls, "urls", s.urls)
	return nil
}

// listen opens a port on all addresses. One that is free on the first address may be taken on another: another is
// tried then, after undo.
func (s *Server) listen(port int, open func(netip.AddrPort, Target) (int, error), undo func()) (int, error) {
	for try := 0; ; try++ {
		number, err := port, error(nil)
		for _, t := range s.cfg.Targets {
			if number, err = open(netip.AddrPortFrom(t.Local.Addr(), uint16(number)), t); err != nil {
				break
			}
		}
		if err == nil {
			return number, nil
		}
		undo()
		if port != 0 || try == 20 || !errors.Is(err, syscall.EADDRINUSE) {
			return 0, err
		}
	}
}

func (s *Server) openDoor(config *turn.ServerConfig, at netip.AddrPort, t Target, secure *tls.Config) error {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	d := newDoor(s, l, secure)
	s.doors = append(s.doors, d)
	config.ListenerConfigs = append(config.ListenerConfigs,
		turn.ListenerConfig{Listener: d, RelayAddressGenerator: relays{s, t}, PermissionHandler: s.permit})
	return nil
}

// Close ends all relays and connections.
func (s *Server) Close() error {
	if err := s.pion.Close(); err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	return nil
}

// Port is that of UDP and TCP, TLSPort the one of TLS, 0 if there is none.
func (s *Server) Port() int { return s.port }

// TLSPort is described with Port.
func (s *Server) TLSPort() int { return s.tls }

// addresses are the URLs that clients are told, the quickest way first.
func (s *Server) addresses() (urls []string) {
	hosts := []string{s.cfg.Host}
	if s.cfg.Host == "" {
		hosts = nil
		for _, t := range s.cfg.Targets {
			if host := t.Announced.Addr().String(); !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	add := func(scheme string, port int, transport string) {
		for _, host := range hosts {
			urls = append(urls, scheme+":"+net.JoinHostPort(host, strconv.Itoa(port))+"?transport="+transport)
		}
	}
	add("turn", s.port, "udp")
	add("turn", s.port, "tcp")
	if s.tls != 0 {
		add("turns", s.tls, "tcp")
	}
	return urls
}

// permit is pion's PermissionHandler: packets go to the media port's addresses, and none else.
func (s *Server) permit(_ net.Addr, peer net.IP) bool {
	ip, ok := netip.AddrFromSlice(peer)
	ok = ok && slices.ContainsFunc(s.cfg.Targets, func(t Target) bool { return t.Announced.Addr() == ip.Unmap() })
	if !ok {
		s.stats.refusedPeer.Add(1)
	}
	return ok
}

// relayed tells the door that a client came through about its relay.
func (s *Server) relayed(from, to net.Addr, has bool) {
	addr, ok := from.(*net.TCPAddr)
	if !ok {
		return
	}
	for _, d := range s.doors {
		if d.Addr().String() == to.String() {
			d.relayed(unmapped(addr.AddrPort()), has)
		}
	}
}

// mayHave is pion's QuotaHandler.
func (s *Server) mayHave(user, _ string, _ net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := s.roomLocked(user)
	if !ok {
		s.stats.refusedQuota.Add(1)
	}
	return ok
}

func (s *Server) roomLocked(user string) bool {
	return user != "" && s.total < s.cfg.Allocations && s.users[user] < s.cfg.PerUser
}

// take counts a relay of a user, if one more may be.
func (s *Server) take(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.roomLocked(user) {
		return false
	}
	s.users[user]++
	s.total++
	return true
}

// give takes a relay back.
func (s *Server) give(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.users[user]--; s.users[user] == 0 {
		delete(s.users, user)
	}
}
