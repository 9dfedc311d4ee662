package signal

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pacer bounds how often sockets are written to, all together. What is told to a
// crowd is one frame, but a write for each of its sockets, and the kernel's part
// of a write costs twenty times ours. Within the budget each frame is written at
// once. Beyond it sockets stand in line for their next write, which then takes
// all that has gathered in their queues.
type pacer struct {
	budget *rate.Limiter

	mu     sync.Mutex
	line   []*conn       // each once
	done   chan struct{} // closed when run has ended; nil: it does not run
	closed bool
}

// pacerTurn is how long the line stands still, to let several go at once.
const pacerTurn = 5 * time.Millisecond

func newPacer(perSecond int) *pacer {
	// Half a second's worth of writes at once: a crowd is told of one thing without delay.
	return &pacer{budget: rate.NewLimiter(rate.Limit(perSecond), perSecond/2)}
}

// admit says whether the socket may be written to now. If not, its turn comes.
func (p *pacer) admit(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		if p.budget.Allow() {
			return true
		}
		p.done = make(chan struct{})
		go p.run(p.done)
	}
	p.line = append(p.line, c)
	return false
}

// run has the line move on until nobody stands in it.
func (p *pacer) run(done chan struct{}) {
	defer close(done)
	for {
		time.Sleep(pacerTurn)
		for _, c := range p.next() {
			c.turn()
		}
		p.mu.Lock()
		over := len(p.line) == 0 || p.closed
		if over {
			p.line, p.done = nil, nil
		}
		p.mu.Unlock()
		if over {
			return
		}
	}
}

// next takes those off the line whose turn it is.
func (p *pacer) next() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.line), max(int(p.budget.Tokens()), 0))
	p.budget.AllowN(time.Now(), n)
	turn := p.line[:n:n]
	p.line = p.line[n:]
	return turn
}

// close ends the pacer when all sockets are closed, which are not paced any more.
func (p *pacer) close() {
	p.mu.Lock()
	p.closed = true
	done := p.done
	p.mu.Unlock()
	if done != nil {
		<-done
	}
}
