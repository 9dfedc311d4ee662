package dashboard

import (
	"fmt"
	"strings"
	"testing"

	"amphi/e2e/testbrowser"
)

// attack is what somebody types who wants their script to run in the pages of others. It would say so on the console.
// It fits into a field for a name.
const attack = `"></script><img src=x onerror=ran()><svg onload=ran()>`

const ran = `globalThis.ran = () => console.error('markup ran');`

// unharmed checks that what was typed is text on the page as it is.
func (g *guest) unharmed(where string) {
	g.t.Helper()
	var found int
	g.must(g.Eval(`E2E.all('img[src="x"], svg[onload], script:not([src])').length`, &found))
	if found > 0 {
		g.t.Errorf("%s: what was typed is part of the page", where)
	}
}

// shows says whether what was typed stands on the page, or in a field.
func (g *guest) shows() (shows bool) {
	g.t.Helper()
	g.must(g.Eval(fmt.Sprintf(`((text) => document.body.innerText.includes(text) || E2E.all('input, textarea').some(({ value }) => value.includes(text)) ||
		document.body.textContent.includes(text))(%s)`, quote(attack)), &shows))
	return shows
}

// attackForms sends each form of a page with markup in each of its text fields, one at a time, as whoever attacks does without
// a browser: past lengths and kinds, in fields for numbers too. It returns in how many fields, and how many of the pages that
// came back show what was sent; in none of them may it be anything but text.
func (g *guest) attackForms(path string) (fields, shown int) {
	g.t.Helper()
	g.opens(path)
	var sent []struct {
		Field        string
		Status       int
		Shown, Harms bool
	}
	g.must(g.Eval(`(async (attack) => {
		const sent = [];
		for (const form of document.querySelectorAll('main form')) {
			if (form.id === 'passkey-form') continue;
			for (const { name, localName, type, readOnly } of form.elements) {
				if (readOnly || !(localName === 'textarea' || ['text', 'search', 'email', 'url', 'number'].includes(type))) continue;
				const data = new FormData(form);
				data.set(name, attack);
				const url = new URL(form.action);
				const query = form.method === 'get';
				if (query) url.search = new URLSearchParams(data);
				const answer = await fetch(url, query ? {} : { method: 'post', body: form.enctype === 'multipart/form-data' ? data : new URLSearchParams(data) });
				const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
				sent.push({
					field: name,
					status: answer.status,
					shown: page.body.textContent.includes(attack) || [...page.querySelectorAll('input')].some((input) => input.getAttribute('value')?.includes(attack)),
					harms: page.querySelector('img[src="x"], svg[onload], script:not([src])') !== null,
				});
			}
		}
		return sent;
	})(`+quote(attack)+`)`, &sent))
	for _, s := range sent {
		fields++
		if s.Shown {
			shown++
		} else {
			g.t.Logf("%s, %s: %d, not shown", path, s.Field, s.Status)
		}
		if s.Harms {
			g.t.Errorf("%s, %s: what was typed is part of the page", path, s.Field)
		}
		if s.Status >= 500 {
			g.t.Errorf("%s, %s: %d", path, s.Field, s.Status)
		}
	}
	return fields, shown
}

