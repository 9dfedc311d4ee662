package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"amphi/server/analytics"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

func (a *API) analyticsEndpoints() []endpoint {
	return described("Analytics",
		managed("GET", "/v2/analytics/events", "List what happened in a room: tracks, recordings, errors of clients; the newest first", a.listEvents),
		managed("GET", "/v2/analytics/peer-stats", "Get how good the media of a peer was", a.peerStats),
	)
}

// eventsQuery says which events are listed.
type eventsQuery struct {
	RoomID    objectID `query:"room_id"`
	Types     []string `query:"type"`
	SessionID objectID `query:"session_id"`
	PeerID    string   `query:"peer_id"`
	UserID    string   `query:"user_id"`
	BeamID    objectID `query:"beam_id"`
	Error     *bool    `query:"error"`
	Limit     int      `query:"limit"`
	Start     string   `query:"start"` // next of the page before
}

func (q *eventsQuery) check() error {
	if q.RoomID == "" {
		return badParam("query", "room_id is missing")
	}
	if len(q.Types) > maxEventNames {
		return badParam("query", "more than %d types", maxEventNames)
	}
	for _, t := range q.Types {
		if !slices.Contains(analytics.Types, t) {
			return badParam("query", "type must be one of %s", strings.Join(analytics.Types, ", "))
		}
	}
	if q.Limit == 0 {
		q.Limit = minPage
	}
	q.Limit = min(max(q.Limit, 1), maxPage)
	return nil
}

// eventsObject is a page of events.
type eventsObject struct {
	Limit  int           `json:"limit"` // number of events here
	Total  int           `json:"total"` // on all pages
	Next   string        `json:"next"`  // start of the next page; empty on the last one
	Events []eventObject `json:"events"`
}

// eventObject is something that happened.
type eventObject struct {
	Version   string          `json:"version"`
	ID        string          `json:"id"`
	Timestamp time.Time       `json:"timestamp"`
	Type      string          `json:"type"`
	Data      json.RawMessage `json:"data"`
}

// bookmark is where a list goes on. Newest keeps out what came after the first page was read.
type bookmark struct {
	newest, last int64
	expires      int64 // seconds since 1970
}

// bookmarkLife is how long a list can be gone on with.
const bookmarkLife = 24 * time.Hour

func (p bookmark) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d.%d", p.newest, p.last, p.expires))
}

// parseBookmark reads one that is still good.
func parseBookmark(s string, now time.Time) (p bookmark, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return p, false
	}
	_, err = fmt.Sscanf(string(text), "%d.%d.%d", &p.newest, &p.last, &p.expires)
	return p, err == nil && p.newest > 0 && p.last > 0 && now.Unix() < p.expires
}

func (a *API) listEvents(r *http.Request, workspaceID string, in eventsQuery) (eventsObject, error) {
	var o eventsObject
	now := time.Now()
	at := bookmark{expires: now.Add(bookmarkLife).Unix()}
	if in.Start != "" {
		var ok bool
		if at, ok = parseBookmark(in.Start, now); !ok {
			return o, badParam("query", "start must be the next of the page before, for a day")
		}
	}
	_, err := a.Store.Room(r.Context(), workspaceID, string(in.RoomID))
	if errors.Is(err, store.ErrNotFound) {
		return o, errNoRoom
	}
	if err == nil && at.newest == 0 {
		at.newest, err = a.Store.NewestAnalytics(r.Context())
	}
	if err != nil {
		return o, err
	}
	filter := store.AnalyticsFilter{RoomID: string(in.RoomID), SessionID: string(in.SessionID), PeerID: in.PeerID, UserID: in.UserID,
		BeamID: string(in.BeamID), Types: in.Types, Error: in.Error, Newest: at.newest}
	// One more than asked for tells whether there is a next page.
	events, total, err := a.Store.AnalyticsEvents(r.Context(), workspaceID, filter, at.last, in.Limit+1)
	if err != nil {
		return o, err
	}
	if len(events) > in.Limit {
		events = events[:in.Limit]
		at.last = events[in.Limit-1].Seq
		o.Next = at.String()
	}
	o.Limit, o.Total, o.Events = len(events), total, make([]eventObject, len(events))
	for i, e := range events {
		o.Events[i] = eventObject{Version: "2.0", ID: e.ID, Timestamp: e.At, Type: e.Type, Data: e.Data}
	}
	return o, nil
}

