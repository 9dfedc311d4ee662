package dashboard

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"amphi/server/account"
	"amphi/server/auth"
	"amphi/server/store"
	"amphi/templates"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a dashboard over a new database.
type lab struct {
	*testing.T
	http.Handler
	db        *store.Store
	accounts  *account.Accounts
	workspace string
	log       bytes.Buffer
}

func newLab(t *testing.T) *lab {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "amphi.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seeded, err := db.Seed(t.Context(), auth.NewRoomCode)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, db: db, accounts: &account.Accounts{Store: db}, workspace: seeded.Workspace.ID}
	l.Handler = New(Config{
		Log: slog.New(slog.NewTextHandler(&l.log, nil)), Store: db, Accounts: l.accounts,
		Assets:     func(name string) templates.Asset { return templates.Asset{URL: "/static/" + name} },
		ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddrPort(r.RemoteAddr).Addr() },
	})
	return l
}

// member makes a member and returns the browser of theirs.
func (l *lab) member(email string, role account.Role) *browserOf {
	l.Helper()
	var secret string
	var err error
	if members, _ := l.accounts.Members(l.Context(), l.workspace); len(members) == 0 {
		secret, err = l.accounts.FirstLink(l.Context(), l.workspace)
	} else {
		secret, _, err = l.accounts.Invite(l.Context(), l.workspace, email, role)
	}
	if err != nil {
		l.Fatal(err)
	}
	b := &browserOf{lab: l}
	name, _, _ := strings.Cut(email, "@")
	page := b.post("/dashboard/link/"+secret, "name", name, "email", email, "password", testPassword)
	if page.StatusCode != http.StatusSeeOther || page.Header.Get("Location") != "/dashboard" {
		l.Fatalf("%s does not come in: %d\n%s", email, page.StatusCode, page.body)
	}
	return b
}

const testPassword = "a few words to remember"

// browserOf keeps the cookies of one browser.
type browserOf struct {
	*lab
	cookies map[string]string
}

type shown struct {
	*http.Response
	body string
}

func (b *browserOf) do(r *http.Request) shown {
	b.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	a := shown{Response: w.Result()}
	body, err := io.ReadAll(a.Body)
	if err != nil {
		b.Fatal(err)
	}
	a.body = string(body)
	if b.cookies == nil {
		b.cookies = make(map[string]string)
	}
	for _, c := range a.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return a
}

func (b *browserOf) get(path string) shown {
	b.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil))
}

