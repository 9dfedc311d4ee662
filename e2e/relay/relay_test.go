package relay

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 20 * time.Second

// echo is a server that returns what it gets, over WebSocket and over UDP.
func echo(t *testing.T) (url string, udp *net.UDPAddr) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			fmt.Fprint(w, r.Host)
			return
		}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		for {
			kind, data, err := ws.ReadMessage()
			if err != nil || ws.WriteMessage(kind, data) != nil {
				return
			}
		}
	}))
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return server.URL, conn.LocalAddr().(*net.UDPAddr)
}

func start(t *testing.T, target string) (*Relay, *websocket.Conn) {
	t.Helper()
	r, err := Start(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, dial(t, r)
}

func dial(t *testing.T, r *Relay) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.URL, "http")+"/ws?peer=p", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return ws
}

func write(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(soon))
	_, data, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSockets(t *testing.T) {
	url, _ := echo(t)
	r, ws := start(t, url)
	resp, err := http.Get(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var host string
	if _, err := fmt.Fscan(resp.Body, &host); err != nil || "http://"+host != r.URL {
		t.Errorf("the server is asked for %q, want %q (%v)", host, r.URL, err)
	}
	write(t, ws, "one")
	if got := read(t, ws); got != "one" {
		t.Errorf("got %q", got)
	}

	// What is written into a cut comes out of it, in order.
	r.CutSockets()
	write(t, ws, "two")
	write(t, ws, "three")
	got := make(chan string)
	go func() {
		got <- read(t, ws)
		got <- read(t, ws)
	}()
	select {
	case text := <-got:
		t.Errorf("%q came through a cut", text)
	case <-time.After(100 * time.Millisecond):
	}
	r.Mend()
	if a, b := <-got, <-got; a != "two" || b != "three" {
		t.Errorf("got %q, %q", a, b)
	}

	// Unplugged, nothing new begins.
	r.Unplug()
	if resp, err := http.Get(r.URL); err == nil {
		resp.Body.Close()
		t.Error("an unplugged relay answered")
	}
	r.Mend()

	// A stranded socket is silent, another is not.
	r.Strand()
	write(t, ws, "four")
	other := dial(t, r)
	write(t, other, "five")
	if got := read(t, other); got != "five" {
		t.Errorf("got %q", got)
	}
	_ = ws.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, data, err := ws.ReadMessage(); err == nil {
		t.Errorf("%q came through a stranded socket", data)
	}
}

func TestMedia(t *testing.T) {
	url, udp := echo(t)
	r, ws := start(t, url)
	// The client's addresses do not reach the server; what comes from there names the relay.
	write(t, ws, `{"method":"trickle","params":{}}`)
	write(t, ws, `{"sdp":"v=0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=x\r\n"}`)
	if got := read(t, ws); got != `{"sdp":"v=0\r\na=x\r\n"}` {
		t.Errorf("got %s", got)
	}
	write(t, ws, fmt.Sprintf(`{"candidate":"candidate:1 1 udp 1 127.0.0.1 %d typ host"}`, udp.Port))
	var port int
	answer := read(t, ws)
	if _, err := fmt.Sscanf(answer, `{"candidate":"candidate:1 1 udp 1 127.0.0.1 %d typ host"}`, &port); err != nil || port == udp.Port {
		t.Fatalf("got %s, %v", answer, err)
	}
	offer := `{"sdp":"v=0\r\na=candidate:2 1 tcp 9 127.0.0.1 9 typ host tcptype passive\r\na=x\r\n"}`
	if got, err := r.ownCandidates([]byte(offer)); err != nil || string(got) != `{"sdp":"v=0\r\na=x\r\n"}` {
		t.Errorf("TCP leads past the relay: %s, %v", got, err)
	}
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func(text string, wait time.Duration) string {
		_, _ = conn.Write([]byte(text))
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		buf := make([]byte, maxDatagram)
		n, _ := conn.Read(buf)
		return string(buf[:n])
	}
	if got := ask("one", soon); got != "one" {
		t.Errorf("got %q", got)
	}
	r.CutMedia()
	if got := ask("two", 100*time.Millisecond); got != "" {
		t.Errorf("%q came through a cut", got)
	}
	r.Mend()
	if got := ask("three", soon); got != "three" {
		t.Errorf("got %q", got)
	}
}
