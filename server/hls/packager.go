package hls

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// The muxer names playlists after the kind of track and its place in the list of tracks.
const (
	muxerMaster = "index.m3u8"
	muxerVideo  = "video1_stream.m3u8"
	muxerAudio  = "audio2_stream.m3u8"
)

// packager is one run of the muxer, with codec parameters that do not change. It is used by
// one goroutine at a time: the muxer's writes are not safe against each other, and its
// handlers block when asked for what is not there yet, which the caller never does.
type packager struct {
	dir   string // first element of the names of everything but the master playlist
	muxer *gohlslib.Muxer
	video *gohlslib.Track
	audio *gohlslib.Track
	rate  float64

	sps, pps []byte

	playable bool               // the first segment is complete
	due      bool               // a part has ended that the playlist does not list yet
	rendered []byte             // the video playlist at the last change
	fetched  map[string]fetched // files handed out, as long as they are kept
}

// fetched remembers a file that an edition has carried already.
type fetched struct {
	size int
	msn  uint64
	keep bool
}

func newPackager(c Config, dir string, sps, pps []byte) (*packager, error) {
	p := &packager{
		dir:  dir,
		rate: c.FrameRate,
		sps:  sps,
		pps:  pps,
		video: &gohlslib.Track{
			Codec:     &codecs.H264{SPS: sps, PPS: pps},
			ClockRate: videoClockRate,
		},
		audio: &gohlslib.Track{
			Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
				Type:          mpeg4audio.ObjectTypeAACLC,
				SampleRate:    c.SampleRate,
				ChannelConfig: uint8(c.Channels),
			}},
			ClockRate: c.SampleRate,
		},
		fetched: make(map[string]fetched),
	}
	p.muxer = &gohlslib.Muxer{
		Variant:            gohlslib.MuxerVariantLowLatency,
		Tracks:             []*gohlslib.Track{p.video, p.audio},
		SegmentCount:       windowSegments,
		SegmentMinDuration: segmentMin,
		PartMinDuration:    partDuration,
		SegmentMaxSize:     maxSegmentBytes,
		OnEncodeError:      func(err error) { c.Log.Warn("hls: packaging", "err", err) },
	}
	if err := p.muxer.Start(); err != nil {
		return nil, fmt.Errorf("start muxer: %w", err)
	}
	return p, nil
}

func (p *packager) close() { p.muxer.Close() }

// writeVideo packages one picture and reports whether there is a new part. The muxer ends parts
// and segments at the same pictures as [beat] says. So it is asked only when it has news, and
// never before its first segment, when its handlers would block.
func (p *packager) writeVideo(ntp time.Time, pic picture) (bool, error) {
	if err := p.muxer.WriteH264(p.video, ntp, pic.dts, pic.nalus); err != nil {
		return false, fmt.Errorf("package picture: %w", err)
	}
	p.playable = p.playable || pic.endsSegment
	p.due = p.due || pic.endsPart
	if !p.playable || !p.due {
		return false, nil
	}
	list, _ := p.get(muxerVideo, "")
	if bytes.Equal(list, p.rendered) {
		return false, nil
	}
	p.rendered, p.due = list, false
	return true, nil
}

func (p *packager) writeAudio(ntp time.Time, pts int64, au []byte) error {
	if err := p.muxer.WriteMPEG4Audio(p.audio, ntp, pts, [][]byte{au}); err != nil {
		return fmt.Errorf("package audio: %w", err)
	}
	return nil
}

// get asks the muxer's handler for one file. It gives nil when the muxer has no such file.
func (p *packager) get(name, query string) (body []byte, contentType string) {
	var c capture
	p.muxer.Handle(&c, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: name, RawQuery: query}})
	if c.status != http.StatusOK {
		return nil, ""
	}
	return c.body.Bytes(), c.Header().Get("Content-Type")
}

// capture is a response writer in memory.
type capture struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *capture) Header() http.Header {
	if c.header == nil {
		c.header = make(http.Header)
	}
	return c.header
}
func (c *capture) WriteHeader(status int)      { c.status = status }
func (c *capture) Write(b []byte) (int, error) { return c.body.Write(b) }

