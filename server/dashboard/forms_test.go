package dashboard

import (
	"html"
	"strings"
	"testing"

	"amphi/server/account"
	"amphi/server/policy"
)

// TestFormsKeepWhatWasTyped sends each form with something wrong in it: what was typed comes back as text, and what is wrong
// is said beside its field.
func TestFormsKeepWhatWasTyped(t *testing.T) {
	k := desked(t, account.Admin, parts)
	app, room := "/dashboard/apps/"+k.seed.Room.TemplateID, "/dashboard/rooms/"+k.seed.Room.ID
	const typed = `"><img src=x onerror=alert(1)>`
	for _, form := range []struct {
		path  string
		pairs []string
		wrong []string // fields
	}{
		{"/dashboard/apps/new", []string{"kit", "live-streaming", "name", typed, "subdomain", "a b" + typed, "region", "other", "regionLabel", "here"}, []string{"name", "subdomain"}},
		{app + "/settings", []string{"name", typed, "subdomain", typed, "default", "on"}, []string{"name", "subdomain"}},
		{app + "/roles/new", []string{"name", ""}, []string{"name"}},
		{app + "/roles/" + policy.RoleBroadcaster, []string{"name", policy.RoleBroadcaster, "priority", typed, "maxPeerCount", "many"}, []string{"priority", "maxPeerCount"}},
		{app + "/destinations/stream", []string{"stream", "main", "layout.background", typed, "slate.title", typed, "maxDuration", "long", "videoFrameRate", "999"},
			[]string{"layout.background", "maxDuration", "videoFrameRate"}},
		{app + "/destinations/record", []string{"record.size", "1280x720", "record.maxDuration", "long"}, []string{"record.maxDuration"}},
		{app + "/destinations/push", []string{"push.name", "there", "push.rtmpUrls", typed, "push.size", "1280x720"}, []string{"push.rtmpUrls"}},
		{app + "/destinations/storage", []string{"type", "s3", "prefix", typed, "region", typed}, []string{"location", "key", "secret"}},
		{app + "/brand", []string{"name", typed, "color", typed}, []string{"color"}},
		{"/dashboard/rooms/new", []string{"name", typed, "description", typed, "app", k.seed.Room.TemplateID, "minutes", "soon"}, []string{"minutes"}},
		{room + "/settings", []string{"name", typed, "description", typed, "app", k.seed.Room.TemplateID, "minutes", "soon"}, []string{"minutes"}},
		{"/dashboard/developer/webhooks", []string{"url", typed, "headers", "none" + typed}, []string{"url"}},
		{"/dashboard/developer/tokens/auth", []string{"room", "x" + typed, "role", typed, "user", typed}, []string{"room"}},
		{"/dashboard/members/invite", []string{"email", typed, "role", "viewer"}, []string{"email"}},
		{"/dashboard/me", []string{"name", typed, "email", typed}, []string{"email"}},
	} {
		status, body, header := k.do("POST", form.path, values(form.pairs))
		if status != 422 {
			t.Errorf("%s: %d to %q", form.path, status, header.Get("Location"))
			continue
		}
		for i := 1; i < len(form.pairs); i += 2 {
			if name, value := form.pairs[i-1], form.pairs[i]; strings.Contains(value, typed) && !strings.Contains(body, html.EscapeString(value)) {
				t.Errorf("%s: what was typed as %s is lost", form.path, name)
			}
		}
		if strings.Contains(body, "<img src=x") {
			t.Errorf("%s: what was typed is markup", form.path)
		}
		for _, field := range form.wrong {
			if !strings.Contains(body, `id="`+field+`-problem"`) || !strings.Contains(body, `aria-describedby="`+field+`-problem`) {
				t.Errorf("%s: nothing is said beside %s", form.path, field)
			}
		}
		if !strings.Contains(body, `aria-invalid="true"`) || !strings.Contains(body, "autofocus") {
			t.Errorf("%s: the keyboard does not begin at what is wrong", form.path)
		}
	}
}
