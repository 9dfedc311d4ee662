package pagecast

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"time"

	"amphi/server/egress"
)

const (
	maxTunnels  = 256              // at a time
	headerLimit = 10 * time.Second // for a request to come in
	tunnelBytes = 32 << 10         // of a buffer
)

// proxy is the way of one film's browser into the network: an HTTP proxy (RFC 9110 §7.6, §9.3.6) on a port of loopback.
// A name is resolved when it is connected to, and then its address is looked at, so what a page gains by a name that
// changes its address is nothing.
type proxy struct {
	listener net.Listener
	server   *http.Server
	log      *slog.Logger

	dialer *net.Dialer // by the rule
	own    []string    // host:port
	any    net.Dialer  // to those

	tunnels chan struct{} // a place for each
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func openProxy(rule egress.Rule, own []string, log *slog.Logger) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, log: log, dialer: rule.Dialer(nil), own: own, any: net.Dialer{Timeout: headerLimit}, tunnels: make(chan struct{}, maxTunnels)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	transport := rule.Transport(nil)
	transport.DialContext = p.dial
	transport.ForceAttemptHTTP2 = false
	forward := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, // the URL is whole already
		Transport:    transport,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { p.refuse(w, r.URL.Host, err) },
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	p.server = &http.Server{ReadHeaderTimeout: headerLimit, MaxHeaderBytes: 64 << 10, ErrorLog: forward.ErrorLog,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodConnect:
				p.tunnel(w, r)
			case r.URL.Scheme != "http" || r.URL.Host == "":
				http.Error(w, "this is a proxy", http.StatusBadRequest)
			case r.URL.Path == "/metrics" && p.isOwn(withPort(r.URL.Host)): // they are for this machine, from where a page seems to come
				http.Error(w, "not for pages", http.StatusForbidden)
			default:
				forward.ServeHTTP(w, r)
			}
		})}
	p.running.Go(func() { _ = p.server.Serve(l) })
	p.running.Go(func() {
		<-p.ctx.Done()
		transport.CloseIdleConnections()
	})
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close ends the proxy and all that goes through it.
func (p *proxy) close() {
	p.cancel()
	_ = p.server.Close()
	p.running.Wait()
	for range maxTunnels { // until none is left
		p.tunnels <- struct{}{}
	}
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "80")
}

func (p *proxy) isOwn(address string) bool { return slices.Contains(p.own, strings.ToLower(address)) }

func (p *proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.isOwn(address) {
		return p.any.DialContext(ctx, network, address)
	}
	return p.dialer.DialContext(ctx, network, address)
}

func (p *proxy) refuse(w http.ResponseWriter, host string, err error) {
	status := http.StatusBadGateway
	var refused egress.Refused
	if errors.As(err, &refused) {
		status = http.StatusForbidden
		p.log.Warn("a composed page may not go there", "to", host, "err", err)
	}
	http.Error(w, http.StatusText(status), status)
}

// tunnel connects the browser with an address, for whatever they say to each other.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	select {
	case p.tunnels <- struct{}{}:
		defer func() { <-p.tunnels }()
	default:
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	there, err := p.dial(r.Context(), "tcp", r.Host)
	if err != nil {
		p.refuse(w, r.Host, err)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "not over this protocol", http.StatusBadRequest)
		return
	}
	defer here.Close()
	stop := context.AfterFunc(p.ctx, func() {
		here.Close()
		there.Close()
	})
	defer stop()
	if _, err := here.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	var way sync.WaitGroup
	way.Go(func() { pass(there, buffered.Reader) })
	pass(here, there)
	way.Wait()
}

// pass copies what one side says to the other until it ends, and tells that.
func pass(to net.Conn, from io.Reader) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, from, make([]byte, tunnelBytes))
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
