package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxLinks bounds the links of a workspace that are waiting to be used.
const MaxLinks = 1000

// Refusals of a link.
var (
	ErrUsed    = errors.New("used already")
	ErrExpired = errors.New("expired")
)

// MemberLink lets its holder in, once.
type MemberLink struct {
	ID          string
	Hash        string // of the secret in the address
	WorkspaceID string
	MemberID    string // whom it signs in; "" = it makes a member
	Email       string // of the member that it makes; "" = theirs to say
	Role        string // of the member that it makes
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      time.Time
}

// usable says why a link opens nothing any more; nil when it does.
func (l MemberLink) usable(now time.Time) error {
	switch {
	case !l.UsedAt.IsZero():
		return ErrUsed
	case !now.Before(l.ExpiresAt):
		return ErrExpired
	}
	return nil
}

const linkColumns = `id, hash, workspace_id, member_id, email, role, created_at, expires_at, used_at`

func scanLink(row scanner) (l MemberLink, err error) {
	err = row.Scan(&l.ID, &l.Hash, &l.WorkspaceID, &l.MemberID, &l.Email, &l.Role,
		(*timestamp)(&l.CreatedAt), (*timestamp)(&l.ExpiresAt), (*timestamp)(&l.UsedAt))
	return l, err
}

// linkKept is how long a link is remembered after it ended, to tell who opens it late what happened.
const linkKept = 30 * 24 * time.Hour

// AddMemberLink keeps a link, and forgets those that ended long ago.
func (s *Store) AddMemberLink(ctx context.Context, l MemberLink) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM member_links WHERE expires_at < ?`, millis(time.Now().Add(-linkKept))); err != nil {
			return err
		}
		var have int
		if err := t.row(`SELECT COUNT(*) FROM member_links WHERE workspace_id = ? AND used_at = 0`, l.WorkspaceID).Scan(&have); err != nil {
			return err
		}
		if have >= MaxLinks {
			return fmt.Errorf("workspace %s has %d links: %w", l.WorkspaceID, have, ErrTooMany)
		}
		_, err := t.exec(`INSERT INTO member_links (`+linkColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, l.ID, l.Hash, l.WorkspaceID,
			l.MemberID, l.Email, l.Role, millis(l.CreatedAt), millis(l.ExpiresAt), millis(l.UsedAt))
		return err
	})
}

// MemberLink finds a link by the hash of its secret, also one that ended: then it comes with ErrUsed or ErrExpired.
func (s *Store) MemberLink(ctx context.Context, hash string) (MemberLink, error) {
	return s.query(ctx).memberLink(hash, time.Now(), "")
}

func (q querier) memberLink(hash string, now time.Time, lock string) (MemberLink, error) {
	l, err := scanLink(q.row(`SELECT `+linkColumns+` FROM member_links WHERE hash = ?`+lock, hash))
	if err != nil {
		return l, found(err, "link", "with this secret")
	}
	return l, l.usable(now)
}

// Invitations lists the links of a workspace that make members and are waiting, newest first.
func (s *Store) Invitations(ctx context.Context, workspaceID string) ([]MemberLink, error) {
	rows, err := s.query(ctx).rows(`SELECT `+linkColumns+` FROM member_links
		WHERE workspace_id = ? AND member_id = '' AND email <> '' AND used_at = 0 AND expires_at > ? ORDER BY id DESC LIMIT ?`,
		workspaceID, time.Now().UnixMilli(), MaxLinks)
	return collect(rows, err, scanLink)
}

// RemoveMemberLink takes a waiting link back.
func (s *Store) RemoveMemberLink(ctx context.Context, workspaceID, id string) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`DELETE FROM member_links WHERE workspace_id = ? AND id = ? AND used_at = 0`, workspaceID, id)
		return changed(n, err, "link", id)
	})
}

// UseMemberLink uses up the link with that hash, and makes in the same transaction the member that it is for, with a
// passkey if there is one. With a link that signs in, member and passkey are not looked at. A link without an address,
// the first start's, serves only while there is nobody.
func (s *Store) UseMemberLink(ctx context.Context, hash string, m Member, k *Passkey) (Member, error) {
	err := s.update(ctx, func(t *tx) error {
		now := trunc(time.Now())
		l, err := t.memberLink(hash, now, t.dialect.lock("member_links"))
		if err != nil {
			return err
		}
		if err := t.lockMembers(l.WorkspaceID); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE member_links SET used_at = ? WHERE id = ?`, millis(now), l.ID); err != nil {
			return err
		}
		if l.MemberID != "" {
			m, err = t.member(l.WorkspaceID, l.MemberID, "")
			return err
		}
		if l.Email == "" {
			var have int
			if err := t.row(`SELECT COUNT(*) FROM members WHERE workspace_id = ?`, l.WorkspaceID).Scan(&have); err != nil {
				return err
			}
			if have > 0 {
				return ErrUsed
			}
		} else {
			m.Email = l.Email
		}
		m.WorkspaceID, m.Role, m.CreatedAt, m.UpdatedAt = l.WorkspaceID, l.Role, now, now
		if err := t.insertMember(m); err != nil {
			return err
		}
		if k != nil {
			return t.insertPasskey(*k)
		}
		return nil
	})
	return m, err
}
