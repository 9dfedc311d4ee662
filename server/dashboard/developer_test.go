package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/account"
	"amphi/server/auth"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/server/webhook"
)

// page sends a form that is answered with a page at once.
func (k *desk) page(path string, pairs ...string) string {
	k.t.Helper()
	status, body, _ := k.do(http.MethodPost, path, values(pairs))
	if status != http.StatusOK {
		k.t.Fatalf("POST %s %v: %d", path, pairs, status)
	}
	return html.UnescapeString(body)
}

var copied = regexp.MustCompile(`data-copies="([^"]+)"`)

func TestKeysAndTokens(t *testing.T) {
	k := desked(t, account.Developer, nil)
	verifier := &auth.Verifier{Keys: k.store}
	old := k.seed.Key.AccessKey
	if page := k.get("/dashboard/developer/keys", old, k.seed.Workspace.ID); strings.Contains(page, k.seed.Key.Secret) {
		t.Error("the page has the secret of a key")
	}
	k.refused("/dashboard/developer/keys/"+old+"/disable", nil, "the last key")
	before, err := auth.MintManagement(k.seed.Key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}

	page := k.page("/dashboard/developer/keys/" + old + "/rotate")
	fresh := copied.FindAllStringSubmatch(page, 2)
	if len(fresh) != 2 {
		t.Fatal("no new key is shown")
	}
	made := store.AccessKey{AccessKey: fresh[0][1], Secret: fresh[1][1]}
	token, err := auth.MintManagement(made, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"the old key": before, "the new key": token} {
		if _, err := verifier.Management(t.Context(), token); err != nil {
			t.Errorf("a token of %s: %v", name, err)
		}
	}
	if page := k.get("/dashboard/developer/keys", ">ends<"); strings.Contains(page, made.Secret) {
		t.Error("the secret is shown twice")
	}
	k.post("/dashboard/developer/keys/" + old + "/disable")
	if _, err := verifier.Management(t.Context(), before); err == nil {
		t.Error("a token of a disabled key is good")
	}

	token = copied.FindStringSubmatch(k.page("/dashboard/developer/tokens/management", "life", "1h"))[1]
	if w, err := verifier.Management(t.Context(), token); err != nil || w != k.seed.Workspace.ID {
		t.Errorf("management token: %s, %v", w, err)
	}
	token = copied.FindStringSubmatch(k.page("/dashboard/developer/tokens/auth", "room", "main-stage", "role", policy.RoleBroadcaster, "user", "u-1"))[1]
	if g, err := verifier.App(t.Context(), token); err != nil || g.RoomID != k.seed.Room.ID || g.Role != policy.RoleBroadcaster || g.UserID != "u-1" {
		t.Errorf("auth token: %+v, %v", g, err)
	}
	k.refused("/dashboard/developer/tokens/auth", []string{"room", "nowhere", "role", "x"}, "no such room")
	k.refused("/dashboard/developer/tokens/auth", []string{"room", "main-stage", "role", "<king>"}, "no such role", "&lt;king&gt;")
}

