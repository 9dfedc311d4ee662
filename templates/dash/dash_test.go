package dash

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"amphi/templates"
)

const hostile = `"><script>alert(1)</script>&amp; 'Ω' 🎭`

func testPage() templates.Page {
	return templates.Page{Title: hostile, Styles: "dashboard.css", Assets: func(name string) templates.Asset {
		return templates.Asset{URL: "/static/" + name, Integrity: "sha384-" + name}
	}}
}

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(With(t.Context(), testPage()), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pages are all pages of this file's owner, with names that want to be markup.
func pages() map[string]templ.Component {
	form := Filled("name", hostile, "email", hostile, "role", "viewer")
	form.Refuse("name", hostile)
	now := time.Now()
	roles := []Option{{"viewer", "Viewer"}, {"admin", "Admin"}}
	return map[string]templ.Component{
		"sign in": Outside(testPage(), SignIn(form)),
		"by link": Outside(testPage(), SignInByLink(hostile)),
		"welcome": Outside(testPage(), Welcome(Newcomer{Secret: hostile, Email: hostile, Role: "Viewer"}, form)),
		"problem": Outside(testPage(), Problem(hostile, hostile, "/dashboard", hostile)),
		"members": InFrame(Frame{Page: testPage(), At: PlaceMembers, Name: hostile, Role: "Admin", Admin: true, Flash: hostile}, MembersPage(Members{
			Admin: true, Members: []Member{{ID: "1", Name: hostile, Email: hostile, Role: "viewer", Since: now}, {ID: "2", Name: "Bob", Last: true}},
			Invitations: []Invitation{{ID: "3", Email: hostile, Expires: now}}, Roles: roles, Invited: hostile, Link: hostile}, form)),
		"me": InFrame(Frame{Page: testPage(), At: PlaceMe, Name: hostile}, MePage(Me{HasPassword: true, Passkeys: []Passkey{{ID: "k", Name: hostile}},
			Sessions: []Session{{ID: "s", Browser: hostile, From: hostile, This: true}, {ID: "t"}}}, form, form)),
		"audit": InFrame(Frame{Page: testPage(), At: PlaceAudit, Admin: true}, AuditPage(AuditLog{Entries: []AuditEntry{{now, hostile, hostile, hostile, hostile}},
			Members: roles, Actions: roles, Pages: Pages{Newer: "?a", Older: "?b"}}, form)),
		"parts": Outside(testPage(), templ.Join(
			Select(form, Choice{Name: "name", Label: hostile, Hint: hostile, Options: []Option{{hostile, hostile}}}),
			Toggle(form, Switch{Name: "on", Label: hostile, Hint: hostile}),
			Field(form, Input{Name: "text", Label: hostile, Rows: 3}), Tabs(hostile, []Tab{{hostile, "javascript:alert(1)", true}}),
			Empty(Nothing{"door", hostile, hostile}), Badge(Stage, hostile), CopySecret(hostile, hostile), Notice(Warn), Time(time.Time{}),
			Button(Action{Label: hostile, Href: "javascript:alert(1)", Bare: true}), Button(Action{Label: hostile, Opens: "x", Name: hostile, Value: hostile}))),
	}
}

func TestMarkupStaysText(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)=`)
	for name, page := range pages() {
		html := render(t, page)
		if strings.Contains(html, "<script>") {
			t.Errorf("%s: a name became markup", name)
		}
		if found := inline.FindString(html); found != "" || strings.Contains(html, "<style") {
			t.Errorf("%s has inline style or script, which the policy refuses: %s", name, found)
		}
	}
}

// Every id that an attribute names is on the page, and once; every field has a name for screen readers.
func TestReferences(t *testing.T) {
	ids := regexp.MustCompile(`\sid="([^"]*)"`)
	refs := regexp.MustCompile(`\s(?:for|aria-describedby|aria-labelledby|commandfor|form)="([^"]*)"`)
	for name, page := range pages() {
		if name == "parts" { // its references lead nowhere
			continue
		}
		html := render(t, page)
		have := map[string]int{}
		for _, m := range ids.FindAllStringSubmatch(html, -1) {
			have[m[1]]++
		}
		for id, n := range have {
			if n > 1 {
				t.Errorf("%s: %d elements are called %q", name, n, id)
			}
		}
		for _, m := range refs.FindAllStringSubmatch(html, -1) {
			for _, id := range strings.Fields(m[1]) {
				if have[id] == 0 {
					t.Errorf("%s: nothing is called %q", name, id)
				}
			}
		}
	}
}

func TestRefusedField(t *testing.T) {
	form := Filled("name", "typed")
	form.Refuse("name", "Too short.")
	form.Refuse("name", "said second")
	html := render(t, Field(form, Input{Name: "name", Label: "Name", Hint: "A hint.", Required: true, Max: 9}))
	for _, want := range []string{`value="typed"`, `aria-invalid="true"`, `aria-describedby="name-problem name-hint"`, " autofocus", "Too short.", `maxlength="9"`, " required"} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in %s", want, html)
		}
	}
	if strings.Contains(html, "said second") {
		t.Error("two problems at one field")
	}
	if html := render(t, Field(Filled("password", "typed"), Input{Name: "password", Type: "password"})); strings.Contains(html, "typed") {
		t.Error("a password is sent back")
	}
	if html := render(t, Field(form, Input{Name: "other", Focus: true})); strings.Contains(html, "autofocus") {
		t.Error("the focus does not go to the problem")
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{"Ann": "A", "ann lee": "AL", "Ann Mary van Lee": "AL", "": ""} {
		if got := Initials(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
