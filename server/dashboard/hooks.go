package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/server/webhook"
	"amphi/templates/dash"
)

const (
	hookOverlap = 24 * time.Hour      // that a secret which was replaced signs for
	hookPast    = 14 * 24 * time.Hour // that the log and replays reach back
	mostPages   = 1000                // of the log
)

func (d *dashboard) hooks() {
	d.handle("GET /dashboard/developer/webhooks", account.Developer, (*visit).showHooks)
	d.handle("POST /dashboard/developer/webhooks", account.Developer, (*visit).setHook)
	d.handle("POST /dashboard/developer/webhooks/secret", account.Developer, (*visit).rotateHookSecret)
	d.handle("POST /dashboard/developer/webhooks/test", account.Developer, (*visit).testHook)
	d.handle("POST /dashboard/developer/webhooks/replay", account.Developer, (*visit).replayHooks)
}

func (v *visit) showHooks() error {
	hook := v.Workspace.Webhook
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(hook.Headers)) {
		lines = append(lines, name+": "+hook.Headers[name])
	}
	return v.drawHooks(http.StatusOK, dash.Filled("url", hook.URL, "headers", strings.Join(lines, "\n")), "")
}

func (v *visit) drawHooks(status int, form dash.Form, notice string) error {
	p := dash.HooksPage{Form: form, Notice: notice, Secret: v.Workspace.WebhookSecret, Set: v.Workspace.Webhook.URL != "", Filter: dash.Filled("state", v.query("state"))}
	page, _ := strconv.Atoi(v.query("page")) // what is no number is the first page
	page = min(max(page, 0), mostPages)
	filter := store.HistoryFilter{From: time.Now().Add(-hookPast)}
	if state := store.Delivery(v.query("state")); state == store.Delivered || state == store.Pending {
		filter.State = state
	}
	events, total, err := v.Store.WebhookHistory(v.ctx(), v.Workspace.ID, filter, pageSize, page*pageSize)
	if err != nil {
		return err
	}
	for _, e := range events {
		p.Log = append(p.Log, dash.HookRow{ID: e.ID, Type: e.Type, RoomID: e.RoomID, State: string(e.State), Tries: e.Attempts, URL: hostOf(e.URL),
			Answer: e.Reason, At: e.CreatedAt, Payload: indented(e.Payload)})
	}
	link := func(page int) string {
		return "/dashboard/developer/webhooks?" + url.Values{"state": {v.query("state")}, "page": {strconv.Itoa(page)}}.Encode()
	}
	if page > 0 {
		p.Pages.Newer = link(0)
	}
	if (page+1)*pageSize < total {
		p.Pages.Older = link(page + 1)
	}
	return v.pageStatus(status, "Webhooks", dash.PlaceDeveloper, dash.DeveloperHooks(p))
}

// hostOf is the host of an address, whose rest may be a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// maxShown bounds how much of a JSON text is drawn.
const maxShown = 2 << 10

func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		b.Reset()
		b.Write(text)
	}
	shown := b.String()
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "\n…"
	}
	return shown
}

func (v *visit) setHook() error {
	form := v.form()
	hook := store.Webhook{URL: form.Get("url"), Headers: make(map[string]string)}
	for line := range strings.Lines(form.Get("headers")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			form.Refuse("headers", "Each line is a name, a colon, and a value.")
		}
		hook.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	if hook.URL != "" {
		if err := webhook.Check(hook); err != nil {
			field := "url"
			if strings.HasPrefix(err.Error(), "headers") {
				field = "headers"
			}
			form.Refuse(field, strings.ToUpper(err.Error()[:1])+err.Error()[1:]+".")
		}
	}
	if !form.Good() {
		return v.drawHooks(http.StatusUnprocessableEntity, form, "")
	}
	if err := v.Store.SetWebhook(v.ctx(), v.Workspace.ID, hook); err != nil {
		return err
	}
	v.audit("webhook.change", hostOf(hook.URL))
	return v.done("/dashboard/developer/webhooks", "Saved.")
}

func (v *visit) rotateHookSecret() error {
	if _, err := v.Store.ReplaceWebhookSecret(v.ctx(), v.Workspace.ID, hookOverlap); err != nil {
		return err
	}
	v.audit("webhook.secret", "")
	return v.done("/dashboard/developer/webhooks", "There is a new secret. The old one signs beside it for 24 hours.")
}

func (v *visit) testHook() error {
	to, err := v.Store.WorkspaceReceiver(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	if to.URL == "" || v.Hooks == nil {
		return v.done("/dashboard/developer/webhooks", "There is nowhere to send to.")
	}
	took, err := v.Hooks.Try(v.ctx(), v.Workspace, to)
	v.audit("webhook.test", hostOf(to.URL))
	if err != nil {
		form := dash.Filled("url", to.URL)
		return v.drawHooks(http.StatusUnprocessableEntity, form, fmt.Sprintf("The test was not taken: %v.", err))
	}
	return v.done("/dashboard/developer/webhooks", fmt.Sprintf("The test arrived: the receiver answered 200 within %d ms.", took.Milliseconds()))
}

// replayHooks sends again what failed, or the one event that the form names.
func (v *visit) replayHooks() error {
	form := v.form()
	in := map[string]any{"status": "failed", "start_time": time.Now().Add(-hookPast + time.Hour).UTC().Format(time.RFC3339)}
	if at := form.Get("at"); at != "" {
		in = map[string]any{"status": "all", "start_time": at, "end_time": at, "room_id": form.Get("room"), "event_names": []string{form.Get("type")}}
	}
	err := v.call("POST", "/v2/analytics/webhooks/replay", in, nil)
	if r := refused(err); r != nil {
		return v.drawHooks(http.StatusUnprocessableEntity, dash.Filled("url", v.Workspace.Webhook.URL), r.text()+".")
	}
	if err != nil {
		return err
	}
	v.audit("webhook.replay", form.Get("type"))
	return v.done("/dashboard/developer/webhooks", "It is on its way again. Load the page anew to see how it went.")
}
