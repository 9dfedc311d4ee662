// Package dash holds the pages of the dashboard, and the components that they are made of.
//
// As in package templates, a page is drawn from plain values, without inline script or style. Everything works without
// script, as plain forms: POST, then 303. A refused form is drawn again with status 422; its [Form] has what was typed
// and what is wrong, each component says so beside itself, and the first of them gets the focus.
//
// The components, each with an example:
//
//	@Head("Rooms", "Where people meet.") { @Button(Action{Label: "New room", Icon: "plus", Href: "/dashboard/rooms/new", Kind: Primary}) }
//	@Card("Name and size", "Who may come in.") { … }
//	@Field(form, Input{Name: "name", Label: "Name", Hint: "Letters and digits.", Max: 100, Required: true})
//	@Field(form, Input{Name: "text", Label: "Text", Rows: 4})
//	@Select(form, Choice{Name: "role", Label: "Role", Options: []Option{{"viewer", "Viewer"}}})
//	@Toggle(form, Switch{Name: "enabled", Label: "Open", Hint: "Links work only while it is."})
//	@Button(Action{Label: "Save", Kind: Primary})                        submits its form
//	@Button(Action{Label: "Edit", Icon: "edit", Href: "/dashboard/…"})   leads somewhere
//	@Button(Action{Label: "Delete…", Kind: Danger, Opens: "delete-42"})  opens a Dialog
//	@Dialog("delete-42", "Delete the room?") { <form method="post" action="…"> … @Actions() { @Cancel() @Button(…) } </form> }
//	@Ask(Question{ID: "delete-42", Title: "Delete the room?", Text: "Its links stop working.", Action: "/dashboard/…", Do: "Delete", Danger: true})
//	@Table("Rooms", "Name", "App", "") { <tr> @Cell("Name") { … } @Cell("App") { … } @CellActions() { … } </tr> }
//	@Empty(Nothing{Icon: "door", Title: "No rooms yet", Text: "A room is …"}) { @Button(…) }
//	@Tabs("The app", []Tab{{"Roles", "/dashboard/apps/1/roles", true}})
//	@Badge(Good, "live")      kinds: Neutral, Good, Warn, Bad, Stage, Floor, Gallery
//	@Notice(Warn) { The server has no TURN relay. }
//	@CopyLine("Room link", "https://…")       @CopySecret("Secret", "whsec_…") hides it until asked
//	@Pager(Pages{Newer: "?", Older: "?start=…"})
//	@Time(t)                  a moment, in the reader's own time zone once script runs
//	@Icon("plus")             a symbol of static/icons/sprite.svg
//
// Layout classes of dashboard.css: stack (things below each other), row (beside each other), grid-2 (two columns where
// there is room), form (a stack of fields as wide as is good to read), facts (a list of dt and dd).
package dash

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"amphi/templates"
)

// Place is where in the dashboard a page is.
type Place string

// The places, as the navigation has them.
const (
	PlaceApps       Place = "/dashboard/apps"
	PlaceRooms      Place = "/dashboard/rooms"
	PlaceSessions   Place = "/dashboard/sessions"
	PlaceRecordings Place = "/dashboard/recordings"
	PlaceDeveloper  Place = "/dashboard/developer"
	PlaceMembers    Place = "/dashboard/members"
	PlaceAudit      Place = "/dashboard/audit"
	PlaceMe         Place = "/dashboard/me"
)

type navigation struct {
	Place
	Label, Icon string
}

var (
	placesOfAll = []navigation{
		{PlaceApps, "Apps", "apps"},
		{PlaceRooms, "Rooms", "door"},
		{PlaceSessions, "Sessions", "clock"},
		{PlaceRecordings, "Recordings", "film"},
		{PlaceDeveloper, "Developer", "code"},
		{PlaceMembers, "Members", "people"},
	}
	// What others did is for admins.
	placesOfAdmins = append(slices.Clip(placesOfAll), navigation{PlaceAudit, "Audit log", "list"})
)

// Frame is what is around every page for whoever is signed in.
type Frame struct {
	Page      templates.Page
	At        Place
	Workspace string
	Name      string // of the member
	Role      string
	Admin     bool
	Flash     string // what was done just now; "" = nothing
}

func (f Frame) places() []navigation {
	if f.Admin {
		return placesOfAdmins
	}
	return placesOfAll
}

// Initials are one or two letters for a name.
func Initials(name string) string {
	var letters []rune
	words := strings.Fields(name)
	if len(words) > 2 {
		words = []string{words[0], words[len(words)-1]}
	}
	for _, word := range words {
		letters = append(letters, []rune(word)[0])
	}
	return strings.ToUpper(string(letters))
}

// Tone is the colour of a name's round mark, 0 to 5.
func Tone(name string) string {
	sum := 0
	for _, c := range name {
		sum += int(c)
	}
	return "tone-" + string(rune('0'+sum%6))
}

type pageKey struct{}

