package api

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"amphi/server/store"
)

func (a *API) webhookEndpoints() []endpoint {
	return described("Webhooks",
		managed("GET", "/v2/analytics/webhooks", "List webhooks that were sent, the newest first", a.listWebhooks),
		managed("POST", "/v2/analytics/webhooks/replay", "Send webhooks again", a.startReplay),
		managed("POST", "/v2/analytics/events/webhooks/replay", "An old path of the one above", a.startReplay),
		managed("GET", "/v2/analytics/webhooks/replay/{workflow_id}", "Get how a replay goes", a.getReplay),
	)
}

// Bounds of what can be asked of the past.
const (
	webhookAge     = 30 * 24 * time.Hour
	webhookSpan    = 14 * 24 * time.Hour
	webhookDefault = 24 * time.Hour // before now, when nothing is said
	maxEventNames  = 100
	webhookPage    = 50 // default
)

// timeRange fills in the defaults of a range of time and checks it.
func timeRange(from, to, now time.Time) (time.Time, time.Time, error) {
	if from.IsZero() {
		from = now.Add(-webhookDefault)
	}
	if to.IsZero() {
		to = now
	}
	switch {
	case from.Before(now.Add(-webhookAge)):
		return from, to, refuse(http.StatusBadRequest, "start_time must be within the last 30 days")
	case to.Before(from):
		return from, to, refuse(http.StatusBadRequest, "end_time must be after start_time")
	case to.After(from.Add(webhookSpan)):
		return from, to, refuse(http.StatusBadRequest, "end_time must be within 14 days after start_time")
	}
	return from, to, nil
}

// deliveryStates are the values of status. A webhook that is still being retried has failed so far.
var deliveryStates = map[string]store.Delivery{"": "", "all": "", "success": store.Delivered, "failed": store.Pending}

// historyQuery says which webhooks are listed.
type historyQuery struct {
	From   time.Time `query:"start_time"`
	To     time.Time `query:"end_time"`
	RoomID objectID  `query:"room_id"`
	Status string    `query:"status"` // all, failed, success
	Names  []string  `query:"event_names"`
	Limit  int       `query:"limit"`
	Page   int       `query:"page"` // from 1
}

func (q *historyQuery) check() error {
	if _, ok := deliveryStates[q.Status]; !ok {
		return badParam("query", "status must be one of all, failed, success")
	}
	if len(q.Names) > maxEventNames {
		return badParam("query", "more than %d event_names", maxEventNames)
	}
	if q.Limit == 0 {
		q.Limit = webhookPage
	}
	q.Limit = min(max(q.Limit, 1), maxPage)
	if q.Page == 0 {
		q.Page = 1
	}
	if q.Page < 1 || q.Page > math.MaxInt32/maxPage {
		return badParam("query", "page must be a whole number from 1")
	}
	return nil
}

// historyObject is a page of webhooks that were sent.
type historyObject struct {
	Events     []sentObject   `json:"events"` // never null
	Pagination pageObject     `json:"pagination"`
	Summary    historySummary `json:"summary"`
}

// sentObject is a webhook that was sent.
type sentObject struct {
	EventID   string      `json:"event_id"`
	EventName string      `json:"event_name"` // reporter.webhook.delivery.success or .failed
	RoomID    string      `json:"room_id"`
	Timestamp time.Time   `json:"event_timestamp"`
	Payload   sentPayload `json:"payload"`
}

type sentPayload struct {
	Data        sentData `json:"event_data"`
	URL         string   `json:"webhook_url"`
	Name        string   `json:"original_event_name"`
	ErrorReason string   `json:"error_reason,omitempty"`
}

// sentData is what of the data says whom the webhook is about.
type sentData struct {
	SessionID string `json:"session_id"`
	PeerID    string `json:"peer_id"`
	UserID    string `json:"user_id"`
}

