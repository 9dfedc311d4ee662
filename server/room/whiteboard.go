package room

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// Whiteboards gives access to the store that holds what is drawn, which is a
// server of its own. The room knows who has which rights, and tells everybody of
// the board.
type Whiteboards interface {
	Access(a WhiteboardAccess) (addr, token string, err error)
}

// WhiteboardAccess is what a token is made of.
type WhiteboardAccess struct {
	RoomID      string
	SessionID   string
	BoardID     string
	PeerID      string
	UserID      string
	Permissions []string // protocol.Whiteboard…
}

// whiteboard is the one of a session. It is open from its making until its owner
// leaves: clients say nothing when they close it.
type whiteboard struct {
	id     string
	title  string
	owner  string // user id
	peerID string // of the owner
	rights policy.WhiteboardRights
}

const maxBoardTitle = 256 // bytes

var (
	errNoWhiteboards = &protocol.Error{Code: protocol.CodeForbidden, Message: "the whiteboard is not enabled on this server"}
	errNoWhiteboard  = &protocol.Error{Code: protocol.CodeNotFound, Message: "no such whiteboard in this session"}
)

// CreateWhiteboard makes the session's whiteboard, in place of one that there was.
func (p *Peer) CreateWhiteboard(ctx context.Context, req protocol.WhiteboardCreate) (ref protocol.WhiteboardRef, err error) {
	r := p.room
	if r.registry.cfg.Whiteboard == nil {
		return ref, errNoWhiteboards
	}
	switch {
	case len(req.Title) > maxBoardTitle:
		return ref, protocol.Errorf(protocol.CodeTooLarge, "title longer than %d bytes", maxBoardTitle)
	case !p.chat.Allow():
		return ref, errTooFast
	}
	err = p.doJoined(ctx, func() error {
		rights := r.rec.Template.Whiteboard()
		if !slices.Contains(rights.Admin, p.role.Name) {
			return errNotAllowed
		}
		asked := slices.Concat(req.Admin, req.Writer, req.Reader)
		for _, name := range asked {
			if r.role(name) == nil {
				return errNoRole
			}
		}
		if len(asked) > 0 {
			rights = policy.WhiteboardRights{Admin: req.Admin, Writer: req.Writer, Reader: req.Reader}
		}
		r.board = &whiteboard{id: uuid.NewString(), title: req.Title, owner: p.info.UserID, peerID: p.ID, rights: rights}
		ref = protocol.WhiteboardRef{ID: r.board.id, Owner: r.board.owner}
		r.tell(protocol.OnWhiteboardUpdate, r.board.update(protocol.WhiteboardOpen), everybody)
		return nil
	})
	return ref, err
}

// Whiteboard tells the peer where the whiteboard is and what it may do there.
func (p *Peer) Whiteboard(ctx context.Context, req protocol.WhiteboardRef) (w protocol.Whiteboard, err error) {
	r := p.room
	if r.registry.cfg.Whiteboard == nil {
		return w, errNoWhiteboards
	}
	var access WhiteboardAccess
	err = p.doJoined(ctx, func() error {
		b := r.board
		if b == nil || b.id != req.ID {
			return errNoWhiteboard
		}
		w = protocol.Whiteboard{ID: b.id, Owner: b.owner, Permissions: b.permissions(p.role.Name)}
		access = WhiteboardAccess{
			RoomID: r.rec.RoomID, SessionID: r.session.ID, BoardID: b.id, PeerID: p.ID, UserID: p.info.UserID, Permissions: w.Permissions,
		}
		return nil
	})
	if err == nil && len(w.Permissions) > 0 {
		w.Addr, w.Token, err = r.registry.cfg.Whiteboard.Access(access)
	}
	return w, err
}

// permissions are those of a role, never nil.
func (b *whiteboard) permissions(role string) []string {
	list := []string{}
	for _, right := range []struct {
		roles []string
		name  string
	}{
		{b.rights.Reader, protocol.WhiteboardRead}, {b.rights.Writer, protocol.WhiteboardWrite}, {b.rights.Admin, protocol.WhiteboardAdmin},
	} {
		if slices.Contains(right.roles, role) {
			list = append(list, right.name)
		}
	}
	return list
}

func (b *whiteboard) update(state string) protocol.WhiteboardUpdate {
	return protocol.WhiteboardUpdate{ID: b.id, Title: b.title, Owner: b.owner, State: state}
}

// tellWhiteboard tells somebody who joins or comes back of the open board.
func (r *Room) tellWhiteboard(p *Peer) {
	if r.board != nil {
		p.notify(protocol.OnWhiteboardUpdate, r.board.update(protocol.WhiteboardOpen))
	}
}

// closeWhiteboard ends the board of somebody who leaves.
func (r *Room) closeWhiteboard(owner *Peer) {
	if r.board != nil && r.board.peerID == owner.ID {
		r.tell(protocol.OnWhiteboardUpdate, r.board.update(protocol.WhiteboardClosed), everybody)
		r.board = nil
	}
}
