// Package relay is a network that tests can cut. It stands between one client and a server: HTTP, WebSocket and the
// UDP of WebRTC go through it. When it is cut nothing arrives any more and nothing is closed, as when a cable is
// pulled; what was sent over a socket meanwhile arrives afterwards, as TCP would have it, and what was sent over UDP is
// lost.
//
// The client finds the relay by its URL alone: the relay replaces the ICE candidates of the server by its own, and lets
// the server see none of the client's.
package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Relay is one client's way to the server.
type Relay struct {
	URL string // what the client uses in place of the server's

	target *url.URL
	server *http.Server
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup

	sockets gate
	media   atomic.Bool // cut
	refuse  atomic.Bool // new connections

	mu       sync.Mutex
	stranded context.Context // ends when the sockets that are open now are to be silent for ever
	strand   context.CancelFunc
	udp      map[string]*udpRelay // by the server's address
}

// Start relays to the server at target until Close.
func Start(target string) (*Relay, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{target: u, udp: map[string]*udpRelay{}, URL: fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.stranded, r.strand = context.WithCancel(r.ctx)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(u)
		p.Out.Host = p.In.Host // the server tells clients to come to where they are
	}}
	r.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case r.refuse.Load():
			panic(http.ErrAbortHandler) // ends the connection without an answer
		case r.sockets.wait(req.Context()) != nil:
		case websocket.IsWebSocketUpgrade(req):
			r.socket(w, req)
		default:
			proxy.ServeHTTP(w, req)
		}
	})}
	r.wg.Go(func() { _ = r.server.Serve(listener) })
	return r, nil
}

// Close ends everything that goes through the relay.
func (r *Relay) Close() {
	r.stop()
	r.Mend()
	_ = r.server.Close()
	r.mu.Lock()
	for _, u := range r.udp {
		u.close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// Cut stops everything.
func (r *Relay) Cut() {
	r.CutSockets()
	r.CutMedia()
}

// CutSockets stops HTTP and WebSocket.
func (r *Relay) CutSockets() { r.sockets.shut() }

// CutMedia stops UDP.
func (r *Relay) CutMedia() { r.media.Store(true) }

// Unplug is Cut for a client that learns that there is no network: its new connections fail at once.
func (r *Relay) Unplug() {
	r.refuse.Store(true)
	r.Cut()
}

// Mend lets everything through again.
func (r *Relay) Mend() {
	r.refuse.Store(false)
	r.media.Store(false)
	r.sockets.open()
}

// Strand makes the WebSockets that are open now silent for ever, though open. New ones are not affected.
func (r *Relay) Strand() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strand()
	r.stranded, r.strand = context.WithCancel(r.ctx)
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// socket carries the frames of one WebSocket until either side ends it.
func (r *Relay) socket(w http.ResponseWriter, req *http.Request) {
	to := *r.target
	to.Scheme, to.Path, to.RawQuery = "ws", req.URL.Path, req.URL.RawQuery
	server, _, err := websocket.DefaultDialer.DialContext(r.ctx, to.String(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, err := upgrader.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer client.Close()
	r.mu.Lock()
	stranded := r.stranded
	r.mu.Unlock()
	defer context.AfterFunc(r.ctx, func() {
		_ = server.Close()
		_ = client.Close()
	})()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.pump(server, client, stranded, withoutCandidates)
	}()
	r.pump(client, server, stranded, r.ownCandidates)
	<-done
}

// pump carries frames one way. The end of a side, too, reaches the other side only while the relay is not cut.
func (r *Relay) pump(to, from *websocket.Conn, stranded context.Context, change func([]byte) ([]byte, error)) {
	// Pings are answered by the other end, not here: the answer says that what came before has arrived.
	carry := func(kind int) func(string) error {
		return func(data string) error {
			if r.sockets.wait(r.ctx) == nil && stranded.Err() == nil {
				_ = to.WriteControl(kind, []byte(data), time.Now().Add(time.Second)) // the reader sees a side that has ended
			}
			return nil
		}
	}
	from.SetPingHandler(carry(websocket.PingMessage))
	from.SetPongHandler(carry(websocket.PongMessage))
	for {
		kind, frame, err := from.ReadMessage()
		if r.sockets.wait(r.ctx) != nil || stranded.Err() != nil && !r.stay(from) {
			return
		}
		if err != nil {
			var closed *websocket.CloseError
			code := websocket.CloseNoStatusReceived
			if errors.As(err, &closed) {
				code = closed.Code
			}
			_ = to.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
			_ = to.Close()
			return
		}
		if kind == websocket.TextMessage {
			if frame, err = change(frame); err != nil {
				return
			}
		}
		if frame == nil {
			continue
		}
		if to.WriteMessage(kind, frame) != nil {
			return
		}
	}
}

// stay swallows what comes over a stranded socket until its sender gives up. It never has more to carry.
func (r *Relay) stay(from *websocket.Conn) bool {
	for {
		if _, _, err := from.ReadMessage(); err != nil {
			return false
		}
	}
}

var (
	candidateLine = regexp.MustCompile(`a=candidate:[^\\"]*(\\r\\n)?`)
	hostCandidate = regexp.MustCompile(`(candidate:\S+ \d+ (?i:udp) \d+ )(\S+) (\d+)( typ host)`)
	tcpCandidate  = regexp.MustCompile(`a=candidate:\S+ \d+ (?i:tcp) [^\\"]*(\\r\\n)?`)
	trickled      = []byte(`"method":"trickle"`) // inside of a string its quotes would be escaped
)

// withoutCandidates keeps the client's own addresses from the server, which would reach it past the relay.
func withoutCandidates(frame []byte) ([]byte, error) {
	if bytes.Contains(frame, trickled) {
		return nil, nil
	}
	return candidateLine.ReplaceAll(frame, nil), nil
}

// ownCandidates puts the relay in the place of the server's addresses. Those for TCP lead past it, and go.
func (r *Relay) ownCandidates(frame []byte) (changed []byte, err error) {
	frame = tcpCandidate.ReplaceAll(frame, nil)
	changed = hostCandidate.ReplaceAllFunc(frame, func(candidate []byte) []byte {
		parts := hostCandidate.FindSubmatch(candidate)
		port, e := r.relayUDP(net.JoinHostPort(string(parts[2]), string(parts[3])))
		err = errors.Join(err, e)
		return fmt.Appendf(nil, "%s127.0.0.1 %d%s", parts[1], port, parts[4])
	})
	return changed, err
}

// relayUDP returns the port that leads to an address of the server.
func (r *Relay) relayUDP(target string) (port int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.udp[target]
	if u == nil {
		if r.ctx.Err() != nil {
			return 0, r.ctx.Err()
		}
		if u, err = listenUDP(target, &r.media, &r.wg); err != nil {
			return 0, err
		}
		r.udp[target] = u
	}
	return u.conn.LocalAddr().(*net.UDPAddr).Port, nil
}
