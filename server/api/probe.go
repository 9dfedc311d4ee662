package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// healthy says that the process answers. Restarting it is right when this fails, and only then.
func (a *API) healthy(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]string{"status": "ok"}, nil
}

// ready says whether new clients should be sent here.
func (a *API) ready(_ http.ResponseWriter, r *http.Request) (any, error) {
	if a.draining.Load() {
		return nil, refuse(http.StatusServiceUnavailable, "shutting down")
	}
	if err := a.Store.Ping(r.Context()); err != nil {
		a.Log.Error("not ready", "err", err)
		return nil, refuse(http.StatusServiceUnavailable, "the database does not answer")
	}
	return map[string]string{"status": "ready"}, nil
}

func (a *API) metrics(w http.ResponseWriter, r *http.Request) (any, error) {
	if !within(a.clientAddr(r), a.MetricsFrom) {
		return nil, refuse(http.StatusForbidden, "metrics are for the networks in http.metrics_from")
	}
	promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil, nil
}
