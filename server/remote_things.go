package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"amphi/server/client"
	"amphi/server/store"
)

func limitFlag(r *remote, f *flag.FlagSet) {
	f.IntVar(&r.limit, "limit", 0, "at most so many (default all)")
}

// room finds a room by its id or its name.
func (r *remote) room(ctx context.Context, text string) (client.Room, error) {
	if store.IsID(text) {
		room, err := r.Room(ctx, text)
		if errors.Is(err, client.ErrNotFound) {
			err = fmt.Errorf("there is no room %q (amphi rooms list)", text)
		}
		return room, err
	}
	room, err := r.RoomByName(ctx, text)
	if errors.Is(err, client.ErrNotFound) {
		err = fmt.Errorf("there is no room %q (amphi rooms list)", text)
	}
	return room, err
}

var roomVerbs = []verb{
	{name: "list", help: "List rooms", flags: func(r *remote, f *flag.FlagSet) {
		limitFlag(r, f)
		f.BoolVar(&r.disabled, "disabled", false, "the disabled ones")
	}, run: (*remote).listRooms},
	{name: "get", args: "ROOM", help: "Show a room, by id or name", least: 1, most: 1, run: (*remote).getRoom},
	{name: "create", args: "NAME", help: "Make a room, or change the one that has the name", least: 1, most: 1, flags: func(r *remote, f *flag.FlagSet) {
		f.StringVar(&r.template, "template", "", "id or name of its template (default: the workspace's)")
		f.StringVar(&r.description, "description", "", "what it is for")
		f.IntVar(&r.size, "size", 0, "most people in it; 0 is the server's bound")
		f.DurationVar(&r.maxDuration, "max-duration", 0, "the session ends itself then, 2m to 12h")
	}, run: (*remote).createRoom},
	{name: "enable", args: "ROOM", help: "Let people in", least: 1, most: 1, run: func(r *remote, ctx context.Context, args []string) error { return r.enableRoom(ctx, args[0], true) }},
	{name: "disable", args: "ROOM", help: "Let nobody in; who is in stays", least: 1, most: 1, run: func(r *remote, ctx context.Context, args []string) error { return r.enableRoom(ctx, args[0], false) }},
	{name: "end", args: "ROOM", help: "End the session: everybody leaves, the stream stops", least: 1, most: 1, flags: func(r *remote, f *flag.FlagSet) {
		f.StringVar(&r.reason, "reason", "", "what people are told")
		f.BoolVar(&r.lock, "lock", false, "disable the room too")
	}, run: (*remote).endRoom},
}

func (r *remote) listRooms(ctx context.Context, _ []string) error {
	rooms, err := r.Rooms(ctx, !r.disabled, r.limit)
	if err != nil {
		return err
	}
	return table(r, "ID NAME TEMPLATE STATE CREATED", rooms, func(v client.Room) []string {
		return []string{v.ID, v.Name, v.Template, yes(v.Enabled, "enabled", "disabled"), minute(v.CreatedAt)}
	})
}

func (r *remote) showRoom(v client.Room, err error) error {
	if err != nil {
		return err
	}
	size := "the server's bound"
	if v.Size > 0 {
		size = strconv.Itoa(v.Size)
	}
	return r.show(v, "id", v.ID, "name", v.Name, "description", v.Description, "template", v.Template+" ("+v.TemplateID+")",
		"state", yes(v.Enabled, "enabled", "disabled"), "size", size, "created", minute(v.CreatedAt))
}

func (r *remote) getRoom(ctx context.Context, args []string) error {
	return r.showRoom(r.room(ctx, args[0]))
}

func (r *remote) createRoom(ctx context.Context, args []string) error {
	in := client.RoomChange{Name: &args[0]}
	if r.template != "" {
		t, err := r.templateOf(ctx, r.template)
		if err != nil {
			return err
		}
		in.TemplateID = &t.ID
	}
	if r.given["description"] {
		in.Description = &r.description
	}
	if r.given["size"] {
		large := r.size > 2500
		in.Size, in.LargeRoom = &r.size, &large
	}
	if r.given["max-duration"] {
		seconds := int(r.maxDuration / time.Second)
		in.MaxDuration = &seconds
	}
	return r.showRoom(r.CreateRoom(ctx, in))
}

