package store

import (
	"context"
	"strings"
	"time"
)

// SessionFilter says which sessions are listed. Zero fields do not filter; After and Before are about the start and
// include their instant.
type SessionFilter struct {
	ID     string
	RoomID string
	Active *bool
	After  time.Time
	Before time.Time
}

// Sessions lists the workspace's sessions, newest first.
func (s *Store) Sessions(ctx context.Context, workspaceID string, f SessionFilter, p Page) ([]Session, error) {
	w := where("workspace_id = ?", workspaceID)
	w.is("id", f.ID)
	w.is("room_id", f.RoomID)
	if f.Active != nil && *f.Active {
		w.and("ended_at = 0")
	} else if f.Active != nil {
		w.and("ended_at <> 0")
	}
	w.between("created_at", f.After, f.Before)
	w.idsFrom("id", f.After)
	w.page("id", p)
	rows, err := s.query(ctx).rows(`SELECT `+sessionColumns+` FROM sessions`+w.text, w.args...)
	return collect(rows, err, scanSession)
}

// PeersOf returns everybody who has been in any of the sessions, by session, in the order of joining. The sessions are
// those of a page: as many as a statement may have arguments for.
func (s *Store) PeersOf(ctx context.Context, sessions []Session) (map[string][]Peer, error) {
	if len(sessions) == 0 {
		return nil, nil
	}
	ids := make([]any, len(sessions))
	for i, v := range sessions {
		ids[i] = v.ID
	}
	rows, err := s.query(ctx).rows(`SELECT `+peerColumns+` FROM session_peers
		WHERE session_id IN (?`+strings.Repeat(", ?", len(ids)-1)+`) ORDER BY joined_at, id`, ids...)
	peers, err := collect(rows, err, scanPeer)
	bySession := make(map[string][]Peer, len(sessions))
	for _, p := range peers {
		bySession[p.SessionID] = append(bySession[p.SessionID], p)
	}
	return bySession, err
}