// TestMarkup types markup wherever something can be typed, in the dashboard and where people meet, and looks at every page that
// shows it: it is text everywhere, and no page's policy had to refuse anything.
func TestMarkup(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ann := l.guest("ann", testbrowser.PageConfig{Scripts: []string{ran}})
	ann.becomesAdmin()
	app := ann.first(`^/dashboard/apps/[0-9a-f]{24}$`)
	ann.opens("/dashboard/rooms")
	room := ann.first(`^/dashboard/rooms/[0-9a-f]{24}$`)

	// What people call themselves and say to each other.
	stage := l.guest("stage", testbrowser.PageConfig{Camera: 7, Scripts: []string{ran}})
	other := l.guest("other", testbrowser.PageConfig{Scripts: []string{ran}})
	ann.opens(app)
	codes := map[*guest]string{stage: ann.linkOf("Join as broadcaster"), other: ann.linkOf("Join as viewer-realtime")}
	for _, g := range []*guest{stage, other} {
		g.opens(codes[g])
		g.types(id("join-name"), attack)
		g.clicks(id("join-button"))
		g.waits(`document.querySelector('main[data-view="stage"], main[data-view="floor"]')`)
	}
	stage.opensChat()
	stage.types(id("chat-input"), attack)
	stage.clicks(id("chat-send"))
	stage.clicks(id("polls-open"))
	stage.clicks(id("poll-new"))
	stage.types(id("poll-title"), attack)
	stage.types(id("poll-question"), attack)
	for i := range 2 {
		stage.types(fmt.Sprintf(".poll-option:nth-of-type(%d) %s", i+1, id("poll-option")), fmt.Sprint(i, attack))
	}
	stage.clicks(id("poll-start"))
	stage.waits(`E2E.one('[data-testid="poll-vote"]')`)
	stage.clicks(id("people-open"))
	for _, g := range []*guest{stage, other} {
		for _, panel := range []string{"people-open", "polls-open"} {
			if g == stage && panel == "people-open" {
				continue // it is open
			}
			g.clicks(id(panel))
			g.waits(`E2E.all('*').some((element) => element.checkVisibility() && element.innerText?.includes(` + quote(attack) + `))`)
			g.unharmed("the meeting, " + panel)
		}
		g.opensChat()
		g.waits(`E2E.all('[data-testid="chat-message"]').some((message) => message.innerText.includes(` + quote(attack) + `))`)
		g.unharmed("the chat")
	}
	stage.clicks(id("polls-open"))
	stage.clicks("label:has(" + id("poll-choice") + ")")
	stage.clicks(id("poll-vote"))
	stage.clicks(id("poll-end"))

	// Every form of the dashboard.
	ann.opens(room + "/live")
	ann.reads(attack)
	peer, session := ann.first(`/live/peers/`), ann.first(`^/dashboard/sessions/`)
	forms := []string{
		"/dashboard/apps/new?kit=live-streaming", "/dashboard/apps/import", app + "/settings", app + "/roles/new", app + "/roles/broadcaster", app + "/destinations", app + "/brand",
		"/dashboard/rooms", "/dashboard/rooms/new", room + "/settings", room + "/live", "/dashboard/sessions", "/dashboard/recordings",
		"/dashboard/developer/keys", "/dashboard/developer/webhooks", "/dashboard/developer/api?op=getV2Rooms", "/dashboard/developer/events", "/dashboard/members", "/dashboard/me",
	}
	fields, shown := 0, 0
	for _, path := range forms {
		f, s := ann.attackForms(path)
		t.Logf("%s: %d fields, %d show what was typed", path, f, s)
		if f == 0 {
			t.Errorf("%s has no field", path)
		}
		fields, shown = fields+f, shown+s
	}
	if fields < 60 || shown < 40 {
		t.Errorf("%d fields were tried, %d pages showed it", fields, shown)
	}

	// Where it is shown afterwards.
	for _, path := range append(forms, "/dashboard/apps", app, app+"/roles", room, peer, session, "/dashboard/members", "/dashboard/audit", "/dashboard/developer/api") {
		ann.opens(path)
		ann.unharmed(path)
	}
	for path, what := range map[string]string{session: "the session", "/dashboard/members": "the list of members", app + "/brand": "the brand"} {
		if ann.opens(path); !ann.shows() {
			t.Errorf("%s does not show what was typed", what)
		}
	}
	other.opens(codes[other]) // with the brand's name now
	other.waits(`E2E.one('[data-testid="join-name"]')`)
	if !strings.Contains(other.title(), attack) {
		t.Errorf("the meeting's page is called %q, without its brand", other.title())
	}
	other.unharmed("the meeting with a brand")
	ann.opens("/")
	ann.unharmed("the start page")

	for name, g := range map[string]*guest{"ann": ann, "stage": stage, "other": other} {
		if console := g.Console(); strings.Contains(console, "markup ran") || strings.Contains(console, "Content Security Policy") {
			t.Errorf("the console of %s:\n%s", name, console)
		}
	}
}

func (g *guest) title() (title string) {
	g.t.Helper()
	g.must(g.Eval("document.title", &title))
	return title
}
