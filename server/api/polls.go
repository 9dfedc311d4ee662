package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"amphi/server/poll"
	"amphi/server/protocol"
	"amphi/server/store"
)

// defaultAnswerChars is how long a written answer may be if the question does not say.
const defaultAnswerChars = 1024

var (
	errNoPoll     = refuse(http.StatusNotFound, "poll not found")
	errNoQuestion = refuse(http.StatusNotFound, "question not found")
	errNoOption   = refuse(http.StatusNotFound, "option not found")
)

func (a *API) pollEndpoints() []endpoint {
	return described("Polls",
		managed("POST", "/v2/polls", "Make a poll", a.createPoll),
		managed("GET", "/v2/polls/{id}", "Get a poll", a.getPoll),
		managed("POST", "/v2/polls/{id}", "Rewrite a poll; without a body it is only read", a.updatePoll),
		managed("POST", "/v2/polls/{id}/questions/{n}", "Rewrite a question, or add the next one", a.putQuestion),
		managed("DELETE", "/v2/polls/{id}/questions/{n}", "Delete a question; those after it move up", a.deleteQuestion),
		managed("POST", "/v2/polls/{id}/questions/{n}/options/{m}", "Rewrite an option, or add the next one", a.putOption),
		managed("DELETE", "/v2/polls/{id}/questions/{n}/options/{m}", "Delete an option; those after it move up", a.deleteOption),
		managed("GET", "/v2/polls/{id}/sessions", "List the runs of a poll, the newest first", a.listPollSessions),
		managed("GET", "/v2/polls/{id}/sessions/{sid}", "Get a run of a poll", a.getPollSession),
		managed("GET", "/v2/polls/{id}/responses", "List the responses to a poll, the newest first", a.listResponses),
		managed("GET", "/v2/polls/{id}/responses/{rid}", "Get a response", a.getResponse),
		managed("GET", "/v2/polls/{id}/results", "List the scores of the responses that count, the newest first", a.listResults),
		managed("GET", "/v2/polls/{id}/results/{rid}", "Get the score of a response", a.getResult),
	)
}

// pollObject is a poll as it is answered.
type pollObject struct {
	ID        string          `json:"id"`
	Title     string          `json:"title"`
	Duration  int             `json:"duration"` // seconds; 0: until it is stopped, or the session ends
	Anonymous bool            `json:"anonymous"`
	Mode      string          `json:"mode"`
	Type      string          `json:"type"`
	Start     string          `json:"start"`
	Questions []poll.Question `json:"questions"`
}

func showPoll(p store.Poll) pollObject {
	o := pollObject{ID: p.ID, Title: p.Title, Duration: p.Duration, Anonymous: p.Anonymous, Mode: p.Mode, Type: p.Type, Start: p.Start,
		Questions: make([]poll.Question, len(p.Questions))}
	for i, q := range p.Questions {
		o.Questions[i] = showQuestion(q)
	}
	return o
}

// showQuestion makes lists out of what is not there.
func showQuestion(q poll.Question) poll.Question {
	q.Attachments = append([]protocol.PollAttachment{}, q.Attachments...)
	q.Answer.Options = append([]int{}, q.Answer.Options...)
	q.Options = append([]protocol.PollOption{}, q.Options...)
	return q
}

// pollInput is what a poll is made of. What is absent has its default.
type pollInput struct {
	Title     *string         `json:"title"`
	Duration  *int            `json:"duration"`
	Anonymous *bool           `json:"anonymous"`
	Mode      *string         `json:"mode"`
	Type      *string         `json:"type"`
	Start     *string         `json:"start"`
	Questions []questionInput `json:"questions"`
}

// empty says that nothing was given.
func (in *pollInput) empty() bool {
	return in.Title == nil && in.Duration == nil && in.Anonymous == nil && in.Mode == nil && in.Type == nil && in.Start == nil && in.Questions == nil
}

// poll returns the poll that was described, without its ids.
func (in *pollInput) poll() (store.Poll, error) {
	p := store.Poll{Mode: poll.ByUserID, Type: "poll", Start: "auto"}
	set(&p.Title, in.Title)
	set(&p.Duration, in.Duration)
	set(&p.Anonymous, in.Anonymous)
	set(&p.Mode, in.Mode)
	set(&p.Type, in.Type)
	set(&p.Start, in.Start)
	for i := range in.Questions {
		p.Questions = append(p.Questions, in.Questions[i].question())
	}
	return p, checkPoll(&p)
}

