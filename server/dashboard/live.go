package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"amphi/server/account"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
	"amphi/templates/dash"
)

// mostShown bounds the people of a level that are drawn; the rest are counted.
const mostShown = 60

func (d *dashboard) live() {
	d.handle("GET /dashboard/rooms/{room}/live", account.Viewer, func(v *visit) error { return v.showLive(dash.Form{}, "") })
	d.handle("GET /dashboard/rooms/{room}/live/now", account.Viewer, (*visit).liveNow)
	d.handle("POST /dashboard/rooms/{room}/live/stream", account.Developer, (*visit).switchStream)
	d.handle("POST /dashboard/rooms/{room}/live/recording", account.Developer, (*visit).switchRecording)
	d.handle("POST /dashboard/rooms/{room}/live/message", account.Developer, (*visit).sayInRoom)
	d.handle("POST /dashboard/rooms/{room}/live/end", account.Developer, (*visit).endSession)
	d.handle("GET /dashboard/rooms/{room}/live/peers/{peer}", account.Viewer, func(v *visit) error { return v.showPerson("") })
	d.handle("POST /dashboard/rooms/{room}/live/peers/{peer}/role", account.Developer, (*visit).changeRole)
	d.handle("POST /dashboard/rooms/{room}/live/peers/{peer}/mute", account.Developer, (*visit).mute)
	d.handle("POST /dashboard/rooms/{room}/live/peers/{peer}/remove", account.Developer, (*visit).remove)
}

// liveRoom is the room of the path at this moment.
func (v *visit) liveRoom() (dash.LiveRoom, error) {
	r, t, err := v.room()
	if err != nil {
		return dash.LiveRoom{}, err
	}
	p := dash.LiveRoom{RoomHead: v.roomHead(r, "live"), HasStream: len(t.Destinations.HLS) > 0}
	for _, role := range rolesInOrder(t) {
		p.Roles = append(p.Roles, dash.Option{Value: role.Name, Label: role.Name + " (" + role.Level().String() + ")"})
	}
	stream, err := v.Store.ActiveLiveStream(v.ctx(), r.ID)
	switch {
	case err == nil:
		p.Stream = dash.Broadcast{State: string(stream.Status), Since: stream.StartedAt, Watch: stream.PlaybackURL}
	case !errors.Is(err, store.ErrNotFound):
		return p, err
	}
	job, err := v.Store.ActiveJob(v.ctx(), r.ID, store.Recording)
	switch {
	case err == nil:
		p.Recording = dash.Broadcast{State: string(job.Status), Since: job.StartedAt, Paused: job.Paused}
	case !errors.Is(err, store.ErrNotFound):
		return p, err
	case stream.Recording != store.StreamRecording{}:
		p.Recording = dash.Broadcast{State: p.Stream.State, Since: p.Stream.Since, With: "the live stream"}
	}
	live := v.Rooms.Lookup(r.ID)
	p.Live = live != nil
	if live == nil {
		return p, nil
	}
	people, err := live.Attendees(v.ctx())
	if errors.Is(err, room.ErrClosed) {
		p.Live = false
		return p, nil
	}
	info := live.Info()
	p.Since, p.SessionID, p.People = info.SessionStarted, info.SessionID, len(people)
	p.Columns = columns(people, t)
	return p, err
}

// columns sorts people by their level, those with raised hands first.
func columns(people []room.Attendee, t *policy.Template) []dash.Column {
	list := []dash.Column{{Level: policy.Stage.String()}, {Level: policy.Floor.String()}, {Level: policy.Gallery.String()}}
	for _, a := range people {
		p := person(a, t)
		for i := range list {
			if list[i].Level == p.Level {
				list[i].Count++
				list[i].People = append(list[i].People, p)
			}
		}
	}
	for i := range list {
		slices.SortStableFunc(list[i].People, func(a, b dash.Person) int {
			switch {
			case a.Hand == b.Hand:
				return 0
			case a.Hand:
				return -1
			}
			return 1
		})
		list[i].People = list[i].People[:min(len(list[i].People), mostShown)]
	}
	return list
}

func person(a room.Attendee, t *policy.Template) dash.Person {
	p := dash.Person{ID: a.PeerID, Name: a.Name, Role: a.Role, UserID: a.UserID, Quality: a.Quality, Joined: a.Joined,
		Level: policy.Gallery.String(), Hand: slices.Contains(a.Groups, protocol.HandRaiseGroup)}
	// A session keeps the template it began with: a role may be gone from the present one.
	if role := t.Roles[a.Role]; role != nil {
		p.Level = role.Level().String()
	}
	if !p.Hand { // how it was done before there were groups
		var data struct {
			Hand bool `json:"isHandRaised"`
		}
		p.Hand = json.Unmarshal([]byte(a.Data), &data) == nil && data.Hand
	}
	for _, t := range a.Tracks {
		p.Tracks = append(p.Tracks, dash.PersonTrack{Kind: string(t.Kind), Source: t.Source, Muted: t.Mute, Started: t.Started})
	}
	return p
}

// showLive draws the room at this moment; notice is what the API refused.
func (v *visit) showLive(message dash.Form, notice string) error {
	p, err := v.liveRoom()
	if err != nil {
		return err
	}
	p.Message, p.Notice = message, notice
	status := http.StatusOK
	if notice != "" || !message.Good() {
		status = http.StatusUnprocessableEntity
	}
	return v.pageStatus(status, p.Name, dash.PlaceRooms, dash.LivePage(p))
}

