// Package account knows who may use the dashboard: members and their roles, how they sign in, and the sessions of their
// browsers. It knows no pages.
//
// Secrets are kept so that a copy of the database opens nothing: passwords as argon2id (RFC 9106), the secrets of links
// and cookies, which are random, as SHA-256.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"amphi/server/store"
)

// Role says what a member may do. Each may do what those below it may.
type Role string

// The roles, from below. Viewers see; developers make and change apps and rooms and read keys; admins decide who else is let in.
const (
	Viewer    Role = "viewer"
	Developer Role = "developer"
	Admin     Role = store.RoleAdmin
)

// Roles are all roles, from the one that may do most.
var Roles = []Role{Admin, Developer, Viewer}

// Covers says whether r may do what need is needed for.
func (r Role) Covers(need Role) bool { return r.rank() >= need.rank() && r.rank() > 0 }

func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Developer:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// Member is somebody who uses the dashboard.
type Member struct {
	ID          string
	WorkspaceID string
	Email       string
	Name        string
	Role        Role
	HasPassword bool
	CreatedAt   time.Time
}

func member(m store.Member) Member {
	return Member{ID: m.ID, WorkspaceID: m.WorkspaceID, Email: m.Email, Name: m.Name, Role: Role(m.Role),
		HasPassword: m.Password != "", CreatedAt: m.CreatedAt}
}

// Refusals that people can do something about. What is wrong with what they typed is a Problem.
var (
	// ErrWrong is the one answer to a wrong password, an unknown address and a passkey that does not fit.
	ErrWrong = errors.New("e-mail or password is wrong")
	// ErrSignedOut says that a cookie opens no session.
	ErrSignedOut = errors.New("not signed in")
)

// Problem is what is wrong with one thing that somebody typed.
type Problem struct{ Field, Text string }

func (p Problem) Error() string { return p.Text }

// Accounts is the door of the dashboard.
type Accounts struct {
	Store *store.Store
	Now   func() time.Time // nil: time.Now

	limits limits
}

func (a *Accounts) now() time.Time {
	if a.Now != nil {
		return a.Now().UTC().Truncate(time.Millisecond)
	}
	return time.Now().UTC().Truncate(time.Millisecond)
}

// newSecret returns a new secret of 130 random bits, and what is kept of it.
func newSecret() (secret, hash string) {
	secret = strings.ToLower(rand.Text())
	return secret, hashOf(secret)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Person is what a new member says about themselves.
type Person struct {
	Name     string
	Email    string
	Password string
}

// Bounds of texts, in bytes of UTF-8.
const (
	maxName  = 100
	maxEmail = 254 // RFC 5321 section 4.5.3.1.3, errata 1690
)

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", Problem{"name", "Say what you are called."}
	case len(name) > maxName || !utf8.ValidString(name):
		return "", Problem{"name", "The name is too long: 100 letters at most."}
	}
	return name, nil
}

func checkEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	if email == "" {
		return "", Problem{"email", "Type an e-mail address."}
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail {
		return "", Problem{"email", "This is no e-mail address. One looks like ann@example.org."}
	}
	return email, nil
}

// Members lists who belongs to the workspace, oldest first.
func (a *Accounts) Members(ctx context.Context, workspaceID string) ([]Member, error) {
	list, err := a.Store.Members(ctx, workspaceID)
	members := make([]Member, 0, len(list))
	for _, m := range list {
		members = append(members, member(m))
	}
	return members, err
}

// Member returns a member of the workspace.
func (a *Accounts) Member(ctx context.Context, workspaceID, id string) (Member, error) {
	m, err := a.Store.Member(ctx, workspaceID, id)
	return member(m), err
}

// SetRole gives a member another role. The last admin stays one: store.ErrLastAdmin.
func (a *Accounts) SetRole(ctx context.Context, workspaceID, id string, role Role) (Member, error) {
	if role.rank() == 0 {
		return Member{}, Problem{"role", "Choose one of the roles."}
	}
	m, err := a.Store.ChangeMember(ctx, workspaceID, id, func(m *store.Member) error {
		m.Role = string(role)
		return nil
	})
	return member(m), err
}

// Rename changes what a member says about themselves. Whoever changes the address that they sign in with should be the
// member, see Confirm.
func (a *Accounts) Rename(ctx context.Context, m Member, name, email string) (Member, error) {
	name, errName := checkName(name)
	email, errEmail := checkEmail(email)
	if err := errors.Join(errName, errEmail); err != nil {
		return m, err
	}
	changed, err := a.Store.ChangeMember(ctx, m.WorkspaceID, m.ID, func(m *store.Member) error {
		m.Name, m.Email = name, email
		return nil
	})
	if errors.Is(err, store.ErrConflict) {
		return m, Problem{"email", "Another member has this address."}
	}
	return member(changed), err
}

// Remove removes a member, who is signed out everywhere at once. The last admin stays: store.ErrLastAdmin.
func (a *Accounts) Remove(ctx context.Context, workspaceID, id string) error {
	return a.Store.RemoveMember(ctx, workspaceID, id)
}
