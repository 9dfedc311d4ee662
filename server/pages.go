package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"amphi/server/api"
	"amphi/server/policy"
	"amphi/server/room"
	"amphi/server/store"
	"amphi/server/web"
)

// pages finds what the pages show.
type pages struct {
	db     *store.Store
	rooms  *room.Registry
	seeded store.Seeded
}

// door says what a room code opens.
func (p pages) door(ctx context.Context, text string) (web.Door, error) {
	code, err := p.db.RoomCode(ctx, text)
	if errors.Is(err, store.ErrNotFound) {
		return web.Door{}, web.ErrUnknownCode
	}
	if err != nil {
		return web.Door{}, err
	}
	room, template, err := p.room(ctx, code.RoomID)
	if err != nil {
		return web.Door{}, err
	}
	role := template.Roles[code.Role]
	if !code.Enabled || !room.Enabled || role == nil {
		return web.Door{}, web.ErrClosed
	}
	return web.Door{Room: room.Name, Role: role, Brand: brand(template)}, nil
}

// brand is whose pages those of a template's rooms are.
func brand(t *policy.Template) web.Brand {
	b := t.Settings.Brand
	if b == nil {
		return web.Brand{}
	}
	return web.Brand{Name: b.Name, Logo: b.Logo.Data(), Color: b.Color}
}

// starter finds the room of the first start, as it is now; nil when it is closed.
func (p pages) starter(ctx context.Context) (*web.Starter, error) {
	return p.doors(ctx, p.seeded.Room.ID)
}

// app finds the public page of the app with a subdomain; nil when none has it.
func (p pages) app(ctx context.Context, subdomain string) (*web.App, error) {
	t, err := p.db.App(ctx, subdomain)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	app := &web.App{Brand: brand(&t.Policy)}
	app.Name = cmp.Or(app.Name, t.Policy.Name)
	room, err := p.db.FirstRoom(ctx, t.WorkspaceID, t.ID)
	if errors.Is(err, store.ErrNotFound) {
		return app, nil
	}
	if err == nil {
		app.Start, err = p.doors(ctx, room.ID)
	}
	return app, err
}

// doors are the ways into a room; nil when it is closed.
func (p pages) doors(ctx context.Context, roomID string) (*web.Starter, error) {
	r, template, err := p.room(ctx, roomID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && !r.Enabled) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	enabled := true
	codes, err := p.db.RoomCodes(ctx, r.ID, store.CodeFilter{Enabled: &enabled}, store.Page{Limit: store.MaxCodesPerRoom})
	if err != nil {
		return nil, err
	}
	starter := &web.Starter{App: template.Name, Room: r.Name}
	for _, code := range codes {
		role := template.Roles[code.Role]
		shown := slices.ContainsFunc(starter.Doors, func(d web.StarterDoor) bool { return d.Role == role })
		if role != nil && !shown {
			starter.Doors = append(starter.Doors, web.StarterDoor{Code: code.Code, Role: role})
		}
	}
	slices.SortFunc(starter.Doors, func(a, b web.StarterDoor) int {
		return cmp.Or(cmp.Compare(a.Role.Level(), b.Role.Level()), cmp.Compare(a.Role.Name, b.Role.Name))
	})
	starter.OnAir, err = p.onAir(ctx, r, template)
	return starter, err
}

// onAir is the stream of a room, and how many are where; nil when there is none.
func (p pages) onAir(ctx context.Context, r store.Room, t *policy.Template) (*web.OnAir, error) {
	stream, err := p.db.ActiveLiveStream(ctx, r.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && stream.Status != store.StatusRunning {
		return nil, nil
	}
	live := p.rooms.Lookup(r.ID)
	if err != nil || live == nil {
		return nil, err
	}
	people, err := live.Attendees(ctx)
	if errors.Is(err, room.ErrClosed) {
		return nil, nil
	}
	on := &web.OnAir{Playlist: "/beam/" + r.WorkspaceID + "/" + r.ID + "/master.m3u8", Width: stream.Width, Height: stream.Height}
	for _, a := range people {
		if role := t.Roles[a.Role]; role != nil {
			on.Count(role.Level().String())
		}
	}
	return on, err
}

// reference is the table of the API's endpoints as a page shows it.
func reference(a *api.API) []web.Section {
	var sections []web.Section
	for _, r := range a.Reference() {
		s := web.Section{Name: r.Section}
		for _, e := range r.Endpoints {
			s.Endpoints = append(s.Endpoints, web.Endpoint(e))
		}
		sections = append(sections, s)
	}
	return sections
}

func (p pages) room(ctx context.Context, id string) (store.Room, *policy.Template, error) {
	room, err := p.db.AnyRoom(ctx, id)
	if err != nil {
		return room, nil, err
	}
	template, err := p.db.Template(ctx, room.WorkspaceID, room.TemplateID)
	if err != nil {
		return room, nil, err
	}
	template.Policy.Complete()
	return room, &template.Policy, nil
}
