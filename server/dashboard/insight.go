package dashboard

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

const (
	usageDays    = 30
	checkTimeout = time.Minute
)

// Finding is what a check of the server says: nothing or something to know when all is well, a hint when it may matter,
// or what is wrong.
type Finding struct {
	Check string
	Info  string
	Hint  string
	Wrong error
}

func (f Finding) show() dash.Finding {
	switch {
	case f.Wrong != nil:
		return dash.Finding{Name: f.Check, Kind: dash.Bad, Text: f.Wrong.Error()}
	case f.Hint != "":
		return dash.Finding{Name: f.Check, Kind: dash.Warn, Text: f.Hint}
	}
	return dash.Finding{Name: f.Check, Kind: dash.Good, Text: f.Info}
}

// checkup is what the checks of the server said last. They take seconds, so that they are not part of a page.
type checkup struct {
	running sync.Mutex // one at a time

	mu       sync.Mutex
	findings []dash.Finding
	at       time.Time
}

func (d *dashboard) insight() {
	d.handle("GET /dashboard/developer/events", account.Developer, (*visit).events)
	d.handle("GET /dashboard/developer/usage", account.Developer, (*visit).usage)
	d.handle("GET /dashboard/developer/health", account.Developer, (*visit).health)
	d.handle("POST /dashboard/developer/health", account.Developer, (*visit).checkHealth)
}

func (v *visit) events() error {
	p := dash.EventsPage{Filter: dash.Form{Values: v.r.URL.Query()}}
	roomID, ok, err := v.roomByText(v.query("room"))
	if err != nil {
		return err
	}
	if ok && roomID == "" {
		sessions, err := v.Store.Sessions(v.ctx(), v.Workspace.ID, store.SessionFilter{}, store.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(sessions) > 0 {
			roomID = sessions[0].RoomID
		}
	}
	if roomID != "" {
		if err := v.roomEvents(&p, roomID); err != nil {
			return err
		}
	}
	return v.page("Events", dash.PlaceDeveloper, dash.DeveloperEvents(p))
}

func (v *visit) roomEvents(p *dash.EventsPage, roomID string) error {
	newest, err := v.Store.NewestAnalytics(v.ctx())
	if err != nil {
		return err
	}
	filter := store.AnalyticsFilter{RoomID: roomID, Newest: newest}
	if t := v.query("type"); t != "" && len(t) <= 100 {
		filter.Types = []string{t}
	}
	if v.query("error") == "true" {
		wrong := true
		filter.Error = &wrong
	}
	before, _ := strconv.ParseInt(v.query("before"), 10, 64) // what is no number is the first page
	events, _, err := v.Store.AnalyticsEvents(v.ctx(), v.Workspace.ID, filter, max(before, 0), pageSize+1)
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	if len(events) > pageSize {
		events = events[:pageSize]
		q.Set("before", strconv.FormatInt(events[pageSize-1].Seq, 10))
		p.Pages.Older = v.r.URL.Path + "?" + q.Encode()
	}
	if before > 0 {
		q.Del("before")
		p.Pages.Newer = v.r.URL.Path + "?" + q.Encode()
	}
	for _, e := range events {
		p.Events = append(p.Events, dash.EventRow{Type: e.Type, Peer: e.PeerID, At: e.At, Error: e.Error, Data: indented(e.Data)})
	}
	names, err := v.Store.RoomNames(v.ctx(), v.Workspace.ID, []string{roomID})
	p.Room = names[roomID]
	return err
}

func (v *visit) usage() error {
	days, err := v.Store.Usage(v.ctx(), v.Workspace.ID, time.Now(), usageDays)
	if err != nil {
		return err
	}
	var p dash.UsagePage
	for _, d := range days {
		p.Days = append(p.Days, dash.UsageDay(d))
	}
	return v.page("Usage", dash.PlaceDeveloper, dash.DeveloperUsage(p))
}

func (v *visit) health() error {
	p := dash.HealthPage{Can: v.Health != nil}
	v.checks.mu.Lock()
	p.Findings, p.At = v.checks.findings, v.checks.at
	v.checks.mu.Unlock()
	if v.Metrics != nil {
		families, err := v.Metrics.Gather()
		if err != nil && len(families) == 0 {
			return err
		}
		p.Figures = figures(families)
	}
	return v.page("Health", dash.PlaceDeveloper, dash.DeveloperHealth(p))
}

func (v *visit) checkHealth() error {
	const page = "/dashboard/developer/health"
	if v.Health == nil {
		return errNoPage
	}
	if !v.checks.running.TryLock() {
		return v.done(page, "The checks are running already.")
	}
	defer v.checks.running.Unlock()
	ctx, cancel := context.WithTimeout(v.ctx(), checkTimeout)
	defer cancel()
	var findings []dash.Finding
	for _, f := range v.Health(ctx) {
		findings = append(findings, f.show())
	}
	v.checks.mu.Lock()
	v.checks.findings, v.checks.at = findings, time.Now()
	v.checks.mu.Unlock()
	return v.done(page, "The checks were run.")
}

// glance is what of the metrics is shown, and how.
var glance = []struct {
	label, metric string
	show          func(float64) string
}{
	{"People connected", "amphi_signal_sockets", whole},
	{"Live streams", "amphi_live_streams", whole},
	{"Published tracks", "amphi_sfu_tracks", whole},
	{"Subscriptions", "amphi_sfu_subscriptions", whole},
	{"Media received", "amphi_sfu_bytes_in_total", megabytes},
	{"Media sent", "amphi_sfu_bytes_out_total", megabytes},
	{"Webhooks delivered", "amphi_webhook_delivered_total", whole},
	{"Webhook failures", "amphi_webhook_failed_total", whole},
	{"Requests refused (rate)", "amphi_http_rate_limited_total", whole},
	{"Memory", "process_resident_memory_bytes", megabytes},
	{"Processor time", "process_cpu_seconds_total", func(s float64) string { return dash.Duration(time.Duration(s * float64(time.Second))) }},
	{"Goroutines", "go_goroutines", whole},
}

func whole(n float64) string     { return strconv.FormatInt(int64(n), 10) }
func megabytes(n float64) string { return dash.Bytes(int64(n)) }

// figures are the metrics of glance, each the sum of its series.
func figures(families []*dto.MetricFamily) []dash.Figure {
	sums := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sums[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	var list []dash.Figure
	for _, g := range glance {
		if n, ok := sums[g.metric]; ok {
			list = append(list, dash.Figure{Label: g.label, Value: g.show(n)})
		}
	}
	if n, seconds := requests(families); n > 0 {
		list = append(list, dash.Figure{Label: "API requests", Value: whole(float64(n))},
			dash.Figure{Label: "Mean answer", Value: fmt.Sprintf("%.1f ms", 1000*seconds/float64(n))})
	}
	return list
}

// requests are the number of answered requests of the API, and the seconds that they took together.
func requests(families []*dto.MetricFamily) (n uint64, seconds float64) {
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), "_http_request_seconds") {
			for _, m := range f.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
				seconds += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return n, seconds
}
