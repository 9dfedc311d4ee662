package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"amphi/server/policy"
	"amphi/server/store"
)

// The old paths of the API that integrations still call: other names for what the newer endpoints do.

func (a *API) legacyEndpoints() []endpoint {
	return described("Old paths",
		managed("POST", "/api/v2/rooms", "Make a room; template is a name, active means enabled", a.legacyRoom),
		managed("POST", "/api/v2/beam", "Start or stop a recording or a push over RTMP; starts are recorded, and refused with the reason", a.beam),
		managed("POST", "/islb/api/v2/room/hls/start", "Start the composed stream of a room", a.legacyHLSStart),
		managed("POST", "/islb/api/v2/room/hls/stop", "Stop it", a.legacyHLSStop),
		managed("GET", "/islb/api/v2/room/hls/url", "Where it is played", a.legacyHLSURL),
		managed("POST", "/islb/api/v2/room/hls/pause", "Pause its recording", a.legacyHLSPause),
		managed("POST", "/islb/api/v2/room/hls/unpause", "Resume its recording", a.legacyHLSUnpause),
		managed("GET", "/policy/v1/templates", "List templates", a.legacyTemplates),
		managed("POST", "/policy/v1/templates", "Make or overwrite a template", a.legacyCreateTemplate),
		managed("POST", "/policy/v1/templates/{template_id}", "Replace a template", a.legacyUpdateTemplate),
		managed("GET", "/policy/v1/templates/{template_id}/roles/{role}", "Get a role", a.getRole),
		managed("POST", "/policy/v1/templates/{template_id}/roles/{role}", "Make, replace or rename a role", a.putRole),
		managed("DELETE", "/policy/v1/templates/{template_id}/roles/{role}", "Delete a role", a.deleteRole),
		managed("GET", "/policy/v1/templates/{template_id}/settings", "Get the settings", a.getSettings),
		managed("POST", "/policy/v1/templates/{template_id}/settings", "Replace the settings", a.putSettings),
		public("POST", "/hmsapi/{app}/api/token", "Exchange a room code for an auth token", a.legacyToken),
	)
}

// plainText is an answer that is no JSON.
type plainText string

// legacyRoomInput is what the old API makes a room of.
type legacyRoomInput struct {
	Name          *string                 `json:"name"`
	Description   *string                 `json:"description"`
	Template      *string                 `json:"template"` // its name
	RecordingInfo optional[recordingInfo] `json:"recording_info"`
	Region        *string                 `json:"region"`
	Active        *bool                   `json:"active"`
}