func form(path string, pairs ...string) *http.Request {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func (b *browserOf) post(path string, pairs ...string) shown {
	b.Helper()
	return b.do(form(path, pairs...))
}

// says checks the status of an answer and that it has each text.
func (b *browserOf) says(a shown, status int, texts ...string) {
	b.Helper()
	if a.StatusCode != status {
		b.Errorf("status %d, want %d\n%s", a.StatusCode, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			b.Errorf("%q is not in\n%s", text, a.body)
		}
	}
}

func TestSignInAndOut(t *testing.T) {
	l := newLab(t)
	l.member("ann@example.org", account.Admin)
	b := &browserOf{lab: l}
	if a := b.get("/dashboard/members?x=1"); a.StatusCode != 303 || a.Header.Get("Location") != "/dashboard/signin?next=%2Fdashboard%2Fmembers%3Fx%3D1" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	b.says(b.get("/dashboard/signin?next=/dashboard/members%3Fx%3D1"), 200, `name="next" value="/dashboard/members?x=1"`, "autofocus")

	known := b.post("/dashboard/signin", "email", "ann@example.org", "password", "wrong", "next", "/dashboard/members")
	b.says(known, 422, "E-mail or password is wrong.", `value="ann@example.org"`, `aria-invalid="true"`, `aria-describedby="password-problem"`)
	unknown := b.post("/dashboard/signin", "email", "bob@example.org", "password", "wrong", "next", "/dashboard/members")
	if strings.ReplaceAll(unknown.body, "bob@", "ann@") != known.body {
		t.Error("an unknown address is answered in another way")
	}
	b.says(b.post("/dashboard/signin"), 422, "Type the e-mail address", "Type your password")

	a := b.post("/dashboard/signin", "email", "Ann@Example.org", "password", testPassword, "next", "/dashboard/members")
	if a.StatusCode != 303 || a.Header.Get("Location") != "/dashboard/members" {
		t.Fatalf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	cookie := a.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Domain != "" || cookie.MaxAge <= 0 {
		t.Errorf("%+v", cookie)
	}
	b.says(b.get("/dashboard/members"), 200, "ann@example.org", `aria-current="page"`)
	if a := b.get("/dashboard/signin"); a.Header.Get("Location") != "/dashboard" {
		t.Errorf("who is signed in is asked again: %d", a.StatusCode)
	}
	kept := b.cookies["amphi-session"]
	b.post("/dashboard/signout")
	b.cookies["amphi-session"] = kept
	if a := b.get("/dashboard/members"); a.StatusCode != 303 {
		t.Errorf("the cookie opens after signing out: %d", a.StatusCode)
	}
}

func TestSecureCookieBehindTLS(t *testing.T) {
	l := newLab(t)
	l.Handler = New(Config{Log: slog.New(slog.DiscardHandler), Store: l.db, Accounts: l.accounts, PublicURL: "https://live.example.org",
		Assets:     func(string) templates.Asset { return templates.Asset{} },
		ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") }})
	secret, _ := l.accounts.FirstLink(t.Context(), l.workspace)
	b := &browserOf{lab: l}
	a := b.post("/dashboard/link/"+secret, "name", "Ann", "email", "ann@example.org", "password", testPassword)
	if c := a.Cookies(); len(c) != 1 || c[0].Name != "__Host-amphi-session" || !c[0].Secure || c[0].Path != "/" {
		t.Errorf("%v", c)
	}
	if a := b.get("/dashboard/me"); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
}

func TestRateLimit(t *testing.T) {
	l := newLab(t)
	l.member("ann@example.org", account.Admin)
	b := &browserOf{lab: l}
	var a shown
	for range 15 {
		if a = b.post("/dashboard/signin", "email", "nobody@example.org", "password", "x"); a.StatusCode == 429 {
			break
		}
	}
	b.says(a, 429, "Too many attempts. Try again in ")
	if after := a.Header.Get("Retry-After"); !regexp.MustCompile(`^[1-9]\d*$`).MatchString(after) {
		t.Errorf("Retry-After: %q", after)
	}
}

func TestLinks(t *testing.T) {
	l := newLab(t)
	secret, _ := l.accounts.FirstLink(t.Context(), l.workspace)
	b := &browserOf{lab: l}
	b.says(b.get("/dashboard/link/"+secret), 200, "Welcome to Amphi", "its first admin")
	b.says(b.post("/dashboard/link/"+secret, "name", "Ann", "email", "ann@", "password", "short"), 422,
		`value="Ann"`, `value="ann@"`, "no e-mail address", "Too short", `id="email-problem"`)
	ann := l.member("ann@example.org", account.Admin)
	b.says(b.get("/dashboard/link/"+secret), 410, "This link was used already", "amphi signin")
	b.says(b.post("/dashboard/link/"+secret, "name", "M", "email", "m@example.org", "password", testPassword), 410, "used already")
	b.says(b.get("/dashboard/link/unknown"), 404, "This link opens nothing")

	past := &account.Accounts{Store: l.db, Now: func() time.Time { return time.Now().Add(-8 * 24 * time.Hour) }}
	secret, _, err := past.Invite(t.Context(), l.workspace, "late@example.org", account.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	b.says(b.get("/dashboard/link/"+secret), 410, "This link has expired", "send a new invitation")
	b.says(b.post("/dashboard/link/"+secret, "name", "Late", "password", testPassword), 410, "This link has expired")

	secret, _, err = l.accounts.SignInLink(t.Context(), l.workspace, "ann@example.org")
	if err != nil {
		t.Fatal(err)
	}
	b.says(b.get("/dashboard/link/"+secret), 200, "Hello ann")
	b.says(b.get("/dashboard/link/"+secret), 200) // looking uses nothing up
	if a := b.post("/dashboard/link/" + secret); a.Header.Get("Location") != "/dashboard/me" {
		t.Errorf("%d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	me := b.get("/dashboard/me")
	b.says(me, 200, "You came by a link")
	if strings.Contains(me.body, "Current password") {
		t.Error("the lost password is asked for")
	}
	ann.says(ann.get("/dashboard/audit?action=session.open"), 200, "by link")
}

func TestRights(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	viewer := l.member("vic@example.org", account.Viewer)
	developer := l.member("dev@example.org", account.Developer)
	members, err := l.accounts.Members(t.Context(), l.workspace)
	if err != nil {
		t.Fatal(err)
	}
	ann, vic := members[0].ID, members[1].ID
	for _, b := range []*browserOf{viewer, developer} {
		b.says(b.get("/dashboard/audit"), 403, "Your role does not allow this")
		b.says(b.post("/dashboard/members/invite", "email", "x@example.org", "role", "admin"), 403)
		b.says(b.post("/dashboard/members/"+vic+"/role", "role", "admin"), 403)
		b.says(b.post("/dashboard/members/"+ann+"/remove"), 403)
		if page := b.get("/dashboard/members"); strings.Contains(page.body, "Invite somebody") || strings.Contains(page.body, "/dashboard/audit") {
			t.Error("what is not allowed is offered")
		}
	}
	nobody := &browserOf{lab: l}
	if a := nobody.post("/dashboard/members/" + vic + "/remove"); a.StatusCode != 303 || a.Header.Get("Location") != "/dashboard/signin" {
		t.Errorf("without a session: %d", a.StatusCode)
	}

	// Somebody else's sessions are not found.
	sessions, err := l.accounts.Sessions(t.Context(), members[0])
	if err != nil || len(sessions) != 1 {
		t.Fatal(sessions, err)
	}
	viewer.says(viewer.post("/dashboard/me/sessions/"+sessions[0].ID+"/close"), 404)

	admin.says(admin.post("/dashboard/members/"+ann+"/role", "role", "viewer"), 409, "The last admin stays")
	admin.says(admin.post("/dashboard/members/"+ann+"/remove"), 409, "The last admin stays")
	admin.says(admin.post("/dashboard/members/"+vic+"/role", "role", "root"), 422)
	admin.says(admin.post("/dashboard/members/"+vic+"/role", "role", "admin"), 303)
	admin.says(admin.get("/dashboard/members"), 200, "vic is Admin now.")
	viewer.says(viewer.get("/dashboard/audit?action=member.role"), 200, "Viewer → Admin", "192.0.2.1") // at once
	admin.says(admin.post("/dashboard/members/"+vic+"/remove"), 303)
	if a := viewer.get("/dashboard/me"); a.StatusCode != 303 {
		t.Errorf("who was removed is still in: %d", a.StatusCode)
	}
}

func TestInvite(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	admin.says(admin.post("/dashboard/members/invite", "email", "nonsense", "role", "viewer"), 422, `value="nonsense"`, "no e-mail address", `id="email-problem"`)
	a := admin.post("/dashboard/members/invite", "email", "bob@example.org", "role", "viewer")
	admin.says(a, 201, "bob@example.org is invited")
	link := regexp.MustCompile(`http://localhost:8080(/dashboard/link/[a-z0-9]+)`).FindStringSubmatch(a.body)
	if link == nil {
		t.Fatal(a.body)
	}
	page := admin.get("/dashboard/members")
	admin.says(page, 200, "They have not come yet.")
	if strings.Contains(page.body, link[1]) {
		t.Error("the link is shown again")
	}
	bob := &browserOf{lab: l}
	bob.says(bob.get(link[1]), 200, "You are invited", "as Viewer", "readonly")
	bob.says(bob.post(link[1], "name", "Bob", "email", "ann@example.org", "password", testPassword), 303)
	bob.says(bob.get("/dashboard/me"), 200, `value="bob@example.org"`)
	bob.says(bob.post("/dashboard/me", "name", "", "email", "ann@example.org"), 422, "Say what you are called.")
	bob.says(bob.post("/dashboard/me", "name", "Bob", "email", "ann@example.org"), 422, "Another member has this address.")
	bob.says(bob.post("/dashboard/me/password", "current", "wrong", "password", "another good one"), 422, "not your current password")
	bob.says(bob.post("/dashboard/me/password", "current", testPassword, "password", "another good one"), 303)
	bob.says(bob.get("/dashboard/me"), 200, "Your password is changed")
}

// A while after signing in, another address and another passkey want the password again.
func TestAnotherWayIn(t *testing.T) {
	l := newLab(t)
	ann := l.member("ann@example.org", account.Admin)
	ask := func(body string) shown {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/dashboard/passkey/new", strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return ann.do(r)
	}
	ann.says(ask("{}"), 200, "challenge")
	if me := ann.get("/dashboard/me"); strings.Contains(me.body, "about-password") || strings.Contains(me.body, "passkey-password") {
		t.Error("who has just signed in is asked for the password")
	}
	l.accounts.Now = func() time.Time { return time.Now().Add(time.Hour) }
	ann.says(ann.get("/dashboard/me"), 200, `name="about-password"`, `name="passkey-password"`)
	ann.says(ask("{}"), 422, `"passkey-password":"Type your current password."`)
	ann.says(ask(`{"password":"a wrong one"}`), 422, "not your current password")
	ann.says(ask(`{"password":"`+testPassword+`"}`), 200, "challenge")
	ann.says(ann.post("/dashboard/me", "name", "Ann Lee", "email", "ann@example.org"), 303) // another name wants nothing
	ann.says(ann.post("/dashboard/me", "name", "Ann <Lee>", "email", "eve@example.org"), 422, "Type your current password", `id="about-password-problem"`, `value="eve@example.org"`, `value="Ann &lt;Lee&gt;"`)
	ann.says(ann.post("/dashboard/me", "name", "Ann", "email", "lee@example.org", "about-password", testPassword), 303)
	ann.says(ann.get("/dashboard/me"), 200, `value="lee@example.org"`)
	for range 12 {
		ann.post("/dashboard/me", "name", "Ann", "email", "eve@example.org", "about-password", "guessed")
	}
	ann.says(ann.post("/dashboard/me", "name", "Ann", "email", "eve@example.org", "about-password", testPassword), 429, "Too many attempts", `value="eve@example.org"`)
	if a := ann.post("/dashboard/signout", "next", "/dashboard/me"); a.Header.Get("Location") != "/dashboard/signin?next=%2Fdashboard%2Fme" {
		t.Errorf("signing out for signing in leads to %q", a.Header.Get("Location"))
	}
	if a := l.member("bob@example.org", account.Viewer).post("/dashboard/signout", "next", "//evil.example.com/"); a.Header.Get("Location") != "/dashboard/signin?next=%2Fdashboard" {
		t.Errorf("signing out leads to %q", a.Header.Get("Location"))
	}
}

func TestForgedForm(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	for name, change := range map[string]func(*http.Request){
		"another site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a neighbour":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"an older browser": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example.com")
		},
		"without any origin": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	} {
		r := form("/dashboard/members/invite", "email", "mallory@example.org", "role", "admin")
		change(r)
		a := admin.do(r)
		admin.says(a, 403, "This came from another site")
		if invited, err := l.accounts.Invitations(t.Context(), l.workspace); err != nil || len(invited) > 0 {
			t.Fatalf("%s: %v, %v", name, invited, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/dashboard/passkey/new", strings.NewReader("{}"))
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	admin.says(admin.do(r), 403)
}

func TestHeaders(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	nobody := &browserOf{lab: l}
	for _, a := range []shown{admin.get("/dashboard/members"), nobody.get("/dashboard/signin"), nobody.get("/dashboard/nothing"), admin.post("/dashboard/signout")} {
		for name, want := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%d: %s is %q, want %q", a.StatusCode, name, got, want)
			}
		}
		if policy := a.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'; script-src 'self';") {
			t.Error(policy)
		}
	}
}

func TestHugeUpload(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	huge := strings.Repeat("x", maxBody)
	for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		body := "name=" + huge
		if strings.HasPrefix(kind, "multipart") {
			body = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n" + huge + "\r\n--x--\r\n"
		}
		r := form("/dashboard/me")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
		r.Header.Set("Content-Type", kind)
		admin.says(admin.do(r), 413, "This is too much at once")
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/dashboard/passkey/signin", strings.NewReader(`{"name":"`+huge+`"}`))
	r.Header.Set("Content-Type", "application/json")
	admin.says(admin.do(r), 400)
}

func TestMarkupStaysText(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	const hostile = `"><script>alert(1)</script>`
	admin.says(admin.post("/dashboard/me", "name", hostile, "email", "ann@example.org"), 303)
	for _, path := range []string{"/dashboard/me", "/dashboard/members", "/dashboard/audit"} {
		page := admin.get(path)
		admin.says(page, 200, "&lt;script&gt;")
		if strings.Contains(page.body, "<script>") {
			t.Errorf("%s: a name became markup", path)
		}
	}
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	l := newLab(t)
	l.member("ann@example.org", account.Admin)
	secret, _, err := l.accounts.Invite(t.Context(), l.workspace, "bob@example.org", account.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	l.db.Close()
	b := &browserOf{lab: l}
	b.says(b.get("/dashboard/link/"+secret), 500, "the server&#39;s fault")
	if log := l.log.String(); log == "" || strings.Contains(log, secret) {
		t.Errorf("log: %s", log)
	}
}

func TestAuditPages(t *testing.T) {
	l := newLab(t)
	admin := l.member("ann@example.org", account.Admin)
	for range auditPerPage + 5 {
		if err := l.accounts.Note(t.Context(), account.Member{WorkspaceID: l.workspace, Name: "Bob"}, "room.create", "a room", "192.0.2.9"); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(a shown) int { return strings.Count(a.body, "<tr>") - 1 }
	page := admin.get("/dashboard/audit?action=room.create")
	older := regexp.MustCompile(`href="(/dashboard/audit[^"]*start=[^"]*)"`).FindStringSubmatch(page.body)
	if rows(page) != auditPerPage || older == nil {
		t.Fatalf("%d rows\n%s", rows(page), page.body)
	}
	last := admin.get(strings.ReplaceAll(older[1], "&amp;", "&"))
	if rows(last) != 5 || !strings.Contains(last.body, "Newest") || strings.Contains(last.body, "Older") {
		t.Errorf("%d rows\n%s", rows(last), last.body)
	}
	admin.says(admin.get("/dashboard/audit?action=nothing"), 200, "Nobody did anything of the kind.")
}

func TestOwnPath(t *testing.T) {
	for path, want := range map[string]string{
		"/dashboard/apps?x=1#y": "/dashboard/apps?x=1#y", "/dashboard": "/dashboard",
		"": "/dashboard", "/": "/dashboard", "/meeting/x": "/dashboard", "https://evil.example.com/dashboard": "/dashboard",
		"//evil.example.com/dashboard": "/dashboard", `/\evil.example.com`: "/dashboard", "/dashboard/../..//evil.example.com": "/dashboard",
		"/dashboard/%2e%2e/x": "/dashboard", "/dashboardevil": "/dashboard", "javascript:alert(1)//dashboard": "/dashboard", "/dashboard\\x": "/dashboard",
	} {
		if got := ownPath(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
	l := newLab(t)
	l.member("ann@example.org", account.Admin)
	b := &browserOf{lab: l}
	a := b.post("/dashboard/signin", "email", "ann@example.org", "password", testPassword, "next", "//evil.example.com/dashboard")
	if a.Header.Get("Location") != "/dashboard" {
		t.Errorf("signing in leads to %q", a.Header.Get("Location"))
	}
}

// FuzzOwnPath looks for a path that leads a browser to another server.
func FuzzOwnPath(f *testing.F) {
	for _, seed := range []string{"/dashboard/apps", "//x/dashboard", `/dashboard\`, "/dashboard/..%2f..", "/dashboard\t//x"} {
		f.Add(seed)
	}
	base, _ := url.Parse("http://localhost:8080/dashboard/signin")
	f.Fuzz(func(t *testing.T, path string) {
		got := ownPath(path)
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != "http" || !strings.HasPrefix(to.EscapedPath(), "/dashboard") {
			t.Errorf("%q leads to %v, %v", path, to, err)
		}
	})
}

func TestBrowserNames(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                            "Chrome on Android", "curl/8.0": "curl", "": "A program",
	} {
		if got := browser(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}
