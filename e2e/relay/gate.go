package relay

import (
	"context"
	"sync"
)

// gate is open until it is shut. The zero gate is open.
type gate struct {
	mu      sync.Mutex
	shutter chan struct{} // closed when the gate opens; nil while it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shutter == nil {
		g.shutter = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shutter != nil {
		close(g.shutter)
		g.shutter = nil
	}
}

// wait returns when the gate is open.
func (g *gate) wait(ctx context.Context) error {
	g.mu.Lock()
	shutter := g.shutter
	g.mu.Unlock()
	if shutter == nil {
		return ctx.Err()
	}
	select {
	case <-shutter:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
