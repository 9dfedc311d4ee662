package live

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"strings"
	"testing"
	"time"

	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/policy"
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
		if got := describe(choose(&policy.Layout{}, tt.peers...)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// choose arranges people who are new on the stage and silent.
func choose(l *policy.Layout, peers ...room.StagePeer) selection {
	layer := l.Shape(policy.HLSLayer{Width: hd.W, Height: hd.H})
	return new(cast).choose(layout.Canvas{W: layer.Width, H: layer.Height}, newDesign(l), &room.Stage{Peers: peers})
}

// Each setting of a layout is seen in the picture.
func TestChooseByLayout(t *testing.T) {
	guest := person("eve", "va")
	guest.Role = "guest"
	people := []room.StagePeer{person("ann", "va"), person("bob", "va"), guest}
	for name, tt := range map[string]struct {
		layout policy.Layout
		want   string
	}{
		"9:16":      {policy.Layout{AspectRatio: "9:16"}, "[ann ann.v 704x416][bob bob.v 704x416][eve eve.v 704x416]"},
		"1:1 tiles": {policy.Layout{TileAspectRatio: "1:1"}, "[ann ann.v 416x416][bob bob.v 416x416][eve eve.v 416x416]"},
		"spacious":  {policy.Layout{Density: "spacious"}, "[ann ann.v 598x324][bob bob.v 598x324][eve eve.v 598x324]"},
		"sidebar":   {policy.Layout{Mode: "sidebar"}, "[ann ann.v 1000x704][bob bob.v 256x192][eve eve.v 256x192]"},
		"spotlight": {policy.Layout{Mode: "spotlight"}, "[ann ann.v 1280x720]"},
		"role":      {policy.Layout{Roles: []string{"guest"}}, "[eve eve.v 1280x720]"},
		"one page":  {policy.Layout{TilesPerPage: 2}, "[ann ann.v 628x470][bob bob.v 628x470]"},
	} {
		got := describe(choose(&tt.layout, people...))
		if got, _, _ = strings.Cut(got, " ann.a"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

// Who speaks comes to the front where the layout follows voices, and to a tile where there are too
// few; pages turn by the clock.
func TestChooseByVoice(t *testing.T) {
	var stage room.Stage
	for _, name := range []string{"ann", "bob", "eve", "joe"} {
		stage.Peers = append(stage.Peers, person(name, "va"))
	}
	at := time.Unix(1_700_000_000, 0)
	shown := func(c *cast, l policy.Layout, speaks string) (names string) {
		for range 20 {
			at = at.Add(200 * time.Millisecond)
			levels := map[string]uint8{}
			for _, p := range stage.Peers {
				levels[p.ID] = 127
			}
			if speaks != "" {
				levels["id-"+speaks] = 30
			}
			c.voices.Hear(at, levels)
		}
		for _, t := range c.choose(hd, newDesign(&l), &stage).tiles {
			names += t.name
			if t.speaking {
				names += "!"
			}
			names += " "
		}
		return names
	}
	for _, tt := range []struct {
		layout policy.Layout
		speaks []string
		want   []string
	}{
		{policy.Layout{}, []string{"", "joe"}, []string{"ann bob eve joe ", "ann bob eve joe! "}},
		{policy.Layout{Mode: "active-speaker"}, []string{"", "joe", "", "bob"}, []string{"ann bob eve joe ", "joe! bob eve ann ", "joe bob eve ann ", "bob! joe eve ann "}},
		{policy.Layout{Mode: "spotlight"}, []string{"", "joe", ""}, []string{"ann ", "joe! ", "joe "}},
		{policy.Layout{Mode: "sidebar"}, []string{"", "joe"}, []string{"ann bob eve joe ", "ann bob eve joe! "}},
		{policy.Layout{TilesPerPage: 2}, []string{"", "joe", "bob"}, []string{"ann bob ", "ann joe! ", "bob! joe "}},
		{policy.Layout{TilesPerPage: 3, PageSeconds: 10}, []string{"", "joe"}, []string{"ann bob ", "ann bob "}},
	} {
		c := new(cast)
		for i, speaks := range tt.speaks {
			if got := shown(c, tt.layout, speaks); got != tt.want[i] {
				t.Errorf("%+v, %q speaks: %q, want %q", tt.layout, speaks, got, tt.want[i])
			}
		}
		if c.page++; tt.layout.PageSeconds > 0 {
			if got := shown(c, tt.layout, ""); got != "eve joe " {
				t.Errorf("the next page: %q", got)
			}
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
	sel := choose(nil, stage.Peers...)
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

// items writes a scene in one line.
func (sc scene) items(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if sc.message.Backdrop != 0 {
		fmt.Fprintf(&b, " on b%d", sc.message.Backdrop)
	}
	for _, it := range sc.message.Items {
		switch it.Source {
		case wire.FromInput:
			fmt.Fprintf(&b, " in%d", it.ID)
			if it.Fit == wire.Contain {
				b.WriteString("contain")
			}
		case wire.FromColor:
			b.WriteString(" tile")
		default:
			fmt.Fprintf(&b, " b%d", it.ID)
			switch m := sc.bitmaps[it.ID].(type) {
			case *wire.Bitmap:
				if int(m.W) < it.Rect.Dx() || int(m.H) < it.Rect.Dy() {
					t.Errorf("bitmap of %dx%d at %v", m.W, m.H, it.Rect)
				}
			case *wire.Picture:
				b.WriteString("picture")
				if int(m.W) != it.Rect.Dx() || int(m.H) != it.Rect.Dy() {
					t.Errorf("picture of %dx%d at %v", m.W, m.H, it.Rect)
				}
			default:
				t.Errorf("bitmap %d is missing", it.ID)
			}
		}
		if it.Border > 0 {
			b.WriteString("!")
		}
	}
	// What is sent must pass the wire's checks.
	w := wire.NewWriter(discard{})
	if err := w.Send(sc.message); err != nil {
		t.Error(err)
	}
	for _, m := range sc.bitmaps {
		if err := w.Send(m); err != nil {
			t.Error(err)
		}
	}
	return b.String()
}

func TestPaint(t *testing.T) {
	p := newPainter("the room", labels())
	input := func(pictured bool) map[string]shownInput {
		return map[string]shownInput{"ann.v": {id: 5, pictured: pictured}, "eve.s": {id: 6, pictured: pictured}}
	}
	stage := []room.StagePeer{person("ann", "va"), person("bob", "a"), person("eve", "s")}
	stage[1].HandRaised = true
	sel := choose(nil, stage...)
	// The screen with its name; ann's stand-in of tile and circle, her picture and name; bob's
	// stand-in, name and hand; eve, who shows her screen only, is in the strip too.
	first := p.paint(sel, input(false), "")
	if got := first.items(t); got != " in6contain b2 tile b4 in5 b5 tile b7 b8 b9 tile b11 b12" {
		t.Errorf("scene%s", got)
	}
	if got := p.paint(sel, input(true), "").items(t); got != " in6contain b2 in5 b5 tile b7 b8 b9 tile b11 b12" {
		t.Errorf("scene with pictures%s", got)
	}
	again := p.paint(sel, input(false), "ann: hello")
	if got := again.items(t); got != " in6contain b2 tile b13 in5 b5 tile b7 b8 b9 tile b11 b12 b14" {
		t.Errorf("scene without pictures again, with chat%s", got)
	}
	for i := range first.message.Items {
		if a, b := first.message.Items[i].Group, again.message.Items[i].Group; a != b || a == 0 {
			t.Errorf("item %d is of tile %d, then of %d", i, a, b)
		}
	}
	sel.tiles[1].speaking = true
	if got := p.paint(sel, input(true), "").items(t); got != " in6contain b2 in5! b5 tile b7 b8 b9 tile b11 b12" {
		t.Errorf("scene with a voice%s", got)
	}
	if got := p.paint(choose(nil), input(true), "").items(t); got != " b15 b16" || len(p.ids) != 2 {
		t.Errorf("empty stage%s", got)
	}
	for i := range 100 { // names that come and go take no numbers with them
		p.paint(choose(nil, person(fmt.Sprint("p", i), "")), nil, "")
	}
	if len(p.ids) != 2 || len(p.groups) != 1 {
		t.Errorf("%d bitmaps and %d tiles are known", len(p.ids), len(p.groups))
	}
}

func TestPaintByLayout(t *testing.T) {
	logo := policy.Image("data:image/png;base64," + base64.StdEncoding.EncodeToString(picture(t, 64, 32)))
	p := newPainter("the room", labels())
	l := &policy.Layout{
		Background: "#102030", BackgroundImage: logo, Overlays: []policy.Overlay{{Image: logo, Position: "bottom-left"}},
		Slate: &policy.Slate{Title: strings.Repeat("Soon ", 2000), Text: "at nine", Image: logo},
	}
	hand := person("joe", "")
	hand.HandRaised = true
	sc := p.paint(choose(l, hand), nil, "")
	if got := sc.items(t); got != " on b1 tile b3 b4 b5 b6picture" || sc.message.Background != 0x102030 {
		t.Errorf("scene%s on %#x", got, sc.message.Background)
	}
	if got := p.paint(choose(l), nil, "").items(t); got != " on b7 b8picture b9 b10 b11picture" {
		t.Errorf("slate%s", got)
	}
	l = &policy.Layout{HideName: true, HideHand: true, HideAudioLevel: true, AspectRatio: "9:16"}
	sel := choose(l, hand, person("ann", "a"))
	sel.tiles[0].speaking = true
	if got := p.paint(sel, nil, "").items(t); got != " tile b13 b14 tile b16" {
		t.Errorf("without much%s", got)
	}
	l.HideMute = true
	if got := p.paint(choose(l, hand), nil, "").items(t); got != " tile b17" {
		t.Errorf("without anything%s", got)
	}
	// A picture that is none is left out, as if it were not there.
	broken := newDesign(&policy.Layout{BackgroundImage: "data:image/png;base64,AAAA", Overlays: []policy.Overlay{{Image: "x"}}, Background: "red"})
	if broken.picture != nil || len(broken.logos) != 0 || broken.canvas != backgroundColor {
		t.Errorf("%+v", broken)
	}
}

func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReaction(t *testing.T) {
	for message, want := range map[string]string{
		`{"type":"EMOJI_REACTION","emojiId":"fire"}`: "🔥", `{"emojiId":"bomb"}`: "", `{"emojiId":7}`: "", "fire": "", "": "",
	} {
		if got := reaction(message); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
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
