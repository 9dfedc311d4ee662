package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

// visit is one request of somebody who is signed in.
type visit struct {
	*dashboard
	Member    account.Member
	Session   account.Session
	Workspace store.Workspace
	w         http.ResponseWriter
	r         *http.Request
	flash     string // what was done just before
}

// visit finds out whose request this is.
func (d *dashboard) visit(w http.ResponseWriter, r *http.Request) (*visit, error) {
	cookie, err := r.Cookie(d.sessionCookie(r))
	if err != nil {
		return nil, account.ErrSignedOut
	}
	v := &visit{dashboard: d, w: w, r: r}
	v.Member, v.Session, err = d.Accounts.Who(r.Context(), cookie.Value, d.ClientAddr(r).String())
	if err != nil {
		return nil, err
	}
	v.Workspace, err = d.Store.Workspace(r.Context(), v.Member.WorkspaceID)
	return v, err
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// value is a part of the path that the pattern names.
func (v *visit) value(name string) string { return v.r.PathValue(name) }

// query is a value of the address's query, without the spaces around it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// form is what was sent.
func (v *visit) form() dash.Form { return dash.Form{Values: v.r.PostForm} }

// may says whether the member's role covers need.
func (v *visit) may(need account.Role) bool { return v.Member.Role.Covers(need) }

// page sends a page.
func (v *visit) page(title string, at dash.Place, content templ.Component) error {
	return v.pageStatus(http.StatusOK, title, at, content)
}

// refused sends a page whose form has problems.
func (v *visit) refused(title string, at dash.Place, content templ.Component) error {
	return v.pageStatus(http.StatusUnprocessableEntity, title, at, content)
}

// pageStatus sends a page with another status.
func (v *visit) pageStatus(status int, title string, at dash.Place, content templ.Component) error {
	v.flash = v.takeFlash()
	v.draw(v.w, v.r, status, v.framed(title, at, content))
	return nil
}

// part sends a piece of a page, for htmx.
func (v *visit) part(content templ.Component) error {
	v.draw(v.w, v.r, http.StatusOK, content)
	return nil
}

func (v *visit) framed(title string, at dash.Place, content templ.Component) templ.Component {
	return dash.InFrame(dash.Frame{
		Page: v.dashboard.page(v.r, title), At: at, Workspace: v.Workspace.Name,
		Name: v.Member.Name, Role: roleName(v.Member.Role), Admin: v.may(account.Admin), Flash: v.flash,
	}, content)
}

// done ends what a form did: the next page is that at path, and it says message.
func (v *visit) done(path, message string) error {
	if message != "" {
		v.setFlash(message)
	}
	return v.redirect(path)
}

// setFlash has the next page say message.
func (v *visit) setFlash(message string) {
	http.SetCookie(v.w, &http.Cookie{Name: flashCookie, Value: url.QueryEscape(message), Path: "/dashboard", MaxAge: 60,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: v.https(v.r)})
}

// redirect leads to another page of the dashboard.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.r, ownPath(path), http.StatusSeeOther)
	return nil
}

// audit writes to the audit log that the member did action ("room.create") to what, as people read it.
func (v *visit) audit(action, what string) { v.record(v.r, v.Member, action, what) }

// flashCookie carries a message over a redirect.
const flashCookie = "amphi-flash"

func (v *visit) takeFlash() string {
	cookie, err := v.r.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	http.SetCookie(v.w, &http.Cookie{Name: flashCookie, Path: "/dashboard", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: v.https(v.r)})
	message, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return ""
	}
	return message
}

// ownPath is path if it is one of the dashboard, else the dashboard's first page: a redirect leads nowhere else.
func ownPath(path string) string {
	u, err := url.Parse(path)
	own := err == nil && u.Scheme == "" && u.Host == "" && u.User == nil &&
		(u.Path == "/dashboard" || strings.HasPrefix(u.Path, "/dashboard/")) && strings.HasPrefix(path, "/dashboard") &&
		!strings.Contains(path, `\`) && !strings.Contains(u.Path, "..")
	if !own {
		return "/dashboard"
	}
	return path
}

// sessionCookie is the name of the cookie. With https its prefix makes browsers refuse one that a neighbouring host
// name has set (RFC 6265bis section 4.1.3.2).
func (c Config) sessionCookie(r *http.Request) string {
	if c.https(r) {
		return "__Host-amphi-session"
	}
	return "amphi-session"
}

// SignedIn says whether a request comes from a member's browser.
func (c Config) SignedIn(r *http.Request) bool {
	cookie, err := r.Cookie(c.sessionCookie(r))
	if err == nil {
		_, _, err = c.Accounts.Who(r.Context(), cookie.Value, c.ClientAddr(r).String())
	}
	return err == nil
}

// setSession gives the browser its session; an empty secret takes it.
func (d *dashboard) setSession(w http.ResponseWriter, r *http.Request, secret string) {
	cookie := &http.Cookie{Name: d.sessionCookie(r), Value: secret, Path: "/", MaxAge: int(account.SessionAbsolute.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: d.https(r)}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

func roleName(r account.Role) string {
	switch r {
	case account.Admin:
		return "Admin"
	case account.Developer:
		return "Developer"
	default:
		return "Viewer"
	}
}
