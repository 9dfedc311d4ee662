package api

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBuckets bounds the addresses that a limiter remembers.
const maxBuckets = 1 << 16

// limiter is a token bucket for each client address. Buckets are kept in two generations: when the young one is full it
// becomes the old one, and the old one is forgotten. So a flood of addresses costs each request the same small work,
// and an address that keeps coming is not forgotten before maxBuckets/2 others came.
type limiter struct {
	rate, burst float64 // per second; at once
	now         func() time.Time
	refused     atomic.Int64

	mu    sync.Mutex
	young map[netip.Addr]bucket
	old   map[netip.Addr]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// newLimiter returns a limiter that allows everything when rate is 0.
func newLimiter(rate, burst int) *limiter {
	return &limiter{rate: float64(rate), burst: float64(burst), now: time.Now, young: make(map[netip.Addr]bucket)}
}

// allow takes a token for addr, or says after how many whole seconds there will be one.
func (l *limiter) allow(addr netip.Addr) (ok bool, retryAfter int) {
	if l.rate == 0 {
		return true, 0
	}
	if addr.Is6() { // a customer line has a /64
		p, _ := addr.WithZone("").Prefix(64)
		addr = p.Addr()
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.young[addr]
	if !known {
		if b, known = l.old[addr]; !known {
			b = bucket{l.burst, now}
		}
		if len(l.young) >= maxBuckets/2 {
			l.young, l.old = make(map[netip.Addr]bucket), l.young
		}
	}
	b.tokens = min(l.burst, b.tokens+now.Sub(b.at).Seconds()*l.rate)
	b.at = now
	if ok = b.tokens >= 1; ok {
		b.tokens--
	} else {
		l.refused.Add(1)
		retryAfter = int(math.Ceil((1 - b.tokens) / l.rate))
	}
	l.young[addr] = b
	return ok, retryAfter
}

// ClientAddr returns the address of the client: that of the connection, or what a trusted proxy says in
// X-Forwarded-For. The header is read from the right: each proxy appends whom it speaks for, and what stands left of
// the first address that is no trusted proxy may be anybody's invention.
func (a *API) ClientAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, a.TrustedProxies); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}

func within(a netip.Addr, networks []netip.Prefix) bool {
	for _, p := range networks {
		if p.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}
