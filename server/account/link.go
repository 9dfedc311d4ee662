package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"amphi/server/store"
)

// How long links work.
const (
	setupWithin  = 24 * time.Hour
	signInWithin = time.Hour
	inviteWithin = 7 * 24 * time.Hour
)

// Link is what a link of a member opens.
type Link struct {
	ID        string
	MemberID  string // whom it signs in; "" = it makes a member
	Email     string // of whom it makes a member; "" = theirs to say, on the first start
	Role      Role   // of whom it makes a member
	ExpiresAt time.Time
}

func link(l store.MemberLink) Link {
	return Link{ID: l.ID, MemberID: l.MemberID, Email: l.Email, Role: Role(l.Role), ExpiresAt: l.ExpiresAt}
}

func (a *Accounts) newLink(ctx context.Context, l store.MemberLink, within time.Duration) (string, Link, error) {
	secret, hash := newSecret()
	l.ID, l.Hash, l.CreatedAt, l.ExpiresAt = store.NewID(), hash, a.now(), a.now().Add(within)
	return secret, link(l), a.Store.AddMemberLink(ctx, l)
}

// FirstLink returns the secret of a link that makes the first admin; "" when there is a member already.
func (a *Accounts) FirstLink(ctx context.Context, workspaceID string) (string, error) {
	members, err := a.Store.Members(ctx, workspaceID)
	if err != nil || len(members) > 0 {
		return "", err
	}
	secret, _, err := a.newLink(ctx, store.MemberLink{WorkspaceID: workspaceID, Role: string(Admin)}, setupWithin)
	return secret, err
}

// SignInLink returns the secret of a link that signs a member in, or makes the first admin where there is nobody. An
// empty email means the admin who is there for longest.
func (a *Accounts) SignInLink(ctx context.Context, workspaceID, email string) (secret string, whom Member, err error) {
	if email == "" {
		if secret, err := a.FirstLink(ctx, workspaceID); secret != "" || err != nil {
			return secret, Member{}, err
		}
		members, err := a.Store.Members(ctx, workspaceID)
		if err != nil {
			return "", Member{}, err
		}
		i := slices.IndexFunc(members, func(m store.Member) bool { return Role(m.Role) == Admin })
		if i < 0 {
			return "", Member{}, errors.New("there is no admin")
		}
		whom = member(members[i])
	} else {
		m, err := a.Store.MemberByEmail(ctx, email)
		if err != nil {
			return "", Member{}, err
		}
		whom = member(m)
	}
	secret, _, err = a.newLink(ctx, store.MemberLink{WorkspaceID: workspaceID, MemberID: whom.ID}, signInWithin)
	return secret, whom, err
}

// Invite returns the secret of a link that makes somebody a member. It is shown once: only its hash is kept.
func (a *Accounts) Invite(ctx context.Context, workspaceID, email string, role Role) (secret string, invited Link, err error) {
	email, problem := checkEmail(email)
	if role.rank() == 0 {
		problem = errors.Join(problem, Problem{"role", "Choose one of the roles."})
	}
	if problem != nil {
		return "", Link{}, problem
	}
	switch _, err := a.Store.MemberByEmail(ctx, email); {
	case err == nil:
		return "", Link{}, Problem{"email", "Somebody with this address is a member already."}
	case !errors.Is(err, store.ErrNotFound):
		return "", Link{}, err
	}
	return a.newLink(ctx, store.MemberLink{WorkspaceID: workspaceID, Email: email, Role: string(role)}, inviteWithin)
}

// Invitations lists who was invited and has not come yet, newest first.
func (a *Accounts) Invitations(ctx context.Context, workspaceID string) ([]Link, error) {
	list, err := a.Store.Invitations(ctx, workspaceID)
	links := make([]Link, 0, len(list))
	for _, l := range list {
		links = append(links, link(l))
	}
	return links, err
}

// Uninvite takes an invitation back.
func (a *Accounts) Uninvite(ctx context.Context, workspaceID, id string) error {
	return a.Store.RemoveMemberLink(ctx, workspaceID, id)
}

// Link says what a link's secret opens: store.ErrNotFound, store.ErrUsed or store.ErrExpired when that is nothing.
// Whom of a link that signs in is who that is.
func (a *Accounts) Link(ctx context.Context, secret string) (l Link, whom Member, err error) {
	kept, err := a.Store.MemberLink(ctx, hashOf(secret))
	if err != nil {
		return Link{}, Member{}, err
	}
	if kept.MemberID != "" {
		m, err := a.Store.Member(ctx, kept.WorkspaceID, kept.MemberID)
		return link(kept), member(m), err
	}
	if kept.Email == "" { // the first start's: it serves nobody once somebody is there
		members, err := a.Store.Members(ctx, kept.WorkspaceID)
		if err != nil {
			return Link{}, Member{}, err
		}
		if len(members) > 0 {
			return Link{}, Member{}, store.ErrUsed
		}
	}
	return link(kept), Member{}, nil
}

// Use uses up a link that signs in, and returns whom.
func (a *Accounts) Use(ctx context.Context, secret string) (Member, error) {
	l, _, err := a.Link(ctx, secret)
	if err != nil {
		return Member{}, err
	}
	if l.MemberID == "" {
		return Member{}, store.ErrNotFound // it wants a person, see Accept
	}
	m, err := a.Store.UseMemberLink(ctx, hashOf(secret), store.Member{}, nil)
	return member(m), err
}

// Accept uses up a link that makes a member. What is wrong with what the person typed are Problems, joined.
func (a *Accounts) Accept(ctx context.Context, secret string, p Person) (Member, error) {
	l, _, err := a.Link(ctx, secret)
	if err != nil {
		return Member{}, err
	}
	p, problems := a.checkPerson(l, p)
	if err := errors.Join(problems, checkPassword(p.Password, p.Name, p.Email)); err != nil {
		return Member{}, err
	}
	hash, err := hashPassword(ctx, p.Password)
	if err != nil {
		return Member{}, err
	}
	return a.accept(ctx, secret, store.Member{ID: store.NewID(), Name: p.Name, Email: p.Email, Password: hash}, nil)
}

func (a *Accounts) checkPerson(l Link, p Person) (Person, error) {
	var errName, errEmail error
	p.Name, errName = checkName(p.Name)
	if l.Email != "" {
		p.Email = l.Email
	} else {
		p.Email, errEmail = checkEmail(p.Email)
	}
	return p, errors.Join(errName, errEmail)
}

func (a *Accounts) accept(ctx context.Context, secret string, m store.Member, k *store.Passkey) (Member, error) {
	if _, _, err := a.Link(ctx, secret); err != nil {
		return Member{}, err
	}
	m, err := a.Store.UseMemberLink(ctx, hashOf(secret), m, k)
	if errors.Is(err, store.ErrConflict) {
		return Member{}, Problem{"email", "Somebody with this address is a member already."}
	}
	return member(m), err
}
