//go:build cgo

package codec

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// repeater puts pictures into an encoder's stream that show what the picture before them showed:
// P slices in which each macroblock is skipped, about 20 bytes, made without the encoder. They
// are references, as a player may drop what is not, so what the encoder makes after them must
// count them: its frame numbers and picture order counts are moved on. Section and table numbers
// are those of ITU-T H.264 (08/2021).
type repeater struct {
	known     bool   // the fields below are: the stream has begun, and is of the kind written for
	frameBits int    // length of frame_num
	orderBits int    // length of pic_order_cnt_lsb
	data      []byte // of a slice that skips all macroblocks
	frame     uint64 // frame_num of the last picture
	order     uint64 // its pic_order_cnt_lsb
	shift     uint64 // repeats since the last key frame

	raw, out []byte // kept for their memory
}

// pps are the picture parameters of which openh264 makes its streams with CABAC: one slice group,
// one reference, no weights, QP 26, deblocking told by the slice.
var pps = []byte{0x68, 0xee, 0x3c, 0x80}

const (
	naluSlice = byte(h264.NALUTypeNonIDR)
	naluRef   = 3 << 5 // nal_ref_idc of all of the encoder's pictures
)

var startCode = []byte{0, 0, 0, 1}

// take sees each of the encoder's access units, and returns it as it belongs into the stream. The
// result is valid until the next call.
func (r *repeater) take(unit []byte, key bool) []byte {
	if key {
		r.begin(unit)
		return unit
	}
	if !r.known || !bytes.HasPrefix(unit, startCode) || unit[4]&0x1f != naluSlice {
		r.known = false // nothing is repeated until the next key frame
		return unit
	}
	if r.shift == 0 {
		// No field of the header reaches beyond its first 16 bytes.
		var ok bool
		if r.frame, r.order, ok = r.number(h264.EmulationPreventionRemove(unit[5:min(len(unit), 5+16)]), 0); !ok {
			r.known = false
		}
		return unit
	}
	raw := h264.EmulationPreventionRemove(unit[5:])
	frame, order, ok := r.number(raw, r.shift)
	if !ok {
		r.known = false
		return unit
	}
	r.frame, r.order = frame, order
	return r.nalu(unit[4], raw)
}

// begin reads the parameters of a key frame's unit: SPS, PPS, slice.
func (r *repeater) begin(unit []byte) {
	r.known, r.frame, r.order, r.shift = false, 0, 0, 0
	var units h264.AnnexB
	if units.Unmarshal(unit) != nil || len(units) != 3 || !bytes.Equal(units[1], pps) {
		return
	}
	var sps h264.SPS
	if sps.Unmarshal(units[0]) != nil || sps.PicOrderCntType != 0 || !sps.FrameMbsOnlyFlag {
		return
	}
	r.known = true
	r.frameBits, r.orderBits = int(sps.Log2MaxFrameNumMinus4)+4, int(sps.Log2MaxPicOrderCntLsbMinus4)+4
	if r.data == nil {
		r.data = skipped(int(sps.PicWidthInMbsMinus1+1) * int(sps.PicHeightInMapUnitsMinus1+1))
	}
}

// number moves the numbers in the header of a P slice on by so many pictures, and returns them.
func (r *repeater) number(slice []byte, by uint64) (frame, order uint64, ok bool) {
	pos := 0
	for range 3 { // first_mb_in_slice, slice_type, pic_parameter_set_id (7.3.3)
		if _, err := bits.ReadGolombUnsigned(slice, &pos); err != nil {
			return 0, 0, false
		}
	}
	at := pos
	frame, err := bits.ReadBits(slice, &pos, r.frameBits)
	if err != nil {
		return 0, 0, false
	}
	order, err = bits.ReadBits(slice, &pos, r.orderBits)
	if err != nil {
		return 0, 0, false
	}
	frame = (frame + by) & (1<<r.frameBits - 1)
	order = (order + 2*by) & (1<<r.orderBits - 1)
	if by > 0 {
		put(slice, &at, frame, r.frameBits)
		put(slice, &at, order, r.orderBits)
	}
	return frame, order, true
}

