package hlscheck

import (
	"fmt"
	"math"
	"path"
	"strings"
	"time"
)

// tolerance is for durations that are written with six digits.
const tolerance = 1e-5

// history is what earlier playlists of a rendition have promised.
type history struct {
	last  *playlist
	known map[int]segment // by number: as first listed, with the parts that were listed last
	hint  string
}

// check holds a playlist against the rules, and against the one before. all are the names of all renditions' playlists.
func (h *history) check(p *playlist, own string, all []string) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !p.blocking || p.partTarget <= 0 || p.target <= 0 || p.partTarget > p.target {
		bad("target %v, parts of %v, blocking reload %v", p.target, p.partTarget, p.blocking)
	}
	if p.holdBack < 2*p.partTarget-tolerance || p.skipUntil < 6*p.target {
		bad("PART-HOLD-BACK %v, CAN-SKIP-UNTIL %v", p.holdBack, p.skipUntil)
	}
	h.compare(p, bad)
	var fromEnd float64
	for _, t := range p.open {
		fromEnd += t.duration
	}
	for msn := p.next() - 1; msn >= p.first+p.skipped; msn-- {
		s := p.segment(msn)
		fromEnd += s.duration
		if math.Round(s.duration) > p.target {
			bad("segment %d of %v is longer than the target", msn, s.duration)
		}
		if s.gap {
			continue
		}
		if s.date.IsZero() || s.init == "" {
			bad("segment %d has no date or no EXT-X-MAP", msn)
		}
		if next := p.segment(msn + 1); next != nil && !next.discontinuity {
			if off := next.date.Sub(s.date).Seconds() - s.duration; math.Abs(off) > 0.002 {
				bad("segment %d begins %v s after the end of the one before", msn+1, off)
			}
		}
		var sum float64
		for i, t := range s.parts {
			sum += t.duration
			h.checkPart(p, t, i, i == len(s.parts)-1, bad)
		}
		if len(s.parts) > 0 && math.Abs(sum-s.duration) > 10*tolerance {
			bad("the parts of segment %d last %v, it %v", msn, sum, s.duration)
		}
		if listed := fromEnd < 3*p.target; listed && len(s.parts) == 0 {
			bad("segment %d is listed without its parts %v s before the end", msn, fromEnd)
		}
	}
	for i, t := range p.open {
		h.checkPart(p, t, i, false, bad)
	}
	if p.skipped == 0 && fromEnd < 3*p.target {
		bad("only %v s are listed", fromEnd)
	}
	if p.ended {
		return wrong
	}
	if p.hint == "" {
		bad("no preload hint")
	}
	for _, name := range all {
		if address := path.Join("..", name); name != own && p.reports[address] != p.end() {
			bad("the report of %s is %v, here is %v", address, p.reports[address], p.end())
		}
	}
	return wrong
}

// end is where the newest part is: media sequence number, and number within the segment.
func (p *playlist) end() [2]int {
	if n := len(p.open); n > 0 {
		return [2]int{p.next(), n - 1}
	}
	return [2]int{p.next() - 1, len(p.segments[len(p.segments)-1].parts) - 1}
}

// checkPart checks one part. The last of a segment may be shorter.
func (h *history) checkPart(p *playlist, t part, i int, last bool, bad func(string, ...any)) {
	if t.duration > p.partTarget+tolerance || t.duration < 0.85*p.partTarget && !last {
		bad("%s lasts %v, the target is %v", t.uri, t.duration, p.partTarget)
	}
	if i == 0 && !t.independent {
		bad("%s begins a segment and is not independent", t.uri)
	}
}

// compare finds what changed that must not.
func (h *history) compare(p *playlist, bad func(string, ...any)) {
	if h.known == nil {
		h.known = map[int]segment{}
	}
	if q := h.last; q != nil {
		if p.target != q.target || p.partTarget != q.partTarget {
			bad("targets change from %v and %v to %v and %v", q.target, q.partTarget, p.target, p.partTarget)
		}
		if p.first < q.first || p.next() < q.next() {
			bad("media sequence goes back from %d–%d to %d–%d", q.first, q.next(), p.first, p.next())
		}
		left := 0
		for msn := q.first; msn < p.first; msn++ {
			if h.known[msn].discontinuity {
				left++
			}
		}
		if p.discontinuity != q.discontinuity+left {
			bad("discontinuity sequence %d after %d, and %d left", p.discontinuity, q.discontinuity, left)
		}
		if h.hint != "" && !p.ended && p.end() != q.end() && !p.names(h.hint) && p.end()[0] <= q.end()[0]+1 {
			bad("%s was announced and is not listed", h.hint)
		}
	}
	for msn := p.first + p.skipped; msn < p.next(); msn++ {
		s := *p.segment(msn)
		if k, ok := h.known[msn]; ok {
			if k.uri != s.uri || k.duration != s.duration || k.gap != s.gap || k.discontinuity != s.discontinuity || !k.date.Equal(s.date) ||
				s.init != "" && k.init != s.init {
				bad("segment %d was %+v and is %+v", msn, k, s)
			}
			continue
		}
		h.known[msn] = s
	}
	for msn := range h.known {
		if msn < p.first {
			delete(h.known, msn)
		}
	}
	h.last, h.hint = p, p.hint
}

// names says that a part is listed.
func (p *playlist) names(uri string) bool {
	for _, s := range p.segments {
		for _, t := range s.parts {
			if t.uri == uri {
				return true
			}
		}
	}
	for _, t := range p.open {
		if t.uri == uri {
			return true
		}
	}
	return false
}

// sameAs says where a delta update differs from the full playlist of the same moment.
func (p *playlist) sameAs(full *playlist) string {
	if p.first != full.first || p.next() != full.next() || p.end() != full.end() {
		return fmt.Sprintf("it has %d–%d, the full one %d–%d", p.first, p.next(), full.first, full.next())
	}
	var old float64
	for i, s := range full.segments {
		old += s.duration
		if i < p.skipped {
			continue
		}
		if d := p.segment(full.first + i); d.uri != s.uri || d.duration != s.duration || len(d.parts) != len(s.parts) {
			return fmt.Sprintf("segment %d is %+v, in the full one %+v", full.first+i, d, s)
		}
	}
	return ""
}

// mainTags are looked for in the multivariant playlist.
var mainTags = []string{"BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS", "RESOLUTION", "FRAME-RATE"}

// parseMain reads a multivariant playlist: the names of the renditions' playlists.
func parseMain(text string) (names []string, err error) {
	if !strings.HasPrefix(text, "#EXTM3U\n") {
		return nil, fmt.Errorf("no playlist: %.40q", text)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		list, ok := strings.CutPrefix(line, "#EXT-X-STREAM-INF:")
		if !ok {
			continue
		}
		a, err := attributes(list)
		if err != nil {
			return nil, err
		}
		for _, tag := range mainTags {
			if a[tag] == "" {
				return nil, fmt.Errorf("%s lacks %s", line, tag)
			}
		}
		names = append(names, lines[i+1])
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no renditions in %q", text)
	}
	return names, nil
}

// age is how old the end of a playlist is.
func (p *playlist) age(now time.Time) time.Duration {
	s := p.segments[len(p.segments)-1]
	end := s.duration
	for _, t := range p.open {
		end += t.duration
	}
	return now.Sub(s.date.Add(time.Duration(end * float64(time.Second))))
}
