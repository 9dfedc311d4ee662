package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"amphi/server/auth"
	"amphi/server/live"
	"amphi/server/protocol"
)

// Error is a refusal, and the body of its response.
type Error struct {
	Code    int      `json:"code"` // the HTTP status, but for old paths
	Message string   `json:"message"`
	Details []string `json:"details,omitempty"`

	status int   // the HTTP status; 0: Code
	cause  error // for the log only
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s %q", e.Code, e.Message, e.Details) }

// problem is a refusal for those who expect the form of RFC 9457: its members besides those of Error.
type problem struct {
	Error
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// because adds what only the log may say.
func (e *Error) because(err error) *Error {
	e.cause = err
	return e
}

// badParam is a 400 about the body or the query.
func badParam(place, format string, args ...any) *Error {
	message := "Invalid " + place + " param"
	return &Error{Code: http.StatusBadRequest, Message: message, Details: []string{message + ": " + fmt.Sprintf(format, args...)}}
}

var (
	errInternal    = refuse(http.StatusInternalServerError, "internal error")
	errNoPath      = refuse(http.StatusNotFound, "no such path")
	errNoRoom      = refuse(http.StatusNotFound, "room not found")
	errNoSession   = refuse(http.StatusNotFound, "session not found")
	errNoTemplate  = refuse(http.StatusNotFound, "template not found")
	errNoCode      = refuse(http.StatusNotFound, "room code not found")
	errNoRole      = refuse(http.StatusNotFound, "role not found")
	errRoomOff     = refuse(http.StatusForbidden, "room is disabled")
	errNoStream    = refuse(http.StatusNotFound, "hls not running")
	errTooMuchBody = refuse(http.StatusRequestEntityTooLarge, "request body too large")
)

// asError turns an error of whatever part into what the caller may see of it. Errors that are nobody's fault but ours
// become errInternal.
func asError(err error) *Error {
	var own *Error
	var token auth.Error
	var known *protocol.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &token):
		return &Error{Code: http.StatusUnauthorized, Message: "Token validation error", Details: []string{token.Error()}}
	case errors.As(err, &known):
		return refuse(known.Code, "%s", known.Message)
	case errors.As(err, &tooLarge):
		return &Error{Code: errTooMuchBody.Code, Message: errTooMuchBody.Message, Details: []string{fmt.Sprintf("at most %d bytes", tooLarge.Limit)}}
	default:
		return errInternal
	}
}

// ServeHTTP answers a path that Register has added. A slash at the end of a path means nothing.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := strings.TrimRight(r.URL.Path, "/"); path != r.URL.Path && path != "" {
		r2, u := *r, *r.URL
		u.Path, u.RawPath = path, strings.TrimRight(u.RawPath, "/")
		r2.URL = &u
		r = &r2
	}
	a.mux.ServeHTTP(w, r)
}

// path is the endpoints that share a path.
type path struct {
	pattern string
	access  access
	methods map[string]endpoint
}

// bodyTimeout is how long the body of a request may take to come.
const bodyTimeout = 30 * time.Second

