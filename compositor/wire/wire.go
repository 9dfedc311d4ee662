// Package wire is the language between the server and its media worker: length-prefixed
// binary messages over the worker's stdin and stdout.
//
// Each direction begins with a preamble of eight bytes, "AMPHI" 0x00 and the version as two
// bytes, big-endian. Messages follow:
//
//	length  uint32  bytes after this field, 1..MaxMessage
//	type    uint8
//	body            fields in the order of the Go struct, integers big-endian
//
// Both programs are built from one tree, so there is one version and no negotiation: a reader
// refuses any other. Everything is bounded here, once: what a Reader returns has even
// rectangles, known codecs and bitmaps whose pixels match their size.
//
// The server sends Start, AddInput, RemoveInput, Frame, Bitmap, Picture, DropBitmap, Scene, Float,
// Music, Tune, ForceKey and Stop. The worker sends Hello, Started, Video, Audio, NeedKey and Stats.
//
// To a worker that was started with TranscodeFlag the server sends Transcode, Frame and Stop; it sends
// Hello, Sound and Stats.
package wire

import (
	"errors"
	"fmt"
	"image"
	"time"
)

// Version is raised by every change of a message.
const Version = 7

// Environment is what whoever starts a worker should put into its environment: its one busy
// goroutine sleeps between ticks, and Go's scheduler would interrupt that by signals.
const Environment = "GODEBUG=asyncpreemptoff=1"

// TranscodeFlag is the command line flag by which a worker makes Opus of one AAC stream, as it comes, and
// no pictures.
const TranscodeFlag = "transcode"

// ComposeFlag is the command line flag by which a worker draws one scene and ends: it reads Start, whose first
// rendition is the size, then Bitmap and Picture, and a Scene. For each input of the scene it draws somebody who is
// not there, for one that is shown whole ([Contain]) a shared window, and writes the picture as a PNG.
const ComposeFlag = "compose"

// Limits of one message. They hold for both directions.
const (
	MaxMessage     = 8 << 20 // bytes of type and body
	MaxText        = 1024    // bytes of a string
	MaxSide        = 4096    // pixels of a canvas, rectangle or bitmap
	MaxItems       = 256     // items of a scene
	MaxInputs      = 256     // inputs in Stats
	MaxRenditions  = 4
	MaxAudioConfig = 64      // bytes of an AudioSpecificConfig
	MaxPicture     = 1 << 20 // bytes of an uploaded picture
	MaxMusic       = 2 << 20 // bytes of an MP3
	MaxTune        = 6 << 20 // likewise, of one that is played once
	MaxFloat       = 30 * time.Second
)

// Clock rates of the timestamps that the worker sends.
const (
	VideoClock = 90000 // Video.PTS, ticks in a second
	AudioClock = 48000 // Audio.PTS, samples in a second
)

// Reasons why a Reader gives up. A stream that has given one of them cannot be read on.
var (
	ErrPreamble  = errors.New("wire: not an amphi media stream")
	ErrVersion   = errors.New("wire: the two sides are of different versions")
	ErrTooLarge  = errors.New("wire: message too large")
	ErrMalformed = errors.New("wire: malformed message")
)

// Codec is the encoding of an input.
type Codec uint8

// The codecs of the inputs.
const (
	VP8 Codec = iota + 1
	H264
	Opus
	VP9
	AV1
)

func (c Codec) String() string {
	switch c {
	case VP8:
		return "VP8"
	case H264:
		return "H264"
	case Opus:
		return "opus"
	case VP9:
		return "VP9"
	case AV1:
		return "AV1"
	}
	return fmt.Sprintf("Codec(%d)", uint8(c))
}

// Video reports whether inputs of this codec carry pictures.
func (c Codec) Video() bool { return c != Opus }

// Source is what an item of a scene shows.
type Source uint8

// The kinds of sources.
const (
	FromInput  Source = iota + 1 // the latest picture of the video input with this ID
	FromBitmap                   // the bitmap with this ID, unscaled, clipped to the rectangle
	FromColor                    // nothing but Fill
)

// Fit says how a picture of another shape is put into a rectangle.
type Fit uint8

// Ways of fitting.
const (
	Cover   Fit = iota // fill the rectangle, crop what stands over
	Contain            // show the whole picture; the rest of the rectangle gets Item.Fill
)

// RGB is a colour, 0xRRGGBB.
type RGB uint32

// Message is one of the message structs of this package, by pointer.
type Message interface {
	kind() kind
	append(b []byte) []byte
	parse(r *cursor)
	check() error
}

// Hello is the worker's first message.
type Hello struct {
	Libraries string // names and versions of the codec libraries, for the log
}

