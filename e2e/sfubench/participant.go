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

// join lets somebody into the room. A broadcaster publishes.
func (b *bench) join(ctx context.Context, role, name string) (*participant, error) {
	p := &participant{seen: &tap{sent: b.sent, publishes: role == "broadcaster", streams: make(map[uint32]*stream)}}
	system, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	config := client.Config{
		Engine: &rtc.Engine{Loopback: true, Settings: func(e *webrtc.SettingEngine) {
			e.SetNet(network{system, p.seen})
			e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
			e.SetIPFilter(net.IP.IsLoopback)
			e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
		}},
		Log: slog.New(slog.DiscardHandler),
	}
	if p.seen.publishes {
		config.Capture = &rtc.Capture{Video: newCamera, Audio: rtc.Silence}
	}
	p.client = client.New(config)
	err = p.client.Join(ctx, client.JoinConfig{
		AuthToken: b.server.Keys().AuthToken(b.room, role, name), UserName: name,
		InitEndpoint: b.server.URL, AutoVideoSubscribe: true,
	})
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func (p *participant) close() { p.client.Close() }

// camera makes frames of the sizes of 720p30 in VP8 at 2 Mbit/s with a key frame each 2 s. Nobody
// decodes them.
type camera struct {
	n   int
	key atomic.Bool
}

func newCamera() (rtc.Source, error) { return new(camera), nil }

const (
	frameRate = 30
	keyEvery  = 2 * frameRate
	keySize   = 60_000
	deltaSize = (2*2_000_000/8 - keySize) / (keyEvery - 1)
)

func (c *camera) Codec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
}

func (c *camera) KeyFrame()    { c.key.Store(true) }
func (c *camera) Close() error { return nil }

func (c *camera) Next() (media.Sample, error) {
	key := c.key.Swap(false) || c.n%keyEvery == 0
	c.n++
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
