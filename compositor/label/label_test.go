package label

import (
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	update = flag.Bool("update", false, "rewrite testdata")
	look   = flag.String("look", "", "directory to write pictures of the machine's fonts into")
)

// toRGBA is the inverse of i420.WithAlpha, for looking at bitmaps.
func toRGBA(b Bitmap) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, b.W, b.H))
	n := b.W * b.H
	for y := range b.H {
		for x := range b.W {
			i := y/2*(b.W/2) + x/2
			l := (float64(b.Pix[y*b.W+x]) - 16) * 255 / 219
			u, v := (float64(b.Pix[n+i])-128)*255/224, (float64(b.Pix[n+n/4+i])-128)*255/224
			clamp := func(f float64) byte { return byte(max(0, min(255, f+0.5))) }
			m.SetNRGBA(x, y, color.NRGBA{clamp(l + 1.402*v), clamp(l - 0.344136*u - 0.714136*v), clamp(l + 1.772*u), b.Pix[n+n/2+y*b.W+x]})
		}
	}
	return m
}

// sheet stacks bitmaps over a picture with light and dark parts.
func sheet(w int, bitmaps ...Bitmap) *image.RGBA {
	h := 8
	for _, b := range bitmaps {
		h += b.H + 8
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{byte(255 * x / w), byte(255 * x / w), 200, 255})
		}
	}
	y := 8
	for _, b := range bitmaps {
		draw.Draw(m, image.Rect(8, y, 8+b.W, y+b.H), toRGBA(b), image.Point{}, draw.Over)
		y += b.H + 8
	}
	return m
}

// golden compares a picture with testdata/name.png. Single pixels may differ a little, as
// floating point does between processors.
func golden(t *testing.T, name string, got *image.RGBA) {
	t.Helper()
	file := filepath.Join("testdata", name+".png")
	if *update {
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, got); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds() != got.Bounds() {
		t.Fatalf("%s is %v, want %v", name, got.Bounds(), m.Bounds())
	}
	want := image.NewRGBA(m.Bounds())
	draw.Draw(want, want.Rect, m, image.Point{}, draw.Src)
	worst, sum := 0, 0
	for i := range want.Pix {
		d := int(want.Pix[i]) - int(got.Pix[i])
		d = max(d, -d)
		worst, sum = max(worst, d), sum+d
	}
	if mean := float64(sum) / float64(len(want.Pix)); worst > 48 || mean > 0.5 {
		t.Errorf("%s differs: mean %.2f, worst %d (see with -update and a picture viewer)", name, mean, worst)
	}
}

func builtin(t *testing.T) *Renderer {
	t.Helper()
	return New(Config{BuiltinOnly: true})
}

func TestGolden(t *testing.T) {
	r := builtin(t)
	golden(t, "names", sheet(420,
		r.Name(Name{Text: "Ada Lovelace", Height: 32, MaxWidth: 400}),
		r.Name(Name{Text: "Ada Lovelace", Muted: true, Height: 32, MaxWidth: 400}),
		r.Name(Name{Text: "Grace Brewster Murray Hopper, Rear Admiral of the Navy", Muted: true, Height: 32, MaxWidth: 400}),
		r.Name(Name{Text: "Σωκράτης Ωνάσης", Height: 32, MaxWidth: 400}),
		r.Name(Name{Text: "Ян", Height: 32, MaxWidth: 400}),
		r.Name(Name{Muted: true, Height: 32, MaxWidth: 400}),
		r.Name(Name{Text: "Ada Lovelace", Muted: true, Height: 48, MaxWidth: 400}),
		r.Name(Name{Text: "Ada Lovelace", Muted: true, Height: 20, MaxWidth: 400}),
		r.Hand(Hand{Size: 40}),
		r.Hand(Hand{Size: 96}),
	))
	golden(t, "avatars", sheet(420,
		r.Avatar(Avatar{Name: "Ada Lovelace", Size: 160}),
		r.Avatar(Avatar{Name: "grace hopper", Size: 100}),
		r.Avatar(Avatar{Name: "Ян", Size: 64}),
		r.Avatar(Avatar{Name: "", Size: 48}),
		r.Title(Title{Text: "Quarterly all-hands of everybody who is anybody", Size: 44, MaxWidth: 400, Bold: true}),
		r.Title(Title{Text: "We begin at nine", Size: 24, MaxWidth: 400}),
	))
}

// TestScripts draws names in many scripts with the machine's fonts. What it looks like depends
// on them, so only what must hold is checked; -look writes a picture of it.
func TestScripts(t *testing.T) {
	r := New(Config{FontCache: t.TempDir()})
	names := []string{
		"محمد عبد الله", "שלום עליכם", "अनुष्का शर्मा", "สมชาย ใจดี", "田中 太郎", "김민준", "Nguyễn Thị Hương",
		"🎉 Party 👩🏽‍🚀 🇬🇷", "Ada محمد Lovelace", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "தமிழ் மொழி", "ქართული",
	}
	var all []Bitmap
	for _, name := range names {
		b := r.Name(Name{Text: name, Height: 32, MaxWidth: 400})
		if b.W <= 32 {
			t.Errorf("%q gave a label of %d pixels", name, b.W)
		}
		all = append(all, b)
	}
	all = append(all,
		r.Name(Name{Text: "محمد عبد الله محمد عبد الله محمد عبد الله", Muted: true, Height: 32, MaxWidth: 240}),
		r.Name(Name{Text: "👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀👩🏽‍🚀", Height: 32, MaxWidth: 200}),
	)
	for _, name := range []string{"محمد عبد الله", "👩🏽‍🚀 Astra", "田中 太郎"} {
		all = append(all, r.Avatar(Avatar{Name: name, Size: 160}))
	}
	if *look != "" {
		f, err := os.Create(filepath.Join(*look, "scripts.png"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, sheet(420, all...)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"  Ada \t\n Lovelace ":             "Ada Lovelace",
		"\x00\x1b[31mred":                  "[31mred",
		"bad \xff\xfe utf8":                "bad utf8",
		"a\u202eb\u2066c\u2069\u200f":      "abc",
		"👩🏽\u200d🚀":                        "👩🏽\u200d🚀",
		"Z" + strings.Repeat("\u0301", 50): "Z" + strings.Repeat("\u0301", 4),
		strings.Repeat("x", 1000):          strings.Repeat("x", maxRunes),
		strings.Repeat("\u202e", 1<<20):    "",
		"":                                 "",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%.40q) = %q, want %q", in, got, want)
		}
	}
}

