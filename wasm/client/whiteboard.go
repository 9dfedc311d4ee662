package client

import (
	"context"
	"encoding/json"

	"amphi/server/protocol"
)

// onWhiteboard is the notification that one was opened or closed.
const onWhiteboard = "on-whiteboard-update"

// Whiteboard is a whiteboard of the session. Address and Token are for the
// store that the drawing lives in (§12.2); the client does not draw.
type Whiteboard struct {
	ID          string          `json:"id"`
	Open        bool            `json:"open"`
	Title       string          `json:"title,omitempty"`
	Owner       string          `json:"owner,omitempty"`
	Permissions []string        `json:"permissions,omitempty"` // "read", "write", "admin"
	Attributes  json.RawMessage `json:"attributes,omitempty"`
	Address     string          `json:"addr,omitempty"`
	Token       string          `json:"token,omitempty"`
}

// NewWhiteboard is what a whiteboard is made with; the lists are names of roles.
type NewWhiteboard struct {
	Title  string   `json:"title"`
	Reader []string `json:"reader,omitempty"`
	Writer []string `json:"writer,omitempty"`
	Admin  []string `json:"admin,omitempty"`
}

// OpenWhiteboard opens the session's whiteboard, which it makes if there is none.
func (c *Client) OpenWhiteboard(ctx context.Context, create NewWhiteboard) error {
	s, err := c.inRoom()
	if err != nil {
		return err
	}
	var id string
	c.store.read(func(st *State) {
		for known := range st.Whiteboards {
			id = known
		}
		if create.Title == "" {
			create.Title = st.Room.Name + " Whiteboard"
		}
	})
	if id == "" {
		var made Whiteboard
		if err := s.link.request(ctx, protocol.MethodWhiteboardCreate, create, &made); err != nil {
			return asError(err, "NONE")
		}
		id = made.ID
	}
	board, err := s.whiteboard(ctx, id)
	if err != nil {
		return err
	}
	board.Title, board.Open = create.Title, true
	c.store.update(func(t *tx) { t.setWhiteboard(board) })
	return nil
}

// CloseWhiteboard closes it here. The server needs no message for that.
func (c *Client) CloseWhiteboard(id string) {
	c.store.update(func(t *tx) {
		for known, board := range t.Whiteboards {
			if id == "" || known == id {
				board.Open = false
				t.setWhiteboard(board)
			}
		}
	})
}

// whiteboard asks what this peer may do with it, and where it is.
func (s *session) whiteboard(ctx context.Context, id string) (Whiteboard, error) {
	board := Whiteboard{ID: id}
	params := struct {
		ID string `json:"id"`
	}{id}
	if err := s.link.request(ctx, protocol.MethodWhiteboardGet, params, &board); err != nil {
		return board, asError(err, "NONE")
	}
	return board, nil
}

// whiteboardChanged: somebody opened or closed it (§3.7.11). Who made it decides
// that alone.
func (s *session) whiteboardChanged(p struct {
	ID         string          `json:"id"`
	Title      string          `json:"title"`
	Owner      string          `json:"owner"`
	State      string          `json:"state"`
	Attributes json.RawMessage `json:"attributes"`
}) {
	if p.Owner == s.peerID || p.Owner == s.claims.UserID {
		return
	}
	board := Whiteboard{ID: p.ID, Title: p.Title, Owner: p.Owner, Attributes: p.Attributes}
	spawn(func() {
		if p.State == "open" {
			got, err := s.whiteboard(s.ctx, p.ID)
			if err != nil {
				s.c.log.Warn("whiteboard", "err", err)
				return
			}
			board.Permissions, board.Address, board.Token = got.Permissions, got.Address, got.Token
			board.Open = len(got.Permissions) > 0
		}
		s.c.store.update(func(t *tx) { t.setWhiteboard(board) })
	})
}

func (t *tx) setWhiteboard(w Whiteboard) {
	t.Whiteboards[w.ID] = w
	t.markEntry(fieldWhiteboards, w.ID)
}
