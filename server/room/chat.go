package room

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"amphi/server/protocol"
)

const (
	maxMessageTypeBytes = 64
	maxGroupBytes       = 64
	maxGroups           = 16 // of one peer
	maxMessageRoles     = 32
)

// Broadcast sends a chat message or custom event to all others, to some roles,
// or to one peer. The sender is not sent its own message (trap 13).
func (p *Peer) Broadcast(ctx context.Context, req protocol.Broadcast) (result protocol.BroadcastResult, err error) {
	r := p.room
	if req.Info.Type == "" {
		req.Info.Type = "chat"
	}
	if err := r.checkMessage(req.Info); err != nil {
		return result, err
	}
	switch {
	case len(req.Roles) > maxMessageRoles:
		return result, protocol.Errorf(protocol.CodeTooLarge, "more than %d roles", maxMessageRoles)
	case !p.chat.Allow():
		return result, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		result = protocol.BroadcastResult{MessageID: uuid.NewString(), Timestamp: time.Now().UnixMilli()}
		from := p.wire(false)
		event := protocol.BroadcastEvent{
			Peer: &from, Roles: req.Roles, Private: req.PeerID != "",
			MessageID: result.MessageID, Timestamp: result.Timestamp, Info: req.Info,
		}
		to := audience{But: p.ID}
		switch {
		case req.PeerID != "":
			if r.visible(req.PeerID) == nil {
				return errNoPeer
			}
			event.Roles = nil
			to.Only = req.PeerID
		case len(req.Roles) > 0:
			for _, name := range req.Roles {
				if r.role(name) == nil {
					return errNoRole
				}
			}
			to.Roles = req.Roles
		}
		r.say(p, event, to)
		return nil
	})
	return result, err
}

// JoinGroup and LeaveGroup change the groups of the peer itself, or of another
// one when req names it, which takes the right to change roles. Everybody hears
// of it, the peer concerned included: its own hand goes up by that (§3.6.6).
func (p *Peer) JoinGroup(ctx context.Context, req protocol.GroupChange) (protocol.GroupResult, error) {
	return p.changeGroup(ctx, req, true)
}

// LeaveGroup is the opposite of JoinGroup.
func (p *Peer) LeaveGroup(ctx context.Context, req protocol.GroupChange) (protocol.GroupResult, error) {
	return p.changeGroup(ctx, req, false)
}

func (p *Peer) changeGroup(ctx context.Context, req protocol.GroupChange, in bool) (result protocol.GroupResult, err error) {
	r := p.room
	if !p.chat.Allow() {
		return result, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		if req.Name == "" || len(req.Name) > maxGroupBytes {
			return protocol.Errorf(protocol.CodeBadRequest, "group name must have 1 to %d bytes", maxGroupBytes)
		}
		target := p
		if req.PeerID != "" && req.PeerID != p.ID {
			if !p.role.Permissions.ChangeRole {
				return errNotAllowed
			}
			if target = r.visible(req.PeerID); target == nil {
				return errNoPeer
			}
		}
		has := slices.Contains(target.groups, req.Name)
		// Groups are replaced, never changed in place: frames hold the old slice.
		switch {
		case in && !has:
			if len(target.groups) >= maxGroups {
				return protocol.Errorf(protocol.CodeTooLarge, "more than %d groups", maxGroups)
			}
			target.groups = append(slices.Clone(target.groups), req.Name)
		case !in && has:
			target.groups = slices.DeleteFunc(slices.Clone(target.groups), func(g string) bool { return g == req.Name })
		}
		if in != has {
			r.announceChange(target, true)
			r.touchStage(target)
			r.changed()
		}
		result.Groups = target.groups
		return nil
	})
	return result, err
}

// checkMessage refuses messages that are too long.
func (r *Room) checkMessage(m protocol.Message) error {
	switch {
	case len(m.Message) > r.limits.MessageBytes:
		return protocol.Errorf(protocol.CodeTooLarge, "message longer than %d bytes", r.limits.MessageBytes)
	case len(m.Type) > maxMessageTypeBytes:
		return protocol.Errorf(protocol.CodeTooLarge, "message type longer than %d bytes", maxMessageTypeBytes)
	}
	return nil
}

// Say sends a message from the server to everybody, to one role or to one peer.
func (r *Room) Say(ctx context.Context, info protocol.Message, role, peerID string) error {
	if err := r.checkMessage(info); err != nil {
		return err
	}
	return r.do(ctx, func() error {
		event := protocol.BroadcastEvent{
			Private: peerID != "", MessageID: uuid.NewString(), Timestamp: time.Now().UnixMilli(), Info: info,
		}
		var to audience
		switch {
		case peerID != "":
			if r.visible(peerID) == nil {
				return errNoPeer
			}
			to.Only = peerID
		case role != "":
			if r.role(role) == nil {
				return errNoRole
			}
			event.Roles = []string{role}
			to.Roles = event.Roles
		}
		r.say(nil, event, to)
		return nil
	})
}
