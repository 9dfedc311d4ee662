package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// contentPolicy is the Content-Security-Policy of all pages (W3C CSP Level 3): scripts and styles only from
// files of this server, nothing inline.
func contentPolicy(frameAncestors, connectSources []string) string {
	ancestors := strings.Join(append([]string{"'self'"}, frameAncestors...), " ")
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' 'wasm-unsafe-eval'", // compiling WASM counts as eval
		"style-src 'self'",
		"font-src 'self'",
		"img-src 'self' data:",
		"media-src 'self' blob:",  // MSE plays from blob: addresses
		"worker-src 'self' blob:", // a player's demuxer, or a camera's effects, may be made from a blob
		// 'self' covers the WebSocket of the same host and port.
		strings.Join(append([]string{"connect-src 'self'"}, connectSources...), " "),
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors " + ancestors,
	}, "; ")
}

func (p *pages) secure(header http.Header) {
	header.Set("Content-Security-Policy", p.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	// Addresses hold room codes: no other site learns them.
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Permissions-Policy",
		"camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), "+
			"screen-wake-lock=(self), speaker-selection=(self), geolocation=(), payment=(), usb=()")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if len(p.FrameAncestors) == 0 {
		header.Set("X-Frame-Options", "SAMEORIGIN")
	}
}

// fromLocalhost tells a browser on this machine that used a localhost address. The connection alone does not
// say it: it is local behind a reverse proxy too. The Host alone does not either: whoever sends it can write
// anything. A proxy that rewrites Host to localhost still adds a forwarding header.
func fromLocalhost(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") { // RFC 6761, 6.3
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
