package signal

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"amphi/server/protocol"
	"amphi/server/room"
)

const (
	// maxBadFrames is how many messages of a wrong shape a socket may send before it
	// is closed.
	maxBadFrames = 20

	// writeBatch is how much is written at once at most, so that a buffer stays small.
	writeBatch = 64 << 10

	// closeWait is how long the other side may take to answer the closing handshake.
	closeWait = 2 * time.Second
)

// conn is one socket with its bounded queue; it is the room's Sink. One goroutine
// reads. Another writes, while there is something to write: thousands of sockets
// are idle at most times, and a goroutine that waits costs as much memory as all
// the rest of a socket.
type conn struct {
	server *Server
	ws     *websocket.Conn
	ping   *time.Timer
	limit  int    // of queue
	asked  uint64 // the last mark; the reader's own, as the next
	there  uint64 // the last mark that was answered

	mu      sync.Mutex // guards all below
	queue   [][]byte   // frames that wait
	mark    uint64     // to be written after them: see asks; 0 for none
	writing bool       // a goroutine is in write
	inLine  bool       // waits for the pacer
	closed  bool       // no more frames are taken
	reason  string     // why, for the other side
	writers sync.WaitGroup
}

func newConn(s *Server, ws *websocket.Conn) *conn {
	c := &conn{server: s, ws: ws, limit: s.QueueFrames}
	ws.SetReadLimit(int64(s.FrameBytes))
	_ = ws.SetReadDeadline(c.deadline())
	c.ping = time.AfterFunc(s.PingEvery, c.sendPing)
	return c
}

// Send implements room.Sink. A reader that is so slow that its queue is full is
// dropped: it reconnects and is brought up to date at once.
func (c *conn) Send(frame []byte) { c.put(frame, false) }

// reply is Send for what the client waits for.
func (c *conn) reply(frame []byte) { c.put(frame, true) }

func (c *conn) put(frame []byte, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case len(c.queue) >= c.limit:
		c.server.stats.slowSocket.Add(1)
		c.close("too slow")
	default:
		c.queue = append(c.queue, frame)
		if now || !c.inLine && !c.writing && c.server.pacer.admit(c) {
			c.wake()
		} else if !c.writing {
			c.inLine = true
		}
	}
}

// turn is called by the pacer.
func (c *conn) turn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inLine = false
	if len(c.queue) > 0 {
		c.wake()
	}
}

// Close implements room.Sink.
func (c *conn) Close(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(reason)
}

// close and wake are called with mu held.
func (c *conn) close(reason string) {
	if !c.closed {
		c.closed, c.reason = true, reason
		c.ping.Stop()
		c.wake()
	}
}

func (c *conn) wake() {
	if !c.writing {
		c.writing = true
		c.writers.Add(1)
		go c.write()
	}
}

// finish ends the socket and waits for its writer.
func (c *conn) finish() {
	c.Close("bye")
	c.writers.Wait()
	_ = c.ws.Close()
}

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// write writes what is queued until there is no more, and says goodbye if the
// socket was closed meanwhile.
func (c *conn) write() {
	defer c.writers.Done()
	buf := writeBuffers.Get().(*[]byte)
	defer writeBuffers.Put(buf)
	for {
		c.mu.Lock()
		frames, mark, closed, reason := c.queue, c.mark, c.closed, c.reason
		c.queue, c.mark = nil, 0
		if len(frames) == 0 && mark == 0 && !closed {
			c.writing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if !c.writeFrames(frames, mark, buf) {
			c.Close("write failed")
			_ = c.ws.Close() // wakes the reader
			return
		}
		if len(frames) == 0 && mark == 0 { // closed, and all is said
			c.sayGoodbye(reason)
			return
		}
	}
}

// writeFrames writes text frames to the connection itself, several at once. The
// library, which answers pings and closes by itself, writes whole frames too: the
// connection keeps writes apart. A mark goes out as a ping after the frames.
func (c *conn) writeFrames(frames [][]byte, mark uint64, buf *[]byte) bool {
	b := (*buf)[:0]
	for i := range len(frames) + 1 {
		if i < len(frames) {
			b = append(appendHeader(b, len(frames[i])), frames[i]...)
		} else if mark > 0 {
			b = binary.BigEndian.AppendUint64(append(b, 0x80|websocket.PingMessage, 8), mark)
		}
		if len(b) < writeBatch && i < len(frames) || len(b) == 0 {
			continue
		}
		if err := c.ws.NetConn().SetWriteDeadline(time.Now().Add(c.server.WriteTimeout)); err != nil {
			return false
		}
		if _, err := c.ws.NetConn().Write(b); err != nil {
			return false
		}
		c.server.stats.writes.Add(1)
		b = b[:0]
	}
	if cap(b) <= 2*writeBatch {
		*buf = b
	}
	c.server.stats.framesOut.Add(uint64(len(frames)))
	return true
}

// appendHeader appends the header of an unmasked, unfragmented text frame of n
// bytes (RFC 6455, 5.2).
func appendHeader(b []byte, n int) []byte {
	const finText = 0x81
	switch {
	case n < 126:
		return append(b, finText, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, finText, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, finText, 127), uint64(n))
	}
}

