package main

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	p, err := parse(`#EXTM3U
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI="a",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="b"
#EXTINF:1.00000,
seg7.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:01.000Z
#EXT-X-PART:INDEPENDENT=YES,URI="c",DURATION=0.5
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="d"
`)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(d) }
	if p.next != 8 || p.open != 1 || len(p.parts) != 3 || len(p.segments) != 1 {
		t.Fatalf("%+v", p)
	}
	for i, want := range []file{{"a", at(500 * time.Millisecond)}, {"b", at(time.Second)}, {"c", at(1500 * time.Millisecond)}} {
		if got := p.parts[i]; got.name != want.name || !got.end.Equal(want.end) {
			t.Errorf("part %d: %+v", i, got)
		}
	}
	if s := p.segments[0]; s.name != "seg7.mp4" || !s.end.Equal(at(time.Second)) {
		t.Errorf("%+v", s)
	}
	if _, err := parse("#EXT-X-MEDIA-SEQUENCE:x\n"); err == nil {
		t.Error("a sequence number that is none")
	}
}
