// Package hls packages encoded streams as low-latency HLS (RFC 8216bis) and serves them.
//
// A [Stream] takes the access units of one encoder, H.264 in Annex-B of one or several sizes and
// AAC-LC, and keeps a sliding window of parts and segments, or all of them. An [Origin] knows which
// streams are on the air and answers requests under /beam/{customer}/{room}/.
//
// The promises to a player:
//
//   - all renditions have the same parts and segments: a part is of a fixed number of pictures,
//     about 200 ms, and a segment begins with each key picture, which the encoder gives once a
//     second; sound is in the same files, so that a player loads one list;
//   - a gap in the input is filled with the last key picture and silence, so that the timeline
//     never stops while the encoder is being replaced;
//   - PROGRAM-DATE-TIME is the wall clock at which a picture was composed;
//   - names are for ever: media sequence numbers and decoding times follow the wall clock, so that
//     a stream that is started again in the same room, or by a server that was started again, goes
//     on with higher ones, and no cache between us and a player can confuse the two;
//   - players that know no fragmented MP4 find the same segments as MPEG transport streams under
//     [OldMasterPlaylist], made when somebody asks for them;
//   - an event keeps all its segments, the older ones in files or in a [Bucket], so that viewers can
//     go back to its start, and costs no more memory after hours than after a minute; a server that
//     was killed and started again goes on with them;
//   - a request never outlives its client, the stream, or [maxWait].
//
// One goroutine at a time writes. What it made is published as an [edition], which does not change
// any more; requests are answered from the newest one. A playlist is rendered, and compressed,
// when the first request of an edition wants it, and all others share the bytes.
package hls

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	// partDuration is what parts are made to last, to the nearest picture.
	partDuration = 200 * time.Millisecond

	// targetDuration is what no segment's duration rounds to more than (RFC 8216bis 4.4.3.1): encoders
	// give a key picture each second.
	targetDuration = time.Second

	// holdBackParts times a part's duration is how far players stay behind the end of the playlist;
	// the RFC wants two, and recommends three (4.4.3.8).
	holdBackParts = 3

	// skipAfter is the age from which segments are left out of delta updates; at least six target
	// durations (4.4.3.8).
	skipAfter = 6 * targetDuration

	// partsFor is the age up to which segments are listed with their parts; at least three target
	// durations (4.4.4.9).
	partsFor = 3 * targetDuration

	// windowSegments is how many segments a playlist lists. It begins with so many gaps: players on
	// iOS do not begin with less than seven segments.
	windowSegments = 10

	// graceSegments keep files alive after they left the playlist: RFC 8216bis 6.2.2 asks for it
	// because a client may act on a playlist which is a little old.
	graceSegments = 4

	// maxSegmentBytes refuses an encoder gone wild: 16 MiB in a second is 134 Mbit/s.
	maxSegmentBytes = 16 << 20

	// maxAudioUnits bounds the sound that waits for pictures: five seconds at 48 kHz.
	maxAudioUnits = 240

	// starvation is how far sound may be behind the pictures. What is missing then is replaced by
	// silence. Encoders give sound some 60 ms after the picture of the same time.
	starvation = 300 * time.Millisecond

	// maxFill is the longest gap that is filled. Beyond it there is a discontinuity.
	maxFill = time.Minute

	// maxWait bounds a blocking request. Parts come each 200 ms, so whoever waited this long waits for
	// something that will not come.
	maxWait = 6 * time.Second

	// maxWaiting bounds how many requests one stream holds back at a time.
	maxWaiting = 20_000

	// maxRenditions and maxFrameRate bound what a stream is made of.
	maxRenditions = 8
	maxFrameRate  = 120

	videoClockRate = 90_000 // Hz
	aacFrame       = 1024   // samples in an AAC-LC access unit
)

// origin is where decoding times and media sequence numbers are counted from. Both stay well within
// 53 bits, which is what players written in JavaScript have.
var origin = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// firstSequence is the media sequence number that a stream begins with. It grows twice as fast as
// streams use numbers up, so that one with short segments in it stays below the next one of its room.
// Discontinuities are counted from zero, as hls.js looks at all numbers below the first; each stream
// begins with one, so that a player which has seen the one before continues nothing of it.
func firstSequence(start time.Time) uint64 { return uint64(max(0, 2*start.Sub(origin)/time.Second)) }

// firstPart is the number that a stream's parts begin with. It grows as [firstSequence], but fast enough for parts.
func firstPart(start time.Time) uint64 { return 10 * firstSequence(start) }

