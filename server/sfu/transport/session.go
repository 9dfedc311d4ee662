package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

const (
	// flightInterval is when a DTLS flight is sent again. The default of 1 s makes one lost datagram a late
	// join.
	flightInterval = 100 * time.Millisecond
	// handshakeTime bounds DTLS, from the first path on: its flights are sent again all the time, so that one
	// which takes longer is with somebody who is in the middle of another handshake.
	handshakeTime = 15 * time.Second
	// MaxMessage is the longest message of a client's on the data channel, in bytes.
	MaxMessage = 64 << 10
	// MaxBuffered bounds what waits in the data channel for a slow client, in bytes.
	MaxBuffered = 256 << 10
	// maxChannels are the channels that a client may open. Nobody reads them.
	maxChannels = 4
)

// run brings DTLS and then the data channel up, and waits for their end.
func (t *Transport) run(ctx context.Context, f fingerprint, client bool) {
	select {
	case <-t.found:
	case <-ctx.Done():
		return
	}
	conn, err := t.handshake(ctx, f, client)
	if err != nil {
		if ctx.Err() == nil {
			t.port.stats.unmatched.Add(1)
			t.log.Info("dtls handshake failed", "error", err)
			t.end(false)
		}
		return
	}
	t.update(time.Now())
	err = t.talk(ctx, conn, client)
	_ = conn.Close()
	if ctx.Err() == nil {
		t.log.Debug("connection ended by the client", "error", err)
		t.end(true)
	}
}

// end notes that DTLS is over: ended by the client, or it did not come up at all.
func (t *Transport) end(up bool) {
	t.mu.Lock()
	t.ended, t.failed = up, !up
	t.mu.Unlock()
	t.update(time.Now())
}

// handshake runs DTLS until the keys are there.
func (t *Transport) handshake(ctx context.Context, f fingerprint, client bool) (*dtls.Conn, error) {
	config := []dtls.Option{
		dtls.WithCertificates(t.port.cfg.Certificate),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithFlightInterval(flightInterval),
		dtls.WithInsecureSkipVerify(true), // no authority signs such certificates: the fingerprint is what is checked
		dtls.WithVerifyPeerCertificate(func(chain [][]byte, _ [][]*x509.Certificate) error { return f.check(chain) }),
		dtls.WithLoggerFactory(PionLog(t.log)),
	}
	var conn *dtls.Conn
	var err error
	if client {
		var options []dtls.ClientOption
		for _, o := range config {
			options = append(options, o)
		}
		conn, err = dtls.ClientWithOptions(t.pipe, pipeAddr{}, options...)
	} else {
		options := []dtls.ServerOption{
			dtls.WithClientAuth(dtls.RequireAnyClientCert),
			dtls.WithInsecureSkipVerifyHello(true), // ICE has proved the address
		}
		for _, o := range config {
			options = append(options, o)
		}
		conn, err = dtls.ServerWithOptions(t.pipe, pipeAddr{}, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("dtls: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dtls: %w", err)
	}
	profile, ok := conn.SelectedSRTPProtectionProfile()
	state, known := conn.ConnectionState()
	if !ok || !known {
		_ = conn.Close()
		return nil, errors.New("dtls: no srtp profile")
	}
	c, err := newCrypto(profile, &state, client)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	t.crypto.Store(c)
	return conn, nil
}

// talk opens the data channel and serves it until the association ends. Without a
// channel it waits for the end of DTLS.
func (t *Transport) talk(ctx context.Context, conn *dtls.Conn, client bool) error {
	if t.label == "" {
		defer whenOver(ctx, func() { _ = conn.Close() })()
		if _, err := io.Copy(io.Discard, conn); err != nil {
			return fmt.Errorf("dtls: %w", err)
		}
		return io.EOF
	}
	a, err := sctp.ClientContext(ctx, // both ends begin (RFC 8841, 9.3)
		sctp.WithNetConn(conn),
		sctp.WithLoggerFactory(PionLog(t.log)),
		sctp.WithMaxReceiveBufferSize(2*MaxMessage),
		sctp.WithMaxMessageSize(MaxMessage),
	)
	if err != nil {
		return fmt.Errorf("sctp: %w", err)
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer a.Close() //nolint:errcheck // it is over in any case
	defer whenOver(ctx, func() { _ = a.Close() })()
	id := uint16(1) // odd ones are the DTLS server's (RFC 8832, 6)
	if client {
		id = 0
	}
	dc, err := datachannel.Dial(a, id, &datachannel.Config{Label: t.label, LoggerFactory: PionLog(t.log)})
	if err != nil {
		return fmt.Errorf("data channel: %w", err)
	}
	t.channel.Store(&channel{dc: dc})
	defer t.channel.Store(nil)
	reading.Go(func() { t.read(dc) })
	for n := 0; ; n++ {
		other, err := a.AcceptStream()
		if err != nil {
			return fmt.Errorf("sctp: %w", err)
		}
		other.SetDefaultPayloadType(sctp.PayloadTypeWebRTCBinary)
		if n < maxChannels {
			_, err = datachannel.Server(other, &datachannel.Config{LoggerFactory: PionLog(t.log)})
		}
		if n >= maxChannels || err != nil {
			_ = other.Close()
		}
	}
}

// whenOver has f run when ctx ends; what it returns calls that off, or waits for f: closing DTLS fails
// who reads before it writes the goodbye, and without the wait the path could be gone by then.
func whenOver(ctx context.Context, f func()) (settle func()) {
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		f()
	})
	return func() {
		if !stop() {
			<-ran
		}
	}
}

// read reads the data channel until it ends.
func (t *Transport) read(dc *datachannel.DataChannel) {
	buf := make([]byte, 1<<10) // most messages are short
	for {
		n, _, err := dc.ReadDataChannel(buf)
		switch {
		case errors.Is(err, io.ErrShortBuffer) && len(buf) < MaxMessage:
			buf = make([]byte, 4*len(buf)) // the message is still there
			continue
		case err != nil:
			return
		}
		t.handler.Message(buf[:n])
	}
}

// channel is the open data channel.
type channel struct {
	mu sync.Mutex
	dc *datachannel.DataChannel
}

// SendText puts a text message on the data channel. It reports false, and the message is dropped, when the
// channel is not open or the client reads too slowly.
func (t *Transport) SendText(text []byte) bool {
	c := t.channel.Load()
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dc.BufferedAmount()+uint64(len(text)) > MaxBuffered {
		return false
	}
	_, err := c.dc.WriteDataChannel(text, true)
	return err == nil
}
