package api

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"amphi/server/rtmp"
	"amphi/server/store"
)

var errNoStreamKey = refuse(http.StatusNotFound, "No active key found")

func (a *API) streamKeyEndpoints() []endpoint {
	return described("Stream keys",
		managed("POST", "/v2/stream-keys/room/{room_id}", "Make the key that streaming software sends a room's live stream with", a.createStreamKey),
		managed("GET", "/v2/stream-keys/room/{room_id}", "Get the key of a room", a.getStreamKey),
		managed("POST", "/v2/stream-keys/room/{room_id}/disable", "Take the key of a room away", a.disableStreamKey).answering(http.StatusCreated),
	)
}

// streamKeyObject is a stream key as it is answered.
type streamKeyObject struct {
	ID         string    `json:"id"`
	URL        string    `json:"url"` // where to stream to; empty: this server takes no RTMP
	Key        string    `json:"key"`
	RoomID     string    `json:"room_id"`
	CustomerID string    `json:"customer_id"`
	AppID      string    `json:"app_id"`
	Enabled    bool      `json:"enabled"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

func (a *API) showStreamKey(r *http.Request, k store.StreamKey) (streamKeyObject, error) {
	w, err := a.Store.Workspace(r.Context(), k.WorkspaceID)
	address := ""
	if a.RTMPPort > 0 {
		if base, err := url.Parse(a.socketURL(r)); err == nil {
			address = "rtmp://" + net.JoinHostPort(base.Hostname(), strconv.Itoa(a.RTMPPort)) + "/" + rtmp.App
		}
	}
	return streamKeyObject{ID: k.ID, URL: address, Key: k.Key, RoomID: k.RoomID, CustomerID: w.ID, AppID: w.AppID, Enabled: k.Enabled,
		CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt}, err
}

func (a *API) createStreamKey(r *http.Request, workspaceID string, _ nothing) (streamKeyObject, error) {
	room, _, err := a.openRoom(r, workspaceID)
	if err != nil {
		return streamKeyObject{}, err
	}
	k, err := a.Store.NewStreamKey(r.Context(), room.ID)
	if errors.Is(err, store.ErrConflict) {
		return streamKeyObject{}, refuse(http.StatusBadRequest, "Active key already exists")
	}
	if err != nil {
		return streamKeyObject{}, err
	}
	return a.showStreamKey(r, k)
}

// streamKeyList is a list of one.
type streamKeyList struct {
	Data []streamKeyObject `json:"data"`
	Last string            `json:"last"`
}

func (a *API) getStreamKey(r *http.Request, workspaceID string, _ nothing) (streamKeyList, error) {
	room, _, err := a.openRoom(r, workspaceID)
	if err != nil {
		return streamKeyList{}, err
	}
	k, err := a.Store.StreamKey(r.Context(), room.ID)
	if err != nil {
		return streamKeyList{}, streamKeyError(err)
	}
	o, err := a.showStreamKey(r, k)
	return streamKeyList{Data: []streamKeyObject{o}, Last: o.ID}, err
}

func (a *API) disableStreamKey(r *http.Request, workspaceID string, _ nothing) (messageObject, error) {
	room, _, err := a.openRoom(r, workspaceID)
	if err != nil {
		return messageObject{}, err
	}
	return messageObject{"key disabled successfully"}, streamKeyError(a.Store.DisableStreamKey(r.Context(), room.ID))
}

func streamKeyError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoStreamKey
	}
	return err
}
