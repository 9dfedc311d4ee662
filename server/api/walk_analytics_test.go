package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/store"
)

// analysed gives the seeded room a session with a peer, 12 events and two reports.
func analysed(b *bench) (sessionID string) {
	b.t.Helper()
	ctx, sessionID, at := b.t.Context(), store.NewID(), time.Now()
	_, err := b.Store.OpenSession(ctx, sessionID, b.seed.Room.ID, at)
	for _, id := range []string{"p1", "silent"} {
		if err == nil {
			err = b.Store.PeerJoined(ctx, store.Peer{ID: id, SessionID: sessionID, Name: "Ada", Role: "broadcaster", UserID: "u-17", JoinedAt: at}, "")
		}
	}
	var events []store.AnalyticsEvent
	for i := range 12 {
		e := store.AnalyticsEvent{ID: "2e8fc83e-6aef-4ca8-9124-bedc253f3529", WorkspaceID: b.seed.Workspace.ID, RoomID: b.seed.Room.ID, SessionID: sessionID,
			PeerID: "p1", UserID: "u-17", Type: "track.add.success", Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i)), At: at}
		if i == 11 {
			e.Type, e.Error = "client.publish.failed", true
		}
		events = append(events, e)
	}
	var reports []store.PeerReport
	for _, text := range []string{`{"sent":true,"tracks":[{"id":"v","kind":"video","rid":"q","samples":[{"at":1000,"b":5,"f":30,"r":7,"l":1,"p":100}]},{"id":"a","kind":"audio","samples":[{"at":1000,"b":6,"j":2}]}]}`,
		`{"sent":false,"tracks":[{"id":"w","kind":"video","screen":true,"samples":[{"at":2000,"f":15,"z":1}]},{"id":"x","kind":"audio","samples":[{"at":2000,"b":9,"c":3,"l":1,"p":1}]}]}`} {
		reports = append(reports, store.PeerReport{WorkspaceID: b.seed.Workspace.ID, RoomID: b.seed.Room.ID, SessionID: sessionID, PeerID: "p1", Report: json.RawMessage(text), At: at})
	}
	if err == nil {
		err = b.Store.AddAnalytics(ctx, events, reports)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return sessionID
}

func walkAnalytics(b *bench) []row {
	var session string
	of := func(path string) func() string {
		return func() string {
			return strings.NewReplacer("SESSION", session, "ROOM", b.seed.Room.ID).Replace("/v2/analytics/" + path)
		}
	}
	other := b.secondWorkspace()
	event := func(n int, kind string) string {
		return fmt.Sprintf(`{"version":"2.0","id":"UUID","timestamp":TIME,"type":"%s","data":{"n":%d}}`, kind, n)
	}
	failed := event(11, "client.publish.failed")
	var tracks []string
	for n := 10; n >= 0; n-- {
		tracks = append(tracks, event(n, "track.add.success"))
	}
	const types = "track.add.success, track.update.success, track.remove.success, beam.recording.success, client.connect.failed, client.join.failed, client.publish.failed, client.subscribe.failed, client.disconnected"
	return []row{
		{endpoint: "GET /v2/analytics/events",
			prepare: func() { session = analysed(b) },
			good: []visit{
				{late: of("events?room_id=ROOM&session_id=SESSION&limit=50"), want: `{"limit":12,"total":12,"next":"","events":[` + failed + "," + strings.Join(tracks, ",") + `]}`},
				{late: of("events?room_id=ROOM&session_id=SESSION&error=true"), want: `{"limit":1,"total":1,"next":"","events":[` + failed + `]}`},
				{late: of("events?room_id=ROOM&session_id=SESSION&type=track.add.success&type=client.publish.failed&error=false&peer_id=p1&user_id=u-17&limit=100"), want: `{"limit":11,"total":11,"next":"","events":[` + strings.Join(tracks, ",") + `]}`},
				{late: of("events?room_id=ROOM&beam_id=65b0c1d2e3f405162738495a"), want: `{"limit":0,"total":0,"next":"","events":[]}`}},
			bad: []visit{unauthorized, {path: "/v2/analytics/events", status: 400, want: badQuery("room_id is missing")}, {late: of("events?room_id=ROOM&type=x"), status: 400, want: badQuery("type must be one of " + types)},
				{late: of("events?room_id=ROOM&error=maybe"), status: 400, want: badQuery("error must be true or false")}, {late: of("events?room_id=ROOM&start=x"), status: 400, want: badQuery("start must be the next of the page before, for a day")},
				{late: of("events?room_id=ROOM&limit=x"), status: 400, want: badQuery("limit must be a whole number")},
				{path: "/v2/analytics/events?room_id=" + unknown[1:], status: 404, want: noRoom}, {token: other, late: of("events?room_id=ROOM"), status: 404, want: noRoom}}},
		{endpoint: "GET /v2/analytics/peer-stats",
			good: []visit{
				{late: of("peer-stats?peer_id=p1&session_id=SESSION"), want: `{"peer_id":"p1","session_id":"ID","room_id":"ROOM","publisher":{"video":[{"track_id":"v","type":"regular","rid":"l","time_series":{"timestamps":[1000],"bitrate":[5],"fps":[30],"packet_loss_percent":[1],"rtt_ms":[7]}}],` +
					`"audio":[{"track_id":"a","time_series":{"timestamps":[1000],"bitrate":[6],"packet_loss_percent":[0],"rtt_ms":[0],"jitter_ms":[2]}}]},` +
					`"subscriber":{"video":[{"track_id":"w","type":"screen","time_series":{"timestamps":[2000],"bitrate":[null],"fps":[15],"freeze_count":[1]}}],` +
					`"audio":[{"track_id":"x","time_series":{"timestamps":[2000],"bitrate":[9],"concealed_samples":[3],"packet_loss_percent":[50]}}]}}`},
				{late: of("peer-stats?peer_id=silent&session_id=SESSION"), want: `{"peer_id":"silent","session_id":"ID","room_id":"ROOM","publisher":{"video":[],"audio":[]},"subscriber":{"video":[],"audio":[]}}`}},
			bad: []visit{unauthorized, {path: "/v2/analytics/peer-stats?session_id=" + unknown[1:], status: 400, want: badQuery("peer_id is missing")}, {path: "/v2/analytics/peer-stats?peer_id=p1", status: 400, want: badQuery("session_id is missing")},
				{path: "/v2/analytics/peer-stats?peer_id=p1&session_id=x", status: 400, want: badQuery("session_id must be an id of 24 hexadecimal digits")},
				{path: "/v2/analytics/peer-stats?peer_id=p1&session_id=" + unknown[1:], status: 404, want: noSession}, {token: other, late: of("peer-stats?peer_id=p1&session_id=SESSION"), status: 404, want: noSession},
				{late: of("peer-stats?peer_id=p2&session_id=SESSION"), status: 404, want: `{"code":404,"message":"peer not found"}`}}},
	}
}