type pageObject struct {
	Page    int  `json:"current_page"`
	Size    int  `json:"page_size"`
	Pages   int  `json:"total_pages"`
	Items   int  `json:"total_items"`
	HasNext bool `json:"has_next"`
	HasPrev bool `json:"has_prev"`
}

type historySummary struct {
	Events int `json:"total_events"`
}

func showSent(e store.PastEvent) sentObject {
	o := sentObject{EventID: e.ID, EventName: "reporter.webhook.delivery.success", RoomID: e.RoomID, Timestamp: e.CreatedAt,
		Payload: sentPayload{URL: e.URL, Name: e.Type}}
	var body struct{ Data sentData }
	if json.Unmarshal(e.Payload, &body) == nil { // we wrote it
		o.Payload.Data = body.Data
	}
	if e.State != store.Delivered {
		o.EventName, o.Payload.ErrorReason = "reporter.webhook.delivery.failed", e.Reason
	}
	return o
}

func (a *API) listWebhooks(r *http.Request, workspaceID string, in historyQuery) (historyObject, error) {
	var o historyObject
	from, to, err := timeRange(in.From, in.To, time.Now())
	if err != nil {
		return o, err
	}
	filter := store.HistoryFilter{From: from, To: to, RoomID: string(in.RoomID), Types: in.Names, State: deliveryStates[in.Status]}
	events, total, err := a.Store.WebhookHistory(r.Context(), workspaceID, filter, in.Limit, (in.Page-1)*in.Limit)
	if err != nil {
		return o, err
	}
	o.Events = make([]sentObject, len(events))
	for i, e := range events {
		o.Events[i] = showSent(e)
	}
	pages := (total + in.Limit - 1) / in.Limit
	o.Pagination = pageObject{Page: in.Page, Size: in.Limit, Pages: pages, Items: total, HasNext: in.Page < pages, HasPrev: in.Page > 1}
	o.Summary.Events = total
	return o, nil
}

// replayInput says which webhooks are sent again.
type replayInput struct {
	From   string   `json:"start_time"`
	To     string   `json:"end_time"`
	RoomID string   `json:"room_id"`
	Names  []string `json:"event_names"`
	Limit  *int     `json:"limit"`
	Offset int      `json:"offset"`
	Status string   `json:"status"` // failed when it is not given
}

func (in *replayInput) check() error {
	switch _, ok := deliveryStates[in.Status]; {
	case !ok:
		return badParam("body", "status must be one of all, failed, success")
	case in.RoomID != "" && !store.IsID(in.RoomID):
		return badParam("body", "room_id must be an id of 24 hexadecimal digits")
	case len(in.Names) > maxEventNames:
		return badParam("body", "more than %d event_names", maxEventNames)
	case in.Limit != nil && (*in.Limit < 1 || *in.Limit > store.MaxReplayEvents):
		return badParam("body", "limit must be 1 to %d", store.MaxReplayEvents)
	case in.Offset < 0 || in.Offset > math.MaxInt32:
		return badParam("body", "offset must not be negative")
	}
	return nil
}

// bodyTime reads an RFC 3339 time of a body; none is zero.
func bodyTime(name, v string) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return t, badParam("body", "%s must be a time such as 2024-01-24T08:12:50Z", name)
	}
	return t.UTC(), nil
}

// filter returns what was asked for, and the bounds of time with their defaults.
func (in replayInput) filter(now time.Time) (f store.ReplayFilter, from, to time.Time, err error) {
	f = store.ReplayFilter{Limit: store.MaxReplayEvents, Offset: in.Offset}
	f.RoomID, f.Types, f.State = in.RoomID, slices.Compact(slices.Sorted(slices.Values(in.Names))), store.Dead
	if in.Limit != nil {
		f.Limit = *in.Limit
	}
	if in.Status != "" && in.Status != "failed" {
		f.State = deliveryStates[in.Status]
	}
	if f.From, err = bodyTime("start_time", in.From); err == nil {
		f.To, err = bodyTime("end_time", in.To)
	}
	if err != nil {
		return f, from, to, err
	}
	from, to, err = timeRange(f.From, f.To, now)
	return f, from, to, err
}

