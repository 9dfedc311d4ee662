package hls

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// maxMetadata bounds the timed metadata in a playlist, which every player loads five times a second.
const maxMetadata = 50

// ErrTooMuchMetadata refuses timed metadata while the window is full of it.
var ErrTooMuchMetadata = errors.New("hls: too much timed metadata")

// Metadata is a payload that players hand to their pages when they come to its start.
type Metadata struct {
	ID       string // without quotes and line ends
	Payload  string
	Start    time.Time // wall clock, as in PROGRAM-DATE-TIME
	Duration time.Duration
}

// dateRange is timed metadata in the playlist.
type dateRange struct {
	line string
	msn  uint64 // media sequence number of the segment that was being filled when it came
}

// AddMetadata puts timed metadata into the media playlists, where it stays as long as the segment of its start: players
// that load a playlist fire at once what is past.
func (s *Stream) AddMetadata(m Metadata) error {
	line := m.tag()
	s.window.Lock()
	defer s.window.Unlock()
	if s.closed() {
		return ErrClosed
	}
	if len(s.window.ranges) >= maxMetadata {
		return ErrTooMuchMetadata
	}
	var msn uint64
	for _, l := range s.window.lists {
		msn = max(msn, l.next)
	}
	s.window.ranges = append(s.window.ranges, dateRange{line, msn})
	return nil
}

// addRanges puts the timed metadata into the lists of an edition and forgets what has left the window. Delta updates
// have all of it too: only segments are skipped. The caller holds the window's lock.
func (s *Stream) addRanges(e *edition) {
	if len(s.window.ranges) == 0 {
		return
	}
	for name, l := range e.lists {
		var lines strings.Builder
		s.window.ranges = slices.DeleteFunc(s.window.ranges, func(r dateRange) bool { return r.msn+windowSegments < l.next })
		for _, r := range s.window.ranges {
			lines.WriteString(r.line)
		}
		l.full, l.delta = withLines(l.full, lines.String()), withLines(l.delta, lines.String())
		e.lists[name] = l
	}
}

// withLines adds lines at the end of a playlist, in memory of its own.
func withLines(list []byte, lines string) []byte {
	if len(list) == 0 {
		return list
	}
	return slices.Concat(list, []byte(lines))
}

// tag is the metadata as a line of a playlist. Players of other makes look for exactly this order of attributes, and
// decode the payload with the browser's atob, which knows no UTF-8: beyond ASCII everything is escaped.
func (m Metadata) tag() string {
	const format = "2006-01-02T15:04:05.000Z"
	start := m.Start.UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(struct {
		Payload string `json:"payload"`
		Start   string `json:"start_date"`
		End     string `json:"end_date"`
		Version string `json:"hms_version"`
	}{m.Payload, start.Format(format), start.Add(m.Duration).Format(format), "v1.1"})
	if err != nil {
		panic(err) // strings always can be marshalled
	}
	return fmt.Sprintf("#EXT-X-DATERANGE:ID=%q,START-DATE=%q,DURATION=%s,X-100MSLIVE-PAYLOAD=%q\n", m.ID, start.Format(format),
		strconv.FormatFloat(m.Duration.Seconds(), 'f', -1, 64), base64.StdEncoding.EncodeToString(ascii(text)))
}

// ascii escapes everything beyond ASCII in a JSON text.
func ascii(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
