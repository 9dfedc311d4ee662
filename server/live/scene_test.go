package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/protocol"
	"amphi/server/room"
	"amphi/server/sfu"
)

var hd = layout.Canvas{W: 1280, H: 720}

// person is somebody on a stage. What they publish is "v" camera, "a" microphone, "s" screen,
// "S" sound of the screen; after a "-", muted.
func person(name, publishes string) room.StagePeer {
	p := room.StagePeer{ID: "id-" + name, Name: name}
	muted := false
	for _, c := range publishes {
		if muted = c == '-'; muted {
			continue
		}
		t := room.StageTrack{ID: name + "." + string(c), Kind: protocol.Video, Source: "regular", Media: new(sfu.Track)}
		if c == 'a' || c == 'S' {
			t.Kind = protocol.Audio
		}
		if c == 's' || c == 'S' {
			t.Source = sourceScreen
		}
		p.Tracks = append(p.Tracks, t)
	}
	for i, c := range publishes {
		if c == '-' {
			for j := range p.Tracks {
				p.Tracks[j].Muted = p.Tracks[j].Muted || strings.HasSuffix(p.Tracks[j].ID, "."+publishes[i+1:i+2])
			}
		}
	}
	return p
}

// describe writes a selection in one line.
func describe(sel selection) string {
	var b strings.Builder
	for _, t := range sel.tiles {
		fmt.Fprintf(&b, "[%s %s", t.name, t.video)
		if t.muted {
			b.WriteString(" muted")
		}
		if t.hand {
			b.WriteString(" hand")
		}
		fmt.Fprintf(&b, " %dx%d]", t.place.Rect.Dx(), t.place.Rect.Dy())
	}
	for _, f := range sel.tracks {
		b.WriteString(" " + f.ID)
	}
	return b.String()
}

func TestChoose(t *testing.T) {
	waiting := person("eve", "va")
	waiting.Tracks[0].Media = nil
	hand := person("joe", "v")
	hand.HandRaised = true
	tests := []struct {
		name  string
		peers []room.StagePeer
		want  string
	}{
		{"nobody", nil, ""},
		{"one", []room.StagePeer{person("ann", "va")}, "[ann ann.v 1280x720] ann.a ann.v"},
		{"two", []room.StagePeer{person("ann", "va"), hand},
			"[ann ann.v 628x470][joe joe.v muted hand 628x470] ann.a ann.v joe.v"},
		{"camera off", []room.StagePeer{person("ann", "-va")}, "[ann  1280x720] ann.a"},
		{"microphone off", []room.StagePeer{person("ann", "v-a")}, "[ann ann.v muted 1280x720] ann.v"},
		{"not there yet", []room.StagePeer{waiting}, "[eve  1280x720] eve.a"},
		{"screen", []room.StagePeer{person("ann", "va"), person("bob", "vasS")},
			"[bob bob.s 1000x704][ann ann.v 256x192][bob bob.v 256x192] ann.a ann.v bob.a bob.S bob.v bob.s"},
	}
	for _, tt := range tests {
		if got := describe(choose(hd, &room.Stage{Peers: tt.peers})); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// On a crowded stage those with a picture have the places, and everybody is heard.
func TestChooseFromACrowd(t *testing.T) {
	var stage room.Stage
	for i := range 60 {
		publishes := "a"
		if i%3 == 2 {
			publishes = "va"
		}
		stage.Peers = append(stage.Peers, person(fmt.Sprint("p", i), publishes))
	}
	sel := choose(hd, &stage)
	if len(sel.tiles) != layout.PerPage {
		t.Fatalf("%d tiles", len(sel.tiles))
	}
	for i, tile := range sel.tiles {
		if want := fmt.Sprintf("p%d.v", 3*i+2); tile.video != want {
			t.Errorf("tile %d shows %q, want %q", i, tile.video, want)
		}
	}
	voices, pictures := 0, 0
	for _, f := range sel.tracks {
		if f.Kind == protocol.Audio {
			voices++
		} else {
			pictures++
		}
	}
	if voices != maxVoices || pictures != layout.PerPage {
		t.Errorf("%d voices, %d pictures", voices, pictures)
	}
}

func TestPaint(t *testing.T) {
	p := newPainter(hd, "the room", labels())
	input := func(pictured bool) map[string]shownInput {
		return map[string]shownInput{"ann.v": {id: 5, pictured: pictured}, "eve.s": {id: 6, pictured: pictured}}
	}
	stage := &room.Stage{Peers: []room.StagePeer{person("ann", "va"), person("bob", "a"), person("eve", "s")}}
	stage.Peers[1].HandRaised = true
	sel := choose(hd, stage)
	items := func(sc scene) string {
		var b strings.Builder
		for _, it := range sc.message.Items {
			if it.Source == wire.FromInput {
				fmt.Fprintf(&b, " in%d", it.ID)
				if it.Fit == wire.Contain {
					b.WriteString("contain")
				}
			} else if bm, ok := sc.bitmaps[it.ID]; !ok {
				t.Errorf("bitmap %d is missing", it.ID)
			} else {
				fmt.Fprintf(&b, " b%d", it.ID)
				if bm.W < it.Rect.Dx() || bm.H < it.Rect.Dy() {
					t.Errorf("bitmap of %dx%d at %v", bm.W, bm.H, it.Rect)
				}
			}
		}
		return b.String()
	}
	first := p.paint(sel, input(false))
	// The screen with its name; ann's stand-in, picture and name; bob's stand-in, name and
	// hand; eve, who shows her screen only, is in the strip too.
	if got := items(first); got != " in6contain b1 b2 in5 b3 b4 b5 b6 b7 b8" {
		t.Errorf("scene%s", got)
	}
	if got := items(p.paint(sel, input(true))); got != " in6contain b1 in5 b3 b4 b5 b6 b7 b8" {
		t.Errorf("scene with pictures%s", got)
	}
	if got := items(p.paint(sel, input(false))); got != " in6contain b1 b9 in5 b3 b4 b5 b6 b7 b8" {
		t.Errorf("scene without pictures again%s", got)
	}
	empty := p.paint(selection{}, input(true))
	if got := items(empty); got != " b10 b11" || len(p.ids) != 2 {
		t.Errorf("empty stage%s", got)
	}
	// What is sent must pass the wire's checks.
	w := wire.NewWriter(discard{})
	for _, sc := range []scene{first, empty} {
		if err := w.Send(sc.message); err != nil {
			t.Error(err)
		}
		for id, b := range sc.bitmaps {
			if err := w.Send(&wire.Bitmap{ID: id, W: uint16(b.W), H: uint16(b.H), Pix: b.Pix}); err != nil {
				t.Error(err)
			}
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestOnGrid(t *testing.T) {
	for _, tt := range []struct{ ms, fps, want int64 }{
		{0, 30, 0}, {1, 30, 100}, {100, 30, 100}, {1234, 30, 1300}, {1234, 25, 1240}, {1234, 24, 1250}, {1234, 60, 1250},
	} {
		got := onGrid(time.Duration(tt.ms)*time.Millisecond, int(tt.fps)).Milliseconds()
		if got != tt.want || got*tt.fps%1000 != 0 {
			t.Errorf("%d ms at %d fps: %d, want %d", tt.ms, tt.fps, got, tt.want)
		}
	}
}
