package web

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"amphi/templates"
)

// subdomain is the first part of the host name that was asked for, if the rest is the server's own; "" if not.
func (p *pages) subdomain(r *http.Request) string {
	own := "localhost"
	if u, err := url.Parse(p.PublicURL); err == nil && u.Hostname() != "" {
		own = u.Hostname()
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	subdomain, ok := strings.CutSuffix(strings.ToLower(host), "."+strings.ToLower(own))
	if !ok || strings.Contains(subdomain, ".") || !code.MatchString(subdomain) {
		return ""
	}
	return subdomain
}

// found is the app of the path; false when the visitor has been told that there is none.
func (p *pages) found(w http.ResponseWriter, r *http.Request) (*App, bool) {
	subdomain := strings.ToLower(r.PathValue("subdomain"))
	if p.App == nil || !code.MatchString(subdomain) {
		p.problem(w, r, notFound)
		return nil, false
	}
	app, err := p.App(r.Context(), subdomain)
	switch {
	case err != nil:
		p.fail(w, r, err)
	case app == nil:
		p.problem(w, r, notFound)
	}
	return app, err == nil && app != nil
}

// app is the public page of an app. Links of roles let their holder in, so they are for those who may see them.
func (p *pages) app(w http.ResponseWriter, r *http.Request) {
	app, ok := p.found(w, r)
	if !ok {
		return
	}
	shown := templates.App{Brand: app.shown("/a/" + url.PathEscape(strings.ToLower(r.PathValue("subdomain"))))}
	if app.Start != nil && p.maySee(r) {
		shown.Start = p.cards(r, app.Start)
	}
	page := p.page(r, app.Name+" · Amphi")
	page.Colors = shown.Brand.Colors
	p.send(w, r, http.StatusOK, templates.AppPage(page, shown))
}

// logo is the picture of an app's brand.
func (p *pages) logo(w http.ResponseWriter, r *http.Request) {
	if app, ok := p.found(w, r); ok {
		p.sendLogo(w, r, app.Logo)
	}
}
