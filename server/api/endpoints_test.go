package api

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"amphi/server/auth"
	"amphi/server/config"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/store"
)

// roomJSON is a room as it is answered; more are the optional fields before created_at.
func roomJSON(id, name, enabled, description, recording, region, large, more string) string {
	follows := "true"
	if recording != "null" {
		follows = "false"
	}
	return `{"id":"` + id + `","name":"` + name + `","enabled":` + enabled + `,"description":"` + description + `","customer_id":"WORKSPACE","customer":"WORKSPACE","app_id":"APP","recording_info":` +
		recording + `,"recording_source_template":` + follows + `,"enabled_source_template":` + follows +
		`,"template_id":"TEMPLATE","template":"KIT","region":"` + region + `","large_room":` + large + more + `,"created_at":TIME,"updated_at":TIME}`
}

func TestRooms(t *testing.T) {
	b := newBench(t, nil)
	full := `{"name":"Town-Hall","description":"Monthly","template_id":"` + b.seed.Room.TemplateID + `","region":"eu","large_room":true,"size":5000,
		"max_duration_seconds":10000,"polls":["655bffeecd34739a72637305"],"webhook":{"url":"https://app.example/hook","headers":{"x-secret":"s"}},
		"recording_info":{"enabled":true,"upload_info":{"type":"s3","location":"b","credentials":{"key":"k","secret":"s"}}},"unknown":[1]}`
	const extra = `,"size":5000,"max_duration_seconds":10000,"polls":["ID"],"webhook":{"url":"https://app.example/hook","headers":{"x-secret":"s"}}`
	const rec = `{"enabled":true,"upload_info":{"type":"s3","location":"b","options":{},"credentials":{"key":"k","secret":"********"}}}`

	b.want(200, roomJSON("ROOM", "main-stage", "true", "", "null", "auto", "false", ""), "GET", "/v2/rooms/"+b.seed.Room.ID, b.admin, "")
	b.want(200, roomJSON("ID", "Town-Hall", "true", "Monthly", rec, "eu", "true", extra), "POST", "/v2/rooms", b.admin, full)
	// The same name again, in other letters: the same room, changed.
	b.want(200, roomJSON("ID", "town-hall", "true", "Weekly", rec, "eu", "true", extra), "POST", "/v2/rooms", b.admin, `{"name":"town-hall","description":"Weekly"}`)
	id := b.field("id", "POST", "/v2/rooms", `{"name":"TOWN-hall"}`)
	b.names[id] = "HALL"
	b.want(200, roomJSON("HALL", "TOWN-hall", "true", "", "null", "eu", "false", `,"max_duration_seconds":10000`), "POST", "/v2/rooms/"+id, b.admin,
		`{"description":"","recording_info":null,"large_room":false,"size":0,"max_duration_seconds":null,"polls":[],"webhook":{}}`+"\n\t ")
	b.want(200, roomJSON("ID", "UUID", "true", "", "null", "auto", "false", ""), "POST", "/v2/rooms", b.admin, "") // no body
	b.want(200, roomJSON("ID", "UUID", "true", "", "null", "auto", "false", ""), "POST", "/v2/rooms", b.admin, `{"name":"","template_id":""}`)

	for _, tc := range []struct{ body, want string }{
		{`{"size":20001,"large_room":true}`, badBody("room size greater than 20000")},
		{`{"size":2501}`, badBody("room size greater than 2500, set large_room flag as true")},
		{`{"size":-1}`, badBody("room size less than 0")},
		{`{"size":"many"}`, badBody("size must be a whole number")},
		{`{"size":1.5}`, badBody("size must be a whole number")},
		{`{"max_duration_seconds":119}`, badBody("max_duration_seconds less than 120 seconds")},
		{`{"max_duration_seconds":43201}`, badBody("max_duration_seconds greater than 43200 seconds")},
		{`{"template":"x"}`, badBody("template. Use template_id")},
		{`{"region":"mars"}`, `{"code":400,"message":"Error: region not supported","details":["Error: region not supported"]}`},
		{`{"template_id":"65b0c1d2e3f405162738495a"}`, `{"code":400,"message":"Error: template not found","details":["Error: template not found"]}`},
		{`{"recording_info":{"upload_info":{"type":"s3"}}}`, `{"code":400,"message":"Bucket location is missing","details":["Bucket location is missing"]}`},
		{`{"recording_info":{"upload_info":{"type":"ftp","location":"a"}}}`, `{"code":400,"message":"Invalid upload configuration","details":["Invalid upload configuration"]}`},
		{`{"recording_info":[]}`, badBody("recording_info must be an object")},
		{`{"recording_info":{"enabled":"yes"}}`, badBody("recording_info.enabled must be true or false")},
		{`{"name":"a b"}`, badBody("name must be at most 256 letters, digits and . - : _")},
		{`{"name":7}`, badBody("name must be a string")},
		{`{"name":"` + strings.Repeat("n", 257) + `"}`, badBody("name must be at most 256 letters, digits and . - : _")},
		{`{"description":"` + strings.Repeat("d", 4097) + `"}`, badBody("description longer than 4096 bytes")},
		{`{"polls":"x"}`, badBody("polls must be a list")},
		{`{"polls":["x"]}`, badBody("polls must be ids of 24 hexadecimal digits")},
		{`{"webhook":{"url":"ftp://a"}}`, badBody("webhook.url must be an http or https URL")},
		{`{"webhook":{"url":"https://a","headers":{"a b":"c"}}}`, badBody(`webhook.headers: \"a b\" is not a header`)},
		{`{"webhook":{"url":"https://a","headers":{"a":"c\r\nd: e"}}}`, badBody(`webhook.headers: \"a\" is not a header`)},
		{`{"webhook":"https://a"}`, badBody("webhook must be an object")},
		{`{"enabled":"no"}`, badBody("enabled must be true or false")},
		{`[]`, badBody("a JSON object is wanted")},
		{`null`, badBody("a JSON object is wanted")},
		{`{"name":`, `{"code":400,"message":"Invalid JSON","details":["at byte 8: unexpected end of JSON input"]}`},
		{`{} {}`, `{"code":400,"message":"Invalid JSON","details":["at byte 4: invalid character '{' after top-level value"]}`},
		{`name=x`, `{"code":400,"message":"Invalid JSON","details":["at byte 2: invalid character 'a' in literal null (expecting 'u')"]}`},
	} {
		b.want(400, tc.want, "POST", "/v2/rooms", b.admin, tc.body)
		b.want(400, tc.want, "POST", "/v2/rooms/"+id, b.admin, tc.body)
	}
	b.want(400, badBody("name is taken by another room"), "POST", "/v2/rooms/"+id, b.admin, `{"name":"MAIN-STAGE"}`)
	b.want(404, noRoom, "POST", "/v2/rooms"+unknown, b.admin, `{}`)
	b.want(404, noRoom, "GET", "/v2/rooms/not-an-id", b.admin, "")
}

