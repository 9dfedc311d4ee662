package dashboard

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) me() {
	d.handle("GET /dashboard/me", account.Viewer, func(v *visit) error { return v.myPage(http.StatusOK, v.myForm(), dash.Form{}) })
	d.handle("POST /dashboard/me", account.Viewer, (*visit).rename)
	d.handle("POST /dashboard/me/password", account.Viewer, (*visit).setPassword)
	d.handle("POST /dashboard/me/passkeys/{id}/remove", account.Viewer, (*visit).removePasskey)
	d.handle("POST /dashboard/me/sessions/{id}/close", account.Viewer, (*visit).closeSession)
	d.handle("POST /dashboard/me/sessions/close", account.Viewer, (*visit).closeSessions)
}

func (v *visit) myForm() dash.Form {
	return dash.Filled("name", v.Member.Name, "email", v.Member.Email)
}

// myPage draws the page with its two forms: who one is, and the password.
func (v *visit) myPage(status int, about, password dash.Form) error {
	content, err := v.myContent(about, password)
	if err != nil {
		return err
	}
	return v.pageStatus(status, "Your account", dash.PlaceMe, content)
}

func (v *visit) myContent(about, password dash.Form) (templ.Component, error) {
	me := dash.Me{Name: v.Member.Name, HasPassword: v.Member.HasPassword, ByLink: v.Session.ByLink(), Fresh: v.Session.Fresh()}
	sessions, err := v.Accounts.Sessions(v.ctx(), v.Member)
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		me.Sessions = append(me.Sessions, dash.Session{ID: s.ID, Browser: browser(s.Agent), By: s.Method, From: s.Address,
			Since: s.CreatedAt, Seen: s.SeenAt, This: s.ID == v.Session.ID})
	}
	keys, err := v.Accounts.Passkeys(v.ctx(), v.Member)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		me.Passkeys = append(me.Passkeys, dash.Passkey{ID: k.ID, Name: k.Name, Since: k.CreatedAt, Used: k.UsedAt})
	}
	return dash.MePage(me, about, password), nil
}

// confirm makes sure that it is the member who asks for another way in, by the password that was typed into a field.
func (v *visit) confirm(field, password string) error {
	return v.Accounts.Confirm(v.ctx(), v.ClientAddr(v.r), v.Member, v.Session, field, password)
}

// refusedBy moves the problems that err consists of into the form, those of too many attempts to the field of the password,
// and returns the status of the page with it; 0 if err is something else.
func (v *visit) refusedBy(form *dash.Form, password string, err error) int {
	var tooMany account.TooMany
	switch {
	case errors.As(err, &tooMany):
		v.w.Header().Set("Retry-After", strconv.Itoa(tooMany.Seconds()))
		form.Refuse(password, "Too many attempts. Try again in "+tooMany.Wait()+".")
		return http.StatusTooManyRequests
	case refuse(form, err):
		return http.StatusUnprocessableEntity
	}
	return 0
}

func (v *visit) rename() error {
	form := v.form()
	m, err := v.Member, error(nil)
	if form.Get("email") != m.Email { // who changes it signs in with the new one
		err = v.confirm(dash.AboutPassword, form.Values.Get(dash.AboutPassword))
	}
	if err == nil {
		m, err = v.Accounts.Rename(v.ctx(), m, form.Get("name"), form.Get("email"))
	}
	if status := v.refusedBy(&form, dash.AboutPassword, err); status != 0 {
		return v.myPage(status, form, dash.Form{})
	}
	if err != nil {
		return err
	}
	v.audit("member.change", m.Name+", "+m.Email)
	return v.done(string(dash.PlaceMe), "Saved.")
}

func (v *visit) setPassword() error {
	form := v.form()
	err := v.Accounts.SetPassword(v.ctx(), v.ClientAddr(v.r), v.Member, v.Session, form.Values.Get("current"), form.Values.Get("password"))
	if status := v.refusedBy(&form, "current", err); status != 0 {
		return v.myPage(status, v.myForm(), form)
	}
	if err != nil {
		return err
	}
	v.audit("member.password", "changed")
	return v.done(string(dash.PlaceMe), "Your password is changed, and you are signed out everywhere else.")
}

func (v *visit) removePasskey() error {
	switch err := v.Accounts.RemovePasskey(v.ctx(), v.Member, v.value("id")); {
	case errors.Is(err, store.ErrConflict):
		return problem{http.StatusConflict, "It is your only way in", "Set a password or add another passkey first."}
	case err != nil:
		return err
	}
	v.audit("passkey.remove", v.Member.Email)
	return v.done(string(dash.PlaceMe), "The passkey is removed. Remove it from your device too.")
}

func (v *visit) closeSession() error {
	if err := v.Accounts.Close(v.ctx(), v.Member, v.value("id")); err != nil {
		return err
	}
	v.audit("session.close", "another one")
	return v.done(string(dash.PlaceMe), "That browser is signed out.")
}

func (v *visit) closeSessions() error {
	if err := v.Accounts.CloseOthers(v.ctx(), v.Member, v.Session); err != nil {
		return err
	}
	v.audit("session.close", "all others")
	return v.done(string(dash.PlaceMe), "You are signed out everywhere else.")
}
