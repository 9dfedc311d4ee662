package hls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// The tracks in a file.
const (
	videoTrack = 1
	audioTrack = 2
)

// segment is one in all renditions. It does not change once it is complete; until then parts are
// added to it.
type segment struct {
	msn           uint64
	start         int64 // in pictures since presentation time zero
	ticks         int64 // pictures that its parts last
	date          time.Time
	gap           bool     // listed for players that want a long playlist, never there
	discontinuity bool     // nothing continues from the segment before
	init          *initial // nil for a gap
	first         uint64   // the number of the first part
	parts         []part
	bodies        [][]byte    // by rendition: the whole, once it is complete
	bytes         []int       // by rendition: so far
	shelved       bool        // it is in files, and not here any more
	transports    []transport // by rendition
}

// part is a piece of a segment in all renditions.
type part struct {
	ticks       int64
	independent bool
	bodies      [][]byte // by rendition
}

// initial are the initialisation sections of a run of segments with the same codec parameters.
type initial struct {
	msn    uint64 // of the first segment; it makes the name
	bodies [][]byte
	params []parameters
}

// parameters are what a decoder of one rendition is told before the first picture.
type parameters struct {
	sps, pps      []byte
	width, height int
}

// codec is the name of RFC 6381.
func (p parameters) codec() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", p.sps[1], p.sps[2], p.sps[3])
}

func (p parameters) equal(q parameters) bool {
	return bytes.Equal(p.sps, q.sps) && bytes.Equal(p.pps, q.pps)
}

// before puts the parameter sets in front of a [payload], for players that keep to the first initialisation section.
func (p parameters) before(data []byte) []byte {
	return append(appendUnit(appendUnit(nil, p.sps), p.pps), data...)
}

// adopt takes the parameter sets of a key picture; those that it lacks stay.
func (p parameters) adopt(nalus [][]byte) (parameters, error) {
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			p.sps = bytes.Clone(n)
		case h264.NALUTypePPS:
			p.pps = bytes.Clone(n)
		}
	}
	if len(p.sps) < 4 || p.pps == nil {
		return p, ErrNoParameters
	}
	var sps h264.SPS
	if err := sps.Unmarshal(p.sps); err != nil {
		return p, fmt.Errorf("hls: sequence parameter set: %w", err)
	}
	p.width, p.height = sps.Width(), sps.Height()
	return p, nil
}

// newInitial makes the initialisation sections.
func newInitial(c Config, msn uint64, params []parameters) (*initial, error) {
	n := &initial{msn: msn, params: params}
	for _, p := range params {
		var b seekablebuffer.Buffer
		err := fmp4.Init{Tracks: []*fmp4.InitTrack{
			{ID: videoTrack, TimeScale: videoClockRate, Codec: &codecs.H264{SPS: p.sps, PPS: p.pps}},
			{ID: audioTrack, TimeScale: uint32(c.SampleRate), Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
				Type: mpeg4audio.ObjectTypeAACLC, SampleRate: c.SampleRate, ChannelConfig: uint8(c.Channels),
			}}},
		}}.Marshal(&b)
		if err != nil {
			return nil, fmt.Errorf("hls: initialisation section: %w", err)
		}
		n.bodies = append(n.bodies, b.Bytes())
	}
	return n, nil
}

// name is that of the initialisation section within a rendition's directory.
func (n *initial) name() string { return "init-" + strconv.FormatUint(n.msn, 10) + ".mp4" }

func (s *segment) name() string { return strconv.FormatUint(s.msn, 10) + ".m4s" }

// partName numbers parts through all segments: one that was announced comes, even if the segment that was being filled
// has ended early and it is in the next.
func partName(number uint64) string { return "part-" + strconv.FormatUint(number, 10) + ".m4s" }

// join joins the parts' bytes; the parts share the memory from then on.
func (s *segment) join() {
	parts := make([]part, len(s.parts)) // editions still have the old ones
	copy(parts, s.parts)
	for i := range parts {
		parts[i].bodies = make([][]byte, len(s.bytes))
	}
	s.bodies, s.transports = make([][]byte, len(s.bytes)), make([]transport, len(s.bytes))
	for r, size := range s.bytes {
		whole := make([]byte, 0, size)
		for i := range s.parts {
			from := len(whole)
			whole = append(whole, s.parts[i].bodies[r]...)
			parts[i].bodies[r] = whole[from:len(whole):len(whole)]
		}
		s.bodies[r] = whole
	}
	s.parts = parts
}

// fragment are the pictures of a part.
type fragment struct {
	of          *segment
	start       int64 // in pictures
	ticks       int64 // pictures that it lasts so far
	independent bool
	video       [][]sample // by rendition
}

// sample is a picture, in the form of a file.
type sample struct {
	data  []byte
	key   bool
	ticks int64
}

// payload is an access unit as MP4 wants it: lengths in place of start codes, and without what is in
// the initialisation section or says nothing (ISO/IEC 14496-15 5.3).
func payload(nalus [][]byte) []byte {
	size := 0
	wanted := func(n []byte) bool {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS, h264.NALUTypePPS, h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData:
			return false
		}
		return true
	}
	for _, n := range nalus {
		if wanted(n) {
			size += 4 + len(n)
		}
	}
	b := make([]byte, 0, size)
	for _, n := range nalus {
		if wanted(n) {
			b = appendUnit(b, n)
		}
	}
	return b
}

// appendUnit appends a unit behind its length.
func appendUnit(b, unit []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(unit))), unit...)
}

// clock converts counts of pictures and of audio units to decoding times. Presentation time zero is
// at the wall clock's distance from [origin], the same in both.
type clock struct {
	frameRate  int64
	sampleRate int64
	videoZero  int64 // ticks of videoClockRate
	audioZero  int64 // samples
}

func newClock(c Config) clock {
	zero := max(0, c.Start.Sub(origin))
	return clock{int64(c.FrameRate), int64(c.SampleRate), ticks(zero, videoClockRate), ticks(zero, int64(c.SampleRate))}
}

// picture is the decoding time of the nth picture, in ticks of videoClockRate.
func (c clock) picture(n int64) int64 { return c.videoZero + n*videoClockRate/c.frameRate }

// at is the presentation time of the nth picture.
func (c clock) at(n int64) time.Duration { return duration(n, c.frameRate) }

// body makes one rendition's file of a fragment.
func (f *fragment) body(c clock, rendition int, number uint32, audio [][]byte, audioStart int64) ([]byte, error) {
	video := &fmp4.PartTrack{ID: videoTrack, BaseTime: uint64(c.picture(f.start))}
	for n, i := f.start, 0; i < len(f.video[rendition]); i++ {
		s := f.video[rendition][i]
		video.Samples = append(video.Samples, &fmp4.Sample{
			Duration: uint32(c.picture(n+s.ticks) - c.picture(n)), IsNonSyncSample: !s.key, Payload: s.data,
		})
		n += s.ticks
	}
	p := fmp4.Part{SequenceNumber: number, Tracks: []*fmp4.PartTrack{video}}
	if len(audio) > 0 {
		sound := &fmp4.PartTrack{ID: audioTrack, BaseTime: uint64(c.audioZero + audioStart)}
		for _, au := range audio {
			sound.Samples = append(sound.Samples, &fmp4.Sample{Duration: aacFrame, Payload: au})
		}
		p.Tracks = append(p.Tracks, sound)
	}
	var b seekablebuffer.Buffer
	if err := p.Marshal(&b); err != nil {
		return nil, fmt.Errorf("hls: part: %w", err)
	}
	return b.Bytes(), nil
}
