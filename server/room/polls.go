package room

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"amphi/server/poll"
	"amphi/server/protocol"
)

const (
	maxPolls  = 50 // in a session
	statPause = time.Second
	pollPage  = 50
)

// livePoll is a poll of the session.
type livePoll struct {
	*poll.Poll
	record *pollRecord // nil for polls that clients made: their results end with the session
	end    *time.Timer // of its duration; nil when it has none, or does not run
	stats  *time.Timer // running while no statistics may be sent
	dirty  bool        // votes came meanwhile
}

// polls are those of the session, in the order of creation. They belong to the
// room's goroutine.
type polls []*livePoll

func (ps polls) find(id string) *livePoll {
	for _, p := range ps {
		if p.Info().PollID == id {
			return p
		}
	}
	return nil
}

func (ps polls) stop() {
	for _, p := range ps {
		p.halt()
		if p.stats != nil {
			p.stats.Stop()
		}
	}
}

func (lp *livePoll) halt() {
	if lp.end != nil {
		lp.end.Stop()
		lp.end = nil
	}
}

var errNoPoll = &protocol.Error{Code: protocol.CodeNotFound, Message: "no such poll in this session"}

// Rights. Writing includes reading.

func (p *Peer) writesPolls() bool { return p.role.Permissions.PollWrite }
func (p *Peer) readsPolls() bool  { return p.role.Permissions.PollRead || p.writesPolls() }

// seesResponses says whether the peer may see what others voted.
func (p *Peer) seesResponses(of protocol.PollInfo) bool {
	return p.writesPolls() || p.readsPolls() && (len(of.Responses) == 0 || slices.Contains(of.Responses, p.role.Name))
}

func (p *Peer) mayVote(in protocol.PollInfo) bool {
	return p.readsPolls() && (len(in.Vote) == 0 || slices.Contains(in.Vote, p.role.Name))
}

// withPoll runs fn on the room's goroutine for a poll that the peer may see:
// drafts are for those who write polls.
func (p *Peer) withPoll(ctx context.Context, id string, fn func(*livePoll) error) error {
	return p.doJoined(ctx, func() error {
		if !p.readsPolls() {
			return errNotAllowed
		}
		lp := p.room.polls.find(id)
		if lp == nil || lp.Info().State == protocol.PollCreated && !p.writesPolls() {
			return errNoPoll
		}
		return fn(lp)
	})
}

// changePoll is withPoll for those who write polls.
func (p *Peer) changePoll(ctx context.Context, id string, fn func(*livePoll) error) error {
	return p.withPoll(ctx, id, func(lp *livePoll) error {
		if !p.writesPolls() {
			return errNotAllowed
		}
		return fn(lp)
	})
}

// SetPoll makes a draft, or describes one anew.
func (p *Peer) SetPoll(ctx context.Context, req protocol.PollInfo) (ref protocol.PollRef, err error) {
	r := p.room
	if req.PollID == "" {
		req.PollID = uuid.NewString()
	}
	if !p.chat.Allow() {
		return ref, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		if !p.writesPolls() {
			return errNotAllowed
		}
		for _, name := range slices.Concat(req.Vote, req.Responses) {
			if r.role(name) == nil {
				return errNoRole
			}
		}
		ref.PollID = req.PollID
		r.changed()
		if lp := r.polls.find(req.PollID); lp != nil {
			return lp.Describe(req)
		}
		if len(r.polls) >= maxPolls {
			return protocol.Errorf(protocol.CodeTooLarge, "more than %d polls in a session", maxPolls)
		}
		made, err := poll.New(req, p.ID, time.Now())
		if err != nil {
			return err
		}
		r.polls = append(r.polls, &livePoll{Poll: made})
		return nil
	})
	return ref, err
}

// Poll answers poll-info-get.
func (p *Peer) Poll(ctx context.Context, req protocol.PollRef) (info protocol.PollInfo, err error) {
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		info = lp.Info()
		return nil
	})
	return info, err
}

