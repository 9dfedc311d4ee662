package poll

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"amphi/server/protocol"
)

// key tells voters apart, and says nothing of them outside of this poll. Somebody
// without a user id is told by the peer id.
func (p *Poll) key(v protocol.Voter) string {
	by := "peer " + v.PeerID
	switch {
	case p.info.Mode == ByUserName && v.UserName != "":
		by = "name " + v.UserName
	case p.info.Mode == ByUserID && v.UserID != "":
		by = "user " + v.UserID
	}
	sum := sha256.Sum256([]byte(p.info.PollID + "\x00" + by))
	return hex.EncodeToString(sum[:16])
}

// score is how many points an answer gets.
func score(q protocol.PollQuestion, v protocol.PollVote) int {
	if !correct(q, v) {
		return 0
	}
	return max(1, q.Question.Weight)
}

// Name is how a voter is kept and shown: by no more than the key if the poll is
// anonymous.
func (p *Poll) Name(v protocol.Voter) protocol.Voter {
	key := p.key(v)
	if p.info.Anonymous {
		return protocol.Voter{Hash: key}
	}
	v.Hash = key
	return v
}

// Cast is an answer that was taken.
type Cast struct {
	Answer  protocol.PollVote
	Verdict protocol.PollVerdict
	Score   int  // points
	Again   bool // it is the answer that the voter gave before, as when a request was sent again
}

// Vote takes answers: all of them, or none. An answer takes the place of the one
// before, unless the question takes only one.
func (p *Poll) Vote(voter protocol.Voter, votes []protocol.PollVote, now time.Time) ([]Cast, error) {
	if p.info.State != protocol.PollStarted {
		return nil, protocol.Errorf(protocol.CodeConflict, "the poll does not run")
	}
	if len(votes) == 0 || len(votes) > len(p.questions) {
		return nil, protocol.Errorf(protocol.CodeBadRequest, "responses must have 1 to %d entries", len(p.questions))
	}
	key := p.key(voter)
	b := p.ballots[key]
	if b == nil && len(p.ballots) >= MaxVoters {
		return nil, protocol.Errorf(protocol.CodeTooLarge, "more than %d voters", MaxVoters)
	}
	for _, v := range votes {
		if err := p.check(b, v); err != nil {
			return nil, err
		}
	}
	if b == nil {
		b = &ballot{voter: p.Name(voter), answers: map[int]protocol.PollVote{}}
		p.ballots[key] = b
		p.order = append(p.order, b)
	}
	var cast []Cast
	ran := int(now.UnixMilli() - p.info.StartedAt)
	for _, v := range votes {
		q := p.questions[v.Question-1]
		before, done := b.answers[v.Question]
		again := done && same(q, before, v)
		if again {
			v.Duration = before.Duration
		}
		answer := protocol.PollVote{
			ID: uuid.NewString(), Question: v.Question, Type: q.Question.Type, Skipped: v.Skipped,
			Duration: max(0, min(v.Duration, ran)), // the voter's word, within reason
		}
		switch {
		case v.Skipped:
		case q.Question.Type == SingleChoice:
			answer.Option = v.Option
		case q.Question.Type == MultipleChoice:
			answer.Options = chosen(q, v)
		default:
			answer.Text = v.Text
		}
		b.answers[v.Question] = answer
		// Whoever may answer again is not told: the next answer would be the right one.
		verdict := protocol.PollVerdict{Question: v.Question, Correct: q.Question.Once && correct(q, answer)}
		cast = append(cast, Cast{answer, verdict, score(q, answer), again})
	}
	return cast, nil
}

// check refuses a vote that does not answer its question.
func (p *Poll) check(b *ballot, v protocol.PollVote) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.CodeBadRequest, "question %d: "+format, append([]any{v.Question}, args...)...)
	}
	if v.Question < 1 || v.Question > len(p.questions) {
		return bad("there is none")
	}
	q := p.questions[v.Question-1]
	if b != nil && q.Question.Once {
		if before, done := b.answers[v.Question]; done && !same(q, before, v) {
			return protocol.Errorf(protocol.CodeConflict, "question %d takes one answer only", v.Question)
		}
	}
	if v.Skipped {
		if !q.Question.Skippable {
			return bad("must be answered")
		}
		return nil
	}
	if !HasOptions(q.Question.Type) {
		if v.Text == "" || len(v.Text) > MaxText {
			return bad("text must have 1 to %d bytes", MaxText)
		}
		letters, most := utf8.RuneCountInString(v.Text), q.Question.AnswerMaxLen
		if letters < q.Question.AnswerMinLen || most > 0 && letters > most {
			return bad("text must have %d to %d letters", q.Question.AnswerMinLen, most)
		}
		return nil
	}
	options := chosen(q, v)
	if len(options) == 0 {
		return bad("no option chosen")
	}
	for _, o := range options {
		if o < 1 || o > len(q.Options) {
			return bad("there is no option %d", o)
		}
	}
	return nil
}

