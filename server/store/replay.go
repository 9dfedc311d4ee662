package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HistoryFilter says which events of the outbox are meant. Zero fields do not filter.
type HistoryFilter struct {
	From   time.Time // when the event happened, both ends included
	To     time.Time
	RoomID string
	Types  []string
	State  Delivery // Pending means Dead or still failing: not delivered so far, and tried
}

func (f HistoryFilter) where(workspaceID string) *clause {
	w := where("workspace_id = ?", workspaceID)
	w.between("created_at", f.From, f.To)
	w.is("room_id", f.RoomID)
	if len(f.Types) > 0 {
		condition, args := anyOf("type", f.Types)
		w.and(condition, args...)
	}
	switch f.State {
	case Delivered, Dead:
		w.and("state = ?", string(f.State))
	case Pending:
		w.and("(state = 'dead' OR state = 'pending' AND attempts > 0)")
	default:
		w.and("(state <> 'pending' OR attempts > 0)")
	}
	return w
}

// PastEvent is an event that was sent at least once.
type PastEvent struct {
	Event
	State  Delivery
	URL    string // of the last attempt
	Reason string // of the last failure
}

// WebhookHistory returns a page of the workspace's events that were sent, the newest first, and how many there are.
func (s *Store) WebhookHistory(ctx context.Context, workspaceID string, f HistoryFilter, limit, offset int) ([]PastEvent, int, error) {
	w := f.where(workspaceID)
	var total int
	if err := s.query(ctx).row(`SELECT COUNT(*) FROM outbox`+w.text, w.args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.query(ctx).rows(`SELECT `+eventColumns+`, state, url, last_error FROM outbox`+w.text+` ORDER BY created_at DESC, seq DESC LIMIT ? OFFSET ?`,
		append(w.args, limit, offset)...)
	events, err := collect(rows, err, func(row scanner) (p PastEvent, err error) {
		err = row.Scan(append(eventFields(&p.Event), &p.State, &p.URL, &p.Reason)...)
		return p, err
	})
	return events, total, err
}

// Bounds of replays.
const (
	MaxReplayEvents   = 50_000
	maxRunningReplays = 8 // of a workspace
)

// ReplayFilter says which finished events a replay sends again: of those that the filter means, in the order in which
// they happened, Limit after Offset. Its JSON form is kept.
type ReplayFilter struct {
	HistoryFilter
	Limit  int
	Offset int
}

// Replay is a run over past events that sends them again.
type Replay struct {
	ID          string
	WorkspaceID string
	Filter      ReplayFilter // as it was given
	Total       int
	Delivered   int
	Failed      int
	StartedAt   time.Time
	FinishedAt  time.Time // zero while it runs
}

const replayColumns = `id, workspace_id, filter_json, total, delivered, failed, started_at, finished_at`

func scanReplay(row scanner) (r Replay, err error) {
	err = row.Scan(&r.ID, &r.WorkspaceID, jsonText{&r.Filter}, &r.Total, &r.Delivered, &r.Failed, (*timestamp)(&r.StartedAt), (*timestamp)(&r.FinishedAt))
	return r, err
}

// StartReplay chooses the events that are finished now and records the replay. One with the same filter that runs
// already is returned instead, and not started again. Given is the filter as it was asked for; from and to are its
// bounds with the defaults filled in. ErrTooMany when too many of the workspace run.
func (s *Store) StartReplay(ctx context.Context, workspaceID string, given ReplayFilter, from, to time.Time) (r Replay, started bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		if err := t.exclusive(); err != nil {
			return err
		}
		r, started = Replay{}, false
		rows, err := t.rows(`SELECT `+replayColumns+` FROM replays WHERE workspace_id = ? AND finished_at = 0`, workspaceID)
		running, err := collect(rows, err, scanReplay)
		if err != nil {
			return err
		}
		for _, other := range running {
			if jsonOf(other.Filter) == jsonOf(given) {
				r = other
				return nil
			}
		}
		if len(running) >= maxRunningReplays {
			return fmt.Errorf("%d replays run: %w", len(running), ErrTooMany)
		}
		r = Replay{ID: NewID(), WorkspaceID: workspaceID, Filter: given, StartedAt: trunc(time.Now())}
		_, err = t.exec(`INSERT INTO replays (`+replayColumns+`) VALUES (?, ?, ?, 0, 0, 0, ?, 0)`, r.ID, workspaceID, jsonOf(given), millis(r.StartedAt))
		if err != nil {
			return err
		}
		f := given.HistoryFilter
		f.From, f.To = from, to
		w := f.where(workspaceID)
		w.and("state <> 'pending'")
		n, err := t.exec(`INSERT INTO replay_events (replay_id, seq, error) SELECT ?, seq, '' FROM outbox`+w.text+` ORDER BY seq LIMIT ? OFFSET ?`,
			append(append([]any{r.ID}, w.args...), given.Limit, given.Offset)...)
		if err != nil {
			return err
		}
		r.Total, started = int(n), true
		if n == 0 {
			r.FinishedAt = r.StartedAt
		}
		_, err = t.exec(`UPDATE replays SET total = ?, finished_at = ? WHERE id = ?`, r.Total, millis(r.FinishedAt), r.ID)
		return err
	})
	if err == nil && started {
		select {
		case s.replays <- struct{}{}:
		default:
		}
	}
	return r, started, err
}

