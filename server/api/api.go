// Package api is the HTTP API: the REST API of customers' servers under /v2, what web clients need besides the
// WebSocket (/init, /v2/token, /v2/layouts/ui, …), and what the operator's tools ask (/healthz, /readyz, /metrics).
//
// A request is checked once, on its way in: client address, rate, method, token, size, JSON, and the form of each
// value. Handlers get values and return a value or an error; this package alone turns those into responses. Every
// refusal is a JSON body {code, message, details} whose code is the HTTP status.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/store"
)

// Live is what the API needs of the rooms that are live. Its errors are a *protocol.Error when the caller may see them.
type Live interface {
	// StartStream starts the composed stream of a room, live or not, and returns its record once the start is
	// accepted. Code 409 when one runs.
	StartStream(ctx context.Context, roomID string, o StreamOptions) (store.LiveStream, error)
	// StopStream returns once the stop is on record. Code 404 when none runs.
	StopStream(ctx context.Context, roomID string) error
	// Knows says whether that peer is in the room, or is expected back after its connection was lost.
	Knows(ctx context.Context, roomID, peerID string) bool
}

// StreamOptions are what a start of a live stream may ask for.
type StreamOptions struct {
	Destination string // of the room's template; may be empty when there is one only
	MeetingURL  string
	Recording   store.StreamRecording
}

// API serves the HTTP API. Set the exported fields, then call Register.
type API struct {
	Store          *store.Store
	Live           Live
	PublicURL      string // scheme and host; empty: what each request says
	ICEServers     []config.ICEServer
	TokenLifetime  time.Duration // of the tokens that room codes are exchanged for
	Limits         config.Limits
	TrustedProxies []netip.Prefix
	MetricsFrom    []netip.Prefix
	Metrics        *prometheus.Registry
	Log            *slog.Logger

	verifier *auth.Verifier
	limiter  *limiter
	draining atomic.Bool
	requests *prometheus.HistogramVec // by route, method, status
	mux      *http.ServeMux
}

// Register adds the API's paths to mux.
func (a *API) Register(mux *http.ServeMux) {
	a.verifier = &auth.Verifier{Keys: a.Store}
	a.limiter = newLimiter(a.Limits.RequestsPerSecond, a.Limits.RequestBurst)
	a.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "amphi_http_request_seconds", Help: "Time to answer requests to the HTTP API.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}, []string{"route", "method", "status"})
	a.Metrics.MustRegister(a.requests, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "amphi_http_rate_limited_total", Help: "Requests refused with 429.",
	}, func() float64 { return float64(a.limiter.refused.Load()) }))

	a.mux = http.NewServeMux()
	for _, r := range a.routes() {
		a.mux.Handle(r.path, a.endpoint(r))
	}
	a.mux.Handle("/", a.endpoint(route{path: "/", methods: nil}))
	for _, path := range []string{"/v2/", "/init", "/init/", "/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, a)
	}
}

// Drain makes /readyz fail, so that load balancers send nobody new.
func (a *API) Drain() { a.draining.Store(true) }

// route is a path with what answers it, by method.
type route struct {
	path    string
	client  bool // called by web pages of any origin: CORS
	probe   bool // called by the operator's tools: no rate limit
	methods map[string]handler
}

// handler answers a request with a value that becomes the JSON body, or with an error.
type handler func(w http.ResponseWriter, r *http.Request) (any, error)

func (a *API) routes() []route {
	get := func(h handler) map[string]handler { return map[string]handler{http.MethodGet: h} }
	post := func(h handler) map[string]handler { return map[string]handler{http.MethodPost: h} }
	both := func(g, p handler) map[string]handler {
		return map[string]handler{http.MethodGet: g, http.MethodPost: p}
	}
	return []route{
		{path: "/v2/rooms", methods: both(a.managed(a.listRooms), a.managed(a.createRoom))},
		{path: "/v2/rooms/{room_id}", methods: both(a.managed(a.getRoom), a.managed(a.updateRoom))},

		{path: "/v2/room-codes/room/{room_id}", methods: both(a.managed(a.listCodes), a.managed(a.completeCodes))},
		{path: "/v2/room-codes/room/{room_id}/role/{role}", methods: post(a.managed(a.addCode))},
		{path: "/v2/room-codes/code", methods: post(a.managed(a.enableCode))},

		{path: "/v2/live-streams", methods: get(a.managed(a.listStreams))},
		{path: "/v2/live-streams/room/{room_id}/start", methods: post(a.managed(a.startStream))},
		{path: "/v2/live-streams/room/{room_id}/stop", methods: post(a.managed(a.stopRoomStream))},
		{path: "/v2/live-streams/{stream_id}", methods: get(a.managed(a.getStream))},
		{path: "/v2/live-streams/{stream_id}/stop", methods: post(a.managed(a.stopStream))},

		{path: "/init", client: true, methods: get(a.init)},
		{path: "/v2/token", client: true, methods: post(a.token)},
		{path: "/v2/layouts/ui", client: true, methods: get(a.layouts)},
		{path: "/v2/client/report", client: true, methods: post(a.discard)},
		{path: "/v2/client/feedback", client: true, methods: post(a.discard)},

		{path: "/healthz", probe: true, methods: get(a.healthy)},
		{path: "/readyz", probe: true, methods: get(a.ready)},
		{path: "/metrics", probe: true, methods: get(a.metrics)},
	}
}

// managed lets a handler be called with a management token only, and tells it whose workspace that opens.
func (a *API) managed(h func(r *http.Request, workspaceID string) (any, error)) handler {
	return func(_ http.ResponseWriter, r *http.Request) (any, error) {
		workspaceID, err := a.verifier.Management(r.Context(), bearer(r))
		if err != nil {
			return nil, err
		}
		return h(r, workspaceID)
	}
}