func TestInitials(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace": "AL", "grace brewster hopper": "GH", "plato": "P", "": "?", "(": "?",
		"Ян Ким": "ЯК", "田中 太郎": "田", "محمد علي": "م", "👩🏽‍🚀 Astra": "👩🏽‍🚀", "é x": "ÉX", "Bob 🎉": "B", "ß x": "ßX",
	} {
		if got := initials(clean(in)); got != want {
			t.Errorf("initials(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	r := builtin(t)
	for _, c := range []struct {
		b          Bitmap
		maxW, want int
	}{
		{r.Name(Name{Text: strings.Repeat("W", 500), Height: 32, MaxWidth: 301}), 300, 32},
		{r.Name(Name{Text: strings.Repeat("क्ष्म", 1000), Height: 32, MaxWidth: 301}), 300, 32}, // 15 KB
		{r.Name(Name{Text: strings.Repeat("محمد 👩🏽‍🚀", 500), Height: 32, MaxWidth: 301}), 300, 32},
		{r.Avatar(Avatar{Name: strings.Repeat("e\u0301\u0302", 3000), Size: 64}), 64, 64},
		{r.Name(Name{Text: "A", Height: 31, MaxWidth: 300}), 300, 30},
		{r.Name(Name{Text: "A", Height: 32, MaxWidth: 0}), 32, 32},
		{r.Name(Name{Text: "A", Muted: true, Height: -5, MaxWidth: -5}), 12, 12},
		{r.Name(Name{Text: "A", Height: 1 << 30, MaxWidth: 1 << 30}), MaxSide, maxHeight},
		{r.Avatar(Avatar{Name: "A", Size: 0}), 2, 2},
		{r.Avatar(Avatar{Name: "A", Size: 1 << 30}), MaxSide, MaxSide},
		{r.Title(Title{Text: strings.Repeat("W", 500), Size: 40, MaxWidth: 301}), 300, 60},
		{r.Title(Title{}), 4, 18},
		{r.Emoji(Emoji{Text: strings.Repeat("W", 500), Size: 41}), 40, 40},
		{r.Hand(Hand{Size: 0}), 12, 12},
	} {
		if c.b.H != c.want || c.b.W > c.maxW || c.b.W < 2 || c.b.W%2 != 0 || len(c.b.Pix) != c.b.W*c.b.H*5/2 {
			t.Errorf("bitmap %dx%d with %d bytes, want at most %dx%d", c.b.W, c.b.H, len(c.b.Pix), c.maxW, c.want)
		}
	}
}

func TestCache(t *testing.T) {
	r := builtin(t)
	r.budget = 200 << 10
	a := r.Avatar(Avatar{Name: "Ada", Size: 96})
	if b := r.Avatar(Avatar{Name: " Ada ", Size: 97}); &a.Pix[0] != &b.Pix[0] {
		t.Error("the same tile was drawn twice")
	}
	for i := range 40 {
		r.Avatar(Avatar{Name: string(rune('a' + i)), Size: 96})
		r.Avatar(Avatar{Name: "Ada", Size: 96}) // in use, so it stays
	}
	if r.bytes > r.budget || len(r.cache) != r.order.Len() || len(r.cache) < 5 {
		t.Errorf("cache of %d bytes, %d keys, %d entries", r.bytes, len(r.cache), r.order.Len())
	}
	if b := r.Avatar(Avatar{Name: "Ada", Size: 96}); &a.Pix[0] != &b.Pix[0] {
		t.Error("a tile in use was dropped")
	}
}

// FuzzName checks that any name gives a label of the right size, by the built-in fonts.
func FuzzName(f *testing.F) {
	for _, s := range []string{"Ada", "محمد", "👩🏽‍🚀", "a\u0301\u0302", "\xff", "क्ष", "\u200d\u200d", "ก็็็็็็", "\u1100\u1161\u11a8"} {
		f.Add(s, true)
	}
	r := New(Config{BuiltinOnly: true})
	f.Fuzz(func(t *testing.T, s string, muted bool) {
		if c := clean(s); !utf8.ValidString(c) || utf8.RuneCountInString(c) > maxRunes+1 {
			t.Fatalf("clean(%q) = %q", s, c)
		}
		b := r.Name(Name{Text: s, Muted: muted, Height: 24, MaxWidth: 120})
		if b.H != 24 || b.W > 120 || len(b.Pix) != b.W*b.H*5/2 {
			t.Fatalf("bitmap %dx%d for %q", b.W, b.H, s)
		}
		r.Avatar(Avatar{Name: s, Size: 36})
		r.Title(Title{Text: s, Size: 24, MaxWidth: 120})
	})
}

func BenchmarkName(b *testing.B) {
	r := New(Config{BuiltinOnly: true})
	n := Name{Text: "Ada Lovelace", Muted: true, Height: 32, MaxWidth: 400}
	for b.Loop() {
		r.drawName(n)
	}
}
