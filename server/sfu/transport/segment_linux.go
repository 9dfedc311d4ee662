package transport

import (
	"encoding/binary"
	"errors"

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

// cannotCut says that an error is none of the moment: an old kernel, or a device that cannot
// make the checksums of what it is to cut.
func cannotCut(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOPROTOOPT)
}
