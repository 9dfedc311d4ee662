package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"amphi/server/protocol"
	"amphi/server/store"
)

// maxMeetingURLBytes bounds a text that is only kept.
const maxMeetingURLBytes = 2048

// streamObject is a live stream as it is answered.
type streamObject struct {
	ID              string                `json:"id"`
	RoomID          string                `json:"room_id"`
	SessionID       string                `json:"session_id"`
	Status          store.Status          `json:"status"`
	Destination     string                `json:"destination"`
	MeetingURL      string                `json:"meeting_url"`
	Playback        playback              `json:"playback"`
	Recording       store.StreamRecording `json:"recording"`
	CreatedAt       time.Time             `json:"created_at"`
	StartedAt       *time.Time            `json:"started_at"`
	UpdatedAt       time.Time             `json:"updated_at"`
	StoppedAt       *time.Time            `json:"stopped_at"`
	StartedBy       string                `json:"started_by"`
	StoppedBy       string                `json:"stopped_by"`
	RecordingAssets []any                 `json:"recording_assets"` // null but for a single stream's GET
}

type playback struct {
	URL string `json:"url"`
}

func showStream(l store.LiveStream) streamObject {
	return streamObject{ID: l.ID, RoomID: l.RoomID, SessionID: l.SessionID, Status: l.Status, Destination: l.Destination,
		MeetingURL: l.MeetingURL, Playback: playback{l.PlaybackURL}, Recording: l.Recording, CreatedAt: l.CreatedAt,
		StartedAt: maybe(l.StartedAt), UpdatedAt: l.UpdatedAt, StoppedAt: maybe(l.StoppedAt), StartedBy: l.StartedBy, StoppedBy: l.StoppedBy}
}

// startInput is the body of a start. Fields for parts that this server does not have yet (transcription) are ignored,
// as unknown ones are.
type startInput struct {
	MeetingURL  string                 `json:"meeting_url"`
	Destination string                 `json:"destination"`
	Recording   *store.StreamRecording `json:"recording"`
}

func (a *API) startStream(r *http.Request, workspaceID string) (any, error) {
	var in startInput
	if err := decode(r, &in, false); err != nil {
		return nil, err
	}
	if in.MeetingURL != "" {
		u, err := url.Parse(in.MeetingURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(in.MeetingURL) > maxMeetingURLBytes {
			return nil, badParam("body", "meeting_url must be an http or https URL")
		}
	}
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return nil, err
	}
	if template.Policy.HLS(in.Destination) == nil && (in.Destination != "" || len(template.Policy.Destinations.HLS) == 0) {
		return nil, badParam("body", "destination: the room's template has no HLS destination %q", in.Destination)
	}
	o := StreamOptions{Destination: in.Destination, MeetingURL: in.MeetingURL}
	if in.Recording != nil {
		o.Recording = *in.Recording
	}
	l, err := a.Live.StartStream(r.Context(), room.ID, o)
	var refusal *protocol.Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusConflict {
		return nil, refuse(http.StatusBadRequest, "beam already started") // the text and status of the documented API
	}
	if err != nil {
		return nil, err
	}
	return showStream(l), nil
}

// stopRoomStream stops what runs in the room. It answers with a page of what it stopped, since other servers of this
// API can run several.
func (a *API) stopRoomStream(r *http.Request, workspaceID string) (any, error) {
	if err := decode(r, &struct{}{}, false); err != nil {
		return nil, err
	}
	room, err := a.room(r, workspaceID)
	if err != nil {
		return nil, err
	}
	l, err := a.Store.ActiveLiveStream(r.Context(), room.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoStream
	}
	if err != nil {
		return nil, err
	}
	if l, err = a.stop(r, l); err != nil {
		return nil, err
	}
	return listOf(minPage, []store.LiveStream{l}, showStream, streamID), nil
}

func (a *API) stopStream(r *http.Request, workspaceID string) (any, error) {
	if err := decode(r, &struct{}{}, false); err != nil {
		return nil, err
	}
	l, err := a.stream(r, workspaceID)
	if err != nil {
		return nil, err
	}
	if !l.Status.Active() {
		return nil, errNoStream
	}
	if l, err = a.stop(r, l); err != nil {
		return nil, err
	}
	return showStream(l), nil
}

// stop stops an active stream and returns its record after that.
func (a *API) stop(r *http.Request, l store.LiveStream) (store.LiveStream, error) {
	if err := a.Live.StopStream(r.Context(), l.RoomID); err != nil {
		return l, err
	}
	return a.Store.LiveStream(r.Context(), l.WorkspaceID, l.ID)
}

// stream returns the live stream of the path.
func (a *API) stream(r *http.Request, workspaceID string) (store.LiveStream, error) {
	l, err := a.Store.LiveStream(r.Context(), workspaceID, r.PathValue("stream_id"))
	if errors.Is(err, store.ErrNotFound) {
		return l, refuse(http.StatusNotFound, "live stream not found")
	}
	return l, err
}

func (a *API) getStream(r *http.Request, workspaceID string) (any, error) {
	l, err := a.stream(r, workspaceID)
	if err != nil {
		return nil, err
	}
	o := showStream(l)
	o.RecordingAssets = []any{}
	return o, nil
}

var statuses = []store.Status{store.StatusStarting, store.StatusRunning, store.StatusStopping, store.StatusPostProcessing,
	store.StatusCompleted, store.StatusFailed}

func (a *API) listStreams(r *http.Request, workspaceID string) (any, error) {
	q := queryOf(r)
	filter := store.StreamFilter{RoomID: q.id("room_id"), SessionID: q.id("session_id"), Status: store.Status(q.text("status"))}
	if filter.Status != "" && !slices.Contains(statuses, filter.Status) {
		q.bad("status", "must be one of %v", statuses)
	}
	page := q.page(store.IsID)
	if q.err != nil {
		return nil, q.err
	}
	streams, err := a.Store.LiveStreams(r.Context(), workspaceID, filter, page)
	if err != nil {
		return nil, err
	}
	return listOf(page.Limit, streams, showStream, streamID), nil
}

func streamID(l store.LiveStream) string { return l.ID }
