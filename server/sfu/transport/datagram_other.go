//go:build !linux

package transport

import (
	"net"
	"net/netip"
)

// datagram is for Linux only; elsewhere each packet is sent by itself.
type datagram struct{}

func newDatagram() *datagram { return nil }

func (*datagram) send(s *socket, b []byte, _ int, to netip.AddrPort) error {
	_, err := s.WriteToUDPAddrPort(b, to)
	return err
}

func cuts(*net.UDPConn) bool { return false }

func cannotCut(error) (once, always bool) { return false, true }
