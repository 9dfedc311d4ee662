//go:build !js

package rtc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// Source gives the encoded samples of a native track. Next is called in step
// with the durations of the samples; io.EOF ends the track.
type Source interface {
	Codec() webrtc.RTPCodecCapability
	Next() (media.Sample, error)
	// KeyFrame asks for one: a receiver lost its place.
	KeyFrame()
	Close() error
}

// Capture makes local tracks from sources. A nil field means that there is no
// such device.
type Capture struct {
	Video  func() (Source, error)
	Audio  func() (Source, error)
	Shared func() (Source, error) // the picture of a screen share
}

// Stream groups the tracks of one source, so that receivers keep them in step.
type Stream struct{ ID string }

// NewStream makes a stream with an id of its own.
func NewStream() *Stream { return &Stream{ID: newID()} }

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// LocalTrack is something to publish. It has one identity for its life, while
// the source behind it is opened and closed with mute. Methods that take a
// context must be called one at a time.
type LocalTrack struct {
	ID       string
	StreamID string
	Kind     Kind

	open func() (Source, error)
	out  *webrtc.TrackLocalStaticSample
	err  error // the source could not be opened to learn its codec

	mu      sync.Mutex
	video   VideoConstraints
	pump    *pump // nil while off
	ended   func()
	changed func()
}

// Camera makes a track that is off; SetEnabled starts the source.
func (c *Capture) Camera(s *Stream, v VideoConstraints) *LocalTrack {
	t := newLocalTrack(Video, s, c.Video)
	t.video = v
	return t
}

// Microphone makes a track that is off; SetEnabled starts the source.
func (c *Capture) Microphone(s *Stream, _ AudioConstraints) *LocalTrack {
	return newLocalTrack(Audio, s, c.Audio)
}

func newLocalTrack(kind Kind, s *Stream, open func() (Source, error)) *LocalTrack {
	t := &LocalTrack{ID: newID(), StreamID: s.ID, Kind: kind, open: open}
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	if kind == Video {
		codec = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
	}
	if open == nil {
		t.err = ErrNoDevice
	} else if source, err := open(); err != nil {
		t.err = fmt.Errorf("%w: %w", ErrNoDevice, err)
	} else {
		codec = source.Codec()
		source.Close()
	}
	// Only an empty codec could make it fail.
	t.out, _ = webrtc.NewTrackLocalStaticSample(codec, t.ID, t.StreamID)
	return t
}

// Open enables several tracks; either may be nil.
func (c *Capture) Open(ctx context.Context, audio, video *LocalTrack) (audioErr, videoErr error) {
	if audio != nil {
		audioErr = audio.SetEnabled(ctx, true)
	}
	if video != nil {
		videoErr = video.SetEnabled(ctx, true)
	}
	return audioErr, videoErr
}

// Screen starts what is shared. There is no sound with it.
func (c *Capture) Screen(ctx context.Context, _ ScreenOptions) (video, audio *LocalTrack, err error) {
	t := newLocalTrack(Video, NewStream(), c.Shared)
	if err := t.SetEnabled(ctx, true); err != nil {
		return nil, nil, err
	}
	return t, nil, nil
}

// Devices lists what there is.
func (c *Capture) Devices(context.Context) ([]Device, error) {
	var devices []Device
	if c.Audio != nil {
		devices = append(devices, Device{DeviceID: "audio", Kind: "audioinput", Label: "audio source"})
	}
	if c.Video != nil {
		devices = append(devices, Device{DeviceID: "video", Kind: "videoinput", Label: "video source"})
	}
	return devices, nil
}

// WatchDevices never calls fn: sources do not come and go.
func (c *Capture) WatchDevices(func()) (stop func()) { return func() {} }

// SetEnabled turns the track on or off. The source starts anew each time.
func (t *LocalTrack) SetEnabled(_ context.Context, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !on {
		t.stopLocked()
		return nil
	}
	if t.err != nil {
		return t.err
	}
	if t.pump != nil {
		return nil
	}
	source, err := t.open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoDevice, err)
	}
	p := &pump{source: source, out: t.out, stop: make(chan struct{}), done: make(chan struct{})}
	t.pump = p
	go func() {
		defer close(p.done)
		if !p.run() {
			return
		}
		t.mu.Lock()
		ended := t.ended
		t.mu.Unlock()
		if ended != nil {
			go ended() // it may close this track, which waits for the pump
		}
	}()
	return nil
}

func (t *LocalTrack) stopLocked() {
	if t.pump == nil {
		return
	}
	close(t.pump.stop)
	<-t.pump.done
	t.pump = nil
}

// SetVideo and SetAudio change nothing: a source is what it is.
func (t *LocalTrack) SetVideo(_ context.Context, v VideoConstraints) error {
	t.mu.Lock()
	t.video = v
	t.mu.Unlock()
	return nil
}

// SetAudio does nothing; see SetVideo.
func (t *LocalTrack) SetAudio(context.Context, AudioConstraints) error { return nil }

// Video is what was last asked of the camera.
func (t *LocalTrack) Video() VideoConstraints {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.video
}

// DeviceID is the device in use.
func (t *LocalTrack) DeviceID() string { return string(t.Kind) }

// Notify sets what is called, in a goroutine of its own, when the source ended
// by itself. There is nothing to show here, so changed is not called.
func (t *LocalTrack) Notify(changed, ended func()) {
	t.mu.Lock()
	t.changed, t.ended = changed, ended
	t.mu.Unlock()
}

// Close stops the source.
func (t *LocalTrack) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = nil
	t.stopLocked()
}

func (t *LocalTrack) feedback(packets []rtcp.Packet) {
	for _, packet := range packets {
		switch packet.(type) {
		case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
			t.mu.Lock()
			if t.pump != nil {
				t.pump.source.KeyFrame()
			}
			t.mu.Unlock()
			return
		}
	}
}

// pump moves samples from a source into a track, at the pace of their durations.
type pump struct {
	source Source
	out    *webrtc.TrackLocalStaticSample
	stop   chan struct{}
	done   chan struct{}
}

// run returns whether the source ended by itself.
func (p *pump) run() (ended bool) {
	defer p.source.Close()
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return false
		case <-timer.C:
		}
		sample, err := p.source.Next()
		if err != nil {
			return true
		}
		// An error means that nobody is connected yet, or any more: live goes on.
		if err := p.out.WriteSample(sample); err != nil && err != io.ErrClosedPipe {
			return true
		}
		next = next.Add(sample.Duration)
		if late := time.Since(next); late > time.Second {
			next = time.Now() // the machine slept; do not send the past in one burst
		}
		timer.Reset(time.Until(next))
	}
}
