package recording

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"
)

// WebM and Matroska files (RFC 9559) of one track. What the track has come from a first reading of its frames; the second
// one writes the file from its beginning to its end, with an index, so that players can seek.

// Element ids (RFC 9559, 5.1; RFC 8794, 11.2).
const (
	idEBML, idVersion, idReadVersion, idMaxIDLength, idMaxSizeLength             = 0x1a45dfa3, 0x4286, 0x42f7, 0x42f2, 0x42f3
	idDocType, idDocTypeVersion, idDocTypeReadVersion                            = 0x4282, 0x4287, 0x4285
	idSegment, idSeekHead, idSeek, idSeekID, idSeekPosition                      = 0x18538067, 0x114d9b74, 0x4dbb, 0x53ab, 0x53ac
	idInfo, idTimestampScale, idDuration, idMuxingApp, idWritingApp, idDate      = 0x1549a966, 0x2ad7b1, 0x4489, 0x4d80, 0x5741, 0x4461
	idTracks, idTrackEntry, idTrackNumber, idTrackUID, idTrackType, idLacing     = 0x1654ae6b, 0xae, 0xd7, 0x73c5, 0x83, 0x9c
	idCodecID, idCodecPrivate, idSeekPreRoll, idVideo, idWidth, idHeight         = 0x86, 0x63a2, 0x56bb, 0xe0, 0xb0, 0xba
	idAudio, idSampleRate, idChannels                                            = 0xe1, 0xb5, 0x9f
	idCluster, idTimestamp, idSimpleBlock                                        = 0x1f43b675, 0xe7, 0xa3
	idCues, idCuePoint, idCueTime, idCueTrackPositions, idCueTrack, idCueCluster = 0x1c53bb6b, 0xbb, 0xb3, 0xb7, 0xf7, 0xf1
)

const (
	// maxCluster is how long a cluster is at most: times in it are 16 bits of milliseconds, and players read all of one.
	maxCluster = 5 * time.Second

	trackNumber = 1
)

// dubbing is a track that was recorded, to be made a file of.
type dubbing struct {
	dir      string
	spec     Spec
	codec    trackCodec
	skip     int           // frames before the first that can be decoded
	begin    time.Duration // when that is
	duration time.Duration
	bytes    int64
}

// openDubbing reads the frames once. Without one that can be decoded there is nothing to make a file of: duration is
// zero.
func openDubbing(dir string, spec Spec) (*dubbing, error) {
	d := &dubbing{dir: dir, spec: spec}
	var last, step time.Duration
	begun := false
	err := readFrames(filepath.Join(dir, framesName), func(f frame) error {
		if !begun {
			if !f.key || !d.codec.learn(spec.Track.Codec, f.data) {
				d.skip++
				return nil
			}
			begun, d.begin = true, f.at
			last = f.at
		}
		if f.at > last {
			step = f.at - last
		}
		last = f.at
		d.bytes += int64(len(f.data))
		return nil
	})
	if begun { // the last frame lasts as long as the one before
		d.duration = last - d.begin + max(step, time.Millisecond)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return d, err
}

// matroska says that the codec is none of WebM's.
func (d *dubbing) matroska() bool { return d.spec.Track.Codec == "H264" }

// kind is how the names of such files end.
func (d *dubbing) kind() string {
	if d.matroska() {
		return ".mkv"
	}
	return ".webm"
}

// write makes the file.
func (d *dubbing) write(target string) error {
	return writeFile(target, func(f *os.File) error {
		w := &ebmlFile{out: bufio.NewWriterSize(f, 1<<20)}
		docType := "webm"
		if d.matroska() {
			docType = "matroska"
		}
		w.write(element(idEBML, number(idVersion, 1), number(idReadVersion, 1), number(idMaxIDLength, 4), number(idMaxSizeLength, 8),
			element(idDocType, []byte(docType)), number(idDocTypeVersion, 4), number(idDocTypeReadVersion, 2)))
		w.write(id(idSegment), longSize(0)) // and the size, when it is known
		segment := w.at
		info := element(idInfo, number(idTimestampScale, uint64(time.Millisecond)), float(idDuration, float64(d.duration)/float64(time.Millisecond)),
			element(idDate, u64(uint64(d.spec.Began.Sub(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))))),
			element(idMuxingApp, []byte("amphi")), element(idWritingApp, []byte("amphi")))
		// All positions are known but that of the index, which comes last.
		head := func(cues int64) []byte {
			size := int64(len(seekHead(0, 0, 0)))
			return seekHead(size, size+int64(len(info)), cues)
		}
		seek := w.at
		w.write(head(0), info, element(idTracks, d.trackEntry()))
		cues, err := d.clusters(w, segment)
		if err != nil {
			return err
		}
		at := w.at
		w.write(element(idCues, cues))
		if w.err == nil {
			w.err = w.out.Flush()
		}
		for _, patch := range []struct {
			at   int64
			data []byte
		}{{segment - 8, longSize(w.at - segment)}, {seek, head(at - segment)}} {
			if w.err == nil {
				_, w.err = f.WriteAt(patch.data, patch.at)
			}
		}
		return w.err
	})
}

