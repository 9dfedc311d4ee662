package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// MTU of all devices: Ethernet's.
const MTU = 1500

// ErrNotAllowed says that this machine does not let us make namespaces or TUN devices.
var ErrNotAllowed = errors.New("network namespaces and TUN devices cannot be made here")

// Network connects hosts. Addresses are 10.77.0.0/16 and fd77::/64, which nothing outside of it sees.
type Network struct {
	seed uint64
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	hosts []*Host
	given int // addresses

	routes atomic.Pointer[map[netip.Addr]*Host] // replaced whole
}

// New makes a network without hosts. The seed decides everything that is left to chance.
func New(seed uint64) *Network {
	n := &Network{seed: seed, done: make(chan struct{})}
	n.routes.Store(&map[netip.Addr]*Host{})
	return n
}

// Close ends the network and all its hosts. Programs that still run in them lose every connection.
func (n *Network) Close() {
	n.mu.Lock()
	hosts := n.hosts
	n.hosts = nil
	n.mu.Unlock()
	select {
	case <-n.done:
		return
	default:
	}
	close(n.done)
	for _, h := range hosts {
		h.tun.Close()
	}
	n.wg.Wait()
}

// Host is a machine on the network.
type Host struct {
	Name string

	net       *Network
	tun       *os.File
	work      chan func() // what its thread is to do
	namespace string      // path
	up, down  *pipe

	mu     sync.Mutex
	v4, v6 netip.Addr
}

// Host makes a host with a perfect line. The error is ErrNotAllowed where that is the reason.
func (n *Network) Host(name string) (*Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	seed := n.seed*1000 + uint64(len(n.hosts))*2
	h := &Host{Name: name, net: n, work: make(chan func())}
	h.up = newPipe(seed, n.route)
	h.down = newPipe(seed+1, func(b []byte) { _, _ = h.tun.Write(b) }) // a device that is full or gone loses packets
	began := make(chan error)
	n.wg.Go(func() { h.thread(began) })
	if err := <-began; err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	n.hosts = append(n.hosts, h)
	if err := h.address(); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	n.wg.Go(h.read)
	n.wg.Go(func() { h.up.run(n.done) })
	n.wg.Go(func() { h.down.run(n.done) })
	return h, nil
}

// thread makes the namespace and is in it until the network ends. The thread ends with this goroutine, because it is
// never unlocked, and with the thread the namespace.
func (h *Host) thread(began chan<- error) {
	runtime.LockOSThread()
	if err := h.enter(); err != nil {
		began <- err
		return
	}
	began <- nil
	for {
		select {
		case f := <-h.work:
			f()
		case <-h.net.done:
			return
		}
	}
}

// enter moves this thread into a new namespace with a TUN device.
func (h *Host) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w: unshare: %w", ErrNotAllowed, err)
	}
	h.namespace = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w: /dev/net/tun: %w", ErrNotAllowed, err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		// No offloads are asked for, so the kernel writes whole packets with correct checksums.
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("%w: TUNSETIFF: %w", ErrNotAllowed, err)
	}
	h.tun = os.NewFile(uintptr(fd), "tun of "+h.Name)
	// A key frame for many is a burst of packets, and it is the line that shall lose some, not the device.
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "set", device, "mtu", fmt.Sprint(MTU), "txqueuelen", "10000", "up"},
	} {
		if err := ip(args...); err != nil {
			h.tun.Close()
			return err
		}
	}
	return nil
}

// device is the name of every host's device.
const device = "tun0"

// ip runs ip(8) in the namespace of the calling thread.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// do runs f on the host's thread, one after the other, so that what it opens or starts is in the host's namespace.
func (h *Host) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case h.work <- func() { result <- f() }:
		return <-result
	case <-h.net.done:
		return net.ErrClosed
	}
}

// address gives the host its next addresses. The network's lock is held.
func (h *Host) address() error {
	h.net.given++
	n := h.net.given
	v4 := netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)})
	v6 := netip.AddrFrom16([16]byte{0xfd, 0x77, 14: byte(n >> 8), 15: byte(n)})
	err := h.do(func() error {
		for _, args := range [][]string{
			{"address", "flush", "dev", device, "scope", "global"},
			{"address", "add", v4.String() + "/16", "dev", device},
			{"address", "add", v6.String() + "/64", "dev", device, "nodad"},
			{"route", "replace", "default", "dev", device},
			{"-6", "route", "replace", "default", "dev", device},
		} {
			if err := ip(args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.v4, h.v6 = v4, v6
	h.mu.Unlock()
	routes := map[netip.Addr]*Host{v4: h, v6: h}
	for to, host := range *h.net.routes.Load() {
		if host != h {
			routes[to] = host
		}
	}
	h.net.routes.Store(&routes)
	return nil
}

// Move gives the host other addresses, as when a laptop goes from one network to another. What is sent to or from the
// old ones is lost.
func (h *Host) Move() error {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.address()
}

// IPv4 is the host's present address.
func (h *Host) IPv4() netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.v4
}

// IPv6 is the other one.
func (h *Host) IPv6() netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.v6
}

// Set changes both directions of the host's line.
func (h *Host) Set(up, down Link) {
	h.up.set(up)
	h.down.set(down)
}

// Counts tells what happened to packets so far.
func (h *Host) Counts() (up, down Counts) { return h.up.counts(), h.down.counts() }

// Prefix is what a command is written behind, so that it runs on the host.
func (h *Host) Prefix() []string { return []string{"nsenter", "--net=" + h.namespace, "--"} }

// Command is a command that runs on the host.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	line := append(append(h.Prefix(), name), args...)
	return exec.CommandContext(ctx, line[0], line[1:]...)
}

// Dial connects from the host; addresses are literal.
func (h *Host) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = h.do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen opens a UDP socket on the host.
func (h *Host) Listen(address netip.AddrPort) (conn *net.UDPConn, err error) {
	err = h.do(func() error {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	})
	return conn, err
}

// Client makes HTTP requests from the host.
func (h *Host) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: h.Dial}}
}

// read takes what the host sends.
func (h *Host) read() {
	buf := make([]byte, 2*MTU)
	for {
		n, err := h.tun.Read(buf)
		if err != nil {
			return // closed
		}
		b := append([]byte(nil), buf[:n]...)
		if p, ok := parse(b); ok {
			h.up.send(p, b)
		}
	}
}

// route hands a packet to the host that it is for. Those for nobody, multicast for example, are lost; those from an
// address that the host has no more as well.
func (n *Network) route(b []byte) {
	p, _ := parse(b)
	routes := *n.routes.Load()
	if to := routes[p.Destination.Addr()]; to != nil && routes[p.Source.Addr()] != nil {
		to.down.send(p, b)
	}
}
