package recording

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

const (
	videoScale = 90_000 // ticks a second, in package hls
	movieScale = 1000   // ticks a second of what is the same for all tracks of a file

	videoID = 1 // tracks of package hls
	audioID = 2
)

// movie is a file with its tables at the beginning and the media behind (progressive download: it plays while it is
// loaded, and seeks). The tables of four hours take some 10 MB of memory.
type movie struct {
	video, audio *track
	audioOnly    bool
	sets         parameterSets
	now          int64 // ticks of videoScale: where the next segment begins, without what was left out
	size         int64 // bytes of the media
}

// track is the table of a track's samples.
type track struct {
	id      uint32
	scale   int64
	entries [][]byte // sample entries, one for each set of codec parameters
	sizes   []uint32
	runs    []run
	keys    []uint32 // numbers of those that can be decoded alone; of video
	chunks  []chunk
	start   int64 // decoding time of the first sample
	end     int64 // and after the last
	shift   int64 // from the decoding times of the present segment to those of the file
}

// run are samples of the same duration.
type run struct{ count, duration uint32 }

// chunk are samples that lie one behind the other.
type chunk struct {
	samples, entry uint32 // entry counts from 1
	offset         int64  // in the media
}

// writeMP4 makes one file of a layer: the sound alone if the spec says so. The segments are read twice, for the tables
// and for the media.
func (r *reel) writeMP4(layer int, target string) error {
	m := &movie{video: &track{id: videoID, scale: videoScale}, audio: &track{id: audioID}, audioOnly: r.spec.AudioOnly}
	for i := range r.segments {
		if err := r.eachPart(i, layer, m.begin, m.add); err != nil {
			return err
		}
	}
	return writeFile(target, func(f *os.File) error {
		w := bufio.NewWriterSize(f, 1<<20)
		head := ftyp(m.audioOnly)
		moov := m.moov(r.spec.Began, 0)
		const mdatHead = 16 // with a size of 64 bits
		first := int64(len(head)+len(moov)) + mdatHead
		for _, b := range [][]byte{head, m.moov(r.spec.Began, first), u32(1), []byte("mdat"), u64(uint64(m.size + mdatHead))} {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		var wrote int64
		var sets parameterSets
		begin := func(in initialisation, _ fmp4.Parts) error { sets.use(in); return nil }
		for i := range r.segments {
			err := r.eachPart(i, layer, begin, func(id int, p *fmp4.PartTrack) error {
				if id == videoID && m.audioOnly {
					return nil
				}
				for _, s := range p.Samples {
					for _, b := range [][]byte{sets.before(id, s), s.Payload} {
						n, err := w.Write(b)
						if err != nil {
							return err
						}
						wrote += int64(n)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if wrote != m.size {
			return errDamaged
		}
		return w.Flush()
	})
}

// eachPart calls part for each track of each part of a segment, in the order of the file, after begin.
func (r *reel) eachPart(i, layer int, begin func(initialisation, fmp4.Parts) error, part func(int, *fmp4.PartTrack) error) error {
	body, err := r.body(i, layer)
	if err != nil {
		return err
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(body); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	in, err := parseInit(r.inits[r.segments[i].init][layer])
	if err == nil {
		err = begin(in, parts)
	}
	if err != nil {
		return err
	}
	for _, p := range parts {
		for _, t := range p.Tracks {
			if t.ID != videoID && t.ID != audioID {
				return fmt.Errorf("recording: track %d", t.ID)
			}
			if err := part(t.ID, t); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNoPictures = errors.New("recording: segment without pictures")

// begin places a segment: what it shows follows what the one before showed, also if there was something between them
// that was left out.
func (m *movie) begin(in initialisation, parts fmp4.Parts) error {
	m.audio.scale = in.rate
	m.sets.use(in)
	m.video.use(in.video)
	m.audio.use(in.audio)
	if len(parts) == 0 || len(parts[0].Tracks) == 0 || parts[0].Tracks[0].ID != videoID {
		return errNoPictures
	}
	from := int64(parts[0].Tracks[0].BaseTime)
	m.video.place(m.now, from)
	m.audio.place(m.now*m.audio.scale/videoScale, from*m.audio.scale/videoScale)
	for _, p := range parts {
		for _, t := range p.Tracks {
			for _, s := range t.Samples {
				if t.ID == videoID {
					m.now += int64(s.Duration)
				}
			}
		}
	}
	return nil
}

// add takes a track of a part.
func (m *movie) add(id int, p *fmp4.PartTrack) error {
	t := m.audio
	if id == videoID {
		if m.audioOnly {
			return nil
		}
		t = m.video
	}
	size, err := t.add(p, m.size, &m.sets)
	m.size += size
	return err
}

// tracks of the file.
func (m *movie) tracks() []*track {
	if m.audioOnly {
		return []*track{m.audio}
	}
	return []*track{m.video, m.audio}
}

// use sets the codec parameters of what follows.
func (t *track) use(entry []byte) {
	if n := len(t.entries); n == 0 || !bytes.Equal(t.entries[n-1], entry) {
		t.entries = append(t.entries, entry)
	}
}

// place says at what time of the file the time from of the stream is.
func (t *track) place(at, from int64) { t.shift = at - from }

// add appends the samples of a part, which are at that place of the media, and returns how many bytes they are.
func (t *track) add(p *fmp4.PartTrack, at int64, sets *parameterSets) (size int64, err error) {
	if len(p.Samples) == 0 {
		return 0, nil
	}
	t.reach(int64(p.BaseTime) + t.shift)
	c := chunk{entry: uint32(len(t.entries)), offset: at}
	for _, s := range p.Samples {
		if len(t.sizes) == math.MaxInt32 || s.PTSOffset != 0 || s.Duration == 0 {
			return 0, errDamaged
		}
		n := len(sets.before(p.ID, s)) + len(s.Payload)
		t.sizes = append(t.sizes, uint32(n))
		if t.id == videoID && !s.IsNonSyncSample {
			t.keys = append(t.keys, uint32(len(t.sizes)))
		}
		t.lasts(s.Duration)
		c.samples++
		size += int64(n)
	}
	t.chunks = append(t.chunks, c)
	return size, nil
}

// lasts appends the duration of a sample.
func (t *track) lasts(duration uint32) {
	if n := len(t.runs); n > 0 && t.runs[n-1].duration == duration {
		t.runs[n-1].count++
	} else {
		t.runs = append(t.runs, run{1, duration})
	}
	t.end += int64(duration)
}

// reach makes the next sample begin at a time, by the duration of the last one: where something was left out, units of
// sound do not end with the picture. What is less than 5 ms is rounding, and does not add up as times are absolute.
func (t *track) reach(at int64) {
	n := len(t.runs)
	off := at - t.end
	switch {
	case n == 0:
		t.start, t.end = max(0, at), max(0, at)
		return
	case off < t.scale/200 && off > -t.scale/200:
		return
	}
	last := t.runs[n-1].duration
	if t.runs[n-1].count--; t.runs[n-1].count == 0 {
		t.runs = t.runs[:n-1]
	}
	t.end -= int64(last)
	t.lasts(uint32(min(max(1, int64(last)+off), math.MaxInt32)))
}

// ftyp says what can play the file.
func ftyp(audioOnly bool) []byte {
	brand := "isom"
	if audioOnly {
		brand = "M4A "
	}
	return box("ftyp", []byte(brand), u32(512), []byte("isomiso2avc1mp41"))
}

// moov is the table of the file, whose media begins at first.
func (m *movie) moov(began time.Time, first int64) []byte {
	since := uint32(began.Unix() + 2_082_844_800) // from 1904 (8.2.2)
	var duration int64
	contents := [][]byte{nil}
	for _, t := range m.tracks() {
		duration = max(duration, t.end*movieScale/t.scale)
		contents = append(contents, t.trak(since, first))
	}
	contents[0] = fullBox("mvhd", 0, 0, u32(since, since, movieScale, uint32(duration), 1<<16), u16(1<<8, 0), u32(0, 0), matrix, make([]byte, 24), u32(audioID+1))
	return box("moov", contents...)
}

// matrix changes nothing.
var matrix = u32(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30)

func (t *track) trak(since uint32, first int64) []byte {
	video := t.id == videoID
	duration := uint32(t.end * movieScale / t.scale)
	var width, height uint32
	volume, handler, name, header := uint16(1<<8), "soun", "sound", fullBox("smhd", 0, 0, u32(0))
	if video {
		volume, handler, name, header = 0, "vide", "picture", fullBox("vmhd", 0, 1, u64(0))
		entry := t.entries[0][8:]
		width, height = uint32(entry[24])<<8|uint32(entry[25]), uint32(entry[26])<<8|uint32(entry[27])
	}
	tkhd := fullBox("tkhd", 0, 3, u32(since, since, t.id, 0, duration), u64(0), u16(0, 0, volume, 0), matrix, u32(width<<16, height<<16))
	// The sound begins with its first whole unit, after the picture.
	edits := [][]byte{u32(duration-uint32(t.start*movieScale/t.scale), 0, 1<<16)}
	if late := uint32(t.start * movieScale / t.scale); late > 0 {
		edits = append([][]byte{u32(late, math.MaxUint32, 1<<16)}, edits...)
	}
	edts := box("edts", fullBox("elst", 0, 0, append([][]byte{u32(uint32(len(edits)))}, edits...)...))
	mdia := box("mdia",
		fullBox("mdhd", 1, 0, u64(uint64(since), uint64(since)), u32(uint32(t.scale)), u64(uint64(t.end-t.start)), u16(0x55c4, 0)), // und
		fullBox("hdlr", 0, 0, u32(0), []byte(handler), make([]byte, 12), []byte(name+"\x00")),
		box("minf", header, box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, 1))), t.stbl(first)),
	)
	return box("trak", tkhd, edts, mdia)
}

// stbl are the tables of the samples (8.5 to 8.7).
func (t *track) stbl(first int64) []byte {
	stts := u32(uint32(len(t.runs)))
	for _, r := range t.runs {
		stts = append(stts, u32(r.count, r.duration)...)
	}
	var stsc []byte
	entries := uint32(0)
	offsets := make([]uint64, len(t.chunks))
	for i, c := range t.chunks {
		offsets[i] = uint64(first + c.offset)
		if i == 0 || c.samples != t.chunks[i-1].samples || c.entry != t.chunks[i-1].entry {
			stsc = append(stsc, u32(uint32(i+1), c.samples, c.entry)...)
			entries++
		}
	}
	contents := [][]byte{
		fullBox("stsd", 0, 0, append([][]byte{u32(uint32(len(t.entries)))}, t.entries...)...),
		fullBox("stts", 0, 0, stts),
		fullBox("stsc", 0, 0, u32(entries), stsc),
		fullBox("stsz", 0, 0, u32(0, uint32(len(t.sizes))), u32(t.sizes...)),
		fullBox("co64", 0, 0, u32(uint32(len(offsets))), u64(offsets...)),
	}
	if t.keys != nil {
		contents = append(contents, fullBox("stss", 0, 0, u32(uint32(len(t.keys))), u32(t.keys...)))
	}
	return box("stbl", contents...)
}
