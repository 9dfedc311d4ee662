// Package templates holds the pages that the server renders: start page, the meeting page's frame, error pages.
//
// A page knows nothing of requests or stores: it is drawn from the plain values of this file. It contains no
// inline script and no style attribute, because the policy it is sent with allows neither.
package templates

import (
	"cmp"
	"context"
	"io"
	"strings"

	"github.com/a-h/templ"
)

//go:generate go tool templ generate

// Asset is a built file: its address, and its hash for the integrity attribute ("" = unknown).
type Asset struct {
	URL       string
	Integrity string
	Imports   []string // addresses of what a script imports at once
}

// Page is what every page needs.
type Page struct {
	Title string
	// Theme is "light" or "dark" when the person chose one, "" to follow the system.
	Theme string
	// Styles is the logical name of the style sheet; "" is that of the site and the meeting.
	Styles string
	// Colors is the address of a style sheet with a brand's colours; "" = Amphi's.
	Colors string
	// Assets finds built files by logical name.
	Assets func(name string) Asset
}

// Brand is whose page it is. What is "" is Amphi's.
type Brand struct {
	Name   string
	Logo   string // address
	Colors string // address of a style sheet
}

func (p Page) styles() string { return cmp.Or(p.Styles, "app.css") }

// Start is the start page's content. Without cards, visitors are told to ask for a link.
type Start struct {
	App   string // the app's name, e.g. "Live Streaming Starter Kit"
	Room  string
	Cards []Card
	OnAir *OnAir // the room's stream; nil: there is none now
}

// OnAir is the stream of a room, and how many people are on each level.
type OnAir struct {
	Playlist              string // path
	Width, Height         int    // of the picture
	Stage, Floor, Gallery int
}

// Count counts somebody on a level.
func (o *OnAir) Count(level string) {
	switch level {
	case "stage":
		o.Stage++
	case "floor":
		o.Floor++
	default:
		o.Gallery++
	}
}

// door is the way in to a level; "" when there is none.
func (s Start) door(level string) string {
	for _, c := range s.Cards {
		if c.Level == level {
			return c.Link
		}
	}
	return ""
}

// App is the public page of an app.
type App struct {
	Brand Brand // its name is never empty
	Start Start // its room and the ways in, for those who may see them
}

// Card invites to one role.
type Card struct {
	Role  string
	Level string // "stage", "floor" or "gallery"
	Link  string // path of the join page
	// Shown is the whole address, as a person would send it.
	Shown string
	// GoesLive, Moderates: what of the role is worth telling.
	GoesLive  bool
	Moderates bool
}

// Meeting is the frame of the meeting page; the browser draws the rest.
type Meeting struct {
	Code  string // room code, from the address
	Room  string
	Level string
	Brand Brand
}

// Problem is an error page: what happened and what to do next.
type Problem struct {
	Status int
	Title  string
	Text   string
}

// Section is a part of the API reference.
type Section struct {
	Name      string
	Endpoints []Endpoint
}

// Endpoint is a method of a path of the API.
type Endpoint struct {
	Method, Path, Summary string
	Token                 string   // which kind it needs; "" = none
	Query                 []string // names
	Body, Answer          string   // their forms, in JSON; "" = none
	Status                int      // of a good answer
}

// SDK is what the page about the client SDK shows; static/docs.mjs writes it.
type SDK struct {
	Examples      []Example  `json:"examples"`
	Actions       []SDKGroup `json:"actions"`
	Selectors     []SDKGroup `json:"selectors"`
	Notifications []SDKEntry `json:"notifications"`
	Exclusions    []SDKGroup `json:"exclusions"`
	// Origin of the server, as its visitor knows it.
	Origin string `json:"-"`
}

// SDKGroup is entries that belong together.
type SDKGroup struct {
	Name    string     `json:"name"`
	Entries []SDKEntry `json:"entries"`
}

// SDKEntry is something that applications call or get.
type SDKEntry struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Text      string `json:"text"`
}

// Example is code that runs; a test runs it.
type Example struct {
	File  string  `json:"file"`
	Title string  `json:"title"`
	Code  []Piece `json:"code"`
}

// Piece is a part of code of one kind: "c"omment, "s"tring, "k"eyword, "t"ag or "" for the rest.
type Piece struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// exampleOrigin stands for the server in examples.
const exampleOrigin = "https://live.example.org"

// named are the examples with these titles.
func (s SDK) named(titles ...string) (list []Example) {
	for _, title := range titles {
		for _, e := range s.Examples {
			if e.Title == title {
				list = append(list, e)
			}
		}
	}
	return list
}

// here names the visitor's own server.
func (s SDK) here(code string) string {
	if s.Origin == "" {
		return code
	}
	return strings.ReplaceAll(code, exampleOrigin, s.Origin)
}

// colored is the code of an example. It is no templ, since in code every space counts.
func (s SDK) colored(e Example) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var b strings.Builder
		for _, p := range e.Code {
			text := templ.EscapeString(s.here(p.Text))
			if p.Kind != "" {
				text = `<span class="code-` + templ.EscapeString(p.Kind) + `">` + text + `</span>`
			}
			b.WriteString(text)
		}
		_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n"))
		return err
	})
}

// anchor is the section's place on its page.
func (s Section) anchor() string { return strings.ReplaceAll(strings.ToLower(s.Name), " ", "-") }

func (c Card) promise() string {
	switch c.Level {
	case "stage":
		return "For those who talk, show and host."
	case "floor":
		return "For those who follow closely and may be next on stage."
	default:
		return "For everybody else, however many they are."
	}
}

func (c Card) abilities() []string {
	var list []string
	switch c.Level {
	case "stage":
		list = append(list, "Camera, microphone and screen")
		if c.GoesLive {
			list = append(list, "Starts and ends the live stream")
		}
		if c.Moderates {
			list = append(list, "Brings people on stage, mutes, removes")
		}
		list = append(list, "Chat and reactions")
	case "floor":
		list = append(list, "Sees and hears the stage in real time", "Chat and reactions", "Raises a hand to come on stage")
	default:
		list = append(list, "Watches the composed live stream", "Chat and reactions", "Raises a hand to come on stage")
	}
	return list
}

func (c Card) levelName() string { return strings.ToUpper(c.Level[:1]) + c.Level[1:] }

// summary names the first of a group's entries.
func (g SDKGroup) summary() string {
	const few = 4
	names := make([]string, 0, few)
	for _, e := range g.Entries[:min(few, len(g.Entries))] {
		names = append(names, e.Name)
	}
	text := strings.Join(names, ", ")
	if len(g.Entries) > few {
		text += " …"
	}
	return text
}

// socketOrigin is where the WebSocket of a server is.
func socketOrigin(origin string) string {
	if origin == "" {
		origin = exampleOrigin
	}
	return "ws" + strings.TrimPrefix(origin, "http")
}

// pinned is the element that loads the web components of this build and of no other.
func pinned(page Page, origin string) string {
	if origin == "" {
		origin = exampleOrigin
	}
	asset := page.Assets("elements.js")
	return `<script type="module" crossorigin` + "\n  src=\"" + origin + strings.TrimPrefix(asset.URL, "/static") +
		"\"\n  integrity=\"" + asset.Integrity + `"></script>`
}
