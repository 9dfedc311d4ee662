package policy

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// mp3 is so many frames of 128 kbit/s at 44.1 kHz, of no sound.
func mp3(frames int) []byte {
	return bytes.Repeat(append([]byte{0xff, 0xfb, 0x90, 0x64}, make([]byte, 413)...), frames)
}

func TestMP3Length(t *testing.T) {
	tagged := append([]byte("ID3\x04\x00\x00\x00\x00\x01\x05"), make([]byte, 133)...)
	for name, tt := range map[string]struct {
		data []byte
		ok   bool
	}{
		"frames":           {mp3(40), true},
		"tag before":       {append(tagged, mp3(40)...), true},
		"tag behind":       {append(mp3(40), "TAG and so on"...), true},
		"zeros behind":     {append(mp3(40), make([]byte, 100)...), true},
		"cut off":          {mp3(41)[:40*417+9], true},
		"none":             {nil, false},
		"text":             {[]byte("<html>"), false},
		"rubbish behind":   {append(mp3(40), "<html>"...), false},
		"only a tag":       {tagged, false},
		"a tag too long":   {[]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), false},
		"AAC":              {bytes.Repeat([]byte{0xff, 0xf1, 0x50, 0x80}, 100), false},
		"MPEG 2":           {bytes.ReplaceAll(mp3(40), []byte{0xff, 0xfb}, []byte{0xff, 0xf3}), false},
		"layer II":         {bytes.ReplaceAll(mp3(40), []byte{0xff, 0xfb}, []byte{0xff, 0xfd}), false},
		"a free bitrate":   {bytes.ReplaceAll(mp3(40), []byte{0x90}, []byte{0x00}), false},
		"no sampling rate": {bytes.ReplaceAll(mp3(40), []byte{0x90}, []byte{0x9c}), false},
	} {
		length, ok := MP3Length(tt.data)
		if ok != tt.ok || ok && length.Round(time.Millisecond) != 1045*time.Millisecond {
			t.Errorf("%s: %v, %v", name, length, ok)
		}
	}
}

func TestSounds(t *testing.T) {
	slate := func(data []byte) string {
		return `{"slate":{"music":"data:audio/mpeg;base64,` + base64.StdEncoding.EncodeToString(data) + `"}}`
	}
	if err := withLayout(t, slate(mp3(40))).Check(); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		`{"slate":{"music":"https://example.com/a.mp3"}}`:       "slate.music is not a data URL",
		`{"slate":{"music":"data:audio/ogg;base64,T2dnUw=="}}`:  "slate.music is not a data URL",
		`{"slate":{"music":"data:audio/mpeg;base64,T2dnUw=="}}`: "slate.music is not an MP3",
		slate(mp3(20)):   "slate.music is 522ms long",
		slate(mp3(1300)): "slate.music has 542100 bytes",
	} {
		if err := withLayout(t, text).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

func FuzzMP3Length(f *testing.F) {
	f.Add(mp3(2))
	f.Add([]byte("ID3\x04\x00\x10\x00\x00\x01\x05"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// A frame of the least bitrate has 96 bytes.
		if length, ok := MP3Length(data); length < 0 || ok && length > time.Duration(len(data)/96+1)*36*time.Millisecond {
			t.Errorf("%v, %v", length, ok)
		}
	})
}