// mediaList is one rendition's playlist, rendered.
type mediaList struct {
	full, delta []byte // delta answers _HLS_skip=YES
	next        uint64 // media sequence number of the segment being filled
	parts       uint64 // complete parts of that segment
	lastParts   uint64 // parts of the segment before
	hint        string // name of the part that comes next
}

// file is an init section, a segment or a part. The name is never used for another body.
type file struct {
	body        []byte
	contentType string
	msn         uint64 // of the segment that it belongs to
	keep        bool   // init sections stay
}

// edition is what changed with one finished part: playlists replace their predecessors, files
// are added to those that the window has.
type edition struct {
	master []byte
	lists  map[string]mediaList
	files  map[string]file
	oldest uint64 // files of segments before it are dropped
}

// edition collects what the muxer has made since the last call.
func (p *packager) edition() (*edition, error) {
	master, err := p.master()
	if err != nil {
		return nil, err
	}
	e := &edition{master: master, lists: make(map[string]mediaList), files: make(map[string]file)}
	for _, name := range []string{muxerVideo, muxerAudio} {
		if err := p.addList(e, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return e, nil
}

// master rewrites the muxer's multivariant playlist: its addresses get the packager's
// directory, so that players of an earlier one get a clean 404 and not a strange timeline.
func (p *packager) master() ([]byte, error) {
	body, _ := p.get(muxerMaster, "")
	var list playlist.Multivariant
	if err := list.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("master playlist: %w", err)
	}
	for _, v := range list.Variants {
		v.URI = p.dir + "/" + v.URI
		if v.FrameRate == nil && p.rate > 0 {
			v.FrameRate = &p.rate
		}
	}
	for _, r := range list.Renditions {
		if r.URI != nil {
			uri := p.dir + "/" + *r.URI
			r.URI = &uri
		}
	}
	return list.Marshal()
}

// addList adds a media playlist and the files that it names for the first time.
func (p *packager) addList(e *edition, name string) error {
	full, _ := p.get(name, "")
	delta, _ := p.get(name, "_HLS_skip=YES")
	var list playlist.Media
	if err := list.Unmarshal(full); err != nil {
		return err
	}
	first := uint64(list.MediaSequence)
	next := first + uint64(len(list.Segments))
	m := mediaList{full: full, delta: delta, next: next, parts: uint64(len(list.Parts))}
	if n := len(list.Segments); n > 0 {
		m.lastParts = uint64(len(list.Segments[n-1].Parts))
	}
	if list.PreloadHint != nil {
		m.hint = p.dir + "/" + list.PreloadHint.URI
	}
	e.lists[p.dir+"/"+name] = m
	if first > graceSegments {
		e.oldest = first - graceSegments
	}

	if list.Map != nil {
		p.addFile(e, list.Map.URI, file{keep: true})
	}
	for _, part := range list.Parts {
		p.addFile(e, part.URI, file{msn: next})
	}
	for i, seg := range list.Segments {
		if !seg.Gap {
			p.addSegment(e, seg, first+uint64(i))
		}
	}
	for uri, f := range p.fetched {
		if !f.keep && f.msn < e.oldest {
			delete(p.fetched, uri)
		}
	}
	return nil
}

// addSegment adds a segment and its parts. A segment's bytes are those of its parts in a row,
// so from then on the parts share its memory.
func (p *packager) addSegment(e *edition, seg *playlist.MediaSegment, msn uint64) {
	for _, part := range seg.Parts {
		p.addFile(e, part.URI, file{msn: msn})
	}
	if !p.addFile(e, seg.URI, file{msn: msn}) {
		return
	}
	whole := e.files[p.dir+"/"+seg.URI]
	rest := whole.body
	for _, part := range seg.Parts {
		size := p.fetched[part.URI].size
		if size > len(rest) {
			return
		}
		f := whole
		f.body, rest = rest[:size:size], rest[size:]
		e.files[p.dir+"/"+part.URI] = f
	}
}

// addFile fetches a file unless an edition has carried it already.
func (p *packager) addFile(e *edition, uri string, f file) bool {
	if _, ok := p.fetched[uri]; ok {
		return false
	}
	if f.body, f.contentType = p.get(uri, ""); f.body == nil {
		return false
	}
	p.fetched[uri] = fetched{size: len(f.body), msn: f.msn, keep: f.keep}
	e.files[p.dir+"/"+uri] = f
	return true
}
