package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) signIn() {
	d.open("GET /dashboard/signin", d.signInPage)
	d.open("POST /dashboard/signin", d.signInWithPassword)
	d.open("GET /dashboard/link/{secret}", d.linkPage)
	d.open("POST /dashboard/link/{secret}", d.useLink)
	d.handle("POST /dashboard/signout", account.Viewer, (*visit).signOut)
}

func (d *dashboard) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := ownPath(r.URL.Query().Get("next"))
	if _, err := d.visit(w, r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return d.outside(w, r, http.StatusOK, "Sign in", dash.SignIn(dash.Filled("next", next)))
}

func (d *dashboard) signInWithPassword(w http.ResponseWriter, r *http.Request) error {
	form := dash.Form{Values: r.PostForm}
	form.Values.Set("next", ownPath(form.Get("next")))
	email, password := form.Get("email"), form.Values.Get("password")
	if email == "" {
		form.Refuse("email", "Type the e-mail address that you are a member with.")
	}
	if password == "" {
		form.Refuse("password", "Type your password.")
	}
	status := http.StatusUnprocessableEntity
	if form.Good() {
		m, err := d.Accounts.SignIn(r.Context(), d.ClientAddr(r), email, password)
		var tooMany account.TooMany
		switch {
		case err == nil:
			return d.enter(w, r, m, account.ByPassword, form.Get("next"))
		case errors.As(err, &tooMany):
			status = http.StatusTooManyRequests
			w.Header().Set("Retry-After", strconv.Itoa(tooMany.Seconds()))
			form.Refuse("password", "Too many attempts. Try again in "+tooMany.Wait()+".")
		case errors.Is(err, account.ErrWrong):
			form.Refuse("password", "E-mail or password is wrong.")
		default:
			return err
		}
	}
	return d.outside(w, r, status, "Sign in", dash.SignIn(form))
}

// enter begins a session for m and leads to next.
func (d *dashboard) enter(w http.ResponseWriter, r *http.Request, m account.Member, method, next string) error {
	if err := d.begin(w, r, m, method); err != nil {
		return err
	}
	http.Redirect(w, r, ownPath(next), http.StatusSeeOther)
	return nil
}

// begin begins a session for m in the browser that sent r.
func (d *dashboard) begin(w http.ResponseWriter, r *http.Request, m account.Member, method string) error {
	secret, err := d.Accounts.Open(r.Context(), m, method, r.UserAgent(), d.ClientAddr(r).String())
	if err != nil {
		return err
	}
	d.setSession(w, r, secret)
	d.record(r, m, "session.open", "by "+method)
	return nil
}

func (v *visit) signOut() error {
	if err := v.Accounts.Close(v.ctx(), v.Member, v.Session.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	v.audit("session.close", "signed out")
	v.setSession(v.w, v.r, "")
	if next := v.form().Get("next"); next != "" { // to sign in again for it
		return v.redirect("/dashboard/signin?next=" + url.QueryEscape(ownPath(next)))
	}
	return v.redirect("/dashboard/signin")
}

// linkProblem says why a link opens nothing, and what to do.
func linkProblem(err error) error {
	const again = "On the machine of the server, amphi signin prints a new link to sign in; an admin can send a new invitation."
	switch {
	case errors.Is(err, store.ErrExpired):
		return problem{http.StatusGone, "This link has expired", "Links work for a while only. " + again}
	case errors.Is(err, store.ErrUsed):
		return problem{http.StatusGone, "This link was used already", "Each link works once. If it was you, just sign in. " + again}
	case errors.Is(err, store.ErrNotFound):
		return problem{http.StatusNotFound, "This link opens nothing", "Check that it is complete. It may also have been taken back. " + again}
	}
	return err
}

// linkPage shows what a link opens, and uses nothing up: programs that look at links before people do see this page.
func (d *dashboard) linkPage(w http.ResponseWriter, r *http.Request) error {
	l, whom, err := d.link(r)
	if err != nil {
		return err
	}
	if l.MemberID != "" {
		return d.outside(w, r, http.StatusOK, "Sign in", dash.SignInByLink(whom.Name))
	}
	return d.outside(w, r, http.StatusOK, "Welcome", dash.Welcome(welcome(r, l), dash.Filled("email", l.Email)))
}

// link says what the link in the address opens. Secrets are too long to be guessed, but nobody needs to try many.
func (d *dashboard) link(r *http.Request) (account.Link, account.Member, error) {
	l, whom, err := d.Accounts.Link(r.Context(), r.PathValue("secret"))
	if errors.Is(err, store.ErrNotFound) {
		if err := d.Accounts.Attempt(d.ClientAddr(r), ""); err != nil {
			return l, whom, err
		}
	}
	return l, whom, linkProblem(err)
}

func welcome(r *http.Request, l account.Link) dash.Newcomer {
	return dash.Newcomer{Secret: r.PathValue("secret"), First: l.Email == "", Email: l.Email, Role: roleName(l.Role)}
}

func (d *dashboard) useLink(w http.ResponseWriter, r *http.Request) error {
	l, _, err := d.link(r)
	if err != nil {
		return err
	}
	secret := r.PathValue("secret")
	if l.MemberID != "" {
		m, err := d.Accounts.Use(r.Context(), secret)
		if err != nil {
			return linkProblem(err)
		}
		return d.enter(w, r, m, account.ByLink, string(dash.PlaceMe))
	}
	form := dash.Form{Values: r.PostForm}
	m, err := d.Accounts.Accept(r.Context(), secret, account.Person{
		Name: form.Get("name"), Email: form.Get("email"), Password: form.Values.Get("password")})
	if refuse(&form, err) {
		return d.outside(w, r, http.StatusUnprocessableEntity, "Welcome", dash.Welcome(welcome(r, l), form))
	}
	if err != nil {
		return linkProblem(err)
	}
	d.record(r, m, "member.join", m.Email+" as "+roleName(m.Role))
	return d.enter(w, r, m, account.ByPassword, "/dashboard")
}

// refuse moves the problems that err consists of into the form, and says whether it does.
func refuse(form *dash.Form, err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		refused := false
		for _, one := range joined.Unwrap() {
			refused = refuse(form, one) || refused
		}
		return refused
	}
	var p account.Problem
	if !errors.As(err, &p) {
		return false
	}
	form.Refuse(p.Field, p.Text)
	return true
}
