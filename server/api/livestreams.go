package api

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

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
	RecordingAssets []inlineAsset         `json:"recording_assets"` // null but for a single stream's GET
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

func (in *startInput) check() error { return checkMeetingURL(in.MeetingURL) }

// checkMeetingURL checks the address of a page that joins a meeting. It may be absent.
func checkMeetingURL(text string) error {
	if text != "" && !policy.IsMeetingURL(text) {
		return badParam("body", "meeting_url must be an http or https URL")
	}
	return nil
}

func (a *API) liveStreamEndpoints() []endpoint {
	return described("Live streams",
		managed("GET", "/v2/live-streams", "List live streams, the newest first", a.listStreams),
		managed("POST", "/v2/live-streams/room/{room_id}/start", "Start the composed stream of a room", a.startStream),
		managed("POST", "/v2/live-streams/room/{room_id}/stop", "Stop what runs in a room", a.stopRoomStream),
		managed("GET", "/v2/live-streams/{stream_id}", "Get a live stream", a.getStream),
		managed("POST", "/v2/live-streams/{stream_id}/stop", "Stop a live stream", a.stopStream),
		managed("POST", "/v2/live-streams/{stream_id}/timed-metadata", "Give players a payload at the present moment of the stream", a.sendMetadata),
		managed("POST", "/v2/live-streams/{stream_id}/pause-recording", "Pause the recording of a live stream", a.pauseStreamRecording),
		managed("POST", "/v2/live-streams/{stream_id}/resume-recording", "Resume the recording of a live stream", a.resumeStreamRecording),
	)
}

func (a *API) startStream(r *http.Request, workspaceID string, in startInput) (streamObject, error) {
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return streamObject{}, err
	}
	if template.Policy.HLS(in.Destination) == nil && (in.Destination != "" || len(template.Policy.Destinations.HLS) == 0) {
		return streamObject{}, badParam("body", "destination: the room's template has no HLS destination %q", in.Destination)
	}
	o := StreamOptions{Destination: in.Destination, MeetingURL: in.MeetingURL, Recording: in.Recording}
	l, err := a.Live.StartStream(r.Context(), room.ID, o)
	var refusal *protocol.Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusConflict {
		return streamObject{}, refuse(http.StatusBadRequest, "beam already started") // the text and status of the documented API
	}
	return showStream(l), err
}

// stopRoomStream stops what runs in the room. It answers with a page of what it stopped, since other servers of this
// API can run several.
func (a *API) stopRoomStream(r *http.Request, workspaceID string, _ nothing) (list[streamObject], error) {
	var none list[streamObject]
	room, err := a.room(r, workspaceID)
	if err != nil {
		return none, err
	}
	l, err := a.Store.ActiveLiveStream(r.Context(), room.ID)
	if errors.Is(err, store.ErrNotFound) {
		return none, errNoStream
	}
	if err != nil {
		return none, err
	}
	if l, err = a.stop(r, l); err != nil {
		return none, err
	}
	return listOf(minPage, []store.LiveStream{l}, showStream, streamID), nil
}

func (a *API) stopStream(r *http.Request, workspaceID string, _ nothing) (streamObject, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return streamObject{}, err
	}
	l, err = a.stop(r, l)
	return showStream(l), err
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

// activeStream returns the live stream of the path, which must run.
func (a *API) activeStream(r *http.Request, workspaceID string) (store.LiveStream, error) {
	l, err := a.stream(r, workspaceID)
	if err == nil && !l.Status.Active() {
		err = errNoStream
	}
	return l, err
}

// metadataInput is timed metadata.
type metadataInput struct {
	Payload  string `json:"payload"`  // at most 100 characters
	Duration int    `json:"duration"` // seconds
}

func (in *metadataInput) check() error {
	err := protocol.TimedMetadata(*in).Check()
	var refusal *protocol.Error
	if errors.As(err, &refusal) {
		return badParam("body", "%s", refusal.Message)
	}
	return nil
}

func (a *API) sendMetadata(r *http.Request, workspaceID string, in metadataInput) (streamObject, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return streamObject{}, err
	}
	return showStream(l), a.Live.SendMetadata(r.Context(), l.RoomID, protocol.TimedMetadata(in))
}

func (a *API) pauseStreamRecording(r *http.Request, workspaceID string, _ nothing) (streamObject, error) {
	return a.setStreamPaused(r, workspaceID, true)
}

func (a *API) resumeStreamRecording(r *http.Request, workspaceID string, _ nothing) (streamObject, error) {
	return a.setStreamPaused(r, workspaceID, false)
}

func (a *API) setStreamPaused(r *http.Request, workspaceID string, paused bool) (streamObject, error) {
	l, err := a.activeStream(r, workspaceID)
	if err != nil {
		return streamObject{}, err
	}
	return showStream(l), a.pauseHLSRecording(l.RoomID, paused)
}

// pauseHLSRecording pauses or resumes the recording of a room's live stream.
func (a *API) pauseHLSRecording(roomID string, paused bool) error {
	if a.Recorder == nil {
		return refuse(http.StatusBadRequest, "the live stream is not being recorded")
	}
	return a.Recorder.PauseHLSRecording(roomID, paused)
}

func (a *API) getStream(r *http.Request, workspaceID string, _ nothing) (streamObject, error) {
	l, err := a.stream(r, workspaceID)
	if err != nil {
		return streamObject{}, err
	}
	assets, err := a.Store.AssetsOf(r.Context(), l.ID)
	o := showStream(l)
	o.RecordingAssets = append([]inlineAsset{}, showInline(assets[l.ID])...)
	return o, err
}

// jobQuery says which live streams, external streams or recordings are listed.
type jobQuery struct {
	RoomID    objectID `query:"room_id"`
	SessionID objectID `query:"session_id"`
	Status    string   `query:"status"`
	pageQuery
}

var statuses = []store.Status{store.StatusStarting, store.StatusRunning, store.StatusStopping, store.StatusPostProcessing,
	store.StatusCompleted, store.StatusFailed}

func (in *jobQuery) check() error {
	if in.Status != "" && !slices.Contains(statuses, store.Status(in.Status)) {
		return badParam("query", "status must be one of %v", statuses)
	}
	return nil
}

func (a *API) listStreams(r *http.Request, workspaceID string, in jobQuery) (list[streamObject], error) {
	filter := store.StreamFilter{RoomID: string(in.RoomID), SessionID: string(in.SessionID), Status: store.Status(in.Status)}
	streams, err := a.Store.LiveStreams(r.Context(), workspaceID, filter, in.page())
	return listOf(int(in.Limit), streams, showStream, streamID), err
}

func streamID(l store.LiveStream) string { return l.ID }
