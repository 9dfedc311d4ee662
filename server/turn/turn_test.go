package turn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds waits on a busy machine.
const within = 20 * time.Second

// mediaPort answers every datagram with where it came from and what it was, as a media port would from its own address.
func mediaPort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(append([]byte("echo "), buf[:n]...), from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// certificateFiles writes a self-signed certificate for localhost.
func certificateFiles(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{}, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// newServer runs a server whose media port is announced as another address, as behind NAT.
func newServer(t *testing.T, change func(*Server)) *Server {
	t.Helper()
	media := mediaPort(t)
	cert, key := certificateFiles(t, t.TempDir())
	s := &Server{grace: grace, users: map[string]int{}, cfg: Config{
		Targets: []Target{{Local: media, Announced: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), media.Port())}},
		Secret:  []byte("secret"), Lifetime: time.Hour, Allocations: 10, PerUser: 3, Certificate: cert, Key: key, Host: "localhost",
		Log: slog.New(slog.DiscardHandler),
	}}
	if change != nil {
		change(s)
	}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "all is gone", func() bool { st := s.Stats(); return st.Allocations == 0 && st.Connections == 0 })
	})
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// open connects a client by one of the three ways.
func open(t *testing.T, s *Server, way string, c Credentials) *turn.Client {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", s.Port())
	var conn net.PacketConn
	var err error
	var stream net.Conn
	switch way {
	case "udp":
		conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
	case "tcp":
		stream, err = net.Dial("tcp", address)
	case "tls":
		address = fmt.Sprintf("127.0.0.1:%d", s.TLSPort())
		stream, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	if stream != nil {
		conn = turn.NewSTUNConn(stream)
	}
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: address, Username: c.Username, Password: c.Password, Conn: conn, RTO: time.Second,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); conn.Close() })
	return client
}

// talk sends a datagram through a relay until its echo comes back.
func talk(t *testing.T, relay net.PacketConn, to netip.AddrPort, text string) {
	t.Helper()
	buf := make([]byte, 2000)
	for deadline := time.Now().Add(within); time.Now().Before(deadline); {
		if _, err := relay.WriteTo([]byte(text), net.UDPAddrFromAddrPort(to)); err != nil {
			t.Fatal(err)
		}
		_ = relay.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := relay.ReadFrom(buf)
		if err != nil {
			continue // datagrams get lost
		}
		if from.String() != to.String() || string(buf[:n]) != "echo "+text {
			t.Fatalf("%q of %v", buf[:n], from)
		}
		return
	}
	t.Fatal("no echo")
}

func TestRelay(t *testing.T) {
	s := newServer(t, nil)
	to := s.cfg.Targets[0].Announced
	if want := fmt.Sprintf("turn:localhost:%d?transport=udp turn:localhost:%[1]d?transport=tcp turns:localhost:%d?transport=tcp", s.Port(), s.TLSPort()); strings.Join(s.Credentials("ann").URLs, " ") != want {
		t.Errorf("URLs %v, want %s", s.urls, want)
	}
	for _, way := range []string{"udp", "tcp", "tls"} {
		t.Run(way, func(t *testing.T) {
			client := open(t, s, way, s.Credentials("ann"))
			relay, err := client.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			if address := relay.LocalAddr().(*net.UDPAddr); !address.IP.Equal(net.IPv4(192, 0, 2, 1)) {
				t.Errorf("the relay is said to be at %v", address)
			}
			talk(t, relay, to, "hello by "+way)
			talk(t, relay, to, strings.Repeat("x", 1200))

			// Others cannot be reached: no permission, and no packet to another port of the media address.
			if err := client.CreatePermission(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(to.Port())}); err == nil {
				t.Error("there is a permission for another address")
			}
			refused := s.Stats().RefusedPeer
			if _, err := relay.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}); err != nil {
				t.Error(err)
			}
			eventually(t, "a packet to another port is refused", func() bool { return s.Stats().RefusedPeer > refused })
			address := map[string]string{"udp": s.urls[0], "tcp": s.urls[1], "tls": s.urls[2]}[way]
			if err := Probe(t.Context(), address, s.Credentials("doctor"), []netip.AddrPort{to}); (err == nil) != (way != "tls") {
				t.Errorf("probe: %v", err) // nobody trusts the certificate
			}
			eventually(t, "the probe's relay ends", func() bool { return s.Stats().Allocations == 1 })
			before := s.Stats().Allocations
			relay.Close()
			eventually(t, "the relay ends", func() bool { return s.Stats().Allocations == before-1 })
		})
	}
	if st := s.Stats(); st.Allocated != 5 || st.PacketsIn < 6 || st.PacketsOut < 6 {
		t.Errorf("%+v", st)
	}
}

