package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store/storetest"
)

// index is every endpoint that the documented API has: its endpoint index, word for word but for one row a line.
const index = `
POST /v2/rooms
GET /v2/rooms
GET /v2/rooms/{room_id}
POST /v2/rooms/{room_id}
POST /v2/room-codes/room/{room_id}
GET /v2/room-codes/room/{room_id}
POST /v2/room-codes/room/{room_id}/role/{role}
POST /v2/room-codes/code
GET /v2/active-rooms/{room_id}
POST /v2/active-rooms/{room_id}/end-room
GET /v2/active-rooms/{room_id}/peers
GET /v2/active-rooms/{room_id}/peers/{peer_id}
POST /v2/active-rooms/{room_id}/peers/{peer_id}
POST /v2/active-rooms/{room_id}/send-message
POST /v2/active-rooms/{room_id}/remove-peers
GET /v2/sessions
GET /v2/sessions/{session_id}
POST /v2/templates
GET /v2/templates
GET /v2/templates/{template_id}
POST /v2/templates/{template_id}
GET /v2/templates/{template_id}/roles/{role}
POST /v2/templates/{template_id}/roles/{role}
DELETE /v2/templates/{template_id}/roles/{role}
GET /v2/templates/{template_id}/settings
POST /v2/templates/{template_id}/settings
GET /v2/templates/{template_id}/destinations
POST /v2/templates/{template_id}/destinations
GET /v2/templates/{template_id}/recordings
POST /v2/templates/{template_id}/recordings
POST /v2/live-streams/room/{room_id}/start
POST /v2/live-streams/room/{room_id}/stop
GET /v2/live-streams
GET /v2/live-streams/{stream_id}
POST /v2/live-streams/{stream_id}/stop
POST /v2/live-streams/{stream_id}/timed-metadata
POST /v2/live-streams/{stream_id}/pause-recording
POST /v2/live-streams/{stream_id}/resume-recording
POST /v2/live-streams/{stream_id}/playlist
GET /v2/live-streams/{stream_id}/playlist
POST /v2/live-streams/{stream_id}/playlist/control
POST /v2/external-streams/room/{room_id}/start
POST /v2/external-streams/room/{room_id}/stop
GET /v2/external-streams
GET /v2/external-streams/{id}
POST /v2/external-streams/{id}/stop
POST /v2/recordings/room/{room_id}/start
POST /v2/recordings/room/{room_id}/stop
POST /v2/recordings/room/{room_id}/pause
POST /v2/recordings/room/{room_id}/resume
GET /v2/recordings
GET /v2/recordings/{id}
POST /v2/recordings/{id}/stop
GET /v2/recording-assets
GET /v2/recording-assets/{id}
GET /v2/recording-assets/{id}/presigned-url
POST /v2/stream-keys/room/{room_id}
GET /v2/stream-keys/room/{room_id}
POST /v2/stream-keys/room/{room_id}/disable
POST /v2/polls
GET /v2/polls/{id}
POST /v2/polls/{id}
POST /v2/polls/{id}/questions/{n}
DELETE /v2/polls/{id}/questions/{n}
POST /v2/polls/{id}/questions/{n}/options/{m}
DELETE /v2/polls/{id}/questions/{n}/options/{m}
GET /v2/polls/{id}/sessions
GET /v2/polls/{id}/sessions/{sid}
GET /v2/polls/{id}/responses
GET /v2/polls/{id}/responses/{rid}
GET /v2/polls/{id}/results
GET /v2/polls/{id}/results/{rid}
GET /v2/analytics/events
GET /v2/analytics/peer-stats
GET /v2/analytics/webhooks
POST /v2/analytics/webhooks/replay
GET /v2/analytics/webhooks/replay/{workflow_id}
POST /v2/sip/dtmf
POST /v2/sip/outbound/trunks
POST /v2/sip/outbound/trunks/{trunk_id}
POST /v2/sip/outbound/call
POST /v2/token
GET /v2/layouts/ui
`

