package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"amphi/server/auth"
	"amphi/server/store"
)

// codeObject is a room code as it is answered.
type codeObject struct {
	Code      string    `json:"code"`
	RoomID    string    `json:"room_id"`
	Role      string    `json:"role"`
	Enabled   bool      `json:"enabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showCode(c store.RoomCode) codeObject { return codeObject(c) }

// openRoom returns the room of the path, which must be enabled, and its template.
func (a *API) openRoom(r *http.Request, workspaceID string) (store.Room, store.Template, error) {
	room, err := a.room(r, workspaceID)
	if err := disabledOr(room, err); err != nil {
		return room, store.Template{}, err
	}
	template, err := a.Store.Template(r.Context(), workspaceID, room.TemplateID)
	return room, template, err
}

func (a *API) codeEndpoints() []endpoint {
	return described("Room codes",
		managed("GET", "/v2/room-codes/room/{room_id}", "List the codes of a room", a.listCodes),
		managed("POST", "/v2/room-codes/room/{room_id}", "Make a code for every role that has none; answers with all of the room", a.completeCodes),
		managed("POST", "/v2/room-codes/room/{room_id}/role/{role}", "Make one more code for a role", a.addCode),
		managed("POST", "/v2/room-codes/code", "Enable or disable a code", a.enableCode),
	)
}

// codesObject is all codes of a room.
type codesObject struct {
	Data []codeObject `json:"data"`
}

func (a *API) completeCodes(r *http.Request, workspaceID string, _ nothing) (codesObject, error) {
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return codesObject{}, err
	}
	codes, err := a.Store.CompleteRoomCodes(r.Context(), room.ID, slices.Sorted(maps.Keys(template.Policy.Roles)), auth.NewRoomCode)
	o := codesObject{Data: make([]codeObject, len(codes))}
	for i, c := range codes {
		o.Data[i] = showCode(c)
	}
	return o, tooManyCodes(err)
}

func (a *API) addCode(r *http.Request, workspaceID string, _ nothing) (codeObject, error) {
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return codeObject{}, err
	}
	role := r.PathValue("role")
	if template.Policy.Roles[role] == nil {
		return codeObject{}, errNoRole
	}
	code, err := a.Store.AddRoomCode(r.Context(), room.ID, role, auth.NewRoomCode)
	return showCode(code), tooManyCodes(err)
}

func tooManyCodes(err error) error {
	if errors.Is(err, store.ErrTooMany) {
		return refuse(http.StatusBadRequest, "a room can have %d codes", store.MaxCodesPerRoom)
	}
	return err
}

// codeQuery says which codes of a room are listed.
type codeQuery struct {
	Role    string    `query:"role"`
	Enabled *bool     `query:"enabled"`
	Limit   pageLimit `query:"limit"`
	Start   string    `query:"start"` // a code: codes are their own ids
}

func (in *codeQuery) check() error {
	if _, ok := auth.ParseRoomCode(in.Start); !ok && in.Start != "" {
		return badParam("query", "start must be the last of the page before")
	}
	return nil
}

func (a *API) listCodes(r *http.Request, workspaceID string, in codeQuery) (list[codeObject], error) {
	room, err := a.room(r, workspaceID)
	if err := disabledOr(room, err); err != nil {
		return list[codeObject]{}, err
	}
	codes, err := a.Store.RoomCodes(r.Context(), room.ID, store.CodeFilter{Role: in.Role, Enabled: in.Enabled},
		store.Page{Limit: int(in.Limit), Start: in.Start})
	return listOf(int(in.Limit), codes, showCode, func(c store.RoomCode) string { return c.Code }), err
}

// codeInput enables or disables a code.
type codeInput struct {
	strict
	Code    *string `json:"code"`
	Enabled *bool   `json:"enabled"`
}

func (in *codeInput) check() error {
	switch {
	case in.Code == nil || *in.Code == "":
		return badParam("body", "code is missing")
	case in.Enabled == nil:
		return badParam("body", "enabled is missing")
	}
	return nil
}

func (a *API) enableCode(r *http.Request, workspaceID string, in codeInput) (codeObject, error) {
	code, room, template, err := a.roomOfCode(r, *in.Code)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && room.WorkspaceID != workspaceID:
		return codeObject{}, errNoCode
	case err != nil:
		return codeObject{}, err
	case *in.Enabled && !room.Enabled:
		return codeObject{}, errRoomOff
	case *in.Enabled && template.Policy.Roles[code.Role] == nil:
		return codeObject{}, refuse(http.StatusForbidden, "the template has no role %q any more", code.Role)
	}
	code, err = a.Store.EnableRoomCode(r.Context(), code.Code, *in.Enabled)
	return showCode(code), err
}

// roomOfCode returns what a code leads to, in whatever state that is. A text that is no code is not found.
func (a *API) roomOfCode(r *http.Request, text string) (code store.RoomCode, room store.Room, template store.Template, err error) {
	canonical, _ := auth.ParseRoomCode(text)
	if code, err = a.Store.RoomCode(r.Context(), canonical); err != nil {
		return
	}
	if room, err = a.Store.AnyRoom(r.Context(), code.RoomID); err != nil {
		return
	}
	template, err = a.Store.Template(r.Context(), room.WorkspaceID, room.TemplateID)
	return
}
