// Package auth says who may come in: it mints and verifies the two kinds of tokens, and makes room codes.
//
// Both kinds are JWTs signed with HS256 by the secret of a workspace's access key. A management token opens the server
// API; an auth token lets one user into one room in one role. Neither opens the other's doors.
package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"amphi/server/store"
)

// Error is why a token was refused. It may be shown to whoever sent the token.
type Error string

// The refusals, in the order of the checks.
const (
	ErrMissing    Error = "token is missing"
	ErrMalformed  Error = "token is malformed"
	ErrAlgorithm  Error = "token is not signed with HS256"
	ErrUnknownKey Error = "access key not found"
	ErrSignature  Error = "token signature is invalid"
	ErrType       Error = "token is of the wrong type"
	ErrVersion    Error = "token version is not 2"
	ErrClaims     Error = "token lacks a required claim" // one of jti, iat, nbf, exp; in auth tokens also room_id, role
	ErrNotYet     Error = "token is not valid yet"
	ErrExpired    Error = "token is expired"
)

func (e Error) Error() string { return string(e) }

const (
	// Skew is how far the clocks of those who mint tokens may be off.
	Skew = 60 * time.Second

	// MaxTokenBytes bounds what is parsed at all. User ids are the only part without a length of its own.
	MaxTokenBytes = 8 << 10

	// MinSecretBytes is the size of HS256's output: a shorter key is weaker than the signature (RFC 7518 §3.2).
	MinSecretBytes = 32

	typeApp        = "app"
	typeManagement = "management"
	version        = 2
)

// Grant is what an auth token lets its bearer do.
type Grant struct {
	WorkspaceID string
	RoomID      string
	Role        string
	UserID      string
	Expires     time.Time
}

// claims is the payload of both kinds.
type claims struct {
	AccessKey string           `json:"access_key"`
	Type      string           `json:"type"`
	Version   int              `json:"version,omitempty"`
	RoomID    string           `json:"room_id,omitempty"`
	UserID    string           `json:"user_id,omitempty"`
	Role      string           `json:"role,omitempty"`
	ID        string           `json:"jti,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
	NotBefore *jwt.NumericDate `json:"nbf,omitempty"`
	Expires   *jwt.NumericDate `json:"exp,omitempty"`
}

// The methods of jwt.Claims. The library's own checks are not used: check has the words that the API promises.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore, nil }
func (c *claims) GetIssuer() (string, error)                   { return "", nil }
func (c *claims) GetSubject() (string, error)                  { return "", nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// MintApp makes an auth token. g.WorkspaceID and g.Expires are not part of it: the key and life say them.
func MintApp(key store.AccessKey, g Grant, life time.Duration) (string, error) {
	return mint(key, claims{Type: typeApp, RoomID: g.RoomID, Role: g.Role, UserID: g.UserID}, time.Now(), life)
}

// MintManagement makes a management token.
func MintManagement(key store.AccessKey, life time.Duration) (string, error) {
	return mint(key, claims{Type: typeManagement}, time.Now(), life)
}

func mint(key store.AccessKey, c claims, now time.Time, life time.Duration) (string, error) {
	if len(key.Secret) < MinSecretBytes {
		return "", fmt.Errorf("secret of access key %s has %d bytes, %d are needed", key.AccessKey, len(key.Secret), MinSecretBytes)
	}
	c.AccessKey, c.Version, c.ID = key.AccessKey, version, uuid.NewString()
	c.IssuedAt, c.NotBefore, c.Expires = jwt.NewNumericDate(now), jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(life))
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	const header = `{"alg":"HS256","typ":"JWT"}`
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(plain(payload))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(key.Secret))
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// plain rewrites a JSON text such that its base64url form has no '-' and no '_': the web client decodes the payload with
// the browser's atob, which knows the standard alphabet only, and throws on others.
//
// Those two stand for the six bits 111110 and 111111. In ASCII, whose top bit is 0, six such bits in a row are found in
// one place of a three-byte group only, the low end of its third byte, so only in the bytes '>', '?', '~' and DEL. None
// of them is part of JSON's syntax, so they are in strings, where they and everything beyond ASCII can be escaped.
func plain(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	for _, r := range string(text) {
		switch {
		case r < 0x80 && r&0x3f < 0x3e:
			out = append(out, byte(r))
		case r > 0xffff: // as a pair of surrogates
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// Keys finds the access key of a token. store.Store is one; an unknown key is store.ErrNotFound.
type Keys interface {
	AccessKey(ctx context.Context, accessKey string) (store.AccessKey, error)
}

// Verifier checks tokens.
type Verifier struct {
	Keys Keys
	Now  func() time.Time // nil: time.Now
}

// App verifies an auth token. All refusals are an Error. With ErrExpired the grant is returned too, and holds but for
// its time: a client cannot renew its token during a call, so who is in a room already may stay and reconnect with it.
func (v *Verifier) App(ctx context.Context, token string) (Grant, error) {
	c, key, err := v.verify(ctx, token, typeApp)
	if err != nil && !errors.Is(err, ErrExpired) {
		return Grant{}, err
	}
	return Grant{WorkspaceID: key.WorkspaceID, RoomID: c.RoomID, Role: c.Role, UserID: c.UserID, Expires: c.Expires.Time}, err
}

// Management verifies a management token and returns the workspace that it opens. All refusals are an Error.
func (v *Verifier) Management(ctx context.Context, token string) (workspaceID string, err error) {
	_, key, err := v.verify(ctx, token, typeManagement)
	if err != nil {
		return "", err
	}
	return key.WorkspaceID, nil
}

func (v *Verifier) verify(ctx context.Context, token, kind string) (*claims, store.AccessKey, error) {
	var key store.AccessKey
	if token == "" {
		return nil, key, ErrMissing
	}
	if len(token) > MaxTokenBytes {
		return nil, key, ErrMalformed
	}
	c := new(claims)
	parsed, parts, err := jwt.NewParser().ParseUnverified(token, c)
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, key, ErrMalformed
	case err != nil || parsed.Method != jwt.SigningMethodHS256: // the token does not choose the algorithm
		return nil, key, ErrAlgorithm
	}
	key, err = v.Keys.AccessKey(ctx, c.AccessKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, key, ErrUnknownKey
	case err != nil:
		return nil, key, fmt.Errorf("verify token: %w", err)
	case len(key.Secret) < MinSecretBytes:
		return nil, key, fmt.Errorf("verify token: secret of access key %s is too short", key.AccessKey)
	}
	if jwt.SigningMethodHS256.Verify(parts[0]+"."+parts[1], parsed.Signature, []byte(key.Secret)) != nil {
		return nil, key, ErrSignature
	}
	now := time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	return c, key, c.check(kind, now)
}

// check says whether the claims of a signed token hold now. Being expired is found last, so that it is the only thing
// wrong with a token of which it is said.
func (c *claims) check(kind string, now time.Time) error {
	switch {
	case c.Type != kind:
		return ErrType
	case c.Version != 0 && c.Version != version: // some who mint tokens leave it out
		return ErrVersion
	case c.ID == "" || c.IssuedAt == nil || c.NotBefore == nil || c.Expires == nil,
		kind == typeApp && (c.RoomID == "" || c.Role == ""):
		return ErrClaims
	case now.Add(Skew).Before(c.NotBefore.Time):
		return ErrNotYet
	case !now.Add(-Skew).Before(c.Expires.Time):
		return ErrExpired
	default:
		return nil
	}
}
