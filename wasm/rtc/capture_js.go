package rtc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall/js"

	"amphi/wasm/jsbridge"
)

// Capture makes local tracks from the user's devices. The zero value is ready.
type Capture struct{}

// Stream groups the tracks of one source (camera and microphone; a screen and
// its sound), so that receivers keep them in step.
type Stream struct {
	ID  string
	raw js.Value
}

// NewStream makes a stream with an id of its own.
func NewStream() *Stream {
	raw := js.Global().Get("MediaStream").New()
	return &Stream{ID: raw.Get("id").String(), raw: raw}
}

// LocalTrack is something to publish. It has one identity for its life, while
// the device behind it comes and goes with mute and with the user's choice.
// Methods that take a context must be called one at a time.
type LocalTrack struct {
	ID       string
	StreamID string
	Kind     Kind

	stream *Stream
	// given: its source was handed over once (a screen, an application's own
	// track), and cannot be opened again.
	given bool
	// anchor is a track of nothing. It is what the transceiver is made with, so
	// that the id in SDP is known before any device is open and never changes.
	anchor js.Value

	mu        sync.Mutex
	video     VideoConstraints
	audio     AudioConstraints
	live      js.Value // the device's track; undefined while off
	sender    js.Value // RTCRtpSender; undefined while not published
	stopEnded func()
	changed   func()
	ended     func()
}

// Camera makes a track that is off; SetEnabled opens the device.
func (c *Capture) Camera(s *Stream, v VideoConstraints) *LocalTrack {
	t := newLocalTrack(Video, s)
	t.video = v
	return t
}

// Microphone makes a track that is off; SetEnabled opens the device.
func (c *Capture) Microphone(s *Stream, a AudioConstraints) *LocalTrack {
	t := newLocalTrack(Audio, s)
	t.audio = a
	return t
}

func newLocalTrack(kind Kind, s *Stream) *LocalTrack {
	anchor := silence()
	if kind == Video {
		anchor = darkness()
	}
	return &LocalTrack{
		ID: anchor.Get("id").String(), StreamID: s.ID, Kind: kind, stream: s, anchor: anchor,
		live: js.Undefined(), sender: js.Undefined(),
	}
}

// darkness is a video track that never has a picture.
func darkness() js.Value {
	canvas := js.Global().Get("document").Call("createElement", "canvas")
	canvas.Set("width", 16)
	canvas.Set("height", 16)
	canvas.Call("getContext", "2d").Call("fillRect", 0, 0, 16, 16) // Firefox wants a context
	return canvas.Call("captureStream", 0).Call("getVideoTracks").Index(0)
}

// audioContext is shared by all silent tracks: browsers allow few of them.
var audioContext = sync.OnceValue(func() js.Value { return js.Global().Get("AudioContext").New() })

// silence is an audio track that never has a sound.
func silence() js.Value {
	return audioContext().Call("createMediaStreamDestination").Get("stream").Call("getAudioTracks").Index(0)
}

// Open enables several tracks with one question to the user. Either may be
// nil. Where both together fail, each is tried alone, so that a refused camera
// does not cost the microphone.
func (c *Capture) Open(ctx context.Context, audio, video *LocalTrack) (audioErr, videoErr error) {
	if audio != nil && video != nil {
		stream, err := getUserMedia(ctx, map[string]any{"audio": audio.constraints(true), "video": video.constraints(true)})
		if err == nil {
			return audio.use(ctx, stream.Call("getAudioTracks").Index(0)), video.use(ctx, stream.Call("getVideoTracks").Index(0))
		}
	}
	if audio != nil {
		audioErr = audio.SetEnabled(ctx, true)
	}
	if video != nil {
		videoErr = video.SetEnabled(ctx, true)
	}
	return audioErr, videoErr
}

// Screen asks the user for a screen, window or tab. audio is nil when there is none.
func (c *Capture) Screen(ctx context.Context, o ScreenOptions) (video, audio *LocalTrack, err error) {
	options := map[string]any{}
	for k, v := range o.Browser {
		options[k] = v
	}
	size := map[string]any{}
	if o.Width > 0 {
		size["width"] = map[string]any{"max": o.Width}
	}
	if o.Height > 0 {
		size["height"] = map[string]any{"max": o.Height}
	}
	if o.FrameRate > 0 {
		size["frameRate"] = map[string]any{"max": o.FrameRate}
	}
	options["video"], options["audio"] = size, o.Audio
	devices, err := mediaDevices()
	if err != nil {
		return nil, nil, err
	}
	captured, err := jsbridge.CallAsync(ctx, devices, "getDisplayMedia", options)
	if err != nil {
		return nil, nil, mediaError(err)
	}
	stream := NewStream()
	wrap := func(kind Kind, tracks js.Value) *LocalTrack {
		if tracks.Length() == 0 {
			return nil
		}
		t := newLocalTrack(kind, stream)
		t.given = true
		t.setLive(tracks.Index(0))
		return t
	}
	return wrap(Video, captured.Call("getVideoTracks")), wrap(Audio, captured.Call("getAudioTracks")), nil
}

