package sfu

import "encoding/binary"

// vp8Descriptor is what matters of a payload descriptor (RFC 7741, 4.2).
// Receivers put frames in order by its counters, which each simulcast layer
// counts by itself.
type vp8Descriptor struct {
	vp8Counters
	start     bool // of the first partition
	pictureAt int  // place in the payload, 0: there is none
	long      bool // the picture id has 15 bits, not 7
	tl0At     int
	size      int
}

// vp8Counters are a picture id and a TL0PICIDX, or differences of them.
type vp8Counters struct {
	picture uint16
	tl0     uint8
}

func (c vp8Counters) plus(d vp8Counters) vp8Counters {
	return vp8Counters{(c.picture + d.picture) & 0x7fff, c.tl0 + d.tl0}
}

// after is what must be added so that c is the next after last.
func (c vp8Counters) after(last vp8Counters) vp8Counters {
	return vp8Counters{(last.picture + 1 - c.picture) & 0x7fff, last.tl0 + 1 - c.tl0}
}

func parseVP8(p []byte) (d vp8Descriptor, ok bool) {
	if len(p) == 0 {
		return d, false
	}
	d.start, d.size = p[0]&0x10 != 0 && p[0]&0x0f == 0, 1
	if p[0]&0x80 == 0 { // X: no more octets
		return d, len(p) > d.size
	}
	if len(p) < 2 {
		return d, false
	}
	flags := p[1]
	d.size = 2
	if flags&0x80 != 0 { // I
		if len(p) < d.size+2 { // the second octet is the next field, or the payload
			return d, false
		}
		d.pictureAt, d.picture = d.size, uint16(p[d.size]&0x7f)
		if d.long = p[d.size]&0x80 != 0; d.long {
			d.picture = binary.BigEndian.Uint16(p[d.size:]) & 0x7fff
			d.size++
		}
		d.size++
	}
	if flags&0x40 != 0 { // L
		if len(p) <= d.size {
			return d, false
		}
		d.tl0At, d.tl0 = d.size, p[d.size]
		d.size++
	}
	if flags&0x30 != 0 { // T or K
		d.size++
	}
	return d, len(p) > d.size
}

// counts says whether there is a counter.
func (d *vp8Descriptor) counts() bool { return d.pictureAt+d.tl0At > 0 }

// keyStart says whether the packet begins a key frame (RFC 7741, 4.3: P clear).
func (d *vp8Descriptor) keyStart(p []byte) bool { return d.start && p[d.size]&0x01 == 0 }

// shift writes the counters, moved on, into a copy of the payload.
func (d *vp8Descriptor) shift(p []byte, by vp8Counters) {
	to := d.plus(by)
	switch {
	case d.pictureAt == 0:
	case d.long:
		binary.BigEndian.PutUint16(p[d.pictureAt:], to.picture|0x8000)
	default:
		p[d.pictureAt] = byte(to.picture & 0x7f)
	}
	if d.tl0At != 0 {
		p[d.tl0At] = to.tl0
	}
}

// maxVP8Descriptor is the longest descriptor, in bytes.
const maxVP8Descriptor = 6

// shifted returns a payload with its counters moved on, in two parts: the
// descriptor, written to buf, and the rest as it is.
func (d *vp8Descriptor) shifted(buf *[maxVP8Descriptor]byte, p []byte, by vp8Counters) (head, rest []byte) {
	if by == (vp8Counters{}) || !d.counts() {
		return nil, p
	}
	n := copy(buf[:], p[:min(d.size, len(p))])
	d.shift(buf[:n], by)
	return buf[:n], p[n:]
}
