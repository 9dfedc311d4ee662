package network

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// turnPort and turnsPort are those of the server's TURN, without and with TLS.
const (
	turnPort  = 3478
	turnsPort = 5349
)

// certificateFor writes a certificate for the server's address, with its key, into one file. It is its own authority.
func certificateFor(t *testing.T, ip net.IP) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{ip}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{Subject: pkix.Name{CommonName: "server"}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "certificate.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBlocked: firewalls let only some of it through, and calls find the way that is left. Everybody can reach the
// pages, or would not be there.
func TestBlocked(t *testing.T) {
	t.Parallel()
	only := func(udp, tcp []uint16) func(Packet) bool {
		return func(p Packet) bool {
			ports := udp
			if p.Protocol == TCP {
				ports = append([]uint16{httpPort}, tcp...)
			}
			return !slices.Contains(ports, p.Source.Port()) && !slices.Contains(ports, p.Destination.Port())
		}
	}
	ways := []struct {
		name  string
		block func(Packet) bool
	}{
		{"no_udp", NoUDP},
		{"only_ipv6", func(p Packet) bool { return p.Source.Addr().Is4() && only(nil, nil)(p) }},
		{"only_media_tcp", only(nil, []uint16{mediaPort})},
		{"only_turn_udp", only([]uint16{turnPort}, nil)},
		{"only_turn_tcp", only(nil, []uint16{turnPort})},
		{"only_turn_tls", only(nil, []uint16{turnsPort})},
	}
	var certificate string
	l := newLab(t, func(host *Host) []string {
		certificate = certificateFor(t, host.IPv4().AsSlice())
		return []string{"--turn-enabled", "--turn-port", strconv.Itoa(turnPort), "--turn-tls-port", strconv.Itoa(turnsPort),
			"--turn-host", host.IPv4().String(), "--turn-certificate", certificate}
	})
	l.environment, l.tcp = []string{"SSL_CERT_FILE=" + certificate}, true
	// Ann publishes from the worst of these networks, Bob where TCP to the media port is all there is.
	behind := func(name string, block func(Packet) bool) *Host {
		host := newHost(t, l.net, name)
		host.Set(Link{Block: block}, Link{Block: block})
		return host
	}
	room := l.room("blocked")
	begin := time.Now()
	ann := l.enterFrom(behind("ann", ways[len(ways)-1].block), room, broadcaster)
	ann.isIn()
	figure(t, "blocked.publish_over_tls.join", millis(time.Since(begin)), "ms")
	over := l.room("over-tcp")
	begin = time.Now()
	l.enterFrom(behind("bob", ways[2].block), over, broadcaster)
	vic := l.enter(over, viewer, "vic")
	figure(t, "blocked.publish_over_tcp.first_picture", millis(vic.watches(begin)), "ms")
	viewers := map[string]*person{}
	for _, way := range ways {
		viewers[way.name] = l.enterFrom(behind(way.name, way.block), room, viewer)
	}
	begin = time.Now()
	for _, way := range ways {
		figure(t, "blocked."+way.name+".first_picture", millis(viewers[way.name].watches(begin)), "ms")
	}
	begin = time.Now()
	time.Sleep(3 * time.Second)
	for _, way := range ways {
		s := viewers[way.name].saw(begin, time.Now())
		s.report(t, "blocked."+way.name)
		if s.pictures < pictureRate {
			t.Errorf("%s: only %d pictures in three seconds", way.name, s.pictures)
		}
		up, _ := viewers[way.name].Counts()
		if up.Blocked == 0 {
			t.Errorf("%s: nothing was blocked", way.name)
		}
	}
}