// serve is everything that happens around the handlers of a path.
func (a *API) serve(p path) http.Handler {
	allow := strings.Join(append(slices.Sorted(maps.Keys(p.methods)), http.MethodOptions), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler {
					panic(v)
				}
				a.Log.Error("request handler panicked", "route", p.pattern, "panic", v, "stack", string(debug.Stack()))
				if rec.status == 0 {
					a.respond(rec, errInternal.Code, errInternal)
				}
			}
			a.requests.WithLabelValues(p.pattern, method(r), strconv.Itoa(rec.status)).Observe(time.Since(start).Seconds())
		}()

		h := rec.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if p.access == byClient || p.access == byEncoder {
			h.Set("Access-Control-Allow-Origin", "*") // on errors too: without it a page sees a network failure
		}
		if p.access == byEncoder {
			h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Retry-After")
		}
		if p.access != byProbe {
			if ok, after := a.limiter.allow(a.ClientAddr(r)); !ok {
				h.Set("Retry-After", strconv.Itoa(after))
				// Not logged: whoever floods the server would flood the log. amphi_http_rate_limited_total counts them.
				a.respond(rec, http.StatusTooManyRequests, refuse(http.StatusTooManyRequests, "rate limit exceeded, retry after %d seconds", after))
				return
			}
		}
		if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
			a.answer(rec, r, endpoint{}, nil, errNoPath) // databases would choke on it
			return
		}
		e, ok := p.methods[r.Method]
		if r.Method == http.MethodHead {
			e, ok = p.methods[http.MethodGet]
		}
		switch {
		case len(p.methods) == 0:
			a.answer(rec, r, e, nil, errNoPath)
		case ok:
			r.Body = http.MaxBytesReader(rec, r.Body, int64(a.Limits.BodyBytes))
			// Whoever sends a byte a minute must not hold a connection for ever. The server lifts it for the next request.
			_ = http.NewResponseController(rec).SetReadDeadline(time.Now().Add(cmp.Or(a.bodyTimeout, bodyTimeout)))
			v, err := a.handle(rec, r, e)
			a.answer(rec, r, e, v, err)
		case r.Method == http.MethodOptions:
			h.Set("Allow", allow)
			if p.access == byClient || p.access == byEncoder { // a preflight
				h.Set("Access-Control-Allow-Methods", allow)
				h.Set("Access-Control-Allow-Headers", "authorization, content-type")
				h.Set("Access-Control-Max-Age", "86400")
			}
			if p.access == byEncoder {
				h.Set("Access-Control-Allow-Headers", "authorization, content-type, if-match")
				if e := p.methods[http.MethodPost]; e.takesType != "" {
					h.Set("Accept-Post", e.takesType)
				}
			}
			rec.WriteHeader(http.StatusNoContent)
		case p.access == byEncoder && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			rec.WriteHeader(http.StatusNoContent) // RFC 9725 §4.1: there is nothing to see
		default:
			h.Set("Allow", allow)
			a.answer(rec, r, e, nil, refuse(http.StatusMethodNotAllowed, "method %s is not allowed here", method(r)))
		}
	})
}

// handle lets the endpoint answer, if the token is right for it.
func (a *API) handle(w http.ResponseWriter, r *http.Request, e endpoint) (any, error) {
	var c caller
	if e.access == byServer {
		var err error
		if c.workspaceID, err = a.verifier.Management(r.Context(), bearer(r)); err != nil {
			return nil, err
		}
	}
	return e.handle(w, r, c)
}

// answer writes what a handler returned, unless it wrote a response itself and returned nothing. A refusal is logged
// here and nowhere else.
func (a *API) answer(w *recorder, r *http.Request, e endpoint, v any, err error) {
	switch {
	case err != nil:
		refusal := asError(err)
		path := r.URL.Path
		if e.access == byEncoder {
			path = e.path // theirs may hold room codes
		}
		switch {
		case r.Context().Err() != nil: // the client has gone
		case refusal == errInternal:
			a.Log.Error("request failed", "method", method(r), "path", path, "err", err)
		default:
			reason := cmp.Or(strings.Join(refusal.Details, "; "), refusal.Message)
			if refusal.cause != nil {
				reason += ": " + refusal.cause.Error()
			}
			a.Log.Info("request refused", "method", method(r), "path", path, "status", cmp.Or(refusal.status, refusal.Code), "reason", reason)
		}
		if refusal.Code == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		if refusal.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", strconv.Itoa(int(live.RetryAfter.Seconds())))
		}
		status := cmp.Or(refusal.status, refusal.Code)
		if e.access == byEncoder {
			a.respond(w, status, problem{*refusal, http.StatusText(status), status, cmp.Or(strings.Join(refusal.Details, "; "), refusal.Message)})
			return
		}
		a.respond(w, status, refusal)
	case v != nil:
		a.respond(w, cmp.Or(e.status, http.StatusOK), v)
	case w.status == 0:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (a *API) respond(w *recorder, status int, v any) {
	if text, ok := v.(plainText); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, string(text))
		return
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // a bug: our own types always encode
		a.Log.Error("response does not encode", "err", err)
		status = errInternal.Code
		body.Reset()
		body.WriteString(`{"code":500,"message":"internal error"}` + "\n")
	}
	contentType := "application/json"
	if _, ok := v.(problem); ok {
		contentType = "application/problem+json"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// method returns the request's method for labels and messages: arbitrary texts of clients would make as many series.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}

// recorder remembers the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// bearer returns the token of the Authorization header.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
