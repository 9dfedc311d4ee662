package conformance

import (
	"net/http"
	"sync"

	"amphi/e2e/relay"
)

// lanes are the relays that pages cut and mend: POST /lanes/NAME/cut/socket, cut/media, cut/all, unplug,
// strand or mend.
type lanes struct {
	mu     sync.Mutex
	relays map[string]*relay.Relay
}

func (l *lanes) add(name string, r *relay.Relay) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.relays[name] = r
}

func (l *lanes) serve(w http.ResponseWriter, req *http.Request) {
	l.mu.Lock()
	r := l.relays[req.PathValue("name")]
	l.mu.Unlock()
	if r == nil {
		http.Error(w, "no such lane", http.StatusNotFound)
		return
	}
	switch req.PathValue("do") {
	case "cut/socket":
		r.CutSockets()
	case "cut/media":
		r.CutMedia()
	case "cut/all":
		r.Cut()
	case "unplug":
		r.Unplug()
	case "strand":
		r.Strand()
	case "mend":
		r.Mend()
	default:
		http.Error(w, "no such thing to do", http.StatusNotFound)
	}
}
