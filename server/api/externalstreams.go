package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

// Pusher is what the API needs of pushes to other services. Its errors are a *protocol.Error when the caller may see
// them.
type Pusher interface {
	// StartPush pushes a composed room, live or not, and returns the record once the start is accepted. Code 409 when
	// the room is pushed already.
	StartPush(ctx context.Context, roomID string, setup store.JobSetup) (store.Job, error)
	// StopPush ends the push of a room whose stop is on record. Code 404 when none runs.
	StopPush(ctx context.Context, roomID string) error
}

// WhyNoRTMP is the reason that pushes end with on a server without a Pusher.
const WhyNoRTMP = "this server does not push streams to other services"

func (a *API) externalStreamEndpoints() []endpoint {
	return described("External streams",
		managed("GET", "/v2/external-streams", "List external streams, the newest first", a.listPushes),
		managed("POST", "/v2/external-streams/room/{room_id}/start", "Push a room to other services over RTMP", a.startPush),
		managed("POST", "/v2/external-streams/room/{room_id}/stop", "Stop the external stream of a room", a.stopRoomPush),
		managed("GET", "/v2/external-streams/{id}", "Get an external stream", a.getPush),
		managed("POST", "/v2/external-streams/{id}/stop", "Stop an external stream", a.stopPush),
	)
}

// pushObject is an external stream as it is answered.
type pushObject struct {
	ID              string        `json:"id"`
	RoomID          string        `json:"room_id"`
	SessionID       string        `json:"session_id"`
	Status          store.Status  `json:"status"`
	Destination     string        `json:"destination"`
	RTMPURLs        []string      `json:"rtmp_urls"`
	MeetingURL      string        `json:"meeting_url"`
	Recording       bool          `json:"recording"`
	Resolution      resolution    `json:"resolution"`
	CreatedAt       time.Time     `json:"created_at"`
	StartedAt       *time.Time    `json:"started_at"`
	StoppedAt       *time.Time    `json:"stopped_at"`
	UpdatedAt       time.Time     `json:"updated_at"`
	StartedBy       string        `json:"started_by"`
	StoppedBy       string        `json:"stopped_by"`
	Reason          string        `json:"reason,omitempty"` // why it stopped or failed
	RecordingAssets []inlineAsset `json:"recording_assets"` // null while there are none
}

func showPush(j store.Job) pushObject {
	return pushObject{ID: j.ID, RoomID: j.RoomID, SessionID: j.SessionID, Status: j.Status, Destination: j.Setup.Destination,
		RTMPURLs: j.Setup.RTMPURLs, MeetingURL: j.Setup.MeetingURL, Recording: j.Setup.Recording, Resolution: resolution{j.Setup.Width, j.Setup.Height},
		CreatedAt: j.CreatedAt, StartedAt: maybe(j.StartedAt), StoppedAt: maybe(j.StoppedAt), UpdatedAt: j.UpdatedAt,
		StartedBy: j.StartedBy, StoppedBy: j.StoppedBy, Reason: j.Reason}
}

// pushInput is the body of a start.
type pushInput struct {
	MeetingURL  string      `json:"meeting_url"`
	RTMPURLs    []string    `json:"rtmp_urls"`
	Recording   *bool       `json:"recording"`
	Resolution  *resolution `json:"resolution"`
	Destination string      `json:"destination"`
}

func (in *pushInput) check() error {
	if len(in.RTMPURLs) > policy.MaxPushes {
		return badParam("body", "rtmp_urls has more than %d addresses", policy.MaxPushes)
	}
	if slices.ContainsFunc(in.RTMPURLs, func(u string) bool { return !policy.IsRTMP(u) }) {
		// Not which: the address ends in a secret.
		return badParam("body", "rtmp_urls must be of the form rtmp://host/app/STREAM_KEY or rtmps://…")
	}
	return cmp.Or(in.Resolution.check(), checkMeetingURL(in.MeetingURL))
}