// beyond is what the server answers besides the index: what clients need, what the index leaves out, old paths.
const beyond = `
GET /init
GET /v2/active-rooms/{room_id}/stats
POST /v2/active-rooms/{room_id}/peers/{peer_id}/mute
POST /v2/client/report
POST /v2/client/feedback
GET /v2/openapi.json
GET /v2/external-sources
POST /v2/external-sources/room/{room_id}/start
POST /v2/external-sources/room/{room_id}/stop
GET /v2/external-sources/{id}
POST /v2/external-sources/{id}/stop
POST /v2/analytics/events/webhooks/replay
POST /api/v2/rooms
POST /api/v2/beam
POST /islb/api/v2/room/hls/start
POST /islb/api/v2/room/hls/stop
GET /islb/api/v2/room/hls/url
POST /islb/api/v2/room/hls/pause
POST /islb/api/v2/room/hls/unpause
GET /policy/v1/templates
POST /policy/v1/templates
POST /policy/v1/templates/{template_id}
GET /policy/v1/templates/{template_id}/roles/{role}
POST /policy/v1/templates/{template_id}/roles/{role}
DELETE /policy/v1/templates/{template_id}/roles/{role}
GET /policy/v1/templates/{template_id}/settings
POST /policy/v1/templates/{template_id}/settings
POST /hmsapi/{app}/api/token
`

// visit is a request and what is answered to it. In want, what differs from run to run has names, see bench.call.
type visit struct {
	path   string // empty: that of the row, with the ids of the bench
	token  string // empty: the bench's management token; "none": none
	body   string
	status int // 0: 200
	want   string

	contentType string        // of the body
	late        func() string // the path, when it is known only then
	eventually  bool          // the answer may take a moment to become that
}

// row is an endpoint with requests that it answers well (the first ones) and badly.
type row struct {
	endpoint string // as in index
	prepare  func()
	good     []visit
	bad      []visit
}

// walks make the rows; each file of endpoints has its own. They are walked in this order, on one server.
var walks = []func(b *bench) []row{walkTemplates, walkJobs, walkStreamKeys, walkSources, walkRooms, walkLive, walkClients, walkPolls, walkWebhooks, walkAnalytics, walkLegacy}

// TestWalk visits every endpoint on every database and compares whole answers.
func TestWalk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, where string) {
		b := newBenchOn(t, where, func(a *API) { a.Limits.RequestsPerSecond = 0 })
		for _, walk := range walks {
			for _, r := range walk(b) {
				if r.prepare != nil {
					r.prepare()
				}
				method, path, _ := strings.Cut(r.endpoint, " ")
				for _, v := range slices.Concat(r.good, r.bad) {
					b.visit(method, path, v)
				}
			}
		}
	})
}

// visit makes a request and compares the answer.
func (b *bench) visit(method, path string, v visit) {
	b.t.Helper()
	token := cmp.Or(v.token, b.admin)
	if token == "none" {
		token = ""
	}
	contentType := cmp.Or(v.contentType, "application/json")
	if v.late != nil {
		v.path = v.late()
	}
	if v.eventually {
		eventually(b.t, v.want, func() bool {
			resp, body := b.call(method, b.place(cmp.Or(v.path, path)), token, v.body)
			return resp.StatusCode == v.status && body == v.want
		})
	}
	b.want(cmp.Or(v.status, 200), v.want, method, b.place(cmp.Or(v.path, path)), token, v.body, "Content-Type", contentType)
}

// place fills the names of a path with ids of the bench.
func (b *bench) place(path string) string {
	return strings.NewReplacer("{room_id}", b.seed.Room.ID, "{template_id}", b.seed.Room.TemplateID, "{role}", "broadcaster",
		"{stream_id}", "0", "{session_id}", "0", "{peer_id}", "nobody", "{trunk_id}", "0").Replace(path)
}

