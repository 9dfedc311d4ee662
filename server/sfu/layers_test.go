package sfu

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// simulcast publishes the track v in three layers. Each frame carries ten times its number plus
// its layer: 0, 1, 2 for q, h, f, of 160, 320 and 640 kbit/s, and as many pixels in width. Layers above what is sent on the channel fall silent.
func (c *client) simulcast() (top chan<- int) {
	t := c.t
	t.Helper()
	var layers []*webrtc.TrackLocalStaticRTP
	var tr *webrtc.RTPTransceiver
	for _, rid := range []string{"q", "h", "f"} {
		l, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "v", "s", webrtc.WithRTPStreamID(rid))
		if err != nil {
			t.Fatal(err)
		}
		if tr == nil {
			tr, err = c.pub.AddTransceiverFromTrack(l, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		} else {
			err = tr.Sender().AddEncoding(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	c.infos = append(c.infos, TrackInfo{ID: "v", StreamID: "s", Kind: Video})
	answer := c.negotiate(nil)
	if !strings.Contains(answer, "a=simulcast:recv q;h;f") {
		t.Fatalf("the answer lacks simulcast:\n%s", answer)
	}
	stop, done, best := make(chan struct{}), make(chan struct{}), make(chan int)
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		ids := map[string]uint8{}
		for _, e := range tr.Sender().GetParameters().HeaderExtensions {
			ids[e.URI] = uint8(e.ID)
		}
		var ps []rtp.Packetizer
		for range layers {
			ps = append(ps, rtp.NewPacketizer(1200, 0, 0, &codecs.VP8Payloader{EnablePictureID: true}, rtp.NewRandomSequencer(), 90000))
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		top := 2
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case top = <-best:
			case <-tick.C:
			}
			for i, l := range layers[:top+1] {
				frame := makeFrame(webrtc.MimeTypeVP8, 10*n+i, 200<<i, n%20 == 0)
				if n%20 == 0 { // a width and a height, RFC 6386 §9.1
					binary.LittleEndian.PutUint16(frame[6:], 160<<i)
					binary.LittleEndian.PutUint16(frame[8:], 90<<i)
				}
				for _, p := range ps[i].Packetize(frame, 900) {
					_ = p.SetExtension(ids[extMid], []byte(tr.Mid()))
					_ = p.SetExtension(ids[extRID], []byte(l.RID()))
					_ = l.WriteRTP(p)
				}
			}
		}
	}()
	return best
}

// sees waits for frames of a layer of v, and no others come then.
func (c *client) sees(layer int) {
	c.t.Helper()
	in := c.in("v")
	eventually(c.t, "frames of that layer", func() bool { return in.count() > 0 && in.last()%10 == layer })
	before := in.count()
	in.more(c.t, 20)
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, n := range in.frames[before:] {
		if n%10 != layer {
			c.t.Errorf("frame %d came of another layer than %d", n, layer)
			return
		}
	}
}

// asks asks for a layer of v as soon as that is there.
func (c *client) asks(layer string) {
	c.t.Helper()
	eventually(c.t, "the subscription", func() bool { return c.prefer("v", layer)["error"] == nil })
}

// whole says whether the frames of v came in order, none of them torn and nothing left out.
func (c *client) whole() {
	c.t.Helper()
	in := c.in("v")
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.torn > 0 || in.holes() > fewHoles {
		c.t.Errorf("%d torn, %d holes", in.torn, in.holes())
	}
	for i, n := range in.frames[1:] {
		const apart = 10 // so far the layers, which are read one by one, may be from each other
		if n/10 < in.frames[i]/10-apart {
			c.t.Errorf("frame %d after %d", n, in.frames[i])
		}
	}
}

// A simulcast offer must work; the best layer that comes is forwarded.
func TestSimulcastForwardsTheBestLayer(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	best := a.simulcast()
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	in := b.in("v")
	for _, layer := range []int{2, 1, 2} {
		best <- layer
		eventually(t, "frames of that layer", func() bool { return in.count() > 0 && in.last()%10 == layer })
		in.more(t, 20)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.torn > 0 || in.holes() > fewHoles {
		t.Errorf("%d torn, %d holes", in.torn, in.holes())
	}
}

// Each subscriber gets the layer that it asks for, or the next lesser one, without a hole.
func TestSimulcastLayers(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b, c := joined(t, s, "a", false), joined(t, s, "b", false), joined(t, s, "c", false)
	top := a.simulcast()
	tap := a.peer.Track("v").Tap(TapConfig{})
	defer tap.Close()
	go func() {
		for range tap.Frames() {
		}
	}()
	for _, x := range []*client{b, c} {
		x.peer.Subscribe([]*Track{a.peer.Track("v")})
	}
	told := func(x *client, current, expected string) {
		t.Helper()
		x.event(func(m map[string]any) bool {
			params, _ := m["params"].(map[string]any)
			tracks, _ := params["tracks"].(map[string]any)
			v, _ := tracks["v"].(map[string]any)
			return m["method"] == "on-track-layer-update" && v["current_layer"] == current && v["expected_layer"] == expected
		})
	}
	b.asks("low")
	told(b, "low", "low")
	c.asks("high")
	b.sees(0)
	c.sees(2)
	b.asks("medium")
	b.sees(1)
	c.sees(2)
	b.asks("high")
	c.asks("low")
	b.sees(2)
	c.sees(0)
	top <- 0 // no better layer comes any more
	told(b, "low", "high")
	b.sees(0)
	b.asks("none")
	b.asks("medium")
	b.sees(0)
	top <- 2
	b.sees(1)
	b.whole()
	c.whole()
}
