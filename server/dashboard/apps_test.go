package dashboard

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"amphi/server/account"
	"amphi/server/api"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/templates"
)

// withApps gives a lab what the pages of apps need.
func withApps(l *lab, parts AppParts) *lab {
	parts.ReadTemplate, parts.ShowTemplate = api.ReadTemplate, api.ShowTemplate
	l.Handler = New(Config{
		Log: slog.New(slog.NewTextHandler(&l.log, nil)), Store: l.db, Accounts: l.accounts,
		Assets:     func(name string) templates.Asset { return templates.Asset{URL: "/static/" + name} },
		ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddrPort(r.RemoteAddr).Addr() },
		AppParts:   parts,
	})
	return l
}

const markup = `"><img src=x onerror=alert(1)>`

func (l *lab) appOf(subdomain string) store.Template {
	l.Helper()
	t, err := l.db.App(l.Context(), subdomain)
	if err != nil {
		l.Fatal(err)
	}
	return t
}

func (b *browserOf) wants(a shown, status int, texts ...string) {
	b.Helper()
	if a.StatusCode != status {
		b.Errorf("status %d, want %d, location %q\n%s", a.StatusCode, status, a.Header.Get("Location"), a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			b.Errorf("page lacks %q:\n%s", text, a.body)
		}
	}
	if strings.Contains(a.body, "<img src=x") {
		b.Errorf("markup is not text:\n%s", a.body)
	}
}