// SetPollQuestions replaces the questions of a draft.
func (p *Peer) SetPollQuestions(ctx context.Context, req protocol.PollQuestions) (set protocol.PollQuestionsSet, err error) {
	if !p.chat.Allow() {
		return set, errTooFast
	}
	err = p.changePoll(ctx, req.PollID, func(lp *livePoll) error {
		set = protocol.PollQuestionsSet{PollID: req.PollID, Total: len(req.Questions)}
		p.room.changed()
		return lp.SetQuestions(req.Questions)
	})
	return set, err
}

// PollQuestions lists questions. The right answers are for those who write
// polls, and for all once a quiz is over.
func (p *Peer) PollQuestions(ctx context.Context, req protocol.PollRange) (page protocol.PollQuestionPage, err error) {
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		page = lp.Questions(req.Index, req.Count, p.writesPolls() || lp.Info().State == protocol.PollStopped)
		return nil
	})
	return page, err
}

// StartPoll opens a poll to votes. Everybody who reads polls is told, the one
// who started it too: its client knows no poll but those it was told of.
func (p *Peer) StartPoll(ctx context.Context, req protocol.PollRef) (run protocol.PollRun, err error) {
	r := p.room
	err = p.changePoll(ctx, req.PollID, func(lp *livePoll) error {
		run = protocol.PollRun{PollID: req.PollID, Duration: lp.Info().Duration}
		return r.startPoll(lp, p.ID)
	})
	return run, err
}

// startPoll starts a poll; by is empty for one that begins with the session.
func (r *Room) startPoll(lp *livePoll, by string) error {
	now := time.Now()
	if err := lp.Start(by, now); err != nil {
		return err
	}
	info := lp.Info()
	lp.Seen(r.voters(info))
	r.schedule(lp)
	r.recordStart(lp, now)
	r.log.Info("poll started", "poll", info.PollID, "questions", info.QuestionsCount, "by", by)
	r.tellRemembered(protocol.OnPollStart, protocol.PollsEvent{Polls: []protocol.PollInfo{info}}, audience{PollReaders: true}, false)
	return nil
}

// schedule ends a poll that has a duration when it is over.
func (r *Room) schedule(lp *livePoll) {
	info := lp.Info()
	if info.State != protocol.PollStarted || info.Duration == 0 {
		return
	}
	over := time.UnixMilli(info.StartedAt).Add(time.Duration(info.Duration) * time.Second)
	lp.end = r.after(time.Until(over), func() {
		if lp.end != nil {
			r.endPoll(lp, "")
		}
	})
}

// tellRunningPolls tells somebody who joins of the polls that run: clients know
// no others.
func (r *Room) tellRunningPolls(p *Peer) {
	var event protocol.PollsEvent
	for _, lp := range r.polls {
		if info := lp.Info(); info.State == protocol.PollStarted {
			event.Polls = append(event.Polls, info)
		}
	}
	if len(event.Polls) > 0 && p.readsPolls() {
		p.notify(protocol.OnPollStart, event)
	}
}

// StopPoll ends a poll before its time.
func (p *Peer) StopPoll(ctx context.Context, req protocol.PollRef) (run protocol.PollRun, err error) {
	err = p.changePoll(ctx, req.PollID, func(lp *livePoll) error {
		run = protocol.PollRun{PollID: req.PollID, Duration: lp.Info().Duration}
		return p.room.endPoll(lp, p.ID)
	})
	return run, err
}

func (r *Room) endPoll(lp *livePoll, by string) error {
	lp.Seen(r.voters(lp.Info()))
	now := time.Now()
	if err := lp.Stop(by, now); err != nil {
		return err
	}
	lp.halt()
	r.recordStop(lp, now)
	r.tellRemembered(protocol.OnPollStop, protocol.PollsEvent{Polls: []protocol.PollInfo{lp.Info()}}, audience{PollReaders: true}, false)
	return nil
}

// voters is how many people could vote now.
func (r *Room) voters(in protocol.PollInfo) int {
	n := 0
	for _, p := range r.order {
		if !p.hidden && p.mayVote(in) {
			n++
		}
	}
	return n
}

