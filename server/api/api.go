// Package api is the HTTP API: the REST API of customers' servers under /v2 and its old paths, what web clients need
// besides the WebSocket (/init, /v2/token, /v2/layouts/ui, …), and what the operator's tools ask (/healthz, /readyz,
// /metrics).
//
// All of it is one table, see API.endpoints: what is mounted, the OpenAPI description, the page for people and the tests
// are made from it. A request is checked once, on its way in: client address, rate, method, token, size, JSON, and the
// form of each value. Handlers get values and return a value or an error; this package alone turns those into responses.
// Every refusal is a JSON body {code, message, details} whose code is the HTTP status.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
	"amphi/server/whip"
)

// Live is what the API needs of the rooms that are live. Its errors are a *protocol.Error when the caller may see them.
type Live interface {
	// StartStream starts the composed stream of a room, live or not, and returns its record once the start is
	// accepted. Code 409 when one runs.
	StartStream(ctx context.Context, roomID string, o StreamOptions) (store.LiveStream, error)
	// StopStream returns once the stop is on record. Code 404 when none runs.
	StopStream(ctx context.Context, roomID string) error
	// SendMetadata gives players of the room's stream a payload. Code 404 when none is on the air.
	SendMetadata(ctx context.Context, roomID string, m protocol.TimedMetadata) error
	// StartPlaylist plays sounds over a room's stream. Code 404 when none is on the air, 400 when the first cannot be had.
	StartPlaylist(ctx context.Context, roomID string, p PlaylistSetup) (Playlist, error)
	// Playlist and ControlPlaylist answer with code 404 when there was none.
	Playlist(roomID string) (Playlist, error)
	ControlPlaylist(roomID, action string, volume int) (Playlist, error)
	// Knows says whether that peer is in the room, or is expected back after its connection was lost.
	Knows(ctx context.Context, roomID, peerID string) bool
}

// Reports takes what clients tell of themselves. It does not block.
type Reports interface {
	Reported(i room.Info, p room.Stay, r protocol.Analytics)
}

// StreamOptions are what a start of a live stream may ask for.
type StreamOptions struct {
	Destination string // of the room's template; may be empty when there is one only
	MeetingURL  string
	Recording   *store.StreamRecording // nil: what the template says
}

// Recorder is what the API needs of recordings. Its errors are a *protocol.Error when the caller may see them.
type Recorder interface {
	// StartRecording starts a recording of a composed room, live or not, and returns its record once the start is
	// accepted. Code 409 when one runs.
	StartRecording(ctx context.Context, roomID string, setup store.JobSetup) (store.Job, error)
	// StopRecording ends the recording of a room whose stop is on record. Code 404 when none runs.
	StopRecording(roomID string) error
	// PauseRecording leaves out what happens, or no longer does, and PauseHLSRecording does so in the recording of the
	// room's live stream. Code 404 when none runs, 400 when the live stream is not recorded.
	PauseRecording(roomID string, paused bool) error
	PauseHLSRecording(roomID string, paused bool) error
	// AssetURL is where a file can be fetched for so long. Code 404 when it is not kept.
	AssetURL(ctx context.Context, a store.Asset, lifetime time.Duration) (string, error)
}

// API serves the HTTP API. Set the exported fields, then call Register.
type API struct {
	Store          *store.Store
	Rooms          *room.Registry
	Live           Live
	Recorder       Recorder // nil: nothing is recorded
	Pusher         Pusher   // nil: nothing is pushed to other services
	Puller         Puller   // nil: nothing is fetched from them
	Reports        Reports  // of clients; nil: nobody wants them
	RTMPPort       int      // that encoders send to; 0: none
	WHIP           *whip.Server
	PublicURL      string                               // scheme and host; empty: what each request says
	ICEServers     func(user string) []config.ICEServer // that a client is told; user is a peer's id
	Whiteboards    bool                                 // clients may open them
	TokenLifetime  time.Duration                        // of the tokens that room codes are exchanged for
	Limits         config.Limits
	TrustedProxies []netip.Prefix
	MetricsFrom    []netip.Prefix
	Metrics        *prometheus.Registry
	Log            *slog.Logger

	verifier *auth.Verifier
	limiter  *limiter
	draining atomic.Bool

	description json.RawMessage          // OpenAPI
	bodyTimeout time.Duration            // 0: the constant of that name
	requests    *prometheus.HistogramVec // by route, method, status
	mux         *http.ServeMux
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

	endpoints := a.endpoints()
	var err error
	if a.description, err = json.Marshal(describe(endpoints)); err != nil {
		panic(fmt.Sprintf("api: the description does not encode: %v", err)) // it is made of texts, lists and maps
	}

	a.mux = http.NewServeMux()
	paths := make(map[string]path)
	for _, e := range endpoints {
		p := paths[e.path]
		if p.methods == nil {
			p = path{pattern: e.path, access: e.access, methods: make(map[string]endpoint)}
		}
		p.methods[e.method] = e
		paths[e.path] = p
	}
	for _, p := range paths {
		a.mux.Handle(p.pattern, a.serve(p))
	}
	a.mux.Handle("/", a.serve(path{pattern: "/"}))
	for _, prefix := range prefixes {
		mux.Handle(prefix, a)
	}
}

// prefixes are the paths below which everything is the API's.
var prefixes = []string{"/v2/", "/api/v2/", "/islb/", "/policy/v1/", "/hmsapi/", "/init", "/init/", "/whip", "/whip/", "/whep", "/whep/", "/healthz", "/readyz", "/metrics"}

// Drain makes /readyz fail, so that load balancers send nobody new.
func (a *API) Drain() { a.draining.Store(true) }

// endpoints is the table of everything that the API answers. What is mounted, how it is described and what tests walk
// through is all made from it.
func (a *API) endpoints() []endpoint {
	return slices.Concat(
		a.templateEndpoints(),
		a.roomEndpoints(),
		a.codeEndpoints(),
		a.activeRoomEndpoints(),
		a.sessionEndpoints(),
		a.liveStreamEndpoints(),
		a.playlistEndpoints(),
		a.externalStreamEndpoints(),
		a.recordingEndpoints(),
		a.assetEndpoints(),
		a.streamKeyEndpoints(),
		a.externalSourceEndpoints(),
		a.pollEndpoints(),
		a.analyticsEndpoints(),
		a.webhookEndpoints(),
		a.sipEndpoints(),
		a.clientEndpoints(),
		a.whipEndpoints(),
		a.legacyEndpoints(),
		a.descriptionEndpoints(),
		a.probeEndpoints(),
	)
}
