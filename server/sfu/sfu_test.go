package sfu

import (
	"testing"

	"github.com/pion/webrtc/v4"
)

func TestTwoPeersSeeAndHearEachOther(t *testing.T) {
	for _, mime := range []string{webrtc.MimeTypeVP8, webrtc.MimeTypeH264} {
		t.Run(mime, func(t *testing.T) {
			s := testSFU(t)
			a, b := newClient(t, s, "a"), newClient(t, s, "b")
			for _, c := range []*client{a, b} {
				c.negotiate(nil) // data channel only, as join does it
				c.peer.StartSubscribe(false)
			}
			a.publish(webrtc.MimeTypeOpus, "streamA", "audioA")
			a.publish(mime, "streamA", "videoA")
			b.publish(webrtc.MimeTypeOpus, "streamB", "audioB")
			b.publish(mime, "streamB", "videoB")
			a.subscribe(b.peer.Track("audioB"), b.peer.Track("videoB"))
			b.subscribe(a.peer.Track("audioA"), a.peer.Track("videoA"))
			for _, in := range []*inbound{a.in("audioB"), a.in("videoB"), b.in("audioA"), b.in("videoA")} {
				in.more(t, 50)
				in.mu.Lock()
				if in.torn > 0 || in.back > 0 {
					t.Errorf("%s: %d torn frames, %d gaps", in.stream, in.torn, in.back)
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
		})
	}
}
