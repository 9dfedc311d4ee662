package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestViewer lets the bench's socket talk to a library's server, with frames of all lengths.
func TestViewer(t *testing.T) {
	const chat = `{"method":"on-broadcast","params":{"info":{"message":%q}}}`
	upgrader := websocket.Upgrader{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				return
			}
			var frame struct{ Method, ID string }
			if err := json.Unmarshal(data, &frame); err != nil {
				t.Errorf("%v: %s", err, data)
			}
			answers := []string{fmt.Sprintf(`{"id":%q,"result":{}}`, frame.ID)}
			switch {
			case r.URL.Query().Get("token") == "bad":
				answers = []string{`{"method":"on-error","params":{"code":401}}`}
			case frame.Method == "broadcast":
				for _, n := range []int{1, 200, 70_000} {
					answers = append(answers, fmt.Sprintf(chat, strings.Repeat("x", n)))
				}
				if err := ws.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Second)); err != nil {
					t.Error(err)
				}
			}
			for _, answer := range answers {
				if err := ws.WriteMessage(websocket.TextMessage, []byte(answer)); err != nil {
					return
				}
			}
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	if _, err := join(address, "p", "bad", new(delays)); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("refused: %v", err)
	}
	v, err := join(address, "p", "good", new(delays))
	if err != nil {
		t.Fatal(err)
	}
	defer v.conn.Close()
	for range 2 {
		if err := v.say("hello"); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); v.heard.count() < 6; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages counted, 6 were sent", v.heard.count())
		}
	}
}
