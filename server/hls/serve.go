package hls

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MasterPlaylist is the name of a stream's multivariant playlist.
const MasterPlaylist = "master.m3u8"

const (
	playlistType = "application/vnd.apple.mpegurl"
	mediaType    = "video/mp4"
)

// How long caches between us and players may keep what (RFC 8216bis B.1): an answer to a blocking request
// names what it has, so that a cache collapses the requests of all players into one; what a plain request
// gets grows old with the next part.
const (
	cacheForever  = "public, max-age=86400, immutable"
	cacheBlocking = "public, max-age=6"
	cachePlain    = "public, max-age=0, s-maxage=1"
	cacheMaster   = "public, max-age=1"
	cacheNever    = "no-store"
)

// What pages of other sites may read.
const (
	allowedOrigin  = "*"
	exposedHeaders = "Content-Length, Content-Range, Date"
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
	h.Set("Access-Control-Allow-Origin", allowedOrigin)
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
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
	w.Header().Set("Cache-Control", cacheNever)
	w.WriteHeader(status)
	_, _ = w.Write(refusal(status, message))
}

func refusal(status int, message string) []byte {
	text, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{status, message})
	if err != nil {
		panic(err) // a number and a string always can be marshalled
	}
	return append(text, '\n')
}

func (s *Stream) serve(w http.ResponseWriter, r *http.Request, name string) {
	if s.closed() {
		refuse(w, http.StatusGone, "stream has ended")
		return
	}
	switch name {
	case MasterPlaylist:
		s.servePage(w, r, func(e *edition) *page { return &e.master }, cacheMaster)
		return
	case OldMasterPlaylist:
		s.servePage(w, r, func(e *edition) *page { return &e.oldMaster }, cacheMaster)
		return
	}
	dir, file, _ := strings.Cut(name, "/")
	rendition := s.rendition(dir)
	switch {
	case rendition < 0:
		refuse(w, http.StatusNotFound, "no such file")
	case file == playlistName:
		s.servePlaylist(w, r, rendition)
	case file == oldPlaylistName:
		s.servePage(w, r, func(e *edition) *page { return &e.old }, cachePlain)
	default:
		s.serveFile(w, r, rendition, file)
	}
}

// rendition is the number of the one with that name, or -1.
func (s *Stream) rendition(name string) int {
	return slices.IndexFunc(s.cfg.Renditions, func(r Rendition) bool { return r.Name == name })
}

// servePage waits for the first segment: the static address may be handed out before.
func (s *Stream) servePage(w http.ResponseWriter, r *http.Request, which func(*edition) *page, cache string) {
	e, enough := s.begun(r.Context())
	switch {
	case !enough:
		s.giveUp(w, r.Context())
	case len(e.listed) == 0:
		refuse(w, http.StatusGone, "stream has ended")
	default:
		sendPage(w, r, which(e), cache)
	}
}

// begun waits until there is something to play, or never will be.
func (s *Stream) begun(ctx context.Context) (e *edition, enough bool) {
	enough = s.await(ctx, func(now *edition) bool { e = now; return len(e.listed) > 0 || e.ended })
	return e, enough
}

// servePlaylist answers with the newest playlist, or with the first one that has the segment and
// part asked for (RFC 8216bis 6.2.5.2).
func (s *Stream) servePlaylist(w http.ResponseWriter, r *http.Request, rendition int) {
	want, ok := parseDirectives(r.URL.RawQuery)
	if !ok {
		refuse(w, http.StatusBadRequest, "bad _HLS_msn or _HLS_part")
		return
	}
	e, ahead, enough := s.reload(r.Context(), want)
	switch {
	case !enough:
		s.giveUp(w, r.Context())
		return
	case ahead:
		refuse(w, http.StatusBadRequest, "_HLS_msn is too far ahead")
		return
	case len(e.listed) == 0:
		refuse(w, http.StatusGone, "stream has ended")
		return
	}
	p, cache := e.page(rendition, want)
	sendPage(w, r, p, cache)
}

