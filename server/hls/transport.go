package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
)

// OldMasterPlaylist names the multivariant playlist for players that know no fragmented MP4: the same segments as MPEG
// transport streams, whole ones only. They are made when somebody asks for them.
const OldMasterPlaylist = "master-ts.m3u8"

const (
	oldPlaylistName = "ts.m3u8" // in the directory of each rendition
	oldSuffix       = ".ts"
	oldMediaType    = "video/mp2t"

	packetSize = 188
	headerSize = 4 // of a packet
	counters   = 16
)

// transport is a segment of one rendition as a transport stream.
type transport struct {
	once sync.Once
	body []byte
	err  error
}

// transportOf is a complete segment as a transport stream.
func (s *Stream) transportOf(ctx context.Context, seg *segment, rendition int) ([]byte, error) {
	if seg.shelved {
		f, err := s.shelf.open(ctx, seg, rendition)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		body, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		return s.cfg.transport(seg, rendition, body)
	}
	t := &seg.transports[rendition]
	t.once.Do(func() { t.body, t.err = s.cfg.transport(seg, rendition, seg.bodies[rendition]) })
	return t.body, t.err
}

// transport makes a transport stream of a segment in fragmented MP4.
func (c *Config) transport(seg *segment, rendition int, body []byte) ([]byte, error) {
	var parts fmp4.Parts
	if err := parts.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("hls: segment %d: %w", seg.msn, err)
	}
	video := &mpegts.Track{Codec: &codecs.H264{}}
	audio := &mpegts.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: c.SampleRate, ChannelConfig: uint8(c.Channels),
	}}}
	var b bytes.Buffer
	b.Grow(len(body) + len(body)/8)
	w := mpegts.Writer{W: &b, Tracks: []*mpegts.Track{video, audio}}
	if err := w.Initialize(); err != nil {
		return nil, fmt.Errorf("hls: transport stream: %w", err)
	}
	params := seg.init.params[rendition]
	for _, part := range parts {
		units, at := soundOf(part)
		for _, track := range part.Tracks {
			if track.ID != videoTrack {
				continue
			}
			dts := track.BaseTime
			for i, sample := range track.Samples {
				picture, err := nalus(sample.Payload)
				if err != nil {
					return nil, err
				}
				if !sample.IsNonSyncSample {
					picture = append([][]byte{params.sps, params.pps}, picture...)
				}
				pts := transportTime(dts, videoClockRate)
				if err := w.WriteH264(video, pts, pts, picture); err != nil {
					return nil, fmt.Errorf("hls: transport stream: %w", err)
				}
				dts += uint64(sample.Duration)
				if i > 0 || len(units) == 0 {
					continue
				}
				// Behind a picture, which has the clock and the tables before it, and before all others of its time.
				if err := w.WriteMPEG4Audio(audio, transportTime(at, c.SampleRate), units); err != nil {
					return nil, fmt.Errorf("hls: transport stream: %w", err)
				}
			}
		}
	}
	return number(b.Bytes(), seg.msn), nil
}

// soundOf are a part's units of sound, and the time of the first.
func soundOf(part *fmp4.Part) (units [][]byte, at uint64) {
	for _, track := range part.Tracks {
		if track.ID == audioTrack {
			for _, sample := range track.Samples {
				units = append(units, sample.Payload)
			}
			at = track.BaseTime
		}
	}
	return units, at
}

// transportTime is a decoding time in the 33 bits that a transport stream has for it.
func transportTime(at uint64, rate int) int64 {
	const bits = 33
	seconds, rest := at/uint64(rate), at%uint64(rate)
	return int64((seconds*videoClockRate + rest*videoClockRate/uint64(rate)) & (1<<bits - 1))
}

var errNoPicture = errors.New("hls: a picture whose parts have no length")

// nalus takes a [payload] apart.
func nalus(payload []byte) (units [][]byte, err error) {
	for len(payload) > 0 {
		if len(payload) < 4 {
			return nil, errNoPicture
		}
		n := int(payload[0])<<24 | int(payload[1])<<16 | int(payload[2])<<8 | int(payload[3])
		if n < 1 || n > len(payload)-4 {
			return nil, errNoPicture
		}
		units, payload = append(units, payload[4:4+n]), payload[4+n:]
	}
	if len(units) == 0 {
		return nil, errNoPicture
	}
	return units, nil
}

