package hlscheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// playlist is a media playlist, as far as the rules need it.
type playlist struct {
	target        float64 // seconds, as all that follows
	partTarget    float64
	holdBack      float64
	skipUntil     float64
	blocking      bool
	first         int // EXT-X-MEDIA-SEQUENCE
	discontinuity int
	skipped       int
	segments      []segment
	open          []part // of the segment that is not there yet
	hint          string
	reports       map[string][2]int // by address: LAST-MSN, LAST-PART
	ended         bool
}

type segment struct {
	uri           string
	duration      float64
	date          time.Time
	init          string // address of the initialisation section
	gap           bool
	discontinuity bool
	parts         []part
}

type part struct {
	uri         string
	duration    float64
	independent bool
}

// next is the media sequence number after the last segment.
func (p *playlist) next() int { return p.first + p.skipped + len(p.segments) }

// segment returns one by its number, or nil if it is skipped or not listed.
func (p *playlist) segment(msn int) *segment {
	if i := msn - p.first - p.skipped; i >= 0 && i < len(p.segments) {
		return &p.segments[i]
	}
	return nil
}

// attribute is one of an attribute list (RFC 8216bis 4.2).
var attribute = regexp.MustCompile(`([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)`)

func attributes(list string) (map[string]string, error) {
	found := map[string]string{}
	for list != "" {
		m := attribute.FindStringSubmatchIndex(list)
		if m == nil || m[0] != 0 {
			return nil, fmt.Errorf("attribute list %q", list)
		}
		name := list[m[2]:m[3]]
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		found[name] = strings.Trim(list[m[4]:m[5]], `"`)
		list = list[m[1]:]
	}
	return found, nil
}

// parse reads a media playlist and what is wrong with its form.
func parse(text string) (p *playlist, err error) {
	if !strings.HasPrefix(text, "#EXTM3U\n") || !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no playlist: %.40q", text)
	}
	p = &playlist{reports: map[string][2]int{}}
	var s segment
	var init string
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n")[1:] {
		tag, value, _ := strings.Cut(line, ":")
		switch tag {
		case "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-VERSION", "#EXT-X-ENDLIST",
			"#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP":
			if seen[tag] {
				return nil, fmt.Errorf("%s is there twice", tag)
			}
			seen[tag] = true
		}
		a := map[string]string{}
		switch tag {
		case "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP", "#EXT-X-MAP", "#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT", "#EXT-X-DATERANGE":
			if a, err = attributes(value); err != nil {
				return nil, fmt.Errorf("%s: %w", tag, err)
			}
		}
		number := func(text string) (n float64) {
			var e error
			if n, e = strconv.ParseFloat(text, 64); e != nil && err == nil {
				err = fmt.Errorf("%s: %w", line, e)
			}
			return n
		}
		switch tag {
		case "":
			return nil, fmt.Errorf("an empty line")
		case "#EXT-X-TARGETDURATION":
			p.target = number(value)
		case "#EXT-X-MEDIA-SEQUENCE":
			p.first = int(number(value))
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			p.discontinuity = int(number(value))
		case "#EXT-X-SERVER-CONTROL":
			p.blocking = a["CAN-BLOCK-RELOAD"] == "YES"
			p.holdBack, p.skipUntil = number(a["PART-HOLD-BACK"]), number(a["CAN-SKIP-UNTIL"])
		case "#EXT-X-PART-INF":
			p.partTarget = number(a["PART-TARGET"])
		case "#EXT-X-SKIP":
			p.skipped = int(number(a["SKIPPED-SEGMENTS"]))
		case "#EXT-X-MAP":
			init = a["URI"]
		case "#EXT-X-PROGRAM-DATE-TIME":
			if s.date, err = time.Parse(time.RFC3339Nano, value); err != nil {
				return nil, err
			}
		case "#EXT-X-GAP":
			s.gap = true
		case "#EXT-X-DISCONTINUITY":
			s.discontinuity = true
		case "#EXT-X-PART":
			s.parts = append(s.parts, part{a["URI"], number(a["DURATION"]), a["INDEPENDENT"] == "YES"})
		case "#EXTINF":
			s.duration = number(strings.TrimSuffix(value, ","))
		case "#EXT-X-PRELOAD-HINT":
			p.hint = a["URI"]
		case "#EXT-X-RENDITION-REPORT":
			p.reports[a["URI"]] = [2]int{int(number(a["LAST-MSN"])), int(number(a["LAST-PART"]))}
		case "#EXT-X-ENDLIST":
			p.ended = true
		case "#EXT-X-VERSION", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-DATERANGE":
		default:
			if strings.HasPrefix(line, "#") {
				return nil, fmt.Errorf("unknown: %s", line)
			}
			s.uri, s.init = line, init
			p.segments = append(p.segments, s)
			s = segment{}
		}
		if err != nil {
			return nil, err
		}
	}
	p.open = s.parts
	return p, nil
}
