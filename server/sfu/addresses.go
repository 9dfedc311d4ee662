package sfu

import (
	"fmt"
	"net/netip"

	"amphi/server/sfu/transport"
)

// Address is one that media comes to: the one that is listened on, and the one that clients are told, another
// where the machine is behind NAT.
type Address struct{ Local, Announced netip.AddrPort }

// Addresses are those of the port.
func (s *SFU) Addresses() []Address { return withPort(s.port.Addresses(), s.port.Number()) }

// AddressesOf are those that an SFU has with a configuration. It need not be there.
func AddressesOf(cfg Config) ([]Address, error) {
	addrs, err := transport.Addresses(transport.Config{NodeIPs: cfg.NodeIPs, Loopback: cfg.Loopback})
	if err != nil {
		return nil, fmt.Errorf("sfu: %w", err)
	}
	return withPort(addrs, cfg.Port), nil
}

func withPort(addrs []transport.Address, number int) (all []Address) {
	for _, a := range addrs {
		all = append(all, Address{netip.AddrPortFrom(a.Local, uint16(number)), netip.AddrPortFrom(a.Announced, uint16(number))})
	}
	return all
}
