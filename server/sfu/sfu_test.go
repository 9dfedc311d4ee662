package sfu

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"amphi/server/sfu/transport"
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
				if in.torn > 0 || in.holes() > fewHoles {
					t.Errorf("%s: %d torn frames, %d holes", in.stream, in.torn, in.holes())
				}
				for i := range in.frames[1:] {
					if next, last := in.frames[i+1], in.frames[i]; next <= last || next > last+fewHoles {
						t.Errorf("frame %d after %d", next, last)
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
			// Reports let the subscriber align sound and picture: they tell the
			// publisher's clock, which here is ours, at the forwarded
			// timestamps.
			for _, in := range all {
				eventually(t, "a sender report", func() bool {
					in.mu.Lock()
					defer in.mu.Unlock()
					return len(in.reports) > 0
				})
				in.mu.Lock()
				rate := 90000
				if in.codec == webrtc.MimeTypeOpus {
					rate = 48000
				}
				r := in.reports[len(in.reports)-1]
				behind := time.Duration(int32(in.lastTS-r.RTPTime)) * time.Second / time.Duration(rate)
				if off := ntpTime(r.NTPTime).Add(behind).Sub(in.lastAt).Abs(); off > 5*time.Second {
					t.Errorf("%s: a packet is %v from its time by the report", in.codec, off)
				}
				in.mu.Unlock()
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

// Who joins soon after a key frame starts with that one: the next may not be asked for yet.
func TestJoinAfterAKeyFrame(t *testing.T) {
	t.Parallel()
	for _, mime := range []string{webrtc.MimeTypeVP8, webrtc.MimeTypeH264} {
		t.Run(strings.TrimPrefix(mime, "video/"), func(t *testing.T) {
			s, err := newSFU(Config{Loopback: true, KeyFrameInterval: time.Minute, Log: quiet()}, testTiming)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			a := joined(t, s, "a", false)
			o := a.add(mime, "s", "v")
			o.period = 60 * time.Millisecond // the cache holds ten seconds of it
			a.negotiate(nil)
			o.start()
			for _, id := range []string{"b", "c", "d"} {
				b := joined(t, s, id, true)
				b.peer.Subscribe([]*Track{a.peer.Track("v")})
				in := b.in("v")
				in.more(t, 10)
				in.mu.Lock()
				for i, n := range in.frames {
					if n != in.frames[0]+i {
						t.Errorf("%s got the frames %v", id, in.frames)
						break
					}
				}
				if in.keys == 0 || in.torn > 0 {
					t.Errorf("%s: %d key frames, %d torn", id, in.keys, in.torn)
				}
				in.mu.Unlock()
			}
			if n := o.plis.Load(); n > 1 {
				t.Errorf("the publisher was asked %d times", n)
			}
		})
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
	if in.holes() > fewHoles || in.torn != 0 || in.keys < 4 {
		t.Errorf("%d holes, %d torn, %d key frames", in.holes(), in.torn, in.keys)
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
	if audio.holes() > fewHoles {
		t.Errorf("%d holes in audio", audio.holes())
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
	if a.peer.SendEvent(make([]byte, transport.MaxBuffered+1)) || newClient(t, s, "c").peer.SendEvent([]byte("{}")) {
		t.Error("event over the limit, or without a channel, was sent")
	}
	if st := s.Stats(); st.BadMessages < 5 || st.DroppedEvents != 2 {
		t.Errorf("%+v", st)
	}
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
	if n := o.plis.Load(); n > 0 {
		t.Errorf("%d key frames of sound were asked for", n)
	}
	o.pause.Store(true)
	eventually(t, "silence", func() bool { level, _ := track.Level(); return level == 127 })
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
