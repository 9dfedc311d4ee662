package hls

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// laneIdle is how long a connection waits for the next request.
const laneIdle = 2 * time.Minute

// Listener returns a listener on whose connections the origin answers what players ask for again and again, playlists
// and parts, beneath net/http. Ten requests a second of each player are most of what a stream costs, and half of that is
// what net/http does for any handler: a goroutine that watches for the end of the connection, maps of header fields, two
// writes. Only requests are answered that are GET for a file that is there, or comes, and have nothing in them that would
// want another answer; all others, and all of another protocol, come to the http.Server as ever. It needs [ConnState].
func (o *Origin) Listener(l net.Listener) net.Listener { return listener{l, o} }

type listener struct {
	net.Listener
	origin *Origin
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &lane{TCPConn: tcp, origin: l.origin, known: true, between: true}, nil
	}
	return c, err
}

// ConnState is for the http.Server that accepts from a [Origin.Listener].
func ConnState(c net.Conn, state http.ConnState) {
	if l, ok := c.(*lane); ok && state == http.StateIdle {
		l.between = l.known
	}
}

// lane is a connection that answers within Read, which is where http.Server waits for the next request. What it reads
// is either a whole request that it has answered, or goes on to the server. It is in step with the server as long as
// that was given whole requests without bodies only, one at a time; after anything else it stays out of the way.
//
// The server never reads from two goroutines at a time, so the fields need no lock.
type lane struct {
	*net.TCPConn
	origin  *Origin
	known   bool // the server has read whole requests only
	between bool // and has answered them all: what comes is the beginning of a request
	head    []byte
}

func (l *lane) Read(b []byte) (int, error) {
	if !l.between {
		n, err := l.TCPConn.Read(b)
		if n > 0 {
			l.known = false // of the next request, before the answer, or of a body, or no HTTP any more
		}
		return n, err
	}
	for {
		n, err := l.TCPConn.Read(b)
		if n == 0 || err != nil {
			return n, err
		}
		r, whole := parseRequest(b[:n])
		if !whole || !r.plain || !l.answer(r) {
			l.known, l.between = whole, false
			return n, nil
		}
		// The deadline that the server has set was for the request that is answered.
		if err := l.SetReadDeadline(time.Now().Add(laneIdle)); err != nil {
			return 0, err
		}
	}
}

// plainRequest is a request that asks for nothing but a file.
type plainRequest struct {
	plain       bool
	path, query string
	gzip        bool
}

// parseRequest says whether a text is one whole request without a body, and whether it is plain.
func parseRequest(text []byte) (r plainRequest, whole bool) {
	rest, ends := bytes.CutSuffix(text, []byte("\r\n\r\n"))
	if !ends {
		return r, false
	}
	line, rest, more := bytes.Cut(rest, []byte("\r\n"))
	target, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1"))
	if !ok || bytes.ContainsAny(line, "\r\n") {
		return r, false
	}
	r.plain = r.parseTarget(target)
	hosts, codings := 0, 0
	for more {
		var field []byte
		field, rest, more = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok || !isToken(name) || bytes.ContainsAny(value, "\r\n") {
			return r, false // the end of the request, or none at all
		}
		value = bytes.Trim(value, " \t")
		switch strings.ToLower(string(name)) {
		case "content-length", "transfer-encoding", "upgrade", "expect", "trailer":
			return r, false
		case "connection":
			if !bytes.EqualFold(value, []byte("keep-alive")) {
				return r, false
			}
		case "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since":
			r.plain = false
		case "host":
			hosts++
		case "accept-encoding":
			codings++
			r.gzip = takesGzip(string(value))
		}
	}
	r.plain = r.plain && hosts == 1 && codings <= 1
	return r, true
}

// parseTarget parses what a request line asks for. It knows only the letters that our own addresses have.
func (r *plainRequest) parseTarget(line []byte) bool {
	target, ok := bytes.CutPrefix(line, []byte("GET "))
	if !ok || !bytes.HasPrefix(target, []byte(Prefix)) {
		return false
	}
	for _, c := range target {
		if !isAlphanumeric(c) && strings.IndexByte("/._-?=&", c) < 0 {
			return false
		}
	}
	r.path, r.query, _ = strings.Cut(string(target), "?")
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isToken says that a text can be the name of a header field (RFC 9110 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// answer answers a request, if its file is in memory or comes. What is not sent is not answered: the server asks again, and
// is told the same.
func (l *lane) answer(r plainRequest) bool {
	s, name, _ := l.origin.find(r.path)
	if s == nil {
		return false
	}
	a := s.answer(context.Background(), name, r.query)
	switch {
	case a.refused == http.StatusServiceUnavailable: // not to be waited for once more
		l.begin("503 Service Unavailable", "application/json", cacheNever)
		l.add("Retry-After", retryAfter)
		l.origin.refused.Add(1)
		return l.send(refusal(a.refused, a.why))
	case a.page != nil:
		return l.sendPage(a.page, a.cache, r.gzip)
	case a.body != nil:
		l.begin("200 OK", mediaType, cacheForever)
		l.add("Accept-Ranges", "bytes")
		l.add("Etag", strconv.Quote(a.name))
		return l.send(a.body)
	}
	return false
}

func (l *lane) sendPage(p *page, cache string, gzip bool) bool {
	text, tag := p.as(gzip)
	l.begin("200 OK", playlistType, cache)
	if gzip {
		l.add("Content-Encoding", "gzip")
	}
	l.add("Vary", "Accept-Encoding")
	if tag != "" {
		l.add("Etag", tag)
	}
	return l.send(text)
}

// begin begins the header of an answer.
func (l *lane) begin(status, contentType, cache string) {
	h := append(l.head[:0], "HTTP/1.1 "...)
	h = append(h, status...)
	h = append(h, "\r\nDate: "...)
	l.head = append(time.Now().UTC().AppendFormat(h, http.TimeFormat), "\r\n"...)
	l.add("Access-Control-Allow-Origin", allowedOrigin)
	l.add("Access-Control-Expose-Headers", exposedHeaders)
	l.add("Content-Type", contentType)
	l.add("Cache-Control", cache)
}

func (l *lane) add(name, value string) {
	h := append(append(l.head, name...), ": "...)
	l.head = append(append(h, value...), "\r\n"...)
}

// send ends the header and sends it with the body, in one piece. Whether the client takes it, the next Read will tell.
func (l *lane) send(body []byte) bool {
	l.add("Content-Length", strconv.Itoa(len(body)))
	l.head = append(l.head, "\r\n"...)
	l.origin.requests.Add(1)
	pieces := net.Buffers{l.head, body}
	n, _ := pieces.WriteTo(l.TCPConn)
	l.origin.bytes.Add(uint64(max(0, n-int64(len(l.head)))))
	return true
}
