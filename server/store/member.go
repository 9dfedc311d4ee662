package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what belongs to one workspace or member.
const (
	MaxMembers  = 1000
	MaxPasskeys = 20
)

// ErrLastAdmin refuses what would leave a workspace without anybody who may let others in.
var ErrLastAdmin = errors.New("the last admin stays")

// RoleAdmin is the role of members that a workspace always has one of.
const RoleAdmin = "admin"

// Member is somebody who uses the dashboard.
type Member struct {
	ID          string
	WorkspaceID string
	Email       string
	Name        string
	Role        string
	Password    string // its hash, "" = none
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

const memberColumns = `id, workspace_id, email, name, role, password, created_at, updated_at`

func scanMember(row scanner) (m Member, err error) {
	err = row.Scan(&m.ID, &m.WorkspaceID, &m.Email, &m.Name, &m.Role, &m.Password, (*timestamp)(&m.CreatedAt), (*timestamp)(&m.UpdatedAt))
	return m, err
}

// Member returns a member of a workspace.
func (s *Store) Member(ctx context.Context, workspaceID, id string) (Member, error) {
	return s.query(ctx).member(workspaceID, id, "")
}

// MemberByEmail finds a member by address, regardless of case.
func (s *Store) MemberByEmail(ctx context.Context, email string) (Member, error) {
	m, err := scanMember(s.query(ctx).row(`SELECT `+memberColumns+` FROM members WHERE email_key = ?`, strings.ToLower(email)))
	return m, found(err, "member", email)
}

// Members lists the members of a workspace, oldest first.
func (s *Store) Members(ctx context.Context, workspaceID string) ([]Member, error) {
	rows, err := s.query(ctx).rows(`SELECT `+memberColumns+` FROM members WHERE workspace_id = ? ORDER BY id LIMIT ?`, workspaceID, MaxMembers)
	return collect(rows, err, scanMember)
}

func (q querier) member(workspaceID, id, lock string) (Member, error) {
	m, err := scanMember(q.row(`SELECT `+memberColumns+` FROM members WHERE workspace_id = ? AND id = ?`+lock, workspaceID, id))
	return m, found(err, "member", id)
}

// insertMember makes a member. An address that another member has is an ErrConflict.
func (t *tx) insertMember(m Member) error {
	var have int
	if err := t.row(`SELECT COUNT(*) FROM members WHERE workspace_id = ?`, m.WorkspaceID).Scan(&have); err != nil {
		return err
	}
	if have >= MaxMembers {
		return fmt.Errorf("workspace %s has %d members: %w", m.WorkspaceID, have, ErrTooMany)
	}
	_, err := t.exec(`INSERT INTO members (id, workspace_id, email, email_key, name, role, password, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, m.ID, m.WorkspaceID, m.Email, strings.ToLower(m.Email), m.Name, m.Role, m.Password,
		millis(m.CreatedAt), millis(m.UpdatedAt))
	if err != nil && t.dialect.isUnique(err) {
		return fmt.Errorf("member %q: %w", m.Email, ErrConflict)
	}
	return err
}

// ChangeMember changes what change sets in a member: name, email, role, password. It refuses to take the last admin's role.
func (s *Store) ChangeMember(ctx context.Context, workspaceID, id string, change func(*Member) error) (Member, error) {
	var m Member
	err := s.update(ctx, func(t *tx) error {
		if err := t.lockMembers(workspaceID); err != nil {
			return err
		}
		var err error
		if m, err = t.member(workspaceID, id, ""); err != nil {
			return err
		}
		role := m.Role
		if err := change(&m); err != nil {
			return err
		}
		if role == RoleAdmin && m.Role != RoleAdmin {
			if err := t.otherAdmin(workspaceID, id); err != nil {
				return err
			}
		}
		m.UpdatedAt = trunc(time.Now())
		_, err = t.exec(`UPDATE members SET email = ?, email_key = ?, name = ?, role = ?, password = ?, updated_at = ? WHERE id = ?`,
			m.Email, strings.ToLower(m.Email), m.Name, m.Role, m.Password, millis(m.UpdatedAt), m.ID)
		if err != nil && t.dialect.isUnique(err) {
			return fmt.Errorf("member %q: %w", m.Email, ErrConflict)
		}
		return err
	})
	return m, err
}

// RemoveMember removes a member with sessions, passkeys and links. It refuses to remove the last admin.
func (s *Store) RemoveMember(ctx context.Context, workspaceID, id string) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.lockMembers(workspaceID); err != nil {
			return err
		}
		m, err := t.member(workspaceID, id, "")
		if err != nil {
			return err
		}
		if m.Role == RoleAdmin {
			if err := t.otherAdmin(workspaceID, id); err != nil {
				return err
			}
		}
		for _, table := range []string{"member_sessions", "passkeys", "member_links"} {
			if _, err := t.exec(`DELETE FROM `+table+` WHERE member_id = ?`, id); err != nil {
				return err
			}
		}
		_, err = t.exec(`DELETE FROM members WHERE id = ?`, id)
		return err
	})
}

// lockMembers makes changes of a workspace's members wait for each other: who is the last admin depends on all of them.
func (t *tx) lockMembers(workspaceID string) error {
	var id string
	err := t.row(`SELECT id FROM workspaces WHERE id = ?`+t.dialect.lock("workspaces"), workspaceID).Scan(&id)
	return found(err, "workspace", workspaceID)
}

func (t *tx) otherAdmin(workspaceID, id string) error {
	var others int
	err := t.row(`SELECT COUNT(*) FROM members WHERE workspace_id = ? AND role = ? AND id <> ?`, workspaceID, RoleAdmin, id).Scan(&others)
	if err == nil && others == 0 {
		err = ErrLastAdmin
	}
	return err
}
