package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Room is a place to meet, live or not.
type Room struct {
	ID                 string
	WorkspaceID        string
	TemplateID         string
	TemplateName       string // read with the room, not saved with it
	Name               string // unique in the workspace, regardless of case
	Description        string
	Enabled            bool   // a disabled room admits no new peers
	Region             string // empty: the template's
	LargeRoom          bool
	Size               int             // most peers; 0: the server's limit
	MaxDurationSeconds int             // of a session; 0: no limit of its own
	Recording          json.RawMessage // recording_info as it was given; nil: the template's settings apply
	Polls              []string
	Webhook            *Webhook // instead of the workspace's
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

const roomColumns = `r.id, r.workspace_id, r.template_id, t.name, r.name, r.description, r.enabled, r.region, r.large_room, r.size,
	r.max_duration_seconds, r.recording_json, r.polls_json, r.webhook_json, r.created_at, r.updated_at`

const selectRooms = `SELECT ` + roomColumns + ` FROM rooms r JOIN templates t ON t.id = r.template_id`

func scanRoom(row scanner) (r Room, err error) {
	err = row.Scan(&r.ID, &r.WorkspaceID, &r.TemplateID, &r.TemplateName, &r.Name, &r.Description, &r.Enabled, &r.Region, &r.LargeRoom, &r.Size,
		&r.MaxDurationSeconds, jsonText{&r.Recording}, jsonText{&r.Polls}, jsonText{&r.Webhook}, (*timestamp)(&r.CreatedAt), (*timestamp)(&r.UpdatedAt))
	if string(r.Recording) == "null" {
		r.Recording = nil
	}
	return r, err
}

// Room returns the workspace's room of that id.
func (s *Store) Room(ctx context.Context, workspaceID, id string) (Room, error) {
	r, err := s.query(ctx).anyRoom(id)
	if err == nil && r.WorkspaceID != workspaceID {
		return Room{}, found(errNoRows, "room", id)
	}
	return r, err
}

// AnyRoom returns the room of that id whoever owns it, for callers that decide by the room whom they serve.
func (s *Store) AnyRoom(ctx context.Context, id string) (Room, error) {
	return s.query(ctx).anyRoom(id)
}

func (q querier) anyRoom(id string) (Room, error) {
	r, err := scanRoom(q.row(selectRooms+` WHERE r.id = ?`, id))
	return r, found(err, "room", id)
}

// room returns a room that no other transaction changes, or changes anything of, until this one ends. Whoever changes
// what belongs to a room (codes, sessions, streams, …) or writes an event about it calls this first, and reads only then
// what it is going to change. So the changes of a room, and its events, come one after the other on every database;
// and as a transaction takes the lock of its one room first, none waits for another in a circle.
func (t *tx) room(id string) (Room, error) {
	r, err := scanRoom(t.row(selectRooms+` WHERE r.id = ?`+t.dialect.lock("r"), id))
	if err == nil {
		t.rooms[id] = true
	}
	return r, found(err, "room", id)
}

// RoomFilter says which rooms are listed. Zero fields do not filter; After and Before include their instant.
type RoomFilter struct {
	Enabled    *bool
	Name       string // regardless of case
	Search     string // a part of the name, regardless of case
	TemplateID string
	After      time.Time
	Before     time.Time
}

func (f RoomFilter) where(d dialect, workspaceID string) *clause {
	w := where("r.workspace_id = ?", workspaceID)
	if f.Enabled != nil {
		w.and("r.enabled = ?", *f.Enabled)
	}
	if f.Name != "" {
		w.and("r.name_key = ?", strings.ToLower(f.Name))
	}
	if f.Search != "" {
		w.and(d.contains("r.name_key"), strings.ToLower(f.Search))
	}
	w.is("r.template_id", f.TemplateID)
	w.between("r.created_at", f.After, f.Before)
	w.idsFrom("r.id", f.After)
	return w
}

// Rooms lists the workspace's rooms, newest first.
func (s *Store) Rooms(ctx context.Context, workspaceID string, f RoomFilter, p Page) ([]Room, error) {
	w := f.where(s.dialect, workspaceID)
	w.page("r.id", p)
	if f.Search != "" {
		// Names are looked through in an index that has them, before any room is read.
		w.text = ` WHERE r.id IN (SELECT r.id FROM rooms r` + w.text + `) ORDER BY r.id DESC`
	}
	rows, err := s.query(ctx).rows(selectRooms+w.text, w.args...)
	return collect(rows, err, scanRoom)
}

// SaveRoom makes a room with that name, or changes the one that has it: change gets the room as it is (zero but for
// the ids when it is new) and completes it. An error of change is returned as it is, and nothing is saved.
func (s *Store) SaveRoom(ctx context.Context, workspaceID, name string, change func(*Room) error) (Room, error) {
	var r Room
	err := s.update(ctx, func(t *tx) error {
		var err error
		r, err = scanRoom(t.row(selectRooms+` WHERE r.workspace_id = ? AND r.name_key = ?`+t.dialect.lock("r"), workspaceID, strings.ToLower(name)))
		switch {
		case errors.Is(err, errNoRows):
			def, err := t.defaultTemplate(workspaceID)
			if err != nil {
				return err
			}
			r = Room{ID: NewID(), WorkspaceID: workspaceID, TemplateID: def.ID, Name: name, Enabled: true, CreatedAt: trunc(time.Now())}
			err = t.saveRoom(&r, change, t.insertRoom)
			if errors.Is(err, ErrConflict) && strings.EqualFold(r.Name, name) {
				return errAgain // somebody has just made it
			}
			return err
		case err != nil:
			return err
		default:
			return t.saveRoom(&r, change, t.updateRoom)
		}
	})
	return r, err
}

// ChangeRoom changes the workspace's room of that id, as SaveRoom does.
func (s *Store) ChangeRoom(ctx context.Context, workspaceID, id string, change func(*Room) error) (Room, error) {
	var r Room
	err := s.update(ctx, func(t *tx) error {
		var err error
		if r, err = t.room(id); err != nil {
			return err
		}
		if r.WorkspaceID != workspaceID {
			return found(errNoRows, "room", id)
		}
		return t.saveRoom(&r, change, t.updateRoom)
	})
	return r, err
}

// saveRoom applies change and writes. The template must belong to the room's workspace, otherwise it is not found.
func (t *tx) saveRoom(r *Room, change func(*Room) error, write func(Room) error) error {
	if err := change(r); err != nil {
		return err
	}
	template, err := t.template(r.WorkspaceID, r.TemplateID)
	if err != nil {
		return err
	}
	r.TemplateName, r.UpdatedAt = template.Policy.Name, trunc(time.Now())
	return t.conflict(write(*r), "room name", r.Name)
}

func (t *tx) insertRoom(r Room) error {
	_, err := t.exec(`INSERT INTO rooms (id, workspace_id, template_id, name, name_key, description, enabled, region, large_room, size,
		max_duration_seconds, recording_json, polls_json, webhook_json, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.WorkspaceID, r.TemplateID, r.Name, strings.ToLower(r.Name), r.Description, r.Enabled, r.Region, r.LargeRoom, r.Size,
		r.MaxDurationSeconds, jsonOf(r.Recording), jsonOf(r.Polls), jsonOf(r.Webhook), millis(r.CreatedAt), millis(r.UpdatedAt))
	return err
}

func (t *tx) updateRoom(r Room) error {
	_, err := t.exec(`UPDATE rooms SET template_id = ?, name = ?, name_key = ?, description = ?, enabled = ?, region = ?, large_room = ?,
		size = ?, max_duration_seconds = ?, recording_json = ?, polls_json = ?, webhook_json = ?, updated_at = ? WHERE id = ?`,
		r.TemplateID, r.Name, strings.ToLower(r.Name), r.Description, r.Enabled, r.Region, r.LargeRoom,
		r.Size, r.MaxDurationSeconds, jsonOf(r.Recording), jsonOf(r.Polls), jsonOf(r.Webhook), millis(r.UpdatedAt), r.ID)
	return err
}