func TestRoomList(t *testing.T) {
	b := newBench(t, nil)
	for i := range 11 {
		b.field("id", "POST", "/v2/rooms", fmt.Sprintf(`{"name":"r%d"}`, i))
	}
	b.field("id", "POST", "/v2/rooms", `{"name":"r3","enabled":false}`)
	entry := func(name string) string {
		return strings.Replace(roomJSON("ID", name, "true", "", "null", "auto", "false", ""), `"updated_at":TIME}`, `"updated_at":TIME,"key":"WORKSPACE:`+name+`"}`, 1)
	}
	page := func(last string, names ...string) string {
		entries := make([]string, len(names))
		for i, n := range names {
			entries[i] = entry(n)
			if n == "main-stage" {
				entries[i] = strings.Replace(entries[i], `"ID"`, `"ROOM"`, 1)
			}
		}
		return `{"limit":10,"data":[` + strings.Join(entries, ",") + `],"last":"` + last + `"}`
	}
	b.want(200, page("ID", "r10", "r9", "r8", "r7", "r6", "r5", "r4", "r2", "r1", "r0"), "GET", "/v2/rooms", b.admin, "")
	last := b.field("last", "GET", "/v2/rooms?limit=3", "")
	b.want(200, page("ROOM", "main-stage"), "GET", "/v2/rooms/?start="+last, b.admin, "")
	b.want(200, page("", []string{}...), "GET", "/v2/rooms?name=nowhere", b.admin, "")
	b.want(200, page("ID", "r7"), "GET", "/v2/rooms?name=R7&template_id="+b.seed.Room.TemplateID+"&after=2020-01-01T00:00:00Z&before=2100-01-01T00:00:00%2B01:00", b.admin, "")
	b.want(200, page("", []string{}...), "GET", "/v2/rooms?before=2020-01-01T00:00:00+01:00", b.admin, "")
	_, body := b.call("GET", "/v2/rooms?enabled=false&limit=1000", b.admin, "")
	if !strings.HasPrefix(body, `{"limit":100,`) || strings.Count(body, `"key"`) != 1 || !strings.Contains(body, `"name":"r3","enabled":false`) {
		t.Error(body)
	}
	for query, detail := range map[string]string{
		"limit=ten":     "limit must be a whole number",
		"start=zz":      "start must be the last of the page before",
		"enabled=maybe": "enabled must be true or false",
		"after=monday":  "after must be a time such as 2024-01-24T08:12:50Z",
		"template_id=x": "template_id must be an id of 24 hexadecimal digits",
		"name=%zz":      "it is not properly encoded",
	} {
		b.want(400, badQuery(detail), "GET", "/v2/rooms?"+query, b.admin, "")
	}
}

