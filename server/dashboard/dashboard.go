// Package dashboard answers requests for the dashboard: forms in, pages out. Who may come in is decided by package
// account, what pages look like by templates/dash.
//
// Every page is registered with handle, which lets in who is signed in and may do it, and draws what went wrong. A
// handler reads the form, calls what owns the rule (a Check of package policy, a method of the store, the REST API in
// process), writes a line of the audit log, and ends with done (303 and a message), page, or refused (422).
package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/prometheus/client_golang/prometheus"

	"amphi/server/account"
	"amphi/server/room"
	"amphi/server/store"
	"amphi/server/webhook"
	"amphi/templates"
	"amphi/templates/dash"
)

// Config is what the dashboard is made from.
type Config struct {
	Log      *slog.Logger
	Store    *store.Store
	Accounts *account.Accounts

	// API is the REST API, which the dashboard asks with a token of the workspace where it has the operation.
	API http.Handler

	// Rooms are those that are live.
	Rooms *room.Registry

	// Hooks send a test; nil: nothing is sent.
	Hooks *webhook.Sender

	// Metrics are shown at a glance, and Health runs the checks of the server; either may be nil.
	Metrics prometheus.Gatherer
	Health  func(context.Context) []Finding

	// Assets finds a built file by its logical name.
	Assets func(name string) templates.Asset

	// PublicURL is how people reach the server. Empty: as the request did.
	PublicURL string

	// AppParts is what the pages of apps need besides.
	AppParts

	// ClientAddr says who sent a request, also through proxies that are trusted.
	ClientAddr func(*http.Request) netip.Addr
}

// maxBody bounds what a form may send, files included.
const maxBody = 1 << 20

type dashboard struct {
	Config
	checks  checkup
	catalog catalog
	mux     *http.ServeMux
	stills  *stills
}

// New returns the handler of /dashboard and of everything below.
func New(config Config) http.Handler {
	d := &dashboard{Config: config, mux: http.NewServeMux(), stills: newStills(config.Still)}
	d.signIn()
	d.passkeys()
	d.members()
	d.me()
	d.audits()
	d.rooms()
	d.live()
	d.sessions()
	d.recordings()
	d.developer()
	d.apps()
	d.handle("GET /dashboard", account.Viewer, func(v *visit) error {
		return v.redirect(string(dash.PlaceApps))
	})
	d.mux.HandleFunc("GET /dashboard/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/dashboard", http.StatusSeeOther)
	})
	d.mux.HandleFunc("/dashboard/", func(w http.ResponseWriter, r *http.Request) {
		v, err := d.visit(w, r)
		if err != nil {
			v = nil // the page is not there for anybody
		}
		d.fail(w, r, v, errNoPage)
	})

	// Browsers that are asked by another site's page to send a form say so (Fetch Metadata, or Origin).
	guard := http.NewCrossOriginProtection()
	if config.PublicURL != "" {
		if u, err := url.Parse(config.PublicURL); err == nil {
			_ = guard.AddTrustedOrigin(u.Scheme + "://" + u.Host) // the configuration has checked it
		}
	}
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, nil, problem{http.StatusForbidden, "This came from another site", "A page outside of the dashboard tried to send this form in your name. Nothing was changed."})
	}))
	guarded := guard.Handler(d.mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		guarded.ServeHTTP(w, r)
	})
}

// contentPolicy lets pages load nothing but files of this server, and no other page show them in a frame: a click on a
// button of the dashboard is meant for it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; " +
	"media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secure(header http.Header) {
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	// Addresses hold ids, and links their secrets: no other site learns them. Without any referrer browsers would also
	// send no Origin, which the guard against forged forms needs where there is no https.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), display-capture=(), geolocation=(), payment=(), usb=(), "+
		"publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self)")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

// problem is an error page: what happened and what to do next.
type problem struct {
	status      int
	title, text string
}

func (p problem) Error() string { return p.title }

var (
	errNoPage = problem{http.StatusNotFound, "There is nothing here", "The address may be mistyped, or what was here is gone."}
	errRights = problem{http.StatusForbidden, "Your role does not allow this", "Ask an admin of this workspace to do it, or to change your role."}
	errBroken = problem{http.StatusInternalServerError, "Something went wrong here", "It is the server's fault, not yours. Nothing was changed. Try again in a moment; if it stays, look at the server's log."}
	errLarge  = problem{http.StatusRequestEntityTooLarge, "This is too much at once", "A form, with its files, may be one megabyte large. Nothing was changed."}
	errForm   = problem{http.StatusBadRequest, "The form did not arrive whole", "Go back and send it again."}
)

