package hls

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// indexName is the file beside an event's segments that says what they are, a JSON text a line: a [heading], and an
// [indexed] for each segment, after its files. It outlives a server that is killed, whose successor goes on with the
// playlists as they were, and stays as long as there is anything to remove.
const indexName = "index"

// maxHole bounds the segments that are missing between two: more than a day of them.
const maxHole = 100_000

// maxIndexLine bounds a line: parameter sets are less than 1 kB in each of [maxRenditions].
const maxIndexLine = 256 << 10

// heading is what all segments of an event have in common.
type heading struct {
	Prefix     string   `json:"prefix"` // of their keys in a bucket; empty: there is none
	Renditions []string `json:"renditions"`
	FrameRate  int      `json:"fps"`
	SampleRate int      `json:"rate"`
	Channels   int      `json:"channels"`
}

func (c *Config) heading() heading {
	h := heading{FrameRate: c.FrameRate, SampleRate: c.SampleRate, Channels: c.Channels}
	if c.Bucket != nil {
		h.Prefix = c.Prefix
	}
	for _, r := range c.Renditions {
		h.Renditions = append(h.Renditions, r.Name)
	}
	return h
}

func (h heading) equal(o heading) bool {
	return h.Prefix == o.Prefix && slices.Equal(h.Renditions, o.Renditions) &&
		h.FrameRate == o.FrameRate && h.SampleRate == o.SampleRate && h.Channels == o.Channels
}

// indexed is a segment in the index.
type indexed struct {
	MSN   uint64    `json:"msn"`
	Ticks int64     `json:"ticks"`
	Date  time.Time `json:"date"`
	Cut   bool      `json:"cut,omitempty"`  // nothing continues from the segment before
	Sizes []int     `json:"sizes"`          // by rendition, in bytes
	Sets  []sets    `json:"sets,omitempty"` // by rendition: the parameter sets from this segment on, where they are new
	Init  uint64    `json:"init,omitempty"` // with them: the media sequence number that names the initialisation sections
}

type sets struct {
	SPS []byte `json:"sps"`
	PPS []byte `json:"pps"`
}

// index is that of an event on the air.
type index struct {
	file *os.File
	init *initial // of the last segment in it
}

// createIndex begins one.
func createIndex(dir string, h heading) (*index, error) {
	f, err := os.OpenFile(filepath.Join(dir, indexName), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	x := &index{file: f}
	if err := x.line(h); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return x, nil
}

func (x *index) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = x.file.Write(append(text, '\n'))
	return err
}

// add appends a segment.
func (x *index) add(seg *segment) error {
	e := indexed{MSN: seg.msn, Ticks: seg.ticks, Date: seg.date, Cut: seg.discontinuity, Sizes: seg.bytes}
	if seg.init != x.init {
		for _, p := range seg.init.params {
			e.Sets = append(e.Sets, sets{p.sps, p.pps})
		}
		e.Init = seg.init.msn
	}
	if err := x.line(e); err != nil {
		return err
	}
	x.init = seg.init
	return nil
}

// readIndex reads an index up to the first line that is not whole, whose place is the length.
func readIndex(dir string) (h heading, all []indexed, length int64, err error) {
	f, err := os.Open(filepath.Join(dir, indexName))
	if err != nil {
		return h, nil, 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxIndexLine)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil && (length == 0 || !errors.Is(err, io.EOF)):
			return h, nil, 0, fmt.Errorf("hls: index of segments: %w", err)
		case err != nil:
			return h, all, length, nil
		case length == 0:
			if err := json.Unmarshal(line, &h); err != nil {
				return h, nil, 0, fmt.Errorf("hls: index of segments: %w", err)
			}
		default:
			var e indexed
			if json.Unmarshal(line, &e) != nil || !e.follows(all, h) {
				return h, all, length, nil
			}
			all = append(all, e)
		}
		length += int64(len(line))
	}
}

// follows says that a segment can be the one after those: of what it says, nothing can lead astray later.
func (e indexed) follows(all []indexed, h heading) bool {
	n := len(h.Renditions)
	if e.Ticks < 1 || e.MSN >= 1<<53 || len(e.Sizes) != n || len(e.Sets) != 0 && len(e.Sets) != n {
		return false
	}
	if len(all) == 0 {
		return len(e.Sets) > 0
	}
	last := all[len(all)-1].MSN
	return e.MSN > last && e.MSN-last <= maxHole
}

// reopenIndex opens the index that the server before left, to go on in it, and returns the segments in it. It is an error
// if they are not of such a stream.
func reopenIndex(dir string, c *Config) (x *index, segments []*segment, err error) {
	h, all, length, err := readIndex(dir)
	switch {
	case err != nil:
		return nil, nil, err
	case !h.equal(c.heading()):
		return nil, nil, errors.New("hls: the stream is made in another way now")
	case len(all) == 0:
		return nil, nil, errors.New("hls: no segments in the index")
	}
	var init *initial
	for _, e := range all {
		if len(segments) > 0 { // what was lost between two is listed, as numbers are for ever
			for msn := segments[len(segments)-1].msn + 1; msn < e.MSN; msn++ {
				segments = append(segments, &segment{msn: msn, gap: true, shelved: true})
			}
		}
		if len(e.Sets) > 0 {
			if init, err = e.initial(*c); err != nil {
				return nil, nil, err
			}
		}
		segments = append(segments, &segment{msn: e.MSN, ticks: e.Ticks, date: e.Date, discontinuity: e.Cut, init: init, bytes: e.Sizes, shelved: true})
	}
	f, err := os.OpenFile(filepath.Join(dir, indexName), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		if err = f.Truncate(length); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return &index{file: f, init: init}, segments, err
}

// initial makes the initialisation sections again, as they were.
func (e indexed) initial(c Config) (*initial, error) {
	var params []parameters
	for _, set := range e.Sets {
		if len(set.SPS) == 0 || len(set.PPS) == 0 {
			return nil, ErrNoParameters
		}
		p, err := parameters{}.adopt([][]byte{set.SPS, set.PPS})
		if err != nil {
			return nil, err
		}
		params = append(params, p)
	}
	return newInitial(c, e.Init, params)
}
