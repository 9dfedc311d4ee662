package dash

import (
	"strconv"

	"amphi/server/policy"
)

// App is an app as its pages show it.
type App struct {
	ID, Name  string
	Subdomain string // "" = none yet
	Region    string
	Path      string // of its public page; "" without a subdomain
	Host      string // its host name, with scheme; likewise
	Rooms     int
	Live      int // of them, now
	Default   bool
	Levels    []LevelCount
	May       bool // the reader may change it
}

// LevelCount is how many roles of a level an app has.
type LevelCount struct {
	Level policy.Level
	Roles int
}

// LevelsOf counts the roles of a template.
func LevelsOf(t *policy.Template) (list []LevelCount) {
	for _, level := range []policy.Level{policy.Stage, policy.Floor, policy.Gallery} {
		n := 0
		for _, r := range t.Roles {
			if r.Level() == level {
				n++
			}
		}
		if n > 0 {
			list = append(list, LevelCount{level, n})
		}
	}
	return list
}

func (a App) at(page string) string { return string(PlaceApps) + "/" + a.ID + page }

// rooms says how many rooms there are.
func (a App) rooms() string { return count(a.Rooms, "room") }

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// tabs leads to the pages of an app.
func (a App) tabs(current string) []Tab {
	pages := []Tab{{Label: "Overview"}, {Label: "Roles", Href: "/roles"}, {Label: "Destinations", Href: "/destinations"}, {Label: "Brand", Href: "/brand"}, {Label: "Settings", Href: "/settings"}}
	for i := range pages {
		pages[i].Current = pages[i].Label == current
		pages[i].Href = a.at(pages[i].Href)
	}
	return pages
}

// LevelKind is the badge of a level.
func LevelKind(l policy.Level) Kind { return Kind(l.String()) }

// levelName is a level at the beginning of a sentence.
func levelName(l policy.Level) string {
	return map[policy.Level]string{policy.Stage: "Stage", policy.Floor: "Floor", policy.Gallery: "Gallery"}[l]
}

// levelText says what being on a level means.
func levelText(l policy.Level) string {
	switch l {
	case policy.Stage:
		return "Publishes over WebRTC: is seen or heard by others without delay."
	case policy.Floor:
		return "Publishes nothing, and sees the stage over WebRTC, without delay."
	default:
		return "Publishes nothing and sees no role: watches the composed live stream, some seconds late."
	}
}

// RoleLink is the way into a room for a role.
type RoleLink struct {
	Role  string
	Level policy.Level
	Link  string // whole address
	Path  string // of this server
}

// Overview is the first page of an app.
type Overview struct {
	App
	Room    string // the app's first room; "" = none
	RoomID  string
	Closed  bool // it is disabled
	Links   []RoleLink
	Missing bool // there are roles without a link
}

// NewApp is what the form of a new app is about: a kit, a copy of an app, or a file.
type NewApp struct {
	Kit    policy.Kit // the zero value: none
	FromID string     // of the app that is copied
	From   string     // its name
	Import bool
	Domain string // the host names of apps end with this
	Faults []string
}

func (n NewApp) title() string {
	switch {
	case n.Import:
		return "Import an app"
	case n.From != "":
		return "Copy of " + n.From
	}
	return "New app: " + n.Kit.Name
}

func (n NewApp) lead() string {
	switch {
	case n.Import:
		return "From the JSON of a template, as this server or its API gives it."
	case n.From != "":
		return "With the same roles, destinations and settings, and a room of its own."
	}
	return n.Kit.Text
}

// regionOptions are those of the field for the region.
var regionOptions = []Option{{"auto", "Automatic"}, {"in", "India"}, {"us", "United States"}, {"eu", "Europe"}, {"own", "Other…"}}

var (
	shapeOptions = []Option{
		{"desktop", "A browser on a desk: 16:9"},
		{"phone", "A phone: 9:16"},
		{"encoder", "Streaming software (RTMP or WHIP): 16:9"},
	}
	keepOptions = []Option{{"", "No"}, {"vod", "Yes, as a playlist to watch later (M3U8)"}, {"mp4", "Yes, as a file to work on (MP4)"}, {"both", "Yes, as both"}}
)
