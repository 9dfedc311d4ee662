package hlscheck

import (
	"strings"
	"testing"
)

const good = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,CAN-SKIP-UNTIL=6
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:10
#EXT-X-GAP
#EXTINF:1,
gap.mp4
#EXT-X-MAP:URI="init-11.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:11.000Z
#EXT-X-PART:DURATION=0.2,URI="part-91.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part-92.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-93.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-94.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-95.m4s"
#EXTINF:1,
11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:12.000Z
#EXT-X-PART:DURATION=0.2,URI="part-96.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part-97.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-98.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-99.m4s"
#EXT-X-PART:DURATION=0.2,URI="part-100.m4s"
#EXTINF:1,
12.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.000Z
#EXT-X-PART:DURATION=0.2,URI="part-1.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part-2.m4s"
#EXTINF:0.4,
13.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.400Z
#EXT-X-PART:DURATION=0.2,URI="part-3.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.1,URI="part-4.m4s"
#EXTINF:0.3,
14.m4s
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-5.m4s"
#EXT-X-RENDITION-REPORT:URI="../360p/stream.m3u8",LAST-MSN=14,LAST-PART=1
#EXT-X-DATERANGE:ID="a",START-DATE="2026-01-02T03:04:13.000Z",DURATION=5,X-DATA="b"
`

// What follows good, after a part.
var later = strings.Replace(good, `part-5.m4s"`, `part-6.m4s"`, 1)

func init() {
	later = strings.Replace(later, "#EXT-X-PRELOAD", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.700Z\n"+
		`#EXT-X-PART:DURATION=0.2,URI="part-5.m4s",INDEPENDENT=YES`+"\n#EXT-X-PRELOAD", 1)
	later = strings.Replace(later, "LAST-MSN=14,LAST-PART=1", "LAST-MSN=15,LAST-PART=0", 1)
}