// page is the playlist that is wanted, and how long caches may keep it.
func (e *edition) page(rendition int, want directives) (p *page, cache string) {
	p, cache = &e.full[rendition], cachePlain
	if want.delta {
		p = &e.delta[rendition]
	}
	if want.blocking {
		cache = cacheBlocking
	}
	return p, cache
}

// reload waits for the first edition that has what is wanted. ahead says that this is too far in the future.
func (s *Stream) reload(ctx context.Context, want directives) (e *edition, ahead, enough bool) {
	enough = s.await(ctx, func(now *edition) bool {
		e = now
		ahead = want.blocking && want.msn > e.next+1
		return ahead || e.ended || e.has(want)
	})
	return e, ahead, enough
}

// directives are those of a playlist request.
type directives struct {
	blocking bool
	msn      uint64
	part     uint64
	hasPart  bool
	delta    bool
}

// parseDirectives takes them from a query. ok is false if they contradict themselves.
func parseDirectives(query string) (want directives, ok bool) {
	q, _ := url.ParseQuery(query) // what can be read of it
	skip := q.Get("_HLS_skip")
	want.delta = skip == "YES" || skip == "v2"
	var err error
	if v := q.Get("_HLS_msn"); v != "" {
		want.blocking = true
		if want.msn, err = strconv.ParseUint(v, 10, 53); err != nil {
			return want, false
		}
	}
	if v := q.Get("_HLS_part"); v != "" {
		want.hasPart = true
		if want.part, err = strconv.ParseUint(v, 10, 53); err != nil {
			return want, false
		}
	}
	return want, want.blocking || !want.hasPart
}

// serveFile answers with an initialisation section, a segment or a part. The part which the playlists
// announce as the next one is waited for.
func (s *Stream) serveFile(w http.ResponseWriter, r *http.Request, rendition int, name string) {
	f, ok := parseFile(name)
	if !ok {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
	body, old, gone, enough := s.fetch(r.Context(), f, rendition)
	switch {
	case !enough:
		s.giveUp(w, r.Context())
	case gone:
		refuse(w, http.StatusGone, "this part of the stream is over")
	case f.kind == aTransport && old != nil:
		s.serveTransport(w, r, old, rendition, name)
	case old != nil:
		content, err := os.Open(s.shelf.path(rendition, old))
		if err != nil {
			refuse(w, http.StatusNotFound, "this part of the stream is lost")
			return
		}
		defer content.Close()
		sendFile(w, r, name, mediaType, content)
	case body == nil:
		refuse(w, http.StatusNotFound, "no such file")
	case r.Method == http.MethodGet && len(r.Header["Range"])+len(r.Header["If-Match"])+len(r.Header["If-None-Match"]) == 0:
		// As players ask: in one piece, without the buffer that http.ServeContent copies through.
		fileHeader(w, name, mediaType)
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	default:
		sendFile(w, r, name, mediaType, bytes.NewReader(body))
	}
}

// serveTransport answers with a segment as a transport stream.
func (s *Stream) serveTransport(w http.ResponseWriter, r *http.Request, seg *segment, rendition int, name string) {
	body, err := s.transportOf(seg, rendition)
	if err != nil {
		s.cfg.Log.Warn("a segment cannot be had as a transport stream", "segment", seg.msn, "err", err)
		refuse(w, http.StatusNotFound, "this part of the stream is lost")
		return
	}
	sendFile(w, r, name, oldMediaType, bytes.NewReader(body))
}

// fetch waits for a file that is announced.
func (s *Stream) fetch(ctx context.Context, f file, rendition int) (body []byte, old *segment, gone, enough bool) {
	enough = s.await(ctx, func(e *edition) bool {
		body, old, gone = e.file(f, rendition)
		hinted := f.kind == aPart && f.number == e.nextPart
		return body != nil || old != nil || gone || !hinted || e.ended
	})
	return body, old, gone, enough
}

// sendFile sends what never changes.
func sendFile(w http.ResponseWriter, r *http.Request, name, contentType string, content io.ReadSeeker) {
	fileHeader(w, name, contentType)
	http.ServeContent(w, r, "", time.Time{}, content)
}

func fileHeader(w http.ResponseWriter, name, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cacheForever)
	h.Set("ETag", strconv.Quote(name))
}

