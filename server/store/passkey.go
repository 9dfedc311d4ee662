package store

import (
	"context"
	"fmt"
	"time"
)

// Passkey is a WebAuthn credential of a member.
type Passkey struct {
	ID         string // the credential's id, base64url
	MemberID   string
	Name       string
	Credential string // JSON, of the package that checks it
	CreatedAt  time.Time
	UsedAt     time.Time
}

const passkeyColumns = `id, member_id, name, credential_json, created_at, used_at`

func scanPasskey(row scanner) (k Passkey, err error) {
	err = row.Scan(&k.ID, &k.MemberID, &k.Name, &k.Credential, (*timestamp)(&k.CreatedAt), (*timestamp)(&k.UsedAt))
	return k, err
}

// Passkeys lists the passkeys of a member, oldest first.
func (s *Store) Passkeys(ctx context.Context, memberID string) ([]Passkey, error) {
	rows, err := s.query(ctx).rows(`SELECT `+passkeyColumns+` FROM passkeys WHERE member_id = ? ORDER BY created_at, id LIMIT ?`, memberID, MaxPasskeys)
	return collect(rows, err, scanPasskey)
}

// Passkey finds a passkey by the credential's id, with its member.
func (s *Store) Passkey(ctx context.Context, id string) (Passkey, Member, error) {
	q := s.query(ctx)
	k, err := scanPasskey(q.row(`SELECT `+passkeyColumns+` FROM passkeys WHERE id = ?`, id))
	if err != nil {
		return k, Member{}, found(err, "passkey", id)
	}
	m, err := scanMember(q.row(`SELECT `+memberColumns+` FROM members WHERE id = ?`, k.MemberID))
	return k, m, found(err, "member", k.MemberID)
}

// AddPasskey gives a member one more passkey.
func (s *Store) AddPasskey(ctx context.Context, k Passkey) error {
	return s.update(ctx, func(t *tx) error { return t.insertPasskey(k) })
}

func (t *tx) insertPasskey(k Passkey) error {
	var have int
	if err := t.row(`SELECT COUNT(*) FROM passkeys WHERE member_id = ?`, k.MemberID).Scan(&have); err != nil {
		return err
	}
	if have >= MaxPasskeys {
		return fmt.Errorf("member %s has %d passkeys: %w", k.MemberID, have, ErrTooMany)
	}
	_, err := t.exec(`INSERT INTO passkeys (`+passkeyColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
		k.ID, k.MemberID, k.Name, k.Credential, millis(k.CreatedAt), millis(k.UsedAt))
	if err != nil && t.dialect.isUnique(err) {
		return fmt.Errorf("passkey: %w", ErrConflict)
	}
	return err
}

// UsePasskey notes that a passkey was used, with the credential as it is now: its counter has grown.
func (s *Store) UsePasskey(ctx context.Context, id, credential string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE passkeys SET credential_json = ?, used_at = ? WHERE id = ?`, credential, millis(at), id)
		return changed(n, err, "passkey", id)
	})
}

// RemovePasskey takes a passkey from a member. The only way to sign in stays: ErrConflict.
func (s *Store) RemovePasskey(ctx context.Context, memberID, id string) error {
	return s.update(ctx, func(t *tx) error {
		m, err := scanMember(t.row(`SELECT `+memberColumns+` FROM members WHERE id = ?`+t.dialect.lock("members"), memberID))
		if err != nil {
			return found(err, "member", memberID)
		}
		var others int
		if err := t.row(`SELECT COUNT(*) FROM passkeys WHERE member_id = ? AND id <> ?`, memberID, id).Scan(&others); err != nil {
			return err
		}
		if m.Password == "" && others == 0 {
			return fmt.Errorf("the only passkey of a member without password: %w", ErrConflict)
		}
		n, err := t.exec(`DELETE FROM passkeys WHERE member_id = ? AND id = ?`, memberID, id)
		return changed(n, err, "passkey", id)
	})
}

// AddChallenge keeps what a browser is asked to sign until expires, and forgets what expired.
func (s *Store) AddChallenge(ctx context.Context, id, challenge string, expires time.Time) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM passkey_challenges WHERE expires_at < ?`, time.Now().UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO passkey_challenges (id, challenge_json, expires_at) VALUES (?, ?, ?)`, id, challenge, millis(expires))
		return err
	})
}

// TakeChallenge returns a challenge, once.
func (s *Store) TakeChallenge(ctx context.Context, id string) (string, error) {
	var challenge string
	err := s.update(ctx, func(t *tx) error {
		err := t.row(`DELETE FROM passkey_challenges WHERE id = ? AND expires_at > ? RETURNING challenge_json`, id, time.Now().UnixMilli()).Scan(&challenge)
		return found(err, "challenge", "of this browser")
	})
	return challenge, err
}
