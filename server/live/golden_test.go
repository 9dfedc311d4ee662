//go:build cgo

package live

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"amphi/compositor/canvas"
	"amphi/compositor/layout"
	"amphi/compositor/sitter"
	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/room"
)

var (
	update = flag.Bool("update", false, "rewrite testdata/*.png")
	look   = flag.String("look", "", "write each picture, in the size of a stream, into this directory")
)

// rgb is a canvas as it is seen.
func rgb(m *canvas.Image) *image.RGBA {
	out := image.NewRGBA(m.Bounds())
	clamp := func(f float64) byte { return byte(max(0, min(255, f+0.5))) }
	for y := range m.H {
		for x := range m.W {
			l := (float64(m.Y[y*m.YStride+x]) - 16) * 255 / 219
			u := (float64(m.U[y/2*m.CStride+x/2]) - 128) * 255 / 224
			v := (float64(m.V[y/2*m.CStride+x/2]) - 128) * 255 / 224
			out.SetRGBA(x, y, color.RGBA{clamp(l + 1.402*v), clamp(l - 0.344136*u - 0.714136*v), clamp(l + 1.772*u), 255})
		}
	}
	return out
}

// compose draws a stage as the server and the worker do together: the server's scene, sent over
// the wire, on the worker's canvas.
func compose(t *testing.T, size layout.Canvas, l *policy.Layout, stage *room.Stage, chat string) *image.RGBA {
	t.Helper()
	var c cast
	levels := map[string]uint8{}
	for i, p := range stage.Peers {
		levels[p.ID] = 127
		if i == 1 { // the second speaks
			levels[p.ID] = 30
		}
	}
	for i := range 10 {
		c.voices.Hear(time.Unix(0, 0).Add(time.Duration(i)*200*time.Millisecond), levels)
	}
	sel := c.choose(size, newDesign(l), stage)
	cv := canvas.New(size.W, size.H)
	inputs := map[string]shownInput{}
	for i, tile := range sel.tiles {
		id := uint32(i + 1)
		switch {
		case tile.screen:
			cv.SetPicture(id, sitter.Window(1280, 720))
		case tile.video != "":
			n, w, h := int(tile.name[0]), 640, 360
			if n%5 == 0 {
				w, h = 360, 640 // a phone
			}
			cv.SetPicture(id, sitter.Portrait(n, w, h))
		default:
			continue
		}
		inputs[tile.video] = shownInput{id: id, pictured: true}
	}
	sc := newPainter("Town hall of October", labels()).paint(sel, inputs, chat)
	for _, m := range sc.bitmaps {
		b, ok := m.(*wire.Bitmap)
		if !ok {
			var err error
			if b, err = canvas.Decode(m.(*wire.Picture)); err != nil {
				t.Fatal(err)
			}
		}
		cv.SetBitmap(b)
	}
	cv.SetScene(sc.message)
	cv.Draw(0)
	return rgb(cv.Image())
}

// people is a stage of n, of whom some have no picture, no microphone, or a hand up.
func people(n int) *room.Stage {
	names := []string{"Ada Lovelace", "Grace Hopper", "Edsger", "Barbara Liskov", "Donald Knuth", "Frances Allen", "Ken T.", "Margaret Hamilton of the Apollo programme",
		"Linus", "Radia Perlman", "Vint Cerf", "Tim", "Hedy Lamarr", "Jean Bartik", "Karen", "Ian", "Mary", "Niklaus Wirth", "Ole", "Peter", "Quinn", "Rózsa Péter", "Sophie Wilson", "Ulla", "William"}
	var stage room.Stage
	for i := range n {
		publishes := "va"
		switch i % 7 {
		case 3:
			publishes = "a"
		case 4:
			publishes = "v"
		}
		p := person(names[i], publishes)
		p.HandRaised = i%7 == 2
		stage.Peers = append(stage.Peers, p)
	}
	return &stage
}

// photo is a picture to stand behind all, and emblem one to stand over all.
func photo(t *testing.T) policy.Image {
	m := image.NewRGBA(image.Rect(0, 0, 640, 360))
	for y := range 360 {
		for x := range 640 {
			k := math.Hypot(float64(x-480)/640, float64(y-60)/360)
			m.SetRGBA(x, y, color.RGBA{byte(max(24, 150-110*k)), byte(max(20, 70-40*k)), byte(max(64, 150-60*k)), 255})
		}
	}
	return asImage(t, m)
}

func emblem(t *testing.T) policy.Image {
	m := image.NewRGBA(image.Rect(0, 0, 240, 96))
	for y := range 96 {
		for x := range 240 {
			inDisc := math.Hypot(float64(x-48), float64(y-48)) < 44 && math.Hypot(float64(x-48), float64(y-48)) > 24
			inBar := x > 112 && x < 232 && (y/16)%2 == 1
			if inDisc || inBar {
				m.SetRGBA(x, y, color.RGBA{255, 194, 51, 255})
			}
		}
	}
	return asImage(t, m)
}

