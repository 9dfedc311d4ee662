package main

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"amphi/server/config"
	"amphi/server/room"
)

// whiteboards gives peers access to a whiteboard store of the operator's own, which knows the secret.
type whiteboards struct{ cfg config.Whiteboard }

var _ room.Whiteboards = whiteboards{}

// whiteboardTokenLife is longer than any session.
const whiteboardTokenLife = 24 * time.Hour

// Access implements room.Whiteboards.
func (w whiteboards) Access(a room.WhiteboardAccess) (addr, token string, err error) {
	now := time.Now()
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"type": "whiteboard", "room_id": a.RoomID, "session_id": a.SessionID, "whiteboard_id": a.BoardID,
		"peer_id": a.PeerID, "user_id": a.UserID, "permissions": a.Permissions,
		"iat": now.Unix(), "exp": now.Add(whiteboardTokenLife).Unix(),
	}).SignedString([]byte(w.cfg.Secret))
	return w.cfg.Addr, token, err
}