func TestCheck(t *testing.T) {
	all := []string{"720p/stream.m3u8", "360p/stream.m3u8"}
	check := func(texts ...string) (wrong []string) {
		var h history
		for _, text := range texts {
			p, err := parse(text)
			if err != nil {
				return append(wrong, err.Error())
			}
			wrong = append(wrong, h.check(p, all[0], all)...)
		}
		return wrong
	}
	const ended = "#EXT-X-ENDLIST\n"
	over := later[:strings.Index(later, "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.700Z")] + ended
	event := func(text string) string {
		return strings.Replace(text, "#EXT-X-GAP\n#EXTINF:1,\ngap.mp4\n", "#EXT-X-MAP:URI=\"init-11.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:10.000Z\n#EXTINF:1,\n10.m4s\n", 1)
	}
	typed := func(text string) string {
		return strings.Replace(event(text), "#EXT-X-MEDIA", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MEDIA", 1)
	}
	for _, texts := range [][]string{{good, later}, {good, later, over, over}, {typed(good), typed(later)}, {event(good), event(later)}} {
		if wrong := check(texts...); len(wrong) > 0 {
			t.Fatalf("nothing is wrong, but %q", wrong)
		}
	}
	if len(check(good, over, later)) == 0 {
		t.Error("it goes on after its end: not found")
	}
	moved := strings.Replace(typed(later), "SEQUENCE:10", "SEQUENCE:11", 1)
	moved = strings.Replace(moved, "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:10.000Z\n#EXTINF:1,\n10.m4s\n", "", 1)
	if len(check(typed(good), moved)) == 0 {
		t.Error("an event that loses a segment: not found")
	}
	for _, tt := range []struct{ what, from, to string }{
		{"a target that changes", "TARGETDURATION:1", "TARGETDURATION:2"},
		{"a part target that changes", "PART-TARGET=0.2", "PART-TARGET=0.21"},
		{"a version that changes", "VERSION:9", "VERSION:10"},
		{"a type that changes", "#EXT-X-MEDIA", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MEDIA"},
		{"a type of what is over", "#EXT-X-MEDIA", "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA"},
		{"a hold-back too short", "HOLD-BACK=0.6", "HOLD-BACK=0.4"},
		{"no hold-back", ",PART-HOLD-BACK=0.6", ""},
		{"a skip boundary too near", "UNTIL=6", "UNTIL=5"},
		{"no blocking reload", "CAN-BLOCK-RELOAD=YES,", ""},
		{"a media sequence that goes back", "SEQUENCE:10", "SEQUENCE:9"},
		{"a date that jumps", "04:13.000Z\n#EXT-X-PART", "04:13.100Z\n#EXT-X-PART"},
		{"a date that jumps in the open segment", "04:13.700Z", "04:13.800Z"},
		{"a date without milliseconds", "04:12.000Z", "04:12Z"},
		{"a date without a zone", "04:12.000Z", "04:12.000"},
		{"a segment with another name", "\n12.m4s", "\n12b.m4s"},
		{"a segment that is too long", "#EXTINF:1,\n12", "#EXTINF:1.6,\n12"},
		{"a segment without EXTINF", "#EXTINF:1,\n12", "12"},
		{"a segment with two", "#EXTINF:1,\n12", "#EXTINF:1,\n#EXTINF:1,\n12"},
		{"EXTINF without a comma", "#EXTINF:1,\n12", "#EXTINF:1\n12"},
		{"a part that is too long", `0.2,URI="part-2`, `0.3,URI="part-2`},
		{"a part that is too short", `0.2,URI="part-1`, `0.1,URI="part-1`},
		{"parts that do not sum up", `#EXT-X-PART:DURATION=0.2,URI="part-100.m4s"` + "\n", ""},
		{"a first part that needs another", `part-5.m4s",INDEPENDENT=YES`, `part-5.m4s"`},
		{"a hint that does not come true", `"part-5.m4s"`, `"part-5b.m4s"`},
		{"a hint of what is there", `URI="part-6.m4s"`, `URI="part-5.m4s"`},
		{"two hints", "#EXT-X-RENDITION", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"\n#EXT-X-RENDITION"},
		{"no hint", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-6.m4s"` + "\n", ""},
		{"a hint after the end", "#EXT-X-RENDITION", ended + "#EXT-X-RENDITION"},
		{"a report that is late", "LAST-MSN=15,LAST-PART=0", "LAST-MSN=14,LAST-PART=1"},
		{"a report without a part", ",LAST-PART=0", ""},
		{"no report", `#EXT-X-RENDITION-REPORT:URI="../360p/stream.m3u8",LAST-MSN=15,LAST-PART=0` + "\n", ""},
		{"a discontinuity that was none", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.400Z", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.400Z"},
		{"a discontinuity sequence out of nothing", "SEQUENCE:10", "SEQUENCE:10\n#EXT-X-DISCONTINUITY-SEQUENCE:1"},
		{"a tag twice", "#EXT-X-VERSION:9", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9"},
		{"a tag that comes late", "\n12.m4s\n", "\n12.m4s\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"},
		{"a date after a part", "#EXT-X-PRELOAD", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.700Z\n#EXT-X-PRELOAD"},
		{"no version", "#EXT-X-VERSION:9\n", ""},
		{"no part target", "#EXT-X-PART-INF:PART-TARGET=0.2\n", ""},
		{"an unknown tag", "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-NEW:1\n"},
		{"a tag of the other kind", "#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-STREAM-INF:BANDWIDTH=1\n"},
		{"an empty line", "#EXT-X-PRELOAD", "\n#EXT-X-PRELOAD"},
		{"a control character", "12.m4s", "12\t.m4s"},
		{"no UTF-8", "12.m4s", "12\xff.m4s"},
		{"no date", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:12.000Z\n", ""},
		{"a segment without parts near the end", good[strings.Index(good, `#EXT-X-PART:DURATION=0.2,URI="part-96`):strings.Index(good, "#EXTINF:1,\n12")], ""},
		{"a gap with parts", "#EXT-X-GAP\n", "#EXT-X-GAP\n" + `#EXT-X-PART:DURATION=0.2,URI="part-0.m4s",INDEPENDENT=YES` + "\n"},
		{"an attribute list that is none", `URI="part-2.m4s"`, `URI="part-2.m4s`},
		{"a comma at the end of one", `URI="part-2.m4s"`, `URI="part-2.m4s",`},
		{"an attribute twice", `URI="part-2.m4s"`, `URI="part-2.m4s",DURATION=0.2`},
		{"a value without quotes", `URI="part-2.m4s"`, `URI=part-2`},
		{"a number with quotes", `DURATION=0.2,URI="part-2.m4s"`, `DURATION="0.2",URI="part-2.m4s"`},
		{"no attribute", `DURATION=0.2,URI="part-2.m4s"`, `URI="part-2.m4s"`},
		{"a negative number", `DURATION=5,X`, `DURATION=-5,X`},
		{"a date range that changes", `DURATION=5,X`, `DURATION=6,X`},
		{"a date range that ends first", `DURATION=5,X`, `END-DATE="2026-01-02T03:04:12.000Z",X`},
		{"a date range of no beginning", `START-DATE="2026-01-02T03:04:13.000Z",`, ``},
		{"a date range without a name", `ID="a",`, ``},
		{"segments that are skipped", "#EXT-X-GAP\n#EXTINF:1,\ngap.mp4\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n"},
	} {
		doctored := strings.Replace(later, tt.from, tt.to, 1)
		if doctored == later {
			t.Fatalf("%s: %q is not there", tt.what, tt.from)
		}
		if len(check(good, doctored)) == 0 {
			t.Errorf("%s: not found", tt.what)
		}
	}
	// What is wrong from the beginning.
	long := strings.Replace(good, "#EXT-X-MAP", `#EXT-X-MAP:URI="init-11.mp4"`+"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:10.000Z\n"+`#EXT-X-PART:DURATION=0.2,URI="part-0.m4s",INDEPENDENT=YES`+"\n#EXTINF:0.2,\n9.m4s\n#EXT-X-MAP", 1)
	for what, text := range map[string]string{
		"parts of what is old": strings.Replace(long, "04:10.000Z", "04:10.800Z", 1),
		"too little":           strings.Replace(good, "#EXT-X-GAP\n#EXTINF:1,\ngap.mp4\n", "", 1),
		"version 8 that skips": strings.NewReplacer("VERSION:9", "VERSION:8", "#EXT-X-GAP\n#EXTINF:1,\ngap.mp4\n", "#EXT-X-SKIP:SKIPPED-SEGMENTS=9\n").Replace(good),
	} {
		if len(check(text)) == 0 {
			t.Errorf("%s: not found", what)
		}
	}
}

func TestVariants(t *testing.T) {
	const good = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-STREAM-INF:BANDWIDTH=2000,AVERAGE-BANDWIDTH=1000,CODECS="avc1.640028,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE
720p/stream.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=900,AVERAGE-BANDWIDTH=800,CODECS="avc1.640028,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=30.000,CLOSED-CAPTIONS=NONE
360p/stream.m3u8
`
	if all, err := parseVariants(good); err != nil || len(all) != 2 || all[1].name != "360p/stream.m3u8" || all[1].height != 360 || all[1].peak != 900 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, tt := range []struct{ what, from, to string }{
		{"no bandwidth", "BANDWIDTH=2000,", ""},
		{"an average above the peak", "AVERAGE-BANDWIDTH=1000", "AVERAGE-BANDWIDTH=3000"},
		{"no codecs", `CODECS="avc1.640028,mp4a.40.2",`, ""},
		{"no size", "RESOLUTION=1280x720", "RESOLUTION=1280"},
		{"no address", "720p/stream.m3u8\n", ""},
		{"the same twice", "360p/", "720p/"},
		{"captions of one only", ",CLOSED-CAPTIONS=NONE", ""},
		{"a tag of the other kind", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:1"},
		{"two versions", "#EXT-X-VERSION:9", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9"},
		{"nothing", good[len("#EXTM3U\n"):], ""},
	} {
		if all, err := parseVariants(strings.Replace(good, tt.from, tt.to, 1)); err == nil {
			t.Errorf("%s: %+v", tt.what, all)
		}
	}
}

func TestDelta(t *testing.T) {
	full, err := parse(good)
	if err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(good, "#EXT-X-GAP"), strings.Index(good, "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:12")
	text := good[:from] + "#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n" + `#EXT-X-MAP:URI="init-11.mp4"` + "\n" + good[to:]
	for what, text := range map[string]string{"": text, "skips": strings.Replace(text, "SEGMENTS=2", "SEGMENTS=1", 1), "name": strings.Replace(text, "\n13.m4s", "\n3.m4s", 1)} {
		p, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if differs := p.sameAs(full); (differs == "") != (what == "") {
			t.Errorf("%q: %s", what, differs)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err == nil && p.next() < p.first && p.skipped >= 0 {
			t.Error("segments before the first")
		}
	})
}
