package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

// WhyNoRecording is the reason that recordings of a composed room end with on a server without a Recorder.
const WhyNoRecording = "this server does not record composed rooms"

func (a *API) recordingEndpoints() []endpoint {
	return described("Recordings",
		managed("GET", "/v2/recordings", "List recordings, the newest first", a.listRecordings),
		managed("POST", "/v2/recordings/room/{room_id}/start", "Record a composed room", a.startRecording),
		managed("POST", "/v2/recordings/room/{room_id}/stop", "Stop the recording of a room", a.stopRoomRecording),
		managed("POST", "/v2/recordings/room/{room_id}/pause", "Leave out what happens in a room until the recording is resumed", a.pauseRoomRecording),
		managed("POST", "/v2/recordings/room/{room_id}/resume", "Resume the recording of a room", a.resumeRoomRecording),
		managed("GET", "/v2/recordings/{id}", "Get a recording", a.getRecording),
		managed("POST", "/v2/recordings/{id}/stop", "Stop a recording", a.stopRecording),
	)
}

// recordingObject is a recording as it is answered.
type recordingObject struct {
	ID              string            `json:"id"`
	RoomID          string            `json:"room_id"`
	SessionID       string            `json:"session_id"`
	Status          store.Status      `json:"status"`
	CreatedAt       time.Time         `json:"created_at"`
	StartedAt       *time.Time        `json:"started_at"`
	UpdatedAt       time.Time         `json:"updated_at"`
	StoppedAt       *time.Time        `json:"stopped_at"`
	MeetingURL      string            `json:"meeting_url"`
	Destination     string            `json:"destination"`
	StartedBy       string            `json:"started_by"`
	StoppedBy       string            `json:"stopped_by"`
	Reason          string            `json:"reason,omitempty"` // why it stopped or failed
	AssetTypes      []store.AssetType `json:"asset_types"`      // null in lists, and while there are none
	RecordingAssets []inlineAsset     `json:"recording_assets"` // the same
}

func showRecording(j store.Job) recordingObject {
	return recordingObject{ID: j.ID, RoomID: j.RoomID, SessionID: j.SessionID, Status: j.Status, CreatedAt: j.CreatedAt,
		StartedAt: maybe(j.StartedAt), UpdatedAt: j.UpdatedAt, StoppedAt: maybe(j.StoppedAt), MeetingURL: j.Setup.MeetingURL,
		Destination: j.Setup.Destination, StartedBy: j.StartedBy, StoppedBy: j.StoppedBy, Reason: j.Reason}
}

// recordingInput is the body of a start.
type recordingInput struct {
	MeetingURL    string      `json:"meeting_url"`
	Resolution    *resolution `json:"resolution"`
	Destination   string      `json:"destination"`
	AudioOnly     bool        `json:"audio_only"`
	Transcription *struct {
		Enabled     bool     `json:"enabled"`
		OutputModes []string `json:"output_modes"`
	} `json:"transcription"`
}

var transcriptModes = []string{"txt", "srt", "json"}

func (in *recordingInput) check() error {
	if in.Transcription != nil && slices.ContainsFunc(in.Transcription.OutputModes, func(m string) bool { return !slices.Contains(transcriptModes, m) }) {
		return badParam("body", "transcription.output_modes must be of %v", transcriptModes)
	}
	return cmp.Or(in.Resolution.check(), checkMeetingURL(in.MeetingURL))
}

// setup completes what was asked for with what the template says.
func (in *recordingInput) setup(template *policy.Template) (store.JobSetup, error) {
	c, known := template.CompositeRecording(in.Destination)
	if !known {
		return store.JobSetup{}, badParam("body", "destination: the room's template has no recording %q", in.Destination)
	}
	size := in.Resolution.or(c.Width, c.Height)
	return store.JobSetup{MeetingURL: in.MeetingURL, Destination: in.Destination, Width: size.Width, Height: size.Height, AudioOnly: in.AudioOnly}, nil
}

func (a *API) startRecording(r *http.Request, workspaceID string, in recordingInput) (recordingObject, error) {
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return recordingObject{}, err
	}
	setup, err := in.setup(&template.Policy)
	if err != nil {
		return recordingObject{}, err
	}
	if a.Recorder == nil {
		j, err := a.failJob(r, store.Job{Kind: store.Recording, RoomID: room.ID, Setup: setup}, WhyNoRecording)
		return showRecording(j), err
	}
	j, err := a.Recorder.StartRecording(r.Context(), room.ID, setup)
	var refusal *protocol.Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusConflict {
		return recordingObject{}, refuse(http.StatusBadRequest, "beam already started") // the text and status of the documented API
	}
	return showRecording(j), err
}

// endRecording ends the recording of a job whose stop is on record.
func (a *API) endRecording(j store.Job) error {
	if a.Recorder == nil {
		return nil
	}
	var refusal *protocol.Error
	if err := a.Recorder.StopRecording(j.RoomID); !errors.As(err, &refusal) || refusal.Code != http.StatusNotFound {
		return err
	}
	return nil // it has ended by itself meanwhile
}

func (a *API) stopRoomRecording(r *http.Request, workspaceID string, _ nothing) (list[recordingObject], error) {
	j, err := a.stopActive(r, workspaceID, store.Recording)
	if err == nil {
		err = a.endRecording(j)
	}
	return listOf(minPage, []store.Job{j}, showRecording, jobID), err
}

func (a *API) stopRecording(r *http.Request, workspaceID string, _ nothing) (recordingObject, error) {
	j, err := a.stopJob(r, workspaceID, store.Recording)
	if err == nil {
		err = a.endRecording(j)
	}
	return showRecording(j), err
}

func (a *API) pauseRoomRecording(r *http.Request, workspaceID string, _ nothing) (recordingObject, error) {
	return a.setPaused(r, workspaceID, true)
}

func (a *API) resumeRoomRecording(r *http.Request, workspaceID string, _ nothing) (recordingObject, error) {
	return a.setPaused(r, workspaceID, false)
}

func (a *API) setPaused(r *http.Request, workspaceID string, paused bool) (recordingObject, error) {
	j, err := a.activeJob(r, workspaceID, store.Recording)
	if err != nil {
		return recordingObject{}, err
	}
	j, err = a.Store.PauseJob(r.Context(), j.ID, paused, time.Now())
	if err == nil && a.Recorder != nil {
		err = a.Recorder.PauseRecording(j.RoomID, paused)
	}
	return showRecording(j), jobError(store.Recording, err)
}

func (a *API) getRecording(r *http.Request, workspaceID string, _ nothing) (recordingObject, error) {
	j, err := a.job(r, workspaceID, store.Recording)
	if err != nil {
		return recordingObject{}, err
	}
	assets, err := a.Store.AssetsOf(r.Context(), j.ID)
	o := showRecording(j)
	o.RecordingAssets = showInline(assets[j.ID])
	for _, asset := range assets[j.ID] {
		if !slices.Contains(o.AssetTypes, asset.Type) {
			o.AssetTypes = append(o.AssetTypes, asset.Type)
		}
	}
	return o, err
}

func (a *API) listRecordings(r *http.Request, workspaceID string, in jobQuery) (list[recordingObject], error) {
	jobs, err := a.Store.Jobs(r.Context(), workspaceID, store.Recording, in.filter(), in.page())
	return listOf(int(in.Limit), jobs, showRecording, jobID), err
}