// TestEveryEndpointIsWalked: whatever is documented or mounted has a row with a good request and at least two bad ones.
func TestEveryEndpointIsWalked(t *testing.T) {
	b := newBench(t, nil)
	walked := make(map[string]bool)
	for _, walk := range walks {
		for _, r := range walk(b) {
			if len(r.good) == 0 && !refusedAlways.MatchString(r.endpoint) || len(r.bad) < 2 {
				t.Errorf("%s: %d good requests and %d bad ones", r.endpoint, len(r.good), len(r.bad))
			}
			if walked[r.endpoint] {
				t.Errorf("%s has two rows", r.endpoint)
			}
			walked[r.endpoint] = true
		}
	}
	mounted := make(map[string]bool)
	for _, e := range b.endpoints() {
		if e.access != byProbe && e.access != byEncoder { // those have tests of their own
			mounted[e.method+" "+e.path] = true
		}
	}
	documented := make(map[string]bool)
	for _, line := range strings.Split(strings.TrimSpace(index+beyond), "\n") {
		if line == "" {
			continue
		}
		documented[line] = true
		if !mounted[line] {
			t.Errorf("%s is not mounted", line)
		}
		if !walked[line] {
			t.Errorf("%s is not walked", line)
		}
	}
	for e := range mounted {
		if !documented[e] {
			t.Errorf("%s is mounted, and in no index", e)
		}
	}
}

// refusedAlways are endpoints of parts that this server does not have: calls by telephone, recordings of live streams,
// files of recordings.
var refusedAlways = regexp.MustCompile(`/sip/|/(pause|resume)-recording$|/presigned-url$|/beam$|/hls/(un)?pause$`)

// Answers that many endpoints give.
const (
	badJSON      = `{"code":400,"message":"Invalid JSON","details":["at byte 1: invalid character 'x' looking for beginning of value"]}`
	badType      = `{"code":415,"message":"Content-Type must be application/json"}`
	noTemplate   = `{"code":404,"message":"template not found"}`
	noSession    = `{"code":404,"message":"session not found"}`
	wrongToken   = `{"code":401,"message":"Token validation error","details":["token is of the wrong type"]}`
	noSIP        = `{"code":501,"message":"SIP is not enabled on this server"}`
	emptyPage    = `{"limit":10,"data":[],"last":""}`
	nulChar      = `{"code":400,"message":"Invalid body param","details":["Invalid body param: texts cannot have the character U+0000"]}`
	badLimit     = `{"code":400,"message":"Invalid query param","details":["Invalid query param: limit must be a whole number"]}`
	badCursor    = `{"code":400,"message":"Invalid query param","details":["Invalid query param: start must be the last of the page before"]}`
	badPeerInput = `{"code":400,"message":"Invalid body param","details":["Invalid body param: peer_id or role is missing"]}`
)

// unauthorized is what every endpoint of customers' servers answers to nobody.
var unauthorized = visit{token: "none", status: 401, want: noToken}

// inRoom is a peer's socket that nobody reads.
type inRoom struct {
	mu     sync.Mutex
	frames []protocol.Frame
}

func (s *inRoom) Send(frame []byte) {
	f, err := protocol.ParseFrame(frame)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, f)
}

func (*inRoom) Close(string) {}

// heard returns the params of the frames of that method.
func (s *inRoom) heard(method string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if f.Method == method {
			list = append(list, string(f.Params))
		}
	}
	return list
}

// join lets somebody into the seeded room.
func (b *bench) join(peerID, role string) (*room.Peer, *inRoom, error) {
	b.t.Helper()
	r, err := b.Rooms.Open(b.t.Context(), b.seed.Room.ID)
	if err != nil {
		return nil, nil, err
	}
	defer r.Release()
	s := &inRoom{}
	p, err := r.Connect(b.t.Context(), room.Identity{PeerID: peerID, UserID: "u-" + peerID, Role: role, TokenHash: sha256.Sum256([]byte(peerID))}, s)
	if err != nil {
		return nil, nil, err
	}
	_, err = p.Join(b.t.Context(), protocol.Join{Name: "name of " + peerID, Data: `{"isHandRaised":false}`})
	return p, s, err
}