func TestWebhooks(t *testing.T) {
	var takes atomic.Bool
	var got atomic.Pointer[http.Request]
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event struct{ Type string }
		if err := json.Unmarshal(body, &event); err != nil || event.Type != webhook.TestEvent {
			t.Errorf("body %q, %v", body, err)
		}
		got.Store(r)
		if !takes.Load() {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer receiver.Close()
	k := desked(t, account.Developer, func(c *Config) {
		c.Hooks = &webhook.Sender{Store: c.Store, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Timeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)}
	})
	const path = "/dashboard/developer/webhooks"
	k.get(path, "Nothing was sent", k.seed.Workspace.WebhookSecret)
	k.refused(path, []string{"url", "ftp://x"}, "http or https URL", `value="ftp://x"`)
	k.refused(path, []string{"url", receiver.URL, "headers", "no colon"}, "a colon", "headers-problem")
	k.refused(path, []string{"url", receiver.URL, "headers", "bad header: x"}, "is not a header", "headers-problem")
	k.post(path, "url", receiver.URL+"/hook?secret=1", "headers", "X-Mine: yes\n\n")
	k.get(path, "X-Mine: yes", "Send a test")

	k.refused(path+"/test", nil, "receiver answered 418")
	takes.Store(true)
	k.post(path + "/test")
	if r := got.Load(); r.Header.Get("X-Mine") != "yes" || r.Header.Get("Webhook-Signature") == "" {
		t.Errorf("headers: %v", r.Header)
	}
	k.post(path + "/secret")
	if page := k.get(path); strings.Contains(page, k.seed.Workspace.WebhookSecret) {
		t.Error("the secret is the old one")
	}

	held(t, k) // its events go to the outbox
	events, err := k.store.NextEvents(t.Context(), k.seed.Room.ID, 2)
	if err != nil || len(events) < 2 {
		t.Fatal(events, err)
	}
	err = k.store.Settle(t.Context(), store.Outcome{Seq: events[0].Seq, Now: store.Delivered, URL: receiver.URL + "/hook?secret=1", At: time.Now()},
		store.Outcome{Seq: events[1].Seq, Now: store.Dead, Reason: "<gone>", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if page := k.get(path, "session.open.success", ">delivered<", ">given up<", "&lt;gone&gt;"); strings.Contains(strings.SplitN(page, "<table", 2)[1], "secret=1") {
		t.Error("the log has the receiver's whole address")
	}
	if page := k.get(path + "?state=delivered"); strings.Contains(page, ">given up<") {
		t.Error("the filter does not filter")
	}
	k.post(path + "/replay")
	k.post(path+"/replay", "at", events[0].CreatedAt.Format(time.RFC3339Nano), "type", events[0].Type, "room", k.seed.Room.ID)
	replays, err := k.store.RunningReplays(t.Context())
	if err != nil || len(replays) != 2 || replays[0].Total+replays[1].Total != 2 {
		t.Errorf("replays: %+v, %v", replays, err)
	}
	k.refused(path+"/replay", []string{"at", "soon"}, "must be a time")
}

func TestExplorer(t *testing.T) {
	k := desked(t, account.Developer, nil)
	const path = "/dashboard/developer/api"
	page := k.get(path, "Choose an operation", "Get a room")
	if strings.Contains(page, "openapi.json") {
		t.Error("operations without a management token are offered")
	}
	link := func(summary string) string {
		t.Helper()
		m := regexp.MustCompile(`(?s)href="([^"]+)"[^>]*>\s*<span class="method[^>]*>[A-Z]+</span>\s*<span>` + summary).FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no operation %q", summary)
		}
		return html.UnescapeString(m[1])
	}
	get := link("Get a room<")
	k.get(get, k.seed.Room.ID, "curl &#39;", "Authorization: Bearer $TOKEN")
	if got := k.page(get, "path.room_id", k.seed.Room.ID); !strings.Contains(got, "200 OK") || !strings.Contains(got, `"name": "main-stage"`) {
		t.Error("the room is not answered")
	}
	if got := k.page(get, "path.room_id", "../templates"); !strings.Contains(got, "404 Not Found") {
		t.Error("a path that leads elsewhere")
	}
	k.refused(get, []string{"path.room_id", ""}, "cannot be empty")
	list := link("List rooms")
	if got := k.page(list, "query.limit", "x"); !strings.Contains(got, "400 Bad Request") || !strings.Contains(got, "/v2/rooms?limit=x") {
		t.Error("a bad query is not refused by the API")
	}
	make := link("Make a room")
	k.get(make, "max_duration_seconds")
	if got := k.page(make, "body", `{"name":"made-here"}`); !strings.Contains(got, "200 OK") || !strings.Contains(got, `-d '{"name":"made-here"}'`) {
		t.Error("no room was made")
	}
	k.refused(make, []string{"body", "{"}, "This is not JSON")
	if got := quoted("it's"); got != `'it'\''s'` {
		t.Error(got)
	}
}

func TestEventsUsageHealth(t *testing.T) {
	metrics := prometheus.NewRegistry()
	sockets := prometheus.NewGauge(prometheus.GaugeOpts{Name: "amphi_signal_sockets"})
	sockets.Set(7)
	metrics.MustRegister(sockets)
	k := desked(t, account.Developer, func(c *Config) {
		c.Metrics = metrics
		c.Health = func(context.Context) []Finding {
			return []Finding{{Check: "clock", Wrong: errors.New("it <stands>")}, {Check: "pages", Hint: "old"}, {Check: "database"}}
		}
	})
	k.get("/dashboard/developer/events", "No events")
	id := held(t, k)
	err := k.store.AddAnalytics(t.Context(), []store.AnalyticsEvent{{ID: "e", WorkspaceID: k.seed.Workspace.ID, RoomID: k.seed.Room.ID, SessionID: id,
		Type: "track.add.success", Data: []byte(`{"a":"<b>"}`), At: time.Now()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.get("/dashboard/developer/events", "track.add.success", "&lt;b&gt;", "main-stage")
	if page := k.get("/dashboard/developer/events?error=true&before=x"); strings.Contains(page, "&lt;b&gt;") {
		t.Error("the filter does not filter")
	}
	k.get("/dashboard/developer/usage", "Participant minutes", time.Now().UTC().Format("2 Jan 2006"), `class="bar-people"`)
	k.get("/dashboard/developer/health", "not run yet", "People connected", ">7<")
	k.post("/dashboard/developer/health")
	k.get("/dashboard/developer/health", "it &lt;stands&gt;", ">wrong<")
	if status, _, _ := desked(t, account.Viewer, nil).do(http.MethodGet, "/dashboard/developer/keys", nil); status != http.StatusForbidden {
		t.Errorf("keys for a viewer: %d", status)
	}
}
