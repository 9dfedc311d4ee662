// Package poll runs polls and quizzes: what may be asked, how it is answered,
// who counts, and what comes out (§3.6.9 of the protocol). It knows no rooms,
// rights or clocks: a [Poll] belongs to one goroutine, which passes the time.
package poll

import (
	"maps"
	"slices"
	"strings"
	"time"

	"amphi/server/protocol"
)

// Bounds of a poll.
const (
	MaxQuestions = 50
	MaxOptions   = 20
	MaxVoters    = 20_000
	MaxTitle     = 512       // bytes
	MaxText      = 2048      // bytes of a question or an answer
	MaxSeconds   = 24 * 3600 // of a poll or a question
	MaxWeight    = 1000
	maxID        = 64 // bytes
	maxRoles     = 32

	MaxAttachments     = 10   // of a question
	MaxAttachmentBytes = 2048 // of an attachment's URL
)

// How voters are told apart.
const (
	ByUserID   = "userid"
	ByPeerID   = "peerid"
	ByUserName = "username"
)

// Types of questions.
const (
	SingleChoice   = "single-choice"
	MultipleChoice = "multiple-choice"
	ShortAnswer    = "short-answer"
	LongAnswer     = "long-answer"
)

// Question is a question as it is kept and as the API has it: in one piece, where
// the client protocol has three.
type Question struct {
	protocol.PollQuestionText
	Answer  protocol.PollAnswer   `json:"answer"`
	Options []protocol.PollOption `json:"options"`
}

// Wire returns the question as clients have it.
func (q Question) Wire() protocol.PollQuestion {
	w := protocol.PollQuestion{Question: q.PollQuestionText, Options: q.Options, Answer: q.Answer}
	if q.Type == SingleChoice && len(q.Answer.Options) > 0 {
		w.Answer.Option = q.Answer.Options[0]
	}
	return w
}

// Poll is one poll.
type Poll struct {
	info      protocol.PollInfo
	questions []protocol.PollQuestion
	ballots   map[string]*ballot // by the voter's key
	order     []*ballot          // in the order of the first vote
	maxUsers  int
}

// ballot is what one voter has said so far.
type ballot struct {
	voter   protocol.Voter            // by Poll.Name
	answers map[int]protocol.PollVote // by question
}

// New makes a draft. The id must be set.
func New(info protocol.PollInfo, by string, now time.Time) (*Poll, error) {
	p := &Poll{ballots: map[string]*ballot{}}
	if err := p.Describe(info); err != nil {
		return nil, err
	}
	p.info.PollID, p.info.State = info.PollID, protocol.PollCreated
	p.info.CreatedBy, p.info.CreatedAt = by, now.UnixMilli()
	return p, nil
}

// Describe changes everything of a draft but its questions.
func (p *Poll) Describe(info protocol.PollInfo) error {
	if p.info.State != "" && p.info.State != protocol.PollCreated {
		return protocol.Errorf(protocol.CodeConflict, "the poll has been started")
	}
	if info.Type == "" {
		info.Type = "poll"
	}
	if info.Mode == "" {
		info.Mode = ByUserID
	}
	switch {
	case info.PollID == "" || len(info.PollID) > maxID:
		return protocol.Errorf(protocol.CodeBadRequest, "poll_id must have 1 to %d bytes", maxID)
	case len(info.Title) > MaxTitle:
		return protocol.Errorf(protocol.CodeTooLarge, "title longer than %d bytes", MaxTitle)
	case info.Type != "poll" && info.Type != "quiz":
		return protocol.Errorf(protocol.CodeBadRequest, "type must be poll or quiz")
	case info.Mode != ByUserID && info.Mode != ByPeerID && info.Mode != ByUserName:
		return protocol.Errorf(protocol.CodeBadRequest, "mode must be %s, %s or %s", ByUserID, ByPeerID, ByUserName)
	case info.Duration < 0 || info.Duration > MaxSeconds:
		return protocol.Errorf(protocol.CodeBadRequest, "duration must be 0 to %d seconds", MaxSeconds)
	case max(len(info.Vote), len(info.Responses)) > maxRoles:
		return protocol.Errorf(protocol.CodeTooLarge, "more than %d roles", maxRoles)
	}
	p.info.Title, p.info.Type, p.info.Mode, p.info.Duration = info.Title, info.Type, info.Mode, info.Duration
	p.info.Anonymous, p.info.Visibility, p.info.Locked = info.Anonymous, info.Visibility, info.Locked
	p.info.Vote, p.info.Responses = slices.Clone(info.Vote), slices.Clone(info.Responses)
	return nil
}