func (r *remote) enableRoom(ctx context.Context, text string, enabled bool) error {
	room, err := r.room(ctx, text)
	if err != nil {
		return err
	}
	return r.showRoom(r.ChangeRoom(ctx, room.ID, client.RoomChange{Enabled: &enabled}))
}

func (r *remote) endRoom(ctx context.Context, args []string) error {
	room, err := r.room(ctx, args[0])
	if err != nil {
		return err
	}
	err = r.EndRoom(ctx, room.ID, r.reason, r.lock)
	if errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("nobody is in the room %q", room.Name)
	}
	if err != nil {
		return err
	}
	return r.show(map[string]string{"message": "session is ending"}, "room", room.Name, "session", "ends"+yes(r.lock, ", and the room is disabled", ""))
}

var codeVerbs = []verb{
	{name: "list", args: "ROOM", help: "List the codes of a room", least: 1, most: 1, run: (*remote).listCodes},
	{name: "create", args: "ROOM", help: "Make a code for every role that has none, or one more for --role", least: 1, most: 1, flags: func(r *remote, f *flag.FlagSet) {
		f.StringVar(&r.role, "role", "", "one more code for this role")
	}, run: (*remote).createCodes},
	{name: "enable", args: "CODE", help: "Let people in with a code", least: 1, most: 1, run: func(r *remote, ctx context.Context, args []string) error { return r.enableCode(ctx, args[0], true) }},
	{name: "disable", args: "CODE", help: "Let nobody in with a code", least: 1, most: 1, run: func(r *remote, ctx context.Context, args []string) error { return r.enableCode(ctx, args[0], false) }},
}

func (r *remote) showCodes(codes []client.Code, err error) error {
	if err != nil {
		return err
	}
	return table(r, "CODE ROLE STATE LINK", codes, func(v client.Code) []string {
		return []string{v.Code, v.Role, yes(v.Enabled, "enabled", "disabled"), strings.TrimSuffix(r.URL, "/") + "/meeting/" + v.Code}
	})
}

func (r *remote) listCodes(ctx context.Context, args []string) error {
	room, err := r.room(ctx, args[0])
	if err != nil {
		return err
	}
	return r.showCodes(r.Codes(ctx, room.ID))
}

func (r *remote) createCodes(ctx context.Context, args []string) error {
	room, err := r.room(ctx, args[0])
	if err != nil {
		return err
	}
	if r.role == "" {
		return r.showCodes(r.CreateCodes(ctx, room.ID))
	}
	code, err := r.AddCode(ctx, room.ID, r.role)
	return r.showCodes([]client.Code{code}, err)
}

func (r *remote) enableCode(ctx context.Context, code string, enabled bool) error {
	v, err := r.EnableCode(ctx, code, enabled)
	return r.showCodes([]client.Code{v}, err)
}

var liveVerbs = []verb{
	{name: "start", args: "ROOM", help: "Start the composed stream of a room", least: 1, most: 1, flags: func(r *remote, f *flag.FlagSet) {
		f.StringVar(&r.destination, "destination", "", "of the room's template, when it has several")
	}, run: (*remote).startLive},
	{name: "stop", args: "ROOM", help: "Stop it", least: 1, most: 1, run: (*remote).stopLive},
	{name: "list", args: "[ROOM]", help: "List live streams, of all rooms or of one", most: 1, flags: limitFlag, run: (*remote).listLive},
}

func (r *remote) showStream(v client.LiveStream, err error) error {
	if err != nil {
		return err
	}
	return r.show(v, "id", v.ID, "status", v.Status, "playback", v.Playback.URL)
}

func (r *remote) startLive(ctx context.Context, args []string) error {
	room, err := r.room(ctx, args[0])
	if err != nil {
		return err
	}
	return r.showStream(r.StartStream(ctx, room.ID, r.destination))
}