func TestRoomCodes(t *testing.T) {
	b := newBench(t, nil)
	room := "/v2/room-codes/room/" + b.seed.Room.ID
	obj := func(code, role, enabled string) string {
		return `{"code":"` + code + `","room_id":"ROOM","role":"` + role + `","enabled":` + enabled + `,"created_at":TIME,"updated_at":TIME}`
	}
	b.want(200, obj("CODE", "broadcaster", "true"), "POST", room+"/role/broadcaster", b.admin, "")
	b.want(404, `{"code":404,"message":"role not found"}`, "POST", room+"/role/king", b.admin, "")
	resp, all := b.call("POST", room, b.admin, "{}")
	if resp.StatusCode != 200 || strings.Count(all, `"room_id":"ROOM"`) != 4 || !strings.HasPrefix(all, `{"data":[{`) {
		t.Errorf("%d %s", resp.StatusCode, all)
	}
	if _, again := b.call("POST", room, b.admin, ""); again != all {
		t.Errorf("codes are not complete:\n%s\n%s", all, again)
	}
	b.want(200, `{"limit":10,"data":[`+obj("CODE-hls-viewer", "hls-viewer", "true")+`],"last":"CODE-hls-viewer"}`, "GET", room+"?role=hls-viewer&enabled=true", b.admin, "")
	b.want(200, `{"limit":10,"data":[],"last":""}`, "GET", room+"?role=king", b.admin, "")
	b.want(400, badQuery("enabled must be true or false"), "GET", room+"?enabled=x", b.admin, "")
	b.want(400, badQuery("start must be the last of the page before"), "GET", room+"?start=x", b.admin, "")

	// Paging covers all: each listed object equals one that was answered when it was made.
	for range 20 {
		b.field("code", "POST", room+"/role/broadcaster", "")
	}
	seen := make(map[string]bool)
	for start := ""; ; {
		var page struct {
			Data []json.RawMessage
			Last string
		}
		text := b.raw("GET", room+"?limit=10&start="+start, "")
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Data {
			seen[string(o)] = true
		}
		if start = page.Last; len(page.Data) < 10 {
			break
		}
	}
	var complete struct{ Data []json.RawMessage }
	if err := json.Unmarshal(b.raw("POST", room, ""), &complete); err != nil {
		t.Fatal(err)
	}
	for _, o := range complete.Data {
		if !seen[string(o)] {
			t.Errorf("%s is not listed", o)
		}
	}
	if len(seen) != 24 || len(complete.Data) != 24 {
		t.Errorf("%d listed, %d in all", len(seen), len(complete.Data))
	}

	code := b.code("viewer-realtime")
	set := func(enabled string) string { return `{"code":"` + code + `","enabled":` + enabled + `}` }
	b.want(200, obj("CODE-viewer-realtime", "viewer-realtime", "false"), "POST", "/v2/room-codes/code", b.admin, set("false"))
	b.want(403, `{"code":403,"message":"room code is disabled"}`, "POST", "/v2/token", "", `{"code":"`+code+`"}`)
	b.want(200, obj("CODE-viewer-realtime", "viewer-realtime", "true"), "POST", "/v2/room-codes/code", b.admin, set("true"))
	b.want(404, `{"code":404,"message":"room code not found"}`, "POST", "/v2/room-codes/code", b.admin, `{"code":"aaa-aaaa-aaa","enabled":true}`)
	b.want(404, `{"code":404,"message":"room code not found"}`, "POST", "/v2/room-codes/code", b.admin, `{"code":"1","enabled":true}`)
	b.want(400, badBody("enabled must be true or false"), "POST", "/v2/room-codes/code", b.admin, set(`"no"`))
	b.want(400, badBody("enabled is missing"), "POST", "/v2/room-codes/code", b.admin, `{"code":"`+code+`"}`)
	b.want(400, badBody("code is missing"), "POST", "/v2/room-codes/code", b.admin, "")
	b.want(400, badBody(`unknown field \"role\"`), "POST", "/v2/room-codes/code", b.admin, `{"code":"`+code+`","enabled":true,"role":"x"}`)

	b.field("id", "POST", "/v2/rooms/"+b.seed.Room.ID, `{"enabled":false}`)
	b.want(403, disabled, "POST", room, b.admin, "")
	b.want(403, disabled, "GET", room, b.admin, "")
	b.want(403, disabled, "POST", room+"/role/broadcaster", b.admin, "")
	b.want(403, disabled, "POST", "/v2/room-codes/code", b.admin, set("true"))
	b.want(200, obj("CODE-viewer-realtime", "viewer-realtime", "false"), "POST", "/v2/room-codes/code", b.admin, set("false"))
	for _, method := range []string{"GET", "POST"} {
		b.want(404, noRoom, method, "/v2/room-codes/room"+unknown, b.admin, "")
	}
	b.want(404, noRoom, "POST", "/v2/room-codes/room"+unknown+"/role/broadcaster", b.admin, "")
}