// file is a name in a rendition's directory, taken apart.
type file struct {
	kind   fileKind
	number uint64
}

type fileKind int

const (
	anInit fileKind = iota
	aPart
	aTransport
	aSegment
)

// fileNames are the forms of names, before and after the number. The last fits all that end so.
var fileNames = [...][2]string{anInit: {"init-", ".mp4"}, aPart: {"part-", ".m4s"}, aTransport: {"", oldSuffix}, aSegment: {"", ".m4s"}}

// parseFile accepts exactly the names that playlists have.
func parseFile(name string) (file, bool) {
	for kind, around := range fileNames {
		number, begins := strings.CutPrefix(name, around[0])
		number, ends := strings.CutSuffix(number, around[1])
		if n, err := strconv.ParseUint(number, 10, 53); begins && ends && err == nil && strconv.FormatUint(n, 10) == number {
			return file{fileKind(kind), n}, true
		}
	}
	return file{}, false
}

// file finds a file's bytes, or the segment that has it on its shelf or is to be made another kind of file; gone says that
// there was one.
func (e *edition) file(f file, rendition int) (body []byte, old *segment, gone bool) {
	switch f.kind {
	case anInit:
		for _, seg := range append(e.segments[:len(e.segments):len(e.segments)], &e.open) {
			if seg.init != nil && seg.init.msn == f.number {
				return seg.init.bodies[rendition], nil, false
			}
		}
	case aPart:
		p, gone := e.part(f.number)
		if p == nil {
			return nil, nil, gone
		}
		return p.bodies[rendition], nil, false
	case aSegment, aTransport:
		seg, gone := e.segment(f.number)
		switch {
		case seg == nil:
			return nil, nil, gone
		case seg.shelved, f.kind == aTransport && seg.bodies != nil:
			return nil, seg, false
		case seg.bodies != nil:
			return seg.bodies[rendition], nil, false
		}
	}
	return nil, nil, false
}

// What who waited in vain is told.
const (
	notReady   = "stream is not ready"
	retryAfter = "1" // seconds
)

// giveUp answers a request that waited in vain.
func (s *Stream) giveUp(w http.ResponseWriter, ctx context.Context) {
	switch {
	case ctx.Err() != nil: // nobody reads the answer
	case s.closed():
		refuse(w, http.StatusGone, "stream has ended")
	default:
		w.Header().Set("Retry-After", retryAfter)
		refuse(w, http.StatusServiceUnavailable, notReady)
	}
}

// sendPage sends a playlist, compressed when the client takes that.
func sendPage(w http.ResponseWriter, r *http.Request, p *page, cache string) {
	h := w.Header()
	h.Set("Content-Type", playlistType)
	h.Set("Cache-Control", cache)
	h.Set("Vary", "Accept-Encoding")
	gzip := takesGzip(r.Header.Get("Accept-Encoding"))
	if gzip {
		h.Set("Content-Encoding", "gzip")
	}
	text, tag := p.as(gzip)
	if tag != "" {
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that is gone
	}
}

// takesGzip says that a client names gzip among what it decodes. None refuses it by a weight of zero.
func takesGzip(accepted string) bool {
	for coding := range strings.SplitSeq(accepted, ",") {
		if name, _, _ := strings.Cut(coding, ";"); strings.TrimSpace(name) == "gzip" {
			return true
		}
	}
	return false
}
