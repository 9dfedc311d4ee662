package sfu

import "net/netip"

// Address is one that media comes to: the one that is listened on, and the one that clients are told, another
// where the machine is behind NAT.
type Address struct{ Local, Announced netip.AddrPort }

// Addresses are those of the port.
func (s *SFU) Addresses() (all []Address) {
	number := uint16(s.port.Number())
	for _, a := range s.port.Addresses() {
		all = append(all, Address{netip.AddrPortFrom(a.Local, number), netip.AddrPortFrom(a.Announced, number)})
	}
	return all
}