func TestCodeLimit(t *testing.T) {
	b := newBench(t, nil)
	room := "/v2/room-codes/room/" + b.seed.Room.ID
	for i := len(b.seed.Codes); i < store.MaxCodesPerRoom; i++ {
		if _, err := b.Store.AddRoomCode(t.Context(), b.seed.Room.ID, "broadcaster", auth.NewRoomCode); err != nil {
			t.Fatal(err)
		}
	}
	b.want(400, `{"code":400,"message":"a room can have 100 codes"}`, "POST", room+"/role/broadcaster", b.admin, "")
}

func TestToken(t *testing.T) {
	b := newBench(t, nil)
	for _, body := range []string{
		`{"code":"` + b.code("broadcaster") + `","user_id":"u-17"}`,
		`{"code":" ` + strings.ToUpper(b.code("broadcaster")) + ` ","user_id":"u-17"}`,
	} {
		token := b.tokenFor(body)
		g, err := b.verifier.App(t.Context(), token)
		if err != nil || g.RoomID != b.seed.Room.ID || g.Role != "broadcaster" || g.UserID != "u-17" || time.Until(g.Expires) > time.Hour {
			t.Errorf("%+v %v", g, err)
		}
		if _, err := base64.RawStdEncoding.DecodeString(strings.Split(token, ".")[1]); err != nil {
			t.Errorf("atob would fail: %v", err)
		}
	}
	if g, err := b.verifier.App(t.Context(), b.tokenFor(`{"code":"`+b.code("hls-viewer")+`"}`)); err != nil || !someUUID.MatchString(g.UserID) {
		t.Errorf("%+v %v", g, err)
	}
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{404, `{"code":"aaa-aaaa-aaa"}`, `{"code":404,"message":"room code not found"}`},
		{404, `{"code":"none"}`, `{"code":404,"message":"room code not found"}`},
		{400, `{}`, badBody("code is missing")},
		{400, ``, badBody("code is missing")},
		{400, `{"code":7}`, badBody("code must be a string")},
		{400, `{"code":"x","user_id":{}}`, badBody("user_id must be a string")},
		{400, `{"code":"x","user_id":"` + strings.Repeat("u", 257) + `"}`, badBody("user_id longer than 256 bytes")},
		{400, `hello`, `{"code":400,"message":"Invalid JSON","details":["at byte 1: invalid character 'h' looking for beginning of value"]}`},
	} {
		resp := b.want(tc.status, tc.want, "POST", "/v2/token", "", tc.body, "Content-Type", "text/plain;charset=UTF-8")
		if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Error("no CORS")
		}
	}
	b.field("id", "POST", "/v2/rooms/"+b.seed.Room.ID, `{"enabled":false}`)
	b.want(403, disabled, "POST", "/v2/token", "", `{"code":"`+b.code("broadcaster")+`"}`)
}