func asImage(t *testing.T, m image.Image) policy.Image {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return policy.Image("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// TestGoldenPictures compares what streams look like, in each layout and each shape, with pictures
// in testdata: one sheet for each shape. Single pixels may differ a little, as floating point does
// between processors.
func TestGoldenPictures(t *testing.T) {
	shared := people(4)
	shared.Peers[0] = person("Ada Lovelace", "vas")
	branded := policy.Layout{
		BackgroundImage: photo(t), Overlays: []policy.Overlay{{Image: emblem(t)}}, Density: "spacious",
		TileColor: "#4a2a6a", AudioLevelColor: "#ffc233", Slate: &policy.Slate{Title: "Annual meeting", Text: "We begin at nine", Image: emblem(t)},
	}
	scenes := []struct {
		name   string
		layout policy.Layout
		stage  *room.Stage
		chat   string
	}{
		{"one", policy.Layout{}, people(1), ""},
		{"two", policy.Layout{}, people(2), ""},
		{"two-square", policy.Layout{TileAspectRatio: "1:1"}, people(2), ""},
		{"five", policy.Layout{}, people(5), ""},
		{"nine", policy.Layout{}, people(9), ""},
		{"crowd", policy.Layout{TilesPerPage: 25}, people(25), ""},
		{"speaker", policy.Layout{Mode: "active-speaker"}, people(6), ""},
		{"spotlight", policy.Layout{Mode: "spotlight"}, people(6), "Grace Hopper: the nanosecond is this long"},
		{"screen", policy.Layout{}, shared, ""},
		{"branded", branded, people(4), ""},
		{"slate", policy.Layout{}, people(0), ""},
		{"branded-slate", branded, people(0), ""},
		{"sidebar", policy.Layout{Mode: "sidebar"}, people(4), ""},
		{"sidebar-spacious", policy.Layout{Mode: "sidebar", Density: "spacious"}, people(3), ""},
		{"spotlight-screen", policy.Layout{Mode: "spotlight"}, shared, ""},
		{"pages", policy.Layout{TilesPerPage: 6, PageSeconds: 10}, people(11), ""},
	}
	for _, aspect := range policy.AspectRatios {
		t.Run(aspect, func(t *testing.T) {
			t.Parallel()
			w, h := policy.ParseAspectRatio(aspect)
			name := fmt.Sprintf("%dx%d", w, h)
			const columns, gap = 4, 8
			sheet := new(image.RGBA)
			for i, s := range scenes {
				l := s.layout
				l.AspectRatio = aspect
				if *look != "" {
					layer := l.Shape(policy.HLSLayer{Width: 1280, Height: 720})
					writePNG(t, filepath.Join(*look, s.name+"-"+name+".png"), compose(t, layout.Canvas{W: layer.Width, H: layer.Height}, &l, s.stage, s.chat))
				}
				layer := l.Shape(policy.HLSLayer{Width: 480, Height: 270})
				m := compose(t, layout.Canvas{W: layer.Width, H: layer.Height}, &l, s.stage, s.chat)
				if i == 0 {
					rows := (len(scenes) + columns - 1) / columns
					sheet = image.NewRGBA(image.Rect(0, 0, columns*(m.Rect.Dx()+gap)+gap, rows*(m.Rect.Dy()+gap)+gap))
					draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
				}
				at := image.Pt(gap+i%columns*(m.Rect.Dx()+gap), gap+i/columns*(m.Rect.Dy()+gap))
				draw.Draw(sheet, m.Rect.Add(at), m, image.Point{}, draw.Src)
			}
			golden(t, name, sheet)
		})
	}
}

// golden compares a picture with testdata/name.png.
func golden(t *testing.T, name string, got *image.RGBA) {
	t.Helper()
	file := filepath.Join("testdata", name+".png")
	if *update {
		writePNG(t, file, got)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if decoded.Bounds() != got.Rect {
		t.Fatalf("%s has %v, want %v", file, decoded.Bounds(), got.Rect)
	}
	want := image.NewRGBA(got.Rect)
	draw.Draw(want, want.Rect, decoded, image.Point{}, draw.Src)
	off := 0
	for i := range want.Pix {
		if d := int(want.Pix[i]) - int(got.Pix[i]); d < -12 || d > 12 {
			off++
		}
	}
	if off > len(want.Pix)/5000 {
		failed := filepath.Join(t.ArtifactDir(), name+".png")
		writePNG(t, failed, got)
		t.Errorf("%d values differ from %s: see %s, or with -update and git diff", off, file, failed)
	}
}

func writePNG(t *testing.T, file string, m image.Image) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
