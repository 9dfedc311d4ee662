// Package web serves the pages that people open: the start page, the meeting page, and error pages in the
// same design. It decides who sees what and how pages are sent; what they look like is in templates.
//
// A page is drawn into memory first: either all of it is sent, or an error page.
package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/a-h/templ"

	"amphi/server/policy"
	"amphi/templates"
)

// Errors of Config.Door.
var (
	ErrUnknownCode = errors.New("unknown room code")
	ErrClosed      = errors.New("room or room code is disabled")
)

// Door is what a room code opens.
type Door struct {
	Room  string // the room's name
	Role  *policy.Role
	Brand Brand
}

// Starter is the room that the start page invites to.
type Starter struct {
	App   string // the app's or template's name, as people read it
	Room  string
	Doors []StarterDoor // in the order shown
	OnAir *OnAir        // nil: it has no stream now
}

// OnAir is a room's stream, and how many are where.
type OnAir = templates.OnAir

// App is an app's public page.
type App struct {
	Brand          // its name is never empty
	Start *Starter // its first room; nil: it has none that is open
}

// StarterDoor is one role's way into the starter room.
type StarterDoor struct {
	Code string
	Role *policy.Role
}

// Section and Endpoint are what the page about the server API lists.
type (
	Section  = templates.Section
	Endpoint = templates.Endpoint
)

// SDK is what the page about the client SDK shows.
type SDK = templates.SDK

// Asset is a built file, as pages name it.
type Asset = templates.Asset

// Config is what pages are made from.
type Config struct {
	Log *slog.Logger

	// Assets finds a built file by its logical name.
	Assets func(name string) Asset

	// Door says what a room code opens; ErrUnknownCode or ErrClosed when it opens nothing.
	Door func(ctx context.Context, code string) (Door, error)

	// Starter finds the starter room; nil when there is none.
	Starter func(ctx context.Context) (*Starter, error)

	// App finds the app that has a subdomain; nil when none has.
	App func(ctx context.Context, subdomain string) (*App, error)

	// Reference is what the page about the server API lists.
	Reference []Section

	// SDK is what the page about the client SDK shows; nil when it was not built.
	SDK *SDK

	// ShowStarterKit says whether a request's sender may see the starter room's links, which let their
	// holder in. Nil: only browsers that use a localhost address on this machine.
	ShowStarterKit func(*http.Request) bool

	// SignedIn says whether a request comes from a member of the dashboard, who may see those links too; may be nil.
	SignedIn func(*http.Request) bool

	// PublicURL is how people reach the server, for the links as shown. Empty: as the request did.
	PublicURL string

	// FrameAncestors are the origins besides the server's own that may embed the pages, e.g. "https://example.com".
	FrameAncestors []string

	// ConnectSources are origins besides the server's own that pages speak to: another node's WebSocket, a
	// CDN for the stream.
	ConnectSources []string
}

type pages struct {
	Config
	policy string // Content-Security-Policy
}

// New returns the handler of all pages. It answers every path that it does not know with the 404 page.
func New(config Config) http.Handler {
	if config.ShowStarterKit == nil {
		config.ShowStarterKit = fromLocalhost
	}
	p := &pages{Config: config, policy: contentPolicy(config.FrameAncestors, config.ConnectSources)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.start)
	mux.HandleFunc("GET /a/{subdomain}", p.app)
	mux.HandleFunc("GET /a/{subdomain}/logo", p.logo)
	mux.HandleFunc("GET /join", p.join)
	mux.HandleFunc("GET /brand/{style}", p.brandColors)
	mux.HandleFunc("GET /meeting/{code}", p.meeting)
	mux.HandleFunc("GET /meeting/{code}/logo", p.meetingLogo)
	mux.HandleFunc("GET /preview/{code}", p.meeting)
	mux.HandleFunc("GET /preview/{room}/{role}", p.roleLink)
	mux.HandleFunc("GET /streaming/meeting/{code}", p.meeting)
	mux.HandleFunc("GET /streaming/preview/{code}", p.meeting)
	mux.HandleFunc("GET /debug/rooms/{room}", p.debug)
	mux.HandleFunc("GET /docs/api", p.reference)
	mux.HandleFunc("GET /docs/sdk", p.sdk)
	mux.HandleFunc("GET /docs/hosting", p.hosting)
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/docs/sdk", http.StatusFound) })
	mux.HandleFunc("/", p.notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.secure(w.Header())
		mux.ServeHTTP(w, r)
	})
}

