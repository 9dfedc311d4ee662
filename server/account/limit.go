package account

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// What is allowed: so many attempts at once, and then one each interval.
const (
	attemptsAtOnce  = 10
	addressInterval = 6 * time.Second
	memberInterval  = 30 * time.Second
	// maxWatched bounds the addresses and members that are remembered.
	maxWatched = 1 << 14
)

// TooMany says that there were too many attempts, and when to try again.
type TooMany struct{ After time.Duration }

func (t TooMany) Error() string { return fmt.Sprintf("too many attempts; try again in %s", t.Wait()) }

// Seconds is After in whole seconds, as the header Retry-After has it.
func (t TooMany) Seconds() int { return max(1, int((t.After+time.Second-1)/time.Second)) }

// Wait is After in words.
func (t TooMany) Wait() string {
	switch s := t.Seconds(); {
	case s == 1:
		return "a second"
	case s < 100:
		return fmt.Sprintf("%d seconds", s)
	default:
		return fmt.Sprintf("%d minutes", (s+59)/60)
	}
}

// limits remembers when whoever tries to sign in has used up the attempts: per key the time until which they are used
// up (the generic cell rate algorithm). Two generations bound it: when the young one is full, the old one is forgotten.
type limits struct {
	mu         sync.Mutex
	young, old map[string]time.Time
}

// take takes an attempt, or says how long to wait for one.
func (l *limits) take(now time.Time, key string, interval time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.young[key]
	if !ok {
		until = l.old[key]
	}
	if until.Before(now) {
		until = now
	}
	if wait := until.Sub(now) - (attemptsAtOnce-1)*interval; wait > 0 {
		return TooMany{wait}
	}
	if l.young == nil || len(l.young) >= maxWatched/2 {
		l.young, l.old = make(map[string]time.Time), l.young
	}
	l.young[key] = until.Add(interval)
	return nil
}

// Attempt takes one attempt to sign in from addr, as the member with that address (or "" when it is not known yet). A
// TooMany says when there will be one again; it is the same whether there is such a member or not.
func (a *Accounts) Attempt(addr netip.Addr, email string) error {
	if addr.Is6() { // a customer line has a /64
		p, _ := addr.WithZone("").Prefix(64)
		addr = p.Addr()
	}
	now := a.now()
	if err := a.limits.take(now, "a "+addr.String(), addressInterval); err != nil {
		return err
	}
	email = strings.ToLower(strings.TrimSpace(email))
	if email == "" {
		return nil
	}
	return a.limits.take(now, "m "+email[:min(len(email), maxEmail)], memberInterval)
}