// replayFilters is what a replay was asked for.
type replayFilters struct {
	From   *time.Time `json:"start_time"`
	To     *time.Time `json:"end_time"`
	RoomID string     `json:"room_id"`
	Types  []string   `json:"event_types"` // never null
}

func showFilters(f store.ReplayFilter) replayFilters {
	return replayFilters{From: maybe(f.From), To: maybe(f.To), RoomID: f.RoomID, Types: append([]string{}, f.Types...)}
}

// startedReplay answers a start.
type startedReplay struct {
	WorkflowID string        `json:"workflow_id"`
	Status     string        `json:"status"` // started, already_running
	Message    string        `json:"message"`
	Filters    replayFilters `json:"filters"`
}

func (a *API) startReplay(r *http.Request, workspaceID string, in replayInput) (startedReplay, error) {
	f, from, to, err := in.filter(time.Now())
	if err != nil {
		return startedReplay{}, err
	}
	replay, started, err := a.Store.StartReplay(r.Context(), workspaceID, f, from, to)
	if errors.Is(err, store.ErrTooMany) {
		return startedReplay{}, &Error{Code: http.StatusTooManyRequests, Message: "rate limit exceeded, retry after 45 seconds",
			Details: []string{"too many replays are running"}}
	}
	o := startedReplay{WorkflowID: replay.ID, Status: "started", Message: "replay started", Filters: showFilters(replay.Filter)}
	if !started {
		o.Status, o.Message = "already_running", "a replay with these filters is running"
	}
	return o, err
}

// replayObject is how a replay goes.
type replayObject struct {
	WorkflowID  string     `json:"workflow_id"`
	Status      string     `json:"status"` // Running, completed, completed_with_failures
	StartedAt   time.Time  `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Filters     struct {
		replayFilters
		Limit  int `json:"limit"`
		Offset int `json:"offset"`
	} `json:"filters"`
	Progress replayCounts  `json:"progress"`
	Result   *replayResult `json:"result"` // null while it runs
}

type replayCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

type replayResult struct {
	replayCounts
	FailedEvents []failedEvent `json:"failed_events"` // the first ones; never null
}

// failedEvent is one that could not be delivered this time either.
type failedEvent struct {
	EventID     string `json:"event_id"`
	Name        string `json:"event_name"`
	RoomID      string `json:"room_id"`
	ErrorReason string `json:"error_reason"`
}

func (a *API) getReplay(r *http.Request, workspaceID string, _ nothing) (replayObject, error) {
	var o replayObject
	replay, err := a.Store.Replay(r.Context(), workspaceID, r.PathValue("workflow_id"))
	if errors.Is(err, store.ErrNotFound) {
		return o, refuse(http.StatusNotFound, "workflow not found")
	}
	if err != nil {
		return o, err
	}
	o = replayObject{WorkflowID: replay.ID, Status: "Running", StartedAt: replay.StartedAt, CompletedAt: maybe(replay.FinishedAt),
		Progress: replayCounts{replay.Total, replay.Delivered, replay.Failed}}
	o.Filters.replayFilters, o.Filters.Limit, o.Filters.Offset = showFilters(replay.Filter), replay.Filter.Limit, replay.Filter.Offset
	if replay.FinishedAt.IsZero() {
		return o, nil
	}
	o.Status = "completed"
	if replay.Failed > 0 {
		o.Status = "completed_with_failures"
	}
	failures, err := a.Store.ReplayFailures(r.Context(), replay.ID, maxPage)
	o.Result = &replayResult{replayCounts: o.Progress, FailedEvents: make([]failedEvent, len(failures))}
	for i, e := range failures {
		o.Result.FailedEvents[i] = failedEvent{EventID: e.ID, Name: e.Type, RoomID: e.RoomID, ErrorReason: e.Reason}
	}
	return o, err
}
