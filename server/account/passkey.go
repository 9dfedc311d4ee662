package account

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"amphi/server/store"
)

// challengeWithin is how long a browser has to answer.
const challengeWithin = 5 * time.Minute

// Passkey is a way to sign in with a device's lock or a security key.
type Passkey struct {
	ID        string
	Name      string
	CreatedAt time.Time
	UsedAt    time.Time
}

// Challenge is what a browser is asked to sign: Options is for navigator.credentials, ID says which challenge is answered.
type Challenge struct {
	ID      string
	Options any
}

// Answer is what a browser signed, as PublicKeyCredential.toJSON has it.
type Answer struct {
	ID         string
	Credential json.RawMessage
}

// challenge is a Challenge in the store. It is for one use by one person.
type challenge struct {
	For     string               `json:"for"` // forSignIn, or what newPasskey was called for
	Session webauthn.SessionData `json:"session"`
}

const forSignIn = "signin"

// holder is a member as WebAuthn knows one. The handle is the member's id: random enough, and it says nothing.
type holder struct {
	id, email, name string
	credentials     []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return []byte(h.id) }
func (h holder) WebAuthnName() string                       { return h.email }
func (h holder) WebAuthnDisplayName() string                { return h.name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// relyingParty is the server at an origin: a passkey belongs to the host name that it was made for.
func relyingParty(origin string) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil { // WebAuthn Level 3 section 5.1.3: a valid domain, and no number
		return nil, Problem{"passkey", "Passkeys belong to the name of a server, and this address has only a number. Use the name, or a password."}
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Amphi", RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		// One factor that is two: the device, and what unlocks it.
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: protocol.ResidentKeyRequired(), ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys at %s: %w", origin, err)
	}
	return rp, nil
}

func (a *Accounts) keep(ctx context.Context, what string, session *webauthn.SessionData) (id string, err error) {
	kept, err := json.Marshal(challenge{what, *session})
	if err != nil {
		return "", err
	}
	id, hash := newSecret()
	return id, a.Store.AddChallenge(ctx, hash, string(kept), a.now().Add(challengeWithin))
}

// errLate is what an answer to no challenge of ours gets.
var errLate = Problem{"passkey", "That took too long. Try again."}

func (a *Accounts) taken(ctx context.Context, id, what string) (webauthn.SessionData, error) {
	kept, err := a.Store.TakeChallenge(ctx, hashOf(id))
	if errors.Is(err, store.ErrNotFound) {
		return webauthn.SessionData{}, errLate
	}
	if err != nil {
		return webauthn.SessionData{}, err
	}
	var c challenge
	if err := json.Unmarshal([]byte(kept), &c); err != nil || c.For != what {
		return webauthn.SessionData{}, errLate // of another purpose, or of another version of this program
	}
	return c.Session, nil
}

// AskPasskey asks whoever is there, at addr, to sign in with a passkey for the server at origin.
func (a *Accounts) AskPasskey(ctx context.Context, addr netip.Addr, origin string) (Challenge, error) {
	if err := a.Attempt(addr, ""); err != nil {
		return Challenge{}, err
	}
	rp, err := relyingParty(origin)
	if err != nil {
		return Challenge{}, err
	}
	options, session, err := rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Challenge{}, fmt.Errorf("ask for a passkey: %w", err)
	}
	id, err := a.keep(ctx, forSignIn, session)
	return Challenge{id, options}, err
}

// SignInWithPasskey finds the member whose passkey signed the challenge; ErrWrong when it is nobody's.
func (a *Accounts) SignInWithPasskey(ctx context.Context, origin string, answer Answer) (Member, error) {
	session, err := a.taken(ctx, answer.ID, forSignIn)
	if err != nil {
		return Member{}, err
	}
	rp, err := relyingParty(origin)
	if err != nil {
		return Member{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer.Credential)
	if err != nil {
		return Member{}, ErrWrong
	}
	key, m, err := a.Store.Passkey(ctx, base64.RawURLEncoding.EncodeToString(parsed.RawID))
	if errors.Is(err, store.ErrNotFound) {
		return Member{}, ErrWrong
	}
	if err != nil {
		return Member{}, err
	}
	var kept webauthn.Credential
	if err := json.Unmarshal([]byte(key.Credential), &kept); err != nil {
		return Member{}, fmt.Errorf("passkey of member %s: %w", m.ID, err)
	}
	_, used, err := rp.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		if string(handle) != m.ID {
			return nil, ErrWrong
		}
		return holder{m.ID, m.Email, m.Name, []webauthn.Credential{kept}}, nil
	}, session, parsed)
	// A counter that went back means that there are two of the key (WebAuthn Level 3, section 6.1.1).
	if err != nil || used.Authenticator.CloneWarning {
		return Member{}, ErrWrong
	}
	now, err := json.Marshal(used)
	if err != nil {
		return Member{}, err
	}
	return member(m), a.Store.UsePasskey(ctx, key.ID, string(now), a.now())
}

