package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// A person is a Go client in a process of its own, because a namespace is a process's. The test binary is its program
// too: with task in its environment it is that person until its standard input ends, and writes events, one JSON
// object a line, to its standard output.

// taskVariable holds a task as JSON.
const taskVariable = "AMPHI_NETWORK_PERSON"

// task is what a person is to do.
type task struct {
	URL, Token, Name string
	Publish          bool
	TCP              bool // connect to TCP candidates, too, as browsers do
}

// event is what happens to a person. Times are microseconds of the epoch: all processes have one clock.
type event struct {
	At      int64
	Picture *picture `json:",omitempty"`
	Joined  bool     `json:",omitempty"`
	Told    string   `json:",omitempty"` // the type of a notification, and
	About   string   `json:",omitempty"` // what it is about
	Failed  string   `json:",omitempty"`
}

// picture is a frame that could be decoded when it came: it is complete, and nothing is missing since the last key
// frame.
type picture struct {
	Filmed int64
	Bytes  int
	Key    bool
	Width  int `json:",omitempty"` // in browsers
}

// bePerson does what a task says. Nothing but events may be printed.
func bePerson(text string) error {
	var todo task
	if err := json.Unmarshal([]byte(text), &todo); err != nil {
		return err
	}
	events := make(chan event, 1024)
	tell := func(e event) {
		e.At = time.Now().UnixMicro()
		events <- e
	}
	go func() {
		out := json.NewEncoder(os.Stdout)
		for e := range events {
			_ = out.Encode(e) // nobody listens any more: the test ends
		}
	}()
	config := client.Config{
		Engine: &rtc.Engine{Settings: func(e *webrtc.SettingEngine) {
			e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
			types := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
			if todo.TCP {
				types = append(types, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
			}
			e.SetNetworkTypes(types)
		}},
		Sink: client.Sink{Patch: func(client.Patch) {}, Notification: func(n client.Notification) {
			switch n.Type {
			case client.NotifyReconnecting, client.NotifyReconnected, client.NotifyError, client.NotifyTrackDegraded, client.NotifyTrackRestored:
				tell(event{Told: string(n.Type), About: fmt.Sprint(n.Data)})
			}
		}},
		OnMedia: func(e client.MediaEvent) {
			switch {
			case e.Remote == nil:
			case e.Remote.Kind == rtc.Video:
				go watch(e.Remote, tell)
			default:
				e.Remote.Discard()
			}
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if todo.Publish {
		config.Capture = &rtc.Capture{Video: newCamera, Audio: rtc.Silence}
	}
	c := client.New(config)
	ctx, cancel := context.WithTimeout(context.Background(), joinPatience)
	defer cancel()
	err := c.Join(ctx, client.JoinConfig{AuthToken: todo.Token, UserName: todo.Name, InitEndpoint: todo.URL, AutoVideoSubscribe: true})
	if err != nil {
		tell(event{Failed: err.Error()})
	} else {
		tell(event{Joined: true})
	}
	_, err = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	c.Close()
	return err
}

// joinPatience is for a bad network and a busy machine.
const joinPatience = 40 * time.Second

// watch puts the packets of a track in order, and its frames together.
func watch(track *rtc.RemoteTrack, tell func(event)) {
	var w watcher
	for {
		p, err := track.ReadRTP()
		if err != nil {
			return
		}
		var descriptor codecs.VP8Packet
		payload, err := descriptor.Unmarshal(p.Payload)
		if err != nil {
			continue
		}
		begins := descriptor.S == 1 && descriptor.PID == 0
		pictures, lost := w.take(time.Now(), fragment{seq: p.SequenceNumber, begins: begins, ends: p.Marker, payload: payload})
		for _, seen := range pictures {
			tell(event{Picture: &seen})
		}
		if lost {
			_ = track.RequestKeyFrame()
		}
	}
}

// fragment is a packet's part of a frame.
type fragment struct {
	seq          uint16
	begins, ends bool
	payload      []byte
}

// isKey reads the first bit of a frame (RFC 6386 §9.1).
func (f fragment) isKey() bool { return f.begins && len(f.payload) > 0 && f.payload[0]&1 == 0 }

const (
	// patience is how long a missing packet is waited for, as players do, before a key frame is asked for.
	patience = time.Second
	// askAgain is the time between two requests for a key frame.
	askAgain = 500 * time.Millisecond
	// mostHeld bounds the packets that wait for a missing one.
	mostHeld = 4096
)

// watcher is a decoder that decodes nothing: it knows what could be shown. The zero value waits for a key frame.
type watcher struct {
	begun   bool // there was a key frame
	running bool // next continues what was decodable
	next    uint16
	held    map[uint16]fragment
	stuck   time.Time // since when the next packet is missing
	asked   time.Time
	frame   []byte
	key     bool
}

// take returns the frames that can be shown now, and whether a key frame has to be asked for.
func (w *watcher) take(now time.Time, f fragment) (seen []picture, lost bool) {
	if w.held == nil {
		w.held = map[uint16]fragment{}
	}
	if w.begun && int16(f.seq-w.next) < 0 {
		return nil, false // twice, or too late
	}
	w.held[f.seq] = f
	if !w.running && f.isKey() {
		w.begin(f.seq, now)
	}
	for w.running {
		f, ok := w.held[w.next]
		if !ok {
			break
		}
		w.stuck = now
		delete(w.held, w.next)
		w.next++
		if f.begins {
			w.frame, w.key = w.frame[:0], f.isKey()
		}
		w.frame = append(w.frame, f.payload...)
		if f.ends {
			if filmed, ok := filmed(w.frame); ok {
				seen = append(seen, picture{Filmed: filmed, Bytes: len(w.frame), Key: w.key})
			}
			w.frame = w.frame[:0]
		}
	}
	if len(w.held) == 0 {
		w.stuck = now
	}
	if w.running && (now.Sub(w.stuck) > patience || len(w.held) > mostHeld) {
		w.running = false
		for seq, f := range w.held { // a key frame may have come meanwhile
			if f.isKey() && (!w.running || int16(seq-w.next) > 0) {
				w.begin(seq, now)
			}
		}
	}
	if !w.running && now.Sub(w.asked) > askAgain {
		w.asked = now
		return seen, true
	}
	return seen, false
}

// begin goes on with the key frame that begins with a packet.
func (w *watcher) begin(seq uint16, now time.Time) {
	w.begun, w.running, w.next, w.stuck = true, true, seq, now
	for held := range w.held {
		if int16(held-seq) < 0 {
			delete(w.held, held)
		}
	}
}

// camera films the time: frames of about 1 Mbit/s at 30 a second, which end with the moment at which they were made. A
// decoder of VP8 would not take them; [watcher] does.
type camera struct {
	n   int
	key atomic.Bool
}

const (
	pictureRate = 30
	keyEvery    = 3 * pictureRate
	keyBytes    = 30_000
	deltaBytes  = 3_500
)

// filmedMark stands before the time at the end of a frame.
const filmedMark = 0x616d706869 // "amphi"

func newCamera() (rtc.Source, error) { return new(camera), nil }

func (*camera) Codec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
}

func (c *camera) KeyFrame()  { c.key.Store(true) }
func (*camera) Close() error { return nil }

func (c *camera) Next() (media.Sample, error) {
	key := c.key.Swap(false) || c.n%keyEvery == 0
	c.n++
	frame := make([]byte, deltaBytes/2+rand.N(deltaBytes), 2*keyBytes)
	frame[0] = 1 // not a key frame
	if key {
		frame = frame[:keyBytes]
		copy(frame, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 640 & 0xff, 640 >> 8, 360 & 0xff, 360 >> 8})
	}
	frame = binary.BigEndian.AppendUint64(frame, filmedMark)
	frame = binary.BigEndian.AppendUint64(frame, uint64(time.Now().UnixMicro()))
	return media.Sample{Data: frame, Duration: time.Second / pictureRate}, nil
}

// filmed reads the time that a frame was made at.
func filmed(frame []byte) (micros int64, ok bool) {
	if len(frame) < 16 || binary.BigEndian.Uint64(frame[len(frame)-16:]) != filmedMark {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(frame[len(frame)-8:])), true
}
