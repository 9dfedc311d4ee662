package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (a *API) probeEndpoints() []endpoint {
	return described("Operation",
		probe("/healthz", "Whether the process answers", a.healthy),
		probe("/readyz", "Whether new clients should be sent here", a.ready),
		probe("/metrics", "Metrics in the text form of Prometheus", a.metrics),
	)
}

// probe makes an endpoint for the operator's tools.
func probe[Out any](path, summary string, h func(w http.ResponseWriter, r *http.Request) (Out, error)) endpoint {
	e := makeEndpoint("GET", path, summary, func(w http.ResponseWriter, r *http.Request, _ caller, _ nothing) (Out, error) {
		return h(w, r)
	})
	e.access = byProbe
	return e
}

// probeObject is the answer of a probe that found nothing wrong.
type probeObject struct {
	Status string `json:"status"`
}

// healthy says that the process answers. Restarting it is right when this fails, and only then.
func (a *API) healthy(http.ResponseWriter, *http.Request) (probeObject, error) {
	return probeObject{"ok"}, nil
}

// ready says whether new clients should be sent here.
func (a *API) ready(_ http.ResponseWriter, r *http.Request) (probeObject, error) {
	if a.draining.Load() {
		return probeObject{}, refuse(http.StatusServiceUnavailable, "shutting down")
	}
	if err := a.Store.Ping(r.Context()); err != nil {
		return probeObject{}, refuse(http.StatusServiceUnavailable, "the database does not answer").because(err)
	}
	return probeObject{"ready"}, nil
}

func (a *API) metrics(w http.ResponseWriter, r *http.Request) (written, error) {
	if !within(a.ClientAddr(r), a.MetricsFrom) {
		return written{}, refuse(http.StatusForbidden, "metrics are for the networks in http.metrics_from")
	}
	promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return written{}, nil
}
