package account

import (
	"context"
	"errors"
	"time"

	"amphi/server/store"
)

// How long a browser stays signed in.
const (
	SessionIdle     = 7 * 24 * time.Hour  // without being used
	SessionAbsolute = 30 * 24 * time.Hour // at all
	// seenEvery is how exactly it is noted when a session was used.
	seenEvery = time.Minute
	// byLink is how long a session that began with a link may set a password without the old one.
	byLink = time.Hour
	// freshWithin is how long after signing in nobody is asked for the password again.
	freshWithin = 10 * time.Minute
)

// Ways to sign in.
const (
	ByPassword = "password"
	ByPasskey  = "passkey"
	ByLink     = "link"
)

// Session is a browser that a member is signed in with.
type Session struct {
	ID        string
	Method    string // ByPassword, ByPasskey, ByLink
	Agent     string // the browser, as it calls itself
	Address   string // where it was seen last
	CreatedAt time.Time
	SeenAt    time.Time

	age time.Duration
}

// ByLink says that the session began with a link, not long ago.
func (s Session) ByLink() bool { return s.Method == ByLink && s.age < byLink }

// Fresh says that the member has shown just now who they are. Who came by a link may have lost the password, and has longer.
func (s Session) Fresh() bool { return s.age < freshWithin || s.ByLink() }

func (a *Accounts) session(s store.MemberSession) Session {
	return Session{ID: s.ID, Method: s.Method, Agent: s.Agent, Address: s.Address, CreatedAt: s.CreatedAt, SeenAt: s.SeenAt,
		age: a.now().Sub(s.CreatedAt)}
}

// maxAgent bounds the name that a browser gives itself.
const maxAgent = 300

// Open begins a session and returns the secret that its cookie carries.
func (a *Accounts) Open(ctx context.Context, m Member, method, agent, address string) (string, error) {
	secret, hash := newSecret()
	now := a.now()
	err := a.Store.OpenMemberSession(ctx, store.MemberSession{ID: store.NewID(), Hash: hash, MemberID: m.ID, Method: method,
		Agent: agent[:min(len(agent), maxAgent)], Address: address, CreatedAt: now, SeenAt: now}, now.Add(-SessionIdle))
	return secret, err
}

// Who says whose session a cookie's secret opens; ErrSignedOut when it opens none.
func (a *Accounts) Who(ctx context.Context, secret, address string) (Member, Session, error) {
	s, m, err := a.Store.MemberSession(ctx, hashOf(secret))
	if errors.Is(err, store.ErrNotFound) {
		err = ErrSignedOut
	}
	if err != nil {
		return Member{}, Session{}, err
	}
	now := a.now()
	if now.Sub(s.SeenAt) >= SessionIdle || now.Sub(s.CreatedAt) >= SessionAbsolute {
		return Member{}, Session{}, ErrSignedOut
	}
	if now.Sub(s.SeenAt) >= seenEvery || s.Address != address {
		if err := a.Store.SeeMemberSession(ctx, s.ID, address, now); err != nil {
			return Member{}, Session{}, err
		}
	}
	return member(m), a.session(s), nil
}

// Sessions lists where a member is signed in, newest first.
func (a *Accounts) Sessions(ctx context.Context, m Member) ([]Session, error) {
	list, err := a.Store.MemberSessions(ctx, m.ID)
	var sessions []Session
	now := a.now()
	for _, s := range list {
		if now.Sub(s.SeenAt) < SessionIdle && now.Sub(s.CreatedAt) < SessionAbsolute {
			sessions = append(sessions, a.session(s))
		}
	}
	return sessions, err
}

// Close ends a session of a member: store.ErrNotFound when it is none of theirs.
func (a *Accounts) Close(ctx context.Context, m Member, id string) error {
	return a.Store.CloseMemberSession(ctx, m.ID, id)
}

// CloseOthers ends all sessions of a member but this one.
func (a *Accounts) CloseOthers(ctx context.Context, m Member, session Session) error {
	return a.Store.CloseMemberSessions(ctx, m.ID, session.ID)
}
