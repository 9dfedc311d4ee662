package client

import (
	"context"
	"slices"

	"amphi/server/protocol"
)

// pollPage is how many questions, responses or polls are asked for at once:
// the server has no more questions in a poll.
const pollPage = 50

// Poll is a poll or quiz of the session, in the SDK's shape.
type Poll struct {
	ID             string         `json:"id"`
	Title          string         `json:"title"`
	State          string         `json:"state,omitempty"`
	Type           string         `json:"type"`
	Duration       int            `json:"duration,omitempty"` // seconds
	Anonymous      bool           `json:"anonymous"`
	Visibility     bool           `json:"visibility"`
	Locked         bool           `json:"locked"`
	Mode           string         `json:"mode,omitempty"` // "customerID", "peerID" or "userName"
	CreatedBy      string         `json:"createdBy,omitempty"`
	StartedBy      string         `json:"startedBy,omitempty"`
	StoppedBy      string         `json:"stoppedBy,omitempty"`
	CreatedAt      int64          `json:"createdAt,omitempty"`
	StartedAt      int64          `json:"startedAt,omitempty"`
	StoppedAt      int64          `json:"stoppedAt,omitempty"`
	Questions      []PollQuestion `json:"questions"`
	VotingRoles    []string       `json:"rolesThatCanVote"`
	ResponsesRoles []string       `json:"rolesThatCanViewResponses"`
	Result         *PollResult    `json:"result,omitempty"`
}

// PollQuestion is a question with what has been answered.
type PollQuestion struct {
	protocol.PollQuestionText
	Options   []PollOption         `json:"options,omitempty"`
	Answer    *protocol.PollAnswer `json:"answer,omitempty"`
	Responses []PollResponse       `json:"responses,omitempty"`
	Result    *QuestionResult      `json:"result,omitempty"`
}

// PollOption is something that can be chosen. IsCorrectAnswer is read of new
// questions only.
type PollOption struct {
	Index           int    `json:"index"`
	Text            string `json:"text"`
	Weight          int    `json:"weight,omitempty"`
	VoteCount       int    `json:"voteCount"`
	IsCorrectAnswer bool   `json:"isCorrectAnswer,omitempty"`
}

// PollResponse is somebody's answer to a question.
type PollResponse struct {
	ID            string `json:"id,omitempty"`
	QuestionIndex int    `json:"questionIndex"`
	Type          string `json:"type,omitempty"`
	Skipped       bool   `json:"skipped,omitempty"`
	Option        int    `json:"option,omitempty"`
	Options       []int  `json:"options,omitempty"`
	Text          string `json:"text,omitempty"`
	Duration      int    `json:"duration,omitempty"` // milliseconds
	Final         bool   `json:"responseFinal,omitempty"`
	Peer          *Voter `json:"peer,omitempty"`
}

// Voter is who answered; in an anonymous poll no more than UserHash.
type Voter struct {
	UserHash string `json:"userHash,omitempty"`
	PeerID   string `json:"peerid,omitempty"`
	UserID   string `json:"userid,omitempty"`
	UserName string `json:"username,omitempty"`
}

// PollResult counts who took part.
type PollResult struct {
	TotalUsers     int `json:"totalUsers"`
	MaxUsers       int `json:"maxUsers"`
	TotalResponses int `json:"totalResponses"`
}

// QuestionResult counts the answers to a question.
type QuestionResult struct {
	Correct int `json:"correctResponses"`
	Skipped int `json:"skippedCount"`
	Total   int `json:"totalResponses"`
}

// pollModes are the names of the SDK for those of the protocol.
var pollModes = [][2]string{{"customerID", "userid"}, {"peerID", "peerid"}, {"userName", "username"}}

func translate(mode string, from int) string {
	for _, names := range pollModes {
		if names[from] == mode {
			return names[1-from]
		}
	}
	return ""
}

func pollOf(p protocol.PollInfo) Poll {
	return Poll{
		ID: p.PollID, Title: p.Title, State: p.State, Type: p.Type, Duration: p.Duration, Anonymous: p.Anonymous,
		Visibility: p.Visibility, Locked: p.Locked, Mode: translate(p.Mode, 1), CreatedBy: p.CreatedBy, StartedBy: p.StartedBy,
		StoppedBy: p.StoppedBy, CreatedAt: p.CreatedAt, StartedAt: p.StartedAt, StoppedAt: p.StoppedAt,
		Questions: []PollQuestion{}, VotingRoles: append([]string{}, p.Vote...), ResponsesRoles: append([]string{}, p.Responses...),
	}
}

// setPoll puts a poll into the state, and tells of it.
func (t *tx) setPoll(p Poll, kind NotificationType) {
	t.Polls[p.ID] = p
	t.markEntry(fieldPolls, p.ID)
	t.notify(info(kind, p))
}

// changePoll changes a poll that is known. fn gets a copy whose questions and
// options are its own.
func (t *tx) changePoll(id string, kind NotificationType, fn func(*Poll)) {
	p, known := t.Polls[id]
	if !known {
		return
	}
	p.Questions = slices.Clone(p.Questions)
	for i := range p.Questions {
		p.Questions[i].Options = slices.Clone(p.Questions[i].Options)
	}
	fn(&p)
	t.setPoll(p, kind)
}