// TestApps makes an app of a kit, copies, exports, imports, changes and deletes it, as a form without script does.
func TestApps(t *testing.T) {
	l := withApps(newLab(t), AppParts{})
	admin := l.member("ada@example.org", account.Admin)

	admin.wants(admin.get("/dashboard/apps"), 200, "Live Streaming Starter Kit", "1 stage", "1 floor", "1 gallery")
	admin.wants(admin.get("/dashboard/apps/new"), 200, "Webinar", "Virtual Event", "kit=audio-room")
	admin.wants(admin.get("/dashboard/apps/new?kit=live-streaming"), 200, "Broadcast from", "Record every stream")

	// What is refused keeps what was typed, and says beside the field what is wrong.
	refused := admin.post("/dashboard/apps/new", "kit", "live-streaming", "name", markup, "subdomain", "-no", "region", "own")
	admin.wants(refused, 422, `value="&#34;&gt;&lt;img src=x onerror=alert(1)&gt;"`, `value="-no"`, `id="name-problem"`, `id="subdomain-problem"`, `id="regionLabel-problem"`, `aria-invalid="true"`)
	admin.wants(admin.post("/dashboard/apps/new", "kit", "webinar", "name", "Again", "subdomain", store.StarterSubdomain, "region", "eu"), 422, "Another app has this subdomain")

	made := admin.post("/dashboard/apps/new", "kit", "live-streaming", "name", "Town hall", "subdomain", "", "region", "own", "regionLabel", "our cellar", "shape", "phone", "onstage", "on", "keep", "both")
	admin.wants(made, 303)
	app := l.appOf("town-hall")
	if d := app.Policy.HLS(""); d.Layout.AspectRatio != "9:16" || !d.Recording.HLSVOD || !d.Recording.SingleFilePerLayer || app.Policy.Roles[policy.RoleViewerOnStage] == nil || app.Policy.Settings.RegionLabel != "our cellar" {
		t.Errorf("made %+v, %+v", app.Policy.Settings, d)
	}
	at := "/dashboard/apps/" + app.ID
	if made.Header.Get("Location") != at {
		t.Errorf("leads to %s", made.Header.Get("Location"))
	}
	admin.wants(admin.get(at), 200, "Join as broadcaster", "/streaming/meeting/", "our cellar", "The app is there")
	admin.wants(admin.get("/dashboard/apps/subdomain?subdomain=town-hall"), 200, "another app has it")
	admin.wants(admin.get("/dashboard/apps/subdomain?subdomain=town-hall&app="+app.ID), 200, "is free")
	admin.wants(admin.get("/dashboard/apps/subdomain?name=Town+hall"), 200, "town-hall-2 is free")
	admin.wants(admin.get("/dashboard/apps/subdomain?subdomain=%3Cimg+src=x%3E"), 200, "only a to z")

	// Copy, export, import.
	admin.wants(admin.get("/dashboard/apps/new?from="+app.ID), 200, "Copy of Town hall")
	admin.wants(admin.post("/dashboard/apps/new", "from", app.ID, "name", "Second", "region", "us"), 303)
	if second := l.appOf("second"); len(second.Policy.Roles) != 4 || second.Policy.Settings.Where() != "us" {
		t.Errorf("the copy is %+v", second.Policy)
	}
	file := admin.get(at + "/export")
	if file.StatusCode != 200 || !strings.Contains(file.Header.Get("Content-Disposition"), `"town-hall.json"`) {
		t.Fatalf("export: %d %v", file.StatusCode, file.Header)
	}
	admin.wants(admin.post("/dashboard/apps/new", "import", "1", "text", file.body, "name", "Third", "region", "auto"), 303)
	if third := l.appOf("third"); third.Policy.HLS("").Layout.AspectRatio != "9:16" {
		t.Errorf("imported %+v", third.Policy.HLS(""))
	}
	for text, says := range map[string]string{
		"":   "it is empty",
		"{":  "at byte",
		"[]": "a JSON object is wanted",
		`{"roles":{"a":{"publishParams":{"allowed":["audio"],"audio":{"bitRate":1}},"priority":11}}}`: "role a: audio.bitRate is 1, must be 16 to 128",
		`{"roles":{"` + `\u003cimg src=x\u003e` + `":{}}}`:                                            "name may have letters",
	} {
		admin.wants(admin.post("/dashboard/apps/new", "import", "1", "text", text, "name", "Fourth", "region", "auto"), 422, says)
	}

	// Settings.
	admin.wants(admin.post(at+"/settings", "name", "", "subdomain", "second", "region", "eu"), 422, `id="name-problem"`)
	admin.wants(admin.post(at+"/settings", "name", "Town hall", "subdomain", "second", "region", "eu"), 422, "Another app has this subdomain")
	admin.wants(admin.post(at+"/settings", "name", "Agora", "subdomain", "agora", "region", "eu"), 303)
	if again := l.appOf("agora"); again.ID != app.ID || again.Policy.Name != "Agora" || again.Policy.Settings.RegionLabel != "" {
		t.Errorf("settings %+v", again)
	}

	// Who may not.
	viewer := l.member("vera@example.org", account.Viewer)
	viewer.wants(viewer.get(at), 200, "Join as broadcaster")
	for _, path := range []string{at + "/settings", at + "/delete", at + "/roles/new", "/dashboard/apps/new"} {
		viewer.wants(viewer.post(path, "name", "x"), 403)
	}

	// Deleting: not while a room is live.
	room, err := l.db.FirstRoom(t.Context(), l.workspace, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	session, err := l.db.OpenSession(t.Context(), store.NewID(), room.ID, room.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	admin.wants(admin.post(at+"/delete"), 422, "Rooms of this app are live")
	if err := l.db.CloseSession(t.Context(), session.ID, room.CreatedAt); err != nil {
		t.Fatal(err)
	}
	admin.wants(admin.post(at+"/delete"), 303)
	admin.wants(admin.get(at), 404)
	starter := l.appOf(store.StarterSubdomain)
	admin.wants(admin.post("/dashboard/apps/"+starter.ID+"/delete"), 422, "This is the default app")
	if log := admin.get("/dashboard/audit"); !strings.Contains(log.body, "app.delete") || !strings.Contains(log.body, "app.import") {
		t.Error("the audit log does not tell of it")
	}
}

// TestRoles edits roles: what is wrong stands beside its field, and a level follows from what is ticked.
func TestRoles(t *testing.T) {
	l := withApps(newLab(t), AppParts{})
	dev := l.member("ada@example.org", account.Admin)
	app := l.appOf(store.StarterSubdomain)
	at := "/dashboard/apps/" + app.ID + "/roles"
	dev.wants(dev.get(at), 200, "hls-viewer", "Gallery", "video 360p")
	dev.wants(dev.post(at+"/new", "name", "broadcaster", "start", "floor"), 422, "Another role has this name")
	dev.wants(dev.post(at+"/new", "name", markup, "start", "floor"), 422, `id="name-problem"`)
	dev.wants(dev.post(at+"/new", "name", "co host", "start", "=broadcaster"), 303)
	edit := at + "/co%20host"
	dev.wants(dev.get(edit), 200, `value="co host"`, "Numbers of the camera", "Stage")

	dev.wants(dev.post(edit+"/level", "name", "co host", "audio", "on"), 200, "Stage")
	dev.wants(dev.post(edit+"/level", "name", "co host", "subscribeToRoles", "broadcaster"), 200, "Floor")
	dev.wants(dev.post(edit+"/level", "name", "co host"), 200, "Gallery")

	refused := dev.post(edit, "name", "co host", "priority", "77", "maxPeerCount", "many", "audio", "on", "audio.bitRate", "1", "video", "on", "video.width", "1", "video.height", "360", "video.frameRate", "30",
		"simulcast", "own", "layer0.scale", "NaN", "subscribeToRoles", "broadcaster", "changeRole", "on")
	dev.wants(refused, 422, `id="priority-problem"`, `value="77"`, `id="maxPeerCount-problem"`, `value="many"`, `id="audio.bitRate-problem"`, `id="video.width-problem"`, `id="layer0.scale-problem"`, "must be 16 to 128")
	if r := l.appOf(store.StarterSubdomain).Policy.Roles["co host"]; r.Priority != 1 || !r.Permissions.EndRoom {
		t.Errorf("what was refused has changed the role: %+v", r)
	}

	saved := dev.post(edit, "name", "panel", "priority", "2", "maxPeerCount", "5", "audio", "on", "audio.bitRate", "48", "video", "on", "video.preset", "720:16:9",
		"simulcast", "auto", "subscribeToRoles", "co host", "maxSubsBitRate", "4000", "degrade", "on", "subscribeDegradation.packetLossThreshold", "25",
		"subscribeDegradation.degradeGracePeriodSeconds", "2", "subscribeDegradation.recoverGracePeriodSeconds", "3", "mute", "on", "screen.preset", "720")
	dev.wants(saved, 303)
	app = l.appOf(store.StarterSubdomain)
	r := app.Policy.Roles["panel"]
	if r == nil || app.Policy.Roles["co host"] != nil {
		t.Fatalf("roles %v", app.Policy.Roles)
	}
	if r.PublishParams.Video.Width != 1280 || len(r.PublishParams.Simulcast.Video.Layers) != 3 || r.PublishParams.Screen != nil || r.MaxPeerCount != 5 ||
		!r.Sees("panel") || r.SubscribeParams.SubscribeDegradation.PacketLossThreshold != 25 || !r.Permissions.Mute || r.Permissions.EndRoom {
		t.Errorf("saved %+v", r)
	}
	// What is drawn and sent back unchanged changes nothing.
	form := roleForm(r)
	if same := readRole(&form); !form.Good() || same.PublishParams.Video.Height != 720 || len(same.PublishParams.Simulcast.Video.Layers) != 3 || same.Permissions != r.Permissions {
		t.Errorf("the form reads as %+v, %v", same, form.Problems)
	}
	dev.wants(dev.get("/dashboard/apps/"+app.ID), 200, "Join as panel")
	dev.wants(dev.post(at+"/panel/delete"), 303)
	if r := l.appOf(store.StarterSubdomain).Policy.Roles; r["panel"] != nil || len(r) != 3 {
		t.Errorf("roles %v", r)
	}
	for _, path := range []string{at + "/panel", "/dashboard/apps/0123456789abcdef01234567/roles"} {
		if got := dev.get(path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
}
