package live

import (
	"cmp"
	"image"
	"slices"

	"amphi/compositor/label"
	"amphi/compositor/layout"
	"amphi/compositor/wire"
	"amphi/server/protocol"
	"amphi/server/room"
)

const (
	// maxVoices is how many microphones are mixed. Those beyond it are on a stage so crowded
	// that nobody is understood.
	maxVoices = 48

	sourceScreen = "screen" // StageTrack.Source of a shared screen and its sound

	emptyStage = "The stage is empty"

	backgroundColor wire.RGB = 0x0b0f1a
	screenColor     wire.RGB = 0x000000 // beside a screen of another shape
)

// tile is one place of the composed picture and what stands there.
type tile struct {
	place  layout.Tile
	name   string
	muted  bool   // the microphone is off or missing
	hand   bool   // raised
	screen bool   // a shared screen: shown whole, and without a stand-in
	video  string // track id; empty shows the stand-in only
}

// selection is what of a stage is composed: tracks to decode, and where they stand.
type selection struct {
	tiles  []tile
	tracks []feedTrack
}

// feedTrack is a track to decode. Tracks of one peer are played in lip sync.
type feedTrack struct {
	room.StageTrack
	peer string
}

// choose arranges a stage on a canvas. Shared screens come first and get the large place; people
// stand in a grid, or in a strip beside the screens. When there are more than places, those with
// a picture go first, and in the order of joining.
func choose(c layout.Canvas, stage *room.Stage) selection {
	var sel selection
	var screens, people []tile
	voices := 0
	for _, p := range stage.Peers {
		person := tile{name: p.Name, muted: true, hand: p.HandRaised}
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
			screens = append(screens, tile{name: p.Name, screen: true, video: f.ID})
			sel.tracks = append(sel.tracks, f)
		}
		people = append(people, person)
	}
	slices.SortStableFunc(people, func(a, b tile) int {
		return cmp.Compare(boolInt(a.video == ""), boolInt(b.video == ""))
	})

	sel.tiles = append(screens, people...)
	var style layout.Style
	if len(screens) > 0 {
		style.Mode = layout.Sidebar
	}
	places := c.Arrange(style, len(sel.tiles))
	if len(sel.tiles) > len(places) {
		sel.hide(sel.tiles[len(places):])
		sel.tiles = sel.tiles[:len(places)]
	}
	for i := range sel.tiles {
		sel.tiles[i].place = places[i]
	}
	return sel
}

// hide leaves out the pictures of tiles that have no place. They are heard all the same.
func (s *selection) hide(tiles []tile) {
	s.tracks = slices.DeleteFunc(s.tracks, func(f feedTrack) bool {
		return slices.ContainsFunc(tiles, func(t tile) bool { return t.video == f.ID })
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// painter turns selections into scenes, and keeps the numbers of bitmaps.
type painter struct {
	canvas layout.Canvas
	title  string // shown while the stage is empty
	labels *label.Renderer

	ids  map[any]uint32 // by description: label.Name, label.Avatar or label.Hand
	next uint32
}

// scene is a scene and the bitmaps that it needs, by their ids.
type scene struct {
	message *wire.Scene
	bitmaps map[uint32]label.Bitmap
}

func newPainter(c layout.Canvas, title string, labels *label.Renderer) *painter {
	return &painter{canvas: c, title: title, labels: labels, ids: make(map[any]uint32)}
}

// paint makes the scene of a selection. Where the worker has a picture of an input the stand-in
// below is left out: blending what nobody sees costs as much as the picture.
func (p *painter) paint(sel selection, inputs map[string]shownInput) scene {
	sc := scene{message: &wire.Scene{Background: backgroundColor}, bitmaps: make(map[uint32]label.Bitmap)}
	before := p.ids
	p.ids = make(map[any]uint32)
	bitmap := func(key any, draw func() label.Bitmap) (uint32, label.Bitmap) {
		id, ok := p.ids[key]
		if !ok {
			if id, ok = before[key]; !ok {
				p.next++
				id = p.next
			}
			p.ids[key] = id
		}
		b, ok := sc.bitmaps[id]
		if !ok {
			b = draw()
			sc.bitmaps[id] = b
		}
		return id, b
	}
	add := func(it wire.Item) {
		if !it.Rect.Empty() && len(sc.message.Items) < wire.MaxItems {
			sc.message.Items = append(sc.message.Items, it)
		}
	}
	name := func(n label.Name) (uint32, label.Bitmap) {
		return bitmap(n, func() label.Bitmap { return p.labels.Name(n) })
	}

	for _, t := range sel.tiles {
		rect := t.place.Rect
		in, shown := inputs[t.video]
		if !t.screen && !in.pictured {
			a := label.Avatar{Name: t.name, W: rect.Dx(), H: rect.Dy(), Radius: t.place.Radius}
			id, _ := bitmap(a, func() label.Bitmap { return p.labels.Avatar(a) })
			add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: rect})
		}
		if shown {
			it := wire.Item{Source: wire.FromInput, ID: in.id, Rect: rect, Radius: uint8(min(t.place.Radius, 255))}
			if t.screen {
				it.Fit, it.Fill = wire.Contain, screenColor
			}
			add(it)
		}
		id, b := name(label.Name{Text: t.name, Muted: t.muted && !t.screen,
			Height: p.canvas.LabelHeight(), MaxWidth: p.canvas.LabelWidth(rect)})
		add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: p.canvas.LabelAt(rect, size(b))})
		if t.hand {
			h := label.Hand{Size: p.canvas.LabelHeight() * 5 / 4 &^ 1}
			id, b := bitmap(h, func() label.Bitmap { return p.labels.Hand(h) })
			add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: p.canvas.BadgeAt(rect, size(b))})
		}
	}
	if len(sel.tiles) == 0 {
		// A calm slate, so that whoever comes early sees that this is the right place.
		mid := p.canvas.H / 2
		for _, line := range []struct {
			text   string
			height int
			y      int // of the upper edge
		}{
			{p.title, p.canvas.LabelHeight() * 2, mid - p.canvas.LabelHeight()*2},
			{emptyStage, p.canvas.LabelHeight(), mid + p.canvas.LabelHeight()/2},
		} {
			id, b := name(label.Name{Text: line.text, Height: line.height, MaxWidth: p.canvas.W - 2*p.canvas.Gap()})
			add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: centred(p.canvas, size(b), line.y)})
		}
	}
	return sc
}

func size(b label.Bitmap) image.Point { return image.Pt(b.W, b.H) }

// centred places a bitmap in the middle of the canvas' width, on even pixels.
func centred(c layout.Canvas, size image.Point, y int) image.Rectangle {
	at := image.Pt((c.W-size.X)/2&^1, y&^1)
	return image.Rectangle{Min: at, Max: at.Add(size)}.Intersect(image.Rect(0, 0, c.W, c.H))
}
