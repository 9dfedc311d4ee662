package network

import (
	"encoding/binary"
	"net/netip"
)

// The protocols that firewalls tell apart, by their IP numbers.
const (
	TCP = 6
	UDP = 17
)

// Packet is what the network looks at of an IP packet.
type Packet struct {
	Size                int // bytes, IP header included
	Protocol            uint8
	Source, Destination netip.AddrPort // port 0 where the protocol has none, and in fragments
}

// parse reads the headers of an IPv4 or IPv6 packet (RFC 791, RFC 8200). IPv6 extension headers are not looked
// through: none of our programs sends any.
func parse(b []byte) (p Packet, ok bool) {
	p.Size = len(b)
	if len(b) == 0 {
		return p, false
	}
	var source, destination netip.Addr
	var payload []byte
	switch version := b[0] >> 4; {
	case version == 4 && len(b) >= 20:
		header := int(b[0]&0xf) * 4
		if header < 20 || len(b) < header {
			return p, false
		}
		p.Protocol = b[9]
		source, destination = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 { // not a later fragment
			payload = b[header:]
		}
	case version == 6 && len(b) >= 40:
		p.Protocol = b[6]
		source, destination = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		payload = b[40:]
	default:
		return p, false
	}
	var from, to uint16
	if (p.Protocol == TCP || p.Protocol == UDP) && len(payload) >= 4 {
		from, to = binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:])
	}
	p.Source, p.Destination = netip.AddrPortFrom(source, from), netip.AddrPortFrom(destination, to)
	return p, true
}
