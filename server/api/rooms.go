package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"amphi/server/policy"
	"amphi/server/store"
	"amphi/server/webhook"
)

// Bounds of a room's fields.
const (
	maxNameBytes        = 256
	maxDescriptionBytes = 4096
	maxSize             = 2500
	maxLargeSize        = 20000
	minDurationSeconds  = 120
	maxDurationSeconds  = 43200
	maxPolls            = 100
)

var validRoomName = regexp.MustCompile(`^[A-Za-z0-9.\-:_]+$`)

// roomObject is a room as it is answered.
type roomObject struct {
	ID                      string         `json:"id"`
	Name                    string         `json:"name"`
	Enabled                 bool           `json:"enabled"`
	Description             string         `json:"description"`
	CustomerID              string         `json:"customer_id"`
	Customer                string         `json:"customer"` // the same, under its old name
	AppID                   string         `json:"app_id"`
	RecordingInfo           *recordingInfo `json:"recording_info"` // null: the template's settings apply
	RecordingSourceTemplate bool           `json:"recording_source_template"`
	EnabledSourceTemplate   bool           `json:"enabled_source_template"`
	TemplateID              string         `json:"template_id"`
	Template                string         `json:"template"` // its name
	Region                  string         `json:"region"`
	LargeRoom               bool           `json:"large_room"`
	Size                    int            `json:"size,omitempty"`
	MaxDurationSeconds      int            `json:"max_duration_seconds,omitempty"`
	Polls                   []string       `json:"polls,omitempty"`
	Webhook                 *store.Webhook `json:"webhook,omitempty"`
	CreatedAt               time.Time      `json:"created_at"`
	UpdatedAt               time.Time      `json:"updated_at"`
	Key                     string         `json:"key,omitempty"` // in lists only
}

