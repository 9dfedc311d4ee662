package api

import (
	"context"
	"net/http"
	"time"

	"amphi/server/pull"
)

// Puller is what the API needs of sources that are fetched onto stages. Its errors are a *protocol.Error when the
// caller may see them.
type Puller interface {
	Start(ctx context.Context, setup pull.Setup) (pull.Source, error)
	Stop(id string) (pull.Source, bool)
	Source(id string) (pull.Source, bool)
	// Sources returns those of a workspace, or of one of its rooms; the newest first.
	Sources(workspaceID, roomID string) []pull.Source
}

func (a *API) externalSourceEndpoints() []endpoint {
	return described("External sources",
		managed("GET", "/v2/external-sources", "List external sources, the newest first", a.listSources),
		managed("POST", "/v2/external-sources/room/{room_id}/start", "Fetch a camera or stream onto the stage of a room, over RTSP or HLS", a.startSource),
		managed("POST", "/v2/external-sources/room/{room_id}/stop", "Stop the external sources of a room", a.stopRoomSources),
		managed("GET", "/v2/external-sources/{id}", "Get an external source", a.getSource),
		managed("POST", "/v2/external-sources/{id}/stop", "Stop an external source", a.stopSource),
	)
}

var (
	errNoSources = refuse(http.StatusNotImplemented, "this server does not fetch streams from elsewhere")
	errNoSource  = refuse(http.StatusNotFound, "external source not found")
)

// sourceObject is an external source as it is answered.
type sourceObject struct {
	ID        string      `json:"id"`
	RoomID    string      `json:"room_id"`
	URL       string      `json:"url"` // without path, user and password
	Name      string      `json:"name"`
	Status    pull.Status `json:"status"`  // starting, running, returning, stopped, failed
	Problem   string      `json:"problem"` // why it is not on stage, or has ended
	CreatedAt time.Time   `json:"created_at"`
	StartedAt *time.Time  `json:"started_at"` // the first picture
	StoppedAt *time.Time  `json:"stopped_at"`
}

func showSource(s pull.Source) sourceObject {
	return sourceObject{ID: s.ID, RoomID: s.RoomID, URL: s.URL, Name: s.Name, Status: s.Status, Problem: s.Problem,
		CreatedAt: s.CreatedAt, StartedAt: maybe(s.StartedAt), StoppedAt: maybe(s.StoppedAt)}
}

// sourceInput is the body of a start.
type sourceInput struct {
	URL  string `json:"url"`
	Name string `json:"name"` // that the others in the room see; empty: the host
}

func (in *sourceInput) check() error {
	const longest = 256 // bytes of a name
	if _, err := pull.ParseURL(in.URL); err != nil {
		return badParam("body", "%s", "url must be of the form rtsp://…, rtsps://… or https://….m3u8")
	}
	if len(in.Name) > longest {
		return badParam("body", "name is longer than %d bytes", longest)
	}
	return nil
}

// sourceQuery narrows the list down.
type sourceQuery struct {
	RoomID objectID `query:"room_id"`
}

// listSources answers with all there are: they are few.
func (a *API) listSources(_ *http.Request, workspaceID string, in sourceQuery) (list[sourceObject], error) {
	var all []pull.Source
	if a.Puller != nil {
		all = a.Puller.Sources(workspaceID, string(in.RoomID))
	}
	return listOf(len(all), all, showSource, sourceID), nil
}

func (a *API) startSource(r *http.Request, workspaceID string, in sourceInput) (sourceObject, error) {
	room, _, err := a.openRoom(r, workspaceID)
	if err != nil {
		return sourceObject{}, err
	}
	if a.Puller == nil {
		return sourceObject{}, errNoSources
	}
	s, err := a.Puller.Start(r.Context(), pull.Setup{WorkspaceID: room.WorkspaceID, RoomID: room.ID, URL: in.URL, Name: in.Name})
	return showSource(s), err
}

// stopRoomSources answers with those that it stopped.
func (a *API) stopRoomSources(r *http.Request, workspaceID string, _ nothing) (list[sourceObject], error) {
	room, err := a.room(r, workspaceID)
	if err != nil || a.Puller == nil {
		return list[sourceObject]{}, err
	}
	var stopped []pull.Source
	for _, s := range a.Puller.Sources(workspaceID, room.ID) {
		if !s.Status.Ended() {
			if s, ok := a.Puller.Stop(s.ID); ok {
				stopped = append(stopped, s)
			}
		}
	}
	return listOf(len(stopped), stopped, showSource, sourceID), nil
}

// source returns the source of the path.
func (a *API) source(r *http.Request, workspaceID string) (pull.Source, error) {
	if a.Puller != nil {
		if s, ok := a.Puller.Source(r.PathValue("id")); ok && s.WorkspaceID == workspaceID {
			return s, nil
		}
	}
	return pull.Source{}, errNoSource
}

func (a *API) getSource(r *http.Request, workspaceID string, _ nothing) (sourceObject, error) {
	s, err := a.source(r, workspaceID)
	return showSource(s), err
}

func (a *API) stopSource(r *http.Request, workspaceID string, _ nothing) (sourceObject, error) {
	s, err := a.source(r, workspaceID)
	if err != nil {
		return sourceObject{}, err
	}
	s, _ = a.Puller.Stop(s.ID)
	return showSource(s), nil
}

func sourceID(s pull.Source) string { return s.ID }
