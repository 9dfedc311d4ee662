package store

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"amphi/server/poll"
	"amphi/server/protocol"
	"amphi/server/store/storetest"
)

func TestPolls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx, w := t.Context(), seed.Workspace.ID
		p, err := s.AddPoll(ctx, Poll{WorkspaceID: w, Title: "Quiz", Duration: 60, Anonymous: true, Mode: poll.ByPeerID, Type: "quiz", Start: "manual",
			Questions: []poll.Question{{
				PollQuestionText: protocol.PollQuestionText{Index: 1, Text: "2+2?", Type: poll.SingleChoice, Attachments: []protocol.PollAttachment{{Type: "image/png", URL: "https://a"}}},
				Answer:           protocol.PollAnswer{Options: []int{2}}, Options: []protocol.PollOption{{Index: 1, Text: "3", Weight: 1}, {Index: 2, Text: "4", Weight: 1}},
			}}})
		check(t, err)
		if got, err := s.Poll(ctx, w, p.ID); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got  %+v\nwant %+v %v", got, p, err)
		}
		changed, err := s.ChangePoll(ctx, w, p.ID, func(p *Poll) error { p.Title = "Other"; p.Questions[0].Weight = 7; return nil })
		check(t, err)
		stop := errors.New("stop")
		if _, err := s.ChangePoll(ctx, w, p.ID, func(p *Poll) error { p.Title = "lost"; return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
		if got, err := s.Poll(ctx, w, p.ID); err != nil || !reflect.DeepEqual(got, changed) || got.Title != "Other" || got.Questions[0].Weight != 7 {
			t.Errorf("got  %+v\nwant %+v %v", got, changed, err)
		}
		for _, err := range []error{last(s.Poll(ctx, NewID(), p.ID)), last(s.Poll(ctx, w, NewID())), last(s.ChangePoll(ctx, NewID(), p.ID, nil))} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestPollRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		s, seed := seeded(t, where)
		ctx := t.Context()
		p, err := s.AddPoll(ctx, Poll{WorkspaceID: seed.Workspace.ID})
		check(t, err)
		_, err = s.OpenSession(ctx, "S", seed.Room.ID, start)
		check(t, err)
		run := NewID()
		check(t, s.StartPoll(ctx, run, p.ID, "S", start))
		if err := s.StartPoll(ctx, NewID(), p.ID, "S", start); !errors.Is(err, ErrConflict) {
			t.Errorf("started twice: %v", err)
		}
		response := func(participant string, question int) PollResponse {
			return PollResponse{PollSessionID: run, Question: question, Participant: participant, UserID: participant,
				Options: []int{question}, Text: "t", Duration: 1500 * time.Millisecond, Score: 3, SentAt: start}
		}
		added, err := s.AddPollResponses(ctx, response("ann", 1), response("ann", 1))
		check(t, err)
		first, second := added[0], added[1]
		if added, err = s.AddPollResponses(ctx, response("ann", 1), response("bob", 2)); err != nil {
			t.Fatal(err)
		}
		third, bob := added[0], added[1]
		if _, err := s.AddPollResponses(ctx, response("eve", 1), PollResponse{PollSessionID: "none"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("half of them: %v", err)
		}
		if third.Original != first.ID || third.Retries != 2 || second.Original != first.ID || first.Original != "" || third.PollID != p.ID {
			t.Errorf("%+v\n%+v", second, third)
		}
		first.Superseded, second.Superseded = true, true
		for _, tc := range []struct {
			f    ResponseFilter
			page Page
			want []PollResponse
		}{
			{ResponseFilter{}, Page{Limit: 10}, []PollResponse{bob, third}},
			{ResponseFilter{All: true}, Page{Limit: 10}, []PollResponse{bob, third, second, first}},
			{ResponseFilter{All: true}, Page{Limit: 2, Start: third.ID}, []PollResponse{second, first}},
			{ResponseFilter{Question: 2}, Page{Limit: 10}, []PollResponse{bob}},
			{ResponseFilter{Question: 3}, Page{Limit: 10}, nil},
		} {
			if got, err := s.PollResponses(ctx, p.ID, tc.f, tc.page); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v\ngot  %+v\nwant %+v %v", tc.f, got, tc.want, err)
			}
		}
		if got, err := s.PollResponse(ctx, p.ID, third.ID); err != nil || !reflect.DeepEqual(got, third) {
			t.Errorf("%+v %v", got, err)
		}

		// Answers of one participant at the same moment: all are kept, one counts.
		var kept atomic.Int64
		race(t, []*Store{s}, 12, func(s *Store, i int) error {
			_, err := s.AddPollResponses(ctx, response("eve", 1))
			return count(err, &kept)
		})
		valid, err := s.PollResponses(ctx, p.ID, ResponseFilter{Question: 1}, Page{Limit: 100})
		if err != nil || len(valid) != 2 || kept.Load() != 12 {
			t.Errorf("%d count of %d, %v", len(valid), kept.Load(), err)
		}

		check(t, s.StopPoll(ctx, run, start.Add(time.Minute)))
		check(t, s.StopPoll(ctx, run, start.Add(time.Hour)))
		if _, err := s.AddPollResponses(ctx, response("late", 1)); !errors.Is(err, ErrConflict) {
			t.Errorf("a response after the end: %v", err)
		}
		want := PollSession{ID: run, PollID: p.ID, SessionID: "S", StartedAt: trunc(start), StoppedAt: trunc(start.Add(time.Minute)), Responses: 16, Participants: 3}
		if got, err := s.PollSession(ctx, p.ID, run); err != nil || got != want {
			t.Errorf("got  %+v\nwant %+v %v", got, want, err)
		}
		again := NewID()
		check(t, s.StartPoll(ctx, again, p.ID, "S", start))
		if got, err := s.PollSessions(ctx, p.ID, Page{Limit: 10}); err != nil || len(got) != 2 || got[0].ID != again || got[1] != want {
			t.Errorf("%+v %v", got, err)
		}
		check(t, s.CloseSession(ctx, "S", start.Add(time.Hour)))
		if got, err := s.PollSession(ctx, p.ID, again); err != nil || !got.StoppedAt.Equal(trunc(start.Add(time.Hour))) {
			t.Errorf("the poll runs on without the session: %+v %v", got, err)
		}
		for _, err := range []error{last(s.PollSession(ctx, NewID(), run)), last(s.PollResponse(ctx, NewID(), bob.ID)),
			last(s.AddPollResponses(ctx, PollResponse{PollSessionID: NewID()}))} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v", err)
			}
		}
	})
}
