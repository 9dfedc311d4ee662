// Package rtc is WebRTC as the client uses it, over the browser's objects
// (*_js.go) or over Pion itself (*_native.go), with the same API in both: a
// [Conn] is one peer connection, a [LocalTrack] something to publish, a
// [RemoteTrack] something received, a [Capture] where local tracks come from.
//
// In the browser Pion's own js build does offers, answers and candidates; what
// it lacks (tracks, transceivers with encodings, devices) goes through the
// JavaScript objects behind its types.
package rtc

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pion/webrtc/v4"
)

// Kind is "audio" or "video".
type Kind string

// The kinds of media.
const (
	Audio Kind = "audio"
	Video Kind = "video"
)

// Errors of local media, as far as a user can do something about them. Others
// pass through as they are.
var (
	// ErrDenied: the user, or the system, does not let the page use the device.
	ErrDenied = errors.New("permission denied")
	// ErrNoDevice: there is no such device, or the chosen one is gone.
	ErrNoDevice = errors.New("no such device")
	// ErrBusy: another program has the device.
	ErrBusy = errors.New("device in use")
	// ErrClosed: the connection or track was closed.
	ErrClosed = errors.New("closed")
)

// Handlers is what a connection tells its owner: one call at a time, in order,
// from a goroutine of the connection. All fields are set before it is made.
type Handlers struct {
	// Candidate is a local ICE candidate for the other side.
	Candidate func(webrtc.ICECandidateInit)
	// State is called when the state of the connection changed.
	State func(webrtc.PeerConnectionState)
	// Track is called for each media section that begins to receive.
	Track func(*RemoteTrack)
	// Open is called when the data channel that the other side made can send.
	Open func()
	// Message is a text message on that channel.
	Message func([]byte)
}

// Encoding is one layer of a published video, or the limits of its only one.
// Zero values mean no limit.
type Encoding struct {
	RID          string  // "f", "h", "q"; empty when it is the only one
	ScaleDownBy  float64 // of width and height
	MaxBitrate   int     // bit/s
	MaxFrameRate float64
}

// VideoConstraints is what to ask of a camera. Zero values mean no wish.
type VideoConstraints struct {
	DeviceID      string
	Width, Height int
	FrameRate     int
	FacingMode    string // "user" or "environment"
}

// AudioConstraints is what to ask of a microphone.
type AudioConstraints struct {
	DeviceID string
}

// ScreenOptions is what to ask when the user chooses a screen to share.
type ScreenOptions struct {
	Width, Height, FrameRate int
	Audio                    bool // the sound of the tab or system too, where the browser can
	// Browser holds further options of getDisplayMedia by their own names.
	Browser map[string]any
}

// Device is one camera, microphone or loudspeaker, with the browser's names.
// Label is empty until the user allowed the use of devices.
type Device struct {
	DeviceID string `json:"deviceId"`
	GroupID  string `json:"groupId"`
	Kind     string `json:"kind"` // "audioinput", "audiooutput" or "videoinput"
	Label    string `json:"label"`
}

// maxQueuedEvents bounds what a connection may have to tell at one moment: an
// offer with a hundred tracks and their candidates fits.
const maxQueuedEvents = 1024

// eventQueue hands a connection's events to its handlers, one at a time and in
// order. Browser callbacks must not block, so a full queue drops and counts.
type eventQueue struct {
	events  chan func()
	done    chan struct{}
	once    sync.Once
	dropped atomic.Uint64
}

func newEventQueue(spawn func(func())) *eventQueue {
	q := &eventQueue{events: make(chan func(), maxQueuedEvents), done: make(chan struct{})}
	spawn(q.run)
	return q
}

func (q *eventQueue) run() {
	for {
		select {
		case <-q.done:
			return
		case event := <-q.events:
			event()
		}
	}
}

func (q *eventQueue) put(event func()) {
	select {
	case q.events <- event:
	case <-q.done:
	default:
		q.dropped.Add(1)
	}
}

func (q *eventQueue) close() { q.once.Do(func() { close(q.done) }) }

// candidateBuffer keeps remote candidates that come before the description
// that they belong to: the first one, or after an ICE restart the next one.
type candidateBuffer struct {
	mu      sync.Mutex
	ready   bool
	waiting []webrtc.ICECandidateInit
}

// maxWaitingCandidates is far above what any peer gathers.
const maxWaitingCandidates = 256

// add returns whether c can be applied now; otherwise it is kept.
func (b *candidateBuffer) add(c webrtc.ICECandidateInit) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ready && len(b.waiting) < maxWaitingCandidates {
		b.waiting = append(b.waiting, c)
	}
	return b.ready
}

// hold is called when a negotiation begins that may bring new credentials.
func (b *candidateBuffer) hold() {
	b.mu.Lock()
	b.ready = false
	b.mu.Unlock()
}

// open is called when a remote description is set, and returns what waited.
func (b *candidateBuffer) open() []webrtc.ICECandidateInit {
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := b.waiting
	b.ready, b.waiting = true, nil
	return waiting
}