func (v *visit) liveNow() error {
	p, err := v.liveRoom()
	if err != nil {
		return err
	}
	return v.part(dash.LiveNow(p))
}

// acted goes back to the room at this moment, or says what the API refused.
func (v *visit) acted(err error, action, message string) error {
	if r := refused(err); r != nil {
		return v.showLive(dash.Form{}, r.text()+".")
	}
	if err != nil {
		return err
	}
	r, err := v.Store.Room(v.ctx(), v.Workspace.ID, v.value("room"))
	if err != nil {
		return err
	}
	v.audit(action, r.Name)
	return v.done("/dashboard/rooms/"+r.ID+"/live", message)
}

func (v *visit) switchStream() error {
	path := "/v2/live-streams/room/" + segment(v.value("room"))
	switch v.r.PostForm.Get("do") {
	case "start":
		return v.acted(v.call("POST", path+"/start", nil, nil), "stream.start", "The stream starts.")
	case "stop":
		return v.acted(v.call("POST", path+"/stop", nil, nil), "stream.stop", "The stream stops.")
	}
	return errForm
}

func (v *visit) switchRecording() error {
	do := v.r.PostForm.Get("do")
	messages := map[string]string{"start": "The recording starts.", "stop": "The recording stops. It appears under recordings when it is ready.",
		"pause": "The recording is paused.", "resume": "The recording goes on."}
	if messages[do] == "" {
		return errForm
	}
	return v.acted(v.call("POST", "/v2/recordings/room/"+segment(v.value("room"))+"/"+do, nil, nil), "recording."+do, messages[do])
}

func (v *visit) sayInRoom() error {
	form := v.form()
	if form.Get("message") == "" {
		form.Refuse("message", "Write something.")
		return v.showLive(form, "")
	}
	in := map[string]string{"message": form.Get("message"), "role": form.Get("role")}
	err := v.call("POST", "/v2/active-rooms/"+segment(v.value("room"))+"/send-message", in, nil)
	if r := refused(err); r != nil {
		form.Refuse("message", r.text()+".")
		return v.showLive(form, "")
	}
	return v.acted(err, "room.message", "The message was sent.")
}

func (v *visit) endSession() error {
	form := v.form()
	in := map[string]any{"lock": form.On("lock"), "reason": "The host ended the session."}
	return v.acted(v.call("POST", "/v2/active-rooms/"+segment(v.value("room"))+"/end-room", in, nil), "room.end", "The session ends for everybody.")
}

// showPerson draws somebody in the room; notice is what the API refused.
func (v *visit) showPerson(notice string) error {
	r, t, err := v.room()
	if err != nil {
		return err
	}
	live := v.Rooms.Lookup(r.ID)
	if live == nil {
		return v.gone()
	}
	a, err := live.Attendee(v.ctx(), v.value("peer"))
	var unknown *protocol.Error
	if errors.Is(err, room.ErrClosed) || errors.As(err, &unknown) && unknown.Code == protocol.CodeNotFound {
		return v.gone()
	}
	if err != nil {
		return err
	}
	p := dash.PersonPage{LiveRoom: dash.LiveRoom{RoomHead: v.roomHead(r, "live"), Notice: notice}, Person: person(a, t), Form: dash.Filled("role", a.Role)}
	for _, role := range rolesInOrder(t) {
		p.Roles = append(p.Roles, dash.Option{Value: role.Name, Label: role.Name + " (" + role.Level().String() + ")"})
	}
	status := http.StatusOK
	if notice != "" {
		status = http.StatusUnprocessableEntity
	}
	return v.pageStatus(status, a.Name, dash.PlaceRooms, dash.LivePersonPage(p))
}

// gone leads back to the room when somebody has left it.
func (v *visit) gone() error {
	return v.done("/dashboard/rooms/"+segment(v.value("room"))+"/live", "This person is not in the room any more.")
}

// actedOn goes back to somebody after something was done to them.
func (v *visit) actedOn(err error, action, message string) error {
	if missing(err) {
		return v.gone()
	}
	if r := refused(err); r != nil {
		return v.showPerson(r.text() + ".")
	}
	if err != nil {
		return err
	}
	v.audit(action, v.value("peer"))
	return v.done("/dashboard/rooms/"+segment(v.value("room"))+"/live/peers/"+segment(v.value("peer")), message)
}

// peerPath is the peer of the path in the API.
func (v *visit) peerPath() string {
	return "/v2/active-rooms/" + segment(v.value("room")) + "/peers/" + segment(v.value("peer"))
}

func (v *visit) changeRole() error {
	role := v.r.PostForm.Get("role")
	return v.actedOn(v.call("POST", v.peerPath(), map[string]string{"role": role}, nil), "peer.role", "The role is "+role+" now.")
}

func (v *visit) mute() error {
	return v.actedOn(v.call("POST", v.peerPath()+"/mute", map[string]string{"type": v.r.PostForm.Get("type")}, nil), "peer.mute", "The person was muted.")
}

func (v *visit) remove() error {
	form := v.form()
	in := map[string]string{"peer_id": v.value("peer"), "reason": form.Get("reason")}
	err := v.call("POST", "/v2/active-rooms/"+segment(v.value("room"))+"/remove-peers", in, nil)
	if r := refused(err); r != nil && !missing(err) {
		return v.showPerson(r.text() + ".")
	}
	if err != nil && !missing(err) {
		return err
	}
	v.audit("peer.remove", v.value("peer"))
	return v.done("/dashboard/rooms/"+segment(v.value("room"))+"/live", "The person was removed.")
}
