//go:build !linux

package transport

// segmentSize is for Linux only; elsewhere each packet is sent by itself.
type segmentSize []byte

func newSegmentSize() segmentSize   { return nil }
func (s segmentSize) of(int) []byte { return s }
func cannotCut(error) bool          { return true }
