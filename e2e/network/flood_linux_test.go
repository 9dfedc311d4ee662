package network

import (
	"context"
	"flag"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"amphi/e2e/testserver"
)

var flood = flag.Duration("flood", 3*time.Second, "how long TestFlood goes on")

// Of the opens that a stranger tries in a second.
const (
	checksPerSecond      = 6000 // ICE, with names that nobody has
	hellosPerSecond      = 1500 // DTLS, without ICE before
	allocationsPerSecond = 1000 // TURN, without credentials
	connectsPerSecond    = 1500 // TCP, and not a word
)

// mostGrowth is what all of it may cost the server, in bytes.
const mostGrowth = 64 << 20

// TestFlood: a stranger opens what can be opened without a token, 10,000 times a second. The server counts, keeps its
// memory, and the call that is going on does not notice.
func TestFlood(t *testing.T) {
	l := newLab(t, func(*Host) []string { return []string{"--turn-enabled"} })
	room := l.room("flood")
	begin := time.Now()
	l.enter(room, broadcaster, "ann")
	vic := l.enter(room, viewer, "vic")
	vic.watches(begin)
	time.Sleep(time.Second)
	eve := newHost(t, l.net, "eve")
	media, relay := netip.AddrPortFrom(l.host.IPv4(), mediaPort), netip.AddrPortFrom(l.host.IPv4(), turnPort)

	before := testserver.Memory(l.server.PID())
	ctx, cancel := context.WithTimeout(t.Context(), *flood)
	defer cancel()
	begin = time.Now()
	var opens atomic.Int64
	var all sync.WaitGroup
	datagrams := func(perSecond int, to netip.AddrPort, make func() []byte) {
		all.Go(func() {
			var conns []*net.UDPConn
			for range 16 {
				conn, err := eve.Listen(netip.AddrPortFrom(eve.IPv4(), 0))
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conns = append(conns, conn)
			}
			pace(ctx, perSecond, func() {
				if _, err := conns[rand.IntN(len(conns))].WriteToUDPAddrPort(make(), to); err == nil {
					opens.Add(1)
				}
			})
		})
	}
	datagrams(checksPerSecond, media, func() []byte {
		name := string('a'+rune(rand.IntN(26))) + time.Now().Format("150405.000000000")
		return stun.MustBuild(stun.BindingRequest, stun.TransactionID, stun.NewUsername(name+":far"), stun.NewShortTermIntegrity("password"), stun.Fingerprint).Raw
	})
	datagrams(hellosPerSecond, media, func() []byte {
		hello := make([]byte, 150) // a record of a ClientHello (RFC 6347, 4.1)
		copy(hello, []byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 137, 1})
		return hello
	})
	datagrams(allocationsPerSecond, relay, func() []byte {
		return stun.MustBuild(stun.NewType(stun.MethodAllocate, stun.ClassRequest), stun.TransactionID).Raw
	})
	all.Go(func() {
		var conns []net.Conn
		pace(ctx, connectsPerSecond, func() {
			dial, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			conn, err := eve.Dial(dial, "tcp", media.String())
			if err != nil {
				return
			}
			opens.Add(1)
			if conns = append(conns, conn); len(conns) > 2000 {
				_ = conns[0].(*net.TCPConn).SetLinger(0)
				conns[0].Close()
				conns = conns[1:]
			}
		})
		for _, conn := range conns {
			conn.Close()
		}
	})
	var most int64
	for ctx.Err() == nil {
		most = max(most, testserver.Memory(l.server.PID())-before)
		time.Sleep(50 * time.Millisecond)
	}
	all.Wait()
	seconds := time.Since(begin).Seconds()
	s := vic.saw(begin, time.Now())
	figure(t, "flood.opens", float64(opens.Load())/seconds, "1/s")
	figure(t, "flood.memory", float64(most)/(1<<20), "MiB")
	s.report(t, "flood")
	if most > mostGrowth {
		t.Errorf("the server grew by %d MiB", most>>20)
	}
	if s.pictures < int(seconds*pictureRate)/3 {
		t.Errorf("Vic saw %d pictures in %.1f s", s.pictures, seconds)
	}
	if l.server.Exited() {
		t.Error("the server is gone")
	}
}

// pace calls f so often a second until ctx ends, in handfuls.
func pace(ctx context.Context, perSecond int, f func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for done := 0; ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			due := int(now.Sub(begin).Seconds() * float64(perSecond))
			for ; done < due && ctx.Err() == nil; done++ {
				f()
			}
		}
	}
}
