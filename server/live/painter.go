package live

import (
	"image"

	"amphi/compositor/label"
	"amphi/compositor/wire"
)

// glide is how long tiles take to their new places, in milliseconds.
const glide = 300

// painter turns selections into scenes, and keeps the numbers of bitmaps and of tiles.
type painter struct {
	title  string // shown while the stage is empty
	labels *label.Renderer

	ids    map[any]uint32 // by description: one of package label's, or a drawn upload
	groups map[string]uint32
	next   uint32
}

// drawn is an upload at a size.
type drawn struct {
	*upload
	w, h int
	fit  wire.Fit
}

// scene is a scene and the messages that bring its bitmaps, by their ids.
type scene struct {
	message *wire.Scene
	bitmaps map[uint32]wire.Message
}

func newPainter(title string, labels *label.Renderer) *painter {
	return &painter{title: title, labels: labels, ids: make(map[any]uint32), groups: make(map[string]uint32)}
}

// painting is a scene that is being painted.
type painting struct {
	*painter
	selection
	scene
	ids    map[any]uint32
	groups map[string]uint32
}

// paint makes the scene of a selection, with a line of chat if that is not empty. Where the worker
// has a picture of an input the stand-in below is left out: filling what nobody sees costs as much
// as the picture.
func (p *painter) paint(sel selection, inputs map[string]shownInput, chat string) scene {
	g := &painting{painter: p, selection: sel, ids: make(map[any]uint32), groups: make(map[string]uint32)}
	g.message = &wire.Scene{Background: sel.design.canvas, Glide: glide}
	g.bitmaps = make(map[uint32]wire.Message)
	if u := sel.design.picture; u != nil {
		g.message.Backdrop = g.upload(drawn{u, sel.canvas.W, sel.canvas.H, wire.Cover})
	}
	for _, t := range sel.tiles {
		g.tile(t, inputs)
	}
	if len(sel.tiles) == 0 {
		g.slate()
	}
	for _, l := range sel.design.logos {
		g.logo(l)
	}
	if chat != "" {
		id, size := g.label(label.Name{Text: chat, Height: sel.canvas.LabelHeight() * 5 / 4, MaxWidth: sel.canvas.W - 6*sel.canvas.Gap()})
		above := sel.canvas.H - sel.canvas.LabelHeight() - 4*sel.canvas.Gap() // the names of the last row
		g.add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: g.centred(size, above-size.Y)})
	}
	p.ids, p.groups = g.ids, g.groups
	return g.scene
}

// tile draws one tile: a stand-in or a picture, and what is told of whoever it shows.
func (g *painting) tile(t tile, inputs map[string]shownInput) {
	rect, d := t.place.Rect, g.design
	frame := wire.Item{Rect: rect, Radius: uint8(min(t.place.Radius, 255)), Group: g.group(t)}
	if t.speaking && d.levels && len(g.tiles) > 1 {
		frame.Border, frame.BorderColor = uint8(min(g.canvas.Border(), 254)), d.voice
	}
	high := g.canvas.LabelHeightIn(rect)
	n := label.Name{Muted: t.muted && !t.screen && d.mutes, Height: high, MaxWidth: g.canvas.LabelWidth(rect)}
	if d.names {
		n.Text = t.name
	}
	named := n.Text != "" || n.Muted
	in, shown := inputs[t.video]
	if !t.screen && !in.pictured {
		stand := frame
		stand.Source, stand.Fill = wire.FromColor, d.tile
		g.add(stand)
		at := g.canvas.AvatarAt(rect, named)
		a := label.Avatar{Name: t.name, Size: at.Dx()}
		g.add(wire.Item{Source: wire.FromBitmap, ID: g.bitmap(a, g.labels.Avatar(a)), Rect: at, Group: frame.Group})
	}
	if shown {
		it := frame
		it.Source, it.ID = wire.FromInput, in.id
		if t.screen {
			it.Fit, it.Fill = wire.Contain, d.tile // on which the name can be seen where the picture ends
		}
		g.add(it)
	}
	if named {
		id, size := g.label(n)
		g.add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: g.canvas.LabelAt(rect, size), Group: frame.Group})
	}
	if t.hand && d.hands {
		h := label.Hand{Size: high * 5 / 4 &^ 1}
		b := g.labels.Hand(h)
		g.add(wire.Item{Source: wire.FromBitmap, ID: g.bitmap(h, b), Rect: g.canvas.BadgeAt(rect, b.Size()), Group: frame.Group})
	}
}

