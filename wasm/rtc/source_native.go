//go:build !js

package rtc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

// File returns what opens a file as a source that plays in a loop: VP8, VP9 or
// AV1 in IVF (.ivf), Opus in Ogg (.ogg, .opus). The file is read once.
func File(path string) func() (Source, error) {
	return func() (Source, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		switch {
		case bytes.HasPrefix(data, []byte("DKIF")):
			return IVF(data)
		case bytes.HasPrefix(data, []byte("OggS")):
			return Ogg(data)
		}
		return nil, fmt.Errorf("%s: neither IVF nor Ogg", path)
	}
}

// clip is samples in a loop. A key frame that is asked for is the clip's
// first: the clip starts over.
type clip struct {
	codec   webrtc.RTPCodecCapability
	samples []media.Sample
	next    int
	restart atomic.Bool
}

func (c *clip) Codec() webrtc.RTPCodecCapability { return c.codec }
func (c *clip) KeyFrame()                        { c.restart.Store(true) }
func (c *clip) Close() error                     { return nil }

func (c *clip) Next() (media.Sample, error) {
	if c.restart.Swap(false) || c.next == len(c.samples) {
		c.next = 0
	}
	sample := c.samples[c.next]
	c.next++
	return sample, nil
}

var errEmpty = errors.New("no frames")

// IVF reads an IVF file, whose first frame must be a key frame.
func IVF(data []byte) (Source, error) {
	reader, header, err := ivfreader.NewWith(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("ivf: %w", err)
	}
	mime := map[string]string{"VP80": webrtc.MimeTypeVP8, "VP90": webrtc.MimeTypeVP9, "AV01": webrtc.MimeTypeAV1}[header.FourCC]
	if mime == "" || header.TimebaseDenominator == 0 {
		return nil, fmt.Errorf("ivf: codec %q", header.FourCC)
	}
	tick := time.Duration(float64(time.Second) * float64(header.TimebaseNumerator) / float64(header.TimebaseDenominator))
	c := &clip{codec: webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 90000}}
	var last uint64
	for {
		frame, h, err := reader.ParseNextFrame()
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, fmt.Errorf("ivf: %w", err)
		}
		// The reader gives timestamps times the frame rate, not over it.
		pts := h.Timestamp * uint64(header.TimebaseNumerator) / uint64(header.TimebaseDenominator)
		if n := len(c.samples); n > 0 && pts > last {
			c.samples[n-1].Duration = time.Duration(pts-last) * tick
		}
		last = pts
		c.samples = append(c.samples, media.Sample{Data: frame, Duration: tick})
	}
	if len(c.samples) == 0 {
		return nil, fmt.Errorf("ivf: %w", errEmpty)
	}
	if n := len(c.samples); n > 1 {
		c.samples[n-1].Duration = c.samples[n-2].Duration
	}
	return c, nil
}

// Ogg reads Opus in Ogg with one packet a page, as "ffmpeg -page_duration 20000" writes it.
func Ogg(data []byte) (Source, error) {
	reader, _, err := oggreader.NewWith(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("ogg: %w", err)
	}
	c := &clip{codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}}
	var last uint64
	for {
		page, header, err := reader.ParseNextPage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, fmt.Errorf("ogg: %w", err)
		}
		if bytes.HasPrefix(page, []byte("OpusTags")) || header.GranulePosition <= last {
			continue
		}
		c.samples = append(c.samples, media.Sample{
			Data: page, Duration: time.Duration(header.GranulePosition-last) * time.Second / 48000,
		})
		last = header.GranulePosition
	}
	if len(c.samples) == 0 {
		return nil, fmt.Errorf("ogg: %w", errEmpty)
	}
	return c, nil
}

// Silence is an Opus source that needs no file.
func Silence() (Source, error) {
	// One 20 ms CELT frame of silence (RFC 6716 §3.1: config 31, stereo off).
	return &clip{
		codec:   webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
		samples: []media.Sample{{Data: []byte{0xf8, 0xff, 0xfe}, Duration: 20 * time.Millisecond}},
	}, nil
}
