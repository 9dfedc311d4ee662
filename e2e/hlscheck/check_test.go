package hlscheck

import (
	"strings"
	"testing"
)

const good = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,CAN-SKIP-UNTIL=6
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:10
#EXT-X-GAP
#EXTINF:1,
gap.mp4
#EXT-X-MAP:URI="init-11.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:11.000Z
#EXTINF:1,
11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:12.000Z
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
			// Three target durations before the end begin with segment 11, and 12 has no parts: not of the matter here.
			for _, w := range h.check(p, all[0], all) {
				if !strings.HasPrefix(w, "segment 12 is listed without its parts") && !strings.HasPrefix(w, "segment 11 is listed without its parts") {
					wrong = append(wrong, w)
				}
			}
		}
		return wrong
	}
	if wrong := check(good, later); len(wrong) > 0 {
		t.Fatalf("nothing is wrong, but %q", wrong)
	}
	for _, tt := range []struct{ what, from, to string }{
		{"a target that changes", "TARGETDURATION:1", "TARGETDURATION:2"},
		{"a part target that changes", "PART-TARGET=0.2", "PART-TARGET=0.21"},
		{"a hold-back too short", "HOLD-BACK=0.6", "HOLD-BACK=0.3"},
		{"a media sequence that goes back", "SEQUENCE:10", "SEQUENCE:9"},
		{"a date that jumps", "04:13.000Z", "04:13.100Z"},
		{"a segment with another name", "\n12.m4s", "\n12b.m4s"},
		{"a segment that is too long", "#EXTINF:1,\n12", "#EXTINF:1.6,\n12"},
		{"a part that is too long", `0.2,URI="part-2`, `0.3,URI="part-2`},
		{"a part that is too short", `0.2,URI="part-1`, `0.1,URI="part-1`},
		{"a first part that needs another", `part-5.m4s",INDEPENDENT=YES`, `part-5.m4s"`},
		{"a hint that does not come true", `"part-5.m4s"`, `"part-5b.m4s"`},
		{"no hint", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-6.m4s"` + "\n", ""},
		{"a report that is late", "LAST-MSN=15,LAST-PART=0", "LAST-MSN=14,LAST-PART=1"},
		{"a discontinuity that was none", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.400Z", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.400Z"},
		{"a discontinuity sequence out of nothing", "SEQUENCE:10", "SEQUENCE:10\n#EXT-X-DISCONTINUITY-SEQUENCE:1"},
		{"a tag twice", "#EXT-X-VERSION:9", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9"},
		{"an empty line", "#EXT-X-PRELOAD", "\n#EXT-X-PRELOAD"},
		{"no date", "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:12.000Z\n", ""},
		{"an attribute list that is none", `URI="part-2.m4s"`, `URI="part-2.m4s`},
	} {
		doctored := strings.Replace(later, tt.from, tt.to, 1)
		if doctored == later {
			t.Fatalf("%s: %q is not there", tt.what, tt.from)
		}
		if len(check(good, doctored)) == 0 {
			t.Errorf("%s: not found", tt.what)
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
