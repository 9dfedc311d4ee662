package store

import (
	"context"
	"time"
)

// PollMode says who counts as one participant of a poll.
type PollMode string

// The modes of polls.
const (
	ByUserID   PollMode = "userid"
	ByPeerID   PollMode = "peerid"
	ByUserName PollMode = "username"
)

// Poll is questions to the people in a room. It is run in sessions, see PollSession.
type Poll struct {
	ID          string
	WorkspaceID string
	Title       string
	Duration    int // seconds; 0: until somebody stops it, or the session ends
	Anonymous   bool
	Mode        PollMode
	Type        string // poll, or quiz: answers are right or wrong
	Start       string // auto: with the session, or manual
	Questions   []Question
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// QuestionType says how a question is answered.
type QuestionType string

// The types of questions.
const (
	SingleChoice   QuestionType = "single-choice"
	MultipleChoice QuestionType = "multiple-choice"
	ShortAnswer    QuestionType = "short-answer"
	LongAnswer     QuestionType = "long-answer"
)

// HasOptions says whether an answer is a choice.
func (t QuestionType) HasOptions() bool { return t == SingleChoice || t == MultipleChoice }

// Question is one of a poll. Its JSON form is that of the API too.
type Question struct {
	Index        int          `json:"index"` // from 1
	Text         string       `json:"text"`
	Format       string       `json:"format"` // of the texts
	Attachments  []Attachment `json:"attachment"`
	Skippable    bool         `json:"skippable"`
	Duration     int          `json:"duration"` // seconds, 0: that of the poll
	Once         bool         `json:"once"`     // an answer is final
	Weight       int          `json:"weight"`   // points for the right answer
	AnswerMinLen int          `json:"answer_min_len"`
	AnswerMaxLen int          `json:"answer_max_len"`
	Type         QuestionType `json:"type"`
	Answer       Answer       `json:"answer"`
	Options      []Option     `json:"options"`
}

// Attachment is a file that is shown with a question.
type Attachment struct {
	Type string `json:"type"` // MIME
	URL  string `json:"url"`
}

// Option is something that can be chosen.
type Option struct {
	Index  int    `json:"index"` // from 1
	Text   string `json:"text"`
	Weight int    `json:"weight"`
}

// Answer is the right one, in a quiz.
type Answer struct {
	Hidden  bool   `json:"hidden"`  // from participants
	Options []int  `json:"options"` // indexes
	Text    string `json:"text"`
	Case    bool   `json:"case"` // upper and lower case differ
	Trim    bool   `json:"trim"` // spaces around do not count
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
			p.ID, p.WorkspaceID, p.Title, p.Duration, p.Anonymous, string(p.Mode), p.Type, p.Start, jsonOf(p.Questions), millis(now), millis(now))
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
			p.Title, p.Duration, p.Anonymous, string(p.Mode), p.Type, p.Start, jsonOf(p.Questions), millis(p.UpdatedAt), id)
		return err
	})
	return p, err
}
