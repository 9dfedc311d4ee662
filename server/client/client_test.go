package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at returns a client of a server that answers with handler.
func at(t *testing.T, handler http.HandlerFunc) *Client {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{URL: s.URL + "/", HTTP: &http.Client{Transport: transport}, Token: func(context.Context) (string, error) { return "tok", nil }}
}

// TestAnswersAreKept: what a program prints is what the server said, unknown fields included.
func TestAnswersAreKept(t *testing.T) {
	const text = `{"id":"1","name":"a","enabled":true,"later":[1,2]}`
	c := at(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok" || r.URL.EscapedPath() != "/v2/rooms/a%2Fb" {
			t.Errorf("%s %s", r.URL.EscapedPath(), r.Header)
		}
		fmt.Fprint(w, text)
	})
	room, err := c.Room(t.Context(), "a/b")
	if err != nil || room.ID != "1" || !room.Enabled {
		t.Fatalf("%+v %v", room, err)
	}
	if got, err := json.Marshal(room); err != nil || string(got) != text {
		t.Errorf("%s %v", got, err)
	}
}

func TestPagesAreFollowed(t *testing.T) {
	calls := 0
	c := at(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		size := pageSize
		if r.URL.Query().Get("start") == "last-2" {
			size = 5
		}
		rooms := strings.TrimSuffix(strings.Repeat(`{"id":"x"},`, size), ",")
		fmt.Fprintf(w, `{"limit":100,"data":[%s],"last":"last-%d"}`, rooms, calls)
	})
	if rooms, err := c.Rooms(t.Context(), true, 0); err != nil || len(rooms) != 2*pageSize+5 || calls != 3 {
		t.Errorf("%d rooms in %d calls, %v", len(rooms), calls, err)
	}
	calls = 0
	if rooms, err := c.Rooms(t.Context(), true, 101); err != nil || len(rooms) != 101 || calls != 2 {
		t.Errorf("%d rooms in %d calls, %v", len(rooms), calls, err)
	}
}

func TestRefusals(t *testing.T) {
	status, body := 404, `{"code":404,"message":"room not found"}`
	c := at(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	_, err := c.Room(t.Context(), "x")
	var e *Error
	if !errors.Is(err, ErrNotFound) || !errors.As(err, &e) || e.Error() != "room not found" {
		t.Errorf("%v", err)
	}
	status, body = 400, `{"code":400,"message":"Invalid body param","details":["a","b"]}`
	if _, err = c.Room(t.Context(), "x"); err == nil || err.Error() != "a; b" || errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	status, body = 502, `<html>bad gateway</html>`
	if _, err = c.Room(t.Context(), "x"); !errors.As(err, &e) || e.Code != 502 || e.Error() != "the answer was 502 Bad Gateway" {
		t.Errorf("%v", err)
	}
	status, body = 200, `<html>hello</html>`
	if _, err = c.Room(t.Context(), "x"); err == nil {
		t.Error("took HTML for a room")
	}
	if _, err = (&Client{URL: "http://127.0.0.1:1", Token: c.Token}).Room(t.Context(), "x"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Room(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzAnswers: whatever a server says, the client says what is wrong with it or understands it.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"id":"1","name":7}`)
	f.Add(404, `{"code":"x"}`)
	f.Add(500, ``)
	f.Fuzz(func(t *testing.T, status int, body string) {
		resp := &http.Response{StatusCode: status, Status: fmt.Sprint(status)}
		if e := refusal(resp, []byte(body)); e.Error() == "" && len(e.Details) == 0 {
			t.Errorf("%q: no text", body)
		}
		var o object[Room]
		if err := json.Unmarshal([]byte(body), &o); err == nil {
			if _, err := json.Marshal(keepRoom(o.value, o.Raw)); err != nil {
				t.Errorf("%q: %v", body, err)
			}
		}
	})
}
