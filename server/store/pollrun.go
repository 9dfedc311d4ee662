package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// PollSession is one run of a poll in a session.
type PollSession struct {
	ID           string
	PollID       string
	SessionID    string
	StartedAt    time.Time
	StoppedAt    time.Time // zero while it runs
	Responses    int       // in all, superseded ones too
	Participants int       // who responded
}

const selectPollSessions = `SELECT s.id, s.poll_id, s.session_id, s.started_at, s.stopped_at,
	(SELECT COUNT(*) FROM poll_responses r WHERE r.poll_session_id = s.id),
	(SELECT COUNT(DISTINCT r.participant) FROM poll_responses r WHERE r.poll_session_id = s.id) FROM poll_sessions s`

func scanPollSession(row scanner) (v PollSession, err error) {
	err = row.Scan(&v.ID, &v.PollID, &v.SessionID, (*timestamp)(&v.StartedAt), (*timestamp)(&v.StoppedAt), &v.Responses, &v.Participants)
	return v, err
}

// PollSession returns a run of a poll.
func (s *Store) PollSession(ctx context.Context, pollID, id string) (PollSession, error) {
	v, err := scanPollSession(s.query(ctx).row(selectPollSessions+` WHERE s.id = ? AND s.poll_id = ?`, id, pollID))
	return v, found(err, "poll session", id)
}

// PollSessions lists the runs of a poll, newest first.
func (s *Store) PollSessions(ctx context.Context, pollID string, p Page) ([]PollSession, error) {
	w := where("s.poll_id = ?", pollID)
	w.page("s.id", p)
	rows, err := s.query(ctx).rows(selectPollSessions+w.text, w.args...)
	return collect(rows, err, scanPollSession)
}

// StartPoll records that a poll began in a session. The caller chooses the run's id (NewID). ErrConflict when the poll
// runs there already.
func (s *Store) StartPoll(ctx context.Context, id, pollID, sessionID string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO poll_sessions (id, poll_id, session_id, started_at, stopped_at) VALUES (?, ?, ?, ?, 0)`,
			id, pollID, sessionID, millis(at))
		return t.conflict(err, "run of poll", pollID)
	})
}

// StopPoll records the end of a run, which comes with that of the session at the latest. One that has ended stays as it is.
func (s *Store) StopPoll(ctx context.Context, pollSessionID string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE poll_sessions SET stopped_at = ? WHERE id = ? AND stopped_at = 0`, millis(at), pollSessionID)
		return err
	})
}

// PollResponse is an answer to a question of a poll.
type PollResponse struct {
	ID            string
	PollID        string
	PollSessionID string
	SessionID     string // read with the response, not saved with it
	Question      int
	Participant   string // by the poll's mode; must say nothing about the person when the poll is anonymous
	PeerID        string // empty when it is anonymous
	UserID        string
	Skipped       bool
	Text          string
	Options       []int // indexes
	Duration      time.Duration
	Score         int
	Original      string // the first response of the participant to the question; empty for itself
	Retries       int    // responses before this one
	Superseded    bool   // a later one counts
	SentAt        time.Time
}

const responseColumns = `id, poll_id, poll_session_id, question, participant, peer_id, user_id, skipped, text, options_json, duration, score,
	original, retries, superseded, sent_at`

const selectResponses = `SELECT r.id, r.poll_id, r.poll_session_id, s.session_id, r.question, r.participant, r.peer_id, r.user_id, r.skipped,
	r.text, r.options_json, r.duration, r.score, r.original, r.retries, r.superseded, r.sent_at
	FROM poll_responses r JOIN poll_sessions s ON s.id = r.poll_session_id`

func scanResponse(row scanner) (r PollResponse, err error) {
	var ms int64
	err = row.Scan(&r.ID, &r.PollID, &r.PollSessionID, &r.SessionID, &r.Question, &r.Participant, &r.PeerID, &r.UserID, &r.Skipped,
		&r.Text, jsonText{&r.Options}, &ms, &r.Score, &r.Original, &r.Retries, &r.Superseded, (*timestamp)(&r.SentAt))
	r.Duration = time.Duration(ms) * time.Millisecond
	return r, err
}

// AddPollResponses records responses in their order, all or none, and returns them as they are recorded. Each takes the
// place of the one that the participant gave before. A run that has ended is ErrConflict.
func (s *Store) AddPollResponses(ctx context.Context, list ...PollResponse) ([]PollResponse, error) {
	added := make([]PollResponse, len(list))
	err := s.update(ctx, func(t *tx) (err error) {
		for i, r := range list {
			if added[i], err = t.addPollResponse(r); err != nil {
				return err
			}
		}
		return nil
	})
	return added, err
}

func (t *tx) addPollResponse(r PollResponse) (PollResponse, error) {
	r.ID, r.SentAt, r.Superseded = NewID(), trunc(r.SentAt), false
	var ended timestamp
	err := t.row(`SELECT poll_id, session_id, stopped_at FROM poll_sessions WHERE id = ?`, r.PollSessionID).Scan(&r.PollID, &r.SessionID, &ended)
	if err != nil {
		return r, found(err, "poll session", r.PollSessionID)
	}
	if !time.Time(ended).IsZero() {
		return r, fmt.Errorf("poll session %s has ended: %w", r.PollSessionID, ErrConflict)
	}
	before, err := scanResponse(t.row(selectResponses+` WHERE r.poll_session_id = ? AND r.participant = ? AND r.question = ? AND NOT r.superseded`+
		t.dialect.lock("r"), r.PollSessionID, r.Participant, r.Question))
	switch {
	case errors.Is(err, errNoRows):
		r.Original, r.Retries = "", 0
	case err != nil:
		return r, err
	default:
		r.Original, r.Retries = cmp.Or(before.Original, before.ID), before.Retries+1
		if _, err := t.exec(`UPDATE poll_responses SET superseded = ? WHERE id = ?`, true, before.ID); err != nil {
			return r, err
		}
	}
	_, err = t.exec(`INSERT INTO poll_responses (`+responseColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.PollID, r.PollSessionID, r.Question, r.Participant, r.PeerID, r.UserID, r.Skipped, r.Text, jsonOf(r.Options),
		r.Duration.Milliseconds(), r.Score, r.Original, r.Retries, false, millis(r.SentAt))
	if err != nil && t.dialect.isUnique(err) {
		return r, errAgain // another response of the same participant came at the same time
	}
	return r, err
}

// PollResponse returns a response to a poll.
func (s *Store) PollResponse(ctx context.Context, pollID, id string) (PollResponse, error) {
	r, err := scanResponse(s.query(ctx).row(selectResponses+` WHERE r.id = ? AND r.poll_id = ?`, id, pollID))
	return r, found(err, "poll response", id)
}

// ResponseFilter says which responses are listed.
type ResponseFilter struct {
	Question int  // 0: all
	All      bool // superseded ones too
}

// PollResponses lists the responses to a poll, newest first.
func (s *Store) PollResponses(ctx context.Context, pollID string, f ResponseFilter, p Page) ([]PollResponse, error) {
	w := where("r.poll_id = ?", pollID)
	if f.Question != 0 {
		w.and("r.question = ?", f.Question)
	}
	if !f.All {
		w.and("NOT r.superseded")
	}
	w.page("r.id", p)
	rows, err := s.query(ctx).rows(selectResponses+w.text, w.args...)
	return collect(rows, err, scanResponse)
}
