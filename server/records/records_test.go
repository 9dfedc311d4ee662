package records

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/analytics"
	"amphi/server/auth"
	"amphi/server/poll"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
	"amphi/server/store"
	"amphi/server/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is a socket that nobody reads.
type quiet struct{}

func (quiet) Send([]byte)  {}
func (quiet) Close(string) {}

// What is said, voted and changed in a live room is on record when the room is over.
func TestSessionIsOnRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		ctx, log := t.Context(), slog.New(slog.DiscardHandler)
		db, err := store.Open(ctx, where)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		seed, err := db.Seed(ctx, auth.NewRoomCode)
		if err != nil {
			t.Fatal(err)
		}
		quiz, err := db.AddPoll(ctx, store.Poll{WorkspaceID: seed.Workspace.ID, Title: "Quiz", Mode: poll.ByUserID, Type: "quiz", Start: "auto",
			Questions: []poll.Question{{
				PollQuestionText: protocol.PollQuestionText{Index: 1, Type: poll.SingleChoice, Text: "2+2?", Weight: 3},
				Answer:           protocol.PollAnswer{Options: []int{2}}, Options: []protocol.PollOption{{Index: 1, Text: "3"}, {Index: 2, Text: "4"}},
			}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ChangeRoom(ctx, seed.Workspace.ID, seed.Room.ID, func(r *store.Room) error { r.Polls = []string{quiz.ID}; return nil }); err != nil {
			t.Fatal(err)
		}
		media, err := sfu.New(sfu.Config{Loopback: true, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer media.Close()
		said := analytics.New(analytics.Config{Store: db, Keep: time.Hour, Most: 100, KeepChat: time.Hour, MostChat: 100, Log: log})
		rooms := room.NewRegistry(room.Config{SFU: media, Records: Records{db}, Observer: observer{said},
			Streamer: func() room.Streamer { return nil }, NewID: store.NewID, NodeID: "n", Log: log})

		r, err := rooms.Open(ctx, seed.Room.ID)
		if err != nil {
			t.Fatal(err)
		}
		ann, err := r.Connect(ctx, room.Identity{PeerID: "ann", UserID: "u1", Role: "broadcaster", TokenHash: sha256.Sum256(nil)}, quiet{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ann.Join(ctx, protocol.Join{Name: "Ann"}); err != nil {
			t.Fatal(err)
		}
		for _, option := range []int{1, 2} {
			if _, err := ann.Vote(ctx, protocol.PollVotes{PollID: quiz.ID, Responses: []protocol.PollVote{{Question: 1, Option: option, Duration: 5}}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ann.Broadcast(ctx, protocol.Broadcast{Info: protocol.Message{Message: "日本語 \x00 <b>"}, Roles: []string{"hls-viewer"}}); err != nil {
			t.Fatal(err)
		}
		anna := "Anna"
		if _, err := r.ChangePeer(ctx, "ann", room.PeerChange{Name: &anna}); err != nil {
			t.Fatal(err)
		}
		session := r.Info().SessionID
		rooms.Close()
		said.Close()

		responses, err := db.PollResponses(ctx, quiz.ID, store.ResponseFilter{All: true}, store.Page{Limit: 10})
		if err != nil || len(responses) != 2 {
			t.Fatalf("%+v %v", responses, err)
		}
		if v := responses[0]; v.Score != 3 || v.Options[0] != 2 || v.UserID != "u1" || v.PeerID != "ann" || v.Retries != 1 || v.SessionID != session {
			t.Errorf("%+v", v)
		}
		if v := responses[1]; v.Score != 0 || !v.Superseded {
			t.Errorf("%+v", v)
		}
		runs, err := db.PollSessions(ctx, quiz.ID, store.Page{Limit: 10})
		if err != nil || len(runs) != 1 || runs[0].StoppedAt.IsZero() || runs[0].Participants != 1 {
			t.Errorf("the run ends with the session: %+v %v", runs, err)
		}
		chat, err := db.Chat(ctx, session, store.Page{Limit: 10})
		if err != nil || len(chat) != 1 || chat[0].Name != "Ann" || chat[0].UserID != "u1" || chat[0].Roles[0] != "hls-viewer" || chat[0].Type != "chat" {
			t.Errorf("%+v %v", chat, err)
		}
		peers, err := db.Peers(ctx, session)
		if err != nil || len(peers) != 1 || peers[0].Name != "Anna" {
			t.Errorf("%+v %v", peers, err)
		}
	})
}

// observer is the collector, which hears of no refusals.
type observer struct{ *analytics.Collector }

func (observer) Refused(context.Context, room.Session, room.Stay, room.Refusal) error { return nil }
