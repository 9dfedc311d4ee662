package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Room is a place to meet.
type Room struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	TemplateID  string    `json:"template_id"`
	Template    string    `json:"template"` // its name
	Size        int       `json:"size"`     // most peers; 0: the server's bound
	CreatedAt   time.Time `json:"created_at"`

	Raw `json:"-"`
}

// RoomChange is what a room is made or changed with. What is nil stays as it is.
type RoomChange struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	TemplateID  *string `json:"template_id,omitempty"`
	Size        *int    `json:"size,omitempty"`
	LargeRoom   *bool   `json:"large_room,omitempty"`
	MaxDuration *int    `json:"max_duration_seconds,omitempty"`
	Enabled     *bool   `json:"enabled,omitempty"`
}

// Code lets people into a room in a role.
type Code struct {
	Code      string    `json:"code"`
	RoomID    string    `json:"room_id"`
	Role      string    `json:"role"`
	Enabled   bool      `json:"enabled"`
	CreatedAt time.Time `json:"created_at"`

	Raw `json:"-"`
}

// LiveStream is the composed stream of a room.
type LiveStream struct {
	ID          string `json:"id"`
	RoomID      string `json:"room_id"`
	SessionID   string `json:"session_id"`
	Status      string `json:"status"`
	Destination string `json:"destination"`
	Playback    struct {
		URL string `json:"url"`
	} `json:"playback"`
	CreatedAt time.Time  `json:"created_at"`
	StartedAt *time.Time `json:"started_at"`
	StoppedAt *time.Time `json:"stopped_at"`

	Raw `json:"-"`
}

// Template is a blueprint of rooms.
type Template struct {
	ID        string                    `json:"id"`
	Name      string                    `json:"name"`
	Default   bool                      `json:"default"`
	Roles     map[string]map[string]any `json:"roles"`
	UpdatedAt time.Time                 `json:"updatedAt"`

	Raw `json:"-"`
}

// Session is one run of a room.
type Session struct {
	ID        string                    `json:"id"`
	RoomID    string                    `json:"room_id"`
	Active    bool                      `json:"active"`
	Peers     map[string]map[string]any `json:"peers"`
	CreatedAt time.Time                 `json:"created_at"`
	UpdatedAt time.Time                 `json:"updated_at"` // its end, unless it is active

	Raw `json:"-"`
}

// one reads an object and lets keep take it over with its text.
func one[T any](ctx context.Context, c *Client, method, path string, in any, keep func(T, Raw) T) (T, error) {
	var o object[T]
	err := c.Do(ctx, method, path, in, &o)
	return keep(o.value, o.Raw), err
}

// many reads a list likewise.
func many[T any](ctx context.Context, c *Client, path string, query url.Values, limit int, keep func(T, Raw) T) ([]T, error) {
	objects, err := all[T](ctx, c, path, query, limit)
	list := make([]T, len(objects))
	for i, o := range objects {
		list[i] = keep(o.value, o.Raw)
	}
	return list, err
}

func keepRoom(v Room, raw Raw) Room               { v.Raw = raw; return v }
func keepCode(v Code, raw Raw) Code               { v.Raw = raw; return v }
func keepStream(v LiveStream, raw Raw) LiveStream { v.Raw = raw; return v }
func keepTemplate(v Template, raw Raw) Template   { v.Raw = raw; return v }
func keepSession(v Session, raw Raw) Session      { v.Raw = raw; return v }
func under(path, id string) string                { return path + "/" + url.PathEscape(id) }
func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

// Rooms lists rooms, the newest first: the enabled ones, or the disabled ones. limit 0 lists all.
func (c *Client) Rooms(ctx context.Context, enabled bool, limit int) ([]Room, error) {
	return many(ctx, c, "/v2/rooms", url.Values{"enabled": {fmt.Sprint(enabled)}}, limit, keepRoom)
}

// Room returns the room of that id.
func (c *Client) Room(ctx context.Context, id string) (Room, error) {
	return one(ctx, c, http.MethodGet, under("/v2/rooms", id), nil, keepRoom)
}

// RoomByName returns the room of that name, in whatever letters, enabled or not.
func (c *Client) RoomByName(ctx context.Context, name string) (Room, error) {
	for _, enabled := range []string{"true", "false"} {
		list, err := many(ctx, c, "/v2/rooms", url.Values{"enabled": {enabled}, "name": {name}}, 1, keepRoom)
		if err != nil || len(list) > 0 {
			return append(list, Room{})[0], err
		}
	}
	return Room{}, fmt.Errorf("room %q: %w", name, ErrNotFound)
}

