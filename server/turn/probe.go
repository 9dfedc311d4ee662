package turn

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// probeFor is how long each step of a probe may take.
const probeFor = 5 * time.Second

// Probe does what a client would: it gets a relay at a URL and asks for leave to send to the media port, whose announced
// addresses are given.
func Probe(ctx context.Context, rawURL string, c Credentials, media []netip.AddrPort) error {
	u, err := stun.ParseURI(rawURL)
	if err != nil {
		return fmt.Errorf("%s: %w", rawURL, err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	address := net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
	var conn net.PacketConn
	switch {
	case u.Proto == stun.ProtoTypeUDP:
		network := "udp6"
		var to *net.UDPAddr
		if to, err = net.ResolveUDPAddr("udp", address); err == nil && to.IP.To4() != nil {
			network = "udp4" // a socket of both families would ask for a relay of the other one
		}
		if err == nil {
			conn, err = new(net.ListenConfig).ListenPacket(ctx, network, ":0")
		}
	default:
		var stream net.Conn
		if u.Scheme == stun.SchemeTypeTURNS {
			stream, err = (&tls.Dialer{}).DialContext(ctx, "tcp", address)
		} else {
			stream, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		}
		if err == nil {
			conn = turn.NewSTUNConn(stream)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", rawURL, err)
	}
	defer conn.Close()
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: address, Username: c.Username, Password: c.Password, Conn: conn, RTO: 100 * time.Millisecond,
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", rawURL, err)
	}
	defer client.Close()
	if err := client.Listen(); err != nil {
		return fmt.Errorf("%s: %w", rawURL, err)
	}
	relay, err := client.Allocate()
	if err != nil {
		return fmt.Errorf("%s: no relay: %w", rawURL, err)
	}
	defer relay.Close()
	four := relay.LocalAddr().(*net.UDPAddr).IP.To4() != nil
	for _, to := range media {
		if to.Addr().Is4() == four {
			if err := client.CreatePermission(net.UDPAddrFromAddrPort(to)); err != nil {
				return fmt.Errorf("%s: no way to the media port: %w", rawURL, err)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: %w", rawURL, errFamily)
}
