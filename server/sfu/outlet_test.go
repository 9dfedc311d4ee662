package sfu

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func newTestOutlet(t *testing.T) (*outlet, *counters) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	stats := new(counters)
	o := newOutlet(conn, stats)
	t.Cleanup(func() { o.Close() })
	return o, stats
}

// inbox is where packets arrive.
type inbox struct {
	t    *testing.T
	conn *net.UDPConn
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(socketBuffer)
	t.Cleanup(func() { conn.Close() })
	return &inbox{t, conn}
}

func (in *inbox) addr() netip.AddrPort { return in.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// next is the next packet, or nil if none comes within the time.
func (in *inbox) next(within time.Duration) []byte {
	in.t.Helper()
	if err := in.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		in.t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, err := in.conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

func rtpOf(seq int, size int) []byte {
	b := make([]byte, size)
	b[0], b[1] = 0x80, 96
	binary.BigEndian.PutUint16(b[2:], uint16(seq))
	for i := 12; i < size; i++ {
		b[i] = byte(i * seq)
	}
	return b
}

// Packets of any sizes arrive as they were and in their order, with and without the kernel's help.
func TestOutletOrder(t *testing.T) {
	for name, single := range map[string]bool{"together": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			o, stats := newTestOutlet(t)
			if single {
				o.single.Store(true)
			}
			a, b := newInbox(t), newInbox(t)
			random := rand.New(rand.NewPCG(3, 4))
			seq := 0
			for range 60 {
				// a frame as browsers cut it: equal packets, some a byte larger, a smaller one at the end
				var sizes []int
				n, size := 1+random.IntN(40), 200+random.IntN(1000)
				for i := range n {
					sizes = append(sizes, size+i*2/n)
				}
				sizes = append(sizes, 20+random.IntN(100))
				for _, s := range sizes {
					seq++
					for _, in := range []*inbox{a, b} {
						if n, err := o.WriteToAddrPort(rtpOf(seq, s), in.addr()); n != s || err != nil {
							t.Fatal(n, err)
						}
					}
				}
				o.flush()
				for _, in := range []*inbox{a, b} {
					for i, s := range sizes {
						want := rtpOf(seq-len(sizes)+1+i, s)
						if got := in.next(10 * time.Second); !bytes.Equal(got, want) {
							t.Fatalf("packet %d of %d bytes came as %d bytes", i, s, len(got))
						}
					}
				}
			}
			if n := stats.droppedWrite.Load(); n > 0 {
				t.Errorf("%d packets were not sent", n)
			}
			if o.single.Load() != single {
				t.Log("this kernel does not cut datagrams")
			}
		})
	}
}

// What is no RTP does not wait, and RTP not for ever.
func TestOutletWaits(t *testing.T) {
	o, _ := newTestOutlet(t)
	in := newInbox(t)
	o.mu.Lock() // nothing else may be needed for it
	for _, other := range [][]byte{{0, 1, 0, 0}, {22, 254, 253}, append([]byte{0x80, 200}, make([]byte, 20)...)} {
		if _, err := o.WriteToAddrPort(other, in.addr()); err != nil {
			t.Fatal(err)
		}
		if got := in.next(10 * time.Second); !bytes.Equal(got, other) {
			t.Errorf("%v came as %v", other, got)
		}
	}
	o.mu.Unlock()
	want := rtpOf(1, 500)
	if _, err := o.WriteToAddrPort(want, in.addr()); err != nil {
		t.Fatal(err)
	}
	if got := in.next(10 * time.Second); !bytes.Equal(got, want) {
		t.Errorf("without flush came %d bytes", len(got))
	}
}

// The bytes that wait, and the memory that is kept, have a limit.
func TestOutletIsBounded(t *testing.T) {
	o, _ := newTestOutlet(t)
	crowd := make([]netip.AddrPort, 300)
	for i := range crowd {
		crowd[i] = newInbox(t).addr()
	}
	o.timer.Stop()
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for seq := range 30 {
				for _, to := range crowd {
					_, _ = o.WriteToAddrPort(rtpOf(seq, 1200), to)
				}
				o.mu.Lock()
				if o.waiting > maxWaiting+4*1200 {
					t.Errorf("%d bytes wait", o.waiting)
				}
				o.mu.Unlock()
			}
		})
	}
	senders.Wait()
	o.flush()
	kept := 0
	for _, b := range o.free {
		kept += cap(b.packets)
	}
	if kept > 8*maxWaiting {
		t.Errorf("%d bytes are kept", kept)
	}
}
