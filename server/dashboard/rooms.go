package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates/dash"
)

// pageSize is how many things a page of a list has.
const pageSize = 25

// maxApps bounds what a choice of apps offers.
const maxApps = 100

func (d *dashboard) rooms() {
	d.handle("GET /dashboard/rooms", account.Viewer, (*visit).listRooms)
	d.handle("GET /dashboard/rooms/new", account.Developer, (*visit).newRoom)
	d.handle("POST /dashboard/rooms/new", account.Developer, (*visit).createRoom)
	d.handle("GET /dashboard/rooms/{room}", account.Viewer, func(v *visit) error { return v.showRoom("") })
	d.handle("GET /dashboard/rooms/{room}/settings", account.Viewer, (*visit).roomSettings)
	d.handle("POST /dashboard/rooms/{room}/settings", account.Developer, (*visit).changeRoom)
	d.handle("POST /dashboard/rooms/{room}/enabled", account.Developer, (*visit).enableRoom)
	d.handle("POST /dashboard/rooms/{room}/codes", account.Developer, (*visit).addCode)
	d.handle("POST /dashboard/rooms/{room}/codes/{code}", account.Developer, (*visit).enableCode)
	d.handle("GET /dashboard/rooms/{room}/codes/{code}/qr.svg", account.Viewer, (*visit).codeQR)
	d.handle("POST /dashboard/rooms/{room}/stream-key", account.Developer, (*visit).changeStreamKey)
}

// start is where a page of a list begins; what is no id begins at the newest.
func (v *visit) start() string {
	if s := v.query("start"); store.IsID(s) {
		return s
	}
	return ""
}

// pages leads to the neighbours of a page of a list that is newest first, where last is "" on the last page.
func (v *visit) pages(last string) (p dash.Pages) {
	q := v.r.URL.Query()
	link := func(start string) string {
		q.Del("start")
		if start != "" {
			q.Set("start", start)
		}
		return v.r.URL.Path + "?" + q.Encode()
	}
	if v.start() != "" {
		p.Newer = link("")
	}
	if last != "" {
		p.Older = link(last)
	}
	return p
}

// onePage cuts a list that was asked for one more than a page has, and says where the next page begins.
func onePage[T any](list []T, id func(T) string) ([]T, string) {
	if len(list) <= pageSize {
		return list, ""
	}
	return list[:pageSize], id(list[pageSize-1])
}

func (v *visit) listRooms() error {
	list := dash.RoomList{Filter: dash.Form{Values: v.r.URL.Query()}, MayEdit: v.may(account.Developer)}
	filter := store.RoomFilter{TemplateID: v.query("app")}
	if q := v.query("q"); len(q) <= 256 {
		filter.Search = q
	}
	state := v.query("state")
	if state == "open" || state == "closed" {
		enabled := state == "open"
		filter.Enabled = &enabled
	}
	list.Filtered = filter.Search != "" || filter.TemplateID != "" || state != ""
	var rooms []store.Room
	var last string
	var err error
	switch {
	case state == "live":
		rooms, err = v.liveRooms(filter)
	case store.IsID(filter.Search):
		var r store.Room
		if r, err = v.Store.Room(v.ctx(), v.Workspace.ID, filter.Search); err == nil {
			rooms = []store.Room{r}
		} else if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	default:
		rooms, err = v.Store.Rooms(v.ctx(), v.Workspace.ID, filter, store.Page{Limit: pageSize + 1, Start: v.start()})
		rooms, last = onePage(rooms, func(r store.Room) string { return r.ID })
	}
	if err != nil {
		return err
	}
	list.Pages = v.pages(last)
	for _, r := range rooms {
		list.Rooms = append(list.Rooms, v.roomRow(r))
	}
	if list.Apps, err = v.appOptions(); err != nil {
		return err
	}
	return v.page("Rooms", dash.PlaceRooms, dash.RoomsPage(list))
}

// mostLive bounds the list of rooms that are live now; those after the first are found by their names.
const mostLive = 100

