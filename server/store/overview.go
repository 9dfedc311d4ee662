package store

import (
	"context"
	"database/sql"
	"time"
)

// What pages for people show beside the records: names and counts of what is listed, and sums by day.

// RoomNames returns the names of the workspace's rooms of these ids, by id. They are those of a page: as many as a
// statement may have arguments for.
func (s *Store) RoomNames(ctx context.Context, workspaceID string, ids []string) (map[string]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := anyOf("id", ids)
	rows, err := s.query(ctx).rows(`SELECT id, name FROM rooms WHERE workspace_id = ? AND `+in, append([]any{workspaceID}, args...)...)
	return pairs[string, string](rows, err)
}

// PeerCounts returns how many people have been in each of the sessions of a page, by session.
func (s *Store) PeerCounts(ctx context.Context, sessionIDs []string) (map[string]int, error) {
	if len(sessionIDs) == 0 {
		return nil, nil
	}
	in, args := anyOf("session_id", sessionIDs)
	rows, err := s.query(ctx).rows(`SELECT session_id, COUNT(*) FROM session_peers WHERE `+in+` GROUP BY session_id`, args...)
	return pairs[string, int](rows, err)
}

// PollRun is a run of a poll in a session with the poll as it is now.
type PollRun struct {
	PollSession
	Poll Poll
}

// PollRuns returns the polls that were run in a session, in that order, at most limit.
func (s *Store) PollRuns(ctx context.Context, workspaceID, sessionID string, limit int) ([]PollRun, error) {
	rows, err := s.query(ctx).rows(selectPollSessions+` WHERE s.session_id = ? ORDER BY s.id LIMIT ?`, sessionID, limit)
	sessions, err := collect(rows, err, scanPollSession)
	if err != nil {
		return nil, err
	}
	runs := make([]PollRun, len(sessions))
	for i, v := range sessions {
		runs[i].PollSession = v
		if runs[i].Poll, err = s.Poll(ctx, workspaceID, v.PollID); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// RunResponses returns the responses of a run that count, at most limit.
func (s *Store) RunResponses(ctx context.Context, pollSessionID string, limit int) ([]PollResponse, error) {
	rows, err := s.query(ctx).rows(selectResponses+` WHERE r.poll_session_id = ? AND NOT r.superseded ORDER BY r.id LIMIT ?`, pollSessionID, limit)
	return collect(rows, err, scanResponse)
}

// Day is what a workspace used on a day (UTC). What lasts beyond midnight belongs to the day on which it began.
type Day struct {
	At           time.Time // its beginning
	Participants time.Duration
	Streams      time.Duration
	Recordings   time.Duration
}

// Usage returns the workspace's use of so many days, the last of which is that of now.
func (s *Store) Usage(ctx context.Context, workspaceID string, now time.Time, days int) ([]Day, error) {
	const dayMillis = 24 * 60 * 60 * 1000
	last := now.UTC().Truncate(24 * time.Hour)
	from := last.AddDate(0, 0, 1-days)
	list := make([]Day, days)
	for i := range list {
		list[i].At = from.AddDate(0, 0, i)
	}
	sum := func(pick func(*Day) *time.Duration, unit time.Duration, query string, args ...any) error {
		rows, err := s.query(ctx).rows(query, args...)
		sums, err := pairs[int64, float64](rows, err)
		for day, n := range sums {
			if i := int(day - from.UnixMilli()/dayMillis); i >= 0 && i < days {
				*pick(&list[i]) = time.Duration(n * float64(unit))
			}
		}
		return err
	}
	// Sessions may have begun before what of them belongs to the first day.
	sessions := where("s.workspace_id = ?", workspaceID)
	sessions.idsFrom("s.id", from.Add(-maxSession))
	sessions.and("p.joined_at >= ?", from.UnixMilli())
	err := sum(func(d *Day) *time.Duration { return &d.Participants }, time.Millisecond,
		`SELECT p.joined_at / 86400000 AS day, SUM(CASE WHEN p.left_at = 0 THEN ? ELSE p.left_at END - p.joined_at)
			FROM sessions s JOIN session_peers p ON p.session_id = s.id`+sessions.text+` GROUP BY day`, append([]any{now.UnixMilli()}, sessions.args...)...)
	if err != nil {
		return nil, err
	}
	streams := where("workspace_id = ?", workspaceID)
	streams.idsFrom("id", from)
	streams.and("started_at >= ?", from.UnixMilli())
	err = sum(func(d *Day) *time.Duration { return &d.Streams }, time.Millisecond,
		`SELECT started_at / 86400000 AS day, SUM(CASE WHEN stopped_at = 0 THEN ? ELSE stopped_at END - started_at) FROM live_streams`+
			streams.text+` GROUP BY day`, append([]any{now.UnixMilli()}, streams.args...)...)
	if err != nil {
		return nil, err
	}
	assets := where("workspace_id = ?", workspaceID)
	assets.idsFrom("id", from)
	assets.and("created_at >= ?", from.UnixMilli())
	assets.and("type IN (?, ?)", string(AssetComposite), string(AssetVOD))
	assets.and("status = ?", string(AssetCompleted))
	err = sum(func(d *Day) *time.Duration { return &d.Recordings }, time.Second,
		`SELECT created_at / 86400000 AS day, SUM(duration) FROM assets`+assets.text+` GROUP BY day`, assets.args...)
	return list, err
}

// maxSession is longer than any session lasts.
const maxSession = 24 * time.Hour

// pairs reads rows of two columns, by the first.
func pairs[K comparable, V any](rows *sql.Rows, err error) (map[K]V, error) {
	type pair struct {
		key   K
		value V
	}
	list, err := collect(rows, err, func(row scanner) (p pair, err error) {
		err = row.Scan(&p.key, &p.value)
		return p, err
	})
	m := make(map[K]V, len(list))
	for _, p := range list {
		m[p.key] = p.value
	}
	return m, err
}
