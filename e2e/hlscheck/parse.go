package hlscheck

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// playlist is a media playlist, as far as the rules need it.
type playlist struct {
	version       int
	target        float64 // seconds, as all that follows
	partTarget    float64
	holdBack      float64
	skipUntil     float64
	blocking      bool
	event         bool
	first         int // EXT-X-MEDIA-SEQUENCE
	discontinuity int
	skipped       int
	segments      []segment
	open          []part // of the segment that is not there yet
	openIs        segment
	hint          string
	reports       map[string][2]int // by address: LAST-MSN, LAST-PART
	ranges        []dateRange
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

// dateRange is timed metadata.
type dateRange struct {
	id, line string
	start    time.Time
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

// Attributes whose values have quotes, and those that are numbers or names, which have none.
var (
	quoted   = []string{"URI", "ID", "CLASS", "START-DATE", "END-DATE", "CODECS", "AUDIO", "VIDEO", "SUBTITLES", "GROUP-ID", "NAME"}
	unquoted = regexp.MustCompile(`^(\d+(\.\d+)?|[A-Z0-9-]+|\d+x\d+|0[xX][0-9A-F]+)$`)
)

// attributes are a list's, without quotes.
func attributes(list string) (map[string]string, error) {
	found := map[string]string{}
	if strings.HasSuffix(list, ",") {
		return nil, fmt.Errorf("attribute list %q", list)
	}
	for list != "" {
		m := attribute.FindStringSubmatchIndex(list)
		if m == nil || m[0] != 0 {
			return nil, fmt.Errorf("attribute list %q", list)
		}
		name, value := list[m[2]:m[3]], list[m[4]:m[5]]
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		hasQuotes := value[0] == '"'
		if !strings.HasPrefix(name, "X-") && hasQuotes != slices.Contains(quoted, name) || !hasQuotes && !unquoted.MatchString(value) {
			return nil, fmt.Errorf("%s=%s is of another type", name, value)
		}
		found[name] = strings.Trim(value, `"`)
		list = list[m[1]:]
	}
	return found, nil
}

// lines are those of a playlist, if its form is that of one (4.1).
func lines(text string) ([]string, error) {
	if !strings.HasPrefix(text, "#EXTM3U\n") || !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("no playlist: %.40q", text)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
		return nil, errors.New("not UTF-8, or with control characters")
	}
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")[1:]
	if slices.Contains(all, "") {
		return nil, errors.New("an empty line")
	}
	return all, nil
}

// Tags that are there once, before the first segment, and those that must be there; tags of a segment, which come before its
// parts; and those with a list of attributes, and what these lists must have.
var (
	once     = []string{"#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-VERSION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-INDEPENDENT-SEGMENTS"}
	musts    = []string{"#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF"}
	leading  = []string{"#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-DISCONTINUITY"}
	withList = map[string][]string{
		"#EXT-X-SERVER-CONTROL":   {"PART-HOLD-BACK"},
		"#EXT-X-PART-INF":         {"PART-TARGET"},
		"#EXT-X-SKIP":             {"SKIPPED-SEGMENTS"},
		"#EXT-X-MAP":              {"URI"},
		"#EXT-X-PART":             {"URI", "DURATION"},
		"#EXT-X-PRELOAD-HINT":     {"TYPE", "URI"},
		"#EXT-X-RENDITION-REPORT": {"URI", "LAST-MSN", "LAST-PART"},
		"#EXT-X-DATERANGE":        {"ID", "START-DATE"},
	}
)

// parse reads a media playlist and says what is wrong with its form.
func parse(text string) (*playlist, error) {
	all, err := lines(text)
	if err != nil {
		return nil, err
	}
	r := reader{p: &playlist{reports: map[string][2]int{}}, seen: map[string]bool{}}
	for _, line := range all {
		if err := r.read(line); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
	}
	for _, tag := range musts {
		if !r.seen[tag] {
			return nil, fmt.Errorf("no %s", tag)
		}
	}
	p := r.p
	p.open, p.openIs = r.s.parts, r.s
	switch {
	case len(p.segments) == 0:
		return nil, errors.New("no segments")
	case r.s.duration != 0:
		return nil, errors.New("EXTINF without a segment")
	case p.ended && p.hint != "":
		return nil, errors.New("a preload hint after the end")
	case p.ended && len(p.open) > 0:
		return nil, errors.New("parts of no segment after the end")
	case len(p.ranges) > 0 && !slices.ContainsFunc(p.segments, func(s segment) bool { return !s.date.IsZero() }):
		return nil, errors.New("date ranges without a date")
	case p.skipped > 0 && p.version < 9: // 8: others need less
		return nil, fmt.Errorf("version %d skips segments", p.version)
	}
	return p, nil
}

// reader reads a playlist line by line.
type reader struct {
	p    *playlist
	s    segment // that comes next
	init string
	seen map[string]bool
}

func (r *reader) read(line string) (err error) {
	p, s := r.p, &r.s
	tag, value, _ := strings.Cut(line, ":")
	if slices.Contains(once, tag) {
		if r.seen[tag] || len(p.segments) > 0 || s.duration != 0 || len(s.parts) > 0 {
			return errors.New("is there twice, or late")
		}
		r.seen[tag] = true
	}
	if slices.Contains(leading, tag) && len(s.parts) > 0 {
		return errors.New("comes after parts of its segment")
	}
	var a map[string]string
	if must, ok := withList[tag]; ok {
		if a, err = attributes(value); err != nil {
			return err
		}
		for _, name := range must {
			if a[name] == "" {
				return fmt.Errorf("has no %s", name)
			}
		}
	}
	number := func(text string) (n float64) {
		var e error
		if n, e = strconv.ParseFloat(text, 64); (e != nil || n < 0) && err == nil {
			err = fmt.Errorf("%q is no number", text)
		}
		return n
	}
	whole := func(text string) int {
		n, e := strconv.ParseUint(text, 10, 53)
		if e != nil && err == nil {
			err = fmt.Errorf("%q is no whole number", text)
		}
		return int(n)
	}
	switch tag {
	case "#EXT-X-VERSION":
		p.version = whole(value)
	case "#EXT-X-TARGETDURATION":
		p.target = float64(whole(value))
	case "#EXT-X-MEDIA-SEQUENCE":
		p.first = whole(value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.discontinuity = whole(value)
	case "#EXT-X-PLAYLIST-TYPE":
		if p.event = value == "EVENT"; !p.event {
			return errors.New("is of no type of a live stream")
		}
	case "#EXT-X-SERVER-CONTROL":
		p.blocking, p.holdBack = a["CAN-BLOCK-RELOAD"] == "YES", number(a["PART-HOLD-BACK"])
		if until := a["CAN-SKIP-UNTIL"]; until != "" {
			p.skipUntil = number(until)
		}
	case "#EXT-X-PART-INF":
		p.partTarget = number(a["PART-TARGET"])
	case "#EXT-X-SKIP":
		p.skipped = whole(a["SKIPPED-SEGMENTS"])
	case "#EXT-X-MAP":
		r.init = a["URI"]
	case "#EXT-X-PROGRAM-DATE-TIME":
		if s.date, err = time.Parse("2006-01-02T15:04:05.000Z07:00", value); err != nil {
			return err
		}
	case "#EXT-X-GAP":
		s.gap = true
	case "#EXT-X-DISCONTINUITY":
		s.discontinuity = true
	case "#EXT-X-PART":
		s.parts = append(s.parts, part{a["URI"], number(a["DURATION"]), a["INDEPENDENT"] == "YES"})
	case "#EXTINF":
		length, _, comma := strings.Cut(value, ",")
		if s.duration != 0 || !comma {
			return errors.New("is there twice, or without a comma")
		}
		s.duration = number(length)
	case "#EXT-X-PRELOAD-HINT":
		if p.hint != "" || a["TYPE"] != "PART" {
			return errors.New("is there twice, or not of a part")
		}
		p.hint = a["URI"]
	case "#EXT-X-RENDITION-REPORT":
		if _, twice := p.reports[a["URI"]]; twice {
			return errors.New("is there twice")
		}
		p.reports[a["URI"]] = [2]int{whole(a["LAST-MSN"]), whole(a["LAST-PART"])}
	case "#EXT-X-DATERANGE":
		err = r.readRange(line, a)
	case "#EXT-X-ENDLIST":
		p.ended = true
	case "#EXT-X-INDEPENDENT-SEGMENTS":
	default:
		if strings.HasPrefix(line, "#") {
			return errors.New("unknown to a media playlist")
		}
		if s.duration == 0 {
			return errors.New("a segment without EXTINF")
		}
		s.uri, s.init = line, r.init
		p.segments = append(p.segments, *s)
		*s = segment{}
	}
	return err
}

// readRange reads timed metadata (4.4.5.1).
func (r *reader) readRange(line string, a map[string]string) (err error) {
	d := dateRange{id: a["ID"], line: line}
	if d.start, err = time.Parse(time.RFC3339Nano, a["START-DATE"]); err != nil {
		return err
	}
	lasts := -1.0
	if text, ok := a["DURATION"]; ok {
		if lasts, err = strconv.ParseFloat(text, 64); err != nil || lasts < 0 {
			return fmt.Errorf("lasts %q", text)
		}
	}
	if text, ok := a["END-DATE"]; ok {
		end, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || end.Before(d.start) || lasts >= 0 && end.Sub(d.start).Seconds() != lasts {
			return fmt.Errorf("ends at %q", text)
		}
	}
	for _, other := range r.p.ranges {
		if other.id == d.id {
			return errors.New("is there twice")
		}
	}
	r.p.ranges = append(r.p.ranges, d)
	return nil
}
