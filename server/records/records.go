// Package records lets rooms read and write the store, which they do not know.
package records

import (
	"context"
	"errors"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// Records is the room.Records of a store.
type Records struct{ DB *store.Store }

var _ room.Records = Records{}

// largeRoom is the size of a large room that names none.
const largeRoom = 20_000

// LoadRoom implements room.Records.
func (r Records) LoadRoom(ctx context.Context, roomID string) (room.Record, error) {
	if !store.IsID(roomID) {
		return room.Record{}, room.ErrNotFound
	}
	rec, err := r.DB.AnyRoom(ctx, roomID)
	if errors.Is(err, store.ErrNotFound) {
		return room.Record{}, room.ErrNotFound
	}
	if err != nil {
		return room.Record{}, err
	}
	template, err := r.DB.Template(ctx, rec.WorkspaceID, rec.TemplateID)
	if err != nil {
		return room.Record{}, err
	}
	template.Policy.Complete()
	size := rec.Size
	if size == 0 && rec.LargeRoom {
		size = largeRoom
	}
	return room.Record{
		RoomID: rec.ID, Name: rec.Name, Description: rec.Description, CustomerID: rec.WorkspaceID,
		TemplateID: rec.TemplateID, Template: &template.Policy, Enabled: rec.Enabled, LargeRoom: rec.LargeRoom, MaxPeers: size,
		MaxDuration: time.Duration(rec.MaxDurationSeconds) * time.Second,
	}, nil
}

// DisableRoom implements room.Records.
func (r Records) DisableRoom(ctx context.Context, roomID string) error {
	rec, err := r.DB.AnyRoom(ctx, roomID)
	if err != nil {
		return err
	}
	_, err = r.DB.ChangeRoom(ctx, rec.WorkspaceID, roomID, func(rec *store.Room) error {
		rec.Enabled = false
		return nil
	})
	return err
}

// SessionOpened implements room.Records.
func (r Records) SessionOpened(ctx context.Context, s room.Session) error {
	_, err := r.DB.OpenSession(ctx, s.ID, s.RoomID, s.Started)
	return err
}

// PeerJoined implements room.Records.
func (r Records) PeerJoined(ctx context.Context, s room.Session, p room.Stay) error {
	return r.DB.PeerJoined(ctx, store.Peer{
		ID: p.PeerID, SessionID: s.ID, Name: p.Name, Role: p.Role, UserID: p.UserID, JoinedAt: p.Joined,
	}, p.Data)
}

// RoleChanged implements room.Records.
func (r Records) RoleChanged(ctx context.Context, s room.Session, p room.Stay, c room.RoleChange) error {
	return r.DB.RoleChanged(ctx, s.ID, p.PeerID, store.RoleChange{At: c.At, Role: p.Role, RequestedBy: c.By, Data: p.Data})
}

// PeerLeft implements room.Records.
func (r Records) PeerLeft(ctx context.Context, s room.Session, p room.Stay, d room.Departure) error {
	return r.DB.PeerLeft(ctx, s.ID, p.PeerID, store.Leave{At: d.At, Reason: d.Reason, Message: d.Message, Data: p.Data})
}

// SessionEnded implements room.Records.
func (r Records) SessionEnded(ctx context.Context, s room.Session, e room.Ending) error {
	return r.DB.RoomEnded(ctx, s.ID, store.RoomEnd{At: e.At, PeerID: e.By, Lock: e.Lock, Reason: e.Reason})
}

// SaveState implements room.Records.
func (r Records) SaveState(ctx context.Context, s room.Session, state []byte) error {
	return r.DB.SaveLiveRoom(ctx, store.LiveRoom{RoomID: s.RoomID, SessionID: s.ID, State: string(state)})
}

// LinkedPolls implements room.Records.
func (r Records) LinkedPolls(ctx context.Context, roomID string) ([]room.LinkedPoll, error) {
	rec, err := r.DB.AnyRoom(ctx, roomID)
	if err != nil {
		return nil, err
	}
	var list []room.LinkedPoll
	for _, id := range rec.Polls {
		p, err := r.DB.Poll(ctx, rec.WorkspaceID, id)
		if err != nil {
			return list, err
		}
		linked := room.LinkedPoll{Auto: p.Start == "auto", Info: protocol.PollInfo{
			PollID: p.ID, Title: p.Title, Type: p.Type, Duration: p.Duration, Anonymous: p.Anonymous, Mode: p.Mode,
		}}
		for _, q := range p.Questions {
			linked.Questions = append(linked.Questions, q.Wire())
		}
		list = append(list, linked)
	}
	return list, nil
}

// PollStarted implements room.Records.
func (r Records) PollStarted(ctx context.Context, s room.Session, run room.PollRun) error {
	return r.DB.StartPoll(ctx, run.ID, run.PollID, s.ID, run.At)
}

// PollVoted implements room.Records.
func (r Records) PollVoted(ctx context.Context, run room.PollRun, votes []room.CastVote) error {
	responses := make([]store.PollResponse, len(votes))
	for i, v := range votes {
		responses[i] = store.PollResponse{
			PollSessionID: run.ID, Question: v.Answer.Question, Participant: v.Voter.Hash, PeerID: v.Voter.PeerID, UserID: v.Voter.UserID,
			Skipped: v.Answer.Skipped, Text: v.Answer.Text, Options: v.Answer.Options,
			Duration: time.Duration(v.Answer.Duration) * time.Millisecond, Score: v.Score, SentAt: v.At,
		}
		if v.Answer.Option > 0 {
			responses[i].Options = []int{v.Answer.Option}
		}
	}
	_, err := r.DB.AddPollResponses(ctx, responses...)
	return err
}

// PollStopped implements room.Records.
func (r Records) PollStopped(ctx context.Context, run room.PollRun, at time.Time) error {
	return r.DB.StopPoll(ctx, run.ID, at)
}

// PeerRenamed implements room.Records.
func (r Records) PeerRenamed(ctx context.Context, s room.Session, p room.Stay) error {
	return r.DB.PeerRenamed(ctx, s.ID, p.PeerID, p.Name)
}

// SessionClosed implements room.Records.
func (r Records) SessionClosed(ctx context.Context, s room.Session, at time.Time) error {
	return r.DB.CloseSession(ctx, s.ID, at)
}
