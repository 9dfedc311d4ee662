package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"amphi/server/protocol"

	"github.com/google/uuid"
)

// Times of signalling (§3.3, §3.4).
const (
	pingEvery     = 3 * time.Second
	pongTimeout   = 12 * time.Second
	doubtTimeout  = time.Second // of a ping, when media does not come through either
	requestTries  = 3
	retryMin      = 2 * time.Second
	retryMax      = 4 * time.Second
	writeTimeout  = 10 * time.Second
	answerTimeout = 30 * time.Second
)

// maxServerFrame bounds one message of the server: a peer-list of some
// thousands of peers fits.
const maxServerFrame = 8 << 20

// errSocketLost ends requests whose socket went away before the answer; they
// are sent again on the next one.
var errSocketLost = fmt.Errorf("signalling connection lost")

// errSilent ends a socket over which the server does not answer.
var errSilent = fmt.Errorf("%w: server is silent", errSocketLost)

// timing is what a test makes shorter.
type timing struct {
	pingEvery, pongTimeout time.Duration
	doubtTimeout           time.Duration
	retryMin, retryMax     time.Duration // between tries of a request
	reconnectEvery         time.Duration
	reconnectFor           time.Duration // then the call is given up
	connectTries           int           // of the first connection
	measureEvery           time.Duration
	mediaGrace             time.Duration // until a connection that is not connected counts as failed
}

func defaultTiming() timing {
	return timing{
		pingEvery: pingEvery, pongTimeout: pongTimeout, doubtTimeout: doubtTimeout, retryMin: retryMin, retryMax: retryMax,
		reconnectEvery: time.Second, reconnectFor: time.Minute, connectTries: 5, mediaGrace: 5 * time.Second,
		measureEvery: measureEvery,
	}
}

// socket is a WebSocket with text messages: the browser's, or a library's.
type socket interface {
	Read(ctx context.Context) ([]byte, error) // one goroutine; ends with CloseNow
	Write(ctx context.Context, message []byte) error
	Close(reason string) error // with a handshake
	CloseNow()
}

// link is the signalling of one session over any number of sockets, one at a
// time. Requests wait for answers by id; a lost socket fails them, and they are
// tried again on the next. handle is called for each notification, in order,
// and must not block.
type link struct {
	ctx    context.Context // of the session: after its end there is no next socket
	log    *slog.Logger
	timing timing
	handle func(method string, params json.RawMessage)
	doubts chan struct{} // holds one

	mu      sync.Mutex
	conn    socket        // nil while there is none
	up      chan struct{} // closed while conn is not nil
	pending map[string]chan protocol.Frame
	heard   time.Time // last frame from the server
	bad     int       // frames that could not be read
}

func newLink(ctx context.Context, log *slog.Logger, t timing, handle func(string, json.RawMessage)) *link {
	return &link{ctx: ctx, log: log, timing: t, handle: handle, doubts: make(chan struct{}, 1), up: make(chan struct{}), pending: map[string]chan protocol.Frame{}}
}

// serve reads one socket until it ends, and returns why. It calls up when requests go over this socket.
func (l *link) serve(ctx context.Context, conn socket, up func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-l.doubts: // of the socket before
	default:
	}
	l.mu.Lock()
	l.conn, l.heard = conn, time.Now()
	close(l.up)
	l.mu.Unlock()
	defer l.lost(conn)
	up()

	silent := make(chan struct{})
	spawn(func() { l.ping(ctx, conn, silent) })
	for {
		data, err := conn.Read(ctx)
		if err != nil {
			select {
			case <-silent:
				return errSilent
			default:
				return fmt.Errorf("%w: %w", errSocketLost, err)
			}
		}
		l.receive(data)
	}
}

// lost fails what waits for an answer on this socket.
func (l *link) lost(conn socket) {
	l.mu.Lock()
	l.conn = nil
	l.up = make(chan struct{})
	pending := l.pending
	l.pending = map[string]chan protocol.Frame{}
	l.mu.Unlock()
	for _, answer := range pending {
		close(answer)
	}
	conn.CloseNow()
}

// receive takes one frame. One that cannot be read is dropped; the connection
// stays (§3.2).
func (l *link) receive(data []byte) {
	frame, err := parseFrame(data)
	l.mu.Lock()
	l.heard = time.Now()
	if err != nil {
		l.bad++
		l.mu.Unlock()
		l.log.Debug("frame dropped", "err", err)
		return
	}
	answer := l.pending[frame.ID]
	delete(l.pending, frame.ID)
	l.mu.Unlock()
	switch {
	case answer != nil:
		answer <- frame // has room for its one answer
	case frame.ID == "":
		l.handle(frame.Method, frame.Params)
	}
}

// parseFrame reads a frame of the server, whose messages may be larger than
// those that the server takes.
func parseFrame(data []byte) (protocol.Frame, error) {
	var f protocol.Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("%w: %w", protocol.ErrBadFrame, err)
	}
	if f.ID == "" && f.Method == "" {
		return f, fmt.Errorf("%w: neither id nor method", protocol.ErrBadFrame)
	}
	return f, nil
}

