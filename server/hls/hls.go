// Package hls packages encoded streams as low-latency HLS (RFC 8216bis) and serves them.
//
// A [Stream] takes the access units of one encoder, H.264 in Annex-B and AAC-LC, and keeps a
// sliding window of parts, segments and playlists in memory. An [Origin] knows which streams
// are on the air and answers requests under /beam/{customer}/{room}/.
//
// The promises to a player:
//
//   - parts of exactly 200 ms and segments of about 1 s, as long as the encoder gives a key
//     picture each second; the target durations never change during a stream;
//   - a gap in the input is filled with the last key picture and silence, so that the
//     timeline never stops while the encoder is being replaced;
//   - PROGRAM-DATE-TIME is the wall clock at which a picture was composed;
//   - a request never outlives its client, the stream, or [maxWait].
//
// The writer is the only one that touches the muxer. What it made is copied into the stream's
// window, and requests are answered from there, so a slow reader and the writer share nothing
// but a short lock.
package hls

import (
	"errors"
	"log/slog"
	"time"
)

const (
	// partDuration is 6 pictures at 30 fps. Apple's players want all parts but a segment's
	// last to be within 85 % of the longest, so it is never stretched.
	partDuration = 200 * time.Millisecond

	// segmentMin lets a key picture end a segment early. Encoders give one each second;
	// after an encoder was replaced one comes off that beat, and then two segments between
	// 0.5 s and 1.5 s keep the target duration at 1 s, which may not change (RFC 8216bis 6.2.1).
	segmentMin = 500 * time.Millisecond

	// windowSegments is how many segments a playlist lists. Low-latency playlists begin with
	// seven gap segments (iOS needs them), so this must be more than seven.
	windowSegments = 10

	// graceSegments keep files alive after they left the playlist: RFC 8216bis 6.2.2 asks
	// for it because a client may act on a playlist which is a little old.
	graceSegments = 4

	// maxSegmentBytes refuses an encoder gone wild: 16 MiB in a second is 134 Mbit/s.
	maxSegmentBytes = 16 << 20

	// videoLead and audioLead are how far one medium may be packaged ahead of the other. The
	// muxer puts an audio unit into whichever part is being filled, so their sum, with two
	// audio units, must be less than a part: then no part is without sound, which players refuse.
	// Encoders give audio some 60 ms after the video of the same time, hence the difference.
	videoLead = 130 * time.Millisecond
	audioLead = 20 * time.Millisecond

	// starvation is how long one medium waits for the other one when that does not come. Then
	// silence takes its place, or the last key picture.
	starvation = 500 * time.Millisecond

	// maxStumbles is how often the first segment is begun anew because of missing pictures.
	maxStumbles = 5

	// maxFill is the longest gap that is filled. Beyond it the stream is packaged anew.
	maxFill = time.Minute

	// maxWait bounds a blocking request. Parts come each 200 ms, so whoever waited this long
	// waits for something that will not come.
	maxWait = 6 * time.Second

	// maxWaiting bounds how many requests one stream holds back at a time.
	maxWaiting = 20_000

	videoClockRate = 90_000 // Hz
	aacFrame       = 1024   // samples in an AAC-LC access unit
)

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
	Start      time.Time // wall clock at presentation time zero
	FrameRate  float64   // pictures a second, for the master playlist; 0 leaves it out
	SampleRate int       // of the AAC audio, in Hz
	Channels   int       // of the AAC audio, 1 or 2
	Log        *slog.Logger
}

// StreamStats counts what went into a stream since it began.
type StreamStats struct {
	VideoUnits uint64 // access units packaged
	AudioUnits uint64
	Late       uint64 // access units refused: at or before one already packaged, or not decodable yet
	Moved      uint64 // pictures shown a little early, to end a part in time
	Stumbled   uint64 // times that the first segment was begun anew
	Filled     uint64 // pictures repeated to fill gaps
	Renewed    uint64 // packagers made after the first
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
