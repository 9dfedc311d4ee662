package hls

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gapSegments are listed before the first segment and never there, so that players on iOS, which want
// seven segments, begin with it.
const gapSegments = 7

// gapName is the address of a gap.
const gapName = "gap.mp4"

// playlistName is the name of each rendition's playlist, in its directory.
const playlistName = "stream.m3u8"

// gaps are the segments before the first one.
func gaps(msn uint64) (all []*segment) {
	for n := range uint64(gapSegments) {
		all = append(all, &segment{msn: msn + n, gap: true})
	}
	return all
}

// edition is what there is at a moment: it does not change, but for what is rendered when it is first
// asked for.
type edition struct {
	cfg      *Config
	segments []*segment // complete, oldest first, those after the window too
	listed   []*segment // the last of them, that playlists name
	open     segment    // being filled, with the parts so far; of no parts when there is none
	next     uint64     // its media sequence number
	nextPart uint64     // the number of the part that comes next
	left     uint64     // discontinuities before the listed segments
	ranges   []dateRange
	past     past
	ended    bool          // nothing follows
	changed  chan struct{} // closed when there is a newer edition

	master page
	full   []page // by rendition
	delta  []page

	oldMaster page // of transport streams
	old       page // the same for all renditions
}

// newEdition is made by the writer.
func newEdition(s *Stream, ended bool) *edition {
	w := &s.write
	e := &edition{
		cfg: &s.cfg, segments: w.segments, next: s.nextSequence(), nextPart: s.nextPart(), left: w.left, past: w.past,
		ended: ended, changed: make(chan struct{}),
		full: make([]page, len(s.cfg.Renditions)), delta: make([]page, len(s.cfg.Renditions)),
	}
	if w.growing != nil {
		e.open = *w.growing
	}
	e.master.render = func() []byte {
		return e.masterPlaylist("#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n", playlistName)
	}
	e.oldMaster.render = func() []byte { return e.masterPlaylist("#EXT-X-VERSION:3\n", oldPlaylistName) }
	state := fmt.Sprintf("%d.%d.%t", e.nextPart, w.told, ended)
	for r := range s.cfg.Renditions {
		e.full[r].tag, e.full[r].render = strconv.Quote(state), func() []byte { return e.mediaPlaylist(r, false) }
		e.delta[r].tag, e.delta[r].render = strconv.Quote(state+".d"), func() []byte { return e.mediaPlaylist(r, true) }
	}
	e.old.tag, e.old.render = strconv.Quote(state+".ts"), e.oldMediaPlaylist
	if n := len(w.segments); n > 0 && !w.segments[n-1].gap {
		e.listed = w.segments
		if !s.cfg.Event {
			e.listed = w.segments[max(0, n-windowSegments):]
		}
		first := slices.IndexFunc(e.listed, func(seg *segment) bool { return !seg.gap })
		oldest := e.listed[first].date
		w.ranges = slices.DeleteFunc(slices.Clone(w.ranges), func(r dateRange) bool { return r.start.Before(oldest) })
	}
	e.ranges = w.ranges
	return e
}

// has says whether there is what a blocking reload waits for. A part beyond the last one of a
// complete segment means the first one of the next.
func (e *edition) has(want directives) bool {
	parts := uint64(len(e.open.parts))
	switch {
	case len(e.listed) == 0:
		return false
	case !want.blocking || e.ended || want.msn+1 < e.next:
		return true
	case want.msn+1 == e.next:
		last := e.listed[len(e.listed)-1]
		return !want.hasPart || want.part < uint64(len(last.parts)) || parts > 0
	default:
		return want.msn == e.next && want.hasPart && want.part < parts
	}
}

// segment finds one by its number: complete, or the open one. gone says that there was one.
func (e *edition) segment(msn uint64) (seg *segment, gone bool) {
	switch {
	case len(e.segments) == 0:
		return nil, false
	case msn < e.segments[0].msn:
		return nil, true
	case msn < e.next:
		return e.segments[msn-e.segments[0].msn], false
	case msn == e.next && len(e.open.parts) > 0:
		return &e.open, false
	default:
		return nil, false
	}
}

// part finds one by its number; gone says that there was one.
func (e *edition) part(number uint64) (p *part, gone bool) {
	if len(e.listed) == 0 || number >= e.nextPart {
		return nil, false
	}
	if !e.segments[0].gap && number < e.segments[0].first {
		return nil, true
	}
	for i := len(e.segments); i >= 0; i-- { // the newest are asked for most
		seg := &e.open
		if i < len(e.segments) {
			seg = e.segments[i]
		}
		if number >= seg.first && number-seg.first < uint64(len(seg.parts)) {
			return &seg.parts[number-seg.first], false
		}
	}
	return nil, number >= firstPart(e.cfg.Start)
}

// masterPlaylist is a multivariant playlist that begins with those tags, and names such a playlist of each rendition.
func (e *edition) masterPlaylist(tags, name string) []byte {
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n" + tags)
	params := e.listed[len(e.listed)-1].init.params
	for r, rendition := range e.cfg.Renditions {
		peak, average := e.bandwidth(r)
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s,mp4a.40.2\",RESOLUTION=%dx%d,FRAME-RATE=%d.000,CLOSED-CAPTIONS=NONE\n%s/%s\n",
			max(peak, rendition.Bitrate), average, params[r].codec(), params[r].width, params[r].height, e.cfg.FrameRate, rendition.Name, name)
	}
	return b.Bytes()
}

