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
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// joined makes a client with both connections up, as after a join.
func joined(t testing.TB, s *SFU, id string, autoVideo bool) *client {
	t.Helper()
	c := newClient(t, s, id)
	c.negotiate(nil) // data channel only, as join does it
	c.peer.StartSubscribe(autoVideo)
	return c
}

func TestTwoPeersSeeAndHearEachOther(t *testing.T) {
	t.Parallel()
	for _, mime := range []string{webrtc.MimeTypeVP8, webrtc.MimeTypeH264} {
		t.Run(strings.TrimPrefix(mime, "video/"), func(t *testing.T) {
			s := testSFU(t)
			a, b := joined(t, s, "a", false), joined(t, s, "b", false)
			a.publish(webrtc.MimeTypeOpus, "streamA", "audioA")
			a.publish(mime, "streamA", "videoA")
			b.publish(webrtc.MimeTypeOpus, "streamB", "audioB")
			b.publish(mime, "streamB", "videoB")
			a.subscribe(b.peer.Track("audioB"), b.peer.Track("videoB"))
			b.subscribe(a.peer.Track("audioA"), a.peer.Track("videoA"))
			all := []*inbound{a.in("audioB"), a.in("videoB"), b.in("audioA"), b.in("videoA")}
			for _, in := range all {
				eventually(t, "50 frames", func() bool { return in.count() >= 50 })
			}
			for _, in := range all {
				in.mu.Lock()
				if in.torn > 0 || in.gaps > 0 {
					t.Errorf("%s: %d torn frames, %d gaps", in.stream, in.torn, in.gaps)
				}
				for i := range in.frames[1:] {
					if in.frames[i+1] != in.frames[i]+1 {
						t.Errorf("frame %d after %d", in.frames[i+1], in.frames[i])
					}
				}
				in.mu.Unlock()
			}
			if in := a.in("videoB"); in.stream != "streamB" || in.codec != mime {
				t.Errorf("stream %q, codec %q", in.stream, in.codec)
			}
			st := s.Stats()
			if st.Peers != 2 || st.PublishConnected != 2 || st.SubscribeConnected != 2 || st.Tracks != 4 || st.Subscriptions != 4 {
				t.Errorf("%+v", st)
			}
			if a.peer.State(Publish) != webrtc.PeerConnectionStateConnected || a.peer.State(Subscribe) != webrtc.PeerConnectionStateConnected {
				t.Errorf("states %v, %v", a.peer.State(Publish), a.peer.State(Subscribe))
			}
			// Reports let the subscriber align sound and picture.
			for _, in := range all {
				eventually(t, "a sender report", func() bool {
					in.mu.Lock()
					defer in.mu.Unlock()
					return len(in.reports) > 0
				})
			}
		})
	}
}

// One connection gets tracks of both codecs: the section of the first must
// not rule the second out.
func TestBothVideoCodecsOnOneConnection(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, a2, b := joined(t, s, "a", false), joined(t, s, "a2", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s1", "v1")
	b.peer.Subscribe([]*Track{a.peer.Track("v1")})
	b.in("v1").more(t, 5)
	a2.publish(webrtc.MimeTypeH264, "s2", "v2")
	b.peer.Subscribe([]*Track{a.peer.Track("v1"), a2.peer.Track("v2")})
	b.in("v2").more(t, 5)
	if c := b.in("v2").codec; c != webrtc.MimeTypeH264 {
		t.Errorf("codec %q", c)
	}
}

func TestSubscriberWithoutTheCodec(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, a2 := joined(t, s, "a", false), joined(t, s, "a2", false)
	b := newClient(t, s, "b", func(m *webrtc.MediaEngine) {
		for pt, p := range map[webrtc.PayloadType]webrtc.RTPCodecCapability{
			96:  {MimeType: webrtc.MimeTypeVP8, ClockRate: 90000},
			111: {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
		} {
			kind := webrtc.RTPCodecTypeVideo
			if pt == 111 {
				kind = webrtc.RTPCodecTypeAudio
			}
			if err := m.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: p, PayloadType: pt}, kind); err != nil {
				t.Fatal(err)
			}
		}
	})
	b.negotiate(nil)
	b.peer.StartSubscribe(true)
	a.publish(webrtc.MimeTypeH264, "s", "h264")
	a.publish(webrtc.MimeTypeOpus, "s", "audio")
	b.peer.Subscribe([]*Track{a.peer.Track("h264"), a.peer.Track("audio")})
	b.in("audio").more(t, 5)
	eventually(t, "counted as unsupported", func() bool { return s.Stats().Unsupported == 1 })
	// The connection goes on for what it can decode.
	a2.publish(webrtc.MimeTypeVP8, "s2", "vp8")
	b.peer.Subscribe([]*Track{a.peer.Track("h264"), a.peer.Track("audio"), a2.peer.Track("vp8")})
	b.in("vp8").more(t, 5)
	if n := b.in("h264").count(); n != 0 {
		t.Errorf("%d frames of H.264", n)
	}
}