// newPasskey asks h to make a passkey; what says who may answer.
func (a *Accounts) newPasskey(ctx context.Context, origin, what string, h holder) (Challenge, error) {
	rp, err := relyingParty(origin)
	if err != nil {
		return Challenge{}, err
	}
	exclude := make([]protocol.CredentialDescriptor, 0, len(h.credentials))
	for _, c := range h.credentials {
		exclude = append(exclude, c.Descriptor())
	}
	options, session, err := rp.BeginRegistration(h, webauthn.WithExclusions(exclude))
	if err != nil {
		return Challenge{}, fmt.Errorf("ask for a new passkey: %w", err)
	}
	id, err := a.keep(ctx, what, session)
	return Challenge{id, options}, err
}

// made checks the answer to newPasskey, and returns the passkey of the one it was asked from.
func (a *Accounts) made(ctx context.Context, origin, what, name string, answer Answer) (store.Passkey, error) {
	session, err := a.taken(ctx, answer.ID, what)
	if err != nil {
		return store.Passkey{}, err
	}
	rp, err := relyingParty(origin)
	if err != nil {
		return store.Passkey{}, err
	}
	refused := Problem{"passkey", "This passkey does not fit the server. Try again, or use a password."}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer.Credential)
	if err != nil {
		return store.Passkey{}, refused
	}
	credential, err := rp.CreateCredential(holder{id: string(session.UserID)}, session, parsed)
	if err != nil {
		return store.Passkey{}, refused
	}
	kept, err := json.Marshal(credential)
	return store.Passkey{ID: base64.RawURLEncoding.EncodeToString(credential.ID), MemberID: string(session.UserID), Name: name,
		Credential: string(kept), CreatedAt: a.now()}, err
}

// AskNewPasskey asks a member to make one more passkey.
func (a *Accounts) AskNewPasskey(ctx context.Context, origin string, m Member) (Challenge, error) {
	keys, err := a.Store.Passkeys(ctx, m.ID)
	if err != nil {
		return Challenge{}, err
	}
	h := holder{id: m.ID, email: m.Email, name: m.Name}
	for _, k := range keys {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(k.Credential), &c); err != nil {
			return Challenge{}, fmt.Errorf("passkey of member %s: %w", m.ID, err)
		}
		h.credentials = append(h.credentials, c)
	}
	return a.newPasskey(ctx, origin, "member "+m.ID, h)
}

// AddPasskey gives a member the passkey that was made, called name.
func (a *Accounts) AddPasskey(ctx context.Context, origin string, m Member, name string, answer Answer) error {
	key, err := a.made(ctx, origin, "member "+m.ID, name, answer)
	if err != nil {
		return err
	}
	switch err := a.Store.AddPasskey(ctx, key); {
	case errors.Is(err, store.ErrTooMany):
		return Problem{"passkey", fmt.Sprintf("You have %d passkeys already. Remove one first.", store.MaxPasskeys)}
	case errors.Is(err, store.ErrConflict):
		return Problem{"passkey", "This passkey is known already."}
	default:
		return err
	}
}

// AskNewcomer asks whoever holds the link with that secret to make a passkey.
func (a *Accounts) AskNewcomer(ctx context.Context, origin, secret string, p Person) (Challenge, error) {
	l, _, err := a.Link(ctx, secret)
	if err != nil {
		return Challenge{}, err
	}
	if p, err = a.checkPerson(l, p); err != nil {
		return Challenge{}, err
	}
	return a.newPasskey(ctx, origin, "link "+hashOf(secret), holder{id: store.NewID(), email: p.Email, name: p.Name})
}

// AcceptWithPasskey uses up a link that makes a member, who signs in with the passkey that was made, called keyName.
func (a *Accounts) AcceptWithPasskey(ctx context.Context, origin, secret string, p Person, keyName string, answer Answer) (Member, error) {
	l, _, err := a.Link(ctx, secret)
	if err != nil {
		return Member{}, err
	}
	if p, err = a.checkPerson(l, p); err != nil {
		return Member{}, err
	}
	key, err := a.made(ctx, origin, "link "+hashOf(secret), keyName, answer)
	if err != nil {
		return Member{}, err
	}
	return a.accept(ctx, secret, store.Member{ID: key.MemberID, Name: p.Name, Email: p.Email}, &key)
}

// Passkeys lists the passkeys of a member, oldest first.
func (a *Accounts) Passkeys(ctx context.Context, m Member) ([]Passkey, error) {
	list, err := a.Store.Passkeys(ctx, m.ID)
	keys := make([]Passkey, 0, len(list))
	for _, k := range list {
		keys = append(keys, Passkey{ID: k.ID, Name: k.Name, CreatedAt: k.CreatedAt, UsedAt: k.UsedAt})
	}
	return keys, err
}

// RemovePasskey takes a passkey from a member, unless it is their only way to sign in: store.ErrConflict.
func (a *Accounts) RemovePasskey(ctx context.Context, m Member, id string) error {
	return a.Store.RemovePasskey(ctx, m.ID, id)
}