// Start is the server's first message: the output to make. It comes once.
type Start struct {
	// Renditions are the sizes to encode. The first is the canvas that scenes are drawn on;
	// the others are scaled from it. Sizes are even. All get their key frames at the same ticks.
	Renditions   []Rendition
	FPS          uint8 // ticks in a second, 1..60
	KeyInterval  uint16
	AudioBitrate uint32 // bit/s of the AAC track, 48 kHz stereo
	// Offset is added to all timestamps, so that a worker started in place of a dead one
	// continues its timeline. Carried in whole milliseconds, which are exact in both clocks.
	Offset time.Duration
}

// Rendition is one encoded size.
type Rendition struct {
	Width, Height uint16 // pixels, even
	Bitrate       uint32 // bit/s
}

// AddInput announces an input; its frames follow. Adding an existing ID replaces that input.
type AddInput struct {
	ID    uint32
	Codec Codec
	// Sync groups inputs whose Capture times come from one clock, such as the microphone and
	// the camera of one person: these are played in lip sync. 0 is no group.
	Sync uint32
}

// RemoveInput ends an input and frees what it holds. Unknown IDs are ignored.
type RemoveInput struct{ ID uint32 }

// Frame is one whole encoded frame of an input: a VP8 frame, an H.264 access unit (Annex B), a VP9
// frame or superframe, an AV1 temporal unit (OBUs with sizes) or an Opus packet. Frames of an input come in decoding order.
type Frame struct {
	Input   uint32
	RTP     uint32 // RTP timestamp: 90 kHz for video, 48 kHz for audio
	Capture int64  // nanoseconds since the Unix epoch when it was captured, or arrived
	Key     bool
	Data    []byte
}

// Bitmap stores a picture with transparency in the worker under an ID, in place of an older one.
// Pix is I420 (BT.601, limited range) followed by an alpha plane of full resolution:
// W*H bytes Y, W*H/4 U, W*H/4 V, W*H alpha. W and H are even. Colours are not premultiplied.
type Bitmap struct {
	ID   uint32
	W, H uint16
	Pix  []byte
}

// BitmapSize is the length of Pix of a bitmap of w by h pixels.
func BitmapSize(w, h int) int { return w*h*2 + w*h/2 }

// Picture stores a picture that somebody has uploaded, scaled to a size, as the bitmap of an ID. It
// is decoded in the worker, which has little to lose. One that cannot be is left out.
type Picture struct {
	ID   uint32
	W, H uint16 // of the bitmap; even
	Fit  Fit    // beside a contained picture the bitmap is transparent
	Data []byte // PNG or JPEG
}

// DropBitmap frees a bitmap. Unknown IDs are ignored.
type DropBitmap struct{ ID uint32 }

// Scene says what the canvas shows from the next tick on, from bottom to top.
//
// An item whose source has no picture yet, or is unknown, is left out. So a placeholder under a
// video item is seen until the video's first picture.
type Scene struct {
	Background RGB
	Backdrop   uint32 // the bitmap that covers the background, at the upper left; 0 is none
	// Glide is the time, in milliseconds, in which groups of items come to their places from where
	// they were in the scene before, and new ones grow to their size.
	Glide uint16
	Items []Item
}

// Item is one picture on the canvas.
type Item struct {
	Source Source
	ID     uint32
	Rect   image.Rectangle // canvas pixels; even, not empty, within 0..MaxSide
	Fit    Fit             // inputs only
	Radius uint8           // pixels of rounded corners, through which the background is seen; not of bitmaps
	Fill   RGB             // the colour, or what is beside a contained picture; not of bitmaps
	Border uint8           // pixels of a frame along the inner edge, even; not of bitmaps
	// BorderColor is that of the frame.
	BorderColor RGB
	// Group names what moves as one: the first item of a group in a scene is its frame, the others
	// keep their distance to its nearest edges. 0 is no group: what does not move.
	Group uint32
}

// Float lets a bitmap rise over the canvas and fade, once: what the audience throws up. When there
// are too many the oldest are taken away.
type Float struct {
	ID   uint32          // of the bitmap, which may be dropped before the end: then it vanishes
	Rect image.Rectangle // where it begins; even, as large as the bitmap
	Rise uint16          // pixels that it rises by
	Time time.Duration   // that it takes; carried in whole milliseconds
}

// Music is played under the inputs from now on, again and again, in place of what was played
// before. It comes and goes softly. Without data there is none any more.
type Music struct{ Data []byte } // MP3

// Tune is played over the inputs once, in place of the one before. Without data it changes how the one that is played is
// heard, and with a volume of 0 then ends it.
type Tune struct {
	Volume uint8 // percent
	Paused bool
	Data   []byte // MP3
}