// With makes the page known to components that draw icons.
func With(ctx context.Context, page templates.Page) context.Context {
	return context.WithValue(ctx, pageKey{}, page)
}

func pageOf(ctx context.Context) templates.Page {
	page, ok := ctx.Value(pageKey{}).(templates.Page)
	if !ok {
		page.Assets = func(name string) templates.Asset { return templates.Asset{URL: "/static/" + name} }
	}
	return page
}

// Form is what somebody typed, and what is wrong with it. Both are by the names of the fields.
type Form struct {
	Values   url.Values
	Problems map[string]string
}

// Refuse notes what is wrong with a field; the first thing that is said of it stays.
func (f *Form) Refuse(field, problem string) {
	if f.Problems == nil {
		f.Problems = make(map[string]string)
	}
	if _, ok := f.Problems[field]; !ok {
		f.Problems[field] = problem
	}
}

// Good says that nothing is wrong.
func (f Form) Good() bool { return len(f.Problems) == 0 }

// Get is what was typed into a field, without the spaces around it.
func (f Form) Get(field string) string { return strings.TrimSpace(f.Values.Get(field)) }

// On says whether a switch is on.
func (f Form) On(field string) bool { return f.Values.Get(field) == "on" }

// Filled is a form as it is first drawn, from pairs of name and value.
func Filled(pairs ...string) Form {
	values := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return Form{Values: values}
}

// OnOff is the value of a switch.
func OnOff(on bool) string {
	if on {
		return "on"
	}
	return ""
}

// Kind is what a button, a badge or a notice means.
type Kind string

// Kinds. Primary, Danger and Quiet are for buttons, the levels for badges.
const (
	Neutral Kind = "neutral"
	Primary Kind = "primary"
	Danger  Kind = "danger"
	Quiet   Kind = "quiet"
	Good    Kind = "good"
	Warn    Kind = "warn"
	Bad     Kind = "bad"
	Stage   Kind = "stage"
	Floor   Kind = "floor"
	Gallery Kind = "gallery"
)

// Input is a field that is typed into.
type Input struct {
	Name, Label  string
	Hint         string
	Type         string // of <input>, "" = text
	Rows         int    // more than 0: a text of so many lines
	Placeholder  string
	Autocomplete string // "" = off
	InputMode    string
	Prefix       string // shown before what is typed
	Suffix       string // shown after it
	Min, Step    string // of numbers
	Most         string // of numbers
	Max          int    // characters; 0 = no bound
	Required     bool
	ReadOnly     bool
	Focus        bool // gets the focus where nothing is wrong
}

// Option is one of several.
type Option struct{ Value, Label string }

// Choice is a field that is chosen from.
type Choice struct {
	Name, Label, Hint string
	Options           []Option
	Submits           bool // its form is sent at once when another is chosen, where script runs
}

// Switch is a field that is on or off.
type Switch struct {
	Name, Label, Hint string
	Disabled          bool
}

// Action is a button, or a link that looks like one.
type Action struct {
	Label    string
	Icon     string
	Kind     Kind   // "" = Neutral
	Href     string // where a link leads
	Download bool   // the link's target is a file
	NewTab   bool   // the link opens beside this page
	Opens    string // id of the Dialog that it opens
	Name     string // sent with the form …
	Value    string // … as this
	Type     string // "" = submit, or button when it opens something
	Form     string // id of the form that it sends, where it is outside
	Small    bool
	Bare     bool // shows the icon only; Label is its name
	Disabled bool
}

func (a Action) kind() string {
	if a.Bare {
		return "tool tool-small tool-plain"
	}
	class := "button"
	if a.Kind != "" && a.Kind != Neutral {
		class += " button-" + string(a.Kind)
	}
	if a.Small {
		class += " button-small"
	}
	return class
}

func (a Action) buttonType() string {
	switch {
	case a.Type != "":
		return a.Type
	case a.Opens != "":
		return "button"
	}
	return "submit"
}

// Question is a Dialog that asks before something is done.
type Question struct {
	ID, Title, Text string
	Action          string // where the form is sent
	Do              string // what the button says
	Danger          bool
	Hidden          [][2]string // names and values sent along
}

func (q Question) kind() Kind {
	if q.Danger {
		return Danger
	}
	return Primary
}

// Nothing is what is shown in place of an empty list.
type Nothing struct{ Icon, Title, Text string }

// Tab is one of several pages of a thing.
type Tab struct {
	Label, Href string
	Current     bool
}

// Pages leads to the neighbours of a page of a list; "" where there is none.
type Pages struct{ Newer, Older string }

// described is the value of aria-describedby; "" where there is nothing to read.
func described(form Form, name, hint string) string {
	var ids []string
	if form.Problems[name] != "" {
		ids = append(ids, name+"-problem")
	}
	if hint != "" {
		ids = append(ids, name+"-hint")
	}
	return strings.Join(ids, " ")
}