// legacyRoomObject is a room as the old API answers it.
type legacyRoomObject struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Description   string         `json:"description"`
	User          string         `json:"user"`
	Customer      string         `json:"customer"`
	RecordingInfo *recordingInfo `json:"recording_info"`
	Template      string         `json:"template"`
	Region        string         `json:"region"`
	Active        bool           `json:"active"`
	CreatedAt     time.Time      `json:"created_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
}

func (a *API) legacyRoom(r *http.Request, workspaceID string, in legacyRoomInput) (legacyRoomObject, error) {
	now := roomInput{Name: in.Name, Description: in.Description, RecordingInfo: in.RecordingInfo, Region: in.Region, Enabled: in.Active}
	if in.Template != nil && *in.Template != "" {
		found, err := a.Store.Templates(r.Context(), workspaceID, *in.Template, store.Page{Limit: 1})
		if err != nil {
			return legacyRoomObject{}, err
		}
		if len(found) == 0 {
			return legacyRoomObject{}, errWrongTemplate()
		}
		now.TemplateID = &found[0].ID
	}
	if err := now.check(); err != nil {
		return legacyRoomObject{}, err
	}
	name := uuid.NewString()
	if n := nonEmpty(in.Name); n != nil {
		name = *n
	}
	room, err := a.Store.SaveRoom(r.Context(), workspaceID, name, now.apply)
	o, err := a.savedRoom(r, room, err)
	return legacyRoomObject{ID: o.ID, Name: o.Name, Description: o.Description, User: o.AppID, Customer: o.CustomerID, RecordingInfo: o.RecordingInfo,
		Template: o.Template, Region: o.Region, Active: o.Enabled, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt}, err
}

// maxLegacyRTMPURLs bounds a push over the old path.
const maxLegacyRTMPURLs = 3

// beamInput starts or stops a recording or a push.
type beamInput struct {
	Operation  string      `json:"operation"` // start or stop
	RoomID     string      `json:"room_id"`
	MeetingURL string      `json:"meeting_url"`
	RTMPURLs   []string    `json:"rtmp_urls"`
	Record     bool        `json:"record"`
	Resolution *resolution `json:"resolution"`
}

// beamError is a refusal with a number of the old API's own instead of the status.
func beamError(status, code int, message string) *Error {
	return &Error{status: status, Code: code, Message: message}
}

// check says what is wrong in the numbers of the old API.
func (in *beamInput) check() error {
	bad := func(code int, message string) error { return beamError(http.StatusBadRequest, code, message) }
	start := in.Operation == "start"
	switch {
	case in.Operation == "":
		return bad(9, "Error: operation missing")
	case !start && in.Operation != "stop":
		return bad(8, "Error: operation invalid")
	case in.RoomID == "":
		return bad(3, "Error: room_id missing")
	case !store.IsID(in.RoomID):
		return bad(4, "Error: room_id invalid")
	case start && in.MeetingURL == "":
		return bad(6, "Error: meeting_url missing")
	case start && checkMeetingURL(in.MeetingURL) != nil:
		return bad(7, "Error: meeting_url invalid")
	case start && len(in.RTMPURLs) == 0 && !in.Record:
		return bad(5, "Error: rtmp_url and record missing")
	case in.Resolution != nil && !policy.ValidComposition(in.Resolution.Width, in.Resolution.Height):
		return bad(11, "Error: Resolution not supported")
	case len(in.RTMPURLs) > maxLegacyRTMPURLs:
		return badParam("body", "rtmp_urls has more than %d addresses", maxLegacyRTMPURLs)
	}
	return (&pushInput{RTMPURLs: in.RTMPURLs}).check()
}

func (a *API) beam(r *http.Request, workspaceID string, in beamInput) (plainText, error) {
	r.SetPathValue("room_id", in.RoomID)
	kind := store.Recording
	if len(in.RTMPURLs) > 0 {
		kind = store.ExternalStream
	}
	if in.Operation == "stop" {
		var stopped error
		for _, kind := range []store.JobKind{store.Recording, store.ExternalStream} {
			var j store.Job
			if j, stopped = a.stopActive(r, workspaceID, kind); stopped == nil && kind == store.ExternalStream {
				stopped = a.endPush(r, j)
			} else if stopped == nil {
				stopped = a.endRecording(j)
			}
			if stopped == nil {
				return "Beam has stopped successfully", nil
			}
			if asError(stopped).Code != http.StatusNotFound {
				return "", stopped
			}
		}
		return "", beamError(http.StatusNotFound, 10, "Error: no active beam found for the passed in identifiers")
	}
	var err error
	why := WhyNoRecording
	if kind == store.ExternalStream {
		why = WhyNoRTMP
		_, err = a.startPush(r, workspaceID, pushInput{MeetingURL: in.MeetingURL, RTMPURLs: in.RTMPURLs, Recording: &in.Record, Resolution: in.Resolution})
	} else {
		_, err = a.startRecording(r, workspaceID, recordingInput{MeetingURL: in.MeetingURL, Resolution: in.Resolution})
	}
	if err != nil {
		return "", err
	}
	if kind == store.ExternalStream && a.Pusher != nil || kind == store.Recording && a.Recorder != nil {
		return "Beam has started successfully", nil
	}
	refusal := beamError(http.StatusInternalServerError, 2, "Error: internal server error")
	refusal.Details = []string{why} // the attempt is on record as failed
	return "", refusal
}

// legacyHLSInput starts or stops the composed stream of a room.
type legacyHLSInput struct {
	RoomID   string `json:"room_id"`
	Variants []struct {
		MeetingURL string `json:"meeting_url"`
	} `json:"variants"`
	Recording *store.StreamRecording `json:"recording"`
}

func (in *legacyHLSInput) check() error {
	if in.RoomID == "" {
		return badParam("body", "room_id is missing")
	}
	if len(in.Variants) > 0 {
		return checkMeetingURL(in.Variants[0].MeetingURL)
	}
	return nil
}

func (a *API) legacyHLSStart(r *http.Request, workspaceID string, in legacyHLSInput) (plainText, error) {
	r.SetPathValue("room_id", in.RoomID)
	start := startInput{Recording: in.Recording}
	if len(in.Variants) > 0 {
		start.MeetingURL = in.Variants[0].MeetingURL
	}
	_, err := a.startStream(r, workspaceID, start)
	return "Hls streaming is starting", err
}

func (a *API) legacyHLSStop(r *http.Request, workspaceID string, in legacyHLSInput) (plainText, error) {
	r.SetPathValue("room_id", in.RoomID)
	_, err := a.stopRoomStream(r, workspaceID, nothing{})
	return "Hls streaming is stopping", err
}

// legacyHLSQuery names a room.
type legacyHLSQuery struct {
	RoomID objectID `query:"room_id"`
}

// urlObject is an address.
type urlObject struct {
	URL string `json:"url"`
}

func (a *API) legacyHLSURL(r *http.Request, workspaceID string, in legacyHLSQuery) (urlObject, error) {
	r.SetPathValue("room_id", string(in.RoomID))
	room, err := a.room(r, workspaceID)
	if err != nil {
		return urlObject{}, err
	}
	l, err := a.Store.ActiveLiveStream(r.Context(), room.ID)
	if errors.Is(err, store.ErrNotFound) {
		return urlObject{}, refuse(http.StatusNotFound, "No HLS stream running")
	}
	return urlObject{l.PlaybackURL}, err
}

func (a *API) legacyHLSPause(r *http.Request, workspaceID string, in legacyHLSInput) (plainText, error) {
	return "Pause event triggered for room", a.setLegacyHLSPaused(r, workspaceID, in, true)
}

func (a *API) legacyHLSUnpause(r *http.Request, workspaceID string, in legacyHLSInput) (plainText, error) {
	return "Unpause event triggered for room", a.setLegacyHLSPaused(r, workspaceID, in, false)
}

func (a *API) setLegacyHLSPaused(r *http.Request, workspaceID string, in legacyHLSInput, paused bool) error {
	r.SetPathValue("room_id", in.RoomID)
	room, err := a.room(r, workspaceID)
	if err != nil {
		return err
	}
	if _, err := a.Store.ActiveLiveStream(r.Context(), room.ID); errors.Is(err, store.ErrNotFound) {
		return errNoStream
	} else if err != nil {
		return err
	}
	return a.pauseHLSRecording(room.ID, paused)
}

// legacyTemplateQuery says which templates are listed.
type legacyTemplateQuery struct {
	ID      objectID `query:"id"`
	Name    string   `query:"name"`
	Default *bool    `query:"default"`
	pageQuery
}

// legacyTemplateObject is a template as the old API answers it: with the old names of its ids only.
type legacyTemplateObject struct {
	ID           string                  `json:"_id"`
	Name         string                  `json:"name"`
	Customer     string                  `json:"customer"`
	Default      bool                    `json:"default"`
	Roles        map[string]*policy.Role `json:"roles"`
	Settings     policy.Settings         `json:"settings"`
	Destinations policy.Destinations     `json:"destinations"`
	Plugins      map[string]any          `json:"plugins"`
	CreatedAt    time.Time               `json:"createdAt"`
	UpdatedAt    time.Time               `json:"updatedAt"`
}

func legacyTemplate(o templateObject) legacyTemplateObject {
	return legacyTemplateObject{ID: o.ID, Name: o.Name, Customer: o.Customer, Default: o.Default, Roles: o.Roles, Settings: o.Settings,
		Destinations: o.Destinations, Plugins: o.Plugins, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt}
}

// maxLegacyTemplates bounds a page of the old API.
const maxLegacyTemplates = 20

func (a *API) legacyTemplates(r *http.Request, workspaceID string, in legacyTemplateQuery) (list[legacyTemplateObject], error) {
	page := in.page()
	page.Limit = min(page.Limit, maxLegacyTemplates)
	var templates []store.Template
	var err error
	switch {
	case in.ID != "":
		templates = make([]store.Template, 1)
		templates[0], err = a.Store.Template(r.Context(), workspaceID, string(in.ID))
	case in.Default != nil && *in.Default:
		templates = make([]store.Template, 1)
		templates[0], err = a.Store.DefaultTemplate(r.Context(), workspaceID)
	default:
		templates, err = a.Store.Templates(r.Context(), workspaceID, in.Name, page)
	}
	if errors.Is(err, store.ErrNotFound) {
		templates, err = nil, nil
	}
	return listOf(page.Limit, templates, func(t store.Template) legacyTemplateObject { return legacyTemplate(showTemplate(t)) },
		func(t store.Template) string { return t.ID }), err
}

func (a *API) legacyCreateTemplate(r *http.Request, workspaceID string, in templateInput) (legacyTemplateObject, error) {
	o, err := a.createTemplate(r, workspaceID, in)
	return legacyTemplate(o), err
}

func (a *API) legacyUpdateTemplate(r *http.Request, workspaceID string, in templateInput) (legacyTemplateObject, error) {
	o, err := a.updateTemplate(r, workspaceID, in)
	return legacyTemplate(o), err
}

// legacyTokenInput is a code, or a room and a role.
type legacyTokenInput struct {
	Code   string `json:"code"`
	RoomID string `json:"room_id"`
	Role   string `json:"role"`
	UserID string `json:"user_id"`
}

// legacyToken exchanges room codes only: with a room and a role, which everybody in a room knows, anybody could come in.
func (a *API) legacyToken(r *http.Request, in legacyTokenInput) (tokenObject, error) {
	if in.Code == "" && in.RoomID != "" {
		return tokenObject{}, refuse(http.StatusForbidden, "Generating token using the room_id and role is disabled.")
	}
	now := tokenInput{Code: in.Code, UserID: in.UserID}
	if err := now.check(); err != nil {
		return tokenObject{}, err
	}
	return a.token(r, now)
}