// ForceKey asks for a key frame of all renditions at the next tick.
type ForceKey struct{}

// Stop asks the worker to flush what it has and exit. Closing its stdin does the same.
type Stop struct{}

// Started answers Start.
type Started struct {
	// Epoch is the wall clock at timestamp zero of both clocks, nanoseconds since the Unix
	// epoch: wall time of a frame = Epoch + PTS.
	Epoch       int64
	AudioConfig []byte // AudioSpecificConfig of the AAC track
}

// Video is one encoded picture.
type Video struct {
	Rendition uint8 // index in Start.Renditions
	PTS       int64 // VideoClock; there are no B-frames: DTS = PTS
	Key       bool  // IDR; SPS and PPS are in Data before it
	Data      []byte
}

// Audio is one raw AAC access unit of 1024 samples.
type Audio struct {
	PTS  int64 // AudioClock, priming already subtracted
	Data []byte
}

// Transcode says what the Frames are that follow: AAC access units, of which Capture is the time of the
// first sample on the source's own timeline; their other fields are not looked at. It comes first, and
// again when the sound is another one.
type Transcode struct {
	Config  []byte // AudioSpecificConfig
	Bitrate uint32 // bit/s of the Opus packets; only that of the first counts
}

// Sound is one Opus packet of 20 ms.
type Sound struct {
	PTS   int64 // AudioClock, on the source's timeline; the encoder's delay is taken off
	Level uint8 // RFC 6464: 0 loudest, 127 silence
	Data  []byte
}

// NeedKey asks for a key frame of a video input: its decoder cannot go on without one.
type NeedKey struct{ Input uint32 }

// Stage is a part of a worker's tick.
type Stage uint8

// The stages.
const (
	StageInput  Stage = iota // waking up and taking in messages
	StageDecode              // pictures
	StageDraw                // the canvas
	StageScale               // it, for the smaller renditions
	StageEncode              // pictures
	StageSound               // decoding, mixing and encoding it
	StageOutput              // writing what came of all that
	Stages                   // how many there are
)

func (s Stage) String() string {
	return [Stages]string{"input", "decode", "draw", "scale", "encode", "sound", "output"}[s]
}

// Stats is sent at least every 500 ms, and so is the worker's heartbeat. Counts are totals.
type Stats struct {
	Ticks         uint64 // video ticks since the start
	TicksRepeated uint64 // ticks that showed the last picture again because the worker was behind
	CPU           time.Duration
	Stages        [Stages]time.Duration // what of CPU went into which part of the ticks
	Memory        uint64                // resident bytes
	Limited       uint64                // audio blocks that the limiter turned down
	Inputs        []InputStats
}

// InputStats are the totals of one input.
type InputStats struct {
	ID            uint32
	Frames        uint64 // taken in
	Dropped       uint64 // thrown away undecoded: queue full, or waiting for a key frame
	Errors        uint64 // refused by the decoder
	Concealed     uint64 // audio: packets made up for lost ones
	Width, Height uint16 // of the latest picture
	Level         uint8  // audio: RFC 6464 level, 0 loudest, 127 silence
}

type kind uint8

const (
	kindHello kind = iota + 1
	kindStart
	kindAddInput
	kindRemoveInput
	kindFrame
	kindBitmap
	kindDropBitmap
	kindScene
	kindForceKey
	kindStop
	kindStarted
	kindVideo
	kindAudio
	kindNeedKey
	kindStats
	kindPicture
	kindFloat
	kindMusic
	kindTranscode
	kindSound
	kindTune
)

func newMessage(k kind) Message {
	switch k {
	case kindHello:
		return new(Hello)
	case kindStart:
		return new(Start)
	case kindAddInput:
		return new(AddInput)
	case kindRemoveInput:
		return new(RemoveInput)
	case kindFrame:
		return new(Frame)
	case kindBitmap:
		return new(Bitmap)
	case kindDropBitmap:
		return new(DropBitmap)
	case kindScene:
		return new(Scene)
	case kindForceKey:
		return new(ForceKey)
	case kindStop:
		return new(Stop)
	case kindStarted:
		return new(Started)
	case kindVideo:
		return new(Video)
	case kindAudio:
		return new(Audio)
	case kindNeedKey:
		return new(NeedKey)
	case kindStats:
		return new(Stats)
	case kindPicture:
		return new(Picture)
	case kindFloat:
		return new(Float)
	case kindMusic:
		return new(Music)
	case kindTune:
		return new(Tune)
	case kindTranscode:
		return new(Transcode)
	case kindSound:
		return new(Sound)
	}
	return nil
}