// liveRooms are the rooms of the workspace that are live now.
func (v *visit) liveRooms(f store.RoomFilter) ([]store.Room, error) {
	var list []store.Room
	for _, live := range v.Rooms.Rooms() {
		info := live.Info()
		if info.CustomerID != v.Workspace.ID || !strings.Contains(strings.ToLower(info.Name), strings.ToLower(f.Search)) ||
			f.TemplateID != "" && info.TemplateID != f.TemplateID || len(list) == mostLive {
			continue
		}
		r, err := v.Store.Room(v.ctx(), v.Workspace.ID, info.RoomID)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b store.Room) int { return cmp.Compare(b.ID, a.ID) })
	return list, nil
}

func (v *visit) roomRow(r store.Room) dash.RoomRow {
	row := dash.RoomRow{ID: r.ID, Name: r.Name, Description: r.Description, App: r.TemplateName, AppID: r.TemplateID,
		Enabled: r.Enabled, Created: r.CreatedAt}
	if live := v.Rooms.Lookup(r.ID); live != nil {
		n, err := live.People(v.ctx())
		row.Live, row.People = err == nil, n
	}
	return row
}

func (v *visit) appOptions() ([]dash.Option, error) {
	templates, err := v.Store.Templates(v.ctx(), v.Workspace.ID, "", store.Page{Limit: maxApps})
	options := make([]dash.Option, len(templates))
	for i, t := range templates {
		options[i] = dash.Option{Value: t.ID, Label: t.Policy.Name}
	}
	return options, err
}

// roomInput is what the API takes of a room.
type roomInput struct {
	Name        *string `json:"name,omitempty"`
	Description string  `json:"description"`
	TemplateID  string  `json:"template_id,omitempty"`
	Size        int     `json:"size"`
	Large       bool    `json:"large_room"`
	MaxDuration *int    `json:"max_duration_seconds,omitempty"`

	Recording any `json:"recording_info,omitempty"`
}

// roomInput reads the form of a room as far as numbers go. What else is wrong the API says.
func (v *visit) roomInput(form *dash.Form) roomInput {
	name := form.Get("name")
	in := roomInput{Name: &name, Description: form.Get("description"), TemplateID: form.Get("app"), Large: form.On("large")}
	if name == "" {
		form.Refuse("name", "A room needs a name.")
	}
	number := func(field string) int {
		text := form.Get(field)
		if text == "" {
			return 0
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			form.Refuse(field, "This must be a whole number.")
		}
		return n
	}
	in.Size = number("size")
	if seconds := number("minutes") * 60; seconds != 0 {
		in.MaxDuration = &seconds
	}
	return in
}

// say puts what the API refused beside the field that it is about.
func say(form *dash.Form, r *refusal, fields map[string]string, otherwise string) {
	text := strings.ToLower(r.text())
	for word, field := range fields {
		if strings.Contains(text, word) {
			form.Refuse(field, r.text()+".")
			return
		}
	}
	form.Refuse(otherwise, r.text()+".")
}

var roomFields = map[string]string{"description": "description", "size": "size", "duration": "minutes", "template": "app", "bucket": "bucket", "upload": "bucket"}

func (v *visit) newRoom() error {
	apps, err := v.appOptions()
	if err != nil {
		return err
	}
	return v.page("New room", dash.PlaceRooms, dash.NewRoomPage(dash.Filled("app", v.query("app")), apps))
}