func (b *bench) mustJoin(peerID, role string) *inRoom {
	b.t.Helper()
	_, s, err := b.join(peerID, role)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// eventually waits for what happens on another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

func walkTemplates(b *bench) []row {
	const (
		role = `{"name":"%s","publishParams":{"allowed":["audio","video"],"audio":{"bitRate":32,"codec":"opus"},"video":{"bitRate":300,"codec":"vp8","frameRate":25,"width":320,"height":180},` +
			`"simulcast":{"video":{"layers":[{"rid":"f","scaleResolutionDownBy":1,"maxBitrate":700,"maxFramerate":25},{"rid":"q","scaleResolutionDownBy":4,"maxBitrate":0,"maxFramerate":20}]},"screen":{}}},` +
			`"subscribeParams":{"subscribeToRoles":["%[1]s"],"maxSubsBitRate":3200,"subscribeDegradation":{"packetLossThreshold":50,"degradeGracePeriodSeconds":1,"recoverGracePeriodSeconds":4}},` +
			`"permissions":{"endRoom":true,"sendRoomState":false,"hlsStreaming":true%s},"priority":2,"maxPeerCount":-1}`
		roleIn = `{"publishParams":{"allowed":["audio","video","simulcast"],"video":{"bitRate":300},"simulcast":{"video":{"layers":[{"rid":"f","scaleResolutionDownBy":1,"maxBitrate":700,"maxFramerate":25},` +
			`{"rid":"q","scaleResolutionDownBy":4,"maxFramerate":20},{}]}}},"subscribeParams":{"subscribeToRoles":["host"],"maxSubsBitRate":3200,"subscribeDegradation":{}},` +
			`"permissions":{"endRoom":true,"rtmpStreaming":false},"priority":2,"maxPeerCount":-1}`
		settings     = `{"region":"eu","recording":{"upload":{"type":"s3","location":"b","prefix":"live/","options":{"region":"eu-west-1"},"credentials":{"key":"k","secretKey":"********"}}},"roomState":{"messageInterval":10,"sendPeerList":true,"stopRoomStateOnJoin":true,"enabled":true},"retry":{}}`
		plainSetting = `{"region":"auto","recording":null,"retry":{}}`
		hls          = `{"name":"main","maxDuration":14400,"layers":[{"width":1280,"height":720,"videoBitrate":1500,"audioBitrate":64}],"playlistType":"live","videoFrameRate":20,"enableStaticUrl":true,"autoStopTimeout":300,"numPlaylistSegments":5,"enableMetadataInsertion":true,` +
			`"recording":{"hlsVod":true,"singleFilePerLayer":true,"enableZipUpload":false,"layers":[{"width":1280,"height":720,"videoBitrate":1500,"audioBitrate":64}],"thumbnails":{"enabled":true,"width":1280,"height":720,"offsets":[2,60],"fps":1},"presignDuration":259200}}`
		rtmp       = `{"name":"social","width":1280,"height":720,"maxDuration":7200,"rtmpUrls":["rtmp://a.example/live/key"],"recordingEnabled":true,"autoStopTimeout":300}`
		transcript = `{"name":"captions","role":"host","modes":["recorded","live"],"outputModes":["txt","srt"],"customVocabulary":["Acme"],"summary":{"enabled":true,"context":"sync","temperature":0.5,"sections":[{"title":"Agenda","format":"bullets"}]},"translation":{"enabled":true,"roleLanguages":{"host":"es"}}}`
		recordings = `[{"name":"default","role":"recorder","maxDuration":14400,"presignDuration":259200,"thumbnails":{"width":1280,"height":720,"offsets":[2],"fps":1},"compositeRecording":{"browserComposite":{"enabled":true,"autoStopTimeout":300,"width":1280,"height":720},"customComposite":{}},"trackRecording":{},"streamRecording":{"width":1280,"height":720}}]`
		recordIn   = `[{"name":"default","role":"recorder","maxDuration":14400,"presignDuration":259200,"thumbnails":{"enabled":false,"width":1280,"height":720,"offsets":[2],"fps":1},"compositeRecording":{"browserComposite":{"enabled":true,"autoStart":false,"autoStopTimeout":300,"width":1280,"height":720},"customComposite":{"enabled":false}},"trackRecording":{"enabled":false},"streamRecording":{"enabled":false,"width":1280,"height":720}}]`
	)
	secretIn := strings.NewReplacer("********", "s3cr3t").Replace(settings)
	destinations := `{"rtmpDestinations":{"social":` + rtmp + `},"hlsDestinations":{"main":` + hls + `},"transcriptions":{"captions":` + transcript + `}}`
	object := func(name, roles, settings, destinations, plugins string) string {
		return `{"id":"ID","_id":"ID","name":"` + name + `","customerId":"WORKSPACE","customer":"WORKSPACE","roles":` + roles + `,"settings":` + settings +
			`,"destinations":` + destinations + `,"plugins":` + plugins + `,"createdAt":TIME,"updatedAt":TIME}`
	}
	host := fmt.Sprintf(role, "host", `,"browserRecording":true`)
	const plugins = `{"whiteboard":{"permissions":{"admin":["host"],"reader":[],"writer":["host"]}}}`
	whole := `{"name":"town-hall","roles":{"host":` + roleIn + `},"settings":` + secretIn + `,"destinations":` + destinations + `,"plugins":` + plugins + `}`
	answer := object("town-hall", `{"host":`+host+`}`, settings, destinations, plugins)
	kit := &policy.Template{}
	*kit = *policy.StarterKit()
	kit.Complete()
	kitRole, _ := json.Marshal(kit.Roles["broadcaster"])
	kitDestinations, _ := json.Marshal(kit.Destinations)
	// made is a template of its own, so that the seeded one stays as it is.
	made := func() string {
		return b.field("id", "POST", "/v2/templates", `{"name":"walked","roles":{"host":`+roleIn+`,"guest":{"subscribeParams":{"subscribeToRoles":["host"]}}}}`)
	}
	id := made()
	at := func(rest string) string { return "/v2/templates/" + id + rest }
	unknownTemplate := visit{path: "/v2/templates" + unknown, status: 404, want: noTemplate}
	bare := func(name string) string {
		return object(name, `{}`, plainSetting, `{}`, `{}`)
	}
	return []row{
		{endpoint: "POST /v2/templates",
			good: []visit{{body: whole, want: answer}, {body: whole, want: answer}, // the second time it is overwritten
				{body: `{"name":"bare"}`, want: bare("bare")}},
			bad: []visit{unauthorized, {body: "x", status: 400, want: badJSON}, {body: `{"name":"a/b"}`, status: 400, want: badBody("name may have letters, digits, spaces and - . _ :, at most 100")},
				{body: `{"roles":{"a":{"publishParams":{"allowed":["audio"],"audio":{"bitRate":1}},"priority":11}}}`, status: 400,
					want: `{"code":400,"message":"Invalid body param","details":["Invalid body param: role a: audio.bitRate is 1, must be 16 to 128","Invalid body param: role a: priority is 11, must be 1 to 10"]}`},
				{body: `{"settings":{"recording":{"upload":{"type":"s3"}}}}`, status: 400, want: badBody("Bucket location is missing")},
				{body: `{"settings":{"roomState":{"messageInterval":7}}}`, status: 400, want: badBody("settings.roomState.messageInterval is a multiple of 5 from 5 to 3600")},
				{body: `{"destinations":{"rtmpDestinations":{"x":{"rtmpUrls":["http://x"]}}}}`, status: 400, want: badBody("rtmp destination x: rtmpUrls must be rtmp:// or rtmps:// addresses")}}},
		{endpoint: "GET /v2/templates",
			good: []visit{{path: "/v2/templates?name=bare", want: `{"limit":10,"data":[` + bare("bare") + `],"last":"ID"}`}, {path: "/v2/templates?name=none", want: emptyPage}},
			bad:  []visit{unauthorized, {path: "/v2/templates?limit=x", status: 400, want: badLimit}, {path: "/v2/templates?start=x", status: 400, want: badCursor}}},
		{endpoint: "GET /v2/templates/{template_id}",
			prepare: func() { b.field("id", "POST", "/v2/templates", `{"name":"bare"}`) },
			good: []visit{{want: strings.Replace(strings.NewReplacer(`"ID"`, `"TEMPLATE"`).Replace(object("KIT", mustJSON(kit.Roles), plainSetting, string(kitDestinations), `{}`)),
				`"customer":"WORKSPACE"`, `"customer":"WORKSPACE","default":true`, 1)}},
			bad: []visit{unauthorized, unknownTemplate, {path: "/v2/templates/x", status: 404, want: noTemplate}}},
		{endpoint: "POST /v2/templates/{template_id}",
			good: []visit{{path: at(""), body: whole[:1] + whole[len(`{"name":"town-hall",`):], want: object("walked", `{"host":`+host+`}`, settings, destinations, plugins)}},
			bad: []visit{unauthorized, {path: "/v2/templates" + unknown, body: whole, status: 404, want: noTemplate},
				{path: at(""), body: whole, status: 400, want: `{"code":400,"message":"another template has this name"}`},
				{path: at(""), body: `{"settings":{}}`, status: 400, want: badBody("roles is missing")}, {path: at(""), body: `{"roles":{}}`, status: 400, want: badBody("settings is missing")}}},
		{endpoint: "GET /v2/templates/{template_id}/roles/{role}",
			good: []visit{{want: string(kitRole)}, {path: at("/roles/host"), want: host}},
			bad:  []visit{unauthorized, {path: "/v2/templates" + unknown + "/roles/a", status: 404, want: noTemplate}, {path: at("/roles/none"), status: 404, want: `{"code":404,"message":"role not found"}`}}},
		{endpoint: "POST /v2/templates/{template_id}/roles/{role}",
			// What is not given is granted, also to a role that it was refused to.
			good: []visit{{path: at("/roles/host"), body: strings.Replace(roleIn, `,"rtmpStreaming":false`, ``, 1), want: fmt.Sprintf(role, "host", `,"rtmpStreaming":true,"browserRecording":true`)},
				{path: at("/roles/extra"), body: `{}`, want: `{"name":"extra","publishParams":{"allowed":[]},"subscribeParams":{"subscribeToRoles":[],"maxSubsBitRate":0},"permissions":{"sendRoomState":false,"hlsStreaming":true,"rtmpStreaming":true,"browserRecording":true},"priority":1,"maxPeerCount":0}`},
				{path: at("/roles/host"), body: `{"name":"chair",` + strings.Replace(roleIn[1:], `"host"`, `"chair"`, 1), want: fmt.Sprintf(role, "chair", `,"browserRecording":true`)},
				{path: at("/roles/chair"), body: `{"name":"host",` + strings.Replace(roleIn[1:], `"host"`, `"host"`, 1), want: host}},
			bad: []visit{unauthorized, {path: at("/roles/extra"), body: `{"name":"host"}`, status: 400, want: `{"code":400,"message":"another role has this name"}`},
				{path: at("/roles/extra"), body: `{"subscribeParams":{"subscribeToRoles":["king"]}}`, status: 400, want: badBody(`role extra: subscribeToRoles: no role \"king\" in the template`)},
				{path: at("/roles/a%2Fb"), body: `{}`, status: 400, want: badBody("role a/b: name may have letters, digits, spaces and - . _ :, at most 100")},
				{path: at("/roles/extra"), body: `{"priority":"first"}`, status: 400, want: badBody("priority must be a whole number")}}},
		{endpoint: "DELETE /v2/templates/{template_id}/roles/{role}",
			good: []visit{{path: at("/roles/extra"), status: 204}},
			bad:  []visit{{path: at("/roles/extra"), status: 404, want: `{"code":404,"message":"role not found"}`}, unauthorized, {path: "/v2/templates" + unknown + "/roles/a", status: 404, want: noTemplate}}},
		{endpoint: "GET /v2/templates/{template_id}/settings",
			good: []visit{{want: plainSetting}, {path: at("/settings"), want: settings}},
			bad:  []visit{unauthorized, {path: "/v2/templates" + unknown + "/settings", status: 404, want: noTemplate}}},
		{endpoint: "POST /v2/templates/{template_id}/settings",
			good: []visit{{path: at("/settings"), body: strings.Replace(secretIn, "secretKey", "secret", 1), want: settings},
				{path: at("/settings"), body: settings, want: settings}}, // as it was answered: the secret stays
			bad: []visit{unauthorized, {path: at("/settings"), body: `{"region":"mars"}`, status: 400, want: badBody("settings.region is one of in, us, eu, auto")},
				{path: at("/settings"), body: `[]`, status: 400, want: badBody("a JSON object is wanted")}}},
		{endpoint: "GET /v2/templates/{template_id}/destinations",
			prepare: func() { b.keepsSecret(id, "s3cr3t") },
			good:    []visit{{want: string(kitDestinations)}, {path: at("/destinations"), want: destinations}},
			bad:     []visit{unauthorized, {path: "/v2/templates" + unknown + "/destinations", status: 404, want: noTemplate}}},
		{endpoint: "POST /v2/templates/{template_id}/destinations",
			good: []visit{{path: at("/destinations"), body: destinations, want: destinations}},
			bad: []visit{unauthorized, {path: at("/destinations"), body: `{"hlsDestinations":{"x":{"layers":[{"width":101,"height":100}]}}}`, status: 400,
				want: badBody("hls destination x: layer 101x100: sides are even, the short one 144 to 1080, the long one 192 to 1920")},
				{path: at("/destinations"), body: `{"transcriptions":{"x":{"role":"king"}}}`, status: 400, want: badBody(`transcription x: no role \"king\" in the template`)}}},
		{endpoint: "GET /v2/templates/{template_id}/recordings",
			good: []visit{{want: `[]`}},
			bad:  []visit{unauthorized, {path: "/v2/templates" + unknown + "/recordings", status: 404, want: noTemplate}}},
		{endpoint: "POST /v2/templates/{template_id}/recordings",
			good: []visit{{path: at("/recordings"), body: recordIn, want: recordings}},
			bad: []visit{unauthorized, {path: at("/recordings"), body: `{}`, status: 400, want: badBody("a JSON list is wanted")},
				{path: at("/recordings"), body: `[{},{}]`, status: 400, want: `{"code":400,"message":"Invalid body param","details":["Invalid body param: recordings has at most one configuration","Invalid body param: recordings: name and role are needed","Invalid body param: recordings: name and role are needed"]}`}}},
	}
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// keepsSecret checks that the template still has the secret that answers hide.
func (b *bench) keepsSecret(templateID, secret string) {
	b.t.Helper()
	t, err := b.Store.Template(b.t.Context(), b.seed.Workspace.ID, templateID)
	if err != nil || t.Policy.Settings.Recording.Upload.Credentials.SecretKey != secret {
		b.t.Errorf("%+v %v", t.Policy.Settings.Recording, err)
	}
}
