package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// every holds one message of each type with every field set, and its encoding after the length.
var every = []struct {
	m   Message
	hex string
}{
	{&Hello{Libraries: "libopus 1.3.1"}, "01 6c69626f70757320312e332e31"},
	{&Start{
		Renditions: []Rendition{{1280, 720, 2500000}, {640, 360, 600000}},
		FPS:        30, KeyInterval: 30, AudioBitrate: 128000, Offset: 90 * time.Second,
	}, "02 0002 0500 02d0 002625a0 0280 0168 000927c0 1e 001e 0001f400 0000000000015f90"},
	{&AddInput{ID: 7, Codec: H264, Sync: 3}, "03 00000007 02 00000003"},
	{&RemoveInput{ID: 7}, "04 00000007"},
	{&Frame{Input: 7, RTP: 0xfffffffe, Capture: -2, Key: true, Data: []byte{1, 2, 3}},
		"05 00000007 fffffffe fffffffffffffffe 01 010203"},
	{&Bitmap{ID: 9, W: 2, H: 2, Pix: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"06 00000009 0002 0002 0102030405060708090a"},
	{&DropBitmap{ID: 9}, "07 00000009"},
	{&Scene{Background: 0x0b0f1a, Backdrop: 3, Glide: 300, Items: []Item{
		{Source: FromInput, ID: 7, Rect: image.Rect(8, 10, 640, 360), Fit: Contain, Radius: 12, Fill: 0x102030, Border: 4, BorderColor: 0x405060, Group: 5},
		{Source: FromBitmap, ID: 9, Rect: image.Rect(0, 0, 2, 2)},
	}}, "08 000b0f1a 00000003 012c 0002 01 00000007 0008 000a 0280 0168 01 0c 00102030 04 00405060 00000005" +
		" 02 00000009 0000 0000 0002 0002 00 00 00000000 00 00000000 00000000"},
	{&ForceKey{}, "09"},
	{&Stop{}, "0a"},
	{&Started{Epoch: 1, AudioConfig: []byte{0x11, 0x90}}, "0b 0000000000000001 1190"},
	{&Video{Rendition: 1, PTS: 3000, Key: true, Data: []byte{0, 0, 0, 1}}, "0c 01 0000000000000bb8 01 00000001"},
	{&Audio{PTS: 1024, Data: []byte{5}}, "0d 0000000000000400 05"},
	{&NeedKey{Input: 7}, "0e 00000007"},
	{&Stats{Ticks: 1, TicksRepeated: 2, CPU: 4, Stages: [Stages]time.Duration{1, 2, 3, 4, 5, 6, 7}, Memory: 5, Limited: 6, Inputs: []InputStats{
		{ID: 7, Frames: 8, Dropped: 9, Errors: 10, Concealed: 11, Width: 12, Height: 13, Level: 14},
	}}, "0f 0000000000000001 0000000000000002 0000000000000004 0000000000000001 0000000000000002 0000000000000003 0000000000000004 0000000000000005 0000000000000006 0000000000000007 0000000000000005 0000000000000006 0001" +
		" 00000007 0000000000000008 0000000000000009 000000000000000a 000000000000000b 000c 000d 0e"},
	{&Picture{ID: 9, W: 4, H: 2, Fit: Contain, Data: []byte{1, 2}}, "10 00000009 0004 0002 01 0102"},
	{&Float{ID: 9, Rect: image.Rect(2, 4, 6, 8), Rise: 300, Time: 3 * time.Second}, "11 00000009 0002 0004 0006 0008 012c 0bb8"},
	{&Music{Data: []byte("ID3")}, "12 494433"},
	{&Transcode{Config: []byte{0x11, 0x90}, Bitrate: 96000}, "13 00017700 1190"},
	{&Sound{PTS: 960, Level: 20, Data: []byte{5}}, "14 00000000000003c0 14 05"},
	{&Tune{Volume: 80, Paused: true, Data: []byte("ID3")}, "15 50 01 494433"},
}

func TestEncoding(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	want := append([]byte("AMPHI\x00"), 0, Version)
	for _, e := range every {
		body, err := hex.DecodeString(strings.ReplaceAll(e.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		want = append(be.AppendUint32(want, uint32(len(body))), body...)
		if err := w.Send(e.m); err != nil {
			t.Fatalf("%T: %v", e.m, err)
		}
	}
	if wire.Len() != 0 {
		t.Error("Send wrote before Flush")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wire.Bytes(), want) {
		t.Fatalf("encoded\n%x\nwant\n%x", wire.Bytes(), want)
	}

	// However the stream is cut into reads, the same messages come out.
	r := NewReader(iotest.OneByteReader(&wire))
	for _, e := range every {
		m, err := r.Next()
		if err != nil {
			t.Fatalf("%T: %v", e.m, err)
		}
		if !reflect.DeepEqual(m, e.m) {
			t.Errorf("got %#v, want %#v", m, e.m)
		}
	}
	for range 2 {
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
}

func TestEveryTypeIsTested(t *testing.T) {
	for i, e := range every {
		if e.m.kind() != kind(i+1) {
			t.Errorf("%T has type %d at place %d", e.m, e.m.kind(), i)
		}
	}
	if newMessage(kind(len(every)+1)) != nil {
		t.Error("a message type is missing in the table")
	}
}

func TestLargeMessages(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	pix := make([]byte, BitmapSize(1920, 1080))
	for i := range pix {
		pix[i] = byte(i * 7)
	}
	sent := &Bitmap{ID: 1, W: 1920, H: 1080, Pix: pix}
	if err := w.Send(sent); err != nil {
		t.Fatal(err)
	}
	m, err := NewReader(&wire).Next()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m, sent) {
		t.Error("bitmap changed on its way")
	}
	if c := cap(w.buf); c > keepSpare {
		t.Errorf("writer keeps %d bytes", c)
	}
	if err := w.Send(&Frame{Data: make([]byte, MaxMessage)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large a frame: %v", err)
	}
	if err := w.Send(&Stop{}); err != nil {
		t.Errorf("after a refused message: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	rect := image.Rect(0, 0, 16, 16)
	start := Start{Renditions: []Rendition{{1280, 720, 2500000}}, FPS: 30, KeyInterval: 30, AudioBitrate: 128000}
	with := func(change func(*Start)) *Start {
		s := start
		s.Renditions = append([]Rendition(nil), start.Renditions...)
		change(&s)
		return &s
	}
	if err := start.check(); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]Message{
		"odd width":         with(func(s *Start) { s.Renditions[0].Width = 1281 }),
		"no size":           with(func(s *Start) { s.Renditions[0].Height = 0 }),
		"too wide":          with(func(s *Start) { s.Renditions[0].Width = MaxSide + 2 }),
		"no bit rate":       with(func(s *Start) { s.Renditions[0].Bitrate = 0 }),
		"no rendition":      with(func(s *Start) { s.Renditions = nil }),
		"five renditions":   with(func(s *Start) { s.Renditions = make([]Rendition, 5) }),
		"no frame rate":     with(func(s *Start) { s.FPS = 0 }),
		"no key interval":   with(func(s *Start) { s.KeyInterval = 0 }),
		"no audio":          with(func(s *Start) { s.AudioBitrate = 0 }),
		"negative offset":   with(func(s *Start) { s.Offset = -time.Second }),
		"offset of years":   with(func(s *Start) { s.Offset = 2 * maxOffset }),
		"codec":             &AddInput{Codec: AV1 + 1},
		"no codec":          &AddInput{},
		"bitmap size":       &Bitmap{W: 2, H: 2, Pix: make([]byte, 9)},
		"odd bitmap":        &Bitmap{W: 3, H: 2, Pix: make([]byte, 15)},
		"empty bitmap":      &Bitmap{},
		"items":             &Scene{Items: make([]Item, MaxItems+1)},
		"item source":       &Scene{Items: []Item{{Rect: rect}}},
		"item fit":          &Scene{Items: []Item{{Source: FromInput, Rect: rect, Fit: 2}}},
		"item odd":          &Scene{Items: []Item{{Source: FromInput, Rect: rect.Add(image.Pt(1, 0))}}},
		"item empty":        &Scene{Items: []Item{{Source: FromInput}}},
		"item negative":     &Scene{Items: []Item{{Source: FromInput, Rect: rect.Sub(image.Pt(2, 0))}}},
		"item outside":      &Scene{Items: []Item{{Source: FromInput, Rect: rect.Add(image.Pt(MaxSide, 0))}}},
		"background":        &Scene{Background: 0x1000000},
		"item border":       &Scene{Items: []Item{{Source: FromColor, Rect: rect, Border: 3}}},
		"item border color": &Scene{Items: []Item{{Source: FromColor, Rect: rect, BorderColor: 0x1000000}}},
		"picture size":      &Picture{W: 3, H: 2},
		"picture too large": &Picture{W: MaxSide, H: MaxSide},
		"picture fit":       &Picture{W: 2, H: 2, Fit: 2},
		"picture bytes":     &Picture{W: 2, H: 2, Data: make([]byte, MaxPicture+1)},
		"float nowhere":     &Float{Time: time.Second},
		"float for ever":    &Float{Rect: rect, Time: MaxFloat + time.Millisecond},
		"float for no time": &Float{Rect: rect},
		"long music":        &Music{Data: make([]byte, MaxMusic+1)},
		"long text":         &Hello{Libraries: strings.Repeat("x", MaxText+1)},
		"long audio config": &Started{AudioConfig: make([]byte, MaxAudioConfig+1)},
		"no audio config":   &Transcode{Bitrate: 96000},
		"opus of no bits":   &Transcode{Config: []byte{0x11, 0x90}},
		"level":             &Sound{Level: 128},
		"rendition index":   &Video{Rendition: MaxRenditions},
		"inputs in stats":   &Stats{Inputs: make([]InputStats, MaxInputs+1)},
	} {
		var wire bytes.Buffer
		w := NewWriter(&wire)
		if err := w.Send(m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.buf) != len(preamble) {
			t.Errorf("%s: something of it was written", name)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	open := fmt.Sprintf("414d50484900%04x", Version)
	for name, c := range map[string]struct {
		hex  string
		want error
	}{
		"nothing":            {"", io.EOF},
		"half a preamble":    {"414d50", io.ErrUnexpectedEOF},
		"something else":     {"485454502f312e31", ErrPreamble},
		"another version":    {fmt.Sprintf("414d50484900%04x", Version+1), ErrVersion},
		"empty message":      {open + "00000000", ErrMalformed},
		"huge length":        {open + "00800001", ErrTooLarge},
		"unknown type":       {open + "0000000110", ErrMalformed},
		"cut length":         {open + "0000", io.ErrUnexpectedEOF},
		"no type":            {open + "00000001", io.ErrUnexpectedEOF},
		"cut body":           {open + "000000050400", io.ErrUnexpectedEOF},
		"short body":         {open + "0000000404000000", ErrMalformed},
		"long body":          {open + "00000006040000000700", ErrMalformed},
		"codec":              {open + "0000000a03000000070900000000", ErrMalformed},
		"bool of 2":          {open + "000000120500000007000000000000000000000000" + "02", ErrMalformed},
		"more items than is": {open + "0000000708000000000001", ErrMalformed},
		"bitmap too short":   {open + "0000000906000000010002" + "0002", ErrMalformed},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(bytes.NewReader(b))
		for range 2 { // errors stay
			if m, err := r.Next(); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v; want %v", name, m, err, c.want)
			}
		}
	}
}

func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	b := append(append([]byte(nil), preamble[:]...), 0x00, 0x7f, 0xff, 0xff, byte(kindFrame))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := NewReader(bytes.NewReader(b)).Next(); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a message of which nothing came", n)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriteErrorStays(t *testing.T) {
	w := NewWriter(failingWriter{io.ErrClosedPipe})
	if err := w.Send(&Stop{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != io.ErrClosedPipe {
		t.Error(err)
	}
	if err := w.Send(&Stop{}); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

// FuzzReader checks that any bytes are refused or give messages that encode to the same bytes.
func FuzzReader(f *testing.F) {
	for _, e := range every {
		var wire bytes.Buffer
		w := NewWriter(&wire)
		if err := w.Send(e.m); err != nil {
			f.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			f.Fatal(err)
		}
		f.Add(wire.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		var again bytes.Buffer
		w := NewWriter(&again)
		for {
			m, err := r.Next()
			if err != nil {
				break
			}
			if err := w.Send(m); err != nil {
				t.Fatalf("%#v was read but cannot be sent: %v", m, err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if again.Len() > len(preamble) && !bytes.HasPrefix(b, again.Bytes()) {
			t.Fatalf("read from %x, encoded to %x", b, again.Bytes())
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	frame := &Frame{Input: 1, Data: make([]byte, 2500)}
	var wire bytes.Buffer
	w := NewWriter(&wire)
	r := NewReader(&wire)
	b.SetBytes(2500)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Send(frame); err != nil {
			b.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