func TestLateJoinGetsAKeyFrame(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	o := a.publish(webrtc.MimeTypeVP8, "s", "v")
	eventually(t, "media", func() bool { return o.sent.Load() > 20 })
	b := joined(t, s, "b", true)
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	in := b.in("v")
	in.more(t, 10)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.frames[0] == 0 || in.keys == 0 || in.torn > 0 {
		t.Errorf("first frame %d, %d key frames, %d torn", in.frames[0], in.keys, in.torn)
	}
	if o.plis.Load() == 0 {
		t.Error("the publisher was not asked")
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	o := a.add(webrtc.MimeTypeVP8, "s", "v")
	o.size = 600 // one packet a frame
	a.negotiate(nil)
	o.start()
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b.peer.Subscribe([]*Track{a.peer.Track("v"), a.peer.Track("a")})
	in, audio := b.in("v"), b.in("a")
	audio.more(t, 10) // by default
	if n := in.count(); n != 0 {
		t.Fatalf("%d frames of video unasked", n)
	}
	b.prefer("v", "high")
	in.more(t, 10)
	for range 3 {
		b.prefer("v", "none")
		time.Sleep(50 * time.Millisecond) // what is under way arrives
		before := in.count()
		plis := o.plis.Load()
		sent := o.sent.Load()
		eventually(t, "the publisher to go on", func() bool { return o.sent.Load() > sent+20 })
		if n := in.count() - before; n > 0 {
			t.Errorf("%d frames while paused", n)
		}
		b.prefer("v", "low")
		in.more(t, 10)
		if o.plis.Load() == plis {
			t.Error("no key frame was asked for")
		}
	}
	in.mu.Lock()
	if in.gaps != 0 || in.torn != 0 || in.keys < 4 {
		t.Errorf("%d gaps, %d torn, %d key frames", in.gaps, in.torn, in.keys)
	}
	in.mu.Unlock()

	b.call("prefer-audio-track-state", map[string]any{"track_id": "a", "subscribed": false})
	time.Sleep(50 * time.Millisecond)
	before := audio.count()
	in.more(t, 20)
	if n := audio.count() - before; n > 0 {
		t.Errorf("%d packets of muted audio", n)
	}
	b.call("prefer-audio-track-state", map[string]any{"track_id": "a", "subscribed": true})
	audio.more(t, 10)
	audio.mu.Lock()
	defer audio.mu.Unlock()
	if audio.gaps != 0 {
		t.Errorf("%d gaps in audio", audio.gaps)
	}
}

func TestChannel(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b.peer.Subscribe([]*Track{a.peer.Track("a")})
	b.in("a").more(t, 1)
	for _, tt := range []struct {
		method string
		params map[string]any
		code   float64 // 0: success
	}{
		{"prefer-audio-track-state", map[string]any{"track_id": "a", "subscribed": true}, 0},
		{"prefer-audio-track-state", map[string]any{"track_id": "a"}, 400},
		{"prefer-audio-track-state", map[string]any{"track_id": "b", "subscribed": true}, 404},
		{"prefer-video-track-state", map[string]any{"track_id": "a", "max_spatial_layer": "high"}, 404},
		{"prefer-video-track-state", map[string]any{"track_id": "a", "max_spatial_layer": "huge"}, 400},
		{"prefer-video-track-state", map[string]any{"track_id": 1}, 400},
		{"make-coffee", nil, 400},
	} {
		if tt.method == "prefer-video-track-state" && tt.params["track_id"] == 1 {
			// A message of a wrong type has an answer too, without an id if
			// there is none to be had.
			b.mu.Lock()
			dc := b.dc
			b.mu.Unlock()
			for _, text := range []string{`{"id":5}`, `[]`, `{`, "", strings.Repeat("x", maxMessage+1)} {
				if err := dc.SendText(text); err != nil {
					t.Fatal(err)
				}
				b.event(func(m map[string]any) bool { return m["id"] == "" && m["error"] != nil })
			}
			continue
		}
		r := b.call(tt.method, tt.params)
		e, _ := r["error"].(map[string]any)
		switch {
		case r["jsonrpc"] != "2.0",
			tt.code == 0 && (e != nil || r["result"] == nil),
			tt.code != 0 && (e == nil || e["code"] != tt.code || r["result"] != nil):
			t.Errorf("%s %v: %v", tt.method, tt.params, r)
		}
	}
	if !b.peer.SendEvent([]byte(`{"method":"active-speakers","params":{}}`)) {
		t.Error("event not sent")
	}
	b.event(func(m map[string]any) bool { return m["method"] == "active-speakers" })
	if a.peer.SendEvent(make([]byte, maxBuffered+1)) || newClient(t, s, "c").peer.SendEvent([]byte("{}")) {
		t.Error("event over the limit, or without a channel, was sent")
	}
	if st := s.Stats(); st.BadMessages < 5 || st.DroppedEvents != 2 {
		t.Errorf("%+v", st)
	}
}

func TestRemovedSectionsAreReused(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	keep := a.publish(webrtc.MimeTypeVP8, "s0", "keep")
	for round := range 4 {
		id := fmt.Sprintf("v%d", round)
		o := a.publish(webrtc.MimeTypeVP8, "stream-"+id, id)
		b.peer.Subscribe([]*Track{a.peer.Track("keep"), a.peer.Track(id)})
		b.in(id).more(t, 5)
		if got := b.in(id).stream; got != "stream-"+id {
			t.Errorf("stream %q of %s", got, id)
		}
		gone := a.peer.Track(id)
		o.remove()
		a.negotiate(nil)
		if a.peer.Track(id) != nil || !gone.Closed() {
			t.Error("the track is still there")
		}
		b.peer.Subscribe([]*Track{a.peer.Track("keep")})
		eventually(t, "an inactive section", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return strings.Count(b.offers[len(b.offers)-1], "a=inactive") == 1 && b.pending == 0
		})
	}
	b.mu.Lock()
	last := b.offers[len(b.offers)-1]
	overlap := b.overlap
	b.mu.Unlock()
	if n := strings.Count(last, "m=video"); n != 2 {
		t.Errorf("%d video sections after four rounds", n)
	}
	if overlap {
		t.Error("two offers at once")
	}
	b.in("keep").more(t, 5)
	if n := a.peer.Track("keep"); n == nil || keep.sent.Load() == 0 {
		t.Error("the other track did not survive")
	}
}