// handle registers a page, or what a form does, for members whose role covers need. The form is read, and bounded,
// before h is called.
func (d *dashboard) handle(pattern string, need account.Role, h func(*visit) error) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := d.visit(w, r)
		switch {
		case errors.Is(err, account.ErrSignedOut):
			next := ""
			if r.Method == http.MethodGet {
				next = "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, "/dashboard/signin"+next, http.StatusSeeOther)
			return
		case err != nil:
			d.fail(w, r, nil, err)
			return
		}
		switch {
		case !v.Member.Role.Covers(need):
			err = errRights
		default:
			if err = parse(r); err == nil {
				err = h(v)
			}
		}
		if err != nil {
			d.fail(w, r, v, err)
		}
	})
}

// open registers a page for everybody.
func (d *dashboard) open(pattern string, h func(w http.ResponseWriter, r *http.Request) error) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := parse(r)
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			d.fail(w, r, nil, err)
		}
	})
}

// parse reads the form of a request.
func parse(r *http.Request) error {
	var err error
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/form-data") {
		err = r.ParseMultipartForm(maxBody)
	} else if !strings.HasPrefix(kind, "application/json") {
		err = r.ParseForm()
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return errLarge
	case err != nil:
		return errForm
	}
	return nil
}

// fail draws an error page: in the frame for who is signed in. What is not meant for people goes to the log.
func (d *dashboard) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	var p problem
	var tooMany account.TooMany
	switch {
	case errors.As(err, &p):
	case errors.As(err, &tooMany):
		w.Header().Set("Retry-After", strconv.Itoa(tooMany.Seconds()))
		p = problem{http.StatusTooManyRequests, "Too many attempts", "Try again in " + tooMany.Wait() + "."}
	case errors.Is(err, store.ErrNotFound):
		p = errNoPage
	default:
		d.Log.Error("page failed", "page", r.Pattern, "err", err) // the pattern: paths hold secrets of links
		p = errBroken
	}
	if v != nil {
		d.draw(w, r, p.status, v.framed(p.title, "", dash.Problem(p.title, p.text, "/dashboard", "To the dashboard")))
		return
	}
	d.draw(w, r, p.status, dash.Outside(d.page(r, p.title), dash.Problem(p.title, p.text, "/dashboard", "To the dashboard")))
}

// page is what all pages have in common.
func (d *dashboard) page(r *http.Request, title string) templates.Page {
	page := templates.Page{Title: title + " · Amphi", Styles: "dashboard.css", Assets: d.Assets}
	if cookie, err := r.Cookie("amphi-theme"); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		page.Theme = cookie.Value
	}
	return page
}

// outside sends a page to somebody who is not signed in.
func (d *dashboard) outside(w http.ResponseWriter, r *http.Request, status int, title string, content templ.Component) error {
	d.draw(w, r, status, dash.Outside(d.page(r, title), content))
	return nil
}

// draw draws into memory first: either all of a page is sent, or an error.
func (d *dashboard) draw(w http.ResponseWriter, r *http.Request, status int, content templ.Component) {
	var body bytes.Buffer
	if err := content.Render(dash.With(r.Context(), d.page(r, "")), &body); err != nil {
		d.Log.Error("page not rendered", "page", r.Pattern, "err", err)
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.WriteHeader(status)
		_, _ = body.WriteTo(w) // an error means that the visitor is gone
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z := gzip.NewWriter(w)
	// Pages have secrets, and words of who asks for them. A length that is not the same twice says less about whether one is a
	// part of the other (BREACH).
	noise := rand.Text()
	z.Comment = noise[:mathrand.IntN(len(noise))]
	_, _ = body.WriteTo(z)
	_ = z.Close()
}

// origin is how the visitor reaches the server.
func (c Config) origin(r *http.Request) string {
	switch {
	case c.PublicURL != "":
		return strings.TrimSuffix(c.PublicURL, "/")
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (c Config) https(r *http.Request) bool { return strings.HasPrefix(c.origin(r), "https:") }

// record writes to the audit log. That something happened must not be undone because it could not be noted.
func (d *dashboard) record(r *http.Request, m account.Member, action, what string) {
	err := d.Accounts.Note(context.WithoutCancel(r.Context()), m, action, what, d.ClientAddr(r).String())
	if err != nil {
		d.Log.Error("the audit log was not written", "action", action, "member", m.ID, "err", err)
	}
}
