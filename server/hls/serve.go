package hls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
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
	a := s.answer(r.Context(), name, r.URL.RawQuery)
	switch {
	case a.refused != 0 && r.Context().Err() != nil: // nobody reads it
	case a.refused != 0:
		if a.refused == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, a.refused, a.why)
	case a.page != nil:
		sendPage(w, r, a.page, a.cache)
	case a.old != nil:
		s.serveOld(w, r, a)
	case r.Method == http.MethodGet && len(r.Header["Range"])+len(r.Header["If-Match"])+len(r.Header["If-None-Match"]) == 0:
		// As players ask: in one piece, without the buffer that http.ServeContent copies through.
		fileHeader(w, a.name, mediaType)
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body)
	default:
		sendFile(w, r, a.name, mediaType, bytes.NewReader(a.body))
	}
}

// answer is what a request for a file gets: a refusal, a playlist, what is in memory, or what has to be read or made.
type answer struct {
	refused int    // an HTTP status; 0: it is not
	why     string // it is

	page  *page
	cache string // how long caches may keep that

	name      string // of the file
	body      []byte
	old       *segment
	kind      fileKind // of it
	rendition int      // of it
}

func refused(status int, why string) answer { return answer{refused: status, why: why} }

// answer finds what is asked for, and waits for what is announced.
func (s *Stream) answer(ctx context.Context, name, query string) answer {
	if s.closed() {
		return refused(http.StatusGone, hasEnded)
	}
	switch name {
	case MasterPlaylist:
		return s.firstPage(ctx, func(e *edition) *page { return &e.master }, cacheMaster)
	case OldMasterPlaylist:
		return s.firstPage(ctx, func(e *edition) *page { return &e.oldMaster }, cacheMaster)
	}
	dir, base, _ := strings.Cut(name, "/")
	rendition := s.rendition(dir)
	switch {
	case rendition < 0:
		return refused(http.StatusNotFound, "no such file")
	case base == playlistName:
		return s.playlist(ctx, rendition, query)
	case base == oldPlaylistName:
		return s.firstPage(ctx, func(e *edition) *page { return &e.old }, cachePlain)
	}
	return s.file(ctx, rendition, base)
}

// rendition is the number of the one with that name, or -1.
func (s *Stream) rendition(name string) int {
	return slices.IndexFunc(s.cfg.Renditions, func(r Rendition) bool { return r.Name == name })
}

// firstPage waits for the first segment: the static address may be handed out before.
func (s *Stream) firstPage(ctx context.Context, which func(*edition) *page, cache string) answer {
	var e *edition
	switch {
	case !s.await(ctx, func(now *edition) bool { e = now; return len(e.listed) > 0 || e.ended }):
		return s.inVain()
	case len(e.listed) == 0:
		return refused(http.StatusGone, hasEnded)
	}
	return answer{page: which(e), cache: cache}
}

// playlist is the newest one, or the first one that has the segment and part asked for (RFC 8216bis 6.2.5.2).
func (s *Stream) playlist(ctx context.Context, rendition int, query string) answer {
	want, ok := parseDirectives(query)
	if !ok {
		return refused(http.StatusBadRequest, "bad _HLS_msn or _HLS_part")
	}
	var e *edition
	var ahead bool
	switch {
	case !s.await(ctx, func(now *edition) bool {
		e = now
		ahead = want.blocking && want.msn > e.next+1
		return ahead || e.ended || e.has(want)
	}):
		return s.inVain()
	case ahead:
		return refused(http.StatusBadRequest, "_HLS_msn is too far ahead")
	case len(e.listed) == 0:
		return refused(http.StatusGone, hasEnded)
	}
	p, cache := e.page(rendition, want)
	return answer{page: p, cache: cache}
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

// file is an initialisation section, a segment or a part. The part which the playlists announce as the next one is waited for.
func (s *Stream) file(ctx context.Context, rendition int, name string) answer {
	f, ok := parseFile(name)
	if !ok {
		return refused(http.StatusNotFound, "no such file")
	}
	a := answer{name: name, kind: f.kind, rendition: rendition}
	var gone bool
	switch {
	case !s.await(ctx, func(e *edition) bool {
		a.body, a.old, gone = e.file(f, rendition)
		hinted := f.kind == aPart && f.number == e.nextPart
		return a.body != nil || a.old != nil || gone || !hinted || e.ended
	}):
		return s.inVain()
	case gone:
		return refused(http.StatusGone, "this part of the stream is over")
	case a.body == nil && a.old == nil:
		return refused(http.StatusNotFound, "no such file")
	}
	return a
}

// serveOld answers with a segment that is on its shelf, or as a transport stream.
func (s *Stream) serveOld(w http.ResponseWriter, r *http.Request, a answer) {
	if a.kind == aTransport {
		body, err := s.transportOf(r.Context(), a.old, a.rendition)
		if err != nil {
			s.refuseOld(w, a, err)
			return
		}
		sendFile(w, r, a.name, oldMediaType, bytes.NewReader(body))
		return
	}
	content, err := s.shelf.open(r.Context(), a.old, a.rendition)
	if err != nil {
		s.refuseOld(w, a, err)
		return
	}
	defer content.Close()
	sendFile(w, r, a.name, mediaType, content)
}

// refuseOld says whether it makes sense to ask again.
func (s *Stream) refuseOld(w http.ResponseWriter, a answer, err error) {
	s.cfg.Log.Debug("a segment is not where it should be", "segment", a.old.msn, "err", err)
	if errors.Is(err, fs.ErrNotExist) {
		refuse(w, http.StatusNotFound, "this part of the stream is lost")
		return
	}
	w.Header().Set("Retry-After", retryAfter)
	refuse(w, http.StatusServiceUnavailable, "this part of the stream cannot be had at the moment")
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
		case seg == nil || seg.gap:
			return nil, nil, gone
		case seg.shelved, f.kind == aTransport && seg.bodies != nil:
			return nil, seg, false
		case seg.bodies != nil:
			return seg.bodies[rendition], nil, false
		}
	}
	return nil, nil, false
}

const (
	hasEnded   = "stream has ended"
	retryAfter = "1" // seconds, for who waited in vain
)

// inVain is for a request that waited in vain.
func (s *Stream) inVain() answer {
	if s.closed() {
		return refused(http.StatusGone, hasEnded)
	}
	return refused(http.StatusServiceUnavailable, "stream is not ready")
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