// maySee says whether a request's sender may see the links of rooms, and what goes on there.
func (p *pages) maySee(r *http.Request) bool {
	return p.ShowStarterKit(r) || p.SignedIn != nil && p.SignedIn(r)
}

func (p *pages) start(w http.ResponseWriter, r *http.Request) {
	if subdomain := p.subdomain(r); subdomain != "" {
		// Rooms are joined under the server's own name: their pages speak to no other host.
		http.Redirect(w, r, strings.TrimSuffix(p.PublicURL, "/")+"/a/"+url.PathEscape(subdomain), http.StatusFound)
		return
	}
	var start templates.Start
	if p.Starter != nil && p.maySee(r) {
		starter, err := p.Starter(r.Context())
		if err != nil {
			p.fail(w, r, err)
			return
		}
		if starter != nil {
			start = p.cards(r, starter)
		}
	}
	p.send(w, r, http.StatusOK, templates.StartPage(p.page(r, "Amphi"), start))
}

func (p *pages) cards(r *http.Request, starter *Starter) templates.Start {
	origin := p.origin(r)
	start := templates.Start{App: starter.App, Room: starter.Room, OnAir: starter.OnAir}
	for _, door := range starter.Doors {
		level := door.Role.Level()
		link := "/meeting/" + url.PathEscape(door.Code)
		if level == policy.Gallery {
			link = "/streaming" + link
		}
		may := door.Role.Permissions
		start.Cards = append(start.Cards, templates.Card{
			Role: door.Role.Name, Level: level.String(), Link: link, Shown: origin + link,
			GoesLive: may.HLSStreaming, Moderates: may.ChangeRole || may.RemoveOthers || may.Mute,
		})
	}
	return start
}

// code is a room code, or a room's id, as it may stand in an address.
var code = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// join takes the start page's form: a room code, or a whole link pasted in its place.
func (p *pages) join(w http.ResponseWriter, r *http.Request) {
	given := strings.TrimSpace(r.URL.Query().Get("code"))
	prefix := "/meeting/"
	if link, err := url.Parse(given); err == nil && strings.Contains(link.Path, "/") {
		if strings.Contains(link.Path, "/streaming/") {
			prefix = "/streaming/meeting/"
		}
		given = link.Path[strings.LastIndex(link.Path, "/")+1:]
	}
	if !code.MatchString(given) {
		p.problem(w, r, unknownCode)
		return
	}
	http.Redirect(w, r, prefix+given, http.StatusSeeOther)
}

func (p *pages) meeting(w http.ResponseWriter, r *http.Request) {
	door, ok := p.enter(w, r)
	if !ok {
		return
	}
	given := r.PathValue("code")
	brand := door.Brand.shown(meetingPath(given))
	page := p.page(r, door.Room+" · "+cmp.Or(brand.Name, "Amphi"))
	page.Colors = brand.Colors
	p.send(w, r, http.StatusOK, templates.MeetingPage(page, templates.Meeting{
		Code: given, Room: door.Room, Level: door.Role.Level().String(), Brand: brand,
	}))
}

