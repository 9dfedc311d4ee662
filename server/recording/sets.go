package recording

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

// parameterSets are what key pictures begin with once the picture's size has changed. They are in the sample entries
// too, but players may read those at the beginning only: libavformat's for HLS do, and with them many programs.
type parameterSets struct {
	first   []byte // sample entry
	changed bool
	now     []byte // SPS and PPS of the present segment, each after its length
}

// use is told of each segment's initialisation.
func (p *parameterSets) use(in initialisation) {
	if p.first == nil {
		p.first = in.video
	}
	p.changed = p.changed || !bytes.Equal(p.first, in.video)
	p.now = in.sets
}

// before is what a sample begins with.
func (p *parameterSets) before(id int, s *fmp4.Sample) []byte {
	if id != videoID || s.IsNonSyncSample || !p.changed {
		return nil
	}
	return p.now
}

// into puts them into a segment.
func (p *parameterSets) into(segment []byte) ([]byte, error) {
	if !p.changed {
		return segment, nil
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(segment); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	var b seekablebuffer.Buffer
	for _, part := range parts {
		for _, t := range part.Tracks {
			for _, s := range t.Samples {
				s.Payload = slices.Concat(p.before(t.ID, s), s.Payload)
			}
		}
	}
	if err := parts.Marshal(&b); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return b.Bytes(), nil
}

// parameterUnits are the parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3), each after its
// length in four bytes; nil if there are none.
func parameterUnits(avcC []byte) (units []byte) {
	at := 5
	for _, mask := range []byte{0x1f, 0xff} { // SPS, then PPS
		if at >= len(avcC) {
			return nil
		}
		n := int(avcC[at] & mask)
		at++
		for range n {
			if at+2 > len(avcC) {
				return nil
			}
			size := int(binary.BigEndian.Uint16(avcC[at:]))
			if at += 2; at+size > len(avcC) {
				return nil
			}
			units = append(append(units, u32(uint32(size))...), avcC[at:at+size]...)
			at += size
		}
	}
	return units
}
