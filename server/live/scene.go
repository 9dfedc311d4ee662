package live

import (
	"cmp"
	"slices"
	"time"

	"amphi/compositor/layout"
	"amphi/server/protocol"
	"amphi/server/room"
)

const (
	// maxVoices is how many microphones are mixed. Those beyond it are on a stage so crowded
	// that nobody is understood.
	maxVoices = 48

	sourceScreen = "screen" // StageTrack.Source of a shared screen and its sound

	emptyStage = "The stage is empty"
)

// tile is one place of the composed picture and what stands there.
type tile struct {
	place    layout.Tile
	peer     string
	name     string
	muted    bool   // the microphone is off or missing
	hand     bool   // raised
	speaking bool   // heard now
	screen   bool   // a shared screen: shown whole, and without a stand-in
	video    string // track id; empty shows the stand-in only
}

// selection is what of a stage is composed: tracks to decode, and where they stand.
type selection struct {
	canvas layout.Canvas
	design *design
	tiles  []tile
	tracks []feedTrack
}

// feedTrack is a track to decode. Tracks of one peer are played in lip sync.
type feedTrack struct {
	room.StageTrack
	peer string
}

// cast is who is in the picture now: what a selection depends on besides the stage.
type cast struct {
	voices layout.Voices
	seats  layout.Seats
	began  time.Time // of page 0
	page   int       // that is shown
}

// choose arranges a stage on a canvas. Shared screens come first and get the large place; people
// stand as the design says. When there are more than places, those with a picture go first, in the
// order of joining, and then whoever speaks.
func (c *cast) choose(canvas layout.Canvas, d *design, stage *room.Stage) selection {
	sel := selection{canvas: canvas, design: d}
	var screens, people []tile
	voices := 0
	for _, p := range stage.Peers {
		if !d.shows(p.Role) {
			continue
		}
		person := tile{peer: p.ID, name: p.Name, muted: true, hand: p.HandRaised, speaking: c.voices.Speaking(p.ID)}
		var camera, shared []feedTrack
		for _, t := range p.Tracks {
			if t.Muted || t.Media == nil {
				continue
			}
			f := feedTrack{StageTrack: t, peer: p.ID}
			switch {
			case t.Kind == protocol.Audio:
				if t.Source != sourceScreen {
					person.muted = false
				}
				if voices++; voices <= maxVoices {
					sel.tracks = append(sel.tracks, f)
				}
			case t.Source == sourceScreen:
				shared = append(shared, f)
			default:
				camera = append(camera, f)
			}
		}
		if len(camera) > 0 {
			person.video = camera[0].ID
			sel.tracks = append(sel.tracks, camera[0])
		}
		for _, f := range shared {
			screens = append(screens, tile{peer: p.ID, name: p.Name, screen: true, video: f.ID})
			sel.tracks = append(sel.tracks, f)
		}
		people = append(people, person)
	}
	slices.SortStableFunc(people, func(a, b tile) int {
		return cmp.Compare(boolInt(a.video == ""), boolInt(b.video == ""))
	})

	style := d.style
	if style.Wide = len(screens) > 0; style.Wide && style.Mode == layout.Grid {
		style.Mode = layout.Sidebar
	}
	places := canvas.Arrange(style, len(screens)+len(people))
	screens = screens[:min(len(screens), len(places))]
	var seated []tile
	switch room := len(places) - len(screens); {
	case d.page > 0 && style.Mode == layout.Grid && len(people) > room:
		from, to := style.Pages(len(people), c.page)
		seated = people[from:to]
		places = canvas.Arrange(style, len(seated))
	default:
		seated = c.seat(d, people, room)
	}
	sel.tiles = append(screens, seated...)
	sel.tracks = slices.DeleteFunc(sel.tracks, func(f feedTrack) bool {
		return f.Kind == protocol.Video && !slices.ContainsFunc(sel.tiles, func(t tile) bool { return t.video == f.ID })
	})
	for i := range sel.tiles {
		sel.tiles[i].place = places[i]
	}
	return sel
}

// seat gives people the places that are left for them.
func (c *cast) seat(d *design, people []tile, places int) []tile {
	persons := make([]layout.Person, len(people))
	byName := make(map[string]tile, len(people))
	for i, t := range people {
		persons[i] = layout.Person{Name: t.peer, Pictured: t.video != ""}
		byName[t.peer] = t
	}
	front := ""
	if d.follow {
		front = c.voices.Front()
	}
	var seated []tile
	for _, name := range c.seats.Take(persons, places, &c.voices, front) {
		seated = append(seated, byName[name])
	}
	return seated
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
