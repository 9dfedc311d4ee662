package transport

import (
	"encoding/binary"
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// segmentSize is a control message of sendmsg(2) that cuts a datagram into several (udp(7)).
type segmentSize []byte

func newSegmentSize() segmentSize {
	b := make([]byte, unix.CmsgSpace(2))
	// struct cmsghdr: a length of the size of a pointer, two ints.
	if unix.SizeofCmsghdr == 16 {
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(2)))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(2)))
	}
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(b[unix.SizeofCmsghdr-4:], unix.UDP_SEGMENT)
	return b
}

func (s segmentSize) of(bytes int) []byte {
	binary.NativeEndian.PutUint16(s[unix.CmsgLen(0):], uint16(bytes))
	return s
}

// cuts says whether the kernel knows of it (Linux 4.18).
func cuts(c *net.UDPConn) (ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		ok = err == nil
	})
	return ok && err == nil
}

// cannotCut says that an error means that packets must go one by one: once, because the way to this client takes
// smaller ones than those, or always, because the device cannot make the checksums of what it is to cut.
func cannotCut(err error) (once, always bool) {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.EIO)
}