// doubt asks the server at once whether it is there, because it seems not to be: an address of this machine may have
// changed, and then nothing else ends the socket soon.
func (l *link) doubt() {
	select {
	case l.doubts <- struct{}{}:
	default:
	}
}

// ping keeps asking; when nothing at all comes for too long it closes the socket.
func (l *link) ping(ctx context.Context, conn socket, silent chan struct{}) {
	doubted := false
	for {
		sent := time.Now()
		if err := l.write(ctx, conn, protocol.Request(uuid.NewString(), protocol.MethodPing, protocol.Ping{Timestamp: sent.UnixMilli()})); err != nil {
			return // the reader sees the socket end
		}
		if doubted {
			// Whoever doubts meanwhile waits for the same answer.
			sleep(ctx, l.timing.doubtTimeout)
			doubted = false
		} else if doubted = l.pause(ctx, min(l.timing.pingEvery, l.timing.pongTimeout)); !doubted && !l.heardSince(sent) {
			// Timers of hidden pages run late, answers do not: the time counts from
			// the ping, and any frame is an answer.
			doubted = l.pause(ctx, l.timing.pongTimeout-time.Since(sent))
		}
		if ctx.Err() != nil {
			return
		}
		if !doubted && !l.heardSince(sent) {
			close(silent)
			conn.CloseNow()
			return
		}
	}
}

// pause waits, but not longer than until somebody doubts the socket.
func (l *link) pause(ctx context.Context, d time.Duration) (doubted bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.doubts:
		return true
	case <-ctx.Done():
	}
	return false
}

func (l *link) heardSince(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.After(t)
}

func (l *link) write(ctx context.Context, conn socket, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return conn.Write(ctx, data)
}

// notify sends a message that has no answer. Without a socket it is dropped:
// what matters is sent again after a reconnect.
func (l *link) notify(ctx context.Context, method string, params any) {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return
	}
	// Notifications of a client carry no "jsonrpc" (§3.2).
	data, err := json.Marshal(struct {
		Method string `json:"method"`
		Params any    `json:"params"`
	}{method, params})
	if err != nil {
		l.log.Error("message cannot be encoded", "method", method, "err", err)
		return
	}
	if err := l.write(ctx, conn, data); err != nil {
		l.log.Debug("message not sent", "method", method, "err", err)
	}
}

// request sends a message and waits for its answer, trying again with a new id
// where the error may pass (§3.4). The end of the session ends it. result may be nil.
func (l *link) request(ctx context.Context, method string, params, result any) error {
	return l.requestTries(ctx, requestTries, method, params, result)
}

func (l *link) requestTries(ctx context.Context, tries int, method string, params, result any) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	for try := 1; ; try++ {
		err := l.requestOnce(ctx, method, params, result)
		if err != nil && try < tries && isRetryable(err) {
			l.log.Debug("request is tried again", "method", method, "try", try, "err", err)
			if sleep(ctx, l.timing.retryMin+rand.N(l.timing.retryMax-l.timing.retryMin+1)) {
				continue
			}
		}
		if err != nil && l.ctx.Err() != nil {
			return l.over()
		}
		return err
	}
}

// over is what requests get whose session has ended: the reason, if it was an error.
func (l *link) over() error {
	cause := context.Cause(l.ctx)
	var e *Error
	if errors.As(cause, &e) {
		return e
	}
	return newError(codeNotConnected, "NONE", "the stay in the room is over: %w", cause)
}

func (l *link) requestOnce(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := l.wait(ctx)
	if err != nil {
		return err
	}
	id := uuid.NewString()
	answer := make(chan protocol.Frame, 1)
	l.mu.Lock()
	if l.conn != conn {
		l.mu.Unlock()
		return errSocketLost
	}
	l.pending[id] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, id)
		l.mu.Unlock()
	}()
	if err := l.write(ctx, conn, protocol.Request(id, method, params)); err != nil {
		return fmt.Errorf("%w: %w", errSocketLost, err)
	}
	select {
	case frame, ok := <-answer:
		switch {
		case !ok:
			return errSocketLost
		case frame.Error != nil:
			return frame.Error
		case result == nil || len(frame.Result) == 0:
			return nil
		}
		if err := json.Unmarshal(frame.Result, result); err != nil {
			return fmt.Errorf("result of %s: %w", method, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no answer to %s: %w", method, context.Cause(ctx))
	}
}

// wait blocks until there is a socket.
func (l *link) wait(ctx context.Context) (socket, error) {
	for {
		l.mu.Lock()
		conn, up := l.conn, l.up
		l.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errSocketLost, ctx.Err())
		}
	}
}

func (l *link) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil
}

// drop ends the present socket, if there is one; serve returns.
func (l *link) drop() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		conn.CloseNow()
	}
}

// close says goodbye on the present socket, as the protocol wants it (§1.7).
func (l *link) close() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return
	}
	if err := conn.Close("Normal Close"); err != nil && !errors.Is(err, context.Canceled) {
		l.log.Debug("close", "err", err)
	}
}

// sleep waits, and tells whether the whole time passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
