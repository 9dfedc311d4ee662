package dashboard

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"amphi/e2e/testbrowser"
)

// watched notes what a page does that it should not: things that move by themselves, what its policy refused, and where the
// keyboard came without a mark.
const watched = `{
	globalThis.shifts = [];
	new PerformanceObserver((list) => {
		for (const { value, hadRecentInput, sources } of list.getEntries()) {
			const moved = sources.map(({ node, previousRect, currentRect }) => [node?.nodeName, node?.className ?? node?.textContent, JSON.stringify(previousRect), JSON.stringify(currentRect)].join(' '));
			if (!hadRecentInput) shifts.push({ value, moved });
		}
	}).observe({ type: 'layout-shift', buffered: true });
	globalThis.violations = [];
	document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => violations.push([violatedDirective, blockedURI, sample].join(' ')));
	const nameOf = (element) => [element.localName, element.id || element.getAttribute('href') || element.name || element.getAttribute('aria-label') || element.textContent.trim()].join(' ');
	const marked = (element) => {
		const outlined = ({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
		const around = [element, element.parentElement, element.parentElement?.parentElement].filter(Boolean);
		// A card that is a link draws its mark around all of it.
		return around.some((at) => outlined(getComputedStyle(at))) || outlined(getComputedStyle(element, '::after'));
	};
	globalThis.keyboard = {
		reached: new Set(),
		unmarked: new Set(),
		/** What can be used here: everything that a mouse could press or type into. Of radio buttons one is enough. */
		usable: () => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
			.filter((element) => E2E.visible(element) && !element.disabled && !(element.type === 'radio' && !element.checked)).map(nameOf),
	};
	document.addEventListener('focusin', ({ target }) => {
		keyboard.reached.add(nameOf(target));
		if (!marked(target)) keyboard.unmarked.add(nameOf(target));
	});
}`

// mostBytes is what a page may weigh on a cold visit, all that it needs from the server included but the picture of a preview,
// which is drawn anew whenever a setting changes.
const mostBytes = 100_000

// becomesAdmin comes in by the link that the console prints.
func (g *guest) becomesAdmin() {
	g.t.Helper()
	g.opens(firstLink.FindString(g.server.Log()))
	g.fills("Your name", "Ann Archer")
	g.fills("E-mail", "ann@example.org")
	g.fills("Password", password)
	g.presses("Go to the dashboard")
	g.at("/dashboard/apps", "Apps")
}

// first is the first link of the page whose path looks like a pattern.
func (g *guest) first(pattern string) (path string) {
	g.t.Helper()
	g.could(g.Wait(fmt.Sprintf(`[...document.querySelectorAll('main a')].some((a) => new RegExp(%s).test(a.pathname))`, quote(pattern)), patience), "look for a link to %s", pattern)
	g.must(g.Eval(fmt.Sprintf(`[...document.querySelectorAll('main a')].map((a) => a.pathname + a.search).find((path) => new RegExp(%s).test(path.split('?')[0]))`, quote(pattern)), &path))
	return path
}

// TestPages opens every page of the dashboard, with somebody in a room: axe finds nothing serious, on a desk and a phone, in
// light and dark; the keyboard comes everywhere, and is seen there; nothing moves by itself; the policy refuses nothing; and it
// is not heavy.
func TestPages(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ann := l.guest("ann", testbrowser.PageConfig{Scripts: []string{watched}})
	ann.becomesAdmin()
	app := ann.first(`^/dashboard/apps/[0-9a-f]{24}$`)
	ann.opens("/dashboard/rooms")
	room := ann.first(`^/dashboard/rooms/[0-9a-f]{24}$`)
	ann.opens(app)
	broadcaster := ann.linkOf("Join as broadcaster")
	stage := l.guest("stage", testbrowser.PageConfig{Camera: 7})
	stage.opens(broadcaster)
	stage.types(id("join-name"), "Zoë on stage")
	stage.clicks(id("join-button"))
	stage.waits(`document.querySelector('main[data-view="stage"]')`)
	ann.opens(room + "/live")
	ann.reads("Zoë on stage")
	peer := ann.first(`/live/peers/`)
	session := ann.first(`^/dashboard/sessions/`)
	ann.opens("/dashboard/developer/api")
	operation := ann.first(`^/dashboard/developer/api$`)

	for _, path := range []string{
		"/dashboard/apps", "/dashboard/apps/new", "/dashboard/apps/new?kit=live-streaming", "/dashboard/apps/import", app, app + "/settings", app + "/roles", app + "/roles/new", app + "/roles/broadcaster",
		app + "/destinations", app + "/brand",
		"/dashboard/rooms", "/dashboard/rooms?q=nothing", "/dashboard/rooms/new", room, room + "/settings", room + "/live", peer,
		"/dashboard/sessions", session, "/dashboard/recordings",
		"/dashboard/developer/keys", "/dashboard/developer/webhooks", "/dashboard/developer/api", operation, "/dashboard/developer/events",
		"/dashboard/developer/usage", "/dashboard/developer/health",
		"/dashboard/members", "/dashboard/audit", "/dashboard/me", "/dashboard/nothing",
	} {
		name := nameOfPage(path, app, room)
		t.Run(name, func(t *testing.T) {
			g := &guest{ann.Page, t, ann.server, ann.said}
			g.opens(path)
			g.stands(name)
			g.tabsThrough(name)
			g.dialogs(name)
			g.looks("page-" + name)
			var refused []string
			g.must(g.Eval("violations", &refused))
			if len(refused) > 0 {
				t.Errorf("the policy refused %q", refused)
			}
		})
	}
}

