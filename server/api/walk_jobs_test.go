package api

import (
	"strings"
	"testing"
	"time"

	"amphi/server/store"
)

// Records that only a part of the server makes: jobs that run, and the files that they leave.

func (b *bench) startJob(kind store.JobKind) string {
	b.t.Helper()
	j, err := b.Store.StartJob(b.t.Context(), store.Job{Kind: kind, RoomID: b.seed.Room.ID, Setup: store.JobSetup{Width: 1280, Height: 720, RTMPURLs: []string{"rtmp://a/b/c"}}})
	if err == nil {
		_, err = b.Store.JobRunning(b.t.Context(), j.ID, time.Now())
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return j.ID
}

func (b *bench) endJob(id string) {
	b.t.Helper()
	if _, err := b.Store.JobStopped(b.t.Context(), id, store.StoppedByRequest, time.Now()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) saveAsset(a store.Asset) string {
	b.t.Helper()
	a.RoomID, a.SessionID = b.seed.Room.ID, store.NewID()
	a, err := b.Store.SaveAsset(b.t.Context(), a)
	if err != nil {
		b.t.Fatal(err)
	}
	return a.ID
}

// nobodys visits a path with ids that are nobody's.
func (b *bench) nobodys(path, want string) []visit {
	return []visit{{path: strings.Replace(path, "{id}", unknown[1:], 1), status: 404, want: want}, {path: strings.Replace(path, "{id}", "x", 1), status: 404, want: want}}
}

func walkJobs(b *bench) []row {
	const (
		push = `{"id":"ID","room_id":"ROOM","session_id":%,"status":"%","destination":"","rtmp_urls":["%"],"meeting_url":"%","recording":%,"resolution":{"width":%,"height":%},` +
			`"created_at":TIME,"started_at":%,"stopped_at":%,"updated_at":TIME,"started_by":"","stopped_by":"",%"recording_assets":%}`
		rec = `{"id":"ID","room_id":"ROOM","session_id":%,"status":"%","created_at":TIME,"started_at":%,"updated_at":TIME,"stopped_at":%,"meeting_url":"%","destination":"",` +
			`"started_by":"","stopped_by":"",%"asset_types":%,"recording_assets":%}`
		noRTMP   = `"reason":"failure: INTERNAL_ERROR: this server does not push streams to other services",`
		noRecord = `"reason":"failure: INTERNAL_ERROR: this server does not record composed rooms",`
		noPush   = `{"code":404,"message":"external stream not found"}`
		idlePush = `{"code":404,"message":"external stream not running"}`
		noRec    = `{"code":404,"message":"recording not found"}`
		idleRec  = `{"code":404,"message":"recording not running"}`
		file     = `"path":"s3://b/r.mp4","size":1000,"duration":60,"created_at":TIME,"thumbnails":null,"metadata":{"resolution":{"height":720,"width":1280}}`
		inline   = `{"id":"ID","type":"room-composite","status":"completed",` + file + `}`
		noAsset  = `{"code":404,"message":"recording asset not found"}`
		vod      = `{"id":"ID","job_id":"ID","room_id":"ROOM","session_id":"ID","type":"room-vod","status":"failed","path":"","size":0,"duration":0,"created_at":TIME,"thumbnails":["a.png"],"metadata":{}}`
		start    = `{"meeting_url":"https://m.example/x","rtmp_urls":["rtmp://a.example/live/key"],"recording":true,"resolution":{"width":720,"height":1280},"unknown":1}`
	)
	fill := func(form string, values ...string) string {
		for _, v := range values {
			form = strings.Replace(form, "%", v, 1)
		}
		return form
	}
	failedPush := fill(push, `""`, "failed", "rtmp://a.example/live/key", "https://m.example/x", "true", "720", "1280", "null", "TIME", noRTMP, "null")
	runningPush := func(status, assets string) string {
		return fill(push, `""`, status, "rtmp://a/b/c", "", "false", "1280", "720", "TIME", "null", "", assets)
	}
	failedRec := fill(rec, `""`, "failed", "null", "TIME", "https://m.example/x", noRecord, "null", "null")
	rec2 := func(status, types, assets string) string {
		return fill(rec, `""`, status, "TIME", "null", "", "", types, assets)
	}
	page := func(objects string) string { return `{"limit":10,"data":[` + objects + `],"last":"ID"}` }
	composite := store.Asset{Type: store.AssetComposite, Status: store.AssetCompleted, Path: "s3://b/r.mp4", Size: 1000, Duration: 60,
		Metadata: map[string]any{"resolution": map[string]int{"width": 1280, "height": 720}}}

	var pushID, recID, assetID string
	at := func(pattern string, id *string) func() string {
		return func() string { return strings.Replace(pattern, "{id}", *id, 1) }
	}
	wantsURL := func(url string) visit {
		return visit{body: `{"rtmp_urls":["` + url + `"]}`, status: 400, want: badBody("rtmp_urls must be of the form rtmp://host/app/STREAM_KEY or rtmps://…")}
	}
	sized := func(width, height, detail string) visit {
		return visit{body: `{"rtmp_urls":["rtmp://a/b"],"resolution":{"width":` + width + `,"height":` + height + `}}`, status: 400, want: badBody("resolution " + detail)}
	}
	const small, large = "must be at least 500x480, or 500x500 in portrait", "must be at most 1920x1080 or 1080x1920"
	room, room404 := "/v2/external-streams/room"+unknown, visit{status: 404, want: noRoom}
	room404.path = room + "/start"
	return []row{
		{endpoint: "POST /v2/external-streams/room/{room_id}/start",
			good: []visit{{body: start, want: failedPush}},
			bad: []visit{unauthorized, room404, {body: "x", status: 400, want: badJSON}, {status: 400, want: badBody("rtmp_urls is missing")},
				wantsURL("http://a/b"), wantsURL("rtmp://a"), wantsURL("rtmp:///b"), wantsURL("rtmp://a/" + strings.Repeat("k", 1024)),
				{body: `{"rtmp_urls":["rtmp://a/1","rtmp://a/2","rtmp://a/3","rtmp://a/4","rtmp://a/5","rtmp://a/6"]}`, status: 400, want: badBody("rtmp_urls has more than 5 addresses")},
				sized("1280", "0", "needs width and height"), sized("499", "480", small), sized("500", "479", small), sized("-1280", "720", small), sized("1921", "1080", large), sized("1920", "1081", large), sized("1081", "1920", large),
				{body: `{"rtmp_urls":["rtmp://a/b"],"meeting_url":"ftp://a"}`, status: 400, want: badBody("meeting_url must be an http or https URL")},
				{body: `{"rtmp_urls":["rtmp://a/b"],"destination":"x"}`, status: 400, want: badBody(`destination: the room's template has no RTMP destination \"x\"`)}}},
		{endpoint: "GET /v2/external-streams",
			good: []visit{{want: page(failedPush)}, {path: "/v2/external-streams?status=failed&room_id={room_id}", want: page(failedPush)},
				{path: "/v2/external-streams?status=running", want: emptyPage}, {path: "/v2/external-streams?session_id=" + unknown[1:], want: emptyPage}},
			bad: []visit{unauthorized, {path: "/v2/external-streams?limit=x", status: 400, want: badLimit},
				{path: "/v2/external-streams?status=x", status: 400, want: badQuery("status must be one of [starting running stopping post_processing completed failed]")}}},
		{endpoint: "POST /v2/external-streams/room/{room_id}/stop",
			prepare: func() { b.startJob(store.ExternalStream) },
			good:    []visit{{want: page(runningPush("stopping", "null"))}, {body: "{}", want: page(runningPush("stopping", "null"))}},
			bad:     []visit{unauthorized, {path: room + "/stop", status: 404, want: noRoom}}},
		{endpoint: "GET /v2/external-streams/{id}",
			prepare: func() {
				j, err := b.Store.ActiveJob(b.t.Context(), b.seed.Room.ID, store.ExternalStream)
				if err != nil {
					b.t.Fatal(err)
				}
				b.endJob(j.ID)
				pushID = b.startJob(store.ExternalStream)
				composite.JobID = pushID
				b.saveAsset(composite)
			},
			good: []visit{{late: at("/v2/external-streams/{id}", &pushID), want: runningPush("running", "["+inline+"]")}},
			bad:  append(b.nobodys("/v2/external-streams/{id}", noPush), unauthorized)},
		{endpoint: "POST /v2/external-streams/{id}/stop",
			good: []visit{{late: at("/v2/external-streams/{id}/stop", &pushID), want: runningPush("stopping", "null")}},
			bad: append(b.nobodys("/v2/external-streams/{id}/stop", noPush), unauthorized,
				visit{late: func() string { b.endJob(pushID); return "/v2/external-streams/" + pushID + "/stop" }, status: 404, want: idlePush},
				visit{path: "/v2/external-streams/room/{room_id}/stop", status: 404, want: idlePush})},

		{endpoint: "POST /v2/recordings/room/{room_id}/start",
			good: []visit{{body: start, want: failedRec}, {body: `{"meeting_url":"https://m.example/x","audio_only":true,"transcription":{"enabled":true,"output_modes":["txt","srt"]}}`, want: failedRec}},
			bad: []visit{unauthorized, {path: "/v2/recordings/room" + unknown + "/start", status: 404, want: noRoom}, {body: "x", status: 400, want: badJSON},
				{body: `{"resolution":{"width":1}}`, status: 400, want: badBody("resolution needs width and height")},
				{body: `{"destination":"x"}`, status: 400, want: badBody(`destination: the room's template has no recording \"x\"`)},
				{body: `{"transcription":{"output_modes":["pdf"]}}`, status: 400, want: badBody("transcription.output_modes must be of [txt srt json]")}}},
		{endpoint: "GET /v2/recordings",
			good: []visit{{want: page(failedRec + "," + failedRec)}, {path: "/v2/recordings?status=completed&limit=20", want: `{"limit":20,"data":[],"last":""}`}},
			bad:  []visit{unauthorized, {path: "/v2/recordings?start=x", status: 400, want: badCursor}, {path: "/v2/recordings?room_id=x", status: 400, want: badQuery("room_id must be an id of 24 hexadecimal digits")}}},
		{endpoint: "POST /v2/recordings/room/{room_id}/pause",
			prepare: func() { recID = b.startJob(store.Recording) },
			good:    []visit{{want: rec2("running", "null", "null")}},
			bad:     []visit{unauthorized, {path: "/v2/recordings/room" + unknown + "/pause", status: 404, want: noRoom}}},
		{endpoint: "POST /v2/recordings/room/{room_id}/resume",
			good: []visit{{body: "{}", want: rec2("running", "null", "null")}},
			bad:  []visit{unauthorized, {path: "/v2/recordings/room" + unknown + "/resume", status: 404, want: noRoom}}},
		{endpoint: "GET /v2/recordings/{id}",
			prepare: func() { composite.JobID = recID; assetID = b.saveAsset(composite) },
			good:    []visit{{late: at("/v2/recordings/{id}", &recID), want: rec2("running", `["room-composite"]`, "["+inline+"]")}},
			bad:     append(b.nobodys("/v2/recordings/{id}", noRec), unauthorized, visit{late: at("/v2/recordings/{id}", &pushID), status: 404, want: noRec})},
		{endpoint: "POST /v2/recordings/room/{room_id}/stop",
			good: []visit{{want: page(rec2("stopping", "null", "null"))}},
			bad:  []visit{unauthorized, {path: "/v2/recordings/room" + unknown + "/stop", status: 404, want: noRoom}}},
		{endpoint: "POST /v2/recordings/{id}/stop",
			good: []visit{{late: at("/v2/recordings/{id}/stop", &recID), want: rec2("stopping", "null", "null")}},
			bad: append(b.nobodys("/v2/recordings/{id}/stop", noRec), unauthorized,
				visit{path: "/v2/recordings/room/{room_id}/pause", status: 404, want: idleRec}, // it is stopping
				visit{late: func() string { b.endJob(recID); return "/v2/recordings/" + recID + "/stop" }, status: 404, want: idleRec},
				visit{path: "/v2/recordings/room/{room_id}/stop", status: 404, want: idleRec},
				visit{path: "/v2/recordings/room/{room_id}/resume", status: 404, want: idleRec})},

		{endpoint: "GET /v2/recording-assets",
			prepare: func() {
				b.saveAsset(store.Asset{JobID: store.NewID(), Type: store.AssetVOD, Status: store.AssetFailed, Thumbnails: []string{"a.png"}})
			},
			good: []visit{{path: "/v2/recording-assets?type=room-vod", want: page(vod)}, {path: "/v2/recording-assets?asset_type=room-vod&status=failed&room_id={room_id}", want: page(vod)},
				{path: "/v2/recording-assets?status=processing", want: emptyPage}},
			bad: []visit{unauthorized, {path: "/v2/recording-assets?type=x", status: 400,
				want: badQuery("type must be one of [room-composite room-composite-legacy room-vod chat transcript summary track stream]")},
				{path: "/v2/recording-assets?status=x", status: 400, want: badQuery("status must be one of [processing completed failed]")}}},
		{endpoint: "GET /v2/recording-assets/{id}",
			good: []visit{{late: at("/v2/recording-assets/{id}", &assetID),
				want: `{"id":"ID","job_id":"ID","room_id":"ROOM","session_id":"ID","type":"room-composite","status":"completed",` + file + `}`}},
			bad: append(b.nobodys("/v2/recording-assets/{id}", noAsset), unauthorized)},
		{endpoint: "GET /v2/recording-assets/{id}/presigned-url",
			bad: append(b.nobodys("/v2/recording-assets/{id}/presigned-url?presign_duration=3600", noAsset), unauthorized,
				visit{late: at("/v2/recording-assets/{id}/presigned-url", &assetID), status: 404, want: `{"code":404,"message":"this server does not have the file of the recording asset"}`},
				visit{path: "/v2/recording-assets/x/presigned-url?presign_duration=604801", status: 400, want: badQuery("presign_duration must be 1 to 604800 seconds")},
				visit{path: "/v2/recording-assets/x/presigned-url?presign_duration=-1", status: 400, want: badQuery("presign_duration must be 1 to 604800 seconds")})},
	}
}

// TestStreamShowsItsAssets: a live stream that was recorded names the files that it left.
func TestStreamShowsItsAssets(t *testing.T) {
	b := newBench(t, nil)
	session, err := b.Store.OpenSession(t.Context(), store.NewID(), b.seed.Room.ID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Store.StartLiveStream(t.Context(), store.LiveStream{RoomID: b.seed.Room.ID, SessionID: session.ID})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"recording_assets":[]}`,
		`"recording_assets":[{"id":"ID","type":"room-vod","status":"completed","path":"p","size":7,"duration":0,"created_at":TIME,"thumbnails":null,"metadata":{}}]}`} {
		if _, got := b.call("GET", "/v2/live-streams/"+l.ID, b.admin, ""); !strings.HasSuffix(got, want) {
			t.Errorf("%s does not end in %s", got, want)
		}
		b.saveAsset(store.Asset{JobID: l.ID, Type: store.AssetVOD, Status: store.AssetCompleted, Path: "p", Size: 7})
	}
}

func walkStreamKeys(b *bench) []row {
	const (
		path  = "/v2/stream-keys/room"
		key   = `{"id":"ID","url":"","key":"KEY","room_id":"ROOM","customer_id":"WORKSPACE","app_id":"APP","enabled":true,"created_at":TIME,"updated_at":TIME}`
		noKey = `{"code":404,"message":"No active key found"}`
	)
	// shut visits a path of a disabled room.
	shut := func(rest string) visit {
		return visit{status: 403, want: disabled, late: func() string {
			b.field("id", "POST", b.place("/v2/rooms/{room_id}"), `{"enabled":false}`)
			return path + "/{room_id}" + rest
		}}
	}
	open := func() { b.field("id", "POST", b.place("/v2/rooms/{room_id}"), `{"enabled":true}`) }
	return []row{
		{endpoint: "POST /v2/stream-keys/room/{room_id}",
			good: []visit{{want: key}},
			bad: []visit{unauthorized, {body: "{}", status: 400, want: `{"code":400,"message":"Active key already exists"}`},
				{path: path + unknown, status: 404, want: noRoom}, shut("")}},
		{endpoint: "GET /v2/stream-keys/room/{room_id}",
			prepare: open,
			good:    []visit{{want: `{"data":[` + key + `],"last":"ID"}`}},
			bad:     []visit{unauthorized, {path: path + unknown, status: 404, want: noRoom}, shut("")}},
		{endpoint: "POST /v2/stream-keys/room/{room_id}/disable",
			prepare: open,
			good:    []visit{{status: 201, want: `{"message":"key disabled successfully"}`}},
			bad: []visit{unauthorized, {status: 404, want: noKey}, {path: path + "/{room_id}/disable", body: "{}", status: 404, want: noKey},
				{path: path + unknown + "/disable", status: 404, want: noRoom}, shut("/disable"),
				{status: 404, want: noKey, late: func() string { open(); return path + "/{room_id}/disable" }}}},
	}
}