// CreateRoom makes a room, or changes the one that has the name.
func (c *Client) CreateRoom(ctx context.Context, r RoomChange) (Room, error) {
	return one(ctx, c, http.MethodPost, "/v2/rooms", r, keepRoom)
}

// ChangeRoom changes a room.
func (c *Client) ChangeRoom(ctx context.Context, id string, r RoomChange) (Room, error) {
	return one(ctx, c, http.MethodPost, under("/v2/rooms", id), r, keepRoom)
}

// EndRoom ends the session of a room. With lock the room is disabled too.
func (c *Client) EndRoom(ctx context.Context, id, reason string, lock bool) error {
	return c.Do(ctx, http.MethodPost, under("/v2/active-rooms", id)+"/end-room", map[string]any{"reason": reason, "lock": lock}, nil)
}

// Codes lists the codes of a room.
func (c *Client) Codes(ctx context.Context, roomID string) ([]Code, error) {
	return many(ctx, c, under("/v2/room-codes/room", roomID), nil, 0, keepCode)
}

// CreateCodes makes a code for every role that has none, and returns all codes of the room.
func (c *Client) CreateCodes(ctx context.Context, roomID string) ([]Code, error) {
	var answer struct{ Data []object[Code] }
	err := c.Do(ctx, http.MethodPost, under("/v2/room-codes/room", roomID), nil, &answer)
	list := make([]Code, len(answer.Data))
	for i, o := range answer.Data {
		list[i] = keepCode(o.value, o.Raw)
	}
	return list, err
}

// AddCode makes one more code for a role.
func (c *Client) AddCode(ctx context.Context, roomID, role string) (Code, error) {
	return one(ctx, c, http.MethodPost, under(under("/v2/room-codes/room", roomID)+"/role", role), nil, keepCode)
}

// EnableCode enables or disables a code.
func (c *Client) EnableCode(ctx context.Context, code string, enabled bool) (Code, error) {
	return one(ctx, c, http.MethodPost, "/v2/room-codes/code", map[string]any{"code": code, "enabled": enabled}, keepCode)
}

// StartStream starts the composed stream of a room. destination may be empty when the room's template has one only.
func (c *Client) StartStream(ctx context.Context, roomID, destination string) (LiveStream, error) {
	in := map[string]any{}
	if destination != "" {
		in["destination"] = destination
	}
	return one(ctx, c, http.MethodPost, under("/v2/live-streams/room", roomID)+"/start", in, keepStream)
}

// StopStreams stops what runs in a room and returns it.
func (c *Client) StopStreams(ctx context.Context, roomID string) ([]LiveStream, error) {
	var page struct{ Data []object[LiveStream] }
	err := c.Do(ctx, http.MethodPost, under("/v2/live-streams/room", roomID)+"/stop", nil, &page)
	list := make([]LiveStream, len(page.Data))
	for i, o := range page.Data {
		list[i] = keepStream(o.value, o.Raw)
	}
	return list, err
}

// Streams lists live streams, the newest first: of one room, or of all when roomID is empty.
func (c *Client) Streams(ctx context.Context, roomID string, limit int) ([]LiveStream, error) {
	query := url.Values{}
	set(query, "room_id", roomID)
	return many(ctx, c, "/v2/live-streams", query, limit, keepStream)
}

// Templates lists templates, the newest first; a name lists the one that has it.
func (c *Client) Templates(ctx context.Context, name string) ([]Template, error) {
	query := url.Values{}
	set(query, "name", name)
	return many(ctx, c, "/v2/templates", query, 0, keepTemplate)
}

// Template returns the template of that id.
func (c *Client) Template(ctx context.Context, id string) (Template, error) {
	return one(ctx, c, http.MethodGet, under("/v2/templates", id), nil, keepTemplate)
}

// PutTemplate makes a template, or overwrites the one that has the name. in is the JSON object of the API.
func (c *Client) PutTemplate(ctx context.Context, in any) (Template, error) {
	return one(ctx, c, http.MethodPost, "/v2/templates", in, keepTemplate)
}

// Sessions lists sessions, the newest first: of one room, or of all when roomID is empty; only those that go on, if
// active.
func (c *Client) Sessions(ctx context.Context, roomID string, active bool, limit int) ([]Session, error) {
	query := url.Values{}
	set(query, "room_id", roomID)
	if active {
		query.Set("active", "true")
	}
	return many(ctx, c, "/v2/sessions", query, limit, keepSession)
}
