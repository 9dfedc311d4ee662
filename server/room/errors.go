package room

import (
	"errors"

	"amphi/server/protocol"
)

// Refusals that a caller turns into its own words. ErrClosed is returned by
// every call on a room that has ended.
var (
	ErrClosed   = errors.New("room is closed")
	ErrNotFound = errors.New("room not found")
	ErrDisabled = errors.New("room is disabled")
	// These two go to clients as they are; over HTTP they have another status.
	ErrRoleFull = &protocol.Error{Code: protocol.CodeForbidden, Message: "role limit reached"}
	ErrRoomFull = &protocol.Error{Code: protocol.CodeForbidden, Message: "the room is full"}
)

// Refusals that go to clients as they are.
var (
	errNotJoined    = &protocol.Error{Code: protocol.CodeConflict, Message: "join first"}
	errJoined       = &protocol.Error{Code: protocol.CodeConflict, Message: "already joined"}
	errLeft         = &protocol.Error{Code: protocol.CodeGone, Message: "you have left this room"}
	errNotAllowed   = &protocol.Error{Code: protocol.CodeForbidden, Message: "your role does not permit this"}
	errNoPeer       = &protocol.Error{Code: protocol.CodeNotFound, Message: "no such peer in the room"}
	errNoRole       = &protocol.Error{Code: protocol.CodeBadRequest, Message: "no such role in the room's template"}
	errTooFast      = &protocol.Error{Code: protocol.CodeTooMany, Message: "too many messages, slow down"}
	errPeerIDTaken  = &protocol.Error{Code: protocol.CodeForbidden, Message: "this peer id belongs to another token"}
	errRoomDisabled = &protocol.Error{Code: protocol.CodeForbidden, Message: "the room is disabled"}
	errForgotten    = &protocol.Error{Code: protocol.CodeGone, Message: "the server does not know this session any more, join again"}
	errStaleNode    = &protocol.Error{Code: protocol.CodeStaleNode, Message: "this is for connections that are no more"}
	errStaleToken   = &protocol.Error{Code: protocol.CodeForbidden, Message: "this role change was not asked for, or its time is over"}
)

// AsProtocol returns the error as clients should see it: refusals as they are,
// everything else as an internal error without its text.
func AsProtocol(err error) *protocol.Error {
	var e *protocol.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrClosed):
		return &protocol.Error{Code: protocol.CodeGone, Message: "the room has ended"}
	case errors.Is(err, ErrNotFound):
		return &protocol.Error{Code: protocol.CodeBadRequest, Message: "no such room"}
	case errors.Is(err, ErrDisabled):
		return errRoomDisabled
	default:
		return &protocol.Error{Code: protocol.CodeInternal, Message: "internal error"}
	}
}
