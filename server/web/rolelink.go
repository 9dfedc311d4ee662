package web

import (
	"net/http"

	"amphi/server/policy"
	"amphi/templates"
)

// roleLink is the page of a room and a role, as a meeting_url names it: for who has a token, which is all that says whether
// it may be entered.
func (p *pages) roleLink(w http.ResponseWriter, r *http.Request) {
	if !code.MatchString(r.PathValue("room")) || r.URL.Query().Get("auth_token") == "" {
		p.problem(w, r, unknownCode)
		return
	}
	p.send(w, r, http.StatusOK, templates.MeetingPage(p.page(r, "Amphi"), templates.Meeting{Level: policy.Floor.String()}))
}
