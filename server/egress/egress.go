// Package egress says which addresses this server connects to on somebody else's word: those of webhooks, of services
// that rooms are pushed to, of sources that are pulled. They are public ones, and the networks that the operator
// allows. Otherwise whoever may name an address could reach what stands behind the server's firewall (server-side
// request forgery).
package egress

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// dialLimit bounds a connection's start, from the name to the address.
const dialLimit = 10 * time.Second

// Rule is the rule of one use.
type Rule struct {
	Allow   []netip.Prefix // besides public addresses
	Setting string         // the key of Allow in the configuration
}

// Dialer returns a dialer that keeps to the rule. The check is made on the address of each connection, after the name
// was resolved, so a name that resolves differently the second time (DNS rebinding) gains nothing. The resolver may be
// nil.
func (r Rule) Dialer(resolver *net.Resolver) *net.Dialer {
	return &net.Dialer{
		Timeout:  dialLimit,
		Resolver: resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("address %q: %w", address, err)
			}
			return r.Permits(to.Addr())
		},
	}
}

// Transport returns an HTTP transport that keeps to the rule. No proxy is used: it would connect for us.
func (r Rule) Transport(resolver *net.Resolver) *http.Transport {
	return &http.Transport{
		DialContext:            r.Dialer(resolver).DialContext,
		TLSHandshakeTimeout:    dialLimit,
		MaxResponseHeaderBytes: 64 << 10,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
	}
}

// notPublic lists what netip.Addr has no method for: addresses that do not lead to the public Internet, or lead back
// into an IPv4 network by another notation (IANA special-purpose registries, RFC 6890). Of IPv6 only 2000::/3 is in use
// at all (RFC 4291 §2.4), which leaves out ::/96, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), IPv4-translated addresses
// (::ffff:0:0:0/96), 100::/64, site-local and local ones.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments: Teredo, benchmarks, ORCHID
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// globalIPv6 is what has been assigned of IPv6.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// Refused says that an address may not be connected to.
type Refused struct {
	Addr    netip.Addr
	Setting string // where the operator can allow it
}

func (e Refused) Error() string {
	return fmt.Sprintf("%v is not a public address; list its network in %s to allow it", e.Addr, e.Setting)
}

// Permits says whether an address may be connected to; the error is [Refused].
func (r Rule) Permits(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range r.Allow {
		if p.Contains(a) {
			return nil
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() { // loopback, link-local, multicast, unspecified; RFC 1918, fc00::/7
		return Refused{a, r.Setting}
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return Refused{a, r.Setting}
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return Refused{a, r.Setting}
		}
	}
	return nil
}
