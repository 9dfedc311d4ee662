package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"amphi/wasm/rtc"
)

// endpoint is one of WHIP or WHEP.
type endpoint struct{ url, token string }

// web is a session of WHIP (RFC 9725) or WHEP, on a connection of pion's.
type web struct {
	pc      *webrtc.PeerConnection
	seen    *tap
	at      string // the session's URL
	token   string
	stop    chan struct{}
	sending sync.WaitGroup
}

func newWeb(seen *tap) (*web, error) {
	settings, err := seen.settings()
	if err != nil {
		return nil, err
	}
	var engine webrtc.SettingEngine
	settings(&engine)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("new peer connection: %w", err)
	}
	return &web{pc: pc, seen: seen, stop: make(chan struct{})}, nil
}

// open offers, and takes the answer.
func (w *web) open(ctx context.Context, to endpoint) error {
	offer, err := w.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("create offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(w.pc)
	if err := w.pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("set local description: %w", err)
	}
	<-gathered
	resp, answer, err := send(ctx, http.MethodPost, to.url, to.token, w.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s: %s", to.url, resp.Status, answer)
	}
	location, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		return fmt.Errorf("%s: location: %w", to.url, err)
	}
	w.at, w.token = location.String(), to.token
	if err := w.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("%s: answer: %w", to.url, err)
	}
	return nil
}

func send(ctx context.Context, method, to, token, body string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/sdp")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	const most = 1 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp, string(answer), err
}

func (w *web) close() {
	close(w.stop)
	if _, err := url.Parse(w.at); err == nil && w.at != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, _, _ = send(ctx, http.MethodDelete, w.at, w.token, "") // it ends with its connection too
	}
	_ = w.pc.GracefulClose()
	w.sending.Wait()
}

// play opens a session that receives.
func play(ctx context.Context, from endpoint, seen *tap) (*web, error) {
	w, err := newWeb(seen)
	if err != nil {
		return nil, err
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := w.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			w.close()
			return nil, fmt.Errorf("add transceiver: %w", err)
		}
	}
	if err := w.open(ctx, from); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// layer is one encoding of a video.
type layer struct {
	rid  string // empty: it is the only one
	rate int    // bit/s
}

// publish opens a session that sends video in those layers, and sound.
func publish(ctx context.Context, to endpoint, seen *tap, layers ...layer) (*web, error) {
	seen.publishes = true
	w, err := newWeb(seen)
	if err != nil {
		return nil, err
	}
	begin, err := w.add(layers)
	if err == nil {
		err = w.open(ctx, to)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	begin()
	return w, nil
}

// add adds a microphone and a camera; begin lets them send.
func (w *web) add(layers []layer) (begin func(), err error) {
	const stream = "clip"
	sound, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "sound", stream)
	if err != nil {
		return nil, err
	}
	if _, err := w.pc.AddTransceiverFromTrack(sound, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		return nil, err
	}
	var video *webrtc.RTPTransceiver
	var tracks []*webrtc.TrackLocalStaticRTP
	for _, l := range layers {
		var named []func(*webrtc.TrackLocalStaticRTP)
		if l.rid != "" {
			named = append(named, webrtc.WithRTPStreamID(l.rid))
		}
		track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", stream, named...)
		if err != nil {
			return nil, err
		}
		if video == nil {
			video, err = w.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		} else {
			err = video.Sender().AddEncoding(track)
		}
		if err != nil {
			return nil, err
		}
		tracks = append(tracks, track)
	}
	return func() {
		w.sending.Go(func() { w.speak(sound) })
		for i, l := range layers {
			c := &camera{rate: l.rate}
			w.sending.Go(func() { w.film(c, tracks[i], video) })
			go hear(video.Sender(), l.rid, c) // until the connection is closed
		}
	}, nil
}

// hear makes key frames when they are asked for.
func hear(sender *webrtc.RTPSender, rid string, c *camera) {
	for {
		var packets []rtcp.Packet
		var err error
		if rid == "" {
			packets, _, err = sender.ReadRTCP()
		} else {
			packets, _, err = sender.ReadSimulcastRTCP(rid)
		}
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				c.KeyFrame()
			}
		}
	}
}

// speak sends silence.
func (w *web) speak(track *webrtc.TrackLocalStaticSample) {
	source, err := rtc.Silence()
	if err != nil {
		return // it needs no device
	}
	for {
		sample, err := source.Next()
		if err != nil || !w.wait(sample.Duration) {
			return
		}
		_ = track.WriteSample(sample) // fails when the connection is closed, which stop tells
	}
}

// film sends a camera's frames.
func (w *web) film(c *camera, track *webrtc.TrackLocalStaticRTP, of *webrtc.RTPTransceiver) {
	ids := map[string]uint8{}
	for _, e := range of.Sender().GetParameters().HeaderExtensions {
		ids[e.URI] = uint8(e.ID)
	}
	packets := rtp.NewPacketizer(1200, 0, 0, &codecs.VP8Payloader{EnablePictureID: true}, rtp.NewRandomSequencer(), 90000)
	for {
		sample, err := c.Next()
		if err != nil || !w.wait(sample.Duration) {
			return
		}
		for _, p := range packets.Packetize(sample.Data, 90000/frameRate) {
			if rid := track.RID(); rid != "" { // RFC 8852: the section and the layer of it
				_ = p.SetExtension(ids[sdp.SDESMidURI], []byte(of.Mid()))
				_ = p.SetExtension(ids[sdp.SDESRTPStreamIDURI], []byte(rid))
			}
			_ = track.WriteRTP(p)
		}
	}
}

func (w *web) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.stop:
		return false
	}
}