// Adopt makes a local track of the application's own MediaStreamTrack; its id
// is that track's.
func (c *Capture) Adopt(native js.Value) (*LocalTrack, error) {
	if native.Type() != js.TypeObject || native.Get("id").Type() != js.TypeString {
		return nil, errors.New("not a MediaStreamTrack")
	}
	stream := NewStream()
	t := &LocalTrack{
		ID: native.Get("id").String(), StreamID: stream.ID, Kind: Kind(native.Get("kind").String()), stream: stream,
		given: true, anchor: native, sender: js.Undefined(),
	}
	t.setLive(native)
	return t, nil
}

// Devices lists what there is. Names are empty until the user allowed one.
func (c *Capture) Devices(ctx context.Context) ([]Device, error) {
	media, err := mediaDevices()
	if err != nil {
		return nil, err
	}
	list, err := jsbridge.CallAsync(ctx, media, "enumerateDevices")
	if err != nil {
		return nil, mediaError(err)
	}
	devices := make([]Device, 0, list.Length())
	for i := range list.Length() {
		d := list.Index(i)
		devices = append(devices, Device{
			DeviceID: d.Get("deviceId").String(), GroupID: d.Get("groupId").String(),
			Kind: d.Get("kind").String(), Label: d.Get("label").String(),
		})
	}
	return devices, nil
}

// WatchDevices calls fn (which must not block) whenever a device comes or goes.
func (c *Capture) WatchDevices(fn func()) (stop func()) {
	media, err := mediaDevices()
	if err != nil {
		return func() {}
	}
	return jsbridge.Listen(media, "devicechange", func(js.Value) { fn() })
}

func mediaDevices() (js.Value, error) {
	navigator := js.Global().Get("navigator")
	if !navigator.Truthy() {
		return js.Undefined(), fmt.Errorf("%w: this is no browser", ErrNoDevice)
	}
	media := navigator.Get("mediaDevices")
	if !media.Truthy() {
		return media, fmt.Errorf("%w: the page is not secure (https or localhost)", ErrDenied)
	}
	return media, nil
}

func getUserMedia(ctx context.Context, constraints map[string]any) (js.Value, error) {
	media, err := mediaDevices()
	if err != nil {
		return media, err
	}
	stream, err := jsbridge.CallAsync(ctx, media, "getUserMedia", constraints)
	if err != nil {
		return stream, mediaError(err)
	}
	return stream, nil
}

// errOverconstrained: no device fits; asked again with wishes instead of demands.
var errOverconstrained = errors.New("no device fits")

// mediaError gives the browser's errors the names of this package.
func mediaError(err error) error {
	var thrown *jsbridge.Error
	if !errors.As(err, &thrown) {
		return err
	}
	switch thrown.Name {
	case "NotAllowedError", "SecurityError":
		return fmt.Errorf("%w: %s", ErrDenied, thrown.Message)
	case "NotFoundError":
		return fmt.Errorf("%w: %s", ErrNoDevice, thrown.Message)
	case "NotReadableError", "AbortError":
		return fmt.Errorf("%w: %s", ErrBusy, thrown.Message)
	case "OverconstrainedError":
		return fmt.Errorf("%w: %s", errOverconstrained, thrown.Message)
	}
	return err
}

func (t *LocalTrack) constraints(demand bool) map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := map[string]any{}
	device := func(id string) {
		switch {
		case id == "" || id == "default":
		case demand:
			m["deviceId"] = map[string]any{"exact": id}
		default:
			m["deviceId"] = id
		}
	}
	if t.Kind == Audio {
		device(t.audio.DeviceID)
		m["echoCancellation"], m["noiseSuppression"], m["autoGainControl"] = true, true, true
		return m
	}
	device(t.video.DeviceID)
	wish := func(key string, value int) {
		if value > 0 {
			m[key] = map[string]any{"ideal": value}
		}
	}
	wish("width", t.video.Width)
	wish("height", t.video.Height)
	wish("frameRate", t.video.FrameRate)
	if t.video.FacingMode != "" {
		m["facingMode"] = t.video.FacingMode
	}
	return m
}

// open asks for the device of this track alone.
func (t *LocalTrack) open(ctx context.Context) error {
	stream, err := getUserMedia(ctx, map[string]any{string(t.Kind): t.constraints(true)})
	if errors.Is(err, errOverconstrained) {
		stream, err = getUserMedia(ctx, map[string]any{string(t.Kind): t.constraints(false)})
		if errors.Is(err, errOverconstrained) {
			err = fmt.Errorf("%w: %w", ErrNoDevice, err)
		}
	}
	if err != nil {
		return err
	}
	return t.use(ctx, stream.Call("getTracks").Index(0))
}