// enter finds what the path's room code opens; false when the visitor has been told that it opens nothing.
func (p *pages) enter(w http.ResponseWriter, r *http.Request) (door Door, ok bool) {
	given := r.PathValue("code")
	if !code.MatchString(given) {
		p.problem(w, r, unknownCode)
		return door, false
	}
	door, err := p.Door(r.Context(), given)
	switch {
	case errors.Is(err, ErrUnknownCode):
		p.problem(w, r, unknownCode)
	case errors.Is(err, ErrClosed):
		p.problem(w, r, closed)
	case err != nil:
		p.fail(w, r, err)
	}
	return door, err == nil
}

func (p *pages) reference(w http.ResponseWriter, r *http.Request) {
	p.send(w, r, http.StatusOK, templates.ReferencePage(p.page(r, "Server API · Amphi"), p.Reference))
}

func (p *pages) hosting(w http.ResponseWriter, r *http.Request) {
	p.send(w, r, http.StatusOK, templates.HostingPage(p.page(r, "Hosting · Amphi")))
}

// debug shows nothing by itself: the API tells whoever has a management token.
func (p *pages) debug(w http.ResponseWriter, r *http.Request) {
	room := r.PathValue("room")
	if !code.MatchString(room) {
		p.problem(w, r, notFound)
		return
	}
	p.send(w, r, http.StatusOK, templates.DebugPage(p.page(r, "Media of a room · Amphi"), room))
}

func (p *pages) sdk(w http.ResponseWriter, r *http.Request) {
	if p.SDK == nil {
		p.problem(w, r, unbuilt)
		return
	}
	shown := *p.SDK
	shown.Origin = p.origin(r)
	p.send(w, r, http.StatusOK, templates.SDKPage(p.page(r, "Client SDK · Amphi"), shown))
}

// origin is how the visitor reaches the server.
func (p *pages) origin(r *http.Request) string {
	switch {
	case p.PublicURL != "":
		return strings.TrimSuffix(p.PublicURL, "/")
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

var (
	unbuilt = templates.Problem{
		Status: http.StatusNotFound, Title: "The SDK is not in this build",
		Text: "The server was built without its pages. go tool task build makes both.",
	}
	notFound = templates.Problem{
		Status: http.StatusNotFound, Title: "There is nothing here",
		Text: "The address may be mistyped, or what was here is gone.",
	}
	unknownCode = templates.Problem{
		Status: http.StatusNotFound, Title: "No room behind this link",
		Text: "Check that the link is complete, or ask the host for a new one.",
	}
	closed = templates.Problem{
		Status: http.StatusForbidden, Title: "The room is not open",
		Text: "The host has disabled this room or this link. Ask the host to open it, then load the page again.",
	}
	broken = templates.Problem{
		Status: http.StatusInternalServerError, Title: "Something went wrong here",
		Text: "It is the server's fault, not yours. Load the page again in a moment; if it stays, tell the host.",
	}
)

func (p *pages) notFound(w http.ResponseWriter, r *http.Request) { p.problem(w, r, notFound) }

// fail hides err from the visitor and tells the log.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	// The pattern and not the path: paths hold room codes.
	p.Log.Error("page failed", "page", r.Pattern, "err", err)
	p.problem(w, r, broken)
}

func (p *pages) problem(w http.ResponseWriter, r *http.Request, problem templates.Problem) {
	p.send(w, r, problem.Status, templates.ProblemPage(p.page(r, problem.Title+" · Amphi"), problem))
}

// page is what all pages have in common.
func (p *pages) page(r *http.Request, title string) templates.Page {
	page := templates.Page{Title: title, Assets: p.Assets}
	if cookie, err := r.Cookie("amphi-theme"); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		page.Theme = cookie.Value
	}
	return page
}

func (p *pages) send(w http.ResponseWriter, r *http.Request, status int, content templ.Component) {
	var body bytes.Buffer
	if err := content.Render(r.Context(), &body); err != nil {
		p.Log.Error("page not rendered", "page", r.Pattern, "err", err)
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = body.WriteTo(w) // an error means that the visitor is gone
	}
}
