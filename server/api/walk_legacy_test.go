package api

import (
	"fmt"
	"strings"

	"amphi/server/policy"
)

// walkLegacy visits the old paths. A stream starts and stops again meanwhile.
func walkLegacy(b *bench) []row {
	room := func(name, active string) string {
		return `{"id":"ID","name":"` + name + `","description":"","user":"APP","customer":"WORKSPACE","recording_info":null,"template":"KIT","region":"auto","active":` + active + `,"created_at":TIME,"updated_at":TIME}`
	}
	beam := func(operation, more string) string {
		return fmt.Sprintf(`{"operation":"%s","room_id":"%s"%s}`, operation, b.seed.Room.ID, more)
	}
	refusal := func(status, code int, message string) visit {
		return visit{status: status, want: fmt.Sprintf(`{"code":%d,"message":"%s"}`, code, message)}
	}
	with := func(v visit, body string) visit { v.body = body; return v }
	of := `{"room_id":"` + b.seed.Room.ID + `"}`
	const nowhere = `{"room_id":"65b0c1d2e3f405162738495a"}`
	template := func(name, id, isDefault, roles, destinations string) string {
		return `{"_id":"` + id + `","name":"` + name + `","customer":"WORKSPACE","default":` + isDefault + `,"roles":` + roles + `,"settings":{"region":"auto","recording":null,"retry":{}},"destinations":` + destinations + `,"plugins":{},"createdAt":TIME,"updatedAt":TIME}`
	}
	kit := policy.StarterKit()
	kit.Complete()
	kitAnswer := template("KIT", "TEMPLATE", "true", mustJSON(kit.Roles), mustJSON(kit.Destinations))
	const guest = `{"name":"guest","publishParams":{"allowed":[]},"subscribeParams":{"subscribeToRoles":[],"maxSubsBitRate":0},"permissions":{"sendRoomState":false,"hlsStreaming":true,"rtmpStreaming":true,"browserRecording":true},"priority":1,"maxPeerCount":0}`
	id := b.field("id", "POST", "/v2/templates", `{"name":"legacy","roles":{"guest":{}}}`)
	at := func(rest string) string { return "/policy/v1/templates/" + id + rest }
	gone := func(rest string) visit {
		return visit{path: "/policy/v1/templates" + unknown + rest, status: 404, want: noTemplate}
	}
	const settings = `{"region":"auto","recording":null,"retry":{}}`
	stopStream := func() {
		l, err := b.Store.ActiveLiveStream(b.t.Context(), b.seed.Room.ID)
		if err == nil {
			err = b.Store.LiveStreamStopped(b.t.Context(), l.ID, "client request", l.CreatedAt)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return []row{
		{endpoint: "POST /api/v2/rooms",
			good: []visit{{body: `{"name":"old-room","template":"` + b.seed.Template.Name + `"}`, want: room("old-room", "true")}, {body: `{"name":"old-room","active":false}`, want: room("old-room", "false")}},
			bad: []visit{unauthorized, {body: `{"template":"none"}`, status: 400, want: `{"code":400,"message":"Error: template not found","details":["Error: template not found"]}`},
				{body: `{"name":"a b"}`, status: 400, want: badBody("name must be at most 256 letters, digits and . - : _")}}},
		{endpoint: "POST /api/v2/beam",
			bad: []visit{unauthorized, with(refusal(400, 9, "Error: operation missing"), `{}`), with(refusal(400, 8, "Error: operation invalid"), `{"operation":"x"}`),
				with(refusal(400, 3, "Error: room_id missing"), `{"operation":"stop"}`), with(refusal(400, 4, "Error: room_id invalid"), `{"operation":"stop","room_id":"x"}`),
				with(refusal(400, 6, "Error: meeting_url missing"), beam("start", "")), with(refusal(400, 7, "Error: meeting_url invalid"), beam("start", `,"meeting_url":"x"`)),
				with(refusal(400, 5, "Error: rtmp_url and record missing"), beam("start", `,"meeting_url":"https://m.example/x"`)),
				with(refusal(400, 11, "Error: Resolution not supported"), beam("start", `,"meeting_url":"https://m.example/x","record":true,"resolution":{"width":1,"height":1}`)),
				with(refusal(404, 10, "Error: no active beam found for the passed in identifiers"), beam("stop", "")),
				{body: beam("start", `,"meeting_url":"https://m.example/x","record":true`), status: 500, want: `{"code":2,"message":"Error: internal server error","details":["` + WhyNoRecording + `"]}`},
				{body: beam("start", `,"meeting_url":"https://m.example/x","rtmp_urls":["rtmp://a.example/live/k"]`), status: 500, want: `{"code":2,"message":"Error: internal server error","details":["` + WhyNoRTMP + `"]}`}}},
		{endpoint: "POST /islb/api/v2/room/hls/start",
			good: []visit{{body: `{"room_id":"` + b.seed.Room.ID + `","variants":[{"meeting_url":"https://m.example/x"}],"recording":{"hls_vod":true}}`, want: "Hls streaming is starting"}},
			bad: []visit{unauthorized, {body: of, status: 400, want: `{"code":400,"message":"beam already started"}`}, {body: nowhere, status: 404, want: noRoom},
				{body: `{}`, status: 400, want: badBody("room_id is missing")}}},
		{endpoint: "GET /islb/api/v2/room/hls/url",
			good: []visit{{path: "/islb/api/v2/room/hls/url?room_id={room_id}", want: `{"url":"https://live.example/master.m3u8"}`}},
			bad:  []visit{unauthorized, {path: "/islb/api/v2/room/hls/url?room_id=x", status: 400, want: badQuery("room_id must be an id of 24 hexadecimal digits")}, {status: 404, want: noRoom}}},
		{endpoint: "POST /islb/api/v2/room/hls/pause",
			bad: []visit{unauthorized, {body: of, status: 400, want: `{"code":400,"message":"the live stream is not being recorded"}`}, {body: nowhere, status: 404, want: noRoom}}},
		{endpoint: "POST /islb/api/v2/room/hls/unpause",
			bad: []visit{unauthorized, {body: of, status: 400, want: `{"code":400,"message":"the live stream is not being recorded"}`}, {body: nowhere, status: 404, want: noRoom}}},
		{endpoint: "POST /islb/api/v2/room/hls/stop",
			good: []visit{{body: of, want: "Hls streaming is stopping"}},
			bad:  []visit{unauthorized, {body: nowhere, status: 404, want: noRoom}, {body: `{}`, status: 400, want: badBody("room_id is missing")}}},

		{endpoint: "GET /policy/v1/templates",
			prepare: func() {
				stopStream()
				b.visit("GET", "/islb/api/v2/room/hls/url?room_id={room_id}", visit{status: 404, want: `{"code":404,"message":"No HLS stream running"}`})
			},
			good: []visit{{path: "/policy/v1/templates?id={template_id}", want: `{"limit":10,"data":[` + kitAnswer + `],"last":"TEMPLATE"}`}, {path: "/policy/v1/templates?default=true&limit=50", want: `{"limit":20,"data":[` + kitAnswer + `],"last":"TEMPLATE"}`},
				{path: "/policy/v1/templates?name=none", want: emptyPage}, {path: "/policy/v1/templates?id=65b0c1d2e3f405162738495a", want: emptyPage}},
			bad: []visit{unauthorized, {path: "/policy/v1/templates?id=x", status: 400, want: badQuery("id must be an id of 24 hexadecimal digits")}}},
		{endpoint: "POST /policy/v1/templates",
			good: []visit{{body: `{"name":"legacy-2","roles":{"guest":{}}}`, want: template("legacy-2", "ID", "false", `{"guest":`+guest+`}`, `{}`)}},
			bad:  []visit{unauthorized, {body: `x`, status: 400, want: badJSON}}},
		{endpoint: "POST /policy/v1/templates/{template_id}",
			good: []visit{{path: at(""), body: `{"roles":{"guest":{}},"settings":{}}`, want: template("legacy", "ID", "false", `{"guest":`+guest+`}`, `{}`)}},
			bad:  []visit{unauthorized, with(gone(""), `{"roles":{},"settings":{}}`)}},
		{endpoint: "GET /policy/v1/templates/{template_id}/roles/{role}",
			good: []visit{{path: at("/roles/guest"), want: guest}}, bad: []visit{unauthorized, gone("/roles/guest")}},
		{endpoint: "POST /policy/v1/templates/{template_id}/roles/{role}",
			good: []visit{{path: at("/roles/extra"), body: `{}`, want: strings.Replace(guest, "guest", "extra", 1)}}, bad: []visit{unauthorized, gone("/roles/guest")}},
		{endpoint: "DELETE /policy/v1/templates/{template_id}/roles/{role}",
			good: []visit{{path: at("/roles/extra"), status: 204}}, bad: []visit{unauthorized, gone("/roles/guest")}},
		{endpoint: "GET /policy/v1/templates/{template_id}/settings",
			good: []visit{{path: at("/settings"), want: settings}}, bad: []visit{unauthorized, gone("/settings")}},
		{endpoint: "POST /policy/v1/templates/{template_id}/settings",
			good: []visit{{path: at("/settings"), body: `{}`, want: settings}}, bad: []visit{unauthorized, gone("/settings")}},
		{endpoint: "POST /hmsapi/{app}/api/token",
			good: []visit{{path: "/hmsapi/x.app.example/api/token", token: "none", body: `{"code":"` + b.code("broadcaster") + `"}`, want: `{"token":"TOKEN"}`}},
			bad: []visit{{token: "none", body: `{"room_id":"1","role":"host"}`, status: 403, want: `{"code":403,"message":"Generating token using the room_id and role is disabled."}`},
				{token: "none", body: `{}`, status: 400, want: badBody("code is missing")}, {token: "none", body: `{"code":"aaa-aaaa-aaa"}`, status: 404, want: `{"code":404,"message":"room code not found"}`}}},
	}
}