func (v *visit) createRoom() error {
	form := v.form()
	in := v.roomInput(&form)
	if form.Good() {
		// To the API an existing name means that room.
		same, err := v.Store.Rooms(v.ctx(), v.Workspace.ID, store.RoomFilter{Name: *in.Name}, store.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(same) > 0 {
			form.Refuse("name", "There is a room of this name already.")
		}
	}
	var made struct{ ID, Name string }
	if form.Good() {
		err := v.call("POST", "/v2/rooms", in, &made)
		if r := refused(err); r != nil {
			say(&form, r, roomFields, "name")
		} else if err != nil {
			return err
		}
	}
	if !form.Good() {
		apps, err := v.appOptions()
		if err != nil {
			return err
		}
		return v.refused("New room", dash.PlaceRooms, dash.NewRoomPage(form, apps))
	}
	v.audit("room.create", made.Name)
	if err := v.call("POST", "/v2/room-codes/room/"+made.ID, nil, nil); err != nil {
		return err
	}
	return v.done("/dashboard/rooms/"+made.ID, "The room is ready. Send its links around.")
}

// room returns the room of the path and its template.
func (v *visit) room() (store.Room, *policy.Template, error) {
	r, err := v.Store.Room(v.ctx(), v.Workspace.ID, v.value("room"))
	if err != nil {
		return r, nil, err
	}
	t, err := v.Store.Template(v.ctx(), v.Workspace.ID, r.TemplateID)
	if err != nil {
		return r, nil, err
	}
	t.Policy.Complete()
	return r, &t.Policy, nil
}

func (v *visit) roomHead(r store.Room, at string) dash.RoomHead {
	return dash.RoomHead{RoomRow: v.roomRow(r), At: at, MayEdit: v.may(account.Developer)}
}

// joinLink is where a room code leads.
func (v *visit) joinLink(code string, level policy.Level) string {
	link := "/meeting/" + url.PathEscape(code)
	if level == policy.Gallery {
		link = "/streaming" + link
	}
	return v.origin(v.r) + link
}

// showRoom draws the first page of a room; notice is what the API refused.
func (v *visit) showRoom(notice string) error {
	r, t, err := v.room()
	if err != nil {
		return err
	}
	p := dash.RoomLinks{RoomHead: v.roomHead(r, "links"), Notice: notice}
	codes, err := v.Store.RoomCodes(v.ctx(), r.ID, store.CodeFilter{}, store.Page{Limit: store.MaxCodesPerRoom})
	if err != nil {
		return err
	}
	slices.SortFunc(codes, func(a, b store.RoomCode) int { return a.CreatedAt.Compare(b.CreatedAt) })
	var stage string // a code that publishes
	for _, role := range rolesInOrder(t) {
		door := dash.RoomDoor{Role: role.Name, Level: role.Level().String()}
		for _, c := range codes {
			if c.Role != role.Name {
				continue
			}
			door.Codes = append(door.Codes, dash.DoorCode{Code: c.Code, Link: v.joinLink(c.Code, role.Level()), Enabled: c.Enabled})
			if stage == "" && c.Enabled && role.Level() == policy.Stage {
				stage = c.Code
			}
		}
		p.Doors = append(p.Doors, door)
	}
	for _, c := range codes {
		if t.Roles[c.Role] != nil {
			continue
		}
		i := slices.IndexFunc(p.Doors, func(d dash.RoomDoor) bool { return d.Role == c.Role })
		if i < 0 {
			p.Doors, i = append(p.Doors, dash.RoomDoor{Role: c.Role}), len(p.Doors)
		}
		p.Doors[i].Codes = append(p.Doors[i].Codes, dash.DoorCode{Code: c.Code, Link: v.joinLink(c.Code, policy.Stage), Enabled: c.Enabled})
	}
	if stage != "" && r.Enabled {
		p.JoinLink = v.joinLink(stage, policy.Stage)
		p.Key.WHIP = v.origin(v.r) + "/whip/" + stage
	}
	if err := v.streamKey(r, &p.Key); err != nil {
		return err
	}
	status := http.StatusOK
	if notice != "" {
		status = http.StatusUnprocessableEntity
	}
	return v.pageStatus(status, r.Name, dash.PlaceRooms, dash.RoomPage(p))
}

// streamKey asks for the room's key, which is a secret that viewers do not see.
func (v *visit) streamKey(r store.Room, k *dash.StreamKey) error {
	if !r.Enabled || !v.may(account.Developer) {
		return nil
	}
	var keys struct{ Data []struct{ URL, Key string } }
	err := v.call("GET", "/v2/stream-keys/room/"+r.ID, nil, &keys)
	if missing(err) {
		return nil
	}
	if err == nil && len(keys.Data) > 0 {
		k.Server, k.Key, k.Off = keys.Data[0].URL, keys.Data[0].Key, keys.Data[0].URL == ""
	}
	return err
}

// rolesInOrder are the roles from the stage to the gallery, the important ones first.
func rolesInOrder(t *policy.Template) []*policy.Role {
	var roles []*policy.Role
	for _, r := range t.Roles {
		roles = append(roles, r)
	}
	slices.SortFunc(roles, func(a, b *policy.Role) int {
		return cmp.Or(cmp.Compare(a.Level(), b.Level()), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	return roles
}

// told goes back to the room's page after something was done there, or says what the API refused.
func (v *visit) told(err error, action, what, message string) error {
	if r := refused(err); r != nil {
		return v.showRoom(r.text() + ".")
	}
	if err != nil {
		return err
	}
	v.audit(action, what)
	return v.done("/dashboard/rooms/"+v.value("room"), message)
}

func (v *visit) enableRoom() error {
	r, _, err := v.room()
	if err != nil {
		return err
	}
	enabled := v.r.PostForm.Get("enabled") == "true"
	err = v.call("POST", "/v2/rooms/"+r.ID, map[string]bool{"enabled": enabled}, nil)
	if enabled {
		return v.told(err, "room.open", r.Name, "The room is open.")
	}
	return v.told(err, "room.close", r.Name, "The room is closed. Who is in it stays until the session ends.")
}

func (v *visit) addCode() error {
	r, _, err := v.room()
	if err != nil {
		return err
	}
	role := v.r.PostForm.Get("role")
	err = v.call("POST", "/v2/room-codes/room/"+r.ID+"/role/"+segment(role), nil, nil)
	return v.told(err, "room.code", r.Name+": "+role, "There is a new link for "+role+".")
}

// code returns the code of the path, which must be of the room of the path.
func (v *visit) code() (store.RoomCode, store.Room, *policy.Template, error) {
	r, t, err := v.room()
	if err != nil {
		return store.RoomCode{}, r, t, err
	}
	c, err := v.Store.RoomCode(v.ctx(), v.value("code"))
	if err == nil && c.RoomID != r.ID {
		err = store.ErrNotFound
	}
	return c, r, t, err
}

func (v *visit) enableCode() error {
	c, r, _, err := v.code()
	if err != nil {
		return err
	}
	enabled := v.r.PostForm.Get("enabled") == "true"
	err = v.call("POST", "/v2/room-codes/code", map[string]any{"code": c.Code, "enabled": enabled}, nil)
	if enabled {
		return v.told(err, "room.code.enable", r.Name+": "+c.Role, "The link works again.")
	}
	return v.told(err, "room.code.disable", r.Name+": "+c.Role, "The link lets nobody in any more.")
}

func (v *visit) codeQR() error {
	c, _, t, err := v.code()
	if err != nil {
		return err
	}
	level := policy.Stage
	if role := t.Roles[c.Role]; role != nil {
		level = role.Level()
	}
	picture, err := qrSVG(v.joinLink(c.Code, level))
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "image/svg+xml")
	v.w.Header().Set("Content-Disposition", `inline; filename="`+c.Role+`.svg"`)
	_, _ = v.w.Write(picture) // an error means that the visitor is gone
	return nil
}

func (v *visit) changeStreamKey() error {
	r, _, err := v.room()
	if err != nil {
		return err
	}
	path := "/v2/stream-keys/room/" + r.ID
	switch v.r.PostForm.Get("do") {
	case "create":
		return v.told(v.call("POST", path, nil, nil), "room.stream-key", r.Name, "The room has a stream key.")
	case "disable":
		return v.told(v.call("POST", path+"/disable", nil, nil), "room.stream-key.disable", r.Name, "The stream key does not work any more.")
	case "reset":
		err := v.call("POST", path+"/disable", nil, nil)
		if err == nil || missing(err) {
			err = v.call("POST", path, nil, nil)
		}
		return v.told(err, "room.stream-key.reset", r.Name, "There is a new stream key; the old one does not work any more.")
	}
	return errForm
}

// longestSession is the most that the API takes as a room's bound, seconds.
const longestSession = 12 * 60 * 60

// recordingInfo is the room's own recording settings, as the API has them.
type recordingInfo struct {
	Enabled bool    `json:"enabled"`
	Upload  *upload `json:"upload_info,omitempty"`
}

type upload struct {
	Type        string               `json:"type"`
	Location    string               `json:"location"`
	Prefix      string               `json:"prefix,omitempty"`
	Options     policy.UploadOptions `json:"options"`
	Credentials struct {
		Key    string `json:"key,omitempty"`
		Secret string `json:"secret,omitempty"`
	} `json:"credentials"`
}

func (v *visit) roomSettings() error {
	r, _, err := v.room()
	if err != nil {
		return err
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	var now struct {
		Recording *recordingInfo `json:"recording_info"`
	}
	if err := v.call("GET", "/v2/rooms/"+r.ID, nil, &now); err != nil {
		return err
	}
	minutes := r.MaxDurationSeconds / 60
	if r.MaxDurationSeconds == longestSession {
		minutes = 0
	}
	form := dash.Filled("name", r.Name, "description", r.Description, "app", r.TemplateID, "minutes", number(minutes),
		"size", number(r.Size), "large", dash.OnOff(r.LargeRoom))
	if now.Recording == nil || now.Recording.Upload == nil {
		form.Values.Set("recording", "app")
	} else {
		u := now.Recording.Upload
		for name, value := range map[string]string{"recording": "own", "store": u.Type, "bucket": u.Location, "prefix": u.Prefix,
			"region": u.Options.Region, "key": u.Credentials.Key} {
			form.Values.Set(name, value)
		}
	}
	return v.drawRoomSettings(http.StatusOK, r, form)
}

func (v *visit) drawRoomSettings(status int, r store.Room, form dash.Form) error {
	apps, err := v.appOptions()
	if err != nil {
		return err
	}
	return v.pageStatus(status, r.Name, dash.PlaceRooms, dash.RoomSettingsPage(dash.RoomSettings{RoomHead: v.roomHead(r, "settings"), Form: form, Apps: apps}))
}

func (v *visit) changeRoom() error {
	r, _, err := v.room()
	if err != nil {
		return err
	}
	form := v.form()
	in := v.roomInput(&form)
	if in.MaxDuration == nil && r.MaxDurationSeconds != 0 {
		most := longestSession // the API cannot take a bound away
		in.MaxDuration = &most
	}
	if form.Get("recording") == "own" {
		u := &upload{Type: form.Get("store"), Location: form.Get("bucket"), Prefix: form.Get("prefix"), Options: policy.UploadOptions{Region: form.Get("region")}}
		u.Credentials.Key, u.Credentials.Secret = form.Get("key"), cmp.Or(form.Get("secret"), policy.HiddenSecret)
		in.Recording = recordingInfo{Enabled: true, Upload: u}
	} else {
		in.Recording = (*recordingInfo)(nil)
	}
	if form.Good() {
		err := v.call("POST", "/v2/rooms/"+r.ID, changedRoom{in, in.Recording}, nil)
		if refusal := refused(err); refusal != nil {
			say(&form, refusal, roomFields, "name")
		} else if err != nil {
			return err
		}
	}
	if !form.Good() {
		return v.drawRoomSettings(http.StatusUnprocessableEntity, r, form)
	}
	v.audit("room.change", *in.Name)
	return v.done("/dashboard/rooms/"+r.ID+"/settings", "Saved.")
}

// changedRoom says null where the room's own recording settings are to go; roomInput leaves out what is not said.
type changedRoom struct {
	roomInput
	Recording any `json:"recording_info"`
}
