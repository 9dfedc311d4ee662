package poll

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/server/protocol"
)

var began = time.UnixMilli(1_700_000_000_000)

func code(err error) int {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func question(index int, kind string, options int, answer protocol.PollAnswer) protocol.PollQuestion {
	q := protocol.PollQuestion{
		Question: protocol.PollQuestionText{Index: index, Type: kind, Text: "?", Weight: 10, Skippable: index > 1},
		Answer:   answer,
	}
	for i := range options {
		q.Options = append(q.Options, protocol.PollOption{Index: i + 1, Text: fmt.Sprint(i)})
	}
	return q
}

// quiz is a running one: two of three, several of four, a word.
func quiz(t *testing.T, change func(*protocol.PollInfo)) *Poll {
	t.Helper()
	info := protocol.PollInfo{PollID: "p1", Title: "Lunch", Type: "quiz"}
	if change != nil {
		change(&info)
	}
	p, err := New(info, "ann", began)
	if err != nil {
		t.Fatal(err)
	}
	once := question(3, ShortAnswer, 0, protocol.PollAnswer{Text: " Paris "})
	once.Question.Once = true
	err = p.SetQuestions([]protocol.PollQuestion{
		question(1, SingleChoice, 3, protocol.PollAnswer{Option: 2}),
		question(2, MultipleChoice, 4, protocol.PollAnswer{Options: []int{4, 1}}),
		once,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start("ann", began); err != nil {
		t.Fatal(err)
	}
	return p
}

func voter(name string) protocol.Voter {
	return protocol.Voter{PeerID: "peer of " + name, UserID: "user " + name, UserName: name}
}

func vote(t *testing.T, p *Poll, name string, votes ...protocol.PollVote) []protocol.PollVerdict {
	t.Helper()
	cast, err := p.Vote(voter(name), votes, began.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []protocol.PollVerdict
	for _, c := range cast {
		verdicts = append(verdicts, c.Verdict)
	}
	return verdicts
}

func TestQuiz(t *testing.T) {
	p := quiz(t, nil)
	p.Seen(5)
	p.Seen(4)
	vote(t, p, "bob", protocol.PollVote{Question: 1, Option: 2, Duration: 4000}, protocol.PollVote{Question: 2, Options: []int{1, 4, 4}, Duration: 1000})
	vote(t, p, "cat", protocol.PollVote{Question: 1, Option: 2, Duration: 1000}, protocol.PollVote{Question: 2, Skipped: true})
	vote(t, p, "dan", protocol.PollVote{Question: 1, Option: 1, Duration: 99_999_999})
	vote(t, p, "dan", protocol.PollVote{Question: 1, Option: 3, Duration: 99_999_999}) // thought again
	verdicts := vote(t, p, "bob", protocol.PollVote{Question: 3, Text: "paris", Duration: 500})
	if !verdicts[0].Correct {
		t.Error("the right word is wrong")
	}
	if v := vote(t, p, "cat", protocol.PollVote{Question: 1, Option: 2}); v[0].Correct {
		t.Error("told what is right while the answer may be changed")
	}
	want := protocol.PollResult{PollID: "p1", UserCount: 3, MaxUser: 5, TotalResponses: 6, Questions: []protocol.QuestionResult{
		{Question: 1, Type: SingleChoice, Options: []int{0, 2, 1}, Correct: 2, Total: 3},
		{Question: 2, Type: MultipleChoice, Options: []int{1, 0, 0, 1}, Correct: 1, Skipped: 1, Total: 2},
		{Question: 3, Type: ShortAnswer, Correct: 1, Total: 1},
	}}
	if got := p.Result(); text(got) != text(want) {
		t.Errorf("%s\nwant %s", text(got), text(want))
	}
	if err := p.Stop("", began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	board := p.Leaderboard(0, 0, 10)
	var ranks []string
	for _, e := range board.Entries {
		ranks = append(ranks, fmt.Sprintf("%d %s %d/%d %d pt %d ms", e.Position, e.Peer.UserName, e.CorrectResponses, e.TotalResponses, e.Score, e.Duration))
	}
	if want := []string{"1 bob 3/3 30 pt 5500 ms", "2 cat 1/2 10 pt 1000 ms", "3 dan 0/1 0 pt 60000 ms"}; !slices.Equal(ranks, want) {
		t.Errorf("%q", ranks)
	}
	if board.CorrectUsers != 1 || board.VotedUsers != 3 || board.TotalUsers != 5 || !board.Last || board.AvgTime != 66500.0/3 || board.AvgScore != 40.0/3 {
		t.Errorf("%+v", board)
	}
	if board := p.Leaderboard(1, 1, 1); board.Last || len(board.Entries) != 1 || board.Entries[0].Peer.UserName != "bob" || board.CorrectUsers != 2 {
		t.Errorf("of one question, second place: %+v", board)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestWhoVotes(t *testing.T) {
	for _, tt := range []struct {
		mode   string
		second protocol.Voter
		same   bool
	}{
		{ByUserID, protocol.Voter{PeerID: "other", UserID: "user bob", UserName: "other"}, true},
		{ByUserID, protocol.Voter{PeerID: "peer of bob", UserID: "other", UserName: "bob"}, false},
		{ByPeerID, protocol.Voter{PeerID: "peer of bob", UserID: "other"}, true},
		{ByPeerID, protocol.Voter{PeerID: "other", UserID: "user bob", UserName: "bob"}, false},
		{ByUserName, protocol.Voter{PeerID: "other", UserID: "other", UserName: "bob"}, true},
		{ByUserName, protocol.Voter{PeerID: "peer of bob", UserID: "user bob", UserName: "Bob"}, false},
	} {
		p := quiz(t, func(info *protocol.PollInfo) { info.Mode = tt.mode })
		vote(t, p, "bob", protocol.PollVote{Question: 1, Option: 1})
		if _, err := p.Vote(tt.second, []protocol.PollVote{{Question: 1, Option: 2}}, began); err != nil {
			t.Fatal(err)
		}
		if got := p.Result().UserCount == 1; got != tt.same {
			t.Errorf("by %s, %+v: same voter %v", tt.mode, tt.second, got)
		}
	}
}

func TestAnonymous(t *testing.T) {
	p := quiz(t, func(info *protocol.PollInfo) { info.Anonymous = true })
	vote(t, p, "bob", protocol.PollVote{Question: 1, Option: 1}, protocol.PollVote{Question: 2, Options: []int{1}})
	vote(t, p, "cat", protocol.PollVote{Question: 1, Option: 2})
	all := p.Responses(nil, 0, 0)
	if len(all.Responses) != 3 || !all.Last || strings.Contains(text(all), "bob") || all.Responses[0].Peer.Hash != all.Responses[1].Peer.Hash || all.Responses[0].Peer.Hash == all.Responses[2].Peer.Hash {
		t.Errorf("%s", text(all))
	}
	own := voter("cat")
	if mine := p.Responses(&own, 0, 0); len(mine.Responses) != 1 || mine.Responses[0].Response.Option != 2 || mine.Responses[0].Final {
		t.Errorf("%s", text(mine))
	}
	stranger := voter("eve")
	if none := p.Responses(&stranger, 0, 0); none.Responses == nil || len(none.Responses) != 0 {
		t.Errorf("%s", text(none))
	}
	if page := p.Responses(nil, 1, 1); page.Last || len(page.Responses) != 1 || page.Responses[0].Response.Question != 2 {
		t.Errorf("%s", text(page))
	}
}

func TestAnswersAreHidden(t *testing.T) {
	p := quiz(t, nil)
	for _, q := range p.Questions(0, 50, false).Questions {
		if a := q.Answer; a.Option != 0 || a.Options != nil || a.Text != "" {
			t.Errorf("%+v", q)
		}
	}
	page := p.Questions(1, 1, true)
	if page.Last || len(page.Questions) != 1 || !slices.Equal(page.Questions[0].Answer.Options, []int{4, 1}) {
		t.Errorf("%+v", page)
	}
	if page := p.Questions(50, 1, true); !page.Last || page.Questions == nil {
		t.Errorf("%+v", page)
	}
}

func TestStates(t *testing.T) {
	p, err := New(protocol.PollInfo{PollID: "p", State: protocol.PollStarted, CreatedBy: "eve"}, "ann", began)
	if err != nil {
		t.Fatal(err)
	}
	if i := p.Info(); i.State != protocol.PollCreated || i.CreatedBy != "ann" || i.Type != "poll" || i.Mode != ByUserID {
		t.Errorf("%+v", i)
	}
	one := []protocol.PollQuestion{question(1, LongAnswer, 0, protocol.PollAnswer{})}
	votes := []protocol.PollVote{{Question: 1, Text: "yes"}}
	_, notOpen := p.Vote(voter("bob"), votes, began)
	for i, step := range []struct {
		err  error
		want int
	}{
		{notOpen, 409},
		{p.Stop("ann", began), 409},
		{p.Start("ann", began), 400}, // no question
		{p.SetQuestions(one), 0},
		{p.Start("ann", began), 0},
		{p.Start("ann", began), 409},
		{p.SetQuestions(one), 409},
		{p.Describe(protocol.PollInfo{PollID: "p"}), 409},
		{p.Stop("ann", began), 0},
		{p.Stop("ann", began), 409},
	} {
		if code(step.err) != step.want {
			t.Errorf("step %d: %v, want %d", i, step.err, step.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, info := range map[string]protocol.PollInfo{
		"no id":         {},
		"long id":       {PollID: long},
		"long title":    {PollID: "p", Title: long},
		"unknown type":  {PollID: "p", Type: "survey"},
		"unknown mode":  {PollID: "p", Mode: "name"},
		"duration":      {PollID: "p", Duration: -1},
		"long duration": {PollID: "p", Duration: 1e9},
		"roles":         {PollID: "p", Vote: make([]string, 100)},
	} {
		if _, err := New(info, "", began); code(err) < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	draft, err := New(protocol.PollInfo{PollID: "p"}, "", began)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*protocol.PollQuestion)) []protocol.PollQuestion {
		q := question(1, SingleChoice, 2, protocol.PollAnswer{})
		change(&q)
		return []protocol.PollQuestion{q}
	}
	for name, list := range map[string][]protocol.PollQuestion{
		"too many":        make([]protocol.PollQuestion, MaxQuestions+1),
		"index":           with(func(q *protocol.PollQuestion) { q.Question.Index = 2 }),
		"no text":         with(func(q *protocol.PollQuestion) { q.Question.Text = "" }),
		"long text":       with(func(q *protocol.PollQuestion) { q.Question.Text = long }),
		"weight":          with(func(q *protocol.PollQuestion) { q.Question.Weight = -1 }),
		"long answer":     with(func(q *protocol.PollQuestion) { q.Answer.Text = long }),
		"unknown type":    with(func(q *protocol.PollQuestion) { q.Question.Type = "drawing" }),
		"text's options":  with(func(q *protocol.PollQuestion) { q.Question.Type = ShortAnswer }),
		"one option":      with(func(q *protocol.PollQuestion) { q.Options = q.Options[:1] }),
		"many options":    {question(1, SingleChoice, MaxOptions+1, protocol.PollAnswer{})},
		"option's index":  with(func(q *protocol.PollQuestion) { q.Options[1].Index = 7 }),
		"option's text":   with(func(q *protocol.PollQuestion) { q.Options[1].Text = long }),
		"no such answer":  with(func(q *protocol.PollQuestion) { q.Answer.Option = 3 }),
		"no such answers": with(func(q *protocol.PollQuestion) { q.Answer.Options = []int{0} }),
	} {
		if err := draft.SetQuestions(list); code(err) < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}

	p := quiz(t, nil)
	vote(t, p, "bob", protocol.PollVote{Question: 3, Text: "Rome"})
	vote(t, p, "bob", protocol.PollVote{Question: 3, Text: "Rome"}) // the request was repeated
	before := text(p.Result())
	good := protocol.PollVote{Question: 1, Option: 1}
	for name, votes := range map[string][]protocol.PollVote{
		"none":            nil,
		"too many":        {good, good, good, good},
		"no question":     {good, {Question: 0}},
		"no such one":     {good, {Question: 4}},
		"not skippable":   {{Question: 1, Skipped: true}},
		"no option":       {{Question: 1}},
		"app gave none":   {{Question: 1, Option: -1}},
		"no such option":  {{Question: 1, Option: 4}},
		"none of several": {good, {Question: 2}},
		"one of several":  {good, {Question: 2, Options: []int{1, 5}}},
		"changed":         {good, {Question: 3, Text: "Paris"}},
		"no text":         {good, {Question: 3}},
		"long text":       {good, {Question: 3, Text: long}},
	} {
		if _, err := p.Vote(voter("bob"), votes, began); code(err) < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := text(p.Result()); after != before {
		t.Errorf("refused votes were counted: %s, before %s", after, before)
	}
}

// How long a written answer may be is part of the question.
func TestLengthOfAnswers(t *testing.T) {
	p, err := New(protocol.PollInfo{PollID: "p1"}, "ann", began)
	if err != nil {
		t.Fatal(err)
	}
	q := question(1, ShortAnswer, 0, protocol.PollAnswer{})
	q.Question.AnswerMinLen, q.Question.AnswerMaxLen = 3, 2
	if err := p.SetQuestions([]protocol.PollQuestion{q}); code(err) != 400 {
		t.Errorf("impossible to answer: %v", err)
	}
	q.Question.AnswerMinLen = 2
	if err := errors.Join(p.SetQuestions([]protocol.PollQuestion{q}), p.Start("ann", began)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"é": 400, "éa": 0, "éab": 400} {
		if _, err := p.Vote(protocol.Voter{PeerID: "bob"}, []protocol.PollVote{{Question: 1, Text: text}}, began); code(err) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
