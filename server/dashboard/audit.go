package dashboard

import (
	"net/url"

	"amphi/server/account"
	"amphi/server/store"
	"amphi/templates/dash"
)

// auditPerPage is how many entries of the audit log one page shows.
const auditPerPage = 50

func (d *dashboard) audits() {
	d.handle("GET /dashboard/audit", account.Admin, (*visit).auditPage)
}

func (v *visit) auditPage() error {
	filter := store.AuditFilter{MemberID: v.query("member"), Action: v.query("action")}
	start := v.query("start")
	entries, err := v.Store.Audit(v.ctx(), v.Workspace.ID, filter, store.Page{Limit: auditPerPage + 1, Start: start})
	if err != nil {
		return err
	}
	members, err := v.Accounts.Members(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	actions, err := v.Store.AuditActions(v.ctx(), v.Workspace.ID)
	if err != nil {
		return err
	}
	log := dash.AuditLog{Members: []dash.Option{{Value: "", Label: "Everybody"}}, Actions: []dash.Option{{Value: "", Label: "Everything"}}}
	for _, m := range members {
		log.Members = append(log.Members, dash.Option{Value: m.ID, Label: m.Name})
	}
	for _, a := range actions {
		log.Actions = append(log.Actions, dash.Option{Value: a, Label: a})
	}
	page := func(start string) string {
		query := url.Values{}
		for name, value := range map[string]string{"member": filter.MemberID, "action": filter.Action, "start": start} {
			if value != "" {
				query.Set(name, value)
			}
		}
		return string(dash.PlaceAudit) + "?" + query.Encode()
	}
	if start != "" {
		log.Pages.Newer = page("")
	}
	if len(entries) > auditPerPage {
		entries = entries[:auditPerPage]
		log.Pages.Older = page(entries[len(entries)-1].ID)
	}
	for _, e := range entries {
		log.Entries = append(log.Entries, dash.AuditEntry{At: e.CreatedAt, Who: e.Member, Action: e.Action, What: e.What, From: e.Address})
	}
	return v.page("Audit log", dash.PlaceAudit, dash.AuditPage(log, dash.Filled("member", filter.MemberID, "action", filter.Action)))
}
