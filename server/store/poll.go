package store

import (
	"context"
	"time"

	"amphi/server/poll"
)

// Poll is questions to the people in a room. It is run in sessions, see PollSession.
type Poll struct {
	ID          string
	WorkspaceID string
	Title       string
	Duration    int // seconds; 0: until somebody stops it, or the session ends
	Anonymous   bool
	Mode        string // who counts as one participant, see package poll
	Type        string // poll, or quiz: answers are right or wrong
	Start       string // auto: with the session, or manual
	Questions   []poll.Question
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

const pollColumns = `id, workspace_id, title, duration, anonymous, mode, type, start, questions_json, created_at, updated_at`

func scanPoll(row scanner) (p Poll, err error) {
	err = row.Scan(&p.ID, &p.WorkspaceID, &p.Title, &p.Duration, &p.Anonymous, &p.Mode, &p.Type, &p.Start, jsonText{&p.Questions},
		(*timestamp)(&p.CreatedAt), (*timestamp)(&p.UpdatedAt))
	return p, err
}

// Poll returns the workspace's poll of that id.
func (s *Store) Poll(ctx context.Context, workspaceID, id string) (Poll, error) {
	p, err := scanPoll(s.query(ctx).row(`SELECT `+pollColumns+` FROM polls WHERE id = ? AND workspace_id = ?`, id, workspaceID))
	return p, found(err, "poll", id)
}

// AddPoll records a new poll of a workspace.
func (s *Store) AddPoll(ctx context.Context, p Poll) (Poll, error) {
	now := trunc(time.Now())
	p.ID, p.CreatedAt, p.UpdatedAt = NewID(), now, now
	err := s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO polls (`+pollColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.ID, p.WorkspaceID, p.Title, p.Duration, p.Anonymous, p.Mode, p.Type, p.Start, jsonOf(p.Questions), millis(now), millis(now))
		return err
	})
	return p, err
}

// ChangePoll changes the workspace's poll of that id: change gets it as it is. An error of change is returned as it is,
// and nothing is saved.
func (s *Store) ChangePoll(ctx context.Context, workspaceID, id string, change func(*Poll) error) (Poll, error) {
	var p Poll
	err := s.update(ctx, func(t *tx) error {
		var err error
		p, err = scanPoll(t.row(`SELECT `+pollColumns+` FROM polls WHERE id = ? AND workspace_id = ?`+t.dialect.lock("polls"), id, workspaceID))
		if err != nil {
			return found(err, "poll", id)
		}
		if err := change(&p); err != nil {
			return err
		}
		p.UpdatedAt = trunc(time.Now())
		_, err = t.exec(`UPDATE polls SET title = ?, duration = ?, anonymous = ?, mode = ?, type = ?, start = ?, questions_json = ?, updated_at = ? WHERE id = ?`,
			p.Title, p.Duration, p.Anonymous, p.Mode, p.Type, p.Start, jsonOf(p.Questions), millis(p.UpdatedAt), id)
		return err
	})
	return p, err
}
