package hls

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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

// dateRange is timed metadata in the playlists.
type dateRange struct {
	line  string
	start time.Time
}

// tag is the metadata as a line of a playlist. Players of other makes look for exactly this order of attributes, and
// decode the payload with the browser's atob, which knows no UTF-8: beyond ASCII everything is escaped.
func (m Metadata) tag() string {
	start := m.Start.UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(struct {
		Payload string `json:"payload"`
		Start   string `json:"start_date"`
		End     string `json:"end_date"`
		Version string `json:"hms_version"`
	}{m.Payload, start.Format(dateFormat), start.Add(m.Duration).Format(dateFormat), "v1.1"})
	if err != nil {
		panic(err) // strings always can be marshalled
	}
	return fmt.Sprintf("#EXT-X-DATERANGE:ID=%q,START-DATE=%q,DURATION=%s,X-100MSLIVE-PAYLOAD=%q\n", m.ID, start.Format(dateFormat),
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
