package hlscheck

import (
	"fmt"
	"math"
	"path"
	"time"
)

// tolerance is for durations that are written with six digits.
const tolerance = 1e-5

// history is what earlier playlists of a rendition have promised.
type history struct {
	last  *playlist
	known map[int]segment // by number: as first listed, with the parts that were listed last
	hint  string
	// ranges are the lines of timed metadata, by their id.
	ranges map[string]string
}

// check holds a playlist against the rules, and against the one before. all are the names of all renditions' playlists.
func (h *history) check(p *playlist, own string, all []string) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !p.blocking || p.partTarget <= 0 || p.target <= 0 || p.partTarget > p.target {
		bad("target %v, parts of %v, blocking reload %v", p.target, p.partTarget, p.blocking)
	}
	if p.holdBack < 3*p.partTarget-tolerance || p.skipUntil < 6*p.target {
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
			if len(s.parts) > 0 {
				bad("segment %d is a gap, its parts are not", msn)
			}
			continue
		}
		if s.date.IsZero() || s.init == "" && p.skipped == 0 {
			bad("segment %d has no date or no EXT-X-MAP", msn)
		}
		next := p.segment(msn + 1)
		if next == nil && len(p.open) > 0 {
			next = &p.openIs
		}
		if next != nil && !next.discontinuity {
			if off := next.date.Sub(s.date).Seconds() - s.duration; math.Abs(off) > 0.002 {
				bad("segment %d begins %v s after the end of the one before", msn+1, off)
			}
		}
		var sum float64
		for i, t := range s.parts {
			sum += t.duration
			checkPart(p, t, i, i == len(s.parts)-1, bad)
		}
		if len(s.parts) > 0 && math.Abs(sum-s.duration) > 10*tolerance {
			bad("the parts of segment %d last %v, it %v", msn, sum, s.duration)
		}
		switch {
		case fromEnd < 3*p.target && len(s.parts) == 0:
			bad("segment %d is listed without its parts %v s before the end", msn, fromEnd)
		case fromEnd-s.duration > 3*p.target+tolerance && len(s.parts) > 0:
			bad("segment %d is listed with its parts %v s before the end", msn, fromEnd)
		}
	}
	for i, t := range p.open {
		checkPart(p, t, i, false, bad)
	}
	if fromEnd < 3*p.target && !p.ended {
		bad("only %v s are listed", fromEnd)
	}
	if p.skipped > 0 && fromEnd < p.skipUntil-tolerance {
		bad("segments are skipped %v s before the end", fromEnd)
	}
	if p.ended {
		return wrong
	}
	if p.hint == "" || p.names(p.hint) {
		bad("the preload hint is %q", p.hint)
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

// has says that a playlist has a part, which may go by the name of one after the last of its segment.
func (p *playlist) has(msn, part int) bool {
	end := p.end()
	return p.ended || end[0] > msn || end[0] == msn && end[1] >= part
}

// checkPart checks one part. The last of a segment may be shorter.
func checkPart(p *playlist, t part, i int, last bool, bad func(string, ...any)) {
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
		h.known, h.ranges = map[int]segment{}, map[string]string{}
	}
	if q := h.last; q != nil {
		if p.target != q.target || p.partTarget != q.partTarget || p.event != q.event || p.version != q.version || p.holdBack != q.holdBack {
			bad("targets, type or version change: %v, %v, %v, %d to %v, %v, %v, %d", q.target, q.partTarget, q.event, q.version, p.target, p.partTarget, p.event, p.version)
		}
		if q.ended && (!p.ended || p.end() != q.end()) {
			bad("it goes on after the end")
		}
		if p.event && p.first != q.first {
			bad("an event loses segments up to %d", p.first)
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
	for _, r := range p.ranges {
		if known, ok := h.ranges[r.id]; ok && known != r.line {
			bad("date range %s was %s", r.line, known)
		}
		h.ranges[r.id] = r.line
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

// age is how old the end of a playlist is.
func (p *playlist) age(now time.Time) time.Duration {
	s := p.segments[len(p.segments)-1]
	end := s.duration
	for _, t := range p.open {
		end += t.duration
	}
	return now.Sub(s.date.Add(time.Duration(end * float64(time.Second))))
}