// use makes a device's track the live one, here and in the connection.
func (t *LocalTrack) use(ctx context.Context, live js.Value) error {
	t.mu.Lock()
	old := t.live
	t.mu.Unlock()
	t.setLive(live)
	if old.Truthy() {
		old.Call("stop")
	}
	return t.replace(ctx)
}

func (t *LocalTrack) setLive(live js.Value) {
	var stop func()
	if live.Truthy() {
		// "ended" comes when the device is gone or the browser's own button ends
		// a screen share; not after stop().
		stop = jsbridge.Listen(live, "ended", func(js.Value) {
			t.mu.Lock()
			gone := t.live.Equal(live)
			ended := t.ended
			t.mu.Unlock()
			if gone && ended != nil {
				jsbridge.Go(ended)
			}
		})
	}
	t.mu.Lock()
	last := t.stopEnded
	t.live, t.stopEnded = live, stop
	changed := t.changed
	t.mu.Unlock()
	if last != nil {
		last()
	}
	if changed != nil {
		changed()
	}
}

// replace puts what is live into the connection, or nothing.
func (t *LocalTrack) replace(ctx context.Context) error {
	t.mu.Lock()
	sender, live := t.sender, t.live
	t.mu.Unlock()
	if !sender.Truthy() {
		return nil
	}
	var next any = live
	if !live.Truthy() {
		next = nil
	}
	if _, err := jsbridge.CallAsync(ctx, sender, "replaceTrack", next); err != nil {
		return fmt.Errorf("replace track: %w", err)
	}
	return nil
}

func (t *LocalTrack) bind(ctx context.Context, sender js.Value) error {
	t.mu.Lock()
	t.sender = sender
	t.mu.Unlock()
	return t.replace(ctx)
}

func (t *LocalTrack) unbind() {
	t.mu.Lock()
	t.sender = js.Undefined()
	t.mu.Unlock()
}

// SetEnabled turns the track on or off. A camera that is off is closed, so that
// its light goes out; a microphone stays open and sends silence, so that it is
// back at once.
func (t *LocalTrack) SetEnabled(ctx context.Context, on bool) error {
	t.mu.Lock()
	live := t.live
	t.mu.Unlock()
	switch {
	case live.Truthy() && (t.Kind == Audio || t.given || on):
		live.Set("enabled", on)
		return nil
	case on:
		return t.open(ctx)
	case live.Truthy():
		t.setLive(js.Undefined())
		live.Call("stop")
		return t.replace(ctx)
	}
	return nil
}

// SetVideo changes what is asked of the camera; an open one is opened anew.
func (t *LocalTrack) SetVideo(ctx context.Context, v VideoConstraints) error {
	t.mu.Lock()
	t.video = v
	live := t.live.Truthy()
	t.mu.Unlock()
	if !live || t.given {
		return nil
	}
	return t.open(ctx)
}

// SetAudio changes what is asked of the microphone; an open one is opened anew.
func (t *LocalTrack) SetAudio(ctx context.Context, a AudioConstraints) error {
	t.mu.Lock()
	t.audio = a
	live := t.live
	t.mu.Unlock()
	if !live.Truthy() || t.given {
		return nil
	}
	enabled := live.Get("enabled").Bool()
	if err := t.open(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	live = t.live
	t.mu.Unlock()
	live.Set("enabled", enabled)
	return nil
}

// Video is what was last asked of the camera.
func (t *LocalTrack) Video() VideoConstraints {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.video
}

// DeviceID is the device in use, or the one that will be.
func (t *LocalTrack) DeviceID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live.Truthy() {
		if id := t.live.Call("getSettings").Get("deviceId"); id.Type() == js.TypeString {
			return id.String()
		}
	}
	if t.Kind == Audio {
		return t.audio.DeviceID
	}
	return t.video.DeviceID
}

// Native is the MediaStreamTrack to show, undefined while the track is off.
func (t *LocalTrack) Native() js.Value {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live
}

// Notify sets what is called when Native changed (which must not block) and,
// in a goroutine of its own, when the device ended by itself.
func (t *LocalTrack) Notify(changed, ended func()) {
	t.mu.Lock()
	t.changed, t.ended = changed, ended
	t.mu.Unlock()
}

// Close stops the device.
func (t *LocalTrack) Close() {
	t.Notify(nil, nil)
	t.mu.Lock()
	live := t.live
	t.mu.Unlock()
	t.setLive(js.Undefined())
	if live.Truthy() {
		live.Call("stop")
	}
	t.anchor.Call("stop")
}
