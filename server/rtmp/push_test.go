package rtmp

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"

	"amphi/server/egress"
	"amphi/server/live"
	"amphi/server/logtest"
)

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct{ text, host, app, key string }{
		{"rtmp://a.example/live2/abcd-efgh", "a.example:1935", "live2", "abcd-efgh"},
		{"rtmps://b.example/rtmp/FB-1?s_bl=1&a=Ab", "b.example:443", "rtmp", "FB-1?s_bl=1&a=Ab"},
		{"rtmp://[::1]:1936/app/instance/key", "[::1]:1936", "app/instance", "key"},
		{"rtmp://a.example/key", "a.example:1935", "", "key"},
		{"rtmp://a.example/app/", "", "", ""},
		{"rtmp:///app/key", "", "", ""},
		{"http://a.example/app/key", "", "", ""},
		{"rtmp://a.example/app/%zz", "", "", ""},
	} {
		a, err := ParseAddress(tt.text)
		if (err != nil) != (tt.host == "") || err == nil && (a.host != tt.host || a.app != tt.app || a.key != tt.key) {
			t.Errorf("%s: %+v %v", tt.text, a, err)
		}
		if err != nil && strings.Contains(err.Error(), "app/") && strings.Contains(err.Error(), "example") {
			t.Errorf("%s: the error says what is secret: %v", tt.text, err)
		}
		if err == nil && strings.Contains(a.String(), tt.key) {
			t.Errorf("%s is printed as %s", tt.text, a)
		}
	}
}

// pushTo is a push to addresses of tests, running.
func pushTo(t *testing.T, j *logtest.Journal, roots *tls.Config, addrs ...string) (p *Push, begun *atomic.Int32, end func() live.Ended) {
	t.Helper()
	var list []Address
	for _, text := range addrs {
		a, err := ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	begun = &atomic.Int32{}
	over := make(chan live.Ended, 1)
	p = newPush(list, j.Log(), &counters{}, func() { begun.Add(1) }, func(e live.Ended) { over <- e })
	p.allow = egress.Rule{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	p.tls = roots
	p.start()
	return p, begun, func() live.Ended {
		p.End(live.Ended{Reason: "done"})
		select {
		case e := <-over:
			return e
		case <-time.After(20 * time.Second):
			t.Fatal("the push does not end")
			panic("unreachable")
		}
	}
}

// What is pushed arrives whole at nginx-rtmp, and again after that was started anew. The servers beside it
// are of all the kinds that one would rather not have.
func TestPush(t *testing.T) {
	n := newNginx(t)
	secured, roots := secure(t, n.port)
	var j logtest.Journal
	refused := serve(t, refuse)
	bad := []string{
		"rtmp://127.0.0.1:1/live/secret-of-dead",
		"rtmp://" + serve(t, func(net.Conn) { <-t.Context().Done() }) + "/live/secret-of-silent",
		"rtmp://" + serve(t, func(c net.Conn) { _, _ = io.Copy(c, neverEnding{}) }) + "/live/secret-of-babbler",
		"rtmp://" + refused + "/live/secret-of-refuser",
	}
	p, begun, end := pushTo(t, &j, roots, append(bad, n.url("secret-plain"), "rtmps://"+secured+"/live/secret-tls")...)
	stop := play(p)
	until(t, "both begin", func() bool { return begun.Load() == 2 })
	began := time.Now()
	time.Sleep(3 * time.Second) // of what is to be decoded; beyond two pings of nginx

	n.stop()
	until(t, "both are lost", func() bool { return p.targets[4].failure.Load() != nil && p.targets[5].failure.Load() != nil })
	lasted := time.Since(began)
	n.start()
	until(t, "both begin again", func() bool { return begun.Load() == 4 })
	time.Sleep(1500 * time.Millisecond) // half more than is asked for below
	stop()
	if e := end(); e.Reason != "done" {
		t.Errorf("%+v", e)
	}
	for _, key := range []string{"secret-plain", "secret-tls"} {
		files := n.kept(key)
		if len(files) != 2 {
			t.Fatalf("%s: %d files", key, len(files))
		}
		for i, name := range files {
			pictures, sound := decode(t, name)
			if least := 30; pictures < least || sound < 900*time.Millisecond {
				t.Errorf("%s: %d pictures, %v of sound", name, pictures, sound)
			}
			if i == 0 && time.Duration(pictures)*time.Second/30 < lasted-1500*time.Millisecond {
				t.Errorf("%s: %d pictures in %v", name, pictures, lasted)
			}
		}
	}
	if n := p.targets[4].stats.dropped.Load(); n != 0 {
		t.Errorf("%d units were dropped", n)
	}
	if log := j.String(); strings.Contains(log, "secret") || !strings.Contains(log, "NetStream.Publish.BadName") {
		t.Errorf("the log says what is secret, or not why a server refuses:\n%s", log)
	}
}

// secure is a listener with TLS before a port of this machine, and what trusts it.
func secure(t *testing.T, port int) (addr string, roots *tls.Config) {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	pool := x509.NewCertPool()
	pool.AddCert(certified.Certificate())
	inner := serveWith(t, certified.TLS, func(c net.Conn) {
		out, err := net.Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String())
		if err != nil {
			return
		}
		defer out.Close()
		go func() { _, _ = io.Copy(c, out); c.Close() }()
		_, _ = io.Copy(out, c)
	})
	return inner, &tls.Config{RootCAs: pool}
}

// serve calls fn for each connection, and closes them at the end of the test.
func serve(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	return serveWith(t, nil, fn)
}

func serveWith(t *testing.T, secured *tls.Config, fn func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if secured != nil {
		l = tls.NewListener(l, secured)
	}
	ctx := t.Context()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				done := make(chan struct{})
				go func() { defer close(done); fn(c) }()
				select {
				case <-done:
				case <-ctx.Done():
				}
				c.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return addr
}

// neverEnding is what a babbler says.
type neverEnding struct{}

func (neverEnding) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 3
	}
	return len(b), nil
}

