package dashboard

import (
	"cmp"
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"amphi/server/account"
	"amphi/server/api"
	"amphi/server/policy"
	"amphi/server/store"
	"amphi/server/webhook"
)

// rights says for every address of the dashboard who may at least be to use it. An address that is not in here fails the test.
const rights = `
everybody GET  /dashboard/{$}
everybody GET  /dashboard/signin
everybody POST /dashboard/signin
everybody GET  /dashboard/link/{secret}
everybody POST /dashboard/link/{secret}
everybody POST /dashboard/passkey/signin
everybody POST /dashboard/passkey/signin/finish
everybody POST /dashboard/passkey/link/{secret}
everybody POST /dashboard/passkey/link/{secret}/finish
viewer    POST /dashboard/passkey/new
viewer    POST /dashboard/passkey/new/finish
viewer    GET  /dashboard
viewer    POST /dashboard/signout
viewer    GET  /dashboard/me
viewer    POST /dashboard/me
viewer    POST /dashboard/me/password
viewer    POST /dashboard/me/passkeys/{id}/remove
viewer    POST /dashboard/me/sessions/{id}/close
viewer    POST /dashboard/me/sessions/close
viewer    GET  /dashboard/members
admin     POST /dashboard/members/invite
admin     POST /dashboard/members/{id}/role
admin     POST /dashboard/members/{id}/remove
admin     POST /dashboard/invitations/{id}/remove
admin     GET  /dashboard/audit
viewer    GET  /dashboard/apps
developer GET  /dashboard/apps/new
developer POST /dashboard/apps/new
developer GET  /dashboard/apps/import
developer GET  /dashboard/apps/subdomain
viewer    GET  /dashboard/apps/{app}
viewer    GET  /dashboard/apps/{app}/settings
developer POST /dashboard/apps/{app}/settings
viewer    GET  /dashboard/apps/{app}/export
developer POST /dashboard/apps/{app}/codes
developer POST /dashboard/apps/{app}/delete
viewer    GET  /dashboard/apps/{app}/roles
developer GET  /dashboard/apps/{app}/roles/new
developer POST /dashboard/apps/{app}/roles/new
viewer    GET  /dashboard/apps/{app}/roles/{role}
developer POST /dashboard/apps/{app}/roles/{role}
viewer    POST /dashboard/apps/{app}/roles/{role}/level
developer POST /dashboard/apps/{app}/roles/{role}/delete
viewer    GET  /dashboard/apps/{app}/destinations
developer POST /dashboard/apps/{app}/destinations/add
developer POST /dashboard/apps/{app}/destinations/stream
viewer    POST /dashboard/apps/{app}/destinations/look
viewer    POST /dashboard/apps/{app}/destinations/preview
viewer    GET  /dashboard/apps/{app}/pictures/{key}
developer POST /dashboard/apps/{app}/destinations/record
developer POST /dashboard/apps/{app}/destinations/push
developer POST /dashboard/apps/{app}/destinations/push/delete
developer POST /dashboard/apps/{app}/destinations/storage
viewer    GET  /dashboard/apps/{app}/brand
developer POST /dashboard/apps/{app}/brand
viewer    GET  /dashboard/rooms
developer GET  /dashboard/rooms/new
developer POST /dashboard/rooms/new
viewer    GET  /dashboard/rooms/{room}
viewer    GET  /dashboard/rooms/{room}/settings
developer POST /dashboard/rooms/{room}/settings
developer POST /dashboard/rooms/{room}/enabled
developer POST /dashboard/rooms/{room}/codes
developer POST /dashboard/rooms/{room}/codes/{code}
viewer    GET  /dashboard/rooms/{room}/codes/{code}/qr.svg
developer POST /dashboard/rooms/{room}/stream-key
viewer    GET  /dashboard/rooms/{room}/live
viewer    GET  /dashboard/rooms/{room}/live/now
developer POST /dashboard/rooms/{room}/live/stream
developer POST /dashboard/rooms/{room}/live/recording
developer POST /dashboard/rooms/{room}/live/message
developer POST /dashboard/rooms/{room}/live/end
viewer    GET  /dashboard/rooms/{room}/live/peers/{peer}
developer POST /dashboard/rooms/{room}/live/peers/{peer}/role
developer POST /dashboard/rooms/{room}/live/peers/{peer}/mute
developer POST /dashboard/rooms/{room}/live/peers/{peer}/remove
viewer    GET  /dashboard/sessions
viewer    GET  /dashboard/sessions/{session}
viewer    GET  /dashboard/sessions/{session}/attendance.csv
viewer    GET  /dashboard/recordings
viewer    GET  /dashboard/recordings/{asset}
developer GET  /dashboard/developer
developer GET  /dashboard/developer/keys
developer POST /dashboard/developer/keys
developer POST /dashboard/developer/keys/{key}/rotate
developer POST /dashboard/developer/keys/{key}/disable
developer POST /dashboard/developer/tokens/management
developer POST /dashboard/developer/tokens/auth
developer GET  /dashboard/developer/webhooks
developer POST /dashboard/developer/webhooks
developer POST /dashboard/developer/webhooks/secret
developer POST /dashboard/developer/webhooks/test
developer POST /dashboard/developer/webhooks/replay
developer GET  /dashboard/developer/api
developer POST /dashboard/developer/api
developer GET  /dashboard/developer/events
developer GET  /dashboard/developer/usage
developer GET  /dashboard/developer/health
developer POST /dashboard/developer/health
`