// same says whether two votes give the same answer: clients repeat requests whose response was
// lost.
func same(q protocol.PollQuestion, a, b protocol.PollVote) bool {
	switch {
	case a.Skipped || b.Skipped:
		return a.Skipped == b.Skipped
	case HasOptions(q.Question.Type):
		return slices.Equal(chosen(q, a), chosen(q, b))
	default:
		return a.Text == b.Text
	}
}

// Responses returns some of the votes: all in the order of the voters, or those
// of one.
func (p *Poll) Responses(of *protocol.Voter, from, count int) protocol.PollResponses {
	ballots := p.order
	if of != nil {
		ballots = nil
		if b := p.ballots[p.key(*of)]; b != nil {
			ballots = []*ballot{b}
		}
	}
	all := []protocol.PollResponse{}
	for _, b := range ballots {
		for i, q := range p.questions {
			if v, ok := b.answers[i+1]; ok {
				all = append(all, protocol.PollResponse{
					Final: q.Question.Once || p.info.State == protocol.PollStopped, Response: v, Peer: b.voter,
				})
			}
		}
	}
	page, last := cut(all, from, count, 100)
	return protocol.PollResponses{PollID: p.info.PollID, Last: last, Responses: slices.Clip(page)}
}

// Result counts the votes.
func (p *Poll) Result() protocol.PollResult {
	r := protocol.PollResult{
		PollID: p.info.PollID, UserCount: len(p.order), MaxUser: max(p.maxUsers, len(p.order)),
		Questions: make([]protocol.QuestionResult, len(p.questions)),
	}
	for i, q := range p.questions {
		c := &r.Questions[i]
		c.Question, c.Type = i+1, q.Question.Type
		if HasOptions(q.Question.Type) {
			c.Options = make([]int, len(q.Options))
		}
		for _, b := range p.order {
			v, ok := b.answers[i+1]
			switch {
			case !ok:
				continue
			case v.Skipped:
				c.Skipped++
			case HasOptions(q.Question.Type):
				for _, o := range chosen(q, v) {
					c.Options[o-1]++
				}
			}
			c.Total++
			if correct(q, v) {
				c.Correct++
			}
		}
		r.TotalResponses += c.Total
	}
	return r
}

// Leaderboard ranks the voters: more points first, then less time. question 0 is
// all questions.
func (p *Poll) Leaderboard(question, from, count int) protocol.Leaderboard {
	l := protocol.Leaderboard{
		PollID: p.info.PollID, TotalUsers: max(p.maxUsers, len(p.order)), VotedUsers: len(p.order),
		Entries: []protocol.LeaderboardEntry{},
	}
	asked := 0
	var entries []protocol.LeaderboardEntry
	for _, b := range p.order {
		e := protocol.LeaderboardEntry{Peer: b.voter}
		asked = 0
		for i, q := range p.questions {
			if question != 0 && question != i+1 {
				continue
			}
			asked++
			v, ok := b.answers[i+1]
			if !ok {
				continue
			}
			e.TotalResponses++
			e.Duration += v.Duration
			if correct(q, v) {
				e.CorrectResponses++
				e.Score += score(q, v)
			}
		}
		if e.TotalResponses > 0 {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b protocol.LeaderboardEntry) int {
		if a.Score != b.Score {
			return b.Score - a.Score
		}
		return a.Duration - b.Duration
	})
	for i := range entries {
		e := &entries[i]
		e.Position = i + 1
		l.AvgTime += float64(e.Duration)
		l.AvgScore += float64(e.Score)
		if e.CorrectResponses == asked {
			l.CorrectUsers++
		}
	}
	if n := len(entries); n > 0 {
		l.AvgTime /= float64(n)
		l.AvgScore /= float64(n)
	}
	page, last := cut(entries, from, count, 100)
	l.Entries, l.Last = append(l.Entries, page...), last
	return l
}
