package sfu

import "net/netip"

// Address is one that media comes to: the one that is listened on, and the one that clients are told, another
// where the machine is behind NAT.
type Address struct{ Local, Announced netip.AddrPort }

// Addresses are those of the port.
func (s *SFU) Addresses() (all []Address) {
	number := uint16(s.port.number)
	for _, a := range s.port.addrs {
		all = append(all, Address{netip.AddrPortFrom(a.local, number), netip.AddrPortFrom(a.announce, number)})
	}
	return all
}
