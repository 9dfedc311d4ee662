package main

import (
	"context"

	"amphi/server/analytics"
	"amphi/server/room"
	"amphi/server/store"
)

// observer is told what happens in rooms besides their records: refusals become webhooks, everything else analytics.
type observer struct {
	*analytics.Collector
	db *store.Store
}

var _ room.Observer = observer{}

// Refused implements room.Observer.
func (o observer) Refused(ctx context.Context, s room.Session, p room.Stay, f room.Refusal) error {
	peer := store.Peer{ID: p.PeerID, SessionID: s.ID, Name: p.Name, Role: p.Role, UserID: p.UserID}
	switch f.Of {
	case room.JoinRefused:
		return o.db.JoinFailed(ctx, s.RoomID, peer, p.Data, f.Message, f.At)
	case room.LeaveRefused:
		return o.db.LeaveFailed(ctx, s.RoomID, peer, p.Data, f.Message, f.At)
	case room.RoleChangeRefused:
		return o.db.RoleChangeFailed(ctx, s.ID, p.PeerID, store.RoleChange{At: f.At, Role: f.Role, RequestedBy: f.By, Data: p.Data}, f.Message)
	default:
		end := store.RoomEnd{At: f.At, PeerID: f.By, Lock: f.Ending.Lock, Reason: f.Ending.Reason}
		return o.db.RoomEndFailed(ctx, s.RoomID, s.ID, end, f.Code, f.Message)
	}
}
