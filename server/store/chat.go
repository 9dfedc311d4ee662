package store

import (
	"context"
	"errors"
	"time"
)

// ChatMessage is what somebody said to everybody in a session, or to roles.
type ChatMessage struct {
	ID        string
	SessionID string
	PeerID    string // of the sender; empty for the API
	Name      string
	UserID    string
	Roles     []string // who it was said to; none: everybody
	Type      string
	Message   string
	SentAt    time.Time
}

const chatColumns = `id, session_id, peer_id, name, user_id, roles_json, type, message, sent_at`

func scanChat(row scanner) (m ChatMessage, err error) {
	err = row.Scan(&m.ID, &m.SessionID, &m.PeerID, &m.Name, &m.UserID, jsonText{&m.Roles}, &m.Type, &m.Message, (*timestamp)(&m.SentAt))
	return m, err
}

// AddChat records messages in their order, all in one transaction: a commit costs the same for one and for a hundred.
func (s *Store) AddChat(ctx context.Context, messages ...ChatMessage) error {
	return s.update(ctx, func(t *tx) error {
		for _, m := range messages {
			_, err := t.exec(`INSERT INTO chat (`+chatColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				NewID(), m.SessionID, m.PeerID, m.Name, m.UserID, jsonOf(m.Roles), m.Type, m.Message, millis(m.SentAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Chat returns the messages of a session, oldest first, a page at a time: Start is the id of the last one before.
func (s *Store) Chat(ctx context.Context, sessionID string, p Page) ([]ChatMessage, error) {
	rows, err := s.query(ctx).rows(`SELECT `+chatColumns+` FROM chat WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?`, sessionID, p.Start, p.Limit)
	return collect(rows, err, scanChat)
}

// PruneChat forgets messages from before that time, and all but the newest most, and says how many.
func (s *Store) PruneChat(ctx context.Context, before time.Time, most int) (int64, error) {
	old, err := s.prune(ctx, `DELETE FROM chat WHERE id IN (SELECT id FROM chat WHERE sent_at < ? ORDER BY sent_at LIMIT ?)`, millis(before))
	if err != nil {
		return old, err
	}
	var newest string // of those that go
	err = s.query(ctx).row(`SELECT id FROM chat ORDER BY id DESC LIMIT 1 OFFSET ?`, most).Scan(&newest)
	switch {
	case errors.Is(err, errNoRows):
		return old, nil
	case err != nil:
		return old, err
	}
	more, err := s.prune(ctx, `DELETE FROM chat WHERE id IN (SELECT id FROM chat WHERE id <= ? ORDER BY id LIMIT ?)`, newest)
	return old + more, err
}