// bandwidth measures a rendition, in bit/s: of the heaviest segment, and of all. Segments that are
// shorter than half of the target do not count for the peak (RFC 8216bis 4.4.6.2).
func (e *edition) bandwidth(rendition int) (peak, average int) {
	var bits, ticks int64
	for _, seg := range e.listed {
		if seg.gap {
			continue
		}
		n := 8 * int64(seg.bytes[rendition])
		if 2*seg.ticks >= int64(e.cfg.FrameRate) {
			peak = max(peak, int(n*int64(e.cfg.FrameRate)/seg.ticks))
		}
		bits, ticks = bits+n, ticks+seg.ticks
	}
	average = int(bits * int64(e.cfg.FrameRate) / ticks)
	return max(peak, average), average
}

// mediaPlaylist is a rendition's playlist. With skip it leaves out what a player has that asks for a
// delta update.
func (e *edition) mediaPlaylist(rendition int, skip bool) []byte {
	var b bytes.Buffer
	part := e.cfg.seconds(e.cfg.partTicks())
	hold := e.cfg.seconds(holdBackParts * e.cfg.partTicks())
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:%d\n", targetDuration/time.Second)
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%s,CAN-SKIP-UNTIL=%d\n", hold, skipAfter/time.Second)
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%s\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", part, e.listed[0].msn, e.left)
	if e.cfg.Event {
		b.WriteString("#EXT-X-PLAYLIST-TYPE:EVENT\n")
	}
	listed := e.listed
	var init *initial
	if !skip {
		b.Write(e.past.text)
		listed, init = listed[e.past.segments:], e.past.init
	} else {
		old := e.olderThan(skipAfter)
		if old > 0 {
			fmt.Fprintf(&b, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", old)
		}
		listed = listed[old:]
	}
	detailed := len(e.listed) - e.olderThan(partsFor)
	for i, seg := range listed {
		init = seg.write(&b, e.cfg, init, len(listed)-i <= detailed)
	}
	if len(e.open.parts) > 0 {
		e.open.write(&b, e.cfg, init, true)
	}
	if e.ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	} else {
		fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q\n", partName(e.nextPart))
	}
	msn, last := e.last()
	for r, other := range e.cfg.Renditions {
		if r != rendition && !e.ended {
			fmt.Fprintf(&b, "#EXT-X-RENDITION-REPORT:URI=\"../%s/%s\",LAST-MSN=%d,LAST-PART=%d\n", other.Name, playlistName, msn, last)
		}
	}
	for _, r := range e.ranges {
		b.WriteString(r.line)
	}
	return b.Bytes()
}

// last is where the newest part is.
func (e *edition) last() (msn uint64, part int) {
	if n := len(e.open.parts); n > 0 {
		return e.next, n - 1
	}
	return e.next - 1, len(e.listed[len(e.listed)-1].parts) - 1
}

// olderThan counts the listed segments that ended so long before the end of the playlist.
func (e *edition) olderThan(d time.Duration) int {
	left := ticks(d, int64(e.cfg.FrameRate)) - e.open.ticks
	n := len(e.listed)
	for n > 0 && left > 0 {
		n--
		left -= e.listed[n].length(e.cfg)
	}
	return n
}

// length is how long a segment is listed to be, in pictures.
func (s *segment) length(c *Config) int64 {
	if s.gap {
		return int64(c.FrameRate)
	}
	return s.ticks
}

// write lists a segment, after one with that init, and returns its own. An open segment has
// parts and no address yet.
func (seg *segment) write(b *bytes.Buffer, c *Config, before *initial, parts bool) *initial {
	if seg.gap {
		fmt.Fprintf(b, "#EXT-X-GAP\n#EXTINF:%s,\n%s\n", c.seconds(seg.length(c)), gapName)
		return before
	}
	if seg.discontinuity {
		b.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	if seg.init != before {
		fmt.Fprintf(b, "#EXT-X-MAP:URI=%q\n", seg.init.name())
	}
	fmt.Fprintf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", seg.date.UTC().Format(dateFormat))
	if parts {
		for i, p := range seg.parts {
			independent := ""
			if p.independent {
				independent = ",INDEPENDENT=YES"
			}
			fmt.Fprintf(b, "#EXT-X-PART:DURATION=%s,URI=%q%s\n", c.seconds(p.ticks), partName(seg.first+uint64(i)), independent)
		}
	}
	if seg.bodies != nil || seg.shelved {
		fmt.Fprintf(b, "#EXTINF:%s,\n%s\n", c.seconds(seg.ticks), seg.name())
	}
	return seg.init
}

// dateFormat is that of ISO 8601 with the milliseconds that players read.
const dateFormat = "2006-01-02T15:04:05.000Z"

// seconds writes the time of so many pictures.
func (c *Config) seconds(n int64) string {
	text := strconv.FormatFloat(float64(n)/float64(c.FrameRate), 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// packers are kept: one is most of a megabyte.
var packers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

// page is a playlist, rendered and compressed when it is first asked for.
type page struct {
	render         func() []byte
	tag            string // quoted, of what no other content of this playlist has; none if measured figures change it
	renders, packs sync.Once
	plain, small   []byte
}

func (p *page) text() []byte {
	p.renders.Do(func() { p.plain = p.render() })
	return p.plain
}

// packed is the text in gzip form.
func (p *page) packed() []byte {
	text := p.text()
	p.packs.Do(func() {
		var b bytes.Buffer
		z := packers.Get().(*gzip.Writer)
		defer packers.Put(z)
		z.Reset(&b)
		_, _ = z.Write(text) // into memory
		_ = z.Close()
		p.small = b.Bytes()
	})
	return p.small
}

// as is the page as a client takes it, and its tag.
func (p *page) as(gzip bool) (text []byte, tag string) {
	switch {
	case !gzip:
		return p.text(), p.tag
	case p.tag == "":
		return p.packed(), ""
	default:
		return p.packed(), strings.TrimSuffix(p.tag, `"`) + `.z"`
	}
}