func (p *Poll) count(r protocol.PollResult) {
	p.Result = &PollResult{TotalUsers: r.UserCount, MaxUsers: r.MaxUser, TotalResponses: r.TotalResponses}
	for _, c := range r.Questions {
		i := c.Question - 1
		if i < 0 || i >= len(p.Questions) {
			continue
		}
		q := &p.Questions[i]
		q.Result = &QuestionResult{Correct: c.Correct, Skipped: c.Skipped, Total: c.Total}
		for k := range min(len(c.Options), len(q.Options)) {
			q.Options[k].VoteCount = c.Options[k]
		}
	}
}

// respond puts responses to their questions: in place of those there, or beside.
func (p *Poll) respond(list []protocol.PollResponse, replace bool) {
	if replace {
		for i := range p.Questions {
			p.Questions[i].Responses = nil
		}
	}
	for _, r := range list {
		i := r.Response.Question - 1
		if i < 0 || i >= len(p.Questions) {
			continue
		}
		q := &p.Questions[i]
		q.Responses = append(slices.Clone(q.Responses), PollResponse{
			ID: r.Response.ID, QuestionIndex: r.Response.Question, Type: r.Response.Type, Skipped: r.Response.Skipped,
			Option: r.Response.Option, Options: r.Response.Options, Text: r.Response.Text, Duration: r.Response.Duration, Final: r.Final,
			Peer: &Voter{UserHash: r.Peer.Hash, PeerID: r.Peer.PeerID, UserID: r.Peer.UserID, UserName: r.Peer.UserName},
		})
	}
}

// whole fetches what a description of a poll leaves out: its questions, and the
// local peer's own answers.
func (s *session) whole(ctx context.Context, info protocol.PollInfo) (Poll, error) {
	p := pollOf(info)
	var page protocol.PollQuestionPage
	if err := s.link.request(ctx, protocol.MethodPollQuestionsGet, protocol.PollRange{PollID: p.ID, Count: pollPage}, &page); err != nil {
		return p, err
	}
	for _, q := range page.Questions {
		question := PollQuestion{PollQuestionText: q.Question, Answer: &q.Answer}
		for _, o := range q.Options {
			question.Options = append(question.Options, PollOption{Index: o.Index, Text: o.Text, Weight: o.Weight})
		}
		p.Questions = append(p.Questions, question)
	}
	if info.State == protocol.PollCreated {
		return p, nil
	}
	var own protocol.PollResponses
	if err := s.link.request(ctx, protocol.MethodPollResponses, protocol.PollRange{PollID: p.ID, Count: pollPage, Self: true}, &own); err != nil {
		return p, err
	}
	p.respond(own.Responses, true)
	return p, nil
}

// pollsStarted and pollsStopped ask for what the notification leaves out,
// outside of the reader's goroutine.
func (s *session) pollsStarted(e protocol.PollsEvent) {
	spawn(func() {
		for _, info := range e.Polls {
			p, err := s.whole(s.ctx, info)
			if err != nil {
				s.c.log.Warn("poll could not be read", "poll", info.PollID, "err", err)
				continue
			}
			s.mu.Lock()
			if over, ok := s.pollsOver[p.ID]; ok { // it was stopped while it was read
				p.State, p.StoppedBy, p.StoppedAt = over.State, over.StoppedBy, over.StoppedAt
			}
			s.mu.Unlock()
			s.c.store.update(func(t *tx) { t.setPoll(p, NotifyPollStarted) })
		}
	})
}

func (s *session) pollsStopped(e protocol.PollsEvent) {
	s.mu.Lock()
	for _, info := range e.Polls {
		s.pollsOver[info.PollID] = info
	}
	s.mu.Unlock()
	spawn(func() {
		for _, info := range e.Polls {
			var result protocol.PollResult
			err := s.link.request(s.ctx, protocol.MethodPollResult, protocol.PollRef{PollID: info.PollID}, &result)
			if err != nil {
				s.c.log.Warn("result of a poll could not be read", "poll", info.PollID, "err", err)
			}
			s.c.store.update(func(t *tx) {
				t.changePoll(info.PollID, NotifyPollStopped, func(p *Poll) {
					p.State, p.StoppedBy, p.StoppedAt = protocol.PollStopped, info.StoppedBy, info.StoppedAt
					if err == nil {
						p.count(result)
					}
				})
			})
		}
	})
}

// CreatePoll makes a draft, with its questions if there are some.
func (c *Client) CreatePoll(ctx context.Context, p Poll) (Poll, error) {
	s, err := c.inRoom()
	if err != nil {
		return p, err
	}
	info := protocol.PollInfo{
		PollID: p.ID, Title: p.Title, Type: p.Type, Duration: p.Duration, Anonymous: p.Anonymous, Visibility: p.Visibility,
		Locked: p.Locked, Mode: translate(p.Mode, 0), Vote: p.VotingRoles, Responses: p.ResponsesRoles,
	}
	var made protocol.PollRef
	if err := s.link.request(ctx, protocol.MethodPollSet, info, &made); err != nil {
		return p, asError(err, "NONE")
	}
	info.PollID, info.State, info.CreatedBy = made.PollID, protocol.PollCreated, s.peerID
	if len(p.Questions) > 0 {
		if err := c.SetPollQuestions(ctx, made.PollID, p.Questions); err != nil {
			return p, err
		}
	}
	if p, err = s.whole(ctx, info); err != nil {
		return p, asError(err, "NONE")
	}
	c.store.update(func(t *tx) { t.setPoll(p, NotifyPollCreated) })
	return p, nil
}

