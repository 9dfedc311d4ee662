package sfu

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"
)

// player makes a client that offers to receive. Its streams are in by mid.
func player(t *testing.T, s *SFU, kinds ...webrtc.RTPCodecType) *client {
	t.Helper()
	c := newClient(t, s, "player")
	for _, kind := range kinds {
		if _, err := c.sub.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	c.play(nil)
	return c
}

// play makes an offer, and takes the answer.
func (c *client) play(options *webrtc.OfferOptions) {
	c.t.Helper()
	o, err := c.sub.CreateOffer(options)
	if err != nil {
		c.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.sub)
	if err := c.sub.SetLocalDescription(o); err != nil {
		c.t.Fatal(err)
	}
	<-gathered
	answer, err := c.peer.Play(context.Background(), c.sub.LocalDescription().SDP)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.sub.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		c.t.Fatalf("%v in\n%s", err, answer)
	}
}

// TestPlayer: a player sees one stream, whoever is sent on it.
func TestPlayer(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	for _, c := range []*client{a, b} {
		c.publish(webrtc.MimeTypeOpus, "stream", "audio")
		c.publish(webrtc.MimeTypeVP8, "stream", "video")
	}
	screen := joined(t, s, "screen", false)
	screen.publish(webrtc.MimeTypeH264, "stream", "video")
	v := player(t, s, webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio)
	picture, sound := v.in("0"), v.in("1")
	of := func(c *client) []*Track { return []*Track{c.peer.Track("video"), c.peer.Track("audio")} }

	v.peer.Subscribe(append(of(a), of(b)...))
	picture.more(t, 30)
	sound.more(t, 30)
	const changes = 6
	for range changes / 2 { // there and back again
		v.peer.Subscribe(of(b))
		picture.more(t, 30)
		sound.more(t, 30)
		v.peer.Subscribe(of(a))
		picture.more(t, 30)
		sound.more(t, 30)
	}
	for _, in := range []*inbound{picture, sound} {
		in.mu.Lock()
		// A frame that was on its way at a change may stay without its end.
		if in.starts != 1 || in.torn > changes || in.holes() > fewHoles {
			t.Errorf("%d streams, %d frames torn, %d holes", in.starts, in.torn, in.holes())
		}
		in.mu.Unlock()
	}
	if f := v.peer.Figures(); len(f.Subscriptions) != 2 || f.Subscribe != webrtc.PeerConnectionStateConnected {
		t.Errorf("%+v", f)
	}

	v.play(&webrtc.OfferOptions{ICERestart: true})
	picture.more(t, 30)

	// Another codec goes on with the same stream, and a publisher that leaves makes room.
	v.peer.Subscribe([]*Track{screen.peer.Track("video"), a.peer.Track("audio")})
	packets := func() int {
		picture.mu.Lock()
		defer picture.mu.Unlock()
		return picture.packets
	}
	before := packets()
	eventually(t, "packets of another codec", func() bool { return packets() > before+30 })
	a.peer.Close()
	v.peer.Subscribe(of(b))
	sound.more(t, 30)

	if err := v.sub.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server knows of the player's end", func() bool { return v.lost(Subscribe) })
}

func TestPlayerRefusals(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	v := player(t, s, webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio)
	offer := v.sub.LocalDescription().SDP
	for name, text := range map[string]string{
		"garbage":        "garbage",
		"an encoder":     strings.ReplaceAll(offer, "recvonly", "sendonly"),
		"no codec":       strings.NewReplacer("VP8/", "X1/", "H264/", "X2/", "opus/", "X3/", "VP9/", "X4/", "AV1/", "X5/").Replace(offer),
		"no fingerprint": strings.ReplaceAll(offer, "a=fingerprint", "a=x"),
		"a bad one":      strings.ReplaceAll(offer, "sha-256 ", "sha-256 zz"),
	} {
		p := s.NewPeer(name, v)
		if _, err := p.Play(context.Background(), text); !errors.Is(err, ErrBadSDP) {
			t.Errorf("%s: %v", name, err)
		}
		p.Close()
		if _, err := p.Play(context.Background(), offer); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrBadSDP) {
			t.Errorf("%s, closed: %v", name, err)
		}
	}
	// Sections that cannot be played are refused, the others are not.
	p := s.NewPeer("half", v)
	defer p.Close()
	answer, err := p.Play(context.Background(), strings.ReplaceAll(offer, "opus/", "X/"))
	if err != nil || !strings.Contains(answer, "m=audio 0 ") || !strings.Contains(answer, "m=video 9 ") || strings.Contains(answer, "BUNDLE 0 1") {
		t.Errorf("%v\n%s", err, answer)
	}
}
