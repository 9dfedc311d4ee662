package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store/storetest"
)

// TestRoomChangesReachTheLiveRoom: what is changed of a room's record holds for who comes next, and at once.
func TestRoomChangesReachTheLiveRoom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		b := newBenchOn(t, where, nil)
		path := "/v2/rooms/" + b.seed.Room.ID
		refused := func(peer string) {
			t.Helper()
			_, _, err := b.join(peer, "broadcaster")
			var refusal *protocol.Error
			if !errors.As(room.AsProtocol(err), &refusal) || refusal.Code != protocol.CodeForbidden {
				t.Errorf("%s: %v", peer, err)
			}
		}
		annHears := b.mustJoin("ann", "broadcaster")
		b.field("id", "POST", path, `{"enabled":false}`)
		refused("bob")
		b.want(403, disabled, "POST", "/v2/live-streams/room/"+b.seed.Room.ID+"/start", b.admin, "")
		b.field("id", "POST", path, `{"enabled":true,"size":2}`)
		b.mustJoin("bob", "broadcaster")
		refused("eve")
		b.field("id", "POST", path, `{"size":0}`)
		b.mustJoin("eve", "broadcaster")

		// The session keeps the template that it began with, also if its roles go meanwhile.
		other := b.field("id", "POST", "/v2/templates", `{"name":"other","roles":{"guest":{}}}`)
		b.field("id", "POST", path, `{"template_id":"`+other+`"}`)
		b.mustJoin("dan", "hls-viewer")
		if n := len(annHears.heard(protocol.OnPeerJoin)); n != 3 {
			t.Errorf("ann saw %d people come", n)
		}

		b.field("message", "POST", "/v2/active-rooms/"+b.seed.Room.ID+"/end-room", `{"lock":true,"reason":"over"}`)
		if heard := annHears.heard(protocol.OnPeerLeaveRequest); len(heard) != 1 || !strings.Contains(heard[0], "over") {
			t.Errorf("ann heard %v", heard)
		}
		eventually(t, "the end", func() bool { return b.Rooms.Lookup(b.seed.Room.ID) == nil })
		if _, _, err := b.join("ann", "broadcaster"); !errors.Is(err, room.ErrDisabled) {
			t.Errorf("%v", err)
		}
		b.field("id", "POST", path, `{"enabled":true}`)
		_, _, err := b.join("fay", "hls-viewer") // the next session has the new template
		var refusal *protocol.Error
		if !errors.As(err, &refusal) || refusal.Code != protocol.CodeBadRequest {
			t.Errorf("%v", err)
		}
		b.mustJoin("gil", "guest")
	})
}

// TestFlood: one address that asks 10,000 times gets 429 for most of it; somebody else notices nothing.
func TestFlood(t *testing.T) {
	b := newBench(t, func(a *API) { a.Limits.RequestsPerSecond, a.Limits.RequestBurst = 100, 200 })
	const flood = 10_000
	var statuses sync.Map // of *atomic.Int64 by status
	var wg sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	request := func(from string) *http.Response {
		req, err := http.NewRequestWithContext(context.Background(), "GET", b.server.URL+"/v2/rooms?limit=10", nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		req.Header.Set("Authorization", "Bearer "+b.admin)
		req.Header.Set("X-Forwarded-For", from)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // so that the connection is used again
			t.Error(err)
		}
		return resp
	}
	for range 8 {
		wg.Go(func() {
			for range flood / 8 {
				resp := request("93.184.215.14")
				if resp == nil {
					return
				}
				if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				n, _ := statuses.LoadOrStore(resp.StatusCode, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			if resp := request("93.184.215.15"); resp == nil || resp.StatusCode != 200 {
				t.Errorf("somebody else: %v", resp)
			}
		}
	})
	wg.Wait()
	count := func(status int) int64 {
		n, _ := statuses.LoadOrStore(status, new(atomic.Int64))
		return n.(*atomic.Int64).Load()
	}
	if count(200) < 200 || count(200)+count(429) != flood || count(429) != b.limiter.refused.Load() {
		t.Errorf("%d answered, %d refused, %d counted", count(200), count(429), b.limiter.refused.Load())
	}
}

// TestRefusalsAreLoggedOnce: with what is needed to help, and without the token.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	b := newBench(t, func(a *API) { a.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for _, tc := range []struct{ method, path, token, body, want string }{
		{"GET", "/v2/rooms", "", "", `level=INFO msg="request refused" method=GET path=/v2/rooms status=401 reason="token is missing"`},
		{"POST", "/v2/rooms", b.admin, `{"size":-1}`, `status=400 reason="Invalid body param: room size less than 0"`},
		{"GET", "/v2/nothing", b.admin, "", `path=/v2/nothing status=404 reason="no such path"`},
		{"PUT", "/v2/rooms", b.admin, "", `status=405 reason="method PUT is not allowed here"`},
	} {
		log.Reset()
		b.call(tc.method, tc.path, tc.token, tc.body)
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, tc.want) || strings.Contains(text, b.admin) {
			t.Errorf("%s %s: %s", tc.method, tc.path, text)
		}
	}
	log.Reset()
	b.call("GET", "/v2/rooms", b.admin, "")
	if log.Len() > 0 {
		t.Errorf("a good request is logged: %s", log.String())
	}
	b.Store.Close()
	b.call("GET", "/readyz", "", "")
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "the database does not answer: ") {
		t.Errorf("%s", text)
	}
}

// TestSlowBody: whoever does not send the body is not waited for.
func TestSlowBody(t *testing.T) {
	b := newBench(t, func(a *API) { a.bodyTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v2/rooms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{\"name\":", b.admin)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), "did not come in time") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}
