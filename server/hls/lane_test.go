package hls

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// byLane serves a stream as the server does, and counts what net/http was left to answer.
func byLane(t *testing.T, s *Stream) (o *Origin, address, base string, left *atomic.Int64) {
	t.Helper()
	o, left = &Origin{}, &atomic.Int64{}
	key := Key{Customer: "c1", Room: "r1"}
	o.Put(key, s)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		o.ServeHTTP(w, r)
	}))
	srv.Listener = o.Listener(srv.Listener)
	srv.Config.ConnState = ConnState
	srv.Start()
	t.Cleanup(func() { s.Close(); srv.Close() })
	return o, srv.Listener.Addr().String(), strings.TrimSuffix(key.Path(), MasterPlaylist), left
}

// ask sends texts over one connection and returns the answers to so many requests.
func ask(t *testing.T, address string, answers int, texts ...string) (got []*http.Response, bodies []string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(c)
	read := func() {
		r := &http.Request{Method: http.MethodGet}
		if len(texts) == answers && strings.HasPrefix(texts[len(got)], "HEAD") {
			r.Method = http.MethodHead
		}
		resp, err := http.ReadResponse(in, r)
		if err != nil {
			t.Fatalf("answer %d to %q: %v", len(got), texts, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, bodies = append(got, resp), append(bodies, string(body))
	}
	for _, text := range texts {
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if len(texts) == answers { // one after the other
			read()
		} else {
			time.Sleep(10 * time.Millisecond) // so that the pieces come by themselves
		}
	}
	for len(got) < answers {
		read()
	}
	return got, bodies
}

// What is answered beneath net/http is what the handler answers.
func TestLaneIsAsTheHandler(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second+500*time.Millisecond)
	o, address, base, left := byLane(t, s)
	_, media, dir := lists(t, s)
	last := media.Segments[len(media.Segments)-1]
	first := firstSequence(testStart)
	for _, name := range []string{
		"../" + MasterPlaylist, playlistName, playlistName + "?_HLS_skip=YES", playlistName + fmt.Sprintf("?_HLS_msn=%d&_HLS_part=1", first+9), "init-" + fmt.Sprint(first+gapSegments) + ".mp4", last.URI, last.Parts[0].URI,
	} {
		for _, field := range []string{"", "Accept-Encoding: br, gzip\r\n"} {
			target := path.Join(base, dir, name)
			got, bodies := ask(t, address, 1, "GET "+target+" HTTP/1.1\r\nHost: a\r\nUser-Agent: x y\r\n"+field+"\r\n")
			r := httptest.NewRequest(http.MethodGet, target, nil)
			if field != "" {
				r.Header.Set("Accept-Encoding", "br, gzip")
			}
			w := httptest.NewRecorder()
			o.ServeHTTP(w, r)
			got[0].Header.Del("Date")
			if got[0].StatusCode != w.Code || w.Body.String() != bodies[0] || fmt.Sprint(got[0].Header) != fmt.Sprint(w.Header()) {
				t.Errorf("%s: %d %v\nthe handler: %d %v", target, got[0].StatusCode, got[0].Header, w.Code, w.Header())
			}
		}
	}
	if n := left.Load(); n != 0 {
		t.Errorf("%d requests came to net/http", n)
	}
	if st := o.Stats(); st.Requests != 28 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
	s.waiting.Store(maxWaiting)
	got, bodies := ask(t, address, 1, "GET "+base+dir+"/"+media.PreloadHint.URI+" HTTP/1.1\r\nHost: a\r\n\r\n")
	if got[0].StatusCode != http.StatusServiceUnavailable || got[0].Header.Get("Retry-After") != retryAfter || !strings.Contains(bodies[0], "stream is not ready") {
		t.Errorf("one too many: %d %v %s", got[0].StatusCode, got[0].Header, bodies[0])
	}
}

// Whatever else comes is net/http's to answer, in its turn, and what follows it.
func TestLaneStaysOutOfTheWay(t *testing.T) {
	s := newTestStream(t)
	small.write(t, s, 0, 3*time.Second)
	o, address, base, left := byLane(t, s)
	list := base + "180p/" + playlistName
	const rest = " HTTP/1.1\r\nHost: a\r\n"
	plain := "GET " + list + rest + "\r\n"
	// net/http may see the first byte of the next request while it ends an answer, and then has the connection for itself.
	const some = -1
	for _, tt := range []struct {
		what  string
		texts []string
		codes []int
		left  int64 // answered by net/http
	}{
		{"one after the other", []string{plain, plain, plain}, []int{200, 200, 200}, 0},
		{"other requests between", []string{plain, "HEAD " + list + rest + "\r\n", plain, "GET /else" + rest + "\r\n", plain}, []int{200, 200, 200, 404, 200}, some},
		{"a missing file", []string{"GET " + base + "180p/0.m4s" + rest + "\r\n", plain}, []int{410, 200}, some},
		{"a condition", []string{"GET " + list + rest + "If-None-Match: \"x\"\r\n\r\n", plain}, []int{200, 200}, some},
		{"a letter that is none of ours", []string{"GET " + list + "?%5f=1" + rest + "\r\n", plain}, []int{200, 200}, some},
		{"a request in pieces", []string{plain[:10], plain[10:], plain}, []int{200, 200}, 2},
		{"two at once", []string{plain + plain}, []int{200, 200}, 2},
		{"one and a half", []string{plain + plain[:5], plain[5:]}, []int{200, 200}, 2},
		{"a body", []string{"POST " + list + rest + "Content-Length: 3\r\n\r\nabc", plain}, []int{405, 200}, 2},
		// The body looks like a request; whoever took it for one would answer it.
		{"a body that looks like a request", []string{"POST " + list + rest + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(plain)), plain, plain}, []int{405, 200}, 2},
		{"chunks", []string{"POST " + list + rest + "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", plain}, []int{405, 200}, 2},
		{"a body that only net/http sees", []string{"POST " + list + " HTTP/1.1\nContent-Length: 3\nHost: a\r\n\r\n", "abc", plain}, []int{405, 200}, 2},
		{"no host", []string{"GET " + list + " HTTP/1.1\r\n\r\n"}, []int{400}, 0},
		{"an old protocol", []string{"GET " + list + " HTTP/1.0\r\nHost: a\r\n\r\n"}, []int{200}, 1},
		{"a connection that is to end", []string{"GET " + list + rest + "Connection: close\r\n\r\n"}, []int{200}, 1},
	} {
		before := left.Load()
		got, bodies := ask(t, address, len(tt.codes), tt.texts...)
		for i, code := range tt.codes {
			if got[i].StatusCode != code || code == 200 && tt.texts[0] != "" && bodies[i] != "" && !strings.HasPrefix(bodies[i], "#EXTM3U") {
				t.Errorf("%s: answer %d is %d: %.40q", tt.what, i, got[i].StatusCode, bodies[i])
			}
		}
		if n := left.Load() - before; n != tt.left && (tt.left != some || n == 0) {
			t.Errorf("%s: net/http answered %d, want %d", tt.what, n, tt.left)
		}
	}
	if st := o.Stats(); st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// What is taken for a whole, plain request is one to net/http, too.
func FuzzLane(f *testing.F) {
	f.Add([]byte("GET /beam/c/r/180p/stream.m3u8?_HLS_msn=1 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\nContent-Length: 3\r\nHost: a\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, whole := parseRequest(text)
		if !whole {
			return
		}
		in := bufio.NewReader(bytes.NewReader(text))
		req, err := http.ReadRequest(in)
		if err != nil {
			return // refused, and the connection closed
		}
		n, _ := io.Copy(io.Discard, req.Body)
		if left := in.Buffered(); n > 0 || left > 0 || req.ContentLength != 0 {
			t.Fatalf("%q has a body of %d bytes, and %d follow", text, n, left)
		}
		if r.plain && (req.Method != http.MethodGet || req.URL.Path != r.path || req.URL.RawQuery != r.query || takesGzip(req.Header.Get("Accept-Encoding")) != r.gzip || req.Host == "" && r.path == "") {
			t.Fatalf("%q is %+v, to net/http %v", text, r, req)
		}
	})
}
