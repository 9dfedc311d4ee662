package signal

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"amphi/server/protocol"
	"amphi/server/room"
)

// maxBadFrames is how many messages of a wrong shape a socket may send before it
// is closed.
const maxBadFrames = 20

// conn is one socket with its bounded queue; it is the room's Sink. One goroutine
// reads, one writes.
type conn struct {
	server *Server
	ws     *websocket.Conn
	queue  chan []byte

	closeOnce sync.Once
	closing   chan struct{} // closed when no more frames are taken
	reason    string        // set before closing is closed
	written   chan struct{} // closed when the writer has ended
}

func newConn(s *Server, ws *websocket.Conn) *conn {
	c := &conn{
		server: s, ws: ws, queue: make(chan []byte, s.QueueFrames),
		closing: make(chan struct{}), written: make(chan struct{}),
	}
	go c.write()
	return c
}

// Send implements room.Sink. A reader that is so slow that its queue is full is
// dropped: it reconnects and is brought up to date at once.
func (c *conn) Send(frame []byte) {
	select {
	case c.queue <- frame:
	case <-c.closing:
	default:
		c.server.stats.slowSocket.Add(1)
		c.Close("too slow")
	}
}

// Close implements room.Sink.
func (c *conn) Close(reason string) {
	c.closeOnce.Do(func() {
		c.reason = reason
		close(c.closing)
	})
}

// finish ends the socket and waits for its writer.
func (c *conn) finish() {
	c.Close("bye")
	<-c.written
	_ = c.ws.CloseNow() // closed already, as a rule
}

// write sends what is queued, and pings between, until the socket closes.
func (c *conn) write() {
	defer close(c.written)
	ping := time.AfterFunc(c.server.PingEvery, c.ping)
	defer ping.Stop()
	for {
		select {
		case frame := <-c.queue:
			if !c.writeFrame(frame) {
				c.Close("write failed")
				_ = c.ws.CloseNow() // wakes the reader
				return
			}
		case <-c.closing:
			for {
				select {
				case frame := <-c.queue:
					if c.writeFrame(frame) {
						continue
					}
				default:
				}
				_ = c.ws.Close(websocket.StatusNormalClosure, c.reason)
				return
			}
		}
	}
}

func (c *conn) writeFrame(frame []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.server.WriteTimeout)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, frame); err != nil {
		return false
	}
	c.server.stats.framesOut.Add(1)
	return true
}

// ping checks that the other side lives, again and again. It runs beside the
// writer, which must not wait for a pong.
func (c *conn) ping() {
	ctx, cancel := context.WithTimeout(context.Background(), c.server.WriteTimeout)
	defer cancel()
	if err := c.ws.Ping(ctx); err != nil {
		_ = c.ws.CloseNow()
		return
	}
	select {
	case <-c.closing:
	default:
		time.AfterFunc(c.server.PingEvery, c.ping)
	}
}

// serve reads and answers until the socket ends, and reports whether its end
// means a closed tab.
func (c *conn) serve(ctx context.Context, peer *room.Peer) (goingAway bool) {
	pace := rate.NewLimiter(rate.Limit(c.server.FramesPerSecond), c.server.FrameBurst)
	bad := 0
	for {
		kind, data, err := c.ws.Read(ctx)
		if err != nil {
			return closedByTab(err)
		}
		c.server.stats.framesIn.Add(1)
		frame, err := protocol.ParseFrame(data)
		if kind != websocket.MessageText {
			err = protocol.ErrBadFrame
		}
		switch {
		case err != nil:
			c.server.stats.badFrames.Add(1)
			if bad++; bad > maxBadFrames {
				c.Close("too many bad frames")
				return false
			}
			c.Send(protocol.Notification(protocol.OnWarning, protocol.Errorf(protocol.CodeBadRequest, "%v", err)))
		case !pace.Allow():
			c.server.stats.tooFast.Add(1)
			if frame.ID != "" {
				c.Send(protocol.Failure(frame.ID, protocol.Errorf(protocol.CodeTooMany, "too many frames, slow down")))
			}
		case frame.Method == protocol.MethodLeave:
			_ = peer.Leave(ctx) // a room that has ended is left already
			return false
		case frame.Method != "":
			c.answer(ctx, peer, frame)
		} // a response needs nothing: the server sends no requests
	}
}

// answer runs one request or notification.
func (c *conn) answer(ctx context.Context, peer *room.Peer, frame protocol.Frame) {
	result, err := dispatch(ctx, peer, frame)
	if err != nil {
		refusal := room.AsProtocol(err)
		if refusal.Code == protocol.CodeInternal && !errors.Is(err, context.Canceled) {
			c.server.Log.Error("a message failed", "method", frame.Method, "peer", peer.ID, "err", err)
		} else {
			c.server.Log.Debug("a message was refused", "method", frame.Method, "peer", peer.ID, "err", err)
		}
		if frame.ID != "" {
			c.Send(protocol.Failure(frame.ID, refusal))
		}
		return
	}
	if frame.ID != "" {
		c.Send(protocol.Result(frame.ID, result))
	}
}
