package network

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// mostInFlight bounds the packets on a line: a second at 100 Mbit/s and more.
const mostInFlight = 16384

// pipe is one direction of a host's line with the packets that are on it.
type pipe struct {
	out  func([]byte) // where packets arrive; called by run alone
	wake chan struct{}

	mu     sync.Mutex
	line   line
	flying flight
	sent   uint64 // numbers packets, so that those of one moment keep their order
}

func newPipe(seed uint64, out func([]byte)) *pipe {
	return &pipe{out: out, wake: make(chan struct{}, 1), line: line{random: rand.New(rand.NewPCG(seed, seed))}}
}

// set changes what happens to packets from now on. Those on the line arrive as they would have.
func (p *pipe) set(link Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.link = link
}

func (p *pipe) counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line.counts
}

// send puts a packet on the line, which owns its bytes from then on.
func (p *pipe) send(what Packet, b []byte) {
	p.mu.Lock()
	at, copies := p.line.carry(time.Now(), what)
	if len(p.flying)+copies > mostInFlight {
		p.line.counts.Full++
		copies = 0
	}
	first := copies > 0
	for range copies {
		p.sent++
		heap.Push(&p.flying, flying{at, p.sent, b})
	}
	first = first && p.flying[0].at.Equal(at)
	p.mu.Unlock()
	if first {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// run delivers packets in time until done is closed.
func (p *pipe) run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := p.next()
		if b != nil {
			p.out(b)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-done:
			return
		}
	}
}

// next takes the packet that arrives now off the line, or says how long there is none.
func (p *pipe) next() (b []byte, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.flying) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(p.flying[0].at); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&p.flying).(flying).packet, 0
}

// flying is a packet on the line.
type flying struct {
	at     time.Time
	number uint64
	packet []byte
}

// flight is a heap of packets, the next to arrive first.
type flight []flying

func (f flight) Len() int      { return len(f) }
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f flight) Less(i, j int) bool {
	if f[i].at.Equal(f[j].at) {
		return f[i].number < f[j].number
	}
	return f[i].at.Before(f[j].at)
}
func (f *flight) Push(x any) { *f = append(*f, x.(flying)) }
func (f *flight) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	(*f)[last] = flying{}
	*f = (*f)[:last]
	return x
}
