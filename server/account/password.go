package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"amphi/server/store"
)

// Bounds of a password. NIST SP 800-63B section 3.1.1.2: length and a list of common ones count, kinds of characters do not.
const (
	minPassword = 10  // characters
	maxPassword = 512 // bytes: hashing takes longer for longer ones
)

// The parameters of argon2id: the second recommended choice of RFC 9106 section 4 asks for 64 MiB and 3 passes; a
// server that also encodes video takes less memory (OWASP's 19 MiB, 2 passes), about 30 ms of one core.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
)

// hashing bounds how many passwords are hashed at a time: each takes argonMemory.
var hashing = make(chan struct{}, 4)

// common are passwords that are tried first, those of at least minPassword characters; one a line.
//
//go:embed common.txt
var commonText string

var common = func() map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(commonText) {
		set[strings.TrimSpace(line)] = true
	}
	return set
}()

func checkPassword(password string, about ...string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return Problem{"password", fmt.Sprintf("Too short: %d characters at least. A few words are easy to remember.", minPassword)}
	case len(password) > maxPassword:
		return Problem{"password", fmt.Sprintf("Too long: %d bytes at most.", maxPassword)}
	case common[strings.ToLower(password)] || repeats(password):
		return Problem{"password", "This is one of the passwords that are tried first. Choose another."}
	}
	for _, known := range about {
		if known != "" && strings.EqualFold(password, known) {
			return Problem{"password", "Choose something that is not your name or address."}
		}
	}
	return nil
}

// repeats says whether a password is one or two characters again and again.
func repeats(password string) bool {
	seen := make(map[rune]bool)
	for _, c := range password {
		seen[c] = true
	}
	return len(seen) <= 2
}

// hashPassword returns the password's hash in the PHC string format, which names its own parameters.
func hashPassword(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key, err := derive(ctx, password, salt, argonTime, argonMemory, argonThreads, argonKey)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

func derive(ctx context.Context, password string, salt []byte, time, memory uint32, threads uint8, size uint32) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, time, memory, threads, size), nil
}

// nobody is the hash that a password is held against where there is no member, so that it takes as long.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// passwordFits holds a password against a hash. It takes the same time where there is none, and then nothing fits.
func passwordFits(ctx context.Context, hash, password string) (bool, error) {
	if len(password) > maxPassword {
		password = password[:maxPassword+1] // fits nothing, as none is that long
	}
	known := hash != ""
	if !known {
		hash = nobody
	}
	var version int
	var memory, time uint32
	var threads uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errors.New("the kept hash of a password is damaged")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &threads); err != nil {
		return false, fmt.Errorf("the kept hash of a password is damaged: %w", err)
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	want, errKey := base64.RawStdEncoding.DecodeString(parts[5])
	if err := errors.Join(errSalt, errKey); err != nil || version != argon2.Version {
		return false, errors.New("the kept hash of a password is damaged")
	}
	got, err := derive(ctx, password, salt, time, memory, threads, uint32(len(want)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// SignIn finds the member with that address and password, for somebody at addr. ErrWrong says no more than that one of
// both is wrong, a TooMany that there were too many attempts.
func (a *Accounts) SignIn(ctx context.Context, addr netip.Addr, email, password string) (Member, error) {
	if err := a.Attempt(addr, email); err != nil {
		return Member{}, err
	}
	m, err := a.Store.MemberByEmail(ctx, strings.TrimSpace(email))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Member{}, err
	}
	fits, err := passwordFits(ctx, m.Password, password)
	if err != nil {
		return Member{}, err
	}
	if !fits {
		return Member{}, ErrWrong
	}
	return member(m), nil
}

// Confirm makes sure that it is the member who asks for another way in, and not somebody at a browser that was left open:
// they signed in just now, or know the password. If not, that is a Problem with the given field.
func (a *Accounts) Confirm(ctx context.Context, addr netip.Addr, m Member, session Session, field, current string) error {
	if session.Fresh() {
		return nil
	}
	kept, err := a.Store.Member(ctx, m.WorkspaceID, m.ID)
	if err != nil {
		return err
	}
	if kept.Password == "" {
		return Problem{field, "You signed in a while ago. Sign out and in again, then do it."}
	}
	return a.checkCurrent(ctx, addr, kept, field, current)
}

// checkCurrent holds what was typed against a member's password.
func (a *Accounts) checkCurrent(ctx context.Context, addr netip.Addr, m store.Member, field, current string) error {
	if current == "" {
		return Problem{field, "Type your current password."}
	}
	if err := a.Attempt(addr, m.Email); err != nil {
		return err
	}
	fits, err := passwordFits(ctx, m.Password, current)
	if err == nil && !fits {
		err = Problem{field, "This is not your current password."}
	}
	return err
}

// SetPassword gives a member a new password, and ends all sessions but the one it is done in. Unless that session
// began with a link from the console, the current password has to be right; without one, the sign-in has to be fresh.
func (a *Accounts) SetPassword(ctx context.Context, addr netip.Addr, m Member, session Session, current, password string) error {
	kept, err := a.Store.Member(ctx, m.WorkspaceID, m.ID)
	if err != nil {
		return err
	}
	switch {
	case kept.Password == "":
		err = a.Confirm(ctx, addr, m, session, "password", "")
	case !session.ByLink():
		err = a.checkCurrent(ctx, addr, kept, "current", current)
	}
	if err != nil {
		return err
	}
	if err := checkPassword(password, m.Name, m.Email); err != nil {
		return err
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	if _, err := a.Store.ChangeMember(ctx, m.WorkspaceID, m.ID, func(m *store.Member) error { m.Password = hash; return nil }); err != nil {
		return err
	}
	return a.Store.CloseMemberSessions(ctx, m.ID, session.ID)
}
