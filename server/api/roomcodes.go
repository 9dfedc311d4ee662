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

func (a *API) completeCodes(r *http.Request, workspaceID string) (any, error) {
	if err := decode(r, &struct{}{}, false); err != nil {
		return nil, err
	}
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return nil, err
	}
	codes, err := a.Store.CompleteRoomCodes(r.Context(), room.ID, slices.Sorted(maps.Keys(template.Policy.Roles)), auth.NewRoomCode)
	if err != nil {
		return nil, tooManyCodes(err)
	}
	objects := make([]codeObject, len(codes))
	for i, c := range codes {
		objects[i] = showCode(c)
	}
	return map[string]any{"data": objects}, nil
}

func (a *API) addCode(r *http.Request, workspaceID string) (any, error) {
	if err := decode(r, &struct{}{}, false); err != nil {
		return nil, err
	}
	room, template, err := a.openRoom(r, workspaceID)
	if err != nil {
		return nil, err
	}
	role := r.PathValue("role")
	if template.Policy.Roles[role] == nil {
		return nil, refuse(http.StatusNotFound, "role not found")
	}
	code, err := a.Store.AddRoomCode(r.Context(), room.ID, role, auth.NewRoomCode)
	if err != nil {
		return nil, tooManyCodes(err)
	}
	return showCode(code), nil
}

func tooManyCodes(err error) error {
	if errors.Is(err, store.ErrTooMany) {
		return refuse(http.StatusBadRequest, "a room can have %d codes", store.MaxCodesPerRoom)
	}
	return err
}

func (a *API) listCodes(r *http.Request, workspaceID string) (any, error) {
	q := queryOf(r)
	filter := store.CodeFilter{Role: q.text("role"), Enabled: q.boolean("enabled")}
	page := q.page(func(s string) bool { _, ok := auth.ParseRoomCode(s); return ok })
	if q.err != nil {
		return nil, q.err
	}
	room, err := a.room(r, workspaceID)
	if err := disabledOr(room, err); err != nil {
		return nil, err
	}
	codes, err := a.Store.RoomCodes(r.Context(), room.ID, filter, page)
	if err != nil {
		return nil, err
	}
	return listOf(page.Limit, codes, showCode, func(c store.RoomCode) string { return c.Code }), nil
}

func (a *API) enableCode(r *http.Request, workspaceID string) (any, error) {
	var in struct {
		Code    *string `json:"code"`
		Enabled *bool   `json:"enabled"`
	}
	if err := decode(r, &in, true); err != nil {
		return nil, err
	}
	switch {
	case in.Code == nil || *in.Code == "":
		return nil, badParam("body", "code is missing")
	case in.Enabled == nil:
		return nil, badParam("body", "enabled is missing")
	}
	noCode := refuse(http.StatusNotFound, "room code not found")
	code, room, template, err := a.roomOfCode(r, *in.Code)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && room.WorkspaceID != workspaceID:
		return nil, noCode
	case err != nil:
		return nil, err
	case *in.Enabled && !room.Enabled:
		return nil, errRoomOff
	case *in.Enabled && template.Policy.Roles[code.Role] == nil:
		return nil, refuse(http.StatusForbidden, "the template has no role %q any more", code.Role)
	}
	code, err = a.Store.EnableRoomCode(r.Context(), code.Code, *in.Enabled)
	if err != nil {
		return nil, err
	}
	return showCode(code), nil
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