// address is one of the table: who may use it, and how it is asked.
type address struct {
	need         account.Role // "" = everybody
	method, path string
}

func (a address) String() string { return a.method + " " + a.path }

func addresses(t *testing.T) []address {
	t.Helper()
	var list []address
	for line := range strings.Lines(strings.TrimSpace(rights)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("no line of the table: %q", line)
		}
		a := address{account.Role(fields[0]), fields[1], fields[2]}
		if a.need == "everybody" {
			a.need = ""
		}
		list = append(list, a)
	}
	return list
}

var pathValue = regexp.MustCompile(`\{(\w+)\}`)

// filled is the path with values in the place of names; one that has none is "x", of which there is nothing.
func (a address) filled(values map[string]string) string {
	return strings.TrimSuffix(pathValue.ReplaceAllStringFunc(a.path, func(name string) string {
		if value := values[strings.Trim(name, "{}")]; value != "" {
			return url.PathEscape(value)
		}
		return "x"
	}), "{$}")
}

// TestEveryAddressIsInTheTable reads the package's source for what is registered.
func TestEveryAddressIsInTheTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var registered []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(literal.Value); err == nil && regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /dashboard`).MatchString(text) {
				registered = append(registered, text)
			}
			return true
		})
	}
	var known []string
	for _, a := range addresses(t) {
		known = append(known, a.String())
	}
	slices.Sort(registered)
	slices.Sort(known)
	if !slices.Equal(registered, known) {
		t.Errorf("registered: %q\nin the table: %q", registered, known)
	}
}

// parts is what pages need that the table asks.
func parts(c *Config) {
	c.AppParts = AppParts{ReadTemplate: api.ReadTemplate, ShowTemplate: api.ShowTemplate}
}

// again signs the member in again: another request may have signed them out.
func (k *desk) again(role account.Role) {
	k.t.Helper()
	who := account.Member{ID: k.member, WorkspaceID: k.seed.Workspace.ID, Role: role}
	var err error
	if k.cookie, err = (&account.Accounts{Store: k.store}).Open(k.t.Context(), who, account.ByPassword, "test", "::1"); err != nil {
		k.t.Fatal(err)
	}
}

// TestRightsOfEveryAddress asks every address in the name of everybody: it is refused to those who may less than the table
// says, and to nobody else. Whatever is answered has the headers, and markup without inline script or style.
func TestRightsOfEveryAddress(t *testing.T) {
	for _, role := range []account.Role{"", account.Viewer, account.Developer, account.Admin} {
		t.Run("as "+string(role), func(t *testing.T) {
			k := desked(t, cmp.Or(role, account.Viewer), parts)
			for _, a := range addresses(t) {
				if role != "" {
					k.again(role)
				} else {
					k.cookie = "of-nobody"
				}
				status, body, header := k.do(a.method, a.filled(nil), url.Values{})
				out := strings.HasPrefix(header.Get("Location"), "/dashboard/signin") ||
					status == http.StatusUnauthorized && strings.Contains(body, "You are signed out")
				switch {
				case role == "" && a.need != "":
					if !out {
						t.Errorf("%s without a session: %d to %q", a, status, header.Get("Location"))
					}
				case a.need != "" && !role.Covers(a.need):
					if status != http.StatusForbidden || !strings.Contains(body, "Your role does not allow this") {
						t.Errorf("%s: %d", a, status)
					}
				case out && a.path != "/dashboard/signout" || status == http.StatusForbidden || status >= 500:
					t.Errorf("%s, which is allowed: %d to %q", a, status, header.Get("Location"))
				}
				holdsHeaders(t, a.String(), header)
				holdsMarkup(t, a.String(), header, body)
			}
		})
	}
}

// holdsHeaders checks what every answer of the dashboard says to browsers.
func holdsHeaders(t *testing.T, what string, header http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": contentPolicy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	if got := header.Get("Cache-Control"); got != "no-store" && !strings.HasPrefix(got, "private,") {
		t.Errorf("%s: Cache-Control is %q", what, got)
	}
}

// inline is what the policy would refuse: scripts and styles within the page, handlers of events, addresses that are script.
var inline = regexp.MustCompile(`(?i)<script(?:\s+[^>]*)?>[^<]|<style|<[^>]+\s(?:style|on[a-z]+)\s*=|(?:href|src|action)="\s*javascript:`)