// Info describes the poll as it is now.
func (p *Poll) Info() protocol.PollInfo { return p.info }

// State is all of a poll, to be kept for a while in JSON.
type State struct {
	Info      protocol.PollInfo       `json:"info"`
	Questions []protocol.PollQuestion `json:"questions"`
	Ballots   []Ballot                `json:"ballots"` // in the order of the first vote
	MaxUsers  int                     `json:"max_users"`
}

// Ballot is what one voter has said so far. Of the answers to one question, the
// last counts.
type Ballot struct {
	Voter   protocol.Voter      `json:"voter"`
	Answers []protocol.PollVote `json:"answers"`
}

// State returns a copy of the poll.
func (p *Poll) State() State {
	s := State{Info: p.info, Questions: p.questions, MaxUsers: p.maxUsers}
	for _, b := range p.order {
		s.Ballots = append(s.Ballots, Ballot{b.voter, slices.Collect(maps.Values(b.answers))})
	}
	return s
}

// Restore makes the poll again.
func Restore(s State) *Poll {
	p := &Poll{info: s.Info, questions: s.Questions, ballots: map[string]*ballot{}, maxUsers: s.MaxUsers}
	for _, saved := range s.Ballots {
		b := &ballot{voter: saved.Voter, answers: map[int]protocol.PollVote{}}
		for _, v := range saved.Answers {
			b.answers[v.Question] = v
		}
		p.ballots[b.voter.Hash] = b
		p.order = append(p.order, b)
	}
	return p
}

// Quiz says whether answers are right or wrong.
func (p *Poll) Quiz() bool { return p.info.Type == "quiz" }

// SetQuestions replaces the questions of a draft.
func (p *Poll) SetQuestions(list []protocol.PollQuestion) error {
	switch {
	case p.info.State != protocol.PollCreated:
		return protocol.Errorf(protocol.CodeConflict, "the poll has been started")
	case len(list) > MaxQuestions:
		return protocol.Errorf(protocol.CodeTooLarge, "more than %d questions", MaxQuestions)
	}
	for i, q := range list {
		if err := checkQuestion(q, i+1); err != nil {
			return err
		}
	}
	p.questions = slices.Clone(list)
	p.info.QuestionsCount = len(list)
	return nil
}

func checkQuestion(q protocol.PollQuestion, index int) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.CodeBadRequest, "question %d: "+format, append([]any{index}, args...)...)
	}
	t := q.Question
	switch {
	case t.Index != index:
		return bad("has index %d", t.Index)
	case t.Text == "" || len(t.Text) > MaxText:
		return bad("text must have 1 to %d bytes", MaxText)
	case t.Weight < 0 || t.Weight > MaxWeight:
		return bad("weight must be 0 to %d", MaxWeight)
	case len(q.Answer.Text) > MaxText:
		return bad("answer longer than %d bytes", MaxText)
	case len(t.Format) > MaxTitle || len(t.Attachments) > MaxAttachments:
		return bad("more than %d attachments, or their format longer than %d bytes", MaxAttachments, MaxTitle)
	case t.AnswerMinLen < 0 || t.AnswerMaxLen < 0 || max(t.AnswerMinLen, t.AnswerMaxLen) > MaxText || t.AnswerMaxLen > 0 && t.AnswerMinLen > t.AnswerMaxLen:
		return bad("answer_min_len and answer_max_len must be 0 to %d, and in this order", MaxText)
	}
	for _, a := range t.Attachments {
		if len(a.Type) > MaxTitle || len(a.URL) > MaxAttachmentBytes {
			return bad("an attachment's URL or type is too long")
		}
	}
	if !HasOptions(t.Type) {
		if t.Type != ShortAnswer && t.Type != LongAnswer {
			return bad("unknown type %q", t.Type)
		}
		if len(q.Options) > 0 {
			return bad("a %s has no options", t.Type)
		}
		return nil
	}
	if len(q.Options) < 2 || len(q.Options) > MaxOptions {
		return bad("must have 2 to %d options", MaxOptions)
	}
	for i, o := range q.Options {
		if o.Index != i+1 || len(o.Text) > MaxText {
			return bad("option %d: index %d, or text longer than %d bytes", i+1, o.Index, MaxText)
		}
	}
	for _, o := range right(q) {
		if o < 1 || o > len(q.Options) {
			return bad("there is no option %d", o)
		}
	}
	return nil
}