// ReplayStarted receives after a replay was started.
func (s *Store) ReplayStarted() <-chan struct{} { return s.replays }

// Replay returns the workspace's replay of that id.
func (s *Store) Replay(ctx context.Context, workspaceID, id string) (Replay, error) {
	r, err := scanReplay(s.query(ctx).row(`SELECT `+replayColumns+` FROM replays WHERE id = ? AND workspace_id = ?`, id, workspaceID))
	return r, found(err, "replay", id)
}

// RunningReplays returns the replays that are not finished.
func (s *Store) RunningReplays(ctx context.Context) ([]Replay, error) {
	rows, err := s.query(ctx).rows(`SELECT ` + replayColumns + ` FROM replays WHERE finished_at = 0 ORDER BY id`)
	return collect(rows, err, scanReplay)
}

// ReplayFailures returns the events that a replay could not deliver, at most limit: of each its id, type and reason.
func (s *Store) ReplayFailures(ctx context.Context, id string, limit int) ([]PastEvent, error) {
	rows, err := s.query(ctx).rows(`SELECT o.event_id, o.type, o.room_id, e.error FROM replay_events e JOIN outbox o ON o.seq = e.seq
		WHERE e.replay_id = ? AND e.error <> '' ORDER BY e.seq LIMIT ?`, id, limit)
	return collect(rows, err, func(row scanner) (p PastEvent, err error) {
		err = row.Scan(&p.ID, &p.Type, &p.RoomID, &p.Reason)
		return p, err
	})
}

// NextReplayed returns the next event that a replay has to send; ok is false when all are done.
func (s *Store) NextReplayed(ctx context.Context, id string) (e Event, ok bool, err error) {
	q := s.query(ctx)
	err = q.row(`SELECT `+eventColumns+` FROM outbox WHERE seq = (SELECT MIN(seq) FROM replay_events WHERE replay_id = ? AND error = ''
		AND seq IN (SELECT seq FROM outbox))`, id).Scan(eventFields(&e)...)
	if errors.Is(err, errNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

// SettleReplayed records how an event of a replay went; an empty reason says that it was delivered, and so it is not a
// dead letter any more.
func (s *Store) SettleReplayed(ctx context.Context, id string, seq int64, url, reason string) error {
	return s.update(ctx, func(t *tx) error {
		if reason != "" {
			n, err := t.exec(`UPDATE replay_events SET error = ? WHERE replay_id = ? AND seq = ? AND error = ''`, reason, id, seq)
			if err == nil && n == 1 {
				_, err = t.exec(`UPDATE replays SET failed = failed + 1 WHERE id = ?`, id)
			}
			return err
		}
		n, err := t.exec(`DELETE FROM replay_events WHERE replay_id = ? AND seq = ? AND error = ''`, id, seq)
		if err != nil || n == 0 {
			return err
		}
		if _, err := t.exec(`UPDATE replays SET delivered = delivered + 1 WHERE id = ?`, id); err != nil {
			return err
		}
		_, err = t.exec(`UPDATE outbox SET state = 'delivered', url = ?, last_error = '' WHERE seq = ? AND state = 'dead'`, url, seq)
		return err
	})
}

// FinishReplay records that a replay has nothing more to send. What was forgotten meanwhile counts as failed.
func (s *Store) FinishReplay(ctx context.Context, id string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE replays SET failed = total - delivered, finished_at = ? WHERE id = ? AND finished_at = 0`, millis(at), id)
		return err
	})
}

// PruneReplays forgets replays that ended before that time.
func (s *Store) PruneReplays(ctx context.Context, before time.Time) error {
	const old = `(SELECT id FROM replays WHERE finished_at <> 0 AND finished_at < ?)`
	if _, err := s.prune(ctx, `DELETE FROM replay_events WHERE (replay_id, seq) IN
		(SELECT replay_id, seq FROM replay_events WHERE replay_id IN `+old+` LIMIT ?)`, millis(before)); err != nil {
		return err
	}
	_, err := s.prune(ctx, `DELETE FROM replays WHERE id IN (SELECT id FROM replays WHERE finished_at <> 0 AND finished_at < ? LIMIT ?)`, millis(before))
	return err
}