// Many wishes at once end in what was wished last, without two offers at a
// time and without a section for every wish.
func TestSubscriptionsRace(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	var tracks []*Track
	for i := range 4 {
		mime := webrtc.MimeTypeVP8
		if i%2 == 1 {
			mime = webrtc.MimeTypeOpus
		}
		id := fmt.Sprintf("t%d", i)
		a.publish(mime, "s-"+id, id)
		tracks = append(tracks, a.peer.Track(id))
	}
	b := joined(t, s, "b", true)
	// A pion client sets its receivers up after it answered, and loses one
	// that changes before.
	b.think.Store(int64(20 * time.Millisecond))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				b.peer.Subscribe(tracks[:rand.IntN(len(tracks)+1)])
				if rand.IntN(8) == 0 {
					b.peer.RestartICE()
				}
				time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	b.peer.Subscribe(tracks)
	for i := range tracks {
		b.in(fmt.Sprintf("t%d", i)).more(t, 3)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.overlap {
		t.Error("two offers at once")
	}
	if n := strings.Count(b.offers[len(b.offers)-1], "m=video") + strings.Count(b.offers[len(b.offers)-1], "m=audio"); n > 2*len(tracks) {
		t.Errorf("%d sections for %d tracks", n, len(tracks))
	}
}

func TestICERestarts(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	in := b.in("v")
	in.more(t, 5)
	track := a.peer.Track("v")
	a.negotiate(&webrtc.OfferOptions{ICERestart: true})
	in.more(t, 20)
	if a.peer.Track("v") != track {
		t.Error("another track after an ICE restart")
	}
	b.peer.RestartICE()
	eventually(t, "the restart", func() bool { return s.Stats().ICERestarts == 1 })
	in.more(t, 20)
	b.mu.Lock()
	defer b.mu.Unlock()
	first, last := b.offers[0], b.offers[len(b.offers)-1]
	if ufragOf(first) == ufragOf(last) {
		t.Error("the credentials are the same")
	}
}

func ufragOf(sdp string) string {
	_, rest, _ := strings.Cut(sdp, "a=ice-ufrag:")
	ufrag, _, _ := strings.Cut(rest, "\r\n")
	return ufrag
}

// When the path breaks, the subscribe side restarts by itself, with an offer.
func TestBrokenPathIsRestarted(t *testing.T) {
	t.Parallel()
	s := timedSFU(t, hastyTiming)
	a := joined(t, s, "a", false)
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b := joined(t, s, "b", true)
	b.peer.Subscribe([]*Track{a.peer.Track("a")})
	b.in("a").more(t, 3)
	b.mute.Store(true) // and the client is not to answer
	b.mu.Lock()
	sub, n := b.sub, len(b.offers)
	b.mu.Unlock()
	// Cut it: an agent that is gone answers no checks.
	sub.SCTP().Transport().ICETransport().Stop() //nolint:errcheck
	eventually(t, "a restart offer", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.offers) > n && ufragOf(b.offers[len(b.offers)-1]) != ufragOf(b.offers[0])
	})
	eventually(t, "giving up", func() bool { return b.lost(Subscribe) })
	if s.Stats().UnansweredOffers == 0 {
		t.Error("the unanswered offer was not counted")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.offers) != n+1 {
		t.Errorf("%d offers without an answer", len(b.offers)-n)
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b := newClient(t, s, "b")
	b.mute.Store(true)
	b.negotiate(nil)
	b.peer.StartSubscribe(true)
	b.peer.Subscribe([]*Track{a.peer.Track("a")})
	eventually(t, "the first offer", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.offers) == 1 })
	b.mute.Store(false) // the socket was replaced
	b.peer.Resend()
	b.in("a").more(t, 3)
	b.mu.Lock()
	same := len(b.offers) > 1 && b.offers[0] == b.offers[1]
	sdp := b.sub.LocalDescription().SDP
	b.mu.Unlock()
	if !same {
		t.Error("not the same offer")
	}
	// The answer to the first one may come as well; nothing happens.
	if err := b.peer.Answer(sdp); !errors.Is(err, ErrUnexpectedAnswer) {
		t.Errorf("second answer: %v", err)
	}
	n := b.in("a")
	n.more(t, 5)
}

