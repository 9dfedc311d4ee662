package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"amphi/server/store"
)

// webhooked gives the seeded room three events that were sent: one delivered, one dead, one still failing.
func webhooked(b *bench) {
	b.t.Helper()
	ctx, must := b.t.Context(), func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	must(b.Store.SetWebhook(ctx, b.seed.Workspace.ID, store.Webhook{URL: "https://app.example/hook"}))
	id, at := store.NewID(), time.Now()
	_, err := b.Store.OpenSession(ctx, id, b.seed.Room.ID, at)
	must(err)
	must(b.Store.PeerJoined(ctx, store.Peer{ID: "p1", SessionID: id, Name: "Ada", Role: "broadcaster", UserID: "u-17", JoinedAt: at}, ""))
	must(b.Store.CloseSession(ctx, id, at))
	must(b.Store.SetWebhook(ctx, b.seed.Workspace.ID, store.Webhook{}))
	events, err := b.Store.NextEvents(ctx, b.seed.Room.ID, 3)
	must(err)
	for i, now := range []store.Delivery{store.Delivered, store.Dead, store.Pending} {
		o := store.Outcome{Seq: events[i].Seq, Now: now, URL: "https://app.example/hook", At: at, Next: at.Add(time.Hour)}
		if now != store.Delivered {
			o.Reason = "receiver answered 500 Internal Server Error"
		}
		must(b.Store.Settle(ctx, o))
	}
}

func walkWebhooks(b *bench) []row {
	const (
		open  = `{"event_id":"UUID","event_name":"reporter.webhook.delivery.success","room_id":"ROOM","event_timestamp":TIME,"payload":{"event_data":{"session_id":"ID","peer_id":"","user_id":""},"webhook_url":"https://app.example/hook","original_event_name":"session.open.success"}}`
		fail  = `{"event_id":"UUID","event_name":"reporter.webhook.delivery.failed","room_id":"ROOM","event_timestamp":TIME,"payload":{"event_data":{"session_id":"ID","peer_id":"p1","user_id":"u-17"},"webhook_url":"https://app.example/hook","original_event_name":"%s","error_reason":"receiver answered 500 Internal Server Error"}}`
		empty = `{"events":[],"pagination":{"current_page":1,"page_size":50,"total_pages":0,"total_items":0,"has_next":false,"has_prev":false},"summary":{"total_events":0}}`
	)
	join, leave := fmt.Sprintf(fail, "peer.join.success"), fmt.Sprintf(fail, "peer.leave.success")
	page := func(events string, page, size, pages, items int, next, prev bool) string {
		return fmt.Sprintf(`{"events":[%s],"pagination":{"current_page":%d,"page_size":%d,"total_pages":%d,"total_items":%d,"has_next":%t,"has_prev":%t},"summary":{"total_events":%[5]d}}`,
			events, page, size, pages, items, next, prev)
	}
	at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
	day := 24 * time.Hour
	query := func(pairs ...string) string {
		q := url.Values{"room_id": {b.seed.Room.ID}}
		for i := 0; i < len(pairs); i += 2 {
			q.Add(pairs[i], pairs[i+1])
		}
		return "/v2/analytics/webhooks?" + q.Encode()
	}
	tooOld := `{"code":400,"message":"start_time must be within the last 30 days"}`
	tooLong := `{"code":400,"message":"end_time must be within 14 days after start_time"}`
	backwards := `{"code":400,"message":"end_time must be after start_time"}`
	started := func(room, types, status string) string {
		message := map[string]string{"started": "replay started", "already_running": "a replay with these filters is running"}[status]
		return `{"workflow_id":"ID","status":"` + status + `","message":"` + message + `","filters":{"start_time":null,"end_time":null,"room_id":"` + room + `","event_types":` + types + `}}`
	}
	body := func(more string) string { return `{"room_id":"` + b.seed.Room.ID + `"` + more + `}` }
	var replay string
	other := b.secondWorkspace()
	badReplays := []visit{unauthorized, {body: "x", status: 400, want: badJSON}, {body: `{"start_time":"` + at(31*day) + `"}`, status: 400, want: tooOld},
		{body: `{"start_time":"` + at(20*day) + `"}`, status: 400, want: tooLong}, {body: `{"end_time":"` + at(2*day) + `"}`, status: 400, want: backwards},
		{body: `{"start_time":"yesterday"}`, status: 400, want: badBody("start_time must be a time such as 2024-01-24T08:12:50Z")},
		{body: `{"limit":50001}`, status: 400, want: badBody("limit must be 1 to 50000")}, {body: `{"offset":-1}`, status: 400, want: badBody("offset must not be negative")},
		{body: `{"status":"lost"}`, status: 400, want: badBody("status must be one of all, failed, success")},
		{body: `{"room_id":"x"}`, status: 400, want: badBody("room_id must be an id of 24 hexadecimal digits")},
		{body: `{"event_names":"x"}`, status: 400, want: badBody("event_names must be a list")}}
	return []row{
		{endpoint: "GET /v2/analytics/webhooks",
			prepare: func() { webhooked(b) },
			good: []visit{{path: query("event_names", "session.open.success", "status", "success"), want: page(open, 1, 50, 1, 1, false, false)},
				{path: query("status", "failed"), want: page(leave+","+join, 1, 50, 1, 2, false, false)},
				{path: query("limit", "1", "page", "2", "start_time", at(time.Hour), "end_time", at(-time.Minute)), want: page(join, 2, 1, 3, 3, true, true)},
				{path: query("limit", "1", "page", "9", "status", "all"), want: page("", 9, 1, 3, 3, false, true)},
				{token: other, want: empty}},
			bad: []visit{unauthorized, {path: query("status", "lost"), status: 400, want: badQuery("status must be one of all, failed, success")},
				{path: query("page", "-1"), status: 400, want: badQuery("page must be a whole number from 1")}, {path: query("limit", "x"), status: 400, want: badQuery("limit must be a whole number")},
				{path: query("start_time", at(31*day)), status: 400, want: tooOld}, {path: query("start_time", at(20*day)), status: 400, want: tooLong},
				{path: query("end_time", at(2*day)), status: 400, want: backwards}, {path: query("start_time", "x"), status: 400, want: badQuery("start_time must be a time such as 2024-01-24T08:12:50Z")}}},
		{endpoint: "POST /v2/analytics/webhooks/replay",
			good: []visit{{body: body(""), want: started("ROOM", "[]", "started")}, {body: body(""), want: started("ROOM", "[]", "already_running")},
				{body: body(`,"event_names":["b","a","b"],"limit":10,"offset":0,"status":"all"`), want: started("ROOM", `["a","b"]`, "started")}},
			bad: badReplays},
		{endpoint: "POST /v2/analytics/events/webhooks/replay",
			good: []visit{{body: body(`,"status":"failed"`), want: started("ROOM", "[]", "already_running")}},
			bad:  badReplays},
		{endpoint: "GET /v2/analytics/webhooks/replay/{workflow_id}",
			prepare: func() { replay = b.field("workflow_id", "POST", "/v2/analytics/webhooks/replay", body("")) },
			good: []visit{
				{late: func() string { return "/v2/analytics/webhooks/replay/" + replay },
					want: `{"workflow_id":"ID","status":"Running","started_at":TIME,"completed_at":null,"filters":{"start_time":null,"end_time":null,"room_id":"ROOM","event_types":[],"limit":50000,"offset":0},"progress":{"total":1,"completed":0,"failed":0},"result":null}`},
				{late: func() string { b.finishReplay(replay); return "/v2/analytics/webhooks/replay/" + replay },
					want: `{"workflow_id":"ID","status":"completed_with_failures","started_at":TIME,"completed_at":TIME,"filters":{"start_time":null,"end_time":null,"room_id":"ROOM","event_types":[],"limit":50000,"offset":0},"progress":{"total":1,"completed":0,"failed":1},` +
						`"result":{"total":1,"completed":0,"failed":1,"failed_events":[{"event_id":"UUID","event_name":"peer.join.success","room_id":"ROOM","error_reason":"receiver answered 410 Gone"}]}}`}},
			bad: []visit{unauthorized, {path: "/v2/analytics/webhooks/replay/x", status: 404, want: `{"code":404,"message":"workflow not found"}`},
				{token: other, late: func() string { return "/v2/analytics/webhooks/replay/" + replay }, status: 404, want: `{"code":404,"message":"workflow not found"}`}}},
	}
}

