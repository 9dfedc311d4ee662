package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagram holds what sendmsg(2) needs, and what it answered. It makes the calls itself because the net package
//   - lets one goroutine at a time write to a socket, and all that is sent leaves by one or two;
//   - tells Go's scheduler of each call, which gives the processor to another thread when one takes longer than 20 us, as
//     those do that carry a frame. Such a thread has to queue for a processor then, and the scheduler looks for more of
//     them 50,000 times a second: a sixth of what forwarding cost.
//
// The calls never wait (MSG_DONTWAIT), so the scheduler need not know. A datagram is used by one goroutine at a time, and is
// not copied: it points to itself.
type datagram struct {
	header  unix.Msghdr
	vector  unix.Iovec
	name4   unix.RawSockaddrInet4
	name6   unix.RawSockaddrInet6
	control []byte // UDP_SEGMENT, see udp(7)
	errno   syscall.Errno
	call    func(fd uintptr) // made once, so that it costs no allocation
}

func newDatagram() *datagram {
	d := &datagram{control: make([]byte, unix.CmsgSpace(2))}
	// struct cmsghdr: a length of the size of a pointer, two ints.
	if unix.SizeofCmsghdr == 16 {
		binary.NativeEndian.PutUint64(d.control, uint64(unix.CmsgLen(2)))
	} else {
		binary.NativeEndian.PutUint32(d.control, uint32(unix.CmsgLen(2)))
	}
	binary.NativeEndian.PutUint32(d.control[unix.SizeofCmsghdr-8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(d.control[unix.SizeofCmsghdr-4:], unix.UDP_SEGMENT)
	d.header.Iov = &d.vector
	d.header.SetIovlen(1)
	d.call = func(fd uintptr) {
		_, _, d.errno = syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&d.header)), unix.MSG_DONTWAIT)
	}
	return d
}

// send gives the kernel packets of size bytes, one behind the other, of which the last may be smaller.
func (d *datagram) send(s *socket, b []byte, size int, to netip.AddrPort) error {
	if !d.address(s, to) {
		return d.wait(s, b, size, to)
	}
	d.vector.Base = &b[0]
	d.vector.SetLen(len(b))
	d.header.Control = nil
	d.header.SetControllen(0)
	if len(b) > size {
		d.header.Control = &d.cut(size)[0]
		d.header.SetControllen(len(d.control))
	}
	err := s.raw.Control(d.call)
	d.vector.Base = nil // does not keep it
	switch {
	case err != nil:
		return err // the socket is closed
	case d.errno == unix.EAGAIN || d.errno == unix.EINTR:
		return d.wait(s, b, size, to)
	case d.errno != 0:
		return d.errno
	}
	return nil
}

// wait does the same by the net package, which waits until the socket takes it.
func (d *datagram) wait(s *socket, b []byte, size int, to netip.AddrPort) error {
	var control []byte
	if len(b) > size {
		control = d.cut(size)
	}
	_, _, err := s.WriteMsgUDPAddrPort(b, control, to)
	return err
}

func (d *datagram) cut(size int) (control []byte) {
	binary.NativeEndian.PutUint16(d.control[unix.CmsgLen(0):], uint16(size))
	return d.control
}

// address makes the kernel's form of an address. It reports false for one with a zone.
func (d *datagram) address(s *socket, to netip.AddrPort) bool {
	if s.four {
		if !to.Addr().Unmap().Is4() {
			return false
		}
		d.name4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().Unmap().As4()}
		putPort(&d.name4.Port, to.Port())
		d.header.Name, d.header.Namelen = (*byte)(unsafe.Pointer(&d.name4)), unix.SizeofSockaddrInet4
		return true
	}
	if to.Addr().Zone() != "" {
		return false
	}
	d.name6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
	putPort(&d.name6.Port, to.Port())
	d.header.Name, d.header.Namelen = (*byte)(unsafe.Pointer(&d.name6)), unix.SizeofSockaddrInet6
	return true
}

// putPort writes a port in the order of bytes of the network.
func putPort(to *uint16, port uint16) {
	*to = binary.NativeEndian.Uint16([]byte{byte(port >> 8), byte(port)})
}

// cuts says whether the kernel knows of UDP_SEGMENT (Linux 4.18).
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
