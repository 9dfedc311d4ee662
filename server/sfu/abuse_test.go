package sfu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

func TestGarbageAtThePort(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	b.in("v").more(t, 3)
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck
	for i := range 300 {
		g := make([]byte, rand.IntN(1400))
		for j := range g {
			g[j] = byte(rand.Uint32())
		}
		if len(g) > 20 {
			switch i % 3 {
			case 0: // looks like STUN
				copy(g, "\x00\x01\x00\x08\x21\x12\xa4\x42")
			case 1: // like DTLS
				copy(g, "\x16\xfe\xfd")
			case 2: // like RTP
				g[0] = 0x80
			}
		}
		if _, err := conn.Write(g); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "garbage counted", func() bool { return s.Stats().DroppedGarbage > 100 })
	b.in("v").more(t, 10)
}

func TestUnofferedCodecIsDropped(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	o := a.add(webrtc.MimeTypeVP8, "s", "v")
	a.negotiate(nil)
	raw := &rawTrack{TrackLocalStaticRTP: o.local}
	if err := o.sender.ReplaceTrack(raw); err != nil {
		t.Fatal(err)
	}
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	eventually(t, "drops", func() bool {
		for _, pt := range []uint8{45, 100, 126} {
			raw.write(pt, makeFrame(webrtc.MimeTypeVP8, 1, 100, true))
		}
		return s.Stats().DroppedCodec > 20
	})
	if n := b.in("v").count(); n != 0 {
		t.Errorf("%d frames came through", n)
	}
	// The track itself is unharmed.
	if err := o.sender.ReplaceTrack(o.local); err != nil {
		t.Fatal(err)
	}
	o.start()
	b.in("v").more(t, 5)
}

// rawTrack sends what it likes.
type rawTrack struct {
	*webrtc.TrackLocalStaticRTP
	mu  sync.Mutex
	w   webrtc.TrackLocalWriter
	h   rtp.Header
	seq uint16
}

func (r *rawTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.w, r.h.SSRC = c.WriteStream(), uint32(c.SSRC())
	return c.CodecParameters()[0], nil
}

func (r *rawTrack) Unbind(webrtc.TrackLocalContext) error { return nil }

func (r *rawTrack) write(pt uint8, frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	h := rtp.Header{Version: 2, PayloadType: pt, SSRC: r.h.SSRC, SequenceNumber: r.seq, Timestamp: uint32(r.seq) * 900, Marker: true}
	_, _ = r.w.WriteRTP(&h, append([]byte{0x10}, frame...))
}

func TestBadInputLeavesTheConnectionAlone(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	b.in("v").more(t, 3)
	good := a.pub.LocalDescription().SDP
	ctx := context.Background()
	for _, sdp := range []string{
		"", "hello", "v=0", strings.Repeat("a", maxSDP+1),
		strings.ReplaceAll(good, "a=mid:", "a=mud:"),
		strings.ReplaceAll(good, "a=ice-ufrag", "a=ice-xfrag"),
		strings.ReplaceAll(good, "a=fingerprint", "a=fingerpaint"),
		strings.ReplaceAll(good, "a=mid:1", "a=mid:0"),
		strings.ReplaceAll(good, "a=setup:actpass", "a=setup:nonsense"),
	} {
		if _, err := a.peer.Publish(ctx, sdp, nil); !errors.Is(err, ErrBadSDP) {
			t.Errorf("%.40q: %v", sdp, err)
		}
	}
	if _, err := a.peer.Publish(ctx, good, []TrackInfo{{ID: "a b", StreamID: "s", Kind: Video}}); !errors.Is(err, ErrBadTracks) {
		t.Error(err)
	}
	if _, err := a.peer.Publish(ctx, good, make([]TrackInfo, maxTracks+1)); !errors.Is(err, ErrBadTracks) {
		t.Error(err)
	}
	for _, sdp := range []string{"", "v=0", good} {
		if err := b.peer.Answer(sdp); err == nil {
			t.Errorf("answer %.20q accepted", sdp)
		}
	}
	for _, c := range []string{"candidate:nonsense", strings.Repeat("x", 600)} {
		if err := a.peer.Candidate(Publish, webrtc.ICECandidateInit{Candidate: c}); !errors.Is(err, ErrBadCandidate) {
			t.Errorf("%.30q: %v", c, err)
		}
	}
	if err := a.peer.Candidate(Publish, webrtc.ICECandidateInit{}); err != nil {
		t.Errorf("the empty candidate: %v", err)
	}
	b.in("v").more(t, 10)
	if st := s.Stats(); st.BadSDP < 10 || st.DroppedCandidates != 2 {
		t.Errorf("%+v", st)
	}
	a.publish(webrtc.MimeTypeOpus, "s", "a") // and renegotiation goes on
}

func TestCandidateFlood(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	c := newClient(t, s, "c")
	flood := func(target Target) (refused int) {
		for i := range 2 * maxCandidates {
			cand := fmt.Sprintf("candidate:1 1 udp 2122260223 127.0.0.1 %d typ host", 1024+i)
			if err := c.peer.Candidate(target, webrtc.ICECandidateInit{Candidate: cand}); errors.Is(err, ErrTooMany) {
				refused++
			}
		}
		return refused
	}
	if n := flood(Publish); n != maxCandidates {
		t.Errorf("%d refused before the first offer", n)
	}
	c.negotiate(nil)
	if n := flood(Publish); n < maxCandidates {
		t.Errorf("%d refused", n)
	}
	c.peer.StartSubscribe(true)
	flood(Subscribe)
	eventually(t, "the flood to be dropped", func() bool { return s.Stats().DroppedCandidates >= 3*maxCandidates })
	c.call("prefer-audio-track-state", nil) // it connected all the same
}