// A client that lost everything makes new connections (protocol: migration).
func TestNewConnectionsOfTheClient(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	o := a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.publish(webrtc.MimeTypeOpus, "sb", "ab")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	a.peer.Subscribe([]*Track{b.peer.Track("ab")})
	b.in("v").more(t, 5)
	a.in("ab").more(t, 5)

	t.Run("publish only", func(t *testing.T) {
		track := a.peer.Track("v")
		o.halt()
		old := a.pub
		a.newPub()
		a.negotiate(nil)
		a.publish(webrtc.MimeTypeVP8, "s", "v")
		_ = old.GracefulClose()
		if !track.Closed() {
			t.Error("the first offer named no track, yet it lives")
		}
		b.peer.Subscribe([]*Track{a.peer.Track("v")})
		b.in("v").more(t, 5)
		a.in("ab").more(t, 5) // the subscribe side did not notice
	})
	t.Run("both", func(t *testing.T) {
		a.mu.Lock()
		pub, sub := a.pub, a.sub
		a.mu.Unlock()
		_ = pub.GracefulClose()
		_ = sub.GracefulClose()
		a.newPub()
		a.newSub()
		a.negotiate(nil)
		a.in("ab").more(t, 5)
	})
}

func TestLossIsRepaired(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	o := a.add(webrtc.MimeTypeVP8, "s", "v")
	a.negotiate(nil)
	lossy := func() *func(*rtp.Header) bool {
		var mu sync.Mutex
		n := 0
		seen := map[uint32]bool{}
		f := func(h *rtp.Header) bool {
			mu.Lock()
			defer mu.Unlock()
			// Every 10th video packet, at its first transmission.
			id := h.SSRC ^ uint32(h.SequenceNumber)<<13
			if h.PayloadType == 111 || seen[id] {
				return false
			}
			seen[id] = true
			n++
			return n%10 == 0
		}
		return &f
	}
	a.loseOut.Store(lossy())
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	o.start()
	in := b.in("v")
	eventually(t, "100 frames in spite of upstream loss", func() bool { return in.count() >= 100 })
	a.loseOut.Store(nil)
	b.loseIn.Store(lossy())
	in.more(t, 100)
	b.loseIn.Store(nil)
	in.more(t, 20)
	in.mu.Lock()
	defer in.mu.Unlock()
	missing := 0
	for i := range in.frames[1:] {
		missing += in.frames[i+1] - in.frames[i] - 1
	}
	if missing > len(in.frames)/20 || in.torn > 0 {
		t.Errorf("%d frames missing of %d, %d torn", missing, len(in.frames), in.torn)
	}
	st := s.Stats()
	if st.NACKsOut == 0 || st.NACKsIn == 0 || st.Retransmitted == 0 {
		t.Errorf("%+v", st)
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	o := a.publish(webrtc.MimeTypeOpus, "s", "a")
	track := a.peer.Track("a")
	if level, active := track.Level(); level != 127 || active {
		t.Errorf("silent: %d, %v", level, active)
	}
	o.level.Store(0x80 | 30)
	eventually(t, "voice", func() bool { level, active := track.Level(); return level == 30 && active })
	o.level.Store(80)
	eventually(t, "noise", func() bool { level, active := track.Level(); return level == 80 && !active })
	b.peer.Subscribe([]*Track{track})
	in := b.in("a")
	in.more(t, 5)
	in.mu.Lock()
	if in.levels == 0 {
		t.Error("subscribers get no levels")
	}
	in.mu.Unlock()
	o.pause.Store(true)
	eventually(t, "silence", func() bool { level, _ := track.Level(); return level == 127 })
}

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

func TestRefusedTracks(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	a.add(webrtc.MimeTypeVP8, "s", "allowed")
	a.add(webrtc.MimeTypeVP8, "s", "forbidden")
	a.mu.Lock()
	a.infos = a.infos[:1]
	a.mu.Unlock()
	answer := a.negotiate(nil)
	if n := strings.Count(answer, "a=inactive"); n != 1 {
		t.Errorf("%d sections refused:\n%s", n, answer)
	}
	if n := strings.Count(answer, "a=rtpmap"); n != 4 {
		t.Errorf("%d formats in the answer, want one codec and its RTX in each section:\n%s", n, answer)
	}
	if a.peer.Track("allowed") == nil || a.peer.Track("forbidden") != nil {
		t.Error("wrong tracks")
	}
	// Later it is allowed.
	a.mu.Lock()
	a.infos = append(a.infos, TrackInfo{ID: "forbidden", StreamID: "s", Kind: Video})
	a.mu.Unlock()
	if answer = a.negotiate(nil); strings.Contains(answer, "a=inactive") || a.peer.Track("forbidden") == nil {
		t.Error("still refused")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	s, err := newSFU(Config{Loopback: true, Log: quiet()}, testTiming)
	if err != nil {
		t.Fatal(err)
	}
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	track := a.peer.Track("v")
	b.peer.Subscribe([]*Track{track})
	tap := track.Tap(TapConfig{})
	b.in("v").more(t, 3)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range tap.Frames() {
	}
	if !track.Closed() {
		t.Error("the track is open")
	}
	st := s.Stats()
	if st.Peers != 0 || st.Tracks != 0 || st.Subscriptions != 0 || st.PublishConnected != 0 || st.SubscribeConnected != 0 {
		t.Errorf("%+v", st)
	}
	if _, err := a.peer.Publish(context.Background(), a.pub.LocalDescription().SDP, nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if p := s.NewPeer("late", a); p.Candidate(Publish, webrtc.ICECandidateInit{Candidate: "candidate:1 1 udp 1 127.0.0.1 1 typ host"}) == nil {
		t.Error("a peer of a closed SFU takes candidates")
	}
}
