//go:build !js

package client

import (
	"context"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// idleSocket is open, and nothing comes.
type idleSocket struct{}

func (idleSocket) Read(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (idleSocket) Write(context.Context, []byte) error { return nil }
func (idleSocket) Close(string) error                  { return nil }
func (idleSocket) CloseNow()                           {}

// TestMediaWaitsForSignalling: what ends a call is that media cannot be mended, not that it could not be tried.
func TestMediaWaitsForSignalling(t *testing.T) {
	t.Parallel()
	p := newParticipant(t, nil)
	p.timing.reconnectFor = 10 * time.Millisecond
	s := newSession(p.Client, JoinConfig{}, claims{})
	newWatchdog(s, nil).state(webrtc.PeerConnectionStateFailed)
	select {
	case <-s.done:
		t.Fatal("the call was given up while there was no signalling")
	case <-time.After(3 * time.Second): // two passes
	}
	s.link.mu.Lock()
	s.link.conn = idleSocket{}
	s.link.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the call was never given up")
	}
}

// TestNodeOfAConnection: what the present connection offers is not to be taken for the offer of the one that will be with
// the next node.
func TestNodeOfAConnection(t *testing.T) {
	t.Parallel()
	p := newSession(newParticipant(t, nil).Client, JoinConfig{}, claims{}).pub
	if p.setNode("a") {
		t.Error("moved to the first node")
	}
	if _, err := p.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.setNode("b") || p.setNode("b") || p.node() != "a" {
		t.Errorf("the connection is with %q", p.node())
	}
	p.close()
	if p.setNode("b") || p.node() != "b" {
		t.Errorf("the next connection is with %q", p.node())
	}
}

// When media is gone too, a silent server is left sooner.
func TestDoubtedServer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, "gallery")
	p := newParticipant(t, nil)
	p.timing.pingEvery, p.timing.pongTimeout, p.timing.doubtTimeout = time.Minute, time.Hour, 200*time.Millisecond
	p.join(s)
	p.Client.mu.Lock()
	link := p.session.link
	p.Client.mu.Unlock()
	link.doubt()
	if _, err := p.Send(context.Background(), "still here", "", nil, ""); err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.mutes = true })
	// However many doubt it, and however often: the answer to the first is waited for.
	doubting, reconnecting := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(doubting)
		for {
			link.doubt()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-reconnecting:
				return
			}
		}
	}()
	p.told(NotifyReconnecting)
	close(reconnecting)
	<-doubting
	s.set(func() { s.mutes = false })
	p.told(NotifyReconnected)
}