// repeat returns an access unit that shows the last picture once more, valid until the next call,
// or nil where it cannot be made.
func (r *repeater) repeat() []byte {
	if !r.known {
		return nil
	}
	r.shift++
	r.frame = (r.frame + 1) & (1<<r.frameBits - 1)
	r.order = (r.order + 2) & (1<<r.orderBits - 1)
	h := append(r.raw[:0], make([]byte, 16)...)
	pos := 0
	for _, f := range [...]struct {
		value uint64
		bits  int
	}{
		{0b1, 1}, // first_mb_in_slice ue 0
		{0b1, 1}, // slice_type ue 0: P
		{0b1, 1}, // pic_parameter_set_id ue 0
		{r.frame, r.frameBits},
		{r.order, r.orderBits},
		{0, 1},              // num_ref_idx_active_override_flag
		{0, 1},              // ref_pic_list_modification_flag_l0
		{0, 1},              // adaptive_ref_pic_marking_mode_flag
		{0b011, 3},          // cabac_init_idc ue 2
		{0b00000110010, 11}, // slice_qp_delta se 25: QP 51
		{0b010, 3},          // disable_deblocking_filter_idc ue 1
	} {
		put(h, &pos, f.value, f.bits)
	}
	for pos%8 != 0 { // cabac_alignment_one_bit
		put(h, &pos, 1, 1)
	}
	r.raw = append(h[:pos/8], r.data...)
	return r.nalu(naluRef|naluSlice, r.raw)
}

// nalu is a NAL unit with start code and emulation prevention (7.4.1).
func (r *repeater) nalu(header byte, raw []byte) []byte {
	out := append(append(r.out[:0], startCode...), header)
	zeros := 0
	for _, b := range raw {
		if zeros == 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, b); b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	r.out = out
	return out
}

// lps is rangeTabLPS (Table 9-44) from state 44 on.
var lps = [...][4]uint32{
	{14, 18, 21, 24}, {14, 17, 20, 23}, {13, 16, 19, 22}, {12, 15, 18, 21}, {12, 14, 17, 20},
	{11, 14, 16, 19}, {11, 13, 15, 18}, {10, 12, 15, 17}, {10, 12, 14, 16}, {9, 11, 13, 15},
	{9, 11, 12, 14}, {8, 10, 12, 14}, {8, 9, 11, 13}, {7, 9, 11, 12}, {7, 9, 10, 12},
	{7, 8, 10, 11}, {6, 8, 9, 11}, {6, 7, 9, 10}, {6, 7, 8, 9},
}

// skipped is the data of a P slice that skips so many macroblocks, in CABAC: for each of them
// mb_skip_flag 1 and end_of_slice_flag, which is 1 for the last. With cabac_init_idc 2 and QP 51
// the flag's context begins in state 44 and expects a 1 (Table 9-13: m 29, n 16; 9.3.1.1); the
// neighbours, being skipped, never choose another. As only what is expected is coded, the low
// end of the interval stays 0 up to the last flag, and each bit written until then is a 0.
func skipped(macroblocks int) []byte {
	state, width, shifts := 0, uint32(510), 0
	narrow := func(by uint32) { // 9.3.4.2 with RenormE
		for width -= by; width < 256; width <<= 1 {
			shifts++
		}
	}
	for i := range macroblocks {
		narrow(lps[state][width>>6&3])
		state = min(state+1, len(lps)-1)
		if i < macroblocks-1 {
			narrow(2)
		}
	}
	// The last flag's interval begins where the others end, and EncodeFlush (9.3.4.5) writes this
	// whole, the last bit a 1: rbsp_stop_one_bit.
	out := make([]byte, (shifts+9+7)/8)
	pos := shifts
	put(out, &pos, uint64(width-2)|1, 9)
	return out
}

// put writes n bits over what was there.
func put(buf []byte, pos *int, v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		mask := byte(1) << (7 - *pos%8)
		if buf[*pos/8] &^= mask; v>>i&1 != 0 {
			buf[*pos/8] |= mask
		}
		*pos++
	}
}