// answer plays a server up to its answer to the publish command.
func answer(c net.Conn, level, code string) (*message.ReadWriter, error) {
	counted := bytecounter.NewReadWriter(c)
	if _, _, err := handshake.DoServer(counted, false); err != nil {
		return nil, err
	}
	rw := message.NewReadWriter(counted, counted, false)
	for {
		m, err := rw.Read()
		if err != nil {
			return nil, err
		}
		cmd, ok := m.(*message.CommandAMF0)
		if !ok {
			continue
		}
		r := &message.CommandAMF0{ChunkStreamID: 3, Name: "_result", CommandID: cmd.CommandID, Arguments: []any{nil, float64(1)}}
		if cmd.Name == "publish" {
			key, _ := cmd.Arguments[1].(string)
			r = &message.CommandAMF0{ChunkStreamID: 5, MessageStreamID: messageStream, Name: "onStatus", Arguments: []any{nil, amf0.Object{
				{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: "about " + key}}}}
		}
		if err := rw.Write(r); err != nil || cmd.Name == "publish" {
			return rw, err
		}
	}
}

// refuse plays a server that knows no such key, and says which.
func refuse(c net.Conn) {
	if _, err := answer(c, "error", "NetStream.Publish.BadName"); err == nil {
		time.Sleep(time.Second)
	}
}

// A server that takes the stream and then does not read costs a queue, and is told what there is when it
// reads again: from a key picture on.
func TestSlowServer(t *testing.T) {
	var j logtest.Journal
	type got struct {
		key bool
		at  time.Duration
	}
	units := make(chan got, 1000)
	release := make(chan struct{})
	over := sync.OnceFunc(func() { close(units) })
	addr := serve(t, func(c net.Conn) {
		defer over()
		_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		rw, err := answer(c, "status", "NetStream.Publish.Start")
		if err != nil {
			return
		}
		<-release
		for {
			m, err := rw.Read()
			if err != nil {
				return
			}
			if v, ok := m.(*message.Video); ok && v.Type == message.VideoTypeAU {
				units <- got{v.IsKeyFrame, v.DTS}
			}
		}
	})
	p, begun, end := pushTo(t, &j, nil, "rtmp://"+addr+"/live/key")
	target := p.targets[0]
	until(t, "the connection", func() bool { target.mu.Lock(); defer target.mu.Unlock(); return target.open })
	p.Begin(live.Format{Sizes: []live.Size{{Width: 320, Height: 180}}, SampleRate: 48000, Channels: 2, FrameRate: 30})
	big := append(append([]byte{}, clip.video[1]...), make([]byte, 100_000)...)
	n := 0
	give := func() {
		au := clip.video[n%30]
		if n%30 != 0 {
			au = big
		}
		p.Video(0, time.Duration(n)*time.Second/30, n%30 == 0, au)
		n++
		target.mu.Lock()
		defer target.mu.Unlock()
		if len(target.queue) > queueUnits || target.bytes > queueBytes {
			t.Fatalf("%d units and %d bytes wait", len(target.queue), target.bytes)
		}
	}
	for p.targets[0].stats.dropped.Load() == 0 { // faster than in real time
		give()
		time.Sleep(time.Millisecond)
		if n > 10_000 {
			t.Fatal("nothing is ever dropped")
		}
	}
	close(release)
	for range 90 {
		give()
		time.Sleep(10 * time.Millisecond)
	}
	end()
	if begun.Load() != 1 {
		t.Errorf("begun %d times", begun.Load())
	}
	var last time.Duration
	gaps, count := 0, 0
	for u := range units {
		if count++; count > 1 && u.at-last > 40*time.Millisecond {
			if gaps++; !u.key {
				t.Errorf("after a gap at %v comes no key picture", u.at)
			}
		}
		last = u.at
	}
	if gaps == 0 || count < 60 {
		t.Errorf("%d gaps, %d pictures", gaps, count)
	}
}

// nobody may leave a push, or its connections, behind.
func TestEndWhileConnecting(t *testing.T) {
	var j logtest.Journal
	silent := serve(t, func(net.Conn) { <-t.Context().Done() })
	_, begun, end := pushTo(t, &j, nil, "rtmp://"+silent+"/live/key", "rtmp://127.0.0.1:1/live/key")
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	end()
	if took := time.Since(began); took > dialLimit/2 || begun.Load() != 0 {
		t.Errorf("took %v, begun %d", took, begun.Load())
	}
}