// slate fills an empty stage, so that whoever comes early sees that this is the right place: a
// picture, a title, and a line of text, one below the other in the middle.
func (g *painting) slate() {
	c, s := g.canvas, g.design.slate
	if s.title == "" {
		s.title = g.title
	}
	if s.text == "" {
		s.text = emptyStage
	}
	wide := c.W - 6*c.Gap()
	title := label.Title{Text: s.title, Size: c.LabelHeight() * 3 / 2, MaxWidth: wide, Bold: true}
	text := label.Title{Text: s.text, Size: c.LabelHeight(), MaxWidth: wide}
	titled, told := g.labels.Title(title), g.labels.Title(text)
	high := titled.H + c.Gap() + told.H
	var picture image.Point
	if s.picture != nil {
		picture = within(s.picture, c.W*3/5, c.H*9/20)
		high += picture.Y + 3*c.Gap()
	}
	y := (c.H - high) / 2
	if s.picture != nil {
		g.add(wire.Item{Source: wire.FromBitmap, ID: g.upload(drawn{s.picture, picture.X, picture.Y, wire.Contain}), Rect: g.centred(picture, y)})
		y += picture.Y + 3*c.Gap()
	}
	g.add(wire.Item{Source: wire.FromBitmap, ID: g.bitmap(title, titled), Rect: g.centred(titled.Size(), y)})
	y += titled.H + c.Gap()
	g.add(wire.Item{Source: wire.FromBitmap, ID: g.bitmap(text, told), Rect: g.centred(told.Size(), y)})
}

func (g *painting) logo(l logo) {
	size := within(l.upload, g.canvas.W*l.width/100, g.canvas.H/2)
	id := g.upload(drawn{l.upload, size.X, size.Y, wire.Contain})
	g.add(wire.Item{Source: wire.FromBitmap, ID: id, Rect: g.canvas.CornerAt(l.corner, size)})
}

// within is the even size of a picture that fits a box.
func within(u *upload, w, h int) image.Point {
	if u.w*h > u.h*w {
		h = w * u.h / u.w
	} else {
		w = h * u.w / u.h
	}
	return image.Pt(max(2, (w+1)&^1), max(2, (h+1)&^1))
}

func (g *painting) add(it wire.Item) {
	if !it.Rect.Empty() && len(g.message.Items) < wire.MaxItems {
		g.message.Items = append(g.message.Items, it)
	}
}

// group is the number of a tile, which it keeps as long as it is shown.
func (g *painting) group(t tile) uint32 {
	key := "peer " + t.peer
	if t.screen {
		key = "screen " + t.video
	}
	id, ok := g.painter.groups[key]
	if !ok {
		g.next++
		id = g.next
	}
	g.groups[key] = id
	return id
}

// number is that of a bitmap by its description.
func (g *painting) number(key any) uint32 {
	id, ok := g.ids[key]
	if !ok {
		if id, ok = g.painter.ids[key]; !ok {
			g.next++
			id = g.next
		}
		g.ids[key] = id
	}
	return id
}

func (g *painting) bitmap(key any, b label.Bitmap) uint32 {
	id := g.number(key)
	g.bitmaps[id] = bitmapMessage(id, b)
	return id
}

func (g *painting) label(n label.Name) (uint32, image.Point) {
	b := g.labels.Name(n)
	return g.bitmap(n, b), b.Size()
}

func (g *painting) upload(d drawn) uint32 {
	id := g.number(d)
	g.bitmaps[id] = &wire.Picture{ID: id, W: uint16(d.w), H: uint16(d.h), Fit: d.fit, Data: d.data}
	return id
}

func bitmapMessage(id uint32, b label.Bitmap) *wire.Bitmap {
	return &wire.Bitmap{ID: id, W: uint16(b.W), H: uint16(b.H), Pix: b.Pix}
}

// centred places something in the middle of the canvas' width, on even pixels.
func (g *painting) centred(size image.Point, y int) image.Rectangle {
	at := image.Pt((g.canvas.W-size.X)/2&^1, y&^1)
	return image.Rectangle{Min: at, Max: at.Add(size)}.Intersect(image.Rect(0, 0, g.canvas.W, g.canvas.H))
}
