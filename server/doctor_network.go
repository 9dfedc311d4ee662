package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pion/stun/v4"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/sfu"
	"amphi/server/store"
	"amphi/server/turn"
)

// The checks of how clients reach the media of a server.

// mediaAddresses are where media comes to with that configuration.
func mediaAddresses(cfg config.Config) ([]sfu.Address, error) {
	return sfu.AddressesOf(sfu.Config{Port: cfg.RTC.Port, NodeIPs: texts(cfg.RTC.NodeIPs), Loopback: cfg.RTC.Loopback, Log: slog.New(slog.DiscardHandler)})
}

// checkNodeIPs tells what clients are told, and whether the world sees this machine there.
func checkNodeIPs(ctx context.Context, cfg config.Config) finding {
	addrs, err := mediaAddresses(cfg)
	if err != nil {
		return finding{wrong: err}
	}
	var names []string
	public := false
	for _, a := range addrs {
		ip := a.Announced.Addr()
		names = append(names, ip.String())
		public = public || ip.IsGlobalUnicast() && !ip.IsPrivate()
	}
	told := strings.Join(names, ", ")
	server := stunServer(cfg)
	if server == "" {
		if !public {
			return hint("%s: none is public; clients from elsewhere need --node-ip with the one that leads here (a stun: server in rtc.ice_servers would tell which)", told)
		}
		return info("%s", told)
	}
	seen, err := askSTUN(ctx, server)
	switch {
	case err != nil:
		return hint("%s; the STUN server %s does not tell more: %v", told, server, err)
	case !slices.Contains(names, seen.String()):
		return wrong("clients are told %s, but the world sees this machine at %s: set --node-ip %s and let port %d, UDP and TCP, through to here",
			told, seen, seen, cfg.RTC.Port)
	}
	return info("%s; %s sees this machine at %s", told, server, seen)
}

// stunServer is the first that the configuration names, as host and port.
func stunServer(cfg config.Config) string {
	for _, s := range cfg.RTC.ICEServers {
		for _, raw := range s.URLs {
			if u, err := stun.ParseURI(raw); err == nil && u.Scheme == stun.SchemeTypeSTUN {
				return net.JoinHostPort(u.Host, fmt.Sprint(u.Port))
			}
		}
	}
	return ""
}

// askSTUN asks a server where it sees us (RFC 8489).
func askSTUN(ctx context.Context, server string) (netip.Addr, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	buf := make([]byte, 1500)
	for range 4 { // datagrams get lost
		request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		if _, err = conn.Write(request.Raw); err != nil {
			return netip.Addr{}, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		var n int
		if n, err = conn.Read(buf); err != nil {
			continue
		}
		answer := &stun.Message{Raw: buf[:n]}
		var mapped stun.XORMappedAddress
		if err = answer.Decode(); err == nil && answer.TransactionID != request.TransactionID {
			err = errors.New("it answers something else")
		}
		if err == nil {
			err = mapped.GetFrom(answer)
		}
		if ip, ok := netip.AddrFromSlice(mapped.IP); err == nil && ok {
			return ip.Unmap(), nil
		}
	}
	return netip.Addr{}, err
}

// checkReach sends something to the media port by each address that clients are told, as far as this machine can tell.
func checkReach(ctx context.Context, cfg config.Config) finding {
	if cfg.RTC.Port == 0 {
		return info("a free port is taken at each start: no firewall can be opened for it")
	}
	addrs, err := mediaAddresses(cfg)
	if err != nil {
		return finding{wrong: err}
	}
	var reached, missed []string
	for _, a := range addrs {
		listening, err := listenAsMedia(a.Local)
		running := errors.Is(err, syscall.EADDRINUSE)
		if err != nil && !running {
			return wrong("%v", err)
		}
		for _, network := range []string{"udp", "tcp"} {
			name := network + " " + a.Announced.String()
			switch err := reach(ctx, network, a.Announced, running); {
			case err == nil && (network == "tcp" || !running):
				reached = append(reached, name)
			case err != nil:
				missed = append(missed, fmt.Sprintf("%s (%v)", name, err))
			}
		}
		listening.Close()
	}
	if len(missed) > 0 {
		return hint("from this machine there is no way to %s: if it is behind a router that only lets others in, try from elsewhere (nc -vz ADDRESS %d); otherwise open the port in the firewall or correct --node-ip",
			strings.Join(missed, ", "), cfg.RTC.Port)
	}
	return info("reached by %s; firewalls on the way are only seen from elsewhere", strings.Join(reached, ", "))
}

// listenAsMedia answers at an address for as long as the server does not run: with what came.
func listenAsMedia(at netip.AddrPort) (closers, error) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		udp.Close()
		return nil, err
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(reachWithin))
				_, _ = io.CopyN(conn, conn, nonceSize)
			}()
		}
	}()
	return closers{udp, tcp}, nil
}

// closers are closed together.
type closers []io.Closer

func (all closers) Close() {
	for _, c := range all {
		c.Close()
	}
}

const (
	reachWithin = 2 * time.Second
	nonceSize   = 26
)

