package store

import (
	"context"
	"encoding/json"
	"time"
)

// AnalyticsEvent is something that happened in a session and is kept for a while. Ids that do not apply are empty.
type AnalyticsEvent struct {
	Seq         int64 // grows with time
	ID          string
	WorkspaceID string
	RoomID      string
	SessionID   string
	PeerID      string
	UserID      string
	BeamID      string
	Type        string
	Error       bool
	Data        json.RawMessage
	At          time.Time
}

// PeerReport is what a client measured of its media for a while, in a form that the store does not look into.
type PeerReport struct {
	WorkspaceID string
	RoomID      string
	SessionID   string
	PeerID      string
	Report      json.RawMessage
	At          time.Time
}

// AddAnalytics records events and reports in one transaction.
func (s *Store) AddAnalytics(ctx context.Context, events []AnalyticsEvent, reports []PeerReport) error {
	return s.update(ctx, func(t *tx) error {
		for _, e := range events {
			_, err := t.exec(`INSERT INTO analytics_events (event_id, workspace_id, room_id, session_id, peer_id, user_id, beam_id, type, is_error, data_json, created_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				e.ID, e.WorkspaceID, e.RoomID, e.SessionID, e.PeerID, e.UserID, e.BeamID, e.Type, e.Error, string(e.Data), millis(e.At))
			if err != nil {
				return err
			}
		}
		for _, r := range reports {
			_, err := t.exec(`INSERT INTO peer_stats (workspace_id, room_id, session_id, peer_id, report_json, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
				r.WorkspaceID, r.RoomID, r.SessionID, r.PeerID, string(r.Report), millis(r.At))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// AnalyticsFilter says which events of a room are listed. Zero fields do not filter.
type AnalyticsFilter struct {
	RoomID    string
	SessionID string
	PeerID    string
	UserID    string
	BeamID    string
	Types     []string
	Error     *bool
	Newest    int64 // Seq: none that came later
}

// NewestAnalytics returns the Seq of the newest event, 0 when there is none.
func (s *Store) NewestAnalytics(ctx context.Context) (seq int64, err error) {
	err = s.query(ctx).row(`SELECT COALESCE(MAX(seq), 0) FROM analytics_events`).Scan(&seq)
	return seq, err
}

// AnalyticsEvents returns the newest events that the filter means and that are older than before (a Seq, 0: all), at most
// limit, and how many the filter means in all.
func (s *Store) AnalyticsEvents(ctx context.Context, workspaceID string, f AnalyticsFilter, before int64, limit int) ([]AnalyticsEvent, int, error) {
	w := where("room_id = ?", f.RoomID)
	w.and("workspace_id = ?", workspaceID)
	w.and("seq <= ?", f.Newest)
	for _, c := range []struct{ column, value string }{
		{"session_id", f.SessionID}, {"peer_id", f.PeerID}, {"user_id", f.UserID}, {"beam_id", f.BeamID},
	} {
		if c.value != "" {
			w.and(c.column+" = ?", c.value)
		}
	}
	if len(f.Types) > 0 {
		condition, args := anyOf("type", f.Types)
		w.and(condition, args...)
	}
	if f.Error != nil {
		w.and("is_error = ?", *f.Error)
	}
	var total int
	if err := s.query(ctx).row(`SELECT COUNT(*) FROM analytics_events`+w.text, w.args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	if before > 0 {
		w.and("seq < ?", before)
	}
	rows, err := s.query(ctx).rows(`SELECT seq, event_id, workspace_id, room_id, session_id, peer_id, user_id, beam_id, type, is_error, data_json, created_at
		FROM analytics_events`+w.text+` ORDER BY seq DESC LIMIT ?`, append(w.args, limit)...)
	events, err := collect(rows, err, func(row scanner) (e AnalyticsEvent, err error) {
		err = row.Scan(&e.Seq, &e.ID, &e.WorkspaceID, &e.RoomID, &e.SessionID, &e.PeerID, &e.UserID, &e.BeamID, &e.Type, &e.Error,
			jsonText{&e.Data}, (*timestamp)(&e.At))
		return e, err
	})
	return events, total, err
}

// maxPeerReports bounds what is read at once: a peer that reports every ten seconds for seven hours.
const maxPeerReports = 2500

// PeerReports returns what a peer reported in a session, in that order.
func (s *Store) PeerReports(ctx context.Context, sessionID, peerID string) ([]PeerReport, error) {
	rows, err := s.query(ctx).rows(`SELECT workspace_id, room_id, session_id, peer_id, report_json, created_at FROM peer_stats
		WHERE session_id = ? AND peer_id = ? ORDER BY seq LIMIT ?`, sessionID, peerID, maxPeerReports)
	return collect(rows, err, func(row scanner) (r PeerReport, err error) {
		err = row.Scan(&r.WorkspaceID, &r.RoomID, &r.SessionID, &r.PeerID, jsonText{&r.Report}, (*timestamp)(&r.At))
		return r, err
	})
}

// PruneAnalytics forgets events and reports from before that time, and all but the newest most of each.
func (s *Store) PruneAnalytics(ctx context.Context, before time.Time, most int) (total int64, err error) {
	for _, table := range []string{"analytics_events", "peer_stats"} {
		n, err := s.prune(ctx, `DELETE FROM `+table+` WHERE seq IN (SELECT seq FROM `+table+` WHERE created_at < ? ORDER BY created_at LIMIT ?)`, millis(before))
		if total += n; err != nil {
			return total, err
		}
		n, err = s.prune(ctx, `DELETE FROM `+table+` WHERE seq IN (SELECT seq FROM `+table+` WHERE seq <= (SELECT MAX(seq) FROM `+table+`) - ? ORDER BY seq LIMIT ?)`, int64(most))
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}