// finishReplay does what the sender does, with a receiver that is gone.
func (b *bench) finishReplay(id string) {
	b.t.Helper()
	e, ok, err := b.Store.NextReplayed(b.t.Context(), id)
	if err == nil && ok {
		err = b.Store.SettleReplayed(b.t.Context(), id, e.Seq, "https://app.example/hook", "receiver answered 410 Gone")
	}
	if err == nil {
		err = b.Store.FinishReplay(b.t.Context(), id, time.Now())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestEndOfNothingIsTold: a room that has no session cannot be ended, and the webhook says so.
func TestEndOfNothingIsTold(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Store.SetWebhook(t.Context(), b.seed.Workspace.ID, store.Webhook{URL: "https://app.example/hook"}); err != nil {
		t.Fatal(err)
	}
	b.want(404, noSession, "POST", "/v2/active-rooms/"+b.seed.Room.ID+"/end-room", b.admin, `{"reason":"over"}`)
	events, err := b.Store.NextEvents(t.Context(), b.seed.Room.ID, 10)
	if err != nil || len(events) != 1 || events[0].Type != "room.end.failure" || !strings.Contains(string(events[0].Payload), `"source":"api","session_started_at":"0001-01-01T00:00:00Z","error_code":404,"error_message":"session not found"`) {
		t.Errorf("%v %v", events, err)
	}
}

// TestTooManyReplays: each is a stream of requests to somebody else's server.
func TestTooManyReplays(t *testing.T) {
	b := newBench(t, nil)
	webhooked(b)
	for i := range 20 {
		resp, body := b.call("POST", "/v2/analytics/webhooks/replay", b.admin, fmt.Sprintf(`{"limit":%d}`, i+1), "Content-Type", "application/json")
		if resp.StatusCode == 429 {
			if i < 4 || !strings.Contains(body, "too many replays are running") {
				t.Errorf("after %d: %s", i, body)
			}
			return
		}
	}
	t.Error("20 replays run at once")
}