// setup completes what was asked for with what the template says.
func (in *pushInput) setup(template *policy.Template) (store.JobSetup, error) {
	destinations := template.Destinations.RTMP
	d, name := destinations[in.Destination], in.Destination
	switch {
	case name != "" && d == nil:
		return store.JobSetup{}, badParam("body", "destination: the room's template has no RTMP destination %q", name)
	case name == "" && len(destinations) == 1:
		for name, d = range destinations { // the only one
		}
	case d == nil:
		d = &policy.RTMPDestination{}
	}
	urls := in.RTMPURLs
	if len(urls) == 0 {
		urls = d.RTMPURLs
	}
	if len(urls) == 0 {
		return store.JobSetup{}, badParam("body", "rtmp_urls is missing")
	}
	recording := d.RecordingEnabled
	set(&recording, in.Recording)
	size := in.Resolution.or(d.Width, d.Height)
	return store.JobSetup{MeetingURL: in.MeetingURL, Destination: name, Width: size.Width, Height: size.Height, RTMPURLs: urls, Recording: recording}, nil
}

func (a *API) startPush(r *http.Request, workspaceID string, in pushInput) (pushObject, error) {
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return pushObject{}, err
	}
	setup, err := in.setup(&template.Policy)
	if err != nil {
		return pushObject{}, err
	}
	if a.Pusher == nil {
		j, err := a.failJob(r, store.Job{Kind: store.ExternalStream, RoomID: room.ID, Setup: setup}, WhyNoRTMP)
		return showPush(j), err
	}
	j, err := a.Pusher.StartPush(r.Context(), room.ID, setup)
	var refusal *protocol.Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusConflict {
		return pushObject{}, refuse(http.StatusBadRequest, "beam already started") // as of live streams
	}
	return showPush(j), err
}

func (a *API) stopRoomPush(r *http.Request, workspaceID string, _ nothing) (list[pushObject], error) {
	j, err := a.stopActive(r, workspaceID, store.ExternalStream)
	if err == nil {
		err = a.endPush(r, j)
	}
	return listOf(minPage, []store.Job{j}, showPush, jobID), err
}

func (a *API) stopPush(r *http.Request, workspaceID string, _ nothing) (pushObject, error) {
	j, err := a.stopJob(r, workspaceID, store.ExternalStream)
	if err == nil {
		err = a.endPush(r, j)
	}
	return showPush(j), err
}

// endPush ends the push of a job whose stop is on record. One that has just ended by itself is as good.
func (a *API) endPush(r *http.Request, j store.Job) error {
	if a.Pusher == nil {
		return nil
	}
	err := a.Pusher.StopPush(r.Context(), j.RoomID)
	var refusal *protocol.Error
	if errors.As(err, &refusal) && refusal.Code == http.StatusNotFound {
		return nil
	}
	return err
}

func (a *API) getPush(r *http.Request, workspaceID string, _ nothing) (pushObject, error) {
	j, err := a.job(r, workspaceID, store.ExternalStream)
	if err != nil {
		return pushObject{}, err
	}
	assets, err := a.Store.AssetsOf(r.Context(), j.ID)
	o := showPush(j)
	o.RecordingAssets = showInline(assets[j.ID])
	return o, err
}

func (a *API) listPushes(r *http.Request, workspaceID string, in jobQuery) (list[pushObject], error) {
	jobs, err := a.Store.Jobs(r.Context(), workspaceID, store.ExternalStream, in.filter(), in.page())
	if err != nil {
		return list[pushObject]{}, err
	}
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		ids[i] = j.ID
	}
	assets, err := a.Store.AssetsOf(r.Context(), ids...)
	return listOf(int(in.Limit), jobs, func(j store.Job) pushObject {
		o := showPush(j)
		o.RecordingAssets = showInline(assets[j.ID])
		return o
	}, jobID), err
}