// Vote takes the peer's answers.
func (p *Peer) Vote(ctx context.Context, req protocol.PollVotes) (voted protocol.PollVoted, err error) {
	r := p.room
	if !p.chat.Allow() {
		return voted, errTooFast
	}
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		if !p.mayVote(lp.Info()) {
			return errNotAllowed
		}
		now := time.Now()
		cast, err := lp.Vote(p.voter(), req.Responses, now)
		if err != nil {
			return err
		}
		voted.PollID = req.PollID
		for _, c := range cast {
			voted.Result = append(voted.Result, c.Verdict)
		}
		r.recordVotes(lp, p.voter(), cast, now)
		r.changed()
		lp.dirty = true
		r.tellStats(lp)
		return nil
	})
	return voted, err
}

func (p *Peer) voter() protocol.Voter {
	return protocol.Voter{PeerID: p.ID, UserID: p.info.UserID, UserName: p.info.Name}
}

// tellStats sends the counts to those who may see them, at most once a statPause.
func (r *Room) tellStats(lp *livePoll) {
	if !lp.dirty || lp.stats != nil {
		return
	}
	lp.dirty = false
	info := lp.Info()
	lp.Seen(r.voters(info)) // here, as it looks at everybody: not at each vote
	event := protocol.PollStatsEvent{Polls: []protocol.PollResult{lp.Result()}}
	r.tell(protocol.OnPollStats, event, func(o *Peer) bool { return o.seesResponses(info) })
	lp.stats = r.after(statPause, func() {
		lp.stats = nil
		r.tellStats(lp)
	})
}

// PollResponses lists votes: one's own, or all.
func (p *Peer) PollResponses(ctx context.Context, req protocol.PollRange) (page protocol.PollResponses, err error) {
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		if req.Self {
			own := p.voter()
			page = lp.Responses(&own, req.Index, req.Count)
			return nil
		}
		if !p.seesResponses(lp.Info()) {
			return errNotAllowed
		}
		page = lp.Responses(nil, req.Index, req.Count)
		return nil
	})
	return page, err
}

// PollResult counts votes. Who may not see them is told how many voted only: a
// refusal would keep the client from taking note that the poll is over.
func (p *Peer) PollResult(ctx context.Context, req protocol.PollRef) (result protocol.PollResult, err error) {
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		result = lp.Result()
		if !p.seesResponses(lp.Info()) {
			result.Questions = []protocol.QuestionResult{}
		}
		return nil
	})
	return result, err
}

// PollLeaderboard ranks the voters of a poll that is over.
func (p *Peer) PollLeaderboard(ctx context.Context, req protocol.GetLeaderboard) (board protocol.Leaderboard, err error) {
	err = p.withPoll(ctx, req.PollID, func(lp *livePoll) error {
		info := lp.Info()
		switch {
		case !p.seesResponses(info):
			return errNotAllowed
		case info.State != protocol.PollStopped || info.Anonymous:
			return protocol.Errorf(protocol.CodeConflict, "only polls that have been stopped and are not anonymous have a leaderboard")
		}
		board = lp.Leaderboard(req.Question, req.Offset, req.Count)
		return nil
	})
	return board, err
}

// PollList lists the session's polls, in the order of creation.
func (p *Peer) PollList(ctx context.Context, req protocol.ListPolls) (list protocol.PollList, err error) {
	list.Polls = []protocol.PollInfo{}
	count := req.Count
	if count <= 0 || count > pollPage {
		count = pollPage
	}
	err = p.doJoined(ctx, func() error {
		if !p.readsPolls() {
			return errNotAllowed
		}
		skip := req.Start != ""
		for _, lp := range p.room.polls {
			info := lp.Info()
			if skip {
				skip = info.PollID != req.Start
				continue
			}
			if req.State != "" && info.State != req.State || info.State == protocol.PollCreated && !p.writesPolls() {
				continue
			}
			if len(list.Polls) == count {
				list.Last = list.Polls[count-1].PollID
				break
			}
			list.Polls = append(list.Polls, info)
		}
		return nil
	})
	return list, err
}
