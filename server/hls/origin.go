package hls

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Prefix is where an Origin's addresses begin.
const Prefix = "/beam/"

// lingering is how long a stream can be played after its end. Players are some seconds behind.
const lingering = 30 * time.Second

// Key names the place of a room's stream: /beam/{Customer}/{Room}/.
type Key struct{ Customer, Room string }

// Path is the path of the stream's master playlist on the origin.
func (k Key) Path() string { return Prefix + k.Customer + "/" + k.Room + "/" + MasterPlaylist }

// Origin answers for the streams on the air. The zero value is ready for use.
type Origin struct {
	mu      sync.RWMutex
	streams map[Key]*Stream

	requests atomic.Uint64
	refused  atomic.Uint64
	bytes    atomic.Uint64
}

// OriginStats is a snapshot of an origin's counters.
type OriginStats struct {
	Streams  int    // on the air
	Waiting  int64  // requests held back until a part is there
	Requests uint64 // answered, whatever the answer
	Refused  uint64 // of them, those with a status of 400 or more
	Bytes    uint64 // sent in bodies

	// Of the streams on the air:
	Spooled int64  // bytes on disk that wait for a bucket
	Lost    uint64 // segments that could not be kept for those who go back
}

// Put puts a stream on the air. It takes the place of the one before, which the caller closes.
func (o *Origin) Put(k Key, s *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.streams == nil {
		o.streams = make(map[Key]*Stream)
	}
	o.streams[k] = s
}

// Remove takes a stream off the air, unless another one has taken its place.
func (o *Origin) Remove(k Key, s *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.streams[k] == s {
		delete(o.streams, k)
	}
}

// Retire ends a stream that is on the air, and takes it off after a while, in which players come to its end.
func (o *Origin) Retire(k Key, s *Stream) {
	s.End()
	time.AfterFunc(lingering, func() {
		o.Remove(k, s)
		s.Close()
	})
}

// Stream returns the stream on the air at that place, or nil.
func (o *Origin) Stream(k Key) *Stream {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.streams[k]
}

// Stats reads the counters.
func (o *Origin) Stats() OriginStats {
	st := OriginStats{
		Requests: o.requests.Load(),
		Refused:  o.refused.Load(),
		Bytes:    o.bytes.Load(),
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, s := range o.streams {
		if !s.over() {
			st.Streams++
		}
		st.Waiting += s.waiting.Load()
		var kept StreamStats
		s.shelf.addTo(&kept)
		st.Spooled, st.Lost = st.Spooled+kept.Spooled, st.Lost+kept.Lost
	}
	return st
}

// ServeHTTP answers /beam/{customer}/{room}/{file...}.
func (o *Origin) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &countingWriter{ResponseWriter: rw}
	defer func() {
		o.requests.Add(1)
		o.bytes.Add(w.bytes)
		if w.status >= 400 {
			o.refused.Add(1)
		}
	}()
	if !admit(w, r) {
		return
	}
	s, name, ok := o.find(r.URL.Path)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "no such stream")
		return
	case s == nil:
		refuse(w, http.StatusNotFound, "hls not running")
		return
	}
	s.serve(w, r, name)
}

// find takes a path apart: its stream, nil if that is not on the air, and the name of a file in it.
func (o *Origin) find(path string) (s *Stream, name string, ok bool) {
	customer, rest, _ := strings.Cut(strings.TrimPrefix(path, Prefix), "/")
	room, name, ok := strings.Cut(rest, "/")
	if !ok {
		return nil, "", false
	}
	return o.Stream(Key{Customer: customer, Room: room}), name, true
}

// countingWriter counts a response's bytes and keeps its status.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  uint64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += uint64(n)
	return n, err
}

// ReadFrom has files sent by the kernel, and buffers used again.
func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.bytes += uint64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
