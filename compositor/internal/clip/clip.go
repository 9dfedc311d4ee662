// Package clip makes short encoded streams for the media worker's tests and benchmark, with the
// ffmpeg program, and reads them as the frames that a browser would have sent.
package clip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

// Frame is one frame or packet.
type Frame struct {
	Time time.Duration // since the start of the clip
	RTP  uint32        // the same in ticks of the codec's clock
	Key  bool
	Data []byte
}

// Clip is a stream of frames that may be played in a loop: it begins with a key frame.
type Clip struct {
	Frames []Frame
	Length time.Duration
	Clock  uint32 // RTP ticks in a second
	IVF    []byte // the same as a file; not of H.264 and Opus
}

// Missing says why clips cannot be made here, or is nil.
func Missing() error {
	_, err := exec.LookPath("ffmpeg")
	return err
}

// VP8 encodes a lavfi source as browsers do: in real time, one key frame every ten seconds.
func VP8(source string, bitrate int, length time.Duration) (*Clip, error) {
	return ivf(source, bitrate, length, func(frame []byte) bool { return frame[0]&1 == 0 },
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-error-resilient", "1")
}

// VP9 encodes a lavfi source in the same way.
func VP9(source string, bitrate int, length time.Duration) (*Clip, error) {
	return ivf(source, bitrate, length, vp9.IsRandomAccess,
		"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-error-resilient", "1")
}

// AV1 encodes a lavfi source in the same way.
func AV1(source string, bitrate int, length time.Duration) (*Clip, error) {
	isKey := func(unit []byte) bool {
		var units av1.Bitstream
		return units.Unmarshal(unit) == nil && av1.IsRandomAccess2(units)
	}
	return ivf(source, bitrate, length, isKey,
		"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0")
}

func ivf(source string, bitrate int, length time.Duration, isKey func([]byte) bool, encoder ...string) (*Clip, error) {
	args := []string{"-f", "lavfi", "-i", source, "-t", seconds(length), "-pix_fmt", "yuv420p"}
	out, err := ffmpeg(append(append(args, encoder...), "-g", "300", "-b:v", strconv.Itoa(bitrate), "-f", "ivf", "-")...)
	if err != nil {
		return nil, err
	}
	r, head, err := ivfreader.NewWith(bytes.NewReader(out))
	if err != nil {
		return nil, err
	}
	c := &Clip{Length: length, Clock: 90000, IVF: out}
	for {
		data, frame, err := r.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		// Timestamp is the frame's count of time bases, which the reader has multiplied by the rate.
		count := frame.Timestamp * uint64(head.TimebaseNumerator) / uint64(head.TimebaseDenominator)
		t := time.Duration(count) * time.Second * time.Duration(head.TimebaseNumerator) / time.Duration(head.TimebaseDenominator)
		c.add(t, isKey(data), data)
	}
}

// H264 encodes a lavfi source, 30 pictures a second, Constrained Baseline.
func H264(source string, bitrate int, length time.Duration) (*Clip, error) {
	out, err := ffmpeg("-f", "lavfi", "-i", source, "-t", seconds(length), "-r", "30", "-pix_fmt", "yuv420p", "-c:v", "libx264",
		"-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "baseline", "-g", "300", "-x264-params", "aud=1:scenecut=0:sliced-threads=0",
		"-threads", "1", "-b:v", strconv.Itoa(bitrate), "-f", "h264", "-")
	if err != nil {
		return nil, err
	}
	c := &Clip{Length: length, Clock: 90000}
	delimiter := []byte{0, 0, 0, 1, 9} // an access unit delimiter begins each access unit
	for i := 0; len(out) > len(delimiter); i++ {
		end := bytes.Index(out[len(delimiter):], delimiter)
		if end < 0 {
			end = len(out)
		} else {
			end += len(delimiter)
		}
		unit := out[:end]
		c.add(time.Duration(i)*time.Second/30, bytes.Contains(unit, []byte{0, 0, 1, 0x65}), unit)
		out = out[end:]
	}
	return c, nil
}

// Opus encodes a lavfi source as browsers do: 32 kbit/s, packets of 20 ms.
func Opus(source string, length time.Duration) (*Clip, error) {
	out, err := ffmpeg("-f", "lavfi", "-i", source, "-t", seconds(length), "-ar", "48000", "-c:a", "libopus", "-b:a", "32k",
		"-application", "voip", "-page_duration", "20000", "-f", "ogg", "-")
	if err != nil {
		return nil, err
	}
	r, _, err := oggreader.NewWith(bytes.NewReader(out))
	if err != nil {
		return nil, err
	}
	c := &Clip{Length: length, Clock: 48000}
	for i := 0; ; {
		page, _, err := r.ParseNextPage()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(page, []byte("OpusTags")) {
			continue
		}
		at := time.Duration(i) * 20 * time.Millisecond
		if at >= length { // the encoder flushes a packet more than fits
			return c, nil
		}
		c.add(at, true, page)
		i++
	}
}

// MP3 encodes a lavfi source as a file, in stereo at a sample rate.
func MP3(source string, rate int, length time.Duration) ([]byte, error) {
	return ffmpeg("-f", "lavfi", "-i", source, "-t", seconds(length), "-ar", strconv.Itoa(rate), "-ac", "2",
		"-c:a", "libmp3lame", "-b:a", "96k", "-f", "mp3", "-")
}

func (c *Clip) add(t time.Duration, key bool, data []byte) {
	c.Frames = append(c.Frames, Frame{t, uint32(t * time.Duration(c.Clock) / time.Second), key, data})
}

// At is frame i of the clip played in an endless loop.
func (c *Clip) At(i int) Frame {
	f := c.Frames[i%len(c.Frames)]
	past := c.Length * time.Duration(i/len(c.Frames))
	f.Time += past
	f.RTP += uint32(past * time.Duration(c.Clock) / time.Second)
	return f
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func ffmpeg(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-v", "error", "-nostdin", "-threads", "1"}, args...)...)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, bytes.TrimSpace(messages.Bytes()))
	}
	return out.Bytes(), nil
}