func holdsMarkup(t *testing.T, what string, header http.Header, body string) {
	t.Helper()
	if !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		return
	}
	if found := inline.FindString(body); found != "" {
		t.Errorf("%s: the page has %q", what, found)
	}
}

// TestOthersThings asks for what belongs to another workspace: it is as if it were not there, whatever one may do at home.
func TestOthersThings(t *testing.T) {
	k := desked(t, account.Admin, func(c *Config) {
		parts(c)
		c.Hooks = &webhook.Sender{Store: c.Store}
	})
	session := held(t, k)
	accounts := &account.Accounts{Store: k.store}
	_, invited, err := accounts.Invite(t.Context(), k.seed.Workspace.ID, "bob@example.org", account.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	link := store.MemberLink{ID: store.NewID(), Hash: "another", Email: "eve@example.org", WorkspaceID: k.seed.Workspace.ID, Role: string(account.Admin), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	if err := k.store.AddMemberLink(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	eve, err := k.store.UseMemberLink(t.Context(), link.Hash, store.Member{ID: store.NewID(), Email: "eve@example.org", Name: "Eve"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := k.store.RoomCodes(t.Context(), k.seed.Room.ID, store.CodeFilter{Role: policy.RoleBroadcaster}, store.Page{Limit: 1})
	if err != nil || len(codes) != 1 {
		t.Fatal(codes, err)
	}

	// All of it moves to another workspace; Ann stays where she is.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: k.path}).EscapedPath()}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // a temporary table is the connection's own
	for _, statement := range []string{"CREATE TEMP TABLE w AS SELECT * FROM workspaces", "UPDATE w SET id = 'other'", "INSERT INTO workspaces SELECT * FROM w"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.QueryContext(t.Context(), `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'workspace_id' WHERE m.type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if err := rows.Err(); err != nil || !slices.Contains(tables, "rooms") || !slices.Contains(tables, "templates") {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		statement := "UPDATE " + table + " SET workspace_id = 'other'"
		if table == "members" {
			statement += " WHERE id <> '" + k.member + "'"
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(table, err)
		}
	}

	theirs := map[string]string{"app": k.seed.Room.TemplateID, "room": k.seed.Room.ID, "session": session, "key": k.seed.Key.AccessKey,
		"code": codes[0].Code, "role": policy.RoleBroadcaster}
	asked := 0
	for _, a := range addresses(t) {
		values := maps.Clone(theirs)
		switch {
		case strings.Contains(a.path, "/members/"):
			values["id"] = eve.ID
		case strings.Contains(a.path, "/invitations/"):
			values["id"] = invited.ID
		}
		if a.need == "" || !pathValue.MatchString(a.path) || strings.HasPrefix(a.path, "/dashboard/me/") {
			continue
		}
		if strings.HasSuffix(a.path, "/level") {
			continue // it says what the form means that was sent, and looks nothing up
		}
		asked++
		status, body, header := k.do(a.method, a.filled(values), url.Values{
			"name": {"theirs"}, "do": {"start"}, "message": {"hello"}, "role": {"viewer"}, "enabled": {"false"}, "start": {"empty"}})
		// Somebody who is not in the room is looked for there: the way back leads to the room, which is not there.
		gone := status == http.StatusSeeOther && strings.Contains(a.path, "/peers/")
		if status != http.StatusNotFound && !gone {
			t.Errorf("%s of another workspace: %d to %q", a, status, header.Get("Location"))
		}
		for _, secret := range []string{k.seed.Room.Name, "eve@example.org", codes[0].Code, k.seed.Key.Secret} {
			if strings.Contains(body, secret) {
				t.Errorf("%s of another workspace tells %q", a, secret)
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d addresses were asked", asked)
	}
	if r, err := k.store.AnyRoom(t.Context(), k.seed.Room.ID); err != nil || !r.Enabled {
		t.Errorf("their room changed: %+v, %v", r, err)
	}
}
