package network

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// carried is what became of packets that were sent at an even pace.
type carried struct {
	delays []time.Duration // of those that arrived, in the order of sending
	bursts []int           // lengths of runs of lost packets
	twice  int
}

func (c carried) loss(sent int) float64 { return 1 - float64(len(c.delays))/float64(sent) }

// send puts packets of 1250 bytes (10,000 bits) on a line, one every pace.
func send(link Link, packets int, pace time.Duration) (c carried, counts Counts) {
	l := line{link: link, random: rand.New(rand.NewPCG(1, 1))}
	now := time.Unix(0, 0)
	run := 0
	for range packets {
		at, copies := l.carry(now, Packet{Size: 1250, Protocol: UDP})
		if copies == 0 {
			run++
		} else {
			c.delays = append(c.delays, at.Sub(now))
			if run > 0 {
				c.bursts = append(c.bursts, run)
			}
			run = 0
		}
		if copies == 2 {
			c.twice++
		}
		now = now.Add(pace)
	}
	return c, l.counts
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestLoss(t *testing.T) {
	const packets = 100_000
	for _, loss := range []float64{0, 0.02, 0.05, 0.1, 1} {
		c, counts := send(Link{Loss: loss}, packets, time.Millisecond)
		if got := c.loss(packets); !near(got, loss, 0.005) || counts.Lost+counts.Passed != packets {
			t.Errorf("loss %g of %g, %+v", got, loss, counts)
		}
	}
	c, _ := send(Link{Loss: 0.05, Burst: 4}, packets, time.Millisecond)
	sum := 0
	for _, n := range c.bursts {
		sum += n
	}
	if mean := float64(sum) / float64(len(c.bursts)); !near(c.loss(packets), 0.05, 0.01) || !near(mean, 4, 0.5) {
		t.Errorf("in bursts: loss %g, mean length %g", c.loss(packets), mean)
	}
	if again, _ := send(Link{Loss: 0.05, Burst: 4}, packets, time.Millisecond); !slices.Equal(again.delays, c.delays) || !slices.Equal(again.bursts, c.bursts) {
		t.Error("the same seed gives another result")
	}
	if c, _ := send(Link{Duplicate: 0.1}, packets, time.Millisecond); !near(float64(c.twice)/packets, 0.1, 0.01) {
		t.Errorf("%d of %d packets twice", c.twice, packets)
	}
}

func TestDelay(t *testing.T) {
	const packets = 10_000
	c, _ := send(Link{Delay: 100 * time.Millisecond}, packets, time.Millisecond)
	if slices.Min(c.delays) != 100*time.Millisecond || slices.Max(c.delays) != 100*time.Millisecond {
		t.Errorf("without jitter %v to %v", slices.Min(c.delays), slices.Max(c.delays))
	}
	jitter := Link{Delay: 100 * time.Millisecond, Jitter: 50 * time.Millisecond}
	// At a pace beyond the jitter nothing has to wait for anything.
	c, _ = send(jitter, packets, time.Second)
	if low, high := slices.Min(c.delays), slices.Max(c.delays); low < 50*time.Millisecond || low > 51*time.Millisecond ||
		high > 150*time.Millisecond || high < 149*time.Millisecond {
		t.Errorf("with jitter %v to %v", low, high)
	}
	overtaken := func(c carried) (n int) {
		for i := 1; i < len(c.delays); i++ {
			if c.delays[i-1] > c.delays[i]+time.Millisecond {
				n++
			}
		}
		return n
	}
	if c, _ = send(jitter, packets, time.Millisecond); overtaken(c) != 0 {
		t.Errorf("%d packets overtook others", overtaken(c))
	}
	jitter.Reorder = true
	if c, _ = send(jitter, packets, time.Millisecond); overtaken(c) < packets/4 {
		t.Errorf("only %d packets overtook others", overtaken(c))
	}
}

func TestRate(t *testing.T) {
	// 2 Mbit/s for a line of 1 Mbit/s: half passes, and what passes has waited until the queue was full.
	c, counts := send(Link{Rate: 1_000_000, Queue: 100 * time.Millisecond}, 1000, 5*time.Millisecond)
	if !near(c.loss(1000), 0.5, 0.03) || counts.Full == 0 || counts.Lost != 0 {
		t.Errorf("loss %g, %+v", c.loss(1000), counts)
	}
	if last := c.delays[len(c.delays)-1]; c.delays[0] != 10*time.Millisecond || last < 95*time.Millisecond || last > 111*time.Millisecond {
		t.Errorf("first %v, last %v", c.delays[0], last)
	}
	if c, _ := send(Link{Rate: 1_000_000}, 1000, 20*time.Millisecond); c.loss(1000) != 0 || slices.Max(c.delays) != 10*time.Millisecond {
		t.Errorf("half of the rate: loss %g, at most %v", c.loss(1000), slices.Max(c.delays))
	}
}

func TestBlock(t *testing.T) {
	packet := func(protocol uint8, from, to uint16) Packet {
		any := netip.MustParseAddr("10.0.0.1")
		return Packet{Protocol: protocol, Source: netip.AddrPortFrom(any, from), Destination: netip.AddrPortFrom(any, to)}
	}
	for _, test := range []struct {
		link   Link
		packet Packet
		passes bool
	}{
		{Link{}, packet(UDP, 1, 2), true},
		{Link{Down: true}, packet(TCP, 1, 2), false},
		{Link{Block: NoUDP}, packet(UDP, 1, 2), false},
		{Link{Block: NoUDP}, packet(TCP, 1, 2), true},
		{Link{Block: OnlyTCP(443)}, packet(TCP, 5000, 443), true},
		{Link{Block: OnlyTCP(443)}, packet(TCP, 443, 5000), true},
		{Link{Block: OnlyTCP(443)}, packet(TCP, 5000, 80), false},
		{Link{Block: OnlyTCP(443)}, packet(UDP, 5000, 443), false},
	} {
		l := line{link: test.link}
		if _, copies := l.carry(time.Now(), test.packet); copies > 0 != test.passes {
			t.Errorf("%+v: passes %v", test.packet, copies > 0)
		}
	}
}

func TestPipeOrder(t *testing.T) {
	var got []byte
	arrived := make(chan struct{})
	p := newPipe(1, func(b []byte) {
		if got = append(got, b[0]); len(got) == 200 {
			close(arrived)
		}
	})
	p.set(Link{Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond})
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); p.run(done) }()
	for i := range 200 {
		p.send(Packet{Size: 1}, []byte{byte(i)})
	}
	select {
	case <-arrived:
	case <-time.After(20 * time.Second):
		t.Error("packets stay on the line")
	}
	close(done)
	<-ended
	if !slices.IsSorted(got) || len(got) != 200 {
		t.Errorf("%d packets in the order %v", len(got), got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 5, 0, 6, 0, 8, 0, 0})
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 4, 6, 64}, make([]byte, 40)...))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parse(b)
		if ok && (!p.Source.IsValid() || !p.Destination.IsValid() || p.Size != len(b)) {
			t.Errorf("%x: %+v", b, p)
		}
		if ok && p.Protocol != TCP && p.Protocol != UDP && p.Source.Port() != 0 {
			t.Errorf("%x: a port without a protocol", b)
		}
	})
}
