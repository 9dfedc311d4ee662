package jsbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"
)

// ErrSocketClosed is the end of a socket. What comes after it says how.
var ErrSocketClosed = errors.New("socket closed")

// Socket is a WebSocket of the browser with text messages. A library would add
// 65 KB to the program.
type Socket struct {
	ws    js.Value
	stops []func()

	mu       sync.Mutex
	messages []string
	bytes    int
	err      error         // of the end
	wake     chan struct{} // one slot
}

// maxBuffered bounds what was sent and is not on its way yet.
const maxBuffered = 4 << 20

// Dial opens a socket. maxBytes bounds the messages that wait for Read: beyond
// it the socket is closed.
func Dial(ctx context.Context, url string, maxBytes int) (*Socket, error) {
	ws, err := New("WebSocket", url)
	if err != nil {
		return nil, err
	}
	s := &Socket{ws: ws, wake: make(chan struct{}, 1)}
	opened := make(chan struct{}, 1)
	s.stops = []func(){
		Listen(ws, "open", func(js.Value) { opened <- struct{}{} }),
		Listen(ws, "message", func(event js.Value) {
			data := event.Get("data")
			if data.Type() != js.TypeString {
				return
			}
			text := data.String()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.bytes += len(text); s.bytes > maxBytes {
				s.end(fmt.Errorf("%w: messages are not read fast enough", ErrSocketClosed))
				return
			}
			s.messages = append(s.messages, text)
			s.signal()
		}),
		Listen(ws, "close", func(event js.Value) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.end(fmt.Errorf("%w: code %d %s", ErrSocketClosed, event.Get("code").Int(), event.Get("reason").String()))
		}),
		// An error event says nothing; the close event follows.
	}
	select {
	case <-opened:
		return s, nil
	case <-s.wake:
		s.CloseNow()
		return nil, s.err
	case <-ctx.Done():
		s.CloseNow()
		return nil, ctx.Err()
	}
}

// end is called with mu held; the first end counts.
func (s *Socket) end(err error) {
	if s.err == nil {
		s.err = err
	}
	s.signal()
}

func (s *Socket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Read returns the next message. It belongs to one goroutine.
func (s *Socket) Read(ctx context.Context) ([]byte, error) {
	for {
		s.mu.Lock()
		if len(s.messages) > 0 {
			text := s.messages[0]
			s.messages = s.messages[1:]
			s.bytes -= len(text)
			s.mu.Unlock()
			return []byte(text), nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Write sends a text message. It does not wait until it is on its way.
func (s *Socket) Write(_ context.Context, message []byte) error {
	const open = 1 // WebSocket.OPEN
	switch {
	case s.ws.Get("readyState").Int() != open:
		return ErrSocketClosed
	case s.ws.Get("bufferedAmount").Int() > maxBuffered:
		return fmt.Errorf("%w: it does not take what is sent", ErrSocketClosed)
	}
	_, err := Call(s.ws, "send", string(message))
	return err
}

// Close says goodbye.
func (s *Socket) Close(reason string) error {
	_, err := Call(s.ws, "close", 1000, reason)
	return err
}

// CloseNow lets go of the socket; Read returns. It may be called twice.
func (s *Socket) CloseNow() {
	s.mu.Lock()
	stops := s.stops
	s.stops = nil
	s.end(ErrSocketClosed)
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	_, _ = Call(s.ws, "close")
}