// clusters writes the media, and returns the points of the index.
func (d *dubbing) clusters(w *ebmlFile, segment int64) (cues []byte, err error) {
	var blocks []byte
	var from time.Duration // of the cluster
	flush := func() {
		if len(blocks) == 0 {
			return
		}
		cues = append(cues, element(idCuePoint, number(idCueTime, milliseconds(from)),
			element(idCueTrackPositions, number(idCueTrack, trackNumber), number(idCueCluster, uint64(w.at-segment))))...)
		w.write(element(idCluster, number(idTimestamp, milliseconds(from)), blocks))
		blocks = blocks[:0]
	}
	video := d.spec.Track.Kind == "video"
	n := 0
	err = readFrames(filepath.Join(d.dir, framesName), func(f frame) error {
		if n++; n <= d.skip || w.err != nil {
			return w.err
		}
		f.at -= d.begin
		if len(blocks) == 0 || f.at-from >= maxCluster || video && f.key {
			flush()
			from = f.at
		}
		flags := byte(0)
		if f.key {
			flags = 0x80
		}
		// Times are rounded apart, so that they do not drift.
		relative := int16(milliseconds(f.at) - milliseconds(from))
		block := append([]byte{0x80 | trackNumber, byte(relative >> 8), byte(relative), flags}, d.codec.block(f.data)...)
		blocks = append(blocks, element(idSimpleBlock, block)...)
		return nil
	})
	flush()
	return cues, err
}

func milliseconds(d time.Duration) uint64 {
	return uint64(d.Round(time.Millisecond) / time.Millisecond)
}

// trackEntry describes the track.
func (d *dubbing) trackEntry() []byte {
	c := d.codec
	contents := [][]byte{number(idTrackNumber, trackNumber), number(idTrackUID, 1), number(idLacing, 0), element(idCodecID, []byte(c.id))}
	if c.private != nil {
		contents = append(contents, element(idCodecPrivate, c.private))
	}
	if d.spec.Track.Kind == "video" {
		contents = append(contents, number(idTrackType, 1), element(idVideo, number(idWidth, uint64(c.width)), number(idHeight, uint64(c.height))))
	} else {
		contents = append(contents, number(idTrackType, 2), number(idSeekPreRoll, uint64(80*time.Millisecond)), // RFC 7845, 4.6
			element(idAudio, float(idSampleRate, 48000), number(idChannels, opusChannels)))
	}
	return element(idTrackEntry, contents...)
}

// seekHead says where the parts of the segment are, relative to its beginning. It is of the same length for all places.
func seekHead(info, tracks, cues int64) []byte {
	entry := func(part uint32, at int64) []byte {
		return element(idSeek, element(idSeekID, id(part)), element(idSeekPosition, u64(uint64(at))))
	}
	return element(idSeekHead, entry(idInfo, info), entry(idTracks, tracks), entry(idCues, cues))
}

// ebmlFile counts what is written, until the first error.
type ebmlFile struct {
	out *bufio.Writer
	at  int64
	err error
}

func (w *ebmlFile) write(parts ...[]byte) {
	for _, p := range parts {
		if w.err == nil {
			_, w.err = w.out.Write(p)
			w.at += int64(len(p))
		}
	}
}

// id is an element's, which has its length in itself.
func id(v uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, v)
	for b[0] == 0 {
		b = b[1:]
	}
	return b
}

// longSize is the size of an element in eight bytes, whatever it is (RFC 8794, 4).
func longSize(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)|1<<56) }

// element makes an element of its contents.
func element(kind uint32, contents ...[]byte) []byte {
	size := 0
	for _, c := range contents {
		size += len(c)
	}
	b := append(make([]byte, 0, 12+size), id(kind)...)
	switch { // all bits set would mean that the size is not known
	case size < 1<<7-1:
		b = append(b, byte(size)|0x80)
	case size < 1<<14-1:
		b = binary.BigEndian.AppendUint16(b, uint16(size)|1<<14)
	default:
		b = append(b, longSize(int64(size))...)
	}
	for _, c := range contents {
		b = append(b, c...)
	}
	return b
}

// number makes an element of an unsigned integer, in as few bytes as it has.
func number(kind uint32, v uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, v)
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	return element(kind, b)
}

func float(kind uint32, v float64) []byte { return element(kind, u64(math.Float64bits(v))) }
