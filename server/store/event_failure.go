package store

import (
	"context"
	"time"
)

// Messages of failures, as webhooks name them.
const (
	FailedRole        = "role not allowed"
	FailedNetwork     = "network disconnection"
	FailedDuplicateID = "duplicate peer id"
	FailedNotJoined   = "Peer not joined"
	FailedRoleLimit   = "role limit reached"
	FailedNoSession   = "session not found"
)

// failedPeerEvent is the data of peer.join.failure, and begins that of peer.leave.failure. Who has not joined is in no
// session.
type failedPeerEvent struct {
	RoomID       string    `json:"room_id"`
	RoomName     string    `json:"room_name"`
	TemplateID   string    `json:"template_id"`
	PeerID       string    `json:"peer_id"`
	UserID       string    `json:"user_id"`
	UserName     string    `json:"user_name"`
	UserData     string    `json:"user_data"`
	Role         string    `json:"role"`
	JoinedAt     time.Time `json:"joined_at"` // never
	Type         string    `json:"type"`
	ErrorMessage string    `json:"error_message"`
}

func newFailedPeerEvent(r Room, p Peer, data, message string) failedPeerEvent {
	return failedPeerEvent{RoomID: r.ID, RoomName: r.Name, TemplateID: r.TemplateID, PeerID: p.ID, UserID: p.UserID, UserName: p.Name,
		UserData: data, Role: p.Role, Type: "regular", ErrorMessage: message}
}

// failedLeaveEvent is the data of peer.leave.failure.
type failedLeaveEvent struct {
	failedPeerEvent
	LeftAt   time.Time `json:"left_at"` // never
	Duration int       `json:"duration"`
}

// failedRoleEvent is the data of role.change.failure. The role is the one that was wanted.
type failedRoleEvent struct {
	peerEvent
	RequestedBy  string `json:"role_change_requested_by,omitempty"`
	ErrorMessage string `json:"error_message"`
}

// failedEndEvent is the data of room.end.failure.
type failedEndEvent struct {
	endEvent
	ErrorCode    int    `json:"error_code"`
	ErrorMessage string `json:"error_message"`
}

// JoinFailed tells that somebody was not let in. data is the peer's metadata. Event peer.join.failure.
func (s *Store) JoinFailed(ctx context.Context, roomID string, p Peer, data, message string, at time.Time) error {
	return s.tell(ctx, roomID, at, "peer.join.failure", func(r Room) any { return newFailedPeerEvent(r, p, data, message) })
}

// LeaveFailed tells that somebody wanted to leave who had not joined. Event peer.leave.failure.
func (s *Store) LeaveFailed(ctx context.Context, roomID string, p Peer, data, message string, at time.Time) error {
	return s.tell(ctx, roomID, at, "peer.leave.failure", func(r Room) any {
		return failedLeaveEvent{failedPeerEvent: newFailedPeerEvent(r, p, data, message)}
	})
}

// tell writes an event that goes with no change of a record.
func (s *Store) tell(ctx context.Context, roomID string, at time.Time, kind string, data func(Room) any) error {
	return s.update(ctx, func(t *tx) error {
		room, err := t.room(roomID)
		if err != nil {
			return err
		}
		return t.event(room, at, kind, data(room))
	})
}

// RoleChangeFailed tells that a peer did not get the role c.Role. Event role.change.failure.
func (s *Store) RoleChangeFailed(ctx context.Context, sessionID, peerID string, c RoleChange, message string) error {
	return s.update(ctx, func(t *tx) error {
		v, room, err := t.sessionAndRoom(sessionID)
		if err != nil {
			return err
		}
		p, err := t.peer(sessionID, peerID)
		if err != nil {
			return err
		}
		p.Role = c.Role
		return t.event(room, c.At, "role.change.failure", failedRoleEvent{peerEvent: newPeerEvent(room, v, p, c.Data),
			RequestedBy: c.RequestedBy, ErrorMessage: message})
	})
}

// RoomEndFailed tells that somebody could not end a room; sessionID is empty when it has no session. Event
// room.end.failure.
func (s *Store) RoomEndFailed(ctx context.Context, roomID, sessionID string, e RoomEnd, code int, message string) error {
	return s.update(ctx, func(t *tx) error {
		room, err := t.room(roomID)
		if err != nil {
			return err
		}
		var v Session
		if sessionID != "" {
			if v, err = t.session(sessionID); err != nil {
				return err
			}
		}
		d, err := t.newEndEvent(room, v, e)
		if err != nil {
			return err
		}
		return t.event(room, e.At, "room.end.failure", failedEndEvent{endEvent: d, ErrorCode: code, ErrorMessage: message})
	})
}

func (t *tx) newEndEvent(room Room, v Session, e RoomEnd) (endEvent, error) {
	d := endEvent{roomRef: refTo(room, v), PeerID: e.PeerID, LockRoom: e.Lock, Reason: e.Reason, Source: "api", SessionStartedAt: v.CreatedAt}
	if e.PeerID == "" {
		return d, nil
	}
	p, err := t.peer(v.ID, e.PeerID)
	d.Source, d.UserID, d.UserName, d.Role = "peer", p.UserID, p.Name, p.Role
	return d, err
}
