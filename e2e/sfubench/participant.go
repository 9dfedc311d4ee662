package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/stdnet"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"amphi/wasm/client"
	"amphi/wasm/rtc"
)

// participant is a Go client whose sockets are looked at.
type participant struct {
	client *client.Client
	seen   *tap
}

// visit says who joins which room.
type visit struct {
	room, role, name string
	all              bool // video is sent unasked, in the best layer
	takes            bool // media goes on to the client, who decrypts it
}

// join lets somebody into the room. A broadcaster publishes.
func (b *bench) join(ctx context.Context, v visit) (*participant, error) {
	p := &participant{seen: newTap(b.sent)}
	p.seen.publishes, p.seen.takes = v.role == "broadcaster", v.takes
	settings, err := p.seen.settings()
	if err != nil {
		return nil, err
	}
	config := client.Config{
		Engine: &rtc.Engine{Loopback: true, Settings: settings},
		OnMedia: func(e client.MediaEvent) {
			if e.Remote != nil {
				e.Remote.Discard()
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if p.seen.publishes {
		config.Capture = &rtc.Capture{Video: newCamera, Audio: rtc.Silence}
	}
	p.client = client.New(config)
	err = p.client.Join(ctx, client.JoinConfig{
		AuthToken: b.server.Keys().AuthToken(v.room, v.role, v.name), UserName: v.name,
		InitEndpoint: b.server.URL, AutoVideoSubscribe: v.all,
	})
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", v.name, err)
	}
	return p, nil
}

// settings have a connection use sockets that are looked at, on loopback alone.
func (t *tap) settings() (func(*webrtc.SettingEngine), error) {
	system, err := stdnet.NewNet()
	return func(e *webrtc.SettingEngine) {
		e.SetNet(network{system, t})
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
		e.SetIncludeLoopbackCandidate(true)
		e.SetIPFilter(net.IP.IsLoopback)
		e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
		e.LoggerFactory = &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	}, err
}

func (p *participant) close() { p.client.Close() }

// camera makes frames of the sizes of VP8 at 30 frames a second with a key frame each 2 s. Nobody decodes them.
type camera struct {
	rate int // bit/s
	n    int
	key  atomic.Bool
}

// newCamera is one of 720p.
func newCamera() (rtc.Source, error) { return &camera{rate: clipRate}, nil }

const (
	clipRate  = 2_000_000
	frameRate = 30
	keyEvery  = 2 * frameRate
)

func (c *camera) Codec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
}

func (c *camera) KeyFrame()    { c.key.Store(true) }
func (c *camera) Close() error { return nil }

func (c *camera) Next() (media.Sample, error) {
	key := c.key.Swap(false) || c.n%keyEvery == 0
	c.n++
	keySize := c.rate * 3 / 100 // bytes: 60,000 of the clip
	deltaSize := (2*c.rate/8 - keySize) / (keyEvery - 1)
	size := deltaSize/2 + rand.N(deltaSize)
	if key {
		size = keySize
	}
	frame := make([]byte, size)
	frame[0] = 1 // not a key frame (RFC 6386, 9.1)
	if key {
		copy(frame, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 1280 & 0xff, 1280 >> 8, 720 & 0xff, 720 >> 8})
	}
	return media.Sample{Data: frame, Duration: time.Second / frameRate}, nil
}
