package webhook

import (
	"net"
	"net/http"
	"net/netip"

	"amphi/server/egress"
)

// newClient returns a client that reaches public addresses and the allowed networks only. Redirects are not followed:
// they would have us send elsewhere.
func newClient(allow []netip.Prefix, resolver *net.Resolver) *http.Client {
	t := egress.Rule{Allow: allow, Setting: "webhook.allow_networks"}.Transport(resolver)
	t.MaxIdleConns, t.MaxIdleConnsPerHost = maxAttempts, maxAttemptsPerHost
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