// statsQuery says whose media is meant.
type statsQuery struct {
	PeerID    string   `query:"peer_id"`
	SessionID objectID `query:"session_id"`
}

func (q *statsQuery) check() error {
	switch {
	case q.PeerID == "":
		return badParam("query", "peer_id is missing")
	case q.SessionID == "":
		return badParam("query", "session_id is missing")
	}
	return nil
}

// statsObject is how good the media of a peer was.
type statsObject struct {
	PeerID    string `json:"peer_id"`
	SessionID string `json:"session_id"`
	RoomID    string `json:"room_id"`
	analytics.PeerStats
}

func (a *API) peerStats(r *http.Request, workspaceID string, in statsQuery) (statsObject, error) {
	var o statsObject
	v, err := a.Store.Session(r.Context(), string(in.SessionID))
	if errors.Is(err, store.ErrNotFound) || err == nil && v.WorkspaceID != workspaceID {
		return o, errNoSession
	}
	if err != nil {
		return o, err
	}
	reports, err := a.Store.PeerReports(r.Context(), v.ID, in.PeerID)
	if err == nil && len(reports) == 0 {
		err = a.wasIn(r, v.ID, in.PeerID)
	}
	if err != nil {
		return o, err
	}
	o = statsObject{PeerID: in.PeerID, SessionID: v.ID, RoomID: v.RoomID}
	o.PeerStats, err = analytics.Summarize(reports)
	return o, err
}

// wasIn refuses a peer that has never been in the session.
func (a *API) wasIn(r *http.Request, sessionID, peerID string) error {
	peers, err := a.Store.Peers(r.Context(), sessionID)
	if err == nil && !slices.ContainsFunc(peers, func(p store.Peer) bool { return p.ID == peerID }) {
		err = refuse(http.StatusNotFound, "peer not found")
	}
	return err
}

// reportInput is what a client sends that cannot send it over its WebSocket.
type reportInput struct {
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
	Time    int64           `json:"timestamp"` // milliseconds since 1970, by the client's clock
	Peer    struct {
		ID        string `json:"peer_id"`
		SessionID string `json:"session_id"`
		Name      string `json:"user_name"`
	} `json:"peer"`
}

// report takes telemetry of a client. It is never refused: whatever is wrong with it, the client has worse problems, and
// would only send it again. Whose it is the token says, so nobody can report errors of others.
func (a *API) report(r *http.Request, _ unread) (struct{}, error) {
	var none struct{}
	body, err := io.ReadAll(r.Body)
	if err != nil || a.Reports == nil {
		return none, err
	}
	var in reportInput
	grant, err := a.verifier.App(r.Context(), bearer(r))
	if err != nil || json.Unmarshal(body, &in) != nil || len(in.Peer.ID) > maxUserIDBytes || len(in.Peer.Name) > maxUserIDBytes ||
		in.Peer.SessionID != "" && !store.IsID(in.Peer.SessionID) {
		return none, nil
	}
	if in.Event == protocol.ReportPublisherStats || in.Event == protocol.ReportSubscriberStats {
		return none, nil // only a socket proves which peer measured something
	}
	rec, err := a.Store.Room(r.Context(), grant.WorkspaceID, grant.RoomID)
	if err != nil {
		return none, nil
	}
	if v, err := a.Store.Session(r.Context(), in.Peer.SessionID); err != nil || v.RoomID != rec.ID {
		in.Peer.SessionID = ""
	}
	a.Reports.Reported(
		room.Info{RoomID: rec.ID, Name: rec.Name, CustomerID: rec.WorkspaceID, TemplateID: rec.TemplateID, SessionID: in.Peer.SessionID},
		room.Stay{PeerID: in.Peer.ID, UserID: grant.UserID, Name: in.Peer.Name, Role: grant.Role, Agent: r.Header.Get("User_agent_v2")},
		protocol.Analytics{Name: in.Event, Info: in.Payload, Timestamp: in.Time})
	return none, nil
}
