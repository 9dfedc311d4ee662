package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"

	"amphi/server/config"
	"amphi/server/sfu"
	"amphi/server/turn"
)

// openRelay opens the TURN server, or returns nil where it is off.
func openRelay(cfg config.Config, media []sfu.Address, workspaceSecret string, log *slog.Logger) (*turn.Server, error) {
	if !cfg.TURN.Enabled {
		return nil, nil
	}
	relay, err := turn.New(relayConfig(cfg, media, workspaceSecret, log))
	if err != nil {
		return nil, fmt.Errorf("cannot open the TURN ports: %w (choose others with --turn-port and --turn-tls-port)", err)
	}
	return relay, nil
}

func relayConfig(cfg config.Config, media []sfu.Address, workspaceSecret string, log *slog.Logger) turn.Config {
	var targets []turn.Target
	for _, a := range media {
		targets = append(targets, turn.Target{Local: a.Local, Announced: a.Announced})
	}
	host := cfg.TURN.Host
	if u, err := url.Parse(cfg.PublicURL); host == "" && cfg.TURN.Certificate != "" && err == nil {
		host = u.Hostname() // an address would not do: a certificate is for a name
	}
	// The secret outlives the server: those who come back to it go on with the credentials that they have.
	h := hmac.New(sha256.New, []byte(workspaceSecret))
	h.Write([]byte("turn"))
	return turn.Config{
		Port: cfg.TURN.Port, TLSPort: cfg.TURN.TLSPort, Targets: targets, Host: host,
		Certificate: cfg.TURN.Certificate, Key: cfg.TURN.Key, Secret: h.Sum(nil), Lifetime: cfg.TURN.Lifetime,
		Allocations: cfg.TURN.Allocations, PerUser: cfg.TURN.AllocationsPerPeer, Log: log,
	}
}

// iceServers is what a client is told: what the configuration names, and our own.
func iceServers(cfg config.Config, relay *turn.Server) func(user string) []config.ICEServer {
	return func(user string) []config.ICEServer {
		servers := cfg.RTC.ICEServers
		if relay != nil {
			c := relay.Credentials(user)
			servers = append(servers[:len(servers):len(servers)], config.ICEServer{URLs: c.URLs, Username: c.Username, Credential: c.Password})
		}
		return servers
	}
}
