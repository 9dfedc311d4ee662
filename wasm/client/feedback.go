package client

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// Feedback is what somebody says of a call after it.
type Feedback struct {
	Question  string   `json:"question,omitempty"`
	Rating    float64  `json:"rating"`
	MinRating float64  `json:"min_rating,omitempty"`
	MaxRating float64  `json:"max_rating,omitempty"`
	Reasons   []string `json:"reasons,omitempty"`
	Comment   string   `json:"comment,omitempty"`
}

// stay is what is remembered of the last stay in a room, for feedback about it.
type stay struct {
	PeerID    string `json:"peer_id"`
	Role      string `json:"role,omitempty"`
	JoinedAt  int64  `json:"joined_at,omitempty"`
	LeftAt    int64  `json:"left_at,omitempty"`
	RoomName  string `json:"room_name,omitempty"`
	StartedAt int64  `json:"session_started_at,omitempty"`
	UserID    string `json:"user_data,omitempty"`
	UserName  string `json:"user_name,omitempty"`
	Template  string `json:"template_id,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	Token     string `json:"token"`

	origin, socket string
}

// stayOf reads it from the state, before that is reset.
func stayOf(s *session, st *State) *stay {
	local := st.LocalPeer()
	return &stay{
		PeerID: s.peerID, Role: local.RoleName, JoinedAt: st.Room.JoinedAt, LeftAt: time.Now().UnixMilli(),
		RoomName: st.Room.Name, StartedAt: st.Room.StartedAt, UserID: s.claims.UserID, UserName: local.Name,
		Template: st.Room.TemplateID, SessionID: st.Room.SessionID, Token: s.config.AuthToken,
		origin: s.config.InitEndpoint, socket: s.init.Endpoint,
	}
}

// SubmitFeedback sends feedback about the last call, to the server that it was
// on or to another (endpoint) (§2.8).
func (c *Client) SubmitFeedback(ctx context.Context, feedback Feedback, endpoint string) error {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if last == nil {
		return newError(codeNotReady, "FEEDBACK", "there was no call yet")
	}
	if endpoint == "" {
		endpoint = last.origin
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return newError(codeUnreachable, "FEEDBACK", "endpoint %q is no address", endpoint)
	}
	u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/v2/client/feedback"}
	body, err := json.Marshal(map[string]any{
		"peer": last, "agent": userAgent(), "cluster": map[string]string{"websocket_url": last.socket},
		"timestamp": time.Now().UnixMilli(), "payload": feedback,
	})
	if err != nil {
		return err
	}
	status, answer, err := httpDo(ctx, "POST", u.String(), map[string]string{"Authorization": "Bearer " + last.Token}, string(body))
	if err != nil {
		return newError(codeUnreachable, "FEEDBACK", "%w", err)
	}
	if status >= 400 {
		return httpError(status, answer, "FEEDBACK")
	}
	return nil
}
