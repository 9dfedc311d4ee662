package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"amphi/server/protocol"
	"amphi/server/pull"
	"amphi/server/store"
)

// fakePuller keeps sources that are never fetched. There is room for two.
type fakePuller struct{ list []pull.Source }

func (f *fakePuller) Start(_ context.Context, s pull.Setup) (pull.Source, error) {
	if len(f.list) == 2 {
		return pull.Source{}, protocol.Errorf(protocol.CodeTooMany, "the room has 2 sources already")
	}
	f.list = append(f.list, pull.Source{ID: store.NewID(), WorkspaceID: s.WorkspaceID, RoomID: s.RoomID, URL: "rtsp://camera.example/…", Name: s.Name,
		Status: pull.Starting, CreatedAt: time.Now()})
	return f.list[len(f.list)-1], nil
}

func (f *fakePuller) find(id string) int {
	return slices.IndexFunc(f.list, func(s pull.Source) bool { return s.ID == id })
}

func (f *fakePuller) Stop(id string) (pull.Source, bool) {
	i := f.find(id)
	if i < 0 {
		return pull.Source{}, false
	}
	f.list[i].Status, f.list[i].StoppedAt = pull.Stopped, time.Now()
	return f.list[i], true
}

func (f *fakePuller) Source(id string) (pull.Source, bool) {
	i := f.find(id)
	if i < 0 {
		return pull.Source{}, false
	}
	return f.list[i], true
}

func (f *fakePuller) Sources(workspaceID, roomID string) []pull.Source {
	list := slices.Clone(f.list)
	slices.Reverse(list)
	return slices.DeleteFunc(list, func(s pull.Source) bool { return s.WorkspaceID != workspaceID || roomID != "" && s.RoomID != roomID })
}

func walkSources(b *bench) []row {
	const (
		form    = `{"id":"ID","room_id":"ROOM","url":"rtsp://camera.example/…","name":"%n","status":"%s","problem":"","created_at":TIME,"started_at":null,"stopped_at":%t}`
		none    = `{"code":404,"message":"external source not found"}`
		start   = "/v2/external-sources/room/{room_id}/start"
		camera  = `{"url":"rtsp://user:password@camera.example/door","name":"Door"}`
		noURL   = "url must be of the form rtsp://…, rtsps://… or https://….m3u8"
		another = "/v2/external-sources/room" + unknown
	)
	puller := &fakePuller{}
	object := func(name, status, stopped string) string {
		return strings.NewReplacer("%n", name, "%s", status, "%t", stopped).Replace(form)
	}
	page := func(objects ...string) string {
		last := ""
		if len(objects) > 0 {
			last = "ID"
		}
		return fmt.Sprintf(`{"limit":%d,"data":[%s],"last":"%s"}`, len(objects), strings.Join(objects, ","), last)
	}
	at := func(path string) func() string {
		return func() string { return strings.Replace(path, "{id}", puller.list[0].ID, 1) }
	}
	return []row{
		{endpoint: "POST " + start,
			prepare: func() { b.Puller = puller },
			good:    []visit{{body: camera, want: object("Door", "starting", "null")}, {body: `{"url":"https://tv.example/live.m3u8"}`, want: object("", "starting", "null")}},
			bad: []visit{unauthorized, {path: another + "/start", body: camera, status: 404, want: noRoom},
				{body: camera, status: 429, want: `{"code":429,"message":"the room has 2 sources already"}`},
				{status: 400, want: badBody(noURL)}, {body: `{"url":"file:///etc/passwd"}`, status: 400, want: badBody(noURL)}, {body: `{"url":"rtsp://"}`, status: 400, want: badBody(noURL)},
				{body: `{"url":"rtsp://a/b","name":"` + strings.Repeat("n", 257) + `"}`, status: 400, want: badBody("name is longer than 256 bytes")},
				{path: start, body: camera, status: 501, want: `{"code":501,"message":"this server does not fetch streams from elsewhere"}`, late: func() string { b.Puller = nil; return start }}}},
		{endpoint: "GET /v2/external-sources",
			good: []visit{{want: page()}, {want: page(object("", "starting", "null"), object("Door", "starting", "null")), late: func() string {
				b.Puller = puller
				return "/v2/external-sources?room_id={room_id}"
			}}, {path: "/v2/external-sources?room_id=" + unknown[1:], want: page()}},
			bad: []visit{unauthorized, {path: "/v2/external-sources?room_id=..", status: 400, want: badQuery("room_id must be an id of 24 hexadecimal digits")}}},
		{endpoint: "GET /v2/external-sources/{id}",
			good: []visit{{late: at("/v2/external-sources/{id}"), want: object("Door", "starting", "null")}},
			bad:  append(b.nobodys("/v2/external-sources/{id}", none), unauthorized)},
		{endpoint: "POST /v2/external-sources/{id}/stop",
			good: []visit{{late: at("/v2/external-sources/{id}/stop"), want: object("Door", "stopped", "TIME")}},
			bad:  append(b.nobodys("/v2/external-sources/{id}/stop", none), unauthorized)},
		{endpoint: "POST /v2/external-sources/room/{room_id}/stop",
			good: []visit{{want: page(object("", "stopped", "TIME"))}, {want: page()}},
			bad:  []visit{unauthorized, {path: another + "/stop", status: 404, want: noRoom}}},
	}
}
