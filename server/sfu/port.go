package sfu

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// socketBuffer is what a socket may hold in either direction. A key frame to
// a few hundred viewers is one burst of megabytes.
const socketBuffer = 4 << 20

// port is the one UDP port of all connections, on one socket per address of
// the machine: ICE reads a socket once per address that it announces for it,
// and two readers of one socket reorder packets. It also makes answers leave
// from the address that was asked.
type port struct {
	number int
	addrs  []address
	mux    *ice.MultiUDPMuxDefault
	out    []*outlet
}

// address is one that is listened on.
type address struct {
	local    netip.Addr
	announce netip.Addr // the same unless the machine is behind NAT
}

// addressesFor chooses the addresses to listen on. local are the machine's,
// route are those that its default routes leave from.
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
			return nil, fmt.Errorf("sfu: node ip: %w", err)
		}
		node = node.Unmap()
		if slices.Contains(local, node) {
			add(node, node)
			continue
		}
		// Behind NAT: what is sent to it arrives where packets leave.
		if translated[node.Is4()] {
			return nil, fmt.Errorf("sfu: node ip %v: only one address of a family can be another machine's", node)
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
			return nil, fmt.Errorf("sfu: node ip %v: the machine has no address of that family", node)
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
		return nil, errors.New("sfu: the machine has no address to listen on")
	}
	return addrs, nil
}

// localAddresses are the machine's addresses, but for link-local ones.
func localAddresses() (all []netip.Addr, err error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("sfu: addresses: %w", err)
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

// routeAddresses are the source addresses of the default routes. Connecting a
// UDP socket sends nothing.
func routeAddresses() (all []netip.Addr) {
	for _, to := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // RFC 5737, RFC 3849
		if c, err := net.Dial("udp", to); err == nil {
			all = append(all, c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
			_ = c.Close()
		}
	}
	return all
}

func openPort(cfg Config, stats *counters) (*port, error) {
	local, err := localAddresses()
	if err != nil {
		return nil, err
	}
	addrs, err := addressesFor(local, routeAddresses(), cfg)
	if err != nil {
		return nil, err
	}
	conns, err := listen(addrs, cfg.Port)
	for try := 0; cfg.Port == 0 && errors.Is(err, syscall.EADDRINUSE) && try < 20; try++ {
		// The port that was free on the first address is taken on another.
		conns, err = listen(addrs, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("sfu: media port: %w", err)
	}
	p := &port{number: conns[0].LocalAddr().(*net.UDPAddr).Port, addrs: addrs}
	var muxes []ice.UDPMux
	for _, c := range conns {
		// The kernel caps these; a refusal only means smaller bursts.
		_ = c.SetReadBuffer(socketBuffer)
		_ = c.SetWriteBuffer(socketBuffer)
		out := newOutlet(c, stats)
		p.out = append(p.out, out)
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{
			Logger:            logger{log: cfg.Log, scope: "udp"},
			UDPConn:           out,
			OnUnhandledPacket: func([]byte, netip.AddrPort) { stats.droppedGarbage.Add(1) },
		}))
	}
	p.mux = ice.NewMultiUDPMuxDefault(muxes...)
	return p, nil
}

// listen opens one port on all addresses.
func listen(addrs []address, number int) (conns []*net.UDPConn, err error) {
	for _, a := range addrs {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.local, uint16(number))))
		if err != nil {
			for _, c := range conns {
				_ = c.Close()
			}
			return nil, err
		}
		conns = append(conns, c)
		number = c.LocalAddr().(*net.UDPAddr).Port
	}
	return conns, nil
}

// flush sends what was written and waits for company.
func (p *port) flush() {
	for _, o := range p.out {
		o.flush()
	}
}

func (p *port) Close() error { return p.mux.Close() }

// announced are the addresses that clients are told.
func (p *port) announced() (all []string) {
	for _, a := range p.addrs {
		all = append(all, a.announce.String())
	}
	return all
}

// settings are the ICE and DTLS parameters of all connections.
func (s *SFU) settings() (webrtc.SettingEngine, error) {
	var e webrtc.SettingEngine
	e.LoggerFactory = loggerFactory{s.log}
	e.SetICEUDPMux(s.port.mux)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(s.timing.disconnected, s.timing.failed, s.timing.keepalive)
	e.SetDTLSRetransmissionInterval(100 * time.Millisecond) // the default of 1 s makes one lost datagram a late join
	e.SetReceiveMTU(packetSize)
	e.SetSCTPMaxMessageSize(4 * maxMessage)
	// Tracks are matched by media section, so nothing has to wait for the
	// first packet, and a first packet of a wrong codec spoils nothing.
	e.SetFireOnTrackBeforeFirstRTP(true)
	// Authenticated encryption in one pass: 0.3 µs a packet where AES-CM with
	// HMAC-SHA1 takes 2.1.
	e.SetSRTPProtectionProfiles(srtpProfiles...)

	var rules []webrtc.ICEAddressRewriteRule
	for _, a := range s.port.addrs {
		if a.local.IsLoopback() {
			e.SetIncludeLoopbackCandidate(true)
		}
		if a.local != a.announce {
			rules = append(rules, webrtc.ICEAddressRewriteRule{
				Local:           a.local.String(),
				External:        []string{a.announce.String()},
				AsCandidateType: webrtc.ICECandidateTypeHost,
				Mode:            webrtc.ICEAddressRewriteReplace,
			})
		}
	}
	if len(rules) > 0 {
		if err := e.SetICEAddressRewriteRules(rules...); err != nil {
			return e, fmt.Errorf("sfu: node ips: %w", err)
		}
	}
	return e, nil
}
