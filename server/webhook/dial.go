package webhook

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// newClient returns a client that reaches public addresses and the allowed networks only. The check is made on the
// address of each connection, after the name was resolved, so a name that resolves differently the second time (DNS
// rebinding) gains nothing. Redirects are not followed, nor are proxies used: both would connect elsewhere for us.
func newClient(allow []netip.Prefix, resolver *net.Resolver) *http.Client {
	dialer := &net.Dialer{
		Timeout:  10 * time.Second,
		Resolver: resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("address %q: %w", address, err)
			}
			return permitted(to.Addr(), allow)
		},
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           maxAttempts,
			MaxIdleConnsPerHost:    maxAttemptsPerHost,
			IdleConnTimeout:        90 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
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

// addressError says that events may not be sent to an address.
type addressError struct{ addr netip.Addr }

func (e addressError) Error() string {
	return fmt.Sprintf("%v is not a public address; list its network in webhook.allow_networks to send there", e.addr)
}

// permitted says whether events may be sent to an address.
func permitted(a netip.Addr, allow []netip.Prefix) error {
	a = a.Unmap().WithZone("")
	for _, p := range allow {
		if p.Contains(a) {
			return nil
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() { // loopback, link-local, multicast, unspecified; RFC 1918, fc00::/7
		return addressError{a}
	}
	if a.Is6() && !globalIPv6.Contains(a) {
		return addressError{a}
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return addressError{a}
		}
	}
	return nil
}
