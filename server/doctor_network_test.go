package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"amphi/server/config"
	"amphi/server/sfu"
)

// here is the configuration of a server that announces 127.0.0.1 alone.
func here(t *testing.T) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	cfg.RTC.NodeIPs = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	cfg.RTC.Port = freePort(t)
	cfg.TURN.Port, cfg.TURN.TLSPort = 0, 0
	return cfg
}

// freePort is one that UDP and TCP had a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		port := udp.LocalAddr().(*net.UDPAddr).Port
		if tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err == nil {
			tcp.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// is checks what a finding says, by its first letter: i, h or w.
func (f finding) is(t *testing.T, kind byte, part string) {
	t.Helper()
	got := map[byte]string{'i': f.info, 'h': f.hint}
	if f.wrong != nil {
		got['w'] = f.wrong.Error()
	}
	if !strings.Contains(got[kind], part) || got[kind] == "" {
		t.Errorf("%+v, want %c with %q", f, kind, part)
	}
}

// stunTold answers every request with an address.
func stunTold(t *testing.T, ip net.IP) (url string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			m := &stun.Message{Raw: buf[:n]}
			if m.Decode() == nil && ip != nil {
				answer := stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess, &stun.XORMappedAddress{IP: ip, Port: 4711})
				_, _ = conn.WriteToUDP(answer.Raw, from)
			} else {
				_, _ = conn.WriteToUDP([]byte("nonsense"), from)
			}
		}
	}()
	return fmt.Sprintf("stun:%v", conn.LocalAddr())
}

func TestAnnouncedAddresses(t *testing.T) {
	cfg := here(t)
	checkNodeIPs(t.Context(), cfg).is(t, 'h', "127.0.0.1: none is public")
	ask := func(url string) finding {
		cfg.RTC.ICEServers = []config.ICEServer{{URLs: []string{"turn:x", url}, Username: "u", Credential: "c"}}
		return checkNodeIPs(t.Context(), cfg)
	}
	ask(stunTold(t, net.IPv4(203, 0, 113, 7))).is(t, 'w', "set --node-ip 203.0.113.7")
	ask(stunTold(t, net.IPv4(127, 0, 0, 1))).is(t, 'i', "sees this machine at 127.0.0.1")
	ask(stunTold(t, nil)).is(t, 'h', "does not tell more")
	cfg.RTC.NodeIPs = []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")}
	checkNodeIPs(t.Context(), cfg).is(t, 'w', "only one address of a family")
}

func TestWayToTheMediaPort(t *testing.T) {
	cfg := here(t)
	checkReach(t.Context(), cfg).is(t, 'i', fmt.Sprintf("reached by udp 127.0.0.1:%d, tcp 127.0.0.1:%[1]d;", cfg.RTC.Port))

	media, err := sfu.New(sfu.Config{Port: cfg.RTC.Port, NodeIPs: []string{"127.0.0.1"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	checkReach(t.Context(), cfg).is(t, 'i', fmt.Sprintf("reached by tcp 127.0.0.1:%d;", cfg.RTC.Port))
	if err := media.Close(); err != nil {
		t.Error(err)
	}

	cfg.RTC.Port = 0
	checkReach(t.Context(), cfg).is(t, 'i', "a free port is taken")
}

// certificateFor writes a certificate and its key into one file.
func certificateFor(t *testing.T, host string, until time.Time) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until,
	}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "certificate.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTURN(t *testing.T) {
	cfg := here(t)
	checkTURN(t.Context(), cfg).is(t, 'i', "off")
	cfg.TURN.Enabled = true
	checkTURN(t.Context(), cfg).is(t, 'h', "before the first start")
	if _, _, errs := amphi(t, []string{"AMPHI_DATA=" + cfg.Data}, "keys"); errs != "" {
		t.Fatal(errs)
	}
	checkTURN(t.Context(), cfg).is(t, 'i', "?transport=tcp")

	// Of a server that runs.
	cfg.TURN.Port = freePort(t)
	secret, err := workspaceSecret(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := mediaAddresses(cfg)
	if err != nil {
		t.Fatal(err)
	}
	relay, err := openRelay(cfg, addrs, secret, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	checkTURN(t.Context(), cfg).is(t, 'i', fmt.Sprintf("turn:127.0.0.1:%d?transport=udp", cfg.TURN.Port))
	if n := relay.Stats().Allocated; n != 2 {
		t.Errorf("%d relays of the running server", n)
	}
	if servers := iceServers(cfg, relay)("ann"); len(servers) != 1 || !strings.HasSuffix(servers[0].Username, ":ann") {
		t.Errorf("clients are told %+v", servers)
	}
	if err := relay.Close(); err != nil {
		t.Error(err)
	}

	// A certificate that nobody trusts.
	cfg.TURN.Host, cfg.TURN.Certificate = "localhost", certificateFor(t, "localhost", time.Now().Add(time.Hour))
	checkTURN(t.Context(), cfg).is(t, 'w', "turns:localhost:")
}

func TestCertificates(t *testing.T) {
	cfg := here(t)
	checkCertificates(t.Context(), cfg).is(t, 'i', "none are in use")
	cfg.TURN.Enabled, cfg.TURN.Host = true, "turn.example.org"
	day := 24 * time.Hour
	for _, test := range []struct {
		host string
		left time.Duration
		kind byte
		part string
	}{
		{"turn.example.org", 60 * day, 'i', "turn.certificate until 20"},
		{"turn.example.org", 3 * day, 'h', "renew it"},
		{"turn.example.org", -day, 'w', "ended on"},
		{"www.example.org", 60 * day, 'w', "turn.host names another"},
	} {
		cfg.TURN.Certificate = certificateFor(t, test.host, time.Now().Add(test.left))
		checkCertificates(t.Context(), cfg).is(t, test.kind, test.part)
	}
	cfg.TURN.Certificate = filepath.Join(cfg.Data, "none.pem")
	checkCertificates(t.Context(), cfg).is(t, 'w', "no such file")
	cfg.TURN.Certificate, cfg.PublicURL = "", fmt.Sprintf("https://127.0.0.1:%d", freePort(t))
	checkCertificates(t.Context(), cfg).is(t, 'h', "cannot be reached")
}
