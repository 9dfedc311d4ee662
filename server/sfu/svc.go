package sfu

import "github.com/pion/rtp/codecs"

// A stream of spatial layers (VP9 SVC, RFC 9628) is taken apart into what a publisher would send by simulcast: beside
// the stream itself, which is the best layer, there is a source for each lesser picture, with the packets of its own
// layer and those below, numbered anew. Subscribers and taps choose among them as they do with simulcast, and nothing
// behind this file knows the difference.
//
// AV1 is forwarded whole: without the dependency descriptor its packets do not say where a layer's frame ends.

// parts are the lesser pictures within a stream, the best first. They belong to the reading goroutine.
type parts []*part

// part is a lesser picture.
type part struct {
	*source
	top uint8 // its spatial layer

	// The stream's numbers become the part's: what is missing keeps a number, as it may be the part's and come later; what
	// is known to be of other layers gets none.
	in, out extSeq             // the highest ones
	numbers [videoCache]extSeq // the part's by the stream's; 0: none, or used
}

// maxParts is how many pictures one stream has besides the best: as many ranks as subscribers can ask for.
const maxParts = len(layers{}.byRank) - 1

// split hands a packet to the parts that it belongs to.
func (src *source) split(t *Track, p *packet) {
	var d codecs.VP9Packet
	if _, err := d.Unmarshal(p.payload); err != nil {
		return
	}
	for _, part := range src.parts {
		if old := part.track.Load(); old != t { // see uplink.rehome
			old.detach(part.source)
			part.begin(t)
		}
	}
	if p.key && d.V {
		src.divide(t, p, &d)
	}
	for _, part := range src.parts {
		part.take(t, p, &d)
	}
}

// divide makes the parts that a key frame announces. Layers of which a simulcast stream consists are left in it.
func (src *source) divide(t *Track, p *packet, d *codecs.VP9Packet) {
	n := min(int(d.NS), maxParts) // N_S is one less than the number of layers
	if src.rank != 0 || len(*t.sources.Load()) != 1+len(src.parts) {
		n = 0
	}
	if n != len(src.parts) || n > 0 && src.parts[0].top != d.NS-1 {
		src.unite()
		for rank := 1; rank <= n; rank++ {
			part := &part{top: d.NS - uint8(rank), in: p.ext - 1, out: 1<<16 | p.ext&0xffff}
			part.source = &source{
				up: src.up, whole: src, rank: rank, ssrc: src.ssrc, pt: src.pt, clock: src.clock, cache: newCache(videoCache),
			}
			part.begin(t)
			src.parts = append(src.parts, part)
		}
		if n > 0 {
			t.simulcast.Store(true)
		}
	}
	for _, part := range src.parts {
		if i := int(part.top); i < len(d.Width) && i < len(d.Height) {
			part.size.Store(packSize(int(d.Width[i]), int(d.Height[i])))
		}
	}
}

// stream is what the publisher sends the source in.
func (src *source) stream() *source {
	if src.whole != nil {
		return src.whole
	}
	return src
}

// begin makes the part one of a track's sources. It comes with a key frame, so it needs none.
func (part *part) begin(t *Track) {
	part.track.Store(t)
	t.replaceSources(func(s *source) bool { return s.rank == part.rank }, part.source)
}

// unite ends the parts.
func (src *source) unite() {
	for _, part := range src.parts {
		part.track.Load().detach(part.source)
	}
	src.parts = nil
}

// take forwards what is the part's of the stream.
func (part *part) take(t *Track, p *packet, d *codecs.VP9Packet) {
	out, ok := part.number(p.ext, d.SID <= part.top)
	if !ok {
		return
	}
	own := *p
	own.src, own.ext, own.marker = part.source, out, p.marker || d.SID == part.top && d.E
	if d.SID > part.top { // it is not the part's, but whoever asks for its number must get something
		own.payload, own.marker = nil, false
	}
	n := copy(part.cache.buffer(), own.payload)
	own.payload = part.cache.buffer()[:n]
	part.cache.add(out, own.ts, own.marker, 0, n)
	if last := part.key.Load(); own.key && (last == nil || out > last.ext && own.ts != last.ts) {
		part.key.Store(&keyFrame{ext: out, ts: own.ts, at: own.at})
	}
	part.report.Store(part.whole.report.Load())
	part.lastAt.Store(own.at.UnixNano())
	part.tally.packets.Add(1)
	part.tally.bytes.Add(uint64(n))
	if own.marker {
		part.tally.frames.Add(1)
	}
	t.forward(&own)
}

// number is the part's number for a packet of the stream; mine says whether it belongs to the part. There is none for what
// does not, unless a number was kept for it.
func (part *part) number(ext extSeq, mine bool) (out extSeq, ok bool) {
	if ext <= part.in {
		slot := &part.numbers[ext%videoCache]
		out, *slot = *slot, 0
		return out, out != 0
	}
	if far := ext - part.in; far > videoCache { // nothing older is taken from the stream
		part.in, part.out = part.in+far-videoCache, part.out+far-videoCache
	}
	for part.in++; part.in < ext; part.in++ {
		part.out++
		part.numbers[part.in%videoCache] = part.out
	}
	part.numbers[ext%videoCache] = 0
	if !mine {
		return 0, false
	}
	part.out++
	return part.out, true
}