func (a *API) showRoom(r store.Room, w store.Workspace) roomObject {
	o := roomObject{ID: r.ID, Name: r.Name, Enabled: r.Enabled, Description: r.Description, CustomerID: w.ID, Customer: w.ID, AppID: w.AppID,
		RecordingInfo: showRecordingInfo(r.Recording), RecordingSourceTemplate: r.Recording == nil, EnabledSourceTemplate: r.Recording == nil,
		TemplateID: r.TemplateID, Template: r.TemplateName, Region: r.Region, LargeRoom: r.LargeRoom, Size: r.Size,
		MaxDurationSeconds: r.MaxDurationSeconds, Polls: r.Polls, Webhook: r.Webhook, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	if o.Region == "" {
		o.Region = "auto"
	}
	return o
}

// roomInput is what a room can be made or changed with. Absent fields, and null, leave what is there.
type roomInput struct {
	Name          *string                 `json:"name"`
	Description   *string                 `json:"description"`
	TemplateID    *string                 `json:"template_id"`
	Template      json.RawMessage         `json:"template"` // the old API's name; refused, not ignored
	RecordingInfo optional[recordingInfo] `json:"recording_info"`
	Region        *string                 `json:"region"`
	LargeRoom     *bool                   `json:"large_room"`
	Size          *int                    `json:"size"`
	MaxDuration   *int                    `json:"max_duration_seconds"`
	Polls         *[]string               `json:"polls"`
	Webhook       *store.Webhook          `json:"webhook"`
	Enabled       *bool                   `json:"enabled"`
}

// recordingInfo is a room's own recording settings.
type recordingInfo struct {
	Enabled    bool        `json:"enabled"`
	UploadInfo *uploadInfo `json:"upload_info,omitempty"`
}

// uploadInfo is a bucket. The secret is called secretKey in templates; both names are taken in both places.
type uploadInfo struct {
	Type        string               `json:"type"`
	Location    string               `json:"location"`
	Prefix      string               `json:"prefix,omitempty"`
	Options     policy.UploadOptions `json:"options"`
	Credentials uploadCredentials    `json:"credentials"`
}

// uploadCredentials open a bucket.
type uploadCredentials struct {
	Key       string `json:"key,omitempty"`
	Secret    string `json:"secret,omitempty"`
	SecretKey string `json:"secretKey,omitempty"`
}

// recordingOf reads what is kept of recordingInfo; nil when nothing is.
func recordingOf(kept json.RawMessage) *recordingInfo {
	if kept == nil {
		return nil
	}
	info := new(recordingInfo)
	if json.Unmarshal(kept, info) != nil { // it was checked before it was kept
		return nil
	}
	return info
}

// showRecordingInfo returns what is kept, without the secret.
func showRecordingInfo(kept json.RawMessage) *recordingInfo {
	info := recordingOf(kept)
	if info != nil && info.UploadInfo != nil {
		c := &info.UploadInfo.Credentials
		if cmp.Or(c.Secret, c.SecretKey) != "" {
			c.Secret, c.SecretKey = policy.HiddenSecret, ""
		}
	}
	return info
}

// check says what is wrong whatever room it is; what depends on the room as it is, apply checks.
func (in *roomInput) check() error {
	switch {
	case in.Template != nil:
		return badParam("body", "template. Use template_id")
	case in.Name != nil && *in.Name != "" && (len(*in.Name) > maxNameBytes || !validRoomName.MatchString(*in.Name)):
		return badParam("body", "name must be at most %d letters, digits and . - : _", maxNameBytes)
	case in.Description != nil && len(*in.Description) > maxDescriptionBytes:
		return badParam("body", "description longer than %d bytes", maxDescriptionBytes)
	case in.Region != nil && !slices.Contains([]string{"in", "us", "eu", "auto", ""}, *in.Region):
		return &Error{Code: http.StatusBadRequest, Message: "Error: region not supported", Details: []string{"Error: region not supported"}}
	case in.MaxDuration != nil && *in.MaxDuration < minDurationSeconds:
		return badParam("body", "max_duration_seconds less than %d seconds", minDurationSeconds)
	case in.MaxDuration != nil && *in.MaxDuration > maxDurationSeconds:
		return badParam("body", "max_duration_seconds greater than %d seconds", maxDurationSeconds)
	case in.Polls != nil && len(*in.Polls) > maxPolls:
		return badParam("body", "polls has more than %d ids", maxPolls)
	case in.Polls != nil && slices.ContainsFunc(*in.Polls, func(id string) bool { return !store.IsID(id) }):
		return badParam("body", "polls must be ids of 24 hexadecimal digits")
	case in.Webhook != nil && in.Webhook.URL != "":
		if err := webhook.Check(*in.Webhook); err != nil {
			return badParam("body", "webhook.%s", err)
		}
	}
	return in.checkRecording()
}

func (in *roomInput) checkRecording() error {
	info := in.RecordingInfo.value
	if info == nil || info.UploadInfo == nil {
		return nil
	}
	u := info.UploadInfo
	u.Credentials.Secret, u.Credentials.SecretKey = cmp.Or(u.Credentials.Secret, u.Credentials.SecretKey), ""
	if text := (&policy.Upload{Type: u.Type, Location: u.Location}).Problem(); text != "" {
		return &Error{Code: http.StatusBadRequest, Message: text, Details: []string{text}}
	}
	return nil
}

// keep returns what is kept of the recording settings. The stand-in of a secret means the secret that is kept already.
func (info *recordingInfo) keep(before json.RawMessage) (json.RawMessage, error) {
	if info == nil {
		return nil, nil
	}
	kept := *info
	if u := info.UploadInfo; u != nil && u.Credentials.Secret == policy.HiddenSecret {
		if old := recordingOf(before); old != nil && old.UploadInfo != nil {
			upload := *u
			upload.Credentials.Secret = cmp.Or(old.UploadInfo.Credentials.Secret, old.UploadInfo.Credentials.SecretKey)
			kept.UploadInfo = &upload
		}
	}
	return json.Marshal(kept)
}

// apply changes a room.
func (in *roomInput) apply(r *store.Room) error {
	set(&r.Name, nonEmpty(in.Name))
	set(&r.Description, in.Description)
	set(&r.TemplateID, nonEmpty(in.TemplateID))
	set(&r.Region, in.Region)
	set(&r.LargeRoom, in.LargeRoom)
	set(&r.Size, in.Size)
	set(&r.MaxDurationSeconds, in.MaxDuration)
	set(&r.Polls, in.Polls)
	set(&r.Enabled, in.Enabled)
	if in.RecordingInfo.given {
		var err error
		if r.Recording, err = in.RecordingInfo.value.keep(r.Recording); err != nil {
			return err
		}
	}
	if in.Webhook != nil {
		if r.Webhook = in.Webhook; r.Webhook.URL == "" {
			r.Webhook = nil
		}
	}
	switch {
	case r.Size < 0:
		return badParam("body", "room size less than 0")
	case r.Size > maxLargeSize:
		return badParam("body", "room size greater than %d", maxLargeSize)
	case r.Size > maxSize && !r.LargeRoom:
		return badParam("body", "room size greater than %d, set large_room flag as true", maxSize)
	}
	return nil
}

// set takes over a value that was given.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// nonEmpty takes an empty text for an absent one.
func nonEmpty(s *string) *string {
	if s != nil && *s == "" {
		return nil
	}
	return s
}

func (a *API) roomEndpoints() []endpoint {
	return described("Rooms",
		managed("GET", "/v2/rooms", "List rooms, the newest first; disabled ones only with enabled=false", a.listRooms),
		managed("POST", "/v2/rooms", "Make a room, or change the one that has the name", a.createRoom),
		managed("GET", "/v2/rooms/{room_id}", "Get a room", a.getRoom),
		managed("POST", "/v2/rooms/{room_id}", "Change, enable or disable a room", a.updateRoom),
	)
}

func (a *API) createRoom(r *http.Request, workspaceID string, in roomInput) (roomObject, error) {
	name := uuid.NewString()
	if in.Name != nil && *in.Name != "" {
		name = *in.Name
	}
	room, err := a.Store.SaveRoom(r.Context(), workspaceID, name, in.apply)
	return a.savedRoom(r, room, err)
}

func (a *API) updateRoom(r *http.Request, workspaceID string, in roomInput) (roomObject, error) {
	// The room is looked for first, so that what is not found later is the template.
	old, err := a.room(r, workspaceID)
	if err != nil {
		return roomObject{}, err
	}
	room, err := a.Store.ChangeRoom(r.Context(), workspaceID, old.ID, in.apply)
	return a.savedRoom(r, room, err)
}

// savedRoom tells the room, if it is live, what was saved of it.
func (a *API) savedRoom(r *http.Request, room store.Room, err error) (roomObject, error) {
	switch {
	case errors.Is(err, store.ErrConflict):
		return roomObject{}, badParam("body", "name is taken by another room")
	case errors.Is(err, store.ErrNotFound):
		return roomObject{}, errWrongTemplate()
	case err != nil:
		return roomObject{}, err
	}
	if err := a.Rooms.Refresh(r.Context(), room.ID); err != nil {
		return roomObject{}, fmt.Errorf("tell the live room: %w", err)
	}
	w, err := a.Store.Workspace(r.Context(), room.WorkspaceID)
	return a.showRoom(room, w), err
}

func errWrongTemplate() *Error {
	const text = "Error: template not found"
	return &Error{Code: http.StatusBadRequest, Message: text, Details: []string{text}}
}

// room returns the room of the path.
func (a *API) room(r *http.Request, workspaceID string) (store.Room, error) {
	room, err := a.Store.Room(r.Context(), workspaceID, r.PathValue("room_id"))
	if errors.Is(err, store.ErrNotFound) {
		return room, errNoRoom
	}
	return room, err
}

func (a *API) getRoom(r *http.Request, workspaceID string, _ nothing) (roomObject, error) {
	room, err := a.room(r, workspaceID)
	if err != nil {
		return roomObject{}, err
	}
	w, err := a.Store.Workspace(r.Context(), room.WorkspaceID)
	return a.showRoom(room, w), err
}

// roomQuery says which rooms are listed.
type roomQuery struct {
	Enabled    *bool     `query:"enabled"` // absent: true, which is documented so
	Name       string    `query:"name"`
	TemplateID objectID  `query:"template_id"`
	After      time.Time `query:"after"`
	Before     time.Time `query:"before"`
	pageQuery
}

func (a *API) listRooms(r *http.Request, workspaceID string, in roomQuery) (list[roomObject], error) {
	filter := store.RoomFilter{Enabled: in.Enabled, Name: in.Name, TemplateID: string(in.TemplateID), After: in.After, Before: in.Before}
	if filter.Enabled == nil {
		filter.Enabled = ptr(true)
	}
	rooms, err := a.Store.Rooms(r.Context(), workspaceID, filter, in.page())
	if err != nil {
		return list[roomObject]{}, err
	}
	w, err := a.Store.Workspace(r.Context(), workspaceID)
	return listOf(int(in.Limit), rooms, func(room store.Room) roomObject {
		o := a.showRoom(room, w)
		o.Key = fmt.Sprintf("%s:%s", w.ID, room.Name)
		return o
	}, func(room store.Room) string { return room.ID }), err
}

// disabledOr returns errRoomOff for a disabled room.
func disabledOr(room store.Room, err error) error {
	if err == nil && !room.Enabled {
		return errRoomOff
	}
	return err
}
