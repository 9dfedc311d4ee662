package pull

import (
	"context"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"amphi/server/egress"
	"amphi/server/ingest"
)

// fetchRTSP reads a stream until the connection ends or the context does. All goes over the one TCP connection: UDP ports would have
// to be opened in firewalls, and let a server have us send to others.
func fetchRTSP(ctx context.Context, from *url.URL, allow egress.Rule, to *session) error {
	address, err := base.ParseURL(from.String())
	if err != nil {
		return err
	}
	transport := gortsplib.ProtocolTCP
	c := &gortsplib.Client{Scheme: address.Scheme, Host: address.Host, Protocol: &transport, UserAgent: "amphi",
		DialContext:   allow.Dialer(nil).DialContext,
		OnDecodeError: func(error) {}, OnPacketsLost: func(uint64) {}} // a picture that is damaged is seen
	if err := c.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.Close)
	defer func() {
		stop()
		c.Close()
	}()
	if err := play(c, address, to); err != nil {
		return err
	}
	return c.Wait()
}

// play asks for the pictures, and for the sound if it is one that can be taken.
func play(c *gortsplib.Client, address *base.URL, to *session) error {
	desc, _, err := c.Describe(address)
	if err != nil {
		return err
	}
	var video *format.H264
	camera := desc.FindFormat(&video)
	if camera == nil {
		return ingest.ErrNoH264
	}
	pictures, err := video.CreateDecoder()
	if err != nil {
		return err
	}
	to.parameters(video.SPS, video.PPS)
	if _, err := c.Setup(desc.BaseURL, camera, 0, 0); err != nil {
		return err
	}
	c.OnPacketRTP(camera, video, func(p *rtp.Packet) {
		at, ok := c.PacketPTS(camera, p)
		if !ok {
			return
		}
		if nalus, err := pictures.Decode(p); err == nil { // or more of it is to come
			to.video(duration(at, video.ClockRate()), nalus)
		}
	})
	var aac *format.MPEG4Audio
	var opus *format.Opus
	if microphone := desc.FindFormat(&aac); microphone != nil && aac.Config != nil {
		config, err := aac.Config.Marshal()
		if err != nil {
			return err
		}
		sounds, err := aac.CreateDecoder()
		if err != nil {
			return err
		}
		if _, err := c.Setup(desc.BaseURL, microphone, 0, 0); err != nil {
			return err
		}
		c.OnPacketRTP(microphone, aac, func(p *rtp.Packet) {
			at, ok := c.PacketPTS(microphone, p)
			if !ok {
				return
			}
			if units, err := sounds.Decode(p); err == nil {
				aacs(to, duration(at, aac.ClockRate()), config, aac.Config.SampleRate, units)
			}
		})
	} else if microphone := desc.FindFormat(&opus); microphone != nil {
		if _, err := c.Setup(desc.BaseURL, microphone, 0, 0); err != nil {
			return err
		}
		c.OnPacketRTP(microphone, opus, func(p *rtp.Packet) {
			if at, ok := c.PacketPTS(microphone, p); ok {
				to.opus(duration(at, opus.ClockRate()), p.Payload)
			}
		})
	}
	_, err = c.Play(nil)
	return err
}

// aacs gives on access units that follow each other.
func aacs(to *session, at time.Duration, config []byte, rate int, units [][]byte) {
	for i, unit := range units {
		to.aac(at+time.Duration(i*mpeg4audio.SamplesPerAccessUnit)*time.Second/time.Duration(rate), config, unit)
	}
}

// duration is a time in ticks of a clock.
func duration(ticks int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(ticks/r)*time.Second + time.Duration(ticks%r)*time.Second/time.Duration(r)
}
