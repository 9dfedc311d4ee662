package ingest

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Errors of sources that send what cannot be shown: somebody has to change their settings.
var (
	ErrNoH264     = errors.New("it sends no H.264: choose H.264 (AVC) in its settings")
	ErrReordered  = errors.New("it sends B-frames, which WebRTC cannot show: set its B-frames to 0")
	ErrParameters = errors.New("it sends pictures before their parameter sets")
)

// Unfit says whether an error is one of those.
func Unfit(err error) bool {
	return errors.Is(err, ErrNoH264) || errors.Is(err, ErrReordered) || errors.Is(err, ErrParameters)
}

// H264 makes whole pictures of NAL units: key pictures have their parameter sets with them.
type H264 struct{ sps, pps []byte }

// Parameters tells the parameter sets that came beside the pictures. Those in the pictures are newer.
func (h *H264) Parameters(sps, pps []byte) {
	if len(sps) > 0 && len(pps) > 0 {
		h.sps, h.pps = sps, pps
	}
}

// Picture makes one access unit in Annex B form of the NAL units of a picture, which are not empty. It is nil when
// there is nothing to be seen in them.
func (h *H264) Picture(nalus [][]byte) (au []byte, key bool, err error) {
	units := make(h264.AnnexB, 2, len(nalus)+2) // room for the parameter sets
	for _, n := range nalus {
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			h.sps = n
		case h264.NALUTypePPS:
			h.pps = n
		case h264.NALUTypeIDR:
			key = true
			units = append(units, n)
		case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA, h264.NALUTypeDataPartitionB, h264.NALUTypeDataPartitionC:
			units = append(units, n)
		}
	}
	switch {
	case len(units) == 2:
		return nil, false, nil
	case h.sps == nil || h.pps == nil:
		return nil, false, ErrParameters
	case key:
		units[0], units[1] = h.sps, h.pps
	default:
		units = units[2:]
	}
	if au, err = units.Marshal(); err != nil {
		return nil, false, fmt.Errorf("picture: %w", err)
	}
	return au, key, nil
}