// checkPoll numbers questions and options, and says what is wrong with a poll.
func checkPoll(p *store.Poll) error {
	switch {
	case len(p.Title) > poll.MaxTitle:
		return badParam("body", "title longer than %d bytes", poll.MaxTitle)
	case p.Duration < 0 || p.Duration > poll.MaxSeconds:
		return badParam("body", "duration must be 0 to %d seconds", poll.MaxSeconds)
	case !slices.Contains([]string{poll.ByUserID, poll.ByPeerID, poll.ByUserName}, p.Mode):
		return badParam("body", "mode must be userid, peerid or username")
	case p.Type != "poll" && p.Type != "quiz":
		return badParam("body", "type must be poll or quiz")
	case p.Start != "auto" && p.Start != "manual":
		return badParam("body", "start must be auto or manual")
	case len(p.Questions) > poll.MaxQuestions:
		return badParam("body", "more than %d questions", poll.MaxQuestions)
	}
	for i := range p.Questions {
		p.Questions[i].Index = i + 1
		if err := checkQuestion(&p.Questions[i]); err != nil {
			return err
		}
	}
	return nil
}

var questionTypes = []string{poll.SingleChoice, poll.MultipleChoice, poll.ShortAnswer, poll.LongAnswer}

func checkQuestion(q *poll.Question) error {
	bad := func(format string, args ...any) error {
		return badParam("body", "question "+strconv.Itoa(q.Index)+": "+format, args...)
	}
	switch {
	case !slices.Contains(questionTypes, q.Type):
		return bad("type must be one of %v", questionTypes)
	case q.Text == "" || len(q.Text) > poll.MaxText:
		return bad("text must be 1 to %d bytes", poll.MaxText)
	case len(q.Format) > poll.MaxTitle || len(q.Answer.Text) > poll.MaxText:
		return bad("a text is too long")
	case q.Duration < 0 || q.Duration > poll.MaxSeconds:
		return bad("duration must be 0 to %d seconds", poll.MaxSeconds)
	case q.Weight < 0 || q.Weight > poll.MaxWeight:
		return bad("weight must be 0 to %d", poll.MaxWeight)
	case q.AnswerMinLen < 0 || q.AnswerMinLen > q.AnswerMaxLen || q.AnswerMaxLen > poll.MaxText:
		return bad("answer_min_len and answer_max_len must be 0 to %d, and in this order", poll.MaxText)
	case len(q.Attachments) > poll.MaxAttachments:
		return bad("more than %d attachments", poll.MaxAttachments)
	case len(q.Options) > poll.MaxOptions:
		return bad("more than %d options", poll.MaxOptions)
	case len(q.Options) > 0 && !poll.HasOptions(q.Type):
		return bad("a question of type %s has no options", q.Type)
	case q.Type == poll.SingleChoice && len(q.Answer.Options) > 1:
		return bad("answer.options: there is one right answer")
	}
	for i := range q.Options {
		o := &q.Options[i]
		o.Index = i + 1
		if o.Text == "" || len(o.Text) > poll.MaxText {
			return bad("option %d: text must be 1 to %d bytes", o.Index, poll.MaxText)
		}
		if o.Weight < 0 || o.Weight > poll.MaxWeight {
			return bad("option %d: weight must be 0 to %d", o.Index, poll.MaxWeight)
		}
	}
	for _, i := range q.Answer.Options {
		if i < 1 || i > len(q.Options) {
			return bad("answer.options: there is no option %d", i)
		}
	}
	for _, file := range q.Attachments {
		u, err := url.Parse(file.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(file.URL) > poll.MaxAttachmentBytes || len(file.Type) > maxNameBytes {
			return bad("an attachment must have a type and an http or https URL")
		}
	}
	return nil
}

// questionInput is what a question is made of.
type questionInput struct {
	Text         string                    `json:"text"`
	Format       *string                   `json:"format"`
	Attachments  []protocol.PollAttachment `json:"attachment"`
	Skippable    *bool                     `json:"skippable"`
	Duration     int                       `json:"duration"`
	Once         bool                      `json:"once"`
	Weight       *int                      `json:"weight"`
	AnswerMinLen *int                      `json:"answer_min_len"`
	AnswerMaxLen *int                      `json:"answer_max_len"`
	Type         string                    `json:"type"`
	Answer       protocol.PollAnswer       `json:"answer"`
	Options      []optionInput             `json:"options"`
}

func (in *questionInput) question() poll.Question {
	q := poll.Question{Answer: in.Answer, PollQuestionText: protocol.PollQuestionText{
		Text: in.Text, Format: "text", Attachments: in.Attachments, Skippable: true, Duration: in.Duration, Once: in.Once, Weight: 1,
		AnswerMinLen: 1, AnswerMaxLen: defaultAnswerChars, Type: in.Type}}
	set(&q.Format, in.Format)
	set(&q.Skippable, in.Skippable)
	set(&q.Weight, in.Weight)
	set(&q.AnswerMinLen, in.AnswerMinLen)
	set(&q.AnswerMaxLen, in.AnswerMaxLen)
	for i := range in.Options {
		q.Options = append(q.Options, in.Options[i].option())
	}
	return q
}

// optionInput is what an option is made of.
type optionInput struct {
	Text   string `json:"text"`
	Weight *int   `json:"weight"`
}

func (in *optionInput) option() protocol.PollOption {
	o := protocol.PollOption{Text: in.Text, Weight: 1}
	set(&o.Weight, in.Weight)
	return o
}

func (a *API) createPoll(r *http.Request, workspaceID string, in pollInput) (pollObject, error) {
	p, err := in.poll()
	if err != nil {
		return pollObject{}, err
	}
	p.WorkspaceID = workspaceID
	p, err = a.Store.AddPoll(r.Context(), p)
	return showPoll(p), err
}

// poll returns the poll of the path.
func (a *API) poll(r *http.Request, workspaceID string) (store.Poll, error) {
	p, err := a.Store.Poll(r.Context(), workspaceID, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return p, errNoPoll
	}
	return p, err
}

func (a *API) getPoll(r *http.Request, workspaceID string, _ nothing) (pollObject, error) {
	p, err := a.poll(r, workspaceID)
	return showPoll(p), err
}

// updatePoll rewrites a poll. The documented way to read one is a POST without a body, which must not empty it.
func (a *API) updatePoll(r *http.Request, workspaceID string, in pollInput) (pollObject, error) {
	if in.empty() {
		return a.getPoll(r, workspaceID, nothing{})
	}
	next, err := in.poll()
	if err != nil {
		return pollObject{}, err
	}
	p, err := a.changePoll(r, workspaceID, func(p *store.Poll) error {
		next.ID, next.WorkspaceID, next.CreatedAt = p.ID, p.WorkspaceID, p.CreatedAt
		*p = next
		return nil
	})
	return showPoll(p), err
}

// changePoll changes the poll of the path.
func (a *API) changePoll(r *http.Request, workspaceID string, change func(p *store.Poll) error) (store.Poll, error) {
	p, err := a.Store.ChangePoll(r.Context(), workspaceID, r.PathValue("id"), func(p *store.Poll) error {
		if err := change(p); err != nil {
			return err
		}
		return checkPoll(p)
	})
	if errors.Is(err, store.ErrNotFound) {
		return p, errNoPoll
	}
	return p, err
}

// place reads a number of the path: the place, from 0, of one of n things, or of the one after the last if add is set.
func place(r *http.Request, name string, n int, add bool, missing error) (int, error) {
	i, err := strconv.Atoi(r.PathValue(name))
	if err != nil || i < 1 || i > n+1 || i == n+1 && !add {
		return 0, missing
	}
	return i - 1, nil
}

func (a *API) putQuestion(r *http.Request, workspaceID string, in questionInput) (poll.Question, error) {
	var at int
	p, err := a.changePoll(r, workspaceID, func(p *store.Poll) (err error) {
		if at, err = place(r, "n", len(p.Questions), true, errNoQuestion); err != nil {
			return err
		}
		p.Questions = append(p.Questions[:at:at], append([]poll.Question{in.question()}, p.Questions[min(at+1, len(p.Questions)):]...)...)
		return nil
	})
	if err != nil {
		return poll.Question{}, err
	}
	return showQuestion(p.Questions[at]), nil
}

func (a *API) deleteQuestion(r *http.Request, workspaceID string, _ nothing) (nothing, error) {
	_, err := a.changePoll(r, workspaceID, func(p *store.Poll) error {
		at, err := place(r, "n", len(p.Questions), false, errNoQuestion)
		if err == nil {
			p.Questions = slices.Delete(p.Questions, at, at+1)
		}
		return err
	})
	return nothing{}, err
}

// changeOptions changes the options of the question of the path.
func (a *API) changeOptions(r *http.Request, workspaceID string, change func(q *poll.Question) error) (poll.Question, error) {
	var at int
	p, err := a.changePoll(r, workspaceID, func(p *store.Poll) (err error) {
		if at, err = place(r, "n", len(p.Questions), false, errNoQuestion); err != nil {
			return err
		}
		return change(&p.Questions[at])
	})
	if err != nil {
		return poll.Question{}, err
	}
	return p.Questions[at], nil
}

func (a *API) putOption(r *http.Request, workspaceID string, in optionInput) (protocol.PollOption, error) {
	var at int
	q, err := a.changeOptions(r, workspaceID, func(q *poll.Question) (err error) {
		if at, err = place(r, "m", len(q.Options), true, errNoOption); err != nil {
			return err
		}
		q.Options = append(q.Options[:at:at], append([]protocol.PollOption{in.option()}, q.Options[min(at+1, len(q.Options)):]...)...)
		return nil
	})
	if err != nil {
		return protocol.PollOption{}, err
	}
	return q.Options[at], nil
}

func (a *API) deleteOption(r *http.Request, workspaceID string, _ nothing) (nothing, error) {
	_, err := a.changeOptions(r, workspaceID, func(q *poll.Question) error {
		at, err := place(r, "m", len(q.Options), false, errNoOption)
		if err != nil {
			return err
		}
		q.Options = slices.Delete(q.Options, at, at+1)
		// The right answers move up with their options.
		var right []int
		for _, i := range q.Answer.Options {
			switch {
			case i <= at:
				right = append(right, i)
			case i > at+1:
				right = append(right, i-1)
			}
		}
		q.Answer.Options = right
		return nil
	})
	return nothing{}, err
}
