package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"

	"amphi/server/egress"
)

const (
	// chunkSize is how long the pieces are that our messages are sent in: most in one.
	chunkSize = 64 << 10

	// ackWindow is how many bytes a server may leave unacknowledged.
	ackWindow = 2_500_000

	// Numbers of chunk streams and of the one message stream (RTMP 1.0 §5.3.1, §7.2.2.1), as others use them.
	commandChunks = 3
	streamChunks  = 4
	messageStream = 0x1000000 // 1, little-endian
)

// Numbers of our commands.
const (
	commandConnect = iota + 1
	commandRelease
	commandAnnounce
	commandCreate
	commandPublish
	commandDelete
)

// errRefused is a server's answer that it does not take the stream.
var errRefused = errors.New("the server refuses the stream")

// client is a connection that publishes. Its owner writes; one goroutine reads.
type client struct {
	conn  net.Conn
	read  *message.Reader
	out   *message.Writer
	reply chan message.Message // to be written for the reader: acknowledgements, answers to pings
}

// dial connects and begins to publish. The context bounds that only.
func dial(ctx context.Context, a Address, allowed egress.Rule, roots *tls.Config) (*client, error) {
	socket, err := allowed.Dialer(nil).DialContext(ctx, "tcp", a.host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Now()) })
	var conn net.Conn = &frugalConn{Conn: socket, since: time.Now()}
	if a.secure {
		cfg := &tls.Config{}
		if roots != nil {
			cfg = roots.Clone()
		}
		cfg.ServerName, _, _ = net.SplitHostPort(a.host)
		conn = tls.Client(conn, cfg)
	}
	c := &client{conn: conn, reply: make(chan message.Message, 8)}
	if err = c.publish(a); err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		stop()
		conn.Close()
		return nil, err
	}
	return c, nil
}

// publish goes from the handshake to the server's word that it takes the stream (RTMP 1.0 §7.2).
func (c *client) publish(a Address) error {
	counted := bytecounter.NewReadWriter(c.conn)
	if _, _, err := handshake.DoClient(counted, false, false); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	c.out = message.NewWriter(counted, counted.Writer, false)
	c.read = message.NewReader(counted, counted.Reader, func(count uint32) error {
		c.answer(&message.Acknowledge{Value: count})
		return nil
	})
	for _, m := range []message.Message{
		&message.SetWindowAckSize{Value: ackWindow},
		&message.SetChunkSize{Value: chunkSize},
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "connect", CommandID: commandConnect, Arguments: []any{amf0.Object{
			{Key: "app", Value: a.app},
			{Key: "type", Value: "nonprivate"},
			{Key: "flashVer", Value: "FMLE/3.0 (compatible; amphi)"},
			{Key: "tcUrl", Value: a.url()},
		}}},
	} {
		if err := c.out.Write(m); err != nil {
			return err
		}
	}
	if _, err := c.await(a, commandConnect); err != nil {
		return err
	}
	// The first two are not in the specification; many servers want them, the others pass them over.
	for _, m := range []message.Message{
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "releaseStream", CommandID: commandRelease, Arguments: []any{nil, a.key}},
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "FCPublish", CommandID: commandAnnounce, Arguments: []any{nil, a.key}},
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "createStream", CommandID: commandCreate, Arguments: []any{nil}},
	} {
		if err := c.out.Write(m); err != nil {
			return err
		}
	}
	if _, err := c.await(a, commandCreate); err != nil {
		return err
	}
	if err := c.out.Write(&message.CommandAMF0{ChunkStreamID: streamChunks, MessageStreamID: messageStream, Name: "publish",
		CommandID: commandPublish, Arguments: []any{nil, a.key, "live"}}); err != nil {
		return err
	}
	_, err := c.await(a, commandPublish)
	return err
}

// await reads until the answer to one of our commands, or a status, which some servers give number 0.
func (c *client) await(a Address, command int) (*message.CommandAMF0, error) {
	for {
		m, err := c.read.Read()
		if err != nil {
			return nil, fmt.Errorf("no answer: %w", err)
		}
		c.hear(m)
		if err := c.flush(); err != nil {
			return nil, err
		}
		r, ok := m.(*message.CommandAMF0)
		if !ok {
			continue
		}
		status := r.Name == "onStatus" && command == commandPublish
		if r.CommandID != command && !status && r.Name != "_error" {
			continue
		}
		if r.Name == "_error" && r.CommandID != command && r.CommandID != 0 {
			continue // releaseStream and FCPublish may fail
		}
		level, why := verdict(r)
		if r.Name == "_error" || level == "error" {
			return nil, fmt.Errorf("%w: %s", errRefused, a.redact(why))
		}
		if r.Name == "_result" || status {
			return r, nil
		}
	}
}

// verdict reads the information object of an answer.
func verdict(r *message.CommandAMF0) (level, why string) {
	for _, arg := range r.Arguments {
		o, ok := arg.(amf0.Object)
		if list, is := arg.(amf0.ECMAArray); is {
			o, ok = amf0.Object(list), true
		}
		if !ok {
			continue
		}
		if l, ok := o.GetString("level"); ok {
			code, _ := o.GetString("code")
			text, _ := o.GetString("description")
			return l, code + " " + text
		}
	}
	return "", ""
}

// hear takes what a server says besides answers.
func (c *client) hear(m message.Message) {
	if ping, ok := m.(*message.UserControlPingRequest); ok {
		c.answer(&message.UserControlPingResponse{ServerTime: ping.ServerTime})
	}
}

// answer leaves a message to the writer. Of a server that asks faster than it reads, some stay unanswered.
func (c *client) answer(m message.Message) {
	select {
	case c.reply <- m:
	default:
	}
}

// flush writes what is to be answered.
func (c *client) flush() error {
	for {
		select {
		case m := <-c.reply:
			if err := c.out.Write(m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// listen reads until the connection ends, or the server ends the stream.
func (c *client) listen(a Address) error {
	for {
		m, err := c.read.Read()
		var lost net.Error
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, errTalkative), errors.As(err, &lost):
			return err
		case err != nil:
			// It says something that this client does not understand, which need not keep it from taking the stream.
			_, err = io.Copy(io.Discard, c.conn)
			return err
		}
		c.hear(m)
		if r, ok := m.(*message.CommandAMF0); ok {
			if level, why := verdict(r); level == "error" {
				return fmt.Errorf("%w: %s", errRefused, a.redact(why))
			}
		}
	}
}

// bye tells the server that the stream ends, as encoders do.
func (c *client) bye(key string) {
	for _, m := range []message.Message{
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "FCUnpublish", CommandID: commandDelete, Arguments: []any{nil, key}},
		&message.CommandAMF0{ChunkStreamID: commandChunks, Name: "deleteStream", CommandID: commandDelete, Arguments: []any{nil, float64(1)}},
	} {
		if c.out.Write(m) != nil {
			return
		}
	}
}

// errTalkative ends a connection to a server that sends more than one that takes a stream has to say.
var errTalkative = errors.New("the server sends too much")

// frugalConn bounds what a server may send: its messages are put together in memory, in up to 62 places of
// 10 MiB each.
type frugalConn struct {
	net.Conn
	since   time.Time
	got     int
	trusted bool // no bound any more; set by who reads
}

const (
	frugalBytes = 256 << 10 // at once
	frugalRate  = 1 << 10   // and a second
)

// Read implements [net.Conn].
func (c *frugalConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.got += n; !c.trusted && c.got > frugalBytes+int(time.Since(c.since).Seconds())*frugalRate {
		return 0, errTalkative
	}
	return n, err
}