func (b *bench) tokenFor(body string) string {
	b.t.Helper()
	_, text := b.call("POST", "/v2/token", "", body)
	var v struct{ Token string }
	if err := json.Unmarshal([]byte(text), &v); err != nil || v.Token == "" {
		b.t.Fatalf("%s: %v", text, err)
	}
	return v.Token
}

func initJSON(endpoint, ice string) string {
	return `{"endpoint":"` + endpoint + `","rtcConfiguration":{"ice_servers":` + ice + `},"config":{"enabledFlags":["nonWebRTCDisableOffer","simulcast","publishStats","subscribeStats"],` +
		`"publishStats":{"maxSampleWindowSize":30,"maxSamplePushInterval":120},"subscribeStats":{"maxSampleWindowSize":10,"maxSamplePushInterval":60}}}`
}

func TestInit(t *testing.T) {
	b := newBench(t, nil)
	host := strings.TrimPrefix(b.server.URL, "http://")
	token := b.app("broadcaster", time.Hour)
	resp := b.want(200, initJSON("ws://"+host+"/ws", "[]"), "GET", "/init?peer_id=p&user_agent_v2=os:web,sdk:web&region=eu", token, "")
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	b.want(200, initJSON("wss://live.example:8443/ws", "[]"), "GET", "/init", token, "", "Host", "live.example:8443", "X-Forwarded-Proto", "https")

	b.want(401, noToken, "GET", "/init", "", "")
	b.want(401, `{"code":401,"message":"Token validation error","details":["token is malformed"]}`, "GET", "/init", "x", "")
	b.want(401, `{"code":401,"message":"Token validation error","details":["token is of the wrong type"]}`, "GET", "/init", b.admin, "")
	b.want(400, `{"code":400,"message":"the room has no role \"king\""}`, "GET", "/init", b.app("king", time.Hour), "")
	elsewhere, err := auth.MintApp(b.seed.Key, auth.Grant{RoomID: store.NewID(), Role: "broadcaster"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b.want(400, `{"code":400,"message":"room not found"}`, "GET", "/init", elsewhere, "") // not 404: clients hang on it

	// An expired token, or a disabled room: only for who is in already.
	expired := b.app("broadcaster", -2*time.Minute)
	b.live.known[b.seed.Room.ID+"/inside"] = true
	b.want(401, `{"code":401,"message":"Token validation error","details":["token is expired"]}`, "GET", "/init?peer_id=outside", expired, "")
	b.want(401, `{"code":401,"message":"Token validation error","details":["token is expired"]}`, "GET", "/init", expired, "")
	b.want(200, initJSON("ws://"+host+"/ws", "[]"), "GET", "/init?peer_id=inside", expired, "")
	b.field("id", "POST", "/v2/rooms/"+b.seed.Room.ID, `{"enabled":false}`)
	b.want(403, disabled, "GET", "/init?peer_id=outside", token, "")
	b.want(200, initJSON("ws://"+host+"/ws", "[]"), "GET", "/init?peer_id=inside", token, "")
}

func TestInitWithPublicURLAndTURN(t *testing.T) {
	b := newBench(t, func(a *API) {
		a.PublicURL = "https://live.example.org/"
		a.ICEServers = func(user string) []config.ICEServer {
			return []config.ICEServer{{URLs: []string{"turn:t.example:3478"}, Username: user, Credential: "c"}, {URLs: []string{"stun:s.example"}}}
		}
	})
	b.want(200, initJSON("wss://live.example.org/ws", `[{"urls":["turn:t.example:3478"],"username":"ann","credential":"c"},{"urls":["stun:s.example"]}]`),
		"GET", "/init?peer_id=ann", b.app("hls-viewer", time.Hour), "", "Host", "elsewhere")
}

func TestLayouts(t *testing.T) {
	b := newBench(t, nil)
	entry := func(role, screen string) string {
		return `{"role":"` + role + `","screens":{"preview":{"default":{"elements":{}}},"conferencing":{"` + screen + `":{"elements":{"chat":{"public_chat_enabled":true}}}}}}`
	}
	hls, stage, floor := entry("hls-viewer", "hls_live_streaming"), entry("broadcaster", "default"), entry("viewer-realtime", "default")
	b.want(200, `{"limit":10,"data":[`+hls+","+stage+","+floor+`],"last":""}`, "GET", "/v2/layouts/ui", b.app("hls-viewer", time.Hour), "")
	b.want(200, `{"limit":10,"data":[`+floor+","+stage+","+hls+`],"last":""}`, "GET", "/v2/layouts/ui", b.app("viewer-realtime", time.Hour), "")
	b.want(401, noToken, "GET", "/v2/layouts/ui", "", "")
}

func TestDiscard(t *testing.T) {
	b := newBench(t, nil)
	for _, path := range []string{"/v2/client/report", "/v2/client/feedback"} {
		if resp := b.want(200, `{}`, "POST", path, "", "no JSON at all"); resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Error("no CORS")
		}
	}
}

func TestLiveStreams(t *testing.T) {
	b := newBench(t, nil)
	obj := func(status, destination, meeting, recording, assets string) string {
		return `{"id":"ID","room_id":"ROOM","session_id":"ID","status":"` + status + `","destination":"` + destination + `","meeting_url":"` + meeting +
			`","playback":{"url":"https://live.example/master.m3u8"},"recording":` + recording +
			`,"created_at":TIME,"started_at":null,"updated_at":TIME,"stopped_at":null,"started_by":"","stopped_by":"","recording_assets":` + assets + `}`
	}
	const none, vod = `{"hls_vod":false,"single_file_per_layer":false}`, `{"hls_vod":true,"single_file_per_layer":true}`
	room := "/v2/live-streams/room/" + b.seed.Room.ID
	const notRunning = `{"code":404,"message":"hls not running"}`

	b.want(404, notRunning, "POST", room+"/stop", b.admin, "")
	b.want(200, obj("starting", "", "", none, "null"), "POST", room+"/start", b.admin, "")
	b.want(400, `{"code":400,"message":"beam already started"}`, "POST", room+"/start", b.admin, "{}")
	b.want(200, `{"limit":10,"data":[`+obj("stopping", "", "", none, "null")+`],"last":"ID"}`, "POST", room+"/stop", b.admin, "{}")
	l, err := b.Store.ActiveLiveStream(t.Context(), b.seed.Room.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Store.LiveStreamStopped(t.Context(), l.ID, store.StoppedByRequest, time.Now()); err != nil {
		t.Fatal(err)
	}
	b.want(404, notRunning, "POST", "/v2/live-streams/"+l.ID+"/stop", b.admin, "")

	id := b.field("id", "POST", room+"/start", `{"destination":"main","meeting_url":"https://m.example/x","recording":{"hls_vod":true,"single_file_per_layer":true},"transcription":{"enabled":true}}`)
	b.want(200, obj("starting", "main", "https://m.example/x", vod, "[]"), "GET", "/v2/live-streams/"+id, b.admin, "")
	b.want(200, obj("stopping", "main", "https://m.example/x", vod, "null"), "POST", "/v2/live-streams/"+id+"/stop/", b.admin, "")
	if err := b.Store.LiveStreamFailed(t.Context(), id, store.Failure{At: time.Now(), Type: "BEAM_STOPPED"}); err != nil {
		t.Fatal(err)
	}
	_, body := b.call("GET", "/v2/live-streams?room_id="+b.seed.Room.ID, b.admin, "")
	if strings.Count(body, `"room_id":"ROOM"`) != 2 || strings.Index(body, `"failed"`) > strings.Index(body, `"completed"`) || strings.Count(body, `"recording_assets":null`) != 2 {
		t.Error(body)
	}
	_, body = b.call("GET", "/v2/live-streams?status=completed&session_id="+l.SessionID, b.admin, "")
	if strings.Count(body, `"room_id":"ROOM"`) != 1 || !strings.Contains(body, `"completed"`) {
		t.Error(body)
	}
	b.want(200, `{"limit":10,"data":[],"last":""}`, "GET", "/v2/live-streams?status=running", b.admin, "")

	b.want(404, `{"code":404,"message":"live stream not found"}`, "GET", "/v2/live-streams"+unknown, b.admin, "")
	b.want(404, `{"code":404,"message":"live stream not found"}`, "POST", "/v2/live-streams"+unknown+"/stop", b.admin, "")
	b.want(404, noRoom, "POST", "/v2/live-streams/room"+unknown+"/start", b.admin, "")
	b.want(404, noRoom, "POST", "/v2/live-streams/room"+unknown+"/stop", b.admin, "")
	b.want(400, badQuery("status must be one of [starting running stopping post_processing completed failed]"), "GET", "/v2/live-streams?status=on", b.admin, "")
	b.want(400, badQuery("room_id must be an id of 24 hexadecimal digits"), "GET", "/v2/live-streams?room_id=1", b.admin, "")
	for body, detail := range map[string]string{
		`{"meeting_url":"x"}`:            "meeting_url must be an http or https URL",
		`{"meeting_url":7}`:              "meeting_url must be a string",
		`{"destination":"other"}`:        `destination: the room's template has no HLS destination \"other\"`,
		`{"recording":true}`:             "recording must be an object",
		`{"recording":{"hls_vod":"on"}}`: "recording.hls_vod must be true or false",
	} {
		b.want(400, badBody(detail), "POST", room+"/start", b.admin, body)
	}
	b.live.fail = protocol.Errorf(protocol.CodeUnavailable, "full")
	b.want(503, `{"code":503,"message":"full"}`, "POST", room+"/start", b.admin, "")
	if resp, _ := b.call("POST", room+"/start", b.admin, ""); resp.Header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After %q of a start that has to wait", resp.Header.Get("Retry-After"))
	}
	b.live.fail = fmt.Errorf("secret path /etc: %w", store.ErrConflict)
	b.want(500, `{"code":500,"message":"internal error"}`, "POST", room+"/start", b.admin, "")
	b.field("id", "POST", "/v2/rooms/"+b.seed.Room.ID, `{"enabled":false}`)
	b.want(403, disabled, "POST", room+"/start", b.admin, "")
}

// secondWorkspace makes another customer and returns a management token of theirs.
func (b *bench) secondWorkspace() string {
	b.t.Helper()
	driver, where := "sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: b.path}).EscapedPath()}).String()
	if strings.HasPrefix(b.path, "postgres:") {
		driver, where = "pgx", b.path
	}
	db, err := sql.Open(driver, where) // there is no call for this yet
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	key := store.AccessKey{AccessKey: store.NewID(), Secret: strings.Repeat("s", 40)}
	id := store.NewID()
	for _, insert := range []string{
		fmt.Sprintf(`INSERT INTO workspaces (id, app_id, name, webhook_url, webhook_headers_json, webhook_secret, created_at, updated_at)
			VALUES ('%s', '%s', 'other', '', 'null', '', 0, 0)`, id, store.NewID()),
		fmt.Sprintf(`INSERT INTO access_keys (access_key, workspace_id, secret, created_at) VALUES ('%s', '%s', '%s', 0)`, key.AccessKey, id, key.Secret),
	} {
		if _, err := db.Exec(insert); err != nil {
			b.t.Fatal(err)
		}
	}
	if _, err := b.Store.SaveTemplate(b.t.Context(), store.Template{WorkspaceID: id, Policy: *policy.StarterKit()}); err != nil {
		b.t.Fatal(err)
	}
	token, err := auth.MintManagement(key, time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return token
}

// TestForeignWorkspace: a valid token of somebody else sees and changes nothing.
func TestForeignWorkspace(t *testing.T) {
	b := newBench(t, nil)
	other := b.secondWorkspace()
	b.want(404, noRoom, "GET", "/v2/rooms/"+b.seed.Room.ID, other, "")
	b.want(404, noRoom, "POST", "/v2/rooms/"+b.seed.Room.ID, other, `{"enabled":false}`)
	b.want(404, noRoom, "GET", "/v2/room-codes/room/"+b.seed.Room.ID, other, "")
	b.want(404, `{"code":404,"message":"room code not found"}`, "POST", "/v2/room-codes/code", other, `{"code":"`+b.code("broadcaster")+`","enabled":false}`)
	b.want(404, noRoom, "POST", "/v2/live-streams/room/"+b.seed.Room.ID+"/start", other, "")
	id := b.field("id", "POST", "/v2/live-streams/room/"+b.seed.Room.ID+"/start", "")
	b.want(404, `{"code":404,"message":"live stream not found"}`, "POST", "/v2/live-streams/"+id+"/stop", other, "")
	b.want(200, `{"limit":10,"data":[],"last":""}`, "GET", "/v2/live-streams", other, "")
	b.want(200, `{"limit":10,"data":[],"last":""}`, "GET", "/v2/rooms", other, "")
	b.want(400, `{"code":400,"message":"Error: template not found","details":["Error: template not found"]}`, "POST", "/v2/rooms", other, `{"template_id":"`+b.seed.Room.TemplateID+`"}`)
}