// sayGoodbye begins the closing handshake. The reader ends with its end.
func (c *conn) sayGoodbye(reason string) {
	const maxReason = 123 // bytes in a control frame (RFC 6455, 5.5.1)
	message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason[:min(len(reason), maxReason)])
	_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(c.server.WriteTimeout))
	_ = c.ws.SetReadDeadline(time.Now().Add(closeWait))
}

// sendPing checks that the other side lives, again and again.
func (c *conn) sendPing() {
	if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.WriteTimeout)) != nil {
		_ = c.ws.Close()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.ping.Reset(c.server.PingEvery)
	}
}

// asks finds out what has arrived: after all that the room has handed over up to now a ping goes out with the number
// of the newest event in it, and the answer, which every WebSocket client gives by itself, says that all of it is there.
// That is done when something new was told and a frame came from the client, that is, with the answer to its ping. It is
// heard with the next frame: a browser answers for a page that stands still, which may give the socket up, and what
// waits in it, when it goes on.
func (c *conn) asks(told uint64) {
	if told <= c.asked {
		return
	}
	c.asked = told
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark = told
}

// alive gives the other side, which has answered, until after the next ping.
func (c *conn) alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // then it has closeWait
		return nil
	}
	return c.ws.SetReadDeadline(c.deadline())
}

func (c *conn) deadline() time.Time {
	return time.Now().Add(c.server.PingEvery + c.server.WriteTimeout)
}

// serve reads and answers until the socket ends, and reports whether its end
// means a closed tab.
func (c *conn) serve(ctx context.Context, peer *room.Peer) (goingAway bool) {
	pace := rate.NewLimiter(rate.Limit(c.server.FramesPerSecond), c.server.FrameBurst)
	bad := 0
	tooFast := false // since a warning
	c.ws.SetPongHandler(func(data string) error {
		if len(data) == 8 {
			// No more than was asked: a client may answer what it likes.
			c.there = max(c.there, min(binary.BigEndian.Uint64([]byte(data)), c.asked))
		}
		return c.alive()
	})
	for {
		kind, data, err := c.ws.ReadMessage()
		if err != nil {
			return websocket.IsCloseError(err, websocket.CloseGoingAway)
		}
		c.server.stats.framesIn.Add(1)
		peer.Heard(c.there)
		c.asks(peer.Told())
		frame, err := protocol.ParseFrame(data)
		if kind != websocket.TextMessage {
			err = protocol.ErrBadFrame
		}
		switch {
		case err != nil:
			c.server.stats.badFrames.Add(1)
			if bad++; bad > maxBadFrames {
				c.Close("too many bad frames")
				return false
			}
			c.reply(protocol.Notification(protocol.OnWarning, protocol.Errorf(protocol.CodeBadRequest, "%v", err)))
		case !pace.Allow():
			c.server.stats.tooFast.Add(1)
			refusal := protocol.Errorf(protocol.CodeTooMany, "too many frames, slow down")
			switch {
			case frame.ID != "":
				c.reply(protocol.Failure(frame.ID, refusal))
			case !tooFast: // once: notifications are not answered
				c.reply(protocol.Notification(protocol.OnWarning, refusal))
			}
			tooFast = true
		case frame.Method == protocol.MethodLeave:
			_ = peer.Leave(ctx) // a room that has ended is left already
			return false
		case frame.Method != "":
			tooFast = false
			c.answer(ctx, peer, frame)
		} // a response needs nothing: the server sends no requests
	}
}

// drain reads, and answers nothing, until the socket ends.
func (c *conn) drain() {
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return
		}
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
			c.reply(protocol.Failure(frame.ID, refusal))
		}
		return
	}
	if frame.ID != "" {
		c.reply(protocol.Result(frame.ID, result))
	}
}
