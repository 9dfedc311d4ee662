package wire

import (
	"encoding/binary"
	"fmt"
	"image"
	"time"
)

var be = binary.BigEndian

// cursor takes fields from a body. After the first short read it yields zeros and stays bad, so
// that parse methods need no checks of their own.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.b) {
		c.bad = true
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

func (c *cursor) u8() uint8 {
	if p := c.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if p := c.take(2); p != nil {
		return be.Uint16(p)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if p := c.take(4); p != nil {
		return be.Uint32(p)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if p := c.take(8); p != nil {
		return be.Uint64(p)
	}
	return 0
}

// bool accepts 0 and 1 only, so that every message has exactly one encoding.
func (c *cursor) bool() bool {
	v := c.u8()
	if v > 1 {
		c.bad = true
	}
	return v == 1
}

// count reads a list's length, of at most limit entries.
func (c *cursor) count(limit int) int {
	n := int(c.u16())
	if n > limit {
		c.bad = true
		return 0
	}
	return n
}

// rest is the remainder of the body. It aliases the body, which the message owns.
func (c *cursor) rest() []byte { return c.take(len(c.b)) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (*Hello) kind() kind               { return kindHello }
func (m *Hello) append(b []byte) []byte { return append(b, m.Libraries...) }
func (m *Hello) parse(c *cursor)        { m.Libraries = string(c.rest()) }
func (m *Hello) check() error {
	if len(m.Libraries) > MaxText {
		return fmt.Errorf("%w: hello of %d bytes", ErrMalformed, len(m.Libraries))
	}
	return nil
}

func (*Start) kind() kind { return kindStart }
func (m *Start) append(b []byte) []byte {
	b = be.AppendUint16(b, uint16(len(m.Renditions)))
	for _, r := range m.Renditions {
		b = be.AppendUint16(b, r.Width)
		b = be.AppendUint16(b, r.Height)
		b = be.AppendUint32(b, r.Bitrate)
	}
	b = append(b, m.FPS)
	b = be.AppendUint16(b, m.KeyInterval)
	b = be.AppendUint32(b, m.AudioBitrate)
	return be.AppendUint64(b, uint64(m.Offset.Milliseconds()))
}
func (m *Start) parse(c *cursor) {
	for range c.count(MaxRenditions) {
		m.Renditions = append(m.Renditions, Rendition{Width: c.u16(), Height: c.u16(), Bitrate: c.u32()})
	}
	m.FPS = c.u8()
	m.KeyInterval = c.u16()
	m.AudioBitrate = c.u32()
	ms := int64(c.u64())
	if ms < 0 || ms > maxOffset.Milliseconds() {
		c.bad = true
		return
	}
	m.Offset = time.Duration(ms) * time.Millisecond
}

// maxOffset keeps the 90 kHz timestamps of a year-long stream far from overflow.
const maxOffset = 366 * 24 * time.Hour

func (m *Start) check() error {
	if len(m.Renditions) < 1 || len(m.Renditions) > MaxRenditions {
		return fmt.Errorf("%w: %d renditions", ErrMalformed, len(m.Renditions))
	}
	for _, r := range m.Renditions {
		if !evenSize(int(r.Width), int(r.Height)) || r.Width < 16 || r.Height < 16 || r.Bitrate < 1000 || r.Bitrate > 100e6 {
			return fmt.Errorf("%w: rendition %dx%d at %d bit/s", ErrMalformed, r.Width, r.Height, r.Bitrate)
		}
	}
	switch {
	case m.FPS < 1 || m.FPS > 60:
		return fmt.Errorf("%w: %d frames a second", ErrMalformed, m.FPS)
	case m.KeyInterval < 1:
		return fmt.Errorf("%w: no key interval", ErrMalformed)
	case m.AudioBitrate < 8000 || m.AudioBitrate > 512000:
		return fmt.Errorf("%w: audio at %d bit/s", ErrMalformed, m.AudioBitrate)
	case m.Offset < 0 || m.Offset > maxOffset:
		return fmt.Errorf("%w: offset %v", ErrMalformed, m.Offset)
	}
	return nil
}

func evenSize(w, h int) bool {
	return w > 0 && h > 0 && w <= MaxSide && h <= MaxSide && w%2 == 0 && h%2 == 0
}

func (*AddInput) kind() kind { return kindAddInput }
func (m *AddInput) append(b []byte) []byte {
	b = be.AppendUint32(b, m.ID)
	b = append(b, uint8(m.Codec))
	return be.AppendUint32(b, m.Sync)
}
func (m *AddInput) parse(c *cursor) { m.ID, m.Codec, m.Sync = c.u32(), Codec(c.u8()), c.u32() }
func (m *AddInput) check() error {
	if m.Codec < VP8 || m.Codec > AV1 {
		return fmt.Errorf("%w: codec %d", ErrMalformed, m.Codec)
	}
	return nil
}

func (*RemoveInput) kind() kind               { return kindRemoveInput }
func (m *RemoveInput) append(b []byte) []byte { return be.AppendUint32(b, m.ID) }
func (m *RemoveInput) parse(c *cursor)        { m.ID = c.u32() }
func (*RemoveInput) check() error             { return nil }

func (*Frame) kind() kind { return kindFrame }
func (m *Frame) append(b []byte) []byte {
	b = be.AppendUint32(b, m.Input)
	b = be.AppendUint32(b, m.RTP)
	b = be.AppendUint64(b, uint64(m.Capture))
	b = appendBool(b, m.Key)
	return append(b, m.Data...)
}
func (m *Frame) parse(c *cursor) {
	m.Input, m.RTP, m.Capture, m.Key, m.Data = c.u32(), c.u32(), int64(c.u64()), c.bool(), c.rest()
}
func (*Frame) check() error { return nil }

func (*Bitmap) kind() kind { return kindBitmap }
func (m *Bitmap) append(b []byte) []byte {
	b = be.AppendUint32(b, m.ID)
	b = be.AppendUint16(b, m.W)
	b = be.AppendUint16(b, m.H)
	return append(b, m.Pix...)
}
func (m *Bitmap) parse(c *cursor) { m.ID, m.W, m.H, m.Pix = c.u32(), c.u16(), c.u16(), c.rest() }
func (m *Bitmap) check() error {
	if !evenSize(int(m.W), int(m.H)) || len(m.Pix) != BitmapSize(int(m.W), int(m.H)) {
		return fmt.Errorf("%w: bitmap %dx%d of %d bytes", ErrMalformed, m.W, m.H, len(m.Pix))
	}
	return nil
}

func (*Picture) kind() kind { return kindPicture }
func (m *Picture) append(b []byte) []byte {
	b = be.AppendUint32(b, m.ID)
	b = be.AppendUint16(b, m.W)
	b = be.AppendUint16(b, m.H)
	b = append(b, uint8(m.Fit))
	return append(b, m.Data...)
}
func (m *Picture) parse(c *cursor) {
	m.ID, m.W, m.H, m.Fit, m.Data = c.u32(), c.u16(), c.u16(), Fit(c.u8()), c.rest()
}
func (m *Picture) check() error {
	if !evenSize(int(m.W), int(m.H)) || BitmapSize(int(m.W), int(m.H)) > MaxMessage || m.Fit > Contain || len(m.Data) > MaxPicture {
		return fmt.Errorf("%w: picture of %d bytes for %dx%d, fit %d", ErrMalformed, len(m.Data), m.W, m.H, m.Fit)
	}
	return nil
}

func (*Float) kind() kind { return kindFloat }
func (m *Float) append(b []byte) []byte {
	b = appendRect(be.AppendUint32(b, m.ID), m.Rect)
	b = be.AppendUint16(b, m.Rise)
	return be.AppendUint16(b, uint16(m.Time.Milliseconds()))
}
func (m *Float) parse(c *cursor) {
	m.ID, m.Rect, m.Rise, m.Time = c.u32(), c.rect(), c.u16(), time.Duration(c.u16())*time.Millisecond
}
func (m *Float) check() error {
	if !evenRect(m.Rect) || m.Time <= 0 || m.Time > MaxFloat {
		return fmt.Errorf("%w: float from %v for %v", ErrMalformed, m.Rect, m.Time)
	}
	return nil
}

func (*Music) kind() kind               { return kindMusic }
func (m *Music) append(b []byte) []byte { return append(b, m.Data...) }
func (m *Music) parse(c *cursor)        { m.Data = c.rest() }
func (m *Music) check() error {
	if len(m.Data) > MaxMusic {
		return fmt.Errorf("%w: music of %d bytes", ErrMalformed, len(m.Data))
	}
	return nil
}

func (*Tune) kind() kind { return kindTune }
func (m *Tune) append(b []byte) []byte {
	return append(appendBool(append(b, m.Volume), m.Paused), m.Data...)
}
func (m *Tune) parse(c *cursor) { m.Volume, m.Paused, m.Data = c.u8(), c.bool(), c.rest() }
func (m *Tune) check() error {
	if len(m.Data) > MaxTune || m.Volume > 100 {
		return fmt.Errorf("%w: tune of %d bytes at %d %%", ErrMalformed, len(m.Data), m.Volume)
	}
	return nil
}

func (*DropBitmap) kind() kind               { return kindDropBitmap }
func (m *DropBitmap) append(b []byte) []byte { return be.AppendUint32(b, m.ID) }
func (m *DropBitmap) parse(c *cursor)        { m.ID = c.u32() }
func (*DropBitmap) check() error             { return nil }

func (*Scene) kind() kind { return kindScene }
func (m *Scene) append(b []byte) []byte {
	b = be.AppendUint32(b, uint32(m.Background))
	b = be.AppendUint32(b, m.Backdrop)
	b = be.AppendUint16(b, m.Glide)
	b = be.AppendUint16(b, uint16(len(m.Items)))
	for _, it := range m.Items {
		b = append(b, uint8(it.Source))
		b = be.AppendUint32(b, it.ID)
		b = appendRect(b, it.Rect)
		b = append(b, uint8(it.Fit), it.Radius)
		b = be.AppendUint32(b, uint32(it.Fill))
		b = append(b, it.Border)
		b = be.AppendUint32(b, uint32(it.BorderColor))
		b = be.AppendUint32(b, it.Group)
	}
	return b
}
func (m *Scene) parse(c *cursor) {
	m.Background, m.Backdrop, m.Glide = RGB(c.u32()), c.u32(), c.u16()
	for range c.count(MaxItems) {
		m.Items = append(m.Items, Item{
			Source: Source(c.u8()), ID: c.u32(), Rect: c.rect(),
			Fit: Fit(c.u8()), Radius: c.u8(), Fill: RGB(c.u32()),
			Border: c.u8(), BorderColor: RGB(c.u32()), Group: c.u32(),
		})
	}
}
func (m *Scene) check() error {
	if len(m.Items) > MaxItems {
		return fmt.Errorf("%w: scene of %d items", ErrMalformed, len(m.Items))
	}
	if m.Background > white {
		return fmt.Errorf("%w: background %#x", ErrMalformed, uint32(m.Background))
	}
	for i, it := range m.Items {
		switch {
		case it.Source < FromInput || it.Source > FromColor:
			return fmt.Errorf("%w: item %d has source %d", ErrMalformed, i, it.Source)
		case it.Fit > Contain:
			return fmt.Errorf("%w: item %d has fit %d", ErrMalformed, i, it.Fit)
		case it.Fill > white || it.BorderColor > white:
			return fmt.Errorf("%w: item %d has fill %#x and border %#x", ErrMalformed, i, uint32(it.Fill), uint32(it.BorderColor))
		case it.Border%2 != 0:
			return fmt.Errorf("%w: item %d has a border of %d", ErrMalformed, i, it.Border)
		case !evenRect(it.Rect):
			return fmt.Errorf("%w: item %d has rectangle %v", ErrMalformed, i, it.Rect)
		}
	}
	return nil
}

const white RGB = 0xffffff

func appendRect(b []byte, r image.Rectangle) []byte {
	for _, v := range [4]int{r.Min.X, r.Min.Y, r.Max.X, r.Max.Y} {
		b = be.AppendUint16(b, uint16(v))
	}
	return b
}

func (c *cursor) rect() image.Rectangle {
	return image.Rectangle{
		Min: image.Point{X: int(c.u16()), Y: int(c.u16())},
		Max: image.Point{X: int(c.u16()), Y: int(c.u16())},
	}
}

// evenRect says whether a rectangle is one of a canvas.
func evenRect(r image.Rectangle) bool {
	return !r.Empty() && r.In(image.Rect(0, 0, MaxSide, MaxSide)) && (r.Min.X|r.Min.Y|r.Max.X|r.Max.Y)&1 == 0
}

func (*ForceKey) kind() kind             { return kindForceKey }
func (*ForceKey) append(b []byte) []byte { return b }
func (*ForceKey) parse(*cursor)          {}
func (*ForceKey) check() error           { return nil }

func (*Stop) kind() kind             { return kindStop }
func (*Stop) append(b []byte) []byte { return b }
func (*Stop) parse(*cursor)          {}
func (*Stop) check() error           { return nil }

func (*Started) kind() kind { return kindStarted }
func (m *Started) append(b []byte) []byte {
	return append(be.AppendUint64(b, uint64(m.Epoch)), m.AudioConfig...)
}
func (m *Started) parse(c *cursor) { m.Epoch, m.AudioConfig = int64(c.u64()), c.rest() }
func (m *Started) check() error {
	if len(m.AudioConfig) > MaxAudioConfig {
		return fmt.Errorf("%w: audio config of %d bytes", ErrMalformed, len(m.AudioConfig))
	}
	return nil
}

func (*Video) kind() kind { return kindVideo }
func (m *Video) append(b []byte) []byte {
	b = append(b, m.Rendition)
	b = be.AppendUint64(b, uint64(m.PTS))
	b = appendBool(b, m.Key)
	return append(b, m.Data...)
}
func (m *Video) parse(c *cursor) {
	m.Rendition, m.PTS, m.Key, m.Data = c.u8(), int64(c.u64()), c.bool(), c.rest()
}
func (m *Video) check() error {
	if m.Rendition >= MaxRenditions {
		return fmt.Errorf("%w: rendition %d", ErrMalformed, m.Rendition)
	}
	return nil
}

func (*Audio) kind() kind               { return kindAudio }
func (m *Audio) append(b []byte) []byte { return append(be.AppendUint64(b, uint64(m.PTS)), m.Data...) }
func (m *Audio) parse(c *cursor)        { m.PTS, m.Data = int64(c.u64()), c.rest() }
func (*Audio) check() error             { return nil }

func (*Transcode) kind() kind { return kindTranscode }
func (m *Transcode) append(b []byte) []byte {
	return append(be.AppendUint32(b, m.Bitrate), m.Config...)
}
func (m *Transcode) parse(c *cursor) { m.Bitrate, m.Config = c.u32(), c.rest() }
func (m *Transcode) check() error {
	if len(m.Config) == 0 || len(m.Config) > MaxAudioConfig || m.Bitrate < 8000 || m.Bitrate > 510000 {
		return fmt.Errorf("%w: transcode of a config of %d bytes to %d bit/s", ErrMalformed, len(m.Config), m.Bitrate)
	}
	return nil
}

func (*Sound) kind() kind { return kindSound }
func (m *Sound) append(b []byte) []byte {
	return append(append(be.AppendUint64(b, uint64(m.PTS)), m.Level), m.Data...)
}
func (m *Sound) parse(c *cursor) { m.PTS, m.Level, m.Data = int64(c.u64()), c.u8(), c.rest() }
func (m *Sound) check() error {
	if m.Level > 127 {
		return fmt.Errorf("%w: sound of level %d", ErrMalformed, m.Level)
	}
	return nil
}

func (*NeedKey) kind() kind               { return kindNeedKey }
func (m *NeedKey) append(b []byte) []byte { return be.AppendUint32(b, m.Input) }
func (m *NeedKey) parse(c *cursor)        { m.Input = c.u32() }
func (*NeedKey) check() error             { return nil }

func (*Stats) kind() kind { return kindStats }
func (m *Stats) append(b []byte) []byte {
	b = be.AppendUint64(b, m.Ticks)
	b = be.AppendUint64(b, m.TicksRepeated)
	b = be.AppendUint64(b, uint64(m.CPU))
	for _, d := range m.Stages {
		b = be.AppendUint64(b, uint64(d))
	}
	b = be.AppendUint64(b, m.Memory)
	b = be.AppendUint64(b, m.Limited)
	b = be.AppendUint16(b, uint16(len(m.Inputs)))
	for _, in := range m.Inputs {
		b = be.AppendUint32(b, in.ID)
		b = be.AppendUint64(b, in.Frames)
		b = be.AppendUint64(b, in.Dropped)
		b = be.AppendUint64(b, in.Errors)
		b = be.AppendUint64(b, in.Concealed)
		b = be.AppendUint16(b, in.Width)
		b = be.AppendUint16(b, in.Height)
		b = append(b, in.Level)
	}
	return b
}
func (m *Stats) parse(c *cursor) {
	m.Ticks, m.TicksRepeated = c.u64(), c.u64()
	m.CPU = time.Duration(c.u64())
	for i := range m.Stages {
		m.Stages[i] = time.Duration(c.u64())
	}
	m.Memory, m.Limited = c.u64(), c.u64()
	for range c.count(MaxInputs) {
		m.Inputs = append(m.Inputs, InputStats{
			ID: c.u32(), Frames: c.u64(), Dropped: c.u64(), Errors: c.u64(), Concealed: c.u64(),
			Width: c.u16(), Height: c.u16(), Level: c.u8(),
		})
	}
}
func (m *Stats) check() error {
	if len(m.Inputs) > MaxInputs {
		return fmt.Errorf("%w: stats of %d inputs", ErrMalformed, len(m.Inputs))
	}
	return nil
}
