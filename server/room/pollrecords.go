package room

import (
	"context"
	"sync"
	"time"

	"amphi/server/poll"
	"amphi/server/protocol"
)

// LinkedPoll is a poll of the room's record. It is there from the session's
// start, and what comes of it is recorded.
type LinkedPoll struct {
	Info      protocol.PollInfo
	Questions []protocol.PollQuestion
	Auto      bool // starts with the session
}

// PollRun is one run of a linked poll in a session.
type PollRun struct {
	ID     string
	PollID string
	At     time.Time
}

// CastVote is a vote as it is recorded.
type CastVote struct {
	poll.Cast
	Voter protocol.Voter // no more than Hash when the poll is anonymous
	At    time.Time
}

// pollRecord is what is recorded of a run.
type pollRecord struct {
	run   PollRun
	votes *voteBatch // not yet being written; may be full
}

// voteBatch gathers votes until its turn comes: they are given by hundreds within
// a second, and a transaction takes a hundred in the time of one.
type voteBatch struct {
	mu     sync.Mutex
	votes  []CastVote
	closed bool // is being written
}

const maxVoteBatch = 256

// add says whether there was place.
func (b *voteBatch) add(v CastVote) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.votes) == maxVoteBatch {
		return false
	}
	b.votes = append(b.votes, v)
	return true
}

func (b *voteBatch) take() []CastVote {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.votes
}

// linkPolls makes the polls of the room's record and starts those that start by
// themselves. It runs before the room takes calls.
func (r *Room) linkPolls() {
	ctx, cancel := context.WithTimeout(context.Background(), journalDeadline)
	defer cancel()
	linked, err := r.registry.cfg.Records.LinkedPolls(ctx, r.rec.RoomID)
	if err != nil {
		r.log.Error("could not read the room's polls", "err", err)
	}
	for _, l := range linked[:min(len(linked), maxPolls)] {
		p, err := poll.New(l.Info, "", r.session.Started)
		if err == nil {
			err = p.SetQuestions(l.Questions)
		}
		lp := &livePoll{Poll: p, record: &pollRecord{run: PollRun{ID: r.registry.cfg.NewID(), PollID: l.Info.PollID}}}
		if err == nil {
			r.polls = append(r.polls, lp)
			if l.Auto {
				err = r.startPoll(lp, "")
			}
		}
		if err != nil { // such as a choice without options: the API takes polls that are not finished
			r.log.Warn("a poll of the room cannot be run", "poll", l.Info.PollID, "err", err)
		}
	}
}

func (r *Room) recordStart(lp *livePoll, at time.Time) {
	if lp.record == nil {
		return
	}
	lp.record.run.At = at
	run := lp.record.run
	r.journal.add("poll started", func(ctx context.Context) error {
		return r.registry.cfg.Records.PollStarted(ctx, r.session, run)
	})
}

func (r *Room) recordVotes(lp *livePoll, voter protocol.Voter, cast []poll.Cast, at time.Time) {
	if lp.record == nil {
		return
	}
	for _, c := range cast {
		if c.Again {
			continue
		}
		v := CastVote{Cast: c, Voter: lp.Name(voter), At: at}
		if b := lp.record.votes; b != nil && b.add(v) {
			continue
		}
		b, run := &voteBatch{votes: []CastVote{v}}, lp.record.run
		lp.record.votes = b
		r.journal.add("votes", func(ctx context.Context) error {
			return r.registry.cfg.Records.PollVoted(ctx, run, b.take())
		})
	}
}

func (r *Room) recordStop(lp *livePoll, at time.Time) {
	if lp.record == nil {
		return
	}
	run := lp.record.run
	r.journal.add("poll stopped", func(ctx context.Context) error {
		return r.registry.cfg.Records.PollStopped(ctx, run, at)
	})
}
