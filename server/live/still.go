package live

import (
	"context"
	"fmt"
	"slices"
	"time"

	"amphi/compositor/label"
	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/mediaworker"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

// Stills draws what live streams would look like, with people who are not there: the scene is made as that of a stream
// is, and drawn by the program that draws those.
type Stills struct {
	Worker string // as in Config
	Labels *label.Renderer
}

// Still is a picture that can be drawn.
type Still struct {
	Title         string // of the room, for an empty stage
	Layout        *policy.Layout
	Width, Height int  // pixels, even
	People        int  // on the stage, at most [MaxSitters]; 0: it is empty
	Screen        bool // the first of them shares a screen
}

// MaxSitters is how many people a Still can have.
const MaxSitters = 25

// sitters are the people of stills. Some have no camera, no microphone, or a hand up, so that all that a picture can
// tell of somebody is seen in it.
var sitters = []string{"Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Margaret", "Linus", "Radia", "Vint", "Hedy",
	"Tim", "Jean", "Niklaus", "Karen", "Ian", "Mary", "Ole", "Sophie", "Peter", "Ulla", "William", "Rózsa", "Quinn"}

// stage is who stands on the still's stage.
func (s Still) stage() *room.Stage {
	role := ""
	if s.Layout != nil && len(s.Layout.Roles) > 0 {
		role = s.Layout.Roles[0]
	}
	var stage room.Stage
	for i, name := range sitters[:max(0, min(s.People, MaxSitters))] {
		p := room.StagePeer{ID: name, Name: name, Role: role, HandRaised: i%7 == 2}
		track := func(kind protocol.TrackKind, source string) {
			p.Tracks = append(p.Tracks, room.StageTrack{ID: fmt.Sprint(name, " ", kind, " ", source), Kind: kind, Source: source, Media: new(sfu.Track)})
		}
		if i%7 != 4 {
			track(protocol.Audio, "regular")
		}
		if i%7 != 3 {
			track(protocol.Video, "regular")
		}
		if i == 0 && s.Screen {
			track(protocol.Video, sourceScreen)
		}
		stage.Peers = append(stage.Peers, p)
	}
	return &stage
}

// messages are what the worker is told to draw the still.
func (s Still) messages(labels *label.Renderer) []wire.Message {
	stage := s.stage()
	var c cast
	levels := map[string]uint8{} // RFC 6464
	for i, p := range stage.Peers {
		levels[p.ID] = 127
		if i == 1 || len(stage.Peers) == 1 { // speaks
			levels[p.ID] = 30
		}
	}
	for i := range 10 { // for as long as it takes until that is believed
		c.voices.Hear(time.Unix(0, 0).Add(time.Duration(i)*200*time.Millisecond), levels)
	}
	sel := c.choose(layout.Canvas{W: s.Width, H: s.Height}, newDesign(s.Layout), stage)
	inputs := map[string]shownInput{}
	for _, t := range sel.tiles {
		if t.video != "" {
			id := 1 + slices.Index(sitters, t.peer)
			if t.screen {
				id += MaxSitters
			}
			inputs[t.video] = shownInput{id: uint32(id), pictured: true}
		}
	}
	chat := ""
	if sel.design.chat && s.People > 0 {
		chat = "Vint: hello from the gallery"
	}
	painted := newPainter(s.Title, labels).paint(sel, inputs, chat)
	list := []wire.Message{&wire.Start{Renditions: []wire.Rendition{{Width: uint16(s.Width), Height: uint16(s.Height), Bitrate: 1_000_000}}, FPS: 25, KeyInterval: 25, AudioBitrate: 64_000}}
	for _, m := range painted.bitmaps {
		list = append(list, m)
	}
	return append(list, painted.message)
}

// Draw returns the still as a PNG. [mediaworker.ErrNoProgram] says that there is nothing to draw it with.
func (d *Stills) Draw(ctx context.Context, s Still) ([]byte, error) {
	return mediaworker.Compose(ctx, d.Worker, s.messages(d.Labels))
}
