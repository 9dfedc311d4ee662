package pagecast

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTokenOf(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36 " + AgentName + "AB12": "AB12",
		"Mozilla/5.0": "", AgentName: "", AgentName + "a b": "", "x " + AgentName + "a-b": "", "x" + AgentName + "a": "",
		"x " + AgentName + strings.Repeat("a", 65): "",
	} {
		if got := TokenOf(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

func TestWallClock(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	ticks := func(at time.Time) int64 {
		return (at.Unix()*clockRate + int64(at.Nanosecond())*clockRate/1e9) & (clockWrap - 1)
	}
	for _, off := range []time.Duration{0, -time.Second, 40 * time.Millisecond, -20 * time.Minute} {
		for _, now := range []time.Time{now, time.Unix(clockWrap/clockRate*7, 0)} { // and where the ticks begin anew
			if got := wallClock(ticks(now.Add(off)), now).Sub(now); (got - off).Abs() > time.Millisecond {
				t.Errorf("%v at %v: %v", off, now, got)
			}
		}
	}
	if got := wallClock(ticks(now.Add(5*time.Hour)), now); got != now {
		t.Errorf("a timestamp of another clock is %v", got)
	}
}

// A page reaches this server, and what the rule permits, over any protocol that is made of TCP; nothing else.
func TestProxy(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello from "+r.Host) }))
	defer site.Close()
	own := strings.Replace(site.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	p, err := openProxy(egress.Rule{Setting: "composition.allow_networks"}, []string{own}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: p.address()}), DisableKeepAlives: true}}
	private := site.Listener.Addr().String()
	for address, want := range map[string]int{
		"http://" + own + "/": 200, "http://" + own + "/metrics": 403, "http://" + private + "/": 403, "http://169.254.169.254/latest": 403,
		"http://[::1]:1/": 403, "http://10.0.0.1/": 403,
	} {
		resp, err := client.Get(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && string(body) != "hello from "+own {
			t.Errorf("%s: %d %q, want %d", address, resp.StatusCode, body, want)
		}
	}
	for to, want := range map[string]int{own: 200, private: 403, "169.254.169.254:443": 403, "no port": 400} {
		conn, err := net.Dial("tcp", p.address())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "CONNECT "+to+" HTTP/1.1\r\nHost: "+to+"\r\n\r\n")
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != want {
			t.Errorf("CONNECT %s: %+v, %v; want %d", to, resp, err, want)
		}
		if want == 200 {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: through.example\r\nConnection: close\r\n\r\n")
			if said, _ := io.ReadAll(in); !bytes.HasSuffix(said, []byte("hello from through.example")) {
				t.Errorf("through the tunnel: %q", said)
			}
		}
		conn.Close()
	}
}

// film is a second of picture and sound as ffmpeg writes it.
func film(tb testing.TB) []byte {
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=30", "-f", "lavfi", "-i", "sine", "-t", "1",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-c:a", "libopus", "-f", "mpegts", "-").Output()
	if err != nil {
		tb.Fatalf("ffmpeg: %v", err)
	}
	return out
}

type audience struct{ pictures, keys, sounds int }

func (a *audience) Picture(_ time.Time, key bool, au []byte) {
	if a.pictures++; key {
		a.keys++
	}
	if len(au) < 5 {
		panic("an empty picture")
	}
}

func (a *audience) Sound(time.Time, []byte) { a.sounds++ }

func TestDevelop(t *testing.T) {
	var a audience
	if err := develop(bytes.NewReader(film(t)), time.Now, &a); err == nil || a.pictures < 29 || a.keys != 1 || a.sounds < 48 {
		t.Errorf("%+v, %v", a, err)
	}
}

// FuzzDevelop: what is filmed is somebody else's, and so may be the programs that film it.
func FuzzDevelop(f *testing.F) {
	f.Add(film(f)[:188*40])
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := develop(bytes.NewReader(data), time.Now, &audience{}); err == nil {
			t.Error("a film ends without an error")
		}
	})
}

func TestOpen(t *testing.T) {
	for _, cfg := range []Config{
		{Browser: "no-such-browser"},
		{Browser: "true"},               // as root it needs a user; as another user
		{Browser: "true", User: "root"}, // it may have none
	} {
		cfg.Log = slog.New(slog.DiscardHandler)
		if _, err := Open(cfg); err == nil && (cfg.User != "" || os.Getuid() == 0) {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
