//go:build cgo

package canvas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"amphi/compositor/wire"
)

// upload is a red picture with a transparent upper half.
func upload(t testing.TB, w, h int, encode func(*bytes.Buffer, image.Image) error) []byte {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if y >= h/2 {
				m.Set(x, y, color.NRGBA{0xd0, 0x20, 0x20, 0xff})
			}
		}
	}
	var b bytes.Buffer
	if err := encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(b *bytes.Buffer, m image.Image) error  { return png.Encode(b, m) }
func asJPEG(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) }

func TestDecode(t *testing.T) {
	for _, size := range []image.Point{{1, 2}, {3, 3}, {64, 64}, {301, 77}, {1280, 720}} {
		for _, fit := range []wire.Fit{wire.Cover, wire.Contain} {
			b, err := Decode(&wire.Picture{ID: 3, W: 64, H: 48, Fit: fit, Data: upload(t, size.X, size.Y, asPNG)})
			if err != nil {
				t.Fatal(err)
			}
			if b.ID != 3 || b.W != 64 || b.H != 48 || len(b.Pix) != wire.BitmapSize(64, 48) {
				t.Fatalf("a bitmap of %dx%d with %d bytes", b.W, b.H, len(b.Pix))
			}
			c := New(64, 48)
			c.SetBitmap(b)
			c.SetScene(&wire.Scene{Background: night, Items: []wire.Item{{Source: wire.FromBitmap, ID: 3, Rect: image.Rect(0, 0, 64, 48)}}})
			c.Draw(0)
			// Just above and below the middle.
			if above, below := c.Image().at(32, 17), c.Image().at(32, 28); size.X > 3 && (above[2] > 150 || below[2] < 190) {
				t.Errorf("%v with fit %d: %v above %v", size, fit, above, below)
			}
		}
	}
	if _, err := Decode(&wire.Picture{ID: 3, W: 64, H: 48, Data: upload(t, 200, 100, asJPEG)}); err != nil {
		t.Error(err)
	}
}

// bomb is a PNG whose header promises more than is there.
func bomb(t testing.TB, w, h uint32) []byte {
	b := upload(t, 8, 8, asPNG)
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestDecodeRefuses(t *testing.T) {
	good := upload(t, 64, 64, asPNG)
	for name, data := range map[string][]byte{
		"nothing":      nil,
		"text":         []byte("<svg onload=alert(1)>"),
		"cut off":      good[:len(good)-20],
		"JPEG's start": {0xff, 0xd8, 0xff},
		"a bomb":       bomb(t, 50000, 50000),
		"a wide bomb":  bomb(t, maxUploadSide+1, 1),
		"a large one":  bomb(t, 4096, 1025),
		"no width":     bomb(t, 0, 10),
	} {
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := Decode(&wire.Picture{W: 64, H: 64, Data: data}); !errors.Is(err, ErrUpload) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocated > 500 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(upload(f, 16, 9, asPNG), uint8(0))
	f.Add(upload(f, 16, 9, asJPEG), uint8(1))
	f.Add(bomb(f, 4000, 1000), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, fit uint8) {
		b, err := Decode(&wire.Picture{W: 30, H: 20, Fit: wire.Fit(fit % 2), Data: data})
		if (b == nil) == (err == nil) {
			t.Errorf("%v and %v", b, err)
		}
	})
}