// SetPollQuestions replaces the questions of a draft.
func (c *Client) SetPollQuestions(ctx context.Context, pollID string, questions []PollQuestion) error {
	set := protocol.PollQuestions{PollID: pollID}
	for i, q := range questions {
		set.Questions = append(set.Questions, q.wire(i+1))
	}
	return c.request(ctx, protocol.MethodPollQuestionsSet, set)
}

func (q PollQuestion) wire(index int) protocol.PollQuestion {
	w := protocol.PollQuestion{Question: q.PollQuestionText}
	w.Question.Index = index
	if q.Answer != nil {
		w.Answer = *q.Answer
	}
	for i, o := range q.Options {
		w.Options = append(w.Options, protocol.PollOption{Index: i + 1, Text: o.Text, Weight: o.Weight})
		switch {
		case !o.IsCorrectAnswer:
		case q.Type == "single-choice":
			w.Answer.Option = i + 1
		default:
			w.Answer.Options = append(w.Answer.Options, i+1)
		}
	}
	return w
}

// StartPoll and StopPoll open and close a poll; all who read polls hear of it.
func (c *Client) StartPoll(ctx context.Context, pollID string) error {
	return c.request(ctx, protocol.MethodPollStart, protocol.PollRef{PollID: pollID})
}

// StopPoll is the opposite of StartPoll.
func (c *Client) StopPoll(ctx context.Context, pollID string) error {
	return c.request(ctx, protocol.MethodPollStop, protocol.PollRef{PollID: pollID})
}

// Vote answers questions of a poll.
func (c *Client) Vote(ctx context.Context, pollID string, answers []PollResponse) error {
	var poll Poll
	c.store.read(func(st *State) { poll = st.Polls[pollID] })
	votes := protocol.PollVotes{PollID: pollID}
	for _, a := range answers {
		v := protocol.PollVote{
			Question: a.QuestionIndex, Duration: a.Duration, Skipped: a.Skipped, Option: a.Option, Options: a.Options, Text: a.Text,
		}
		if i := a.QuestionIndex - 1; i >= 0 && i < len(poll.Questions) {
			v.Type = poll.Questions[i].Type
		}
		votes.Responses = append(votes.Responses, v)
	}
	if err := c.request(ctx, protocol.MethodPollVote, votes); err != nil {
		return err
	}
	return c.FetchResponses(ctx, pollID, true)
}

// FetchResponses puts responses into the state: one's own, or all.
func (c *Client) FetchResponses(ctx context.Context, pollID string, self bool) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	var all []protocol.PollResponse
	for {
		var page protocol.PollResponses
		err := s.link.request(ctx, protocol.MethodPollResponses, protocol.PollRange{PollID: pollID, Index: len(all), Count: pollPage, Self: self}, &page)
		if err != nil {
			return asError(err, "NONE")
		}
		all = append(all, page.Responses...)
		if page.Last || len(page.Responses) == 0 {
			break
		}
	}
	c.store.update(func(t *tx) {
		t.changePoll(pollID, NotifyPollVotes, func(p *Poll) { p.respond(all, true) })
	})
	return nil
}

// FetchPolls puts all polls that the role may see into the state, and returns them.
func (c *Client) FetchPolls(ctx context.Context) ([]Poll, error) {
	s, err := c.inRoom()
	if err != nil {
		return nil, err
	}
	var list protocol.PollList
	if err := s.link.request(ctx, protocol.MethodPollList, protocol.ListPolls{Count: pollPage}, &list); err != nil {
		return nil, asError(err, "NONE")
	}
	polls := []Poll{}
	for _, info := range list.Polls {
		p, err := s.whole(ctx, info)
		if err != nil {
			return nil, asError(err, "NONE")
		}
		polls = append(polls, p)
	}
	c.store.update(func(t *tx) {
		for _, p := range polls {
			p.Result = t.Polls[p.ID].Result
			t.setPoll(p, NotifyPollsList)
		}
	})
	return polls, nil
}

// Leaderboard ranks the voters of a quiz that is over.
func (c *Client) Leaderboard(ctx context.Context, pollID string, offset, count int) (protocol.Leaderboard, error) {
	var board protocol.Leaderboard
	s, err := c.inRoom()
	if err != nil {
		return board, err
	}
	ask := protocol.GetLeaderboard{PollID: pollID, Offset: offset, Count: count}
	if err := s.link.request(ctx, protocol.MethodPollLeaderboard, ask, &board); err != nil {
		return board, asError(err, "NONE")
	}
	return board, nil
}
