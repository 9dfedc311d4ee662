// Package templates holds the pages that the server renders: start page, the meeting page's frame, error pages.
//
// A page knows nothing of requests or stores: it is drawn from the plain values of this file. It contains no
// inline script and no style attribute, because the policy it is sent with allows neither.
package templates

import "strings"

//go:generate go tool templ generate

// Asset is a built file: its address, and its hash for the integrity attribute ("" = unknown).
type Asset struct {
	URL       string
	Integrity string
}

// Page is what every page needs.
type Page struct {
	Title string
	// Theme is "light" or "dark" when the person chose one, "" to follow the system.
	Theme string
	// Assets finds built files by logical name.
	Assets func(name string) Asset
}

// Start is the start page's content. Without cards, visitors are told to ask for a link.
type Start struct {
	App   string // the app's name, e.g. "Live Streaming Starter Kit"
	Room  string
	Cards []Card
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
