package main

import (
	"context"
	"errors"
	"time"

	"amphi/server/room"
	"amphi/server/store"
)

// records lets rooms read and write the store, which they do not know.
type records struct{ db *store.Store }

var _ room.Records = records{}

// largeRoom is the size of a large room that names none.
const largeRoom = 20_000

// LoadRoom implements room.Records.
func (r records) LoadRoom(ctx context.Context, roomID string) (room.Record, error) {
	if !store.IsID(roomID) {
		return room.Record{}, room.ErrNotFound
	}
	rec, err := r.db.AnyRoom(ctx, roomID)
	if errors.Is(err, store.ErrNotFound) {
		return room.Record{}, room.ErrNotFound
	}
	if err != nil {
		return room.Record{}, err
	}
	template, err := r.db.Template(ctx, rec.WorkspaceID, rec.TemplateID)
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
func (r records) DisableRoom(ctx context.Context, roomID string) error {
	rec, err := r.db.AnyRoom(ctx, roomID)
	if err != nil {
		return err
	}
	_, err = r.db.ChangeRoom(ctx, rec.WorkspaceID, roomID, func(rec *store.Room) error {
		rec.Enabled = false
		return nil
	})
	return err
}

// SessionOpened implements room.Records.
func (r records) SessionOpened(ctx context.Context, s room.Session) error {
	_, err := r.db.OpenSession(ctx, s.ID, s.RoomID, s.Started)
	return err
}

// PeerJoined implements room.Records.
func (r records) PeerJoined(ctx context.Context, s room.Session, p room.Stay) error {
	return r.db.PeerJoined(ctx, store.Peer{
		ID: p.PeerID, SessionID: s.ID, Name: p.Name, Role: p.Role, UserID: p.UserID, JoinedAt: p.Joined,
	}, p.Data)
}

// RoleChanged implements room.Records.
func (r records) RoleChanged(ctx context.Context, s room.Session, p room.Stay, c room.RoleChange) error {
	return r.db.RoleChanged(ctx, s.ID, p.PeerID, store.RoleChange{At: c.At, Role: p.Role, RequestedBy: c.By, Data: p.Data})
}

// PeerLeft implements room.Records.
func (r records) PeerLeft(ctx context.Context, s room.Session, p room.Stay, d room.Departure) error {
	return r.db.PeerLeft(ctx, s.ID, p.PeerID, store.Leave{At: d.At, Reason: d.Reason, Message: d.Message, Data: p.Data})
}

// SessionEnded implements room.Records.
func (r records) SessionEnded(ctx context.Context, s room.Session, e room.Ending) error {
	return r.db.RoomEnded(ctx, s.ID, store.RoomEnd{At: e.At, PeerID: e.By, Lock: e.Lock, Reason: e.Reason})
}

// SessionClosed implements room.Records.
func (r records) SessionClosed(ctx context.Context, s room.Session, at time.Time) error {
	return r.db.CloseSession(ctx, s.ID, at)
}