// number numbers the packets of a segment anew. Their continuity counters must go on from segment to segment (RFC 8216bis
// 3.1.1), but nobody knows which segments will be asked for: so each begins with zero and has a multiple of sixteen
// packets of each kind; where some lack, one is divided into several. Of the tables there is one of each, counted as
// segments are.
func number(packets []byte, msn uint64) []byte {
	const table = 0x1000 // as go-astits names the second; pictures and sound have names between the two
	pid := func(p []byte) int { return int(p[1]&0x1f)<<8 | int(p[2]) }
	isTable := func(p []byte) bool { return pid(p) == 0 || pid(p) == table }
	counts, divided := map[int]int{}, map[int]int{} // by kind: packets, and the place of the one to divide
	for i := 0; i < len(packets); i += packetSize {
		p := packets[i : i+packetSize]
		counts[pid(p)]++
		if len(payloadOf(p)) > counters {
			divided[pid(p)] = i // the last: the first have headers of their own
		}
	}
	out := make([]byte, 0, len(packets)+3*counters*packetSize)
	next := map[int]byte{}
	for i := 0; i < len(packets); i += packetSize {
		p := packets[i : i+packetSize]
		kind := pid(p)
		from := len(out)
		switch missing := (counters - counts[kind]%counters) % counters; {
		case isTable(p) && next[kind] > 0:
			continue
		case isTable(p):
			out = append(out, p...)
			out[from+3] = out[from+3]&0xf0 | byte(msn%counters)
			next[kind]++
			continue
		case missing > 0 && divided[kind] == i:
			out = appendDivided(out, p, missing+1)
		default:
			out = append(out, p...)
		}
		for ; from < len(out); from += packetSize {
			out[from+3] = out[from+3]&0xf0 | next[kind]%counters
			next[kind]++
		}
	}
	return out
}

// payloadOf is what a packet carries, after its adaptation field.
func payloadOf(p []byte) []byte {
	if p[3]&0x20 == 0 {
		return p[headerSize:]
	}
	return p[min(len(p), headerSize+1+int(p[headerSize])):]
}

// appendDivided appends a packet as n packets of a part of what it carries each. The first keeps what else there is in it.
func appendDivided(out, p []byte, n int) []byte {
	carried := payloadOf(p)
	field := []byte{0} // the flags of an empty adaptation field
	if kept := p[headerSize : packetSize-len(carried)]; len(kept) > 1 {
		field = kept[1:]
	}
	for i := range n {
		piece := carried[i*len(carried)/n : (i+1)*len(carried)/n]
		from := len(out)
		out = append(out, p[0], p[1], p[2], 0x30|p[3]&0xc0, byte(packetSize-headerSize-1-len(piece)))
		out = append(out, field...)
		for len(out)-from < packetSize-len(piece) {
			out = append(out, 0xff)
		}
		out = append(out, piece...)
		if i == 0 {
			field = []byte{0}
			p = append([]byte{p[0], p[1] &^ 0x40}, p[2:headerSize]...) // the others begin nothing
		}
	}
	return out
}

// oldMediaPlaylist is a rendition's playlist of transport streams: the same segments, without what came after version 3
// of the protocol.
func (e *edition) oldMediaPlaylist() []byte {
	var b bytes.Buffer
	listed := e.listed
	for len(listed) > 0 && listed[0].gap {
		listed = listed[1:]
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n",
		targetDuration/time.Second, listed[0].msn, e.left)
	if e.cfg.Event {
		b.WriteString("#EXT-X-PLAYLIST-TYPE:EVENT\n")
	}
	for _, seg := range listed {
		if seg.gap {
			continue
		}
		if seg.discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%s,\n%s\n", seg.date.UTC().Format(dateFormat), e.cfg.seconds(seg.ticks), oldName(seg.msn))
	}
	for _, r := range e.ranges {
		b.WriteString(r.line)
	}
	if e.ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return b.Bytes()
}

func oldName(msn uint64) string { return strconv.FormatUint(msn, 10) + oldSuffix }