func (r *remote) stopLive(ctx context.Context, args []string) error {
	room, err := r.room(ctx, args[0])
	if err != nil {
		return err
	}
	stopped, err := r.StopStreams(ctx, room.ID)
	if errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("the room %q is not live", room.Name)
	}
	if err != nil {
		return err
	}
	return r.showStream(stopped[0], nil)
}

func (r *remote) listLive(ctx context.Context, args []string) error {
	id, err := r.roomID(ctx, args)
	if err != nil {
		return err
	}
	streams, err := r.Streams(ctx, id, r.limit)
	if err != nil {
		return err
	}
	return table(r, "ID ROOM STATUS CREATED PLAYBACK", streams, func(v client.LiveStream) []string {
		return []string{v.ID, v.RoomID, v.Status, minute(v.CreatedAt), v.Playback.URL}
	})
}

// roomID is the id of the room that the first argument names, if there is one.
func (r *remote) roomID(ctx context.Context, args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	room, err := r.room(ctx, args[0])
	return room.ID, err
}

var templateVerbs = []verb{
	{name: "list", help: "List templates", run: (*remote).listTemplates},
	{name: "get", args: "TEMPLATE", help: "Print a template as JSON, by id or name", least: 1, most: 1, run: (*remote).getTemplate},
	{name: "put", args: "FILE", help: "Make a template out of a JSON file, or overwrite the one that has its name", least: 1, most: 1, run: (*remote).putTemplate},
}

// templateOf finds a template by its id or its name.
func (r *remote) templateOf(ctx context.Context, text string) (client.Template, error) {
	if store.IsID(text) {
		t, err := r.Template(ctx, text)
		if errors.Is(err, client.ErrNotFound) {
			err = fmt.Errorf("there is no template %q (amphi templates list)", text)
		}
		return t, err
	}
	list, err := r.Templates(ctx, text)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("there is no template %q (amphi templates list)", text)
	}
	return append(list, client.Template{})[0], err
}

func (r *remote) listTemplates(ctx context.Context, _ []string) error {
	list, err := r.Templates(ctx, "")
	return r.showTemplates(list, err)
}

func (r *remote) showTemplates(list []client.Template, err error) error {
	if err != nil {
		return err
	}
	return table(r, "ID NAME DEFAULT ROLES", list, func(v client.Template) []string {
		return []string{v.ID, v.Name, yes(v.Default, "yes", "-"), strings.Join(slices.Sorted(maps.Keys(v.Roles)), ", ")}
	})
}

func (r *remote) getTemplate(ctx context.Context, args []string) error {
	t, err := r.templateOf(ctx, args[0])
	if err != nil {
		return err
	}
	return r.print(t)
}

func (r *remote) putTemplate(ctx context.Context, args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if !json.Valid(text) {
		return fmt.Errorf("%s is no JSON (amphi templates get prints the form)", args[0])
	}
	t, err := r.PutTemplate(ctx, json.RawMessage(text))
	if r.json && err == nil {
		return r.print(t)
	}
	return r.showTemplates([]client.Template{t}, err)
}

var sessionVerbs = []verb{
	{name: "list", args: "[ROOM]", help: "List sessions, of all rooms or of one", most: 1, flags: func(r *remote, f *flag.FlagSet) {
		limitFlag(r, f)
		f.BoolVar(&r.active, "active", false, "only those that go on")
	}, run: (*remote).listSessions},
}

func (r *remote) listSessions(ctx context.Context, args []string) error {
	id, err := r.roomID(ctx, args)
	if err != nil {
		return err
	}
	sessions, err := r.Sessions(ctx, id, r.active, r.limit)
	if err != nil {
		return err
	}
	return table(r, "ID ROOM STATE BEGAN LASTED PEERS", sessions, func(v client.Session) []string {
		lasted := v.UpdatedAt.Sub(v.CreatedAt)
		if v.Active {
			lasted = time.Since(v.CreatedAt)
		}
		return []string{v.ID, v.RoomID, yes(v.Active, "active", "ended"), minute(v.CreatedAt), lasted.Round(time.Second).String(), strconv.Itoa(len(v.Peers))}
	})
}