var (
	// ErrClosed is what writing to a closed stream returns.
	ErrClosed = errors.New("hls: stream is closed")

	// ErrNeedKey refuses a picture that comes late, or that cannot be decoded because one
	// before it was refused or a gap was filled. The encoder should be asked for a key picture.
	ErrNeedKey = errors.New("hls: a key picture is needed")

	// ErrNoParameters says that a stream's first picture has no SPS and PPS with it.
	ErrNoParameters = errors.New("hls: key picture without SPS and PPS")
)

// Config are the parameters of a stream.
type Config struct {
	Start      time.Time     // wall clock at presentation time zero
	FrameRate  int           // pictures a second
	SampleRate int           // of the AAC audio, in Hz
	Channels   int           // of the AAC audio, 1 or 2
	Renditions []Rendition   // at least one, the best first
	Event      bool          // all segments stay listed, not the last ones only: viewers can go back to the start
	Dir        string        // for the older segments of an event; made, and removed with the stream
	Resume     bool          // an event goes on with the segments that are in Dir, of a server that was killed
	Bucket     Bucket        // where the older segments go on to; nil: they stay in Dir
	Prefix     string        // of their keys there, see [Key.Prefix]
	Spool      int64         // bytes in Dir that may wait for the Bucket; 0: 2 GiB. What comes then is lost
	Keep       func(Segment) // is given each complete segment, in their order; it must not wait. May be nil
	Log        *slog.Logger
}

// Segment is a complete segment as [Config.Keep] gets it. Nothing of it changes any more. Its files are fragmented MP4
// with H.264 in track 1 and AAC in track 2.
type Segment struct {
	Start         time.Time // wall clock of its first picture
	Duration      time.Duration
	Discontinuity bool     // its decoding times do not continue those of the segment before
	Init          [][]byte // the initialisation sections, by rendition; the same slice while they are the same
	Bodies        [][]byte // by rendition
}

// Rendition is one size of the pictures.
type Rendition struct {
	Name    string // in the files' names: letters, digits and -
	Bitrate int    // that the encoder was told for video and audio, bit/s; what is measured counts if it is more
}

func (c Config) check() error {
	if silence[c.Channels] == nil || c.SampleRate <= 0 {
		return fmt.Errorf("hls: %d channels of audio at %d Hz are not supported", c.Channels, c.SampleRate)
	}
	if c.Event && c.Dir == "" {
		return errors.New("hls: an event needs a directory")
	}
	if c.FrameRate < 1 || c.FrameRate > maxFrameRate {
		return fmt.Errorf("hls: %d pictures a second are not supported", c.FrameRate)
	}
	if len(c.Renditions) < 1 || len(c.Renditions) > maxRenditions {
		return fmt.Errorf("hls: %d renditions are not supported", len(c.Renditions))
	}
	names := map[string]bool{}
	for _, r := range c.Renditions {
		odd := func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
		}
		if r.Name == "" || strings.ContainsFunc(r.Name, odd) || names[r.Name] {
			return fmt.Errorf("hls: rendition name %q", r.Name)
		}
		names[r.Name] = true
	}
	return nil
}

// partTicks is how many pictures make a part.
func (c Config) partTicks() int64 {
	return max(1, (int64(c.FrameRate)*int64(partDuration)+int64(time.Second)/2)/int64(time.Second))
}

// StreamStats counts what went into a stream since it began.
type StreamStats struct {
	VideoUnits uint64 // access units packaged
	AudioUnits uint64
	Late       uint64 // access units refused: at or before one already packaged, or not decodable yet
	Filled     uint64 // pictures repeated to fill gaps
	Silent     uint64 // units of audio made to fill gaps
	Renewed    uint64 // discontinuities: other codec parameters, or a gap too long to fill
	Lost       uint64 // segments of an event that could not be kept
	Stored     uint64 // segments that went to the bucket
	Spooled    int64  // bytes on disk that wait for it
}

// silence is an AAC-LC raw data block without any spectral data, by channel count. It does not
// depend on the sample rate: its scale factor bands are empty.
var silence = map[int][]byte{
	1: {0x00, 0xc8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

// ticks converts a duration to the nearest tick of a clock.
func ticks(d time.Duration, rate int64) int64 {
	secs, rest := int64(d/time.Second), int64(d%time.Second)
	return secs*rate + (rest*rate+int64(time.Second)/2)/int64(time.Second)
}

// duration converts ticks of a clock to a duration.
func duration(t, rate int64) time.Duration {
	return time.Duration(t/rate)*time.Second + time.Duration(t%rate)*time.Second/time.Duration(rate)
}
