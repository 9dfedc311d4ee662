package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"amphi/server/auth"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

func walkRooms(b *bench) []row {
	const (
		in = `{"name":"Town-Hall","description":"Monthly","region":"eu","large_room":true,"size":5000,"max_duration_seconds":10000,"polls":["655bffeecd34739a72637305"],` +
			`"webhook":{"url":"https://app.example/hook","headers":{"x-secret":"s"}},"recording_info":{"enabled":true,"upload_info":{"type":"s3","location":"b","prefix":"p/","options":{"region":"eu-west-1"},"credentials":{"key":"k","secretKey":"s"}}}}`
		more = `,"size":5000,"max_duration_seconds":10000,"polls":["ID"],"webhook":{"url":"https://app.example/hook","headers":{"x-secret":"s"}}`
		rec  = `{"enabled":true,"upload_info":{"type":"s3","location":"b","prefix":"p/","options":{"region":"eu-west-1"},"credentials":{"key":"k","secret":"********"}}}`
		code = `{"code":"CODE","room_id":"ROOM","role":"broadcaster","enabled":true,"created_at":TIME,"updated_at":TIME}`
	)
	room := roomJSON("ROOM", "main-stage", "true", "", "null", "auto", "false", "")
	hall := roomJSON("ID", "Town-Hall", "true", "Monthly", rec, "eu", "true", more)
	inList := func(room, name string) string {
		return strings.TrimSuffix(room, "}") + `,"key":"WORKSPACE:` + name + `"}`
	}
	other := b.secondWorkspace()
	codeOf := func(role, enabled string) string {
		return fmt.Sprintf(`{"code":"CODE-%s","room_id":"ROOM","role":"%[1]s","enabled":%[2]s,"created_at":TIME,"updated_at":TIME}`, role, enabled)
	}
	enable := func(code, enabled string) string { return `{"code":"` + code + `","enabled":` + enabled + `}` }
	return []row{
		{endpoint: "POST /v2/rooms",
			// The same name in other letters is the same room; what the answer hides may be sent back.
			good: []visit{{body: in, want: hall}, {body: strings.Replace(in, `"secretKey":"s"`, `"secret":"********"`, 1), want: hall},
				{want: roomJSON("ID", "UUID", "true", "", "null", "auto", "false", "")}},
			bad: []visit{unauthorized, {body: "x", status: 400, want: badJSON}, {body: "<room/>", contentType: "application/xml", status: 415, want: badType},
				{body: "name=x", contentType: "application/x-www-form-urlencoded", status: 415, want: badType},
				{body: `{"description":"a\u0000b"}`, status: 400, want: nulChar},
				{body: `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, status: 413, want: `{"code":413,"message":"request body too large","details":["at most 1048576 bytes"]}`},
				{body: `{"size":20001,"large_room":true}`, status: 400, want: badBody("room size greater than 20000")},
				{token: b.app("broadcaster", time.Hour), body: in, status: 401, want: wrongToken},
				{token: unsigned(b), body: in, status: 401, want: `{"code":401,"message":"Token validation error","details":["token is not signed with HS256"]}`}}},
		{endpoint: "GET /v2/rooms",
			good: []visit{{path: "/v2/rooms?name=town-HALL", want: `{"limit":10,"data":[` + inList(hall, "Town-Hall") + `],"last":"ID"}`},
				{path: "/v2/rooms?enabled=false", want: emptyPage}, {path: "/v2/rooms?limit=1000&name=none", want: `{"limit":100,"data":[],"last":""}`}},
			bad: []visit{unauthorized, {path: "/v2/rooms?limit=x", status: 400, want: badLimit}, {path: "/v2/rooms?start=x", status: 400, want: badCursor},
				{path: "/v2/rooms?name=%00", status: 400, want: badQuery(`\"name\" is not text`)}, {path: "/v2/rooms?name=%ff", status: 400, want: badQuery(`\"name\" is not text`)}}},
		{endpoint: "GET /v2/rooms/{room_id}",
			good: []visit{{want: room}, {path: "/v2/rooms/{room_id}/", want: room}},
			bad: []visit{unauthorized, {path: "/v2/rooms" + unknown, status: 404, want: noRoom}, {token: other, status: 404, want: noRoom},
				{path: "/v2/rooms/%00", status: 404, want: `{"code":404,"message":"no such path"}`}, {path: "/v2/rooms/%ff", status: 404, want: `{"code":404,"message":"no such path"}`}}},
		{endpoint: "POST /v2/rooms/{room_id}",
			good: []visit{{body: `{"enabled":false}`, want: strings.Replace(room, `"enabled":true`, `"enabled":false`, 1)}, {body: `{"enabled":true}`, want: room}},
			bad: []visit{unauthorized, {token: other, body: `{"enabled":false}`, status: 404, want: noRoom}, {body: `{"name":"TOWN-HALL"}`, status: 400, want: badBody("name is taken by another room")},
				{body: `{"template":"x"}`, status: 400, want: badBody("template. Use template_id")}}},

		{endpoint: "POST /v2/room-codes/room/{room_id}",
			good: []visit{{want: `{"data":[` + listOfCodes(b, codeOf) + `]}`}, {body: "{}", want: `{"data":[` + listOfCodes(b, codeOf) + `]}`}},
			bad:  []visit{unauthorized, {path: "/v2/room-codes/room" + unknown, status: 404, want: noRoom}, {token: other, status: 404, want: noRoom}}},
		{endpoint: "GET /v2/room-codes/room/{room_id}",
			good: []visit{{path: "/v2/room-codes/room/{room_id}?role=broadcaster&enabled=true", want: `{"limit":10,"data":[` + codeOf("broadcaster", "true") + `],"last":"CODE-broadcaster"}`}},
			bad: []visit{unauthorized, {path: "/v2/room-codes/room/{room_id}?enabled=1x", status: 400, want: badQuery("enabled must be true or false")},
				{path: "/v2/room-codes/room/{room_id}?start=x", status: 400, want: badCursor}}},
		{endpoint: "POST /v2/room-codes/room/{room_id}/role/{role}",
			good: []visit{{want: code}},
			bad:  []visit{unauthorized, {path: "/v2/room-codes/room/{room_id}/role/king", status: 404, want: `{"code":404,"message":"role not found"}`}, {token: other, status: 404, want: noRoom}}},
		{endpoint: "POST /v2/room-codes/code",
			good: []visit{{body: enable(b.code("hls-viewer"), "false"), want: codeOf("hls-viewer", "false")}, {body: enable(b.code("hls-viewer"), "true"), want: codeOf("hls-viewer", "true")}},
			bad: []visit{unauthorized, {body: enable("aaa-aaaa-aaa", "true"), status: 404, want: `{"code":404,"message":"room code not found"}`},
				{body: enable(b.code("hls-viewer"), `"no"`), status: 400, want: badBody("enabled must be true or false")},
				{body: strings.TrimSuffix(enable(b.code("hls-viewer"), "true"), "}") + `,"role":"x"}`, status: 400, want: badBody(`unknown field \"role\"`)}}},
	}
}

// unsigned is a token that asks not to be checked.
func unsigned(b *bench) string {
	payload := strings.Split(b.admin, ".")[1]
	return "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + "."
}

// listOfCodes is all codes of the seeded room as they are answered.
func listOfCodes(b *bench, show func(role, enabled string) string) string {
	codes, err := b.Store.CompleteRoomCodes(b.t.Context(), b.seed.Room.ID, slices.Sorted(maps.Keys(b.seed.Template.Roles)), auth.NewRoomCode)
	if err != nil {
		b.t.Fatal(err)
	}
	var list []string
	for _, c := range codes {
		list = append(list, show(c.Role, "true"))
	}
	return strings.Join(list, ",")
}

func walkLive(b *bench) []row {
	const (
		peer  = `{"id":"%s","name":"%s","user_id":"u-%[1]s","metadata":"%[3]s","role":"%[4]s","joined_at":TIME`
		raise = `{\"isHandRaised\":false}`
	)
	ann := fmt.Sprintf(peer, "ann", "name of ann", raise, "broadcaster")
	bob := fmt.Sprintf(peer, "bob", "name of bob", raise, "hls-viewer")
	changed := fmt.Sprintf(peer, "bob", "Bob", "{}", "viewer-realtime") + `,"tracks":{}}`
	const active = "/v2/active-rooms/{room_id}"
	other := b.secondWorkspace()
	stay := func(id, role, left string) string {
		return fmt.Sprintf(`"%s":{"id":"%[1]s","session_id":"ID","name":"name of %[1]s","role":"%[2]s","user_id":"u-%[1]s","joined_at":TIME%[3]s}`, id, role, left)
	}
	session := func(active, peers string) string {
		return `{"id":"ID","room_id":"ROOM","customer_id":"WORKSPACE","app_id":"APP","active":` + active + `,"peers":{` + peers + `},"created_at":TIME,"updated_at":TIME}`
	}
	const path = `{"packets":0,"lost":0,"loss_percent":0,"rtt_ms":0,"jitter_ms":0}`
	noMedia := func(id, role string) string {
		return fmt.Sprintf(`{"id":"%s","name":"name of %[1]s","user_id":"u-%[1]s","role":"%[2]s","joined_at":TIME,"agent":"","via":"","quality":-1,"publish_state":"none","subscribe_state":"none",`+
			`"uplink":%[3]s,"downlink":%[3]s,"downlink_limit":0,"tracks":[],"subscriptions":[]}`, id, role, path)
	}
	both := stay("ann", "broadcaster", "") + "," + stay("bob", "hls-viewer", "")
	sessionID := func() string { return b.Rooms.Lookup(b.seed.Room.ID).Info().SessionID }
	var annHears *inRoom
	playlist := func(state, volume string) string {
		return `{"items":[{"name":"Intro","url":"https://a.example/1.mp3"}],"loop":false,"volume":` + volume + `,"state":"` + state + `","index":0,"position":0,"duration":60,"error":""}`
	}
	stream := func(status, startedAt, assets string) string {
		return `{"id":"ID","room_id":"ROOM","session_id":"ID","status":"` + status + `","destination":"main","meeting_url":"https://m.example/x","playback":{"url":"https://live.example/master.m3u8"},` +
			`"recording":{"hls_vod":true,"single_file_per_layer":false},"created_at":TIME,"started_at":` + startedAt + `,"updated_at":TIME,"stopped_at":null,"started_by":"","stopped_by":"","recording_assets":` + assets + `}`
	}
	const startBody = `{"destination":"main","meeting_url":"https://m.example/x","recording":{"hls_vod":true},"transcription":{"enabled":true,"modes":["live"]}}`
	noStream := visit{path: "/v2/live-streams" + unknown, status: 404, want: `{"code":404,"message":"live stream not found"}`}
	const notRunning = `{"code":404,"message":"hls not running"}`
	// current is the stream that runs; paths of later rows are made from it when they are walked.
	current := &lateID{find: func() string {
		l, err := b.Store.ActiveLiveStream(b.t.Context(), b.seed.Room.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		return l.ID
	}}
	ofSession := &lateID{find: sessionID}
	rows := []row{
		{endpoint: "GET /v2/active-rooms/{room_id}",
			prepare: func() {
				b.visit("GET", active, visit{status: 404, want: noSession}) // nobody is there
				annHears = b.mustJoin("ann", "broadcaster")
				b.mustJoin("bob", "hls-viewer")
			},
			good: []visit{{want: `{"id":"ROOM","name":"main-stage","customer_id":"WORKSPACE","session":{"id":"ID","created_at":TIME,"peers":["ann","bob"]}}`}},
			bad:  []visit{unauthorized, {token: other, status: 404, want: noRoom}, {path: "/v2/active-rooms" + unknown, status: 404, want: noRoom}}},
		{endpoint: "GET /v2/active-rooms/{room_id}/stats",
			good: []visit{{want: `{"room_id":"ROOM","session_id":"ID","at":TIME,"peers":[` + noMedia("ann", "broadcaster") + `,` + noMedia("bob", "hls-viewer") + `]}`}},
			bad:  []visit{unauthorized, {token: other, status: 404, want: noRoom}, {path: "/v2/active-rooms" + unknown + "/stats", status: 404, want: noRoom}}},
		{endpoint: "GET /v2/active-rooms/{room_id}/peers",
			good: []visit{{want: `{"peers":{"ann":` + ann + `},"bob":` + bob + `}}}`}, {path: active + "/peers?role=hls-viewer", want: `{"peers":{"bob":` + bob + `}}}`},
				{path: active + "/peers?user_id=u-ann", want: `{"peers":{"ann":` + ann + `}}}`}, {path: active + "/peers?role=king", want: `{"peers":{}}`}},
			bad: []visit{unauthorized, {token: other, status: 404, want: noRoom}}},
		{endpoint: "GET /v2/active-rooms/{room_id}/peers/{peer_id}",
			good: []visit{{path: active + "/peers/ann", want: ann + `,"tracks":{}}`}},
			bad:  []visit{unauthorized, {path: active + "/peers/eve", status: 404, want: noPeer}}},
		{endpoint: "GET /v2/sessions",
			prepare: func() { b.settled(2) },
			good: []visit{{want: `{"limit":10,"data":[` + session("true", both) + `],"last":"ID"}`}, {path: "/v2/sessions/?active=true&room_id={room_id}", want: `{"limit":10,"data":[` + session("true", both) + `],"last":"ID"}`},
				{late: ofSession.path("/v2/sessions?id=%s"), want: `{"limit":10,"data":[` + session("true", both) + `],"last":"ID"}`},
				{path: "/v2/sessions?active=false", want: emptyPage}, {path: "/v2/sessions?after=2999-01-01T00:00:00Z", want: emptyPage}},
			bad: []visit{unauthorized, {path: "/v2/sessions?after=soon", status: 400, want: badQuery("after must be a time such as 2024-01-24T08:12:50Z")},
				{path: "/v2/sessions?room_id=x", status: 400, want: badQuery("room_id must be an id of 24 hexadecimal digits")}}},
		{endpoint: "GET /v2/sessions/{session_id}",
			good: []visit{{late: ofSession.path("/v2/sessions/%s"), want: session("true", both)}},
			bad:  []visit{unauthorized, {path: "/v2/sessions" + unknown, status: 404, want: noSession}, {late: ofSession.path("/v2/sessions/%s"), token: other, status: 404, want: noSession}}},
		{endpoint: "POST /v2/active-rooms/{room_id}/peers/{peer_id}",
			good: []visit{{path: active + "/peers/bob", body: `{"name":"Bob","role":"viewer-realtime","metadata":"{}"}`, want: changed}, {path: active + "/peers/bob", body: `{}`, want: changed}},
			bad: []visit{unauthorized, {path: active + "/peers/eve", body: `{"name":"Eve"}`, status: 404, want: noPeer},
				{path: active + "/peers/bob", body: `{"role":"king"}`, status: 400, want: badRole}, {path: active + "/peers/bob", body: `{"metadata":{}}`, status: 400, want: badBody("metadata must be a string")},
				{path: active + "/peers/bob", body: `{"name":"` + strings.Repeat("b", 257) + `"}`, status: 413, want: `{"code":413,"message":"name longer than 256 bytes"}`}}},
		{endpoint: "POST /v2/active-rooms/{room_id}/peers/{peer_id}/mute",
			good: []visit{{path: active + "/peers/ann/mute", body: `{"type":"video"}`, want: muted}, {path: active + "/peers/ann/mute", want: muted}},
			bad: []visit{unauthorized, {path: active + "/peers/eve/mute", body: `{}`, status: 404, want: noPeer},
				{path: active + "/peers/ann/mute", body: `{"type":"smell"}`, status: 400, want: badBody("type must be one of [audio video]")}}},
		{endpoint: "POST /v2/active-rooms/{room_id}/send-message",
			good: []visit{{body: `{"message":"hi","peer_id":"ann"}`, want: sent}, {body: `{"message":"hi","peerId":"ann","type":"note"}`, want: sent},
				{body: `{"message":"hi","role":"broadcaster"}`, want: sent}, {body: `{"message":"hi"}`, want: sent}},
			bad: []visit{unauthorized, {body: `{}`, status: 400, want: badBody("message is missing")}, {body: `{"message":"hi","peer_id":"eve"}`, status: 404, want: noPeer},
				{body: `{"message":"` + strings.Repeat("m", 16<<10+1) + `"}`, status: 413, want: `{"code":413,"message":"message longer than 16384 bytes"}`}}},
		{endpoint: "POST /v2/active-rooms/{room_id}/remove-peers",
			prepare: func() {
				if got := annHears.heard("on-broadcast"); len(got) != 4 || strings.Contains(got[0], `"peer":`) || !strings.Contains(got[1], `"type":"note"`) {
					b.t.Errorf("ann heard %v", got)
				}
			},
			good: []visit{{body: `{"peer_id":"bob","role":"broadcaster","reason":"spam"}`, want: removed}, {body: `{"role":"hls-viewer"}`, want: removed}},
			bad:  []visit{unauthorized, {body: `{}`, status: 400, want: badPeerInput}, {body: `{"peer_id":"bob"}`, status: 404, want: noPeer}, {body: `{"role":"king"}`, status: 400, want: badRole}}},

		{endpoint: "POST /v2/live-streams/room/{room_id}/start",
			good: []visit{{body: startBody, want: stream("starting", "null", "null")}},
			bad: []visit{unauthorized, {body: startBody, status: 400, want: `{"code":400,"message":"beam already started"}`}, {body: `{"destination":"x"}`, status: 400, want: badBody(`destination: the room's template has no HLS destination \"x\"`)},
				{token: other, status: 404, want: noRoom}}},
		{endpoint: "GET /v2/live-streams/{stream_id}",
			prepare: func() {
				if err := b.Store.LiveStreamRunning(b.t.Context(), current.find(), time.Now()); err != nil {
					b.t.Fatal(err)
				}
			},
			good: []visit{{late: current.path("/v2/live-streams/%s"), want: stream("running", "TIME", "[]")}},
			bad:  []visit{unauthorized, noStream, {late: current.path("/v2/live-streams/%s"), token: other, status: 404, want: `{"code":404,"message":"live stream not found"}`}}},
		{endpoint: "GET /v2/live-streams",
			good: []visit{{path: "/v2/live-streams?status=running&room_id={room_id}", want: `{"limit":10,"data":[` + stream("running", "TIME", "null") + `],"last":"ID"}`}},
			bad:  []visit{unauthorized, {path: "/v2/live-streams?status=on", status: 400, want: badQuery("status must be one of [starting running stopping post_processing completed failed]")}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/timed-metadata",
			good: []visit{{late: current.path("/v2/live-streams/%s/timed-metadata"), body: `{"payload":"poll:p1","duration":5}`, want: stream("running", "TIME", "null")}},
			bad: []visit{unauthorized, {late: current.path("/v2/live-streams/%s/timed-metadata"), body: `{"duration":5}`, status: 400, want: badBody("payload is missing")},
				{late: current.path("/v2/live-streams/%s/timed-metadata"), body: `{"payload":"` + strings.Repeat("é", 101) + `","duration":5}`, status: 400, want: badBody("payload longer than 100 characters")}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/playlist",
			good: []visit{{late: current.path("/v2/live-streams/%s/playlist"), body: `{"items":[{"name":"Intro","url":"https://a.example/1.mp3"}]}`, want: playlist("playing", "50")}},
			bad: []visit{unauthorized, {late: current.path("/v2/live-streams/%s/playlist"), body: `{"items":[]}`, status: 400, want: badBody("items must be 1 to 100")},
				{late: current.path("/v2/live-streams/%s/playlist"), body: `{"items":[{"url":"file:///etc/passwd"}]}`, status: 400, want: badBody("items[0].url must be an http or https URL of at most 2048 bytes")},
				{late: current.path("/v2/live-streams/%s/playlist"), body: `{"items":[{"url":"http://a/b"}],"volume":101}`, status: 400, want: badBody("volume must be 1 to 100")}}},
		{endpoint: "GET /v2/live-streams/{stream_id}/playlist",
			good: []visit{{late: current.path("/v2/live-streams/%s/playlist"), want: playlist("playing", "50")}},
			bad:  []visit{unauthorized, {path: "/v2/live-streams/" + unknown[1:] + "/playlist", status: 404, want: `{"code":404,"message":"live stream not found"}`}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/playlist/control",
			good: []visit{{late: current.path("/v2/live-streams/%s/playlist/control"), body: `{"action":"pause","volume":20}`, want: playlist("pause", "20")}},
			bad:  []visit{unauthorized, {late: current.path("/v2/live-streams/%s/playlist/control"), body: `{}`, status: 400, want: badBody("action must be one of [pause resume skip stop], or volume given")}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/pause-recording",
			bad: []visit{unauthorized, {late: current.path("/v2/live-streams/%s/pause-recording"), status: 400, want: `{"code":400,"message":"the live stream is not being recorded"}`}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/resume-recording",
			bad: []visit{unauthorized, {late: current.path("/v2/live-streams/%s/resume-recording"), status: 400, want: `{"code":400,"message":"the live stream is not being recorded"}`}}},
		{endpoint: "POST /v2/live-streams/{stream_id}/stop",
			good: []visit{{late: current.path("/v2/live-streams/%s/stop"), want: stream("stopping", "TIME", "null")}},
			bad:  []visit{unauthorized, {path: "/v2/live-streams" + unknown + "/stop", status: 404, want: `{"code":404,"message":"live stream not found"}`}}},
		{endpoint: "POST /v2/live-streams/room/{room_id}/stop",
			good: []visit{{want: `{"limit":10,"data":[` + stream("stopping", "TIME", "null") + `],"last":"ID"}`}},
			bad:  []visit{unauthorized, {token: other, status: 404, want: noRoom}, {path: "/v2/live-streams/room" + unknown + "/stop", status: 404, want: noRoom}}},

		{endpoint: "POST /v2/active-rooms/{room_id}/end-room",
			prepare: func() {
				if err := b.Store.LiveStreamStopped(b.t.Context(), current.find(), store.StoppedByRequest, time.Now()); err != nil {
					b.t.Fatal(err)
				}
				b.visit("POST", "/v2/live-streams/room/{room_id}/stop", visit{status: 404, want: notRunning})
			},
			good: []visit{{body: `{"reason":"over","lock":true}`, want: `{"message":"session is ending"}`}},
			bad: []visit{{status: 404, want: noSession, eventually: true}, unauthorized, {token: other, status: 404, want: noRoom},
				{body: `{"reason":"` + strings.Repeat("r", 1025) + `"}`, status: 400, want: badBody("reason longer than 1024 bytes")}}},
	}
	return rows
}

const (
	noPeer  = `{"code":404,"message":"no such peer in the room"}`
	badRole = `{"code":400,"message":"no such role in the room's template"}`
	sent    = `{"message":"message sent"}`
	muted   = `{"message":"mute request submitted"}`
	removed = `{"message":"peer remove request submitted"}`
)

// lateID is an id that is known only when the walk comes to it.
type lateID struct{ find func() string }

func (id *lateID) path(format string) func() string {
	return func() string { return fmt.Sprintf(format, id.find()) }
}

// settled waits until so many peers of the seeded room are on record.
func (b *bench) settled(peers int) {
	b.t.Helper()
	eventually(b.t, "the record", func() bool {
		list, err := b.Store.Peers(b.t.Context(), b.Rooms.Lookup(b.seed.Room.ID).Info().SessionID)
		return err == nil && len(list) == peers
	})
}

func walkClients(b *bench) []row {
	token := b.app("broadcaster", time.Hour)
	layout := func(role, screen string) string {
		return `{"role":"` + role + `","screens":{"preview":{"default":{"elements":{}}},"conferencing":{"` + screen + `":{"elements":{"chat":{"public_chat_enabled":true}}}}}}`
	}
	sip := func(endpoint string) row {
		return row{endpoint: endpoint, bad: []visit{unauthorized, {body: `{"to":"+1"}`, status: 501, want: noSIP}, {token: token, status: 401, want: wrongToken}}}
	}
	elsewhere, err := auth.MintApp(b.seed.Key, auth.Grant{RoomID: store.NewID(), Role: "broadcaster"}, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	noCode := visit{body: `{"code":"aaa-aaaa-aaa"}`, token: "none", status: 404, want: `{"code":404,"message":"room code not found"}`}
	return []row{
		{endpoint: "POST /v2/token",
			prepare: func() {
				b.visit("POST", "/v2/token", visit{token: "none", body: `{"code":"` + b.code("broadcaster") + `"}`, status: 403, want: disabled}) // end-room has locked it
				b.field("id", "POST", "/v2/rooms/"+b.seed.Room.ID, `{"enabled":true}`)
			},
			good: []visit{{token: "none", body: `{"code":"` + b.code("broadcaster") + `","user_id":"u-17"}`, contentType: "text/plain;charset=UTF-8", want: `{"token":"TOKEN"}`}},
			bad:  []visit{noCode, {token: "none", body: `{"code":7}`, status: 400, want: badBody("code must be a string")}, {token: "none", status: 400, want: badBody("code is missing")}}},
		{endpoint: "GET /v2/layouts/ui",
			good: []visit{{token: token, want: `{"limit":10,"data":[` + layout("broadcaster", "default") + "," + layout("hls-viewer", "hls_live_streaming") + "," + layout("viewer-realtime", "default") + `],"last":""}`}},
			bad:  []visit{unauthorized, {status: 401, want: wrongToken}, {token: elsewhere, status: 400, want: `{"code":400,"message":"room not found"}`}}},
		{endpoint: "GET /init",
			good: []visit{{token: token, want: initJSON("ws"+strings.TrimPrefix(b.server.URL, "http")+"/ws", "[]")}},
			bad:  []visit{unauthorized, {status: 401, want: wrongToken}, {token: elsewhere, status: 400, want: `{"code":400,"message":"room not found"}`}}},
		{endpoint: "POST /v2/client/report",
			good: []visit{{token: "none", body: "no JSON at all", want: `{}`}},
			bad:  []visit{tooLarge, {token: "none", body: tooLarge.body, contentType: "text/plain", status: 413, want: tooLarge.want}}},
		{endpoint: "POST /v2/client/feedback",
			good: []visit{{token: "none", body: "no JSON at all", want: `{}`}},
			bad:  []visit{tooLarge, {token: "none", body: tooLarge.body, contentType: "text/plain", status: 413, want: tooLarge.want}}},
		{endpoint: "GET /v2/openapi.json",
			good: []visit{{token: "none", want: string(b.description)}},
			bad:  []visit{{path: "/v2/openapi.yaml", status: 404, want: `{"code":404,"message":"no such path"}`}, {path: "/v2/openapi.json/x", status: 404, want: `{"code":404,"message":"no such path"}`}}},
		{endpoint: "POST /v2/sip/dtmf",
			bad: []visit{unauthorized, {token: token, body: `{"digits":["1","#"]}`, status: 501, want: noSIP}, {status: 401, want: wrongToken}}},
		sip("POST /v2/sip/outbound/trunks"), sip("POST /v2/sip/outbound/trunks/{trunk_id}"), sip("POST /v2/sip/outbound/call"),
	}
}

var tooLarge = visit{token: "none", body: strings.Repeat("a", 1<<20+1), status: 413, want: `{"code":413,"message":"request body too large","details":["at most 1048576 bytes"]}`}

// TestPeerWithTracks: media is published in tests of other packages; this is its form.
func TestPeerWithTracks(t *testing.T) {
	at := time.Date(2024, 1, 24, 8, 14, 0, 200e6, time.FixedZone("", 3600))
	got := mustJSON(showPeerWithTracks(room.Attendee{PeerID: "p", UserID: "u-17", Name: "Ada", Role: "broadcaster", Data: "{}", Joined: at, Tracks: []room.AttendeeTrack{
		{Track: protocol.Track{TrackID: "t", StreamID: "s", Kind: protocol.Video, Source: "regular", Mute: true, Description: "d"}, Started: at.Add(time.Second)}}}))
	const want = `{"id":"p","name":"Ada","user_id":"u-17","metadata":"{}","role":"broadcaster","joined_at":"2024-01-24T07:14:00.2Z",` +
		`"tracks":{"t":{"id":"t","stream_id":"s","mute":true,"type":"video","source":"regular","started_at":"2024-01-24T07:14:01.2Z","description":"d"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
