package room

import (
	"fmt"
	"testing"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// lunch makes a poll with one question as ann, who may.
func lunch(t *testing.T, ann *Peer, info protocol.PollInfo) {
	t.Helper()
	if _, err := ann.SetPoll(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	set, err := ann.SetPollQuestions(t.Context(), protocol.PollQuestions{PollID: info.PollID, Questions: []protocol.PollQuestion{{
		Question: protocol.PollQuestionText{Index: 1, Type: "single-choice", Text: "Where?"},
		Options:  []protocol.PollOption{{Index: 1, Text: "A"}, {Index: 2, Text: "B"}},
		Answer:   protocol.PollAnswer{Option: 2},
	}}})
	if err != nil || set.Total != 1 {
		t.Fatalf("%+v %v", set, err)
	}
}

func TestPoll(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	ann, annIn := h.join("ann", "broadcaster")
	bob, bobIn := h.join("bob", "hls-viewer")
	cat, catIn := h.join("cat", "viewer-realtime")
	annIn.take()
	bobIn.take()
	ctx := t.Context()
	lunch(t, ann, protocol.PollInfo{PollID: "p1", Title: "Lunch", Vote: []string{"hls-viewer"}, Responses: []string{"viewer-realtime"}})
	ref, err := ann.SetPoll(ctx, protocol.PollInfo{Title: "a draft"})
	if err != nil || ref.PollID == "" {
		t.Fatalf("%+v %v", ref, err)
	}

	// Drafts are for those who write polls.
	if list, err := bob.PollList(ctx, protocol.ListPolls{}); err != nil || list.Polls == nil || len(list.Polls) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	_, err = bob.PollQuestions(ctx, protocol.PollRange{PollID: "p1"})
	wantCode(t, err, 404)
	_, err = bob.StartPoll(ctx, protocol.PollRef{PollID: "p1"})
	wantCode(t, err, 404)

	if run, err := ann.StartPoll(ctx, protocol.PollRef{PollID: "p1"}); err != nil || run.PollID != "p1" {
		t.Fatalf("%+v %v", run, err)
	}
	for _, in := range []*inbox{annIn, bobIn, catIn} { // the one who started it too
		if e := one[protocol.PollsEvent](t, in, protocol.OnPollStart); e.Polls[0].State != protocol.PollStarted || e.Polls[0].StartedBy != "ann" {
			t.Errorf("%+v", e)
		}
	}
	if page, err := bob.PollQuestions(ctx, protocol.PollRange{PollID: "p1", Count: 50}); err != nil || page.Questions[0].Answer.Option != 0 {
		t.Errorf("the answer is seen: %+v %v", page, err)
	}
	if page, err := ann.PollQuestions(ctx, protocol.PollRange{PollID: "p1", Count: 50}); err != nil || page.Questions[0].Answer.Option != 2 {
		t.Errorf("%+v %v", page, err)
	}

	votes := protocol.PollVotes{PollID: "p1", Responses: []protocol.PollVote{{Question: 1, Option: 2}}}
	_, err = cat.Vote(ctx, votes) // not her role
	wantCode(t, err, 403)
	if _, err := bob.Vote(ctx, votes); err != nil {
		t.Fatal(err)
	}
	for _, in := range []*inbox{annIn, catIn} {
		if e := one[protocol.PollStatsEvent](t, in, protocol.OnPollStats); e.Polls[0].UserCount != 1 || e.Polls[0].MaxUser != 1 || e.Polls[0].Questions[0].Options[1] != 1 {
			t.Errorf("%+v", e)
		}
	}
	wantMethods(t, bobIn)
	if own, err := bob.PollResponses(ctx, protocol.PollRange{PollID: "p1", Self: true}); err != nil || len(own.Responses) != 1 || own.Responses[0].Peer.UserID != "u-bob" {
		t.Errorf("%+v %v", own, err)
	}
	_, err = bob.PollResponses(ctx, protocol.PollRange{PollID: "p1"})
	wantCode(t, err, 403)
	if result, err := bob.PollResult(ctx, protocol.PollRef{PollID: "p1"}); err != nil || result.UserCount != 1 || result.Questions == nil || len(result.Questions) != 0 {
		t.Errorf("%+v %v", result, err)
	}
	if all, err := cat.PollResponses(ctx, protocol.PollRange{PollID: "p1"}); err != nil || len(all.Responses) != 1 {
		t.Errorf("%+v %v", all, err)
	}
	_, err = ann.PollLeaderboard(ctx, protocol.GetLeaderboard{PollID: "p1"})
	wantCode(t, err, 409) // it runs

	// What changed within a second of the last statistics comes after it.
	if _, err := bob.Vote(ctx, protocol.PollVotes{PollID: "p1", Responses: []protocol.PollVote{{Question: 1, Option: 1}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "statistics of the second vote", func() bool {
		for _, f := range catIn.take() {
			if f.Method == protocol.OnPollStats {
				return true
			}
		}
		return false
	})

	if _, err := ann.StopPoll(ctx, protocol.PollRef{PollID: "p1"}); err != nil {
		t.Fatal(err)
	}
	if e := one[protocol.PollsEvent](t, bobIn, protocol.OnPollStop); e.Polls[0].State != protocol.PollStopped || e.Polls[0].StoppedBy != "ann" {
		t.Errorf("%+v", e)
	}
	_, err = bob.Vote(ctx, votes)
	wantCode(t, err, 409)
	if page, err := bob.PollQuestions(ctx, protocol.PollRange{PollID: "p1", Count: 50}); err != nil || page.Questions[0].Answer.Option != 2 {
		t.Errorf("the answer is hidden after the end: %+v %v", page, err)
	}
	if board, err := ann.PollLeaderboard(ctx, protocol.GetLeaderboard{PollID: "p1"}); err != nil || len(board.Entries) != 1 || board.Entries[0].Score != 0 {
		t.Errorf("%+v %v", board, err)
	}
	if list, err := ann.PollList(ctx, protocol.ListPolls{State: protocol.PollStopped}); err != nil || len(list.Polls) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := ann.PollList(ctx, protocol.ListPolls{Count: 1}); err != nil || list.Last != "p1" {
		t.Errorf("%+v %v", list, err)
	} else if next, err := ann.PollList(ctx, protocol.ListPolls{Count: 1, Start: list.Last}); err != nil || next.Last != "" || next.Polls[0].PollID != ref.PollID {
		t.Errorf("%+v %v", next, err)
	}
}

// A poll with a duration ends by itself.
func TestPollEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{})
	ann, annIn := h.join("ann", "broadcaster")
	lunch(t, ann, protocol.PollInfo{PollID: "p1", Duration: 1})
	if _, err := ann.StartPoll(t.Context(), protocol.PollRef{PollID: "p1"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool {
		for _, f := range annIn.take() {
			if f.Method == protocol.OnPollStop {
				return true
			}
		}
		return false
	})
	info, err := ann.Poll(t.Context(), protocol.PollRef{PollID: "p1"})
	if err != nil || info.State != protocol.PollStopped || info.StoppedBy != "" {
		t.Errorf("%+v %v", info, err)
	}
}

func TestPollRights(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	h.record.Template.Roles["viewer-realtime"].Permissions = policy.Permissions{}
	ann, _ := h.join("ann", "broadcaster")
	bob, _ := h.join("bob", "hls-viewer")
	cat, catIn := h.join("cat", "viewer-realtime") // may not even read
	lunch(t, ann, protocol.PollInfo{PollID: "p1"})
	if _, err := ann.StartPoll(t.Context(), protocol.PollRef{PollID: "p1"}); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, catIn)
	ctx, ref := t.Context(), protocol.PollRef{PollID: "p1"}
	for _, p := range []*Peer{bob, cat} {
		for name, err := range map[string]error{
			"set":       second(p.SetPoll(ctx, protocol.PollInfo{PollID: "p2"})),
			"questions": second(p.SetPollQuestions(ctx, protocol.PollQuestions{PollID: "p1"})),
			"start":     second(p.StartPoll(ctx, ref)),
			"stop":      second(p.StopPoll(ctx, ref)),
		} {
			if code(err) != 403 {
				t.Errorf("%s %s: %v", p.ID, name, err)
			}
		}
	}
	for name, err := range map[string]error{
		"get":         second(cat.Poll(ctx, ref)),
		"questions":   second(cat.PollQuestions(ctx, protocol.PollRange{PollID: "p1"})),
		"vote":        second(cat.Vote(ctx, protocol.PollVotes{PollID: "p1"})),
		"responses":   second(cat.PollResponses(ctx, protocol.PollRange{PollID: "p1", Self: true})),
		"result":      second(cat.PollResult(ctx, ref)),
		"list":        second(cat.PollList(ctx, protocol.ListPolls{})),
		"leaderboard": second(cat.PollLeaderboard(ctx, protocol.GetLeaderboard{PollID: "p1"})),
	} {
		if code(err) != 403 {
			t.Errorf("cat %s: %v", name, err)
		}
	}
	wantCode(t, second(ann.Poll(ctx, protocol.PollRef{PollID: "p9"})), 404)
	wantCode(t, second(ann.SetPoll(ctx, protocol.PollInfo{Vote: []string{"nobody"}})), 400)
	for i := range maxPolls - 1 {
		if _, err := ann.SetPoll(ctx, protocol.PollInfo{PollID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, second(ann.SetPoll(ctx, protocol.PollInfo{})), 413)
}

func second[T any](_ T, err error) error { return err }
