package api

import (
	"net/http"
	"time"

	"amphi/server/store"
)

func (a *API) sessionEndpoints() []endpoint {
	return described("Sessions",
		managed("GET", "/v2/sessions", "List sessions with their peers, the newest first", a.listSessions),
		managed("GET", "/v2/sessions/{session_id}", "Get a session with its peers", a.getSession),
	)
}

// sessionObject is a session as it is answered. It lasted from created_at to updated_at, unless it is active.
type sessionObject struct {
	ID         string                       `json:"id"`
	RoomID     string                       `json:"room_id"`
	CustomerID string                       `json:"customer_id"`
	AppID      string                       `json:"app_id"`
	Active     bool                         `json:"active"`
	Peers      map[string]sessionPeerObject `json:"peers"`
	CreatedAt  time.Time                    `json:"created_at"`
	UpdatedAt  time.Time                    `json:"updated_at"`
}

// sessionPeerObject is somebody's stay in a session.
type sessionPeerObject struct {
	ID        string     `json:"id"`
	SessionID string     `json:"session_id"`
	Name      string     `json:"name"`
	Role      string     `json:"role"`
	UserID    string     `json:"user_id"`
	JoinedAt  time.Time  `json:"joined_at"`
	LeftAt    *time.Time `json:"left_at,omitempty"` // absent while connected
}

func showSession(v store.Session, w store.Workspace, peers []store.Peer) sessionObject {
	o := sessionObject{ID: v.ID, RoomID: v.RoomID, CustomerID: w.ID, AppID: w.AppID, Active: v.EndedAt.IsZero(),
		Peers: make(map[string]sessionPeerObject, len(peers)), CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt}
	for _, p := range peers {
		o.Peers[p.ID] = sessionPeerObject{ID: p.ID, SessionID: p.SessionID, Name: p.Name, Role: p.Role, UserID: p.UserID,
			JoinedAt: p.JoinedAt, LeftAt: maybe(p.LeftAt)}
	}
	return o
}

// sessionQuery says which sessions are listed.
type sessionQuery struct {
	ID     objectID  `query:"id"` // an old form of GET /v2/sessions/{session_id}
	RoomID objectID  `query:"room_id"`
	Active *bool     `query:"active"` // absent: all
	After  time.Time `query:"after"`
	Before time.Time `query:"before"`
	pageQuery
}

func (a *API) listSessions(r *http.Request, workspaceID string, in sessionQuery) (list[sessionObject], error) {
	return a.sessions(r, workspaceID, store.SessionFilter{ID: string(in.ID), RoomID: string(in.RoomID), Active: in.Active,
		After: in.After, Before: in.Before}, in.page())
}

func (a *API) sessions(r *http.Request, workspaceID string, filter store.SessionFilter, page store.Page) (list[sessionObject], error) {
	var none list[sessionObject]
	sessions, err := a.Store.Sessions(r.Context(), workspaceID, filter, page)
	if err != nil {
		return none, err
	}
	peers, err := a.Store.PeersOf(r.Context(), sessions)
	if err != nil {
		return none, err
	}
	w, err := a.Store.Workspace(r.Context(), workspaceID)
	return listOf(page.Limit, sessions, func(v store.Session) sessionObject { return showSession(v, w, peers[v.ID]) },
		func(v store.Session) string { return v.ID }), err
}

func (a *API) getSession(r *http.Request, workspaceID string, _ nothing) (sessionObject, error) {
	found, err := a.sessions(r, workspaceID, store.SessionFilter{ID: r.PathValue("session_id")}, store.Page{Limit: 1})
	if err == nil && len(found.Data) == 0 {
		err = errNoSession
	}
	if err != nil {
		return sessionObject{}, err
	}
	return found.Data[0], nil
}
