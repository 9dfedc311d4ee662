//go:build !linux

package transport

import "net"

// segmentSize is for Linux only; elsewhere each packet is sent by itself.
type segmentSize []byte

func newSegmentSize() segmentSize   { return nil }
func (s segmentSize) of(int) []byte { return s }
func cuts(*net.UDPConn) bool        { return false }

func cannotCut(error) (once, always bool) { return false, true }