// nameOfPage makes a name for files and figures of a path.
func nameOfPage(path, app, room string) string {
	name := strings.NewReplacer(app, "app", room, "room", "/dashboard/", "").Replace(path)
	name = regexp.MustCompile(`[0-9a-f]{8,}[0-9a-f-]*`).ReplaceAllString(name, "one")
	return strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// stands waits until the page is there with all that belongs to it, and checks that nothing moved meanwhile and what it weighs.
func (g *guest) stands(name string) {
	g.t.Helper()
	g.waits(`document.readyState === 'complete' && document.fonts.ready.then(() => new Promise((done) => requestIdleCallback(() => requestAnimationFrame(() => done(true)))))`)
	var seen struct {
		Shift, Bytes   float64
		Moved, Weights []string
	}
	g.must(g.Eval(`((entries) => ({
		shift: shifts.reduce((sum, { value }) => sum + value, 0),
		moved: shifts.flatMap(({ moved }) => moved),
		bytes: entries.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
		weights: entries.map(({ name, encodedBodySize }) => new URL(name).pathname + ' ' + encodedBodySize),
	}))([...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter(({ name }) => !name.includes('/pictures/')))`, &seen))
	fmt.Printf("dashboard.%s.layout_shift %.4f score\n", name, seen.Shift)
	fmt.Printf("dashboard.%s.transfer %.0f bytes\n", name, seen.Bytes)
	if seen.Shift > 0 {
		g.t.Errorf("things move by %.4f: %q", seen.Shift, seen.Moved)
	}
	if seen.Bytes > mostBytes || seen.Bytes == 0 {
		g.t.Errorf("it weighs %.0f bytes: %q", seen.Bytes, seen.Weights)
	}
}

// tabsThrough goes through the page with Tab, and checks that everything that can be used is come by, and marked.
func (g *guest) tabsThrough(name string) {
	g.t.Helper()
	var usable []string
	g.must(g.Eval(`(document.activeElement?.blur(), keyboard.reached.clear(), keyboard.unmarked.clear(), keyboard.usable())`, &usable))
	const besides = 12 // parts that scroll are stopped at too
	for range len(usable) + besides {
		g.must(g.Press(testbrowser.Tab))
	}
	var seen struct{ Missed, Unmarked []string }
	g.must(g.Eval(fmt.Sprintf(`({ missed: %s.filter((name) => !keyboard.reached.has(name)), unmarked: [...keyboard.unmarked] })`, list(usable)), &seen))
	if len(seen.Missed) > 0 || len(seen.Unmarked) > 0 || len(usable) == 0 {
		g.t.Errorf("the keyboard does not come to %q, and is not seen at %q", seen.Missed, seen.Unmarked)
	}
}

// dialogs opens each dialog of the page with Enter and closes it with Escape.
func (g *guest) dialogs(name string) {
	g.t.Helper()
	var openers []string
	g.must(g.Eval(`[...document.querySelectorAll('[commandfor]')].filter((opener) => E2E.visible(opener) && !opener.disabled).map((opener) => opener.getAttribute('commandfor'))`, &openers))
	for _, dialog := range openers {
		opener := fmt.Sprintf("[commandfor=%q]", dialog)
		g.must(g.Eval(fmt.Sprintf("document.querySelector(%s).focus()", quote(opener)), nil))
		g.must(g.Press(testbrowser.Enter))
		g.waits(`document.querySelector('dialog[open]')?.contains(document.activeElement)`)
		g.must(g.Press(testbrowser.Escape))
		g.waits(`!document.querySelector('dialog[open]')`)
		g.focused(opener)
	}
}

func list(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
