package api

import (
	"errors"
	"net/http"
	"time"

	"amphi/server/store"
)

// What external streams and recordings have in common: a room is composed for something.

// resolution is the size of a composed picture, in pixels.
type resolution struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

var defaultResolution = resolution{1280, 720}

// Bounds of a resolution. Its sides may change places: 1080 by 1920 is right, 1920 by 1920 is not.
const (
	minWidth          = 500
	minHeight         = 480
	minPortraitHeight = 500
	maxLongSide       = 1920
	maxShortSide      = 1080
)

func (r *resolution) check() error {
	switch {
	case r == nil:
		return nil
	case r.Width == 0 || r.Height == 0:
		return badParam("body", "resolution needs width and height")
	case r.Width < minWidth || r.Height < minHeight || r.Height > r.Width && r.Height < minPortraitHeight:
		return badParam("body", "resolution must be at least 500x480, or 500x500 in portrait")
	case max(r.Width, r.Height) > maxLongSide || min(r.Width, r.Height) > maxShortSide:
		return badParam("body", "resolution must be at most 1920x1080 or 1080x1920")
	}
	return nil
}

// or returns the first resolution that is one.
func (r *resolution) or(width, height int) resolution {
	switch {
	case r != nil:
		return *r
	case width > 0 && height > 0:
		return resolution{width, height}
	default:
		return defaultResolution
	}
}

// failJob records a job that is right, but that this server has no part for: it ends at once, and says why in its
// record and in a webhook event.
func (a *API) failJob(r *http.Request, j store.Job, why string) (store.Job, error) {
	j, err := a.Store.StartJob(r.Context(), j)
	if errors.Is(err, store.ErrConflict) {
		return j, refuse(http.StatusBadRequest, "beam already started")
	}
	if err != nil {
		return j, err
	}
	return a.Store.JobFailed(r.Context(), j.ID, store.Failure{At: time.Now(), Type: "INTERNAL_ERROR", Message: why})
}

// activeJob returns the job of that kind that runs in the room of the path.
func (a *API) activeJob(r *http.Request, workspaceID string, kind store.JobKind) (store.Job, error) {
	room, err := a.room(r, workspaceID)
	if err != nil {
		return store.Job{}, err
	}
	j, err := a.Store.ActiveJob(r.Context(), room.ID, kind)
	return j, jobError(kind, err)
}

// stopActive stops what runs in the room of the path.
func (a *API) stopActive(r *http.Request, workspaceID string, kind store.JobKind) (store.Job, error) {
	j, err := a.activeJob(r, workspaceID, kind)
	if err != nil {
		return j, err
	}
	j, err = a.Store.JobStopping(r.Context(), j.ID, "", time.Now())
	return j, jobError(kind, err)
}

// job returns the job of the path.
func (a *API) job(r *http.Request, workspaceID string, kind store.JobKind) (store.Job, error) {
	j, err := a.Store.Job(r.Context(), workspaceID, kind, r.PathValue("id"))
	if errors.Is(err, store.ErrNotFound) {
		return j, refuse(http.StatusNotFound, "%s not found", kindWords[kind])
	}
	return j, err
}

// stopJob stops the job of the path.
func (a *API) stopJob(r *http.Request, workspaceID string, kind store.JobKind) (store.Job, error) {
	j, err := a.job(r, workspaceID, kind)
	if err != nil {
		return j, err
	}
	j, err = a.Store.JobStopping(r.Context(), j.ID, "", time.Now())
	return j, jobError(kind, err)
}

var kindWords = map[store.JobKind]string{store.Recording: "recording", store.ExternalStream: "external stream"}

// jobError is what the caller learns of a job that is not there, or not in the right state: it does not run.
func jobError(kind store.JobKind, err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return refuse(http.StatusNotFound, "%s not running", kindWords[kind]).because(err)
	}
	return err
}

func (in *jobQuery) filter() store.StreamFilter {
	return store.StreamFilter{RoomID: string(in.RoomID), SessionID: string(in.SessionID), Status: store.Status(in.Status)}
}

func jobID(j store.Job) string { return j.ID }