// told is a Reports that keeps what it hears.
type told struct{ heard []string }

func (s *told) Reported(i room.Info, p room.Stay, r protocol.Analytics) {
	s.heard = append(s.heard, fmt.Sprintf("%s %s %q %s %s %s %s: %s %s %d", i.RoomID, i.CustomerID, i.SessionID, p.PeerID, p.UserID, p.Role, p.Agent, r.Name, r.Info, r.Timestamp))
}

// TestReport: what a client says over HTTP is kept if its token is good, and never refused.
func TestReport(t *testing.T) {
	s := &told{}
	b := newBench(t, func(a *API) { a.Reports = s })
	session, foreign := analysed(b), store.NewID()
	token := b.app("broadcaster", time.Hour)
	body := func(event, session string) string {
		return `{"event":"` + event + `","payload":{"error_code":7},"event_id":"1","peer":{"peer_id":"p9","session_id":"` + session + `","user_name":"Ada"},"timestamp":5,"device_id":"d"}`
	}
	for _, send := range []struct{ token, body string }{
		{token, body("join.failed", session)}, {token, body("join.failed", foreign)},
		{"", body("join.failed", session)}, {b.admin, body("join.failed", session)}, {token, "x"}, {token, body("join.failed", "x")},
		{token, body("publisher.stats", session)}, {b.app("broadcaster", -time.Hour), body("join.failed", session)},
	} {
		b.want(200, "{}", "POST", "/v2/client/report", send.token, send.body, "user_agent_v2", "sdk:web", "Content-Type", "application/json")
	}
	want := []string{
		fmt.Sprintf(`%s %s %q p9 u broadcaster sdk:web: join.failed {"error_code":7} 5`, b.seed.Room.ID, b.seed.Workspace.ID, session),
		fmt.Sprintf(`%s %s "" p9 u broadcaster sdk:web: join.failed {"error_code":7} 5`, b.seed.Room.ID, b.seed.Workspace.ID),
	}
	if !reflect.DeepEqual(s.heard, want) {
		t.Errorf("got  %q\nwant %q", s.heard, want)
	}
}

// TestEventPages: a list goes on where it was, and does not change while it is read.
func TestEventPages(t *testing.T) {
	b := newBench(t, nil)
	analysed(b)
	var seen []float64
	start := ""
	for range 10 {
		var page struct {
			Limit, Total int
			Next         string
			Events       []struct{ Data struct{ N float64 } }
		}
		body := b.raw("GET", "/v2/analytics/events?limit=5&room_id="+b.seed.Room.ID+"&start="+start, "")
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		if page.Total != 12 || page.Limit != len(page.Events) {
			t.Errorf("%s", body)
		}
		for _, e := range page.Events {
			seen = append(seen, e.Data.N)
		}
		if start = page.Next; start == "" {
			break
		}
		analysed(b) // what happens meanwhile
	}
	for i, n := range seen {
		if n != float64(11-i) {
			t.Fatalf("%v", seen)
		}
	}
	if len(seen) != 12 {
		t.Errorf("%v", seen)
	}
	now := time.Now()
	if p, ok := parseBookmark(bookmark{5, 3, now.Add(time.Hour).Unix()}.String(), now); !ok || p.newest != 5 || p.last != 3 {
		t.Errorf("%+v %v", p, ok)
	}
	if _, ok := parseBookmark(bookmark{5, 3, now.Add(-time.Hour).Unix()}.String(), now); ok {
		t.Error("an old bookmark")
	}
}

// FuzzBookmark: whatever a client sends as start, reading it does not fail badly.
func FuzzBookmark(f *testing.F) {
	f.Add(bookmark{1, 2, 3}.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := parseBookmark(s, time.Unix(0, 0)); ok && (p.newest <= 0 || p.last <= 0 || p.expires <= 0) {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
