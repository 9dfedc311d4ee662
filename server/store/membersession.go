package store

import (
	"context"
	"time"
)

// MaxMemberSessions bounds the open sessions of one member; the ones unused for longest end.
const MaxMemberSessions = 50

// MemberSession is a browser that a member is signed in with.
type MemberSession struct {
	ID        string
	Hash      string // of the cookie
	MemberID  string
	Method    string // password, passkey, link
	Agent     string // the browser, as it calls itself
	Address   string // where it was seen last
	CreatedAt time.Time
	SeenAt    time.Time
}

const memberSessionColumns = `s.id, s.hash, s.member_id, s.method, s.agent, s.address, s.created_at, s.seen_at`

func (m *MemberSession) fields() []any {
	return []any{&m.ID, &m.Hash, &m.MemberID, &m.Method, &m.Agent, &m.Address, (*timestamp)(&m.CreatedAt), (*timestamp)(&m.SeenAt)}
}

// OpenMemberSession keeps a session, and forgets those not seen since idle.
func (s *Store) OpenMemberSession(ctx context.Context, m MemberSession, idle time.Time) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`DELETE FROM member_sessions WHERE seen_at < ?`, millis(idle)); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM member_sessions WHERE member_id = ? AND id NOT IN
			(SELECT id FROM member_sessions WHERE member_id = ? ORDER BY seen_at DESC, id DESC LIMIT ?)`, m.MemberID, m.MemberID, MaxMemberSessions-1)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO member_sessions (id, hash, member_id, method, agent, address, created_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			m.ID, m.Hash, m.MemberID, m.Method, m.Agent, m.Address, millis(m.CreatedAt), millis(m.SeenAt))
		return err
	})
}

// MemberSession finds a session by the hash of its cookie, with its member.
func (s *Store) MemberSession(ctx context.Context, hash string) (MemberSession, Member, error) {
	var session MemberSession
	var m Member
	err := s.query(ctx).row(`SELECT `+memberSessionColumns+`, m.workspace_id, m.email, m.name, m.role, m.password, m.created_at, m.updated_at
		FROM member_sessions s JOIN members m ON m.id = s.member_id WHERE s.hash = ?`, hash).
		Scan(append(session.fields(), &m.WorkspaceID, &m.Email, &m.Name, &m.Role, &m.Password, (*timestamp)(&m.CreatedAt), (*timestamp)(&m.UpdatedAt))...)
	m.ID = session.MemberID
	return session, m, found(err, "session", "of this cookie")
}

// SeeMemberSession notes that a session was used just now, and from where.
func (s *Store) SeeMemberSession(ctx context.Context, id, address string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE member_sessions SET seen_at = ?, address = ? WHERE id = ?`, millis(at), address, id)
		return err
	})
}

// MemberSessions lists the sessions of a member, newest first.
func (s *Store) MemberSessions(ctx context.Context, memberID string) ([]MemberSession, error) {
	rows, err := s.query(ctx).rows(`SELECT `+memberSessionColumns+` FROM member_sessions s WHERE s.member_id = ? ORDER BY s.id DESC LIMIT ?`,
		memberID, MaxMemberSessions)
	return collect(rows, err, func(row scanner) (m MemberSession, err error) {
		err = row.Scan(m.fields()...)
		return m, err
	})
}

// CloseMemberSession ends one session of a member.
func (s *Store) CloseMemberSession(ctx context.Context, memberID, id string) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`DELETE FROM member_sessions WHERE member_id = ? AND id = ?`, memberID, id)
		return changed(n, err, "session", id)
	})
}

// CloseMemberSessions ends all sessions of a member but the one with the id except.
func (s *Store) CloseMemberSessions(ctx context.Context, memberID, except string) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM member_sessions WHERE member_id = ? AND id <> ?`, memberID, except)
		return err
	})
}