// reach finds out whether what is sent to an address comes back. A running server answers no strangers: that it takes
// connections, or does not refuse datagrams, is all that can be seen then.
func reach(ctx context.Context, network string, to netip.AddrPort, running bool) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if running && network == "tcp" {
		return nil
	}
	nonce := rand.Text()
	var last error
	for range 3 {
		if _, err := conn.Write([]byte(nonce)); err != nil {
			return err
		}
		_ = conn.SetReadDeadline(time.Now().Add(reachWithin / 4))
		buf := make([]byte, nonceSize)
		if _, last = io.ReadFull(conn, buf); last == nil {
			if string(buf) != nonce {
				return errors.New("somebody else answers there")
			}
			return nil
		}
		if errors.Is(last, syscall.ECONNREFUSED) || network == "tcp" {
			return last
		}
	}
	if running {
		return nil
	}
	return last
}

// checkTURN gets relays as clients would, from the running server or, if there is none, from one that is started for it.
func checkTURN(ctx context.Context, cfg config.Config) finding {
	if !cfg.TURN.Enabled {
		return info("off: who has neither UDP nor TCP to the media port cannot take part (turn.enabled)")
	}
	addrs, err := mediaAddresses(cfg)
	if err != nil {
		return finding{wrong: err}
	}
	secret, err := workspaceSecret(ctx, cfg)
	if err != nil {
		return hint("cannot be tried before the first start: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	relay, err := openRelay(cfg, addrs, secret, log)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		relay = turn.Of(relayConfig(cfg, addrs, secret, log))
	case err != nil:
		return finding{wrong: err}
	default:
		defer relay.Close()
	}
	credentials := relay.Credentials("doctor-" + rand.Text()[:8])
	var failed []string
	var media []netip.AddrPort
	for _, a := range addrs {
		media = append(media, a.Announced)
	}
	for _, u := range credentials.URLs {
		if err := turn.Probe(ctx, u, credentials, media); err != nil {
			failed = append(failed, err.Error())
		}
	}
	if len(failed) > 0 {
		return wrong("%s: see to turn.host, the certificate and the firewall (ports %d UDP and TCP, %d TCP)",
			strings.Join(failed, "; "), cfg.TURN.Port, cfg.TURN.TLSPort)
	}
	return info("relays at %s", strings.Join(credentials.URLs, ", "))
}

// workspaceSecret is the one that the TURN credentials are made of.
func workspaceSecret(ctx context.Context, cfg config.Config) (string, error) {
	if _, err := os.Stat(cfg.Database()); cfg.DB == "" && err != nil {
		return "", errors.New("there is no database")
	}
	db, err := store.Open(ctx, cfg.Database())
	if err != nil {
		return "", err
	}
	defer db.Close()
	seeded, err := db.Seed(ctx, auth.NewRoomCode)
	return seeded.Key.Secret, err
}

// soon is when somebody has to see to a certificate that does not renew itself.
const soon = 14 * 24 * time.Hour

// checkCertificates looks when certificates end, and whom they are for.
func checkCertificates(ctx context.Context, cfg config.Config) finding {
	var said []string
	if path := cfg.TURN.Certificate; path != "" && cfg.TURN.Enabled {
		cert, err := readCertificate(path)
		if err != nil {
			return wrong("turn.certificate: %v", err)
		}
		host := relayConfig(cfg, nil, "", nil).Host
		if err := cert.VerifyHostname(host); err != nil {
			return wrong("turn.certificate: %v (turn.host names another)", err)
		}
		if f := expiry("turn.certificate", cert); f.hint != "" || f.wrong != nil {
			return f
		}
		said = append(said, fmt.Sprintf("turn.certificate until %s", cert.NotAfter.Format(time.DateOnly)))
	}
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Scheme == "https" {
		port := u.Port()
		if port == "" {
			port = "443"
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		conn, err := (&tls.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
		var invalid *tls.CertificateVerificationError
		switch {
		case errors.As(err, &invalid):
			return wrong("%s: browsers refuse its certificate: %v", cfg.PublicURL, err)
		case err != nil:
			return hint("%s cannot be reached from here: %v", cfg.PublicURL, err)
		}
		cert := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
		conn.Close()
		if f := expiry(cfg.PublicURL, cert); f.hint != "" || f.wrong != nil {
			return f
		}
		said = append(said, fmt.Sprintf("%s until %s", cfg.PublicURL, cert.NotAfter.Format(time.DateOnly)))
	}
	if len(said) == 0 {
		return info("none are in use")
	}
	return info("%s", strings.Join(said, ", "))
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("%s holds no certificate", path)
}

func expiry(name string, cert *x509.Certificate) finding {
	switch left := time.Until(cert.NotAfter); {
	case left <= 0:
		return wrong("%s ended on %s: renew it", name, cert.NotAfter.Format(time.DateOnly))
	case left < soon:
		return hint("%s ends on %s: renew it", name, cert.NotAfter.Format(time.DateOnly))
	}
	return finding{}
}
