package hls

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MasterPlaylist is the name of a stream's multivariant playlist.
const MasterPlaylist = "master.m3u8"

const (
	playlistType = "application/vnd.apple.mpegurl"
	cacheNever   = "no-cache"
	cacheForever = "public, max-age=86400, immutable"
)

// ServeHTTP answers requests for the stream's files. The URL's path is the name of a file, as
// after [http.StripPrefix]. Names are looked up, never joined to a path.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !admit(w, r) {
		return
	}
	s.serve(w, r, strings.TrimPrefix(r.URL.Path, "/"))
}

// admit lets any origin read, and answers what is not a request for a file.
func admit(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Date")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		refuse(w, http.StatusMethodNotAllowed, "method not allowed")
	}
	return false
}

// refuse answers with the error body of the REST API. Nothing of it may be cached: a part that
// is not there now may be there in a moment.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, message})
}

func (s *Stream) serve(w http.ResponseWriter, r *http.Request, name string) {
	if s.closed() {
		refuse(w, http.StatusGone, "stream has ended")
		return
	}
	switch {
	case name == MasterPlaylist:
		s.serveMaster(w, r)
	case strings.HasSuffix(name, ".m3u8"):
		s.serveMediaPlaylist(w, r, name)
	default:
		s.serveFile(w, r, name)
	}
}

// serveMaster waits for the first segment: the static address may be handed out before.
func (s *Stream) serveMaster(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if !s.await(r.Context(), func() bool { body = s.window.master; return body != nil }) {
		s.giveUp(w, r.Context())
		return
	}
	send(w, r, body, playlistType, cacheNever)
}

// serveMediaPlaylist answers with the newest playlist, or with the first one that has the
// segment and part asked for (RFC 8216bis 6.2.5.2).
func (s *Stream) serveMediaPlaylist(w http.ResponseWriter, r *http.Request, name string) {
	want, ok := parseReload(r.URL.Query())
	if !ok {
		refuse(w, http.StatusBadRequest, "bad _HLS_msn or _HLS_part")
		return
	}
	var list mediaList
	var known, ahead bool
	enough := s.await(r.Context(), func() bool {
		list, known = s.window.lists[name]
		ahead = known && want.blocking && want.msn > list.next+1
		return !known || ahead || list.has(want)
	})
	switch {
	case !enough:
		s.giveUp(w, r.Context())
	case !known:
		refuse(w, http.StatusNotFound, "no such playlist")
	case ahead:
		refuse(w, http.StatusBadRequest, "_HLS_msn is too far ahead")
	case want.delta && list.delta != nil:
		send(w, r, list.delta, playlistType, cacheNever)
	default:
		send(w, r, list.full, playlistType, cacheNever)
	}
}

// reload are the delivery directives of a playlist request.
type reload struct {
	blocking bool
	msn      uint64
	part     uint64
	hasPart  bool
	delta    bool
}

func parseReload(q url.Values) (want reload, ok bool) {
	skip := q.Get("_HLS_skip")
	want.delta = skip == "YES" || skip == "v2"
	var err error
	if v := q.Get("_HLS_msn"); v != "" {
		want.blocking = true
		if want.msn, err = strconv.ParseUint(v, 10, 32); err != nil {
			return want, false
		}
	}
	if v := q.Get("_HLS_part"); v != "" {
		want.hasPart = true
		if want.part, err = strconv.ParseUint(v, 10, 32); err != nil {
			return want, false
		}
	}
	return want, want.blocking || !want.hasPart
}

// has says whether the playlist has what a blocking reload waits for. A part beyond the last
// one of a finished segment means the first one of the next.
func (l mediaList) has(want reload) bool {
	switch {
	case !want.blocking || want.msn+1 < l.next:
		return true
	case want.msn+1 == l.next:
		return !want.hasPart || want.part < l.lastParts || l.parts > 0
	case want.msn == l.next:
		return want.hasPart && want.part < l.parts
	default:
		return false
	}
}

// serveFile answers with an init section, a segment or a part. The part which the playlists
// announce as the next one is waited for.
func (s *Stream) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	var f file
	var found bool
	enough := s.await(r.Context(), func() bool {
		f, found = s.window.files[name]
		return found || !s.hinted(name)
	})
	switch {
	case !enough:
		s.giveUp(w, r.Context())
	case !found:
		refuse(w, http.StatusNotFound, "no such file")
	default:
		send(w, r, f.body, f.contentType, cacheForever)
	}
}

// hinted says whether a playlist announces the file. The caller holds the window's lock.
func (s *Stream) hinted(name string) bool {
	for _, l := range s.window.lists {
		if l.hint == name {
			return true
		}
	}
	return false
}

// giveUp answers a request that waited in vain.
func (s *Stream) giveUp(w http.ResponseWriter, ctx context.Context) {
	switch {
	case ctx.Err() != nil: // nobody reads the answer
	case s.closed():
		refuse(w, http.StatusGone, "stream has ended")
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "stream is not ready")
	}
}

func send(w http.ResponseWriter, r *http.Request, body []byte, contentType, cache string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", cache)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