// HasOptions says whether questions of that type are answered by a choice.
func HasOptions(kind string) bool { return kind == SingleChoice || kind == MultipleChoice }

// Questions returns some of the questions. answers says whether the reader may
// see the right ones.
func (p *Poll) Questions(from, count int, answers bool) protocol.PollQuestionPage {
	list, last := cut(p.questions, from, count, MaxQuestions)
	page := protocol.PollQuestionPage{PollID: p.info.PollID, Questions: slices.Clone(list), Last: last}
	if page.Questions == nil {
		page.Questions = []protocol.PollQuestion{}
	}
	if !answers {
		for i := range page.Questions {
			page.Questions[i].Answer = protocol.PollAnswer{Hidden: page.Questions[i].Answer.Hidden}
		}
	}
	return page
}

// cut returns count elements from one on, and whether none follow.
func cut[T any](list []T, from, count, limit int) ([]T, bool) {
	if count <= 0 || count > limit {
		count = limit
	}
	from = max(0, min(from, len(list)))
	end := min(from+count, len(list))
	return list[from:end], end == len(list)
}

// Start opens the poll.
func (p *Poll) Start(by string, now time.Time) error {
	switch {
	case p.info.State != protocol.PollCreated:
		return protocol.Errorf(protocol.CodeConflict, "the poll has been started")
	case len(p.questions) == 0:
		return protocol.Errorf(protocol.CodeBadRequest, "the poll has no questions")
	}
	p.info.State, p.info.StartedBy, p.info.StartedAt = protocol.PollStarted, by, now.UnixMilli()
	return nil
}

// Stop ends the poll. by is empty when its time is over.
func (p *Poll) Stop(by string, now time.Time) error {
	if p.info.State != protocol.PollStarted {
		return protocol.Errorf(protocol.CodeConflict, "the poll does not run")
	}
	p.info.State, p.info.StoppedBy, p.info.StoppedAt = protocol.PollStopped, by, now.UnixMilli()
	return nil
}

// Seen is told how many people could have voted; the largest number counts.
func (p *Poll) Seen(users int) { p.maxUsers = max(p.maxUsers, users) }

// right are the options that the answer names.
func right(q protocol.PollQuestion) []int {
	if q.Question.Type == SingleChoice {
		if q.Answer.Option > 0 {
			return []int{q.Answer.Option}
		}
		return q.Answer.Options
	}
	return q.Answer.Options
}

// correct says whether a vote is the right answer. Without one, nothing is.
func correct(q protocol.PollQuestion, v protocol.PollVote) bool {
	if v.Skipped {
		return false
	}
	if HasOptions(q.Question.Type) {
		wanted := slices.Sorted(slices.Values(right(q)))
		return len(wanted) > 0 && slices.Equal(chosen(q, v), wanted)
	}
	wanted, given := strings.TrimSpace(q.Answer.Text), strings.TrimSpace(v.Text)
	return wanted != "" && (given == wanted || !q.Answer.Case && strings.EqualFold(given, wanted))
}

// chosen are the options of a vote, sorted, each once.
func chosen(q protocol.PollQuestion, v protocol.PollVote) []int {
	if q.Question.Type == SingleChoice {
		return []int{v.Option}
	}
	return slices.Compact(slices.Sorted(slices.Values(v.Options)))
}