func TestCredentials(t *testing.T) {
	s := newServer(t, nil)
	good := s.Credentials("ann:with a colon")
	forged, none := good, good
	forged.Password = s.password("other")
	none.Username, none.Password = "nobody", s.password("nobody")
	expired := s.credentials("ann", time.Now().Add(-time.Minute))
	for name, c := range map[string]Credentials{"forged": forged, "without a time": none, "expired": expired} {
		refused := s.Stats().RefusedAuth
		if _, err := open(t, s, "udp", c).Allocate(); err == nil || s.Stats().RefusedAuth == refused {
			t.Errorf("%s: error %v, %+v", name, err, s.Stats())
		}
	}
	relay, err := open(t, s, "udp", good).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	relay.Close()
}

func TestQuota(t *testing.T) {
	s := newServer(t, func(s *Server) { s.cfg.Allocations, s.cfg.PerUser = 3, 2 })
	allocate := func(user string) (net.PacketConn, error) { return open(t, s, "udp", s.Credentials(user)).Allocate() }
	var relays []net.PacketConn
	for _, test := range []struct {
		user string
		ok   bool
	}{{"ann", true}, {"ann", true}, {"ann", false}, {"bob", true}, {"cleo", false}} {
		relay, err := allocate(test.user)
		if (err == nil) != test.ok {
			t.Fatalf("%s: %v", test.user, err)
		}
		if relay != nil {
			relays = append(relays, relay)
		}
	}
	if n := s.Stats().RefusedQuota; n != 2 {
		t.Errorf("%d refused", n)
	}
	relays[0].Close()
	eventually(t, "a relay is given back", func() bool { return s.Stats().Allocations == 2 })
	relay, err := allocate("cleo")
	if err != nil {
		t.Error(err)
	}
	for _, r := range append(relays[1:], relay) {
		r.Close()
	}
}

// TestGarbage: what makes no sense is counted and makes no state, and who does not become a user does not stay.
func TestGarbage(t *testing.T) {
	s := newServer(t, func(s *Server) { s.grace = 300 * time.Millisecond })
	address := fmt.Sprintf("127.0.0.1:%d", s.Port())
	noise := [][]byte{{}, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0x40}, 100), bytes.Repeat([]byte{0xff}, 1700),
		append([]byte{0, 3, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)}
	udp, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, b := range noise {
		if _, err := udp.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "garbage is counted", func() bool { return s.Stats().Garbage >= 3 })
	for _, port := range []int{s.Port(), s.TLSPort()} {
		for _, b := range noise {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(b)
			_ = conn.SetReadDeadline(time.Now().Add(within))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%x at port %d stays connected", b[:min(4, len(b))], port)
			}
			conn.Close()
		}
	}
	// Who became a user stays longer than the grace.
	client := open(t, s, "tls", s.Credentials("ann"))
	relay, err := client.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * s.grace)
	talk(t, relay, s.cfg.Targets[0].Announced, "still here")
	eventually(t, "only one connection is left", func() bool { return s.Stats().Connections == 1 })
	relay.Close()
	eventually(t, "it ends with its relay", func() bool { return s.Stats().Connections == 0 })
}

func TestConnectionsAreBounded(t *testing.T) {
	s := newServer(t, func(s *Server) { s.cfg.Allocations = 2 }) // twice as many connections
	var all []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	eventually(t, "16 are refused", func() bool { return s.Stats().RefusedConnections == 16 && s.Stats().Connections == 4 })
	for _, conn := range all {
		conn.Close()
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	c := &certificate{}
	c.cert, c.key = certificateFiles(t, dir)
	first, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	certificateFiles(t, dir)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(c.cert, later, later); err != nil {
		t.Fatal(err)
	}
	if same, _ := c.get(nil); same != first {
		t.Error("the files are read for every handshake")
	}
	c.looked = time.Time{}
	second, err := c.get(nil)
	if err != nil || second == first {
		t.Errorf("the new certificate is not used: %v", err)
	}
	if err := os.WriteFile(c.cert, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.looked = time.Time{}
	if third, err := c.get(nil); err != nil || third != second {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := New(Config{Targets: []Target{{}}, Certificate: filepath.Join(dir, "none"), Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a certificate that is not there: %v", err)
	}
}

// FuzzUsername: whoever is let in has a name that was made here, and has not expired.
func FuzzUsername(f *testing.F) {
	s := &Server{cfg: Config{Secret: []byte("secret"), Lifetime: time.Hour}}
	f.Add(s.Credentials("ann").Username, realm)
	f.Add("1:ann", realm)
	f.Add("99999999999999999999:ann", realm)
	f.Add(":", "")
	f.Add("-1:", realm)
	f.Fuzz(func(t *testing.T, name, of string) {
		user, key, ok := s.authenticate(&turn.RequestAttributes{Username: name, Realm: of})
		if !ok {
			if user != "" || key != nil {
				t.Errorf("%q is refused with a key", name)
			}
			return
		}
		var until int64
		if _, err := fmt.Sscanf(name, "%d:", &until); err != nil || until < time.Now().Add(-time.Minute).Unix() || of != realm || user == "" {
			t.Errorf("%q of %q is let in as %q", name, of, user)
		}
		if !bytes.Equal(key, turn.GenerateAuthKey(name, realm, s.password(name))) {
			t.Errorf("%q has another key", name)
		}
	})
}
