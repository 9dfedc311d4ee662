package dashboard

import (
	"errors"
	"net/http"

	"github.com/a-h/templ"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

func (d *dashboard) members() {
	d.handle("GET /dashboard/members", account.Viewer, (*visit).membersPage)
	d.handle("POST /dashboard/members/invite", account.Admin, (*visit).invite)
	d.handle("POST /dashboard/members/{id}/role", account.Admin, (*visit).setRole)
	d.handle("POST /dashboard/members/{id}/remove", account.Admin, (*visit).removeMember)
	d.handle("POST /dashboard/invitations/{id}/remove", account.Admin, (*visit).uninvite)
}

// memberList draws the page; form is that of inviting, and link what was made of it.
func (v *visit) memberList(form dash.Form, invited account.Link, link string) (templ.Component, error) {
	list := dash.Members{Admin: v.may(account.Admin), Link: link, Invited: invited.Email}
	members, err := v.Accounts.Members(v.ctx(), v.Workspace.ID)
	if err != nil {
		return nil, err
	}
	admins := 0
	for _, m := range members {
		if m.Role == account.Admin {
			admins++
		}
	}
	for _, m := range members {
		list.Members = append(list.Members, dash.Member{ID: m.ID, Name: m.Name, Email: m.Email, Role: string(m.Role), RoleName: roleName(m.Role),
			Since: m.CreatedAt, You: m.ID == v.Member.ID, Last: m.Role == account.Admin && admins == 1})
	}
	if list.Admin {
		invitations, err := v.Accounts.Invitations(v.ctx(), v.Workspace.ID)
		if err != nil {
			return nil, err
		}
		for _, l := range invitations {
			list.Invitations = append(list.Invitations, dash.Invitation{ID: l.ID, Email: l.Email, RoleName: roleName(l.Role), Expires: l.ExpiresAt})
		}
	}
	for _, r := range account.Roles {
		list.Roles = append(list.Roles, dash.Option{Value: string(r), Label: roleName(r)})
	}
	return dash.MembersPage(list, form), nil
}

func (v *visit) membersPage() error {
	content, err := v.memberList(dash.Filled("role", string(account.Developer)), account.Link{}, "")
	if err != nil {
		return err
	}
	return v.page("Members", dash.PlaceMembers, content)
}

func (v *visit) invite() error {
	form := v.form()
	secret, invited, err := v.Accounts.Invite(v.ctx(), v.Workspace.ID, form.Get("email"), account.Role(form.Get("role")))
	if errors.Is(err, store.ErrTooMany) {
		err = account.Problem{Field: "email", Text: "There are too many open invitations. Take some back first."}
	}
	refused := refuse(&form, err)
	if err != nil && !refused {
		return err
	}
	link, status := "", http.StatusUnprocessableEntity
	if !refused {
		v.audit("member.invite", invited.Email+" as "+roleName(invited.Role))
		// Shown here, and never again: the store has its hash only.
		link, status = v.origin(v.r)+"/dashboard/link/"+secret, http.StatusCreated
		form = dash.Filled("role", string(account.Developer))
	}
	content, err := v.memberList(form, invited, link)
	if err != nil {
		return err
	}
	return v.pageStatus(status, "Members", dash.PlaceMembers, content)
}

var errLastAdmin = problem{http.StatusConflict, "The last admin stays", "A workspace needs somebody who can let others in. Make somebody else an admin first."}

func (v *visit) setRole() error {
	before, err := v.Accounts.Member(v.ctx(), v.Workspace.ID, v.value("id"))
	if err != nil {
		return err
	}
	after, err := v.Accounts.SetRole(v.ctx(), v.Workspace.ID, before.ID, account.Role(v.form().Get("role")))
	var wrong account.Problem
	switch {
	case errors.Is(err, store.ErrLastAdmin):
		return errLastAdmin
	case errors.As(err, &wrong):
		return problem{http.StatusUnprocessableEntity, "There is no such role", wrong.Text}
	case err != nil:
		return err
	}
	v.audit("member.role", after.Email+": "+roleName(before.Role)+" → "+roleName(after.Role))
	return v.done(string(dash.PlaceMembers), after.Name+" is "+roleName(after.Role)+" now.")
}

func (v *visit) removeMember() error {
	m, err := v.Accounts.Member(v.ctx(), v.Workspace.ID, v.value("id"))
	if err != nil {
		return err
	}
	switch err := v.Accounts.Remove(v.ctx(), v.Workspace.ID, m.ID); {
	case errors.Is(err, store.ErrLastAdmin):
		return errLastAdmin
	case err != nil:
		return err
	}
	v.audit("member.remove", m.Email)
	return v.done(string(dash.PlaceMembers), m.Name+" is no member any more, and signed out everywhere.")
}

func (v *visit) uninvite() error {
	if err := v.Accounts.Uninvite(v.ctx(), v.Workspace.ID, v.value("id")); err != nil {
		return err
	}
	v.audit("member.uninvite", v.form().Get("email"))
	return v.done(string(dash.PlaceMembers), "The invitation is taken back: its link opens nothing any more.")
}
