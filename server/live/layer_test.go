package live

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"amphi/compositor/wire"
	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/room"
)

// Of a camera that comes in layers the one is decoded that is just large enough for its tile.
func TestLayerThatFitsTheTile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, realWorker(t), Config{}, func(t *policy.Template) {
		for _, d := range t.Destinations.HLS {
			d.Layers = []policy.HLSLayer{{Width: 320, Height: 180, VideoBitrate: 300}}
		}
	})
	r := h.open()
	publishLayers(t, r, map[string]string{"q": "160x90", "h": "320x180", "f": "640x360"})
	h.start(r)
	seen := func(width uint16) bool {
		w := h.stream(r.ID()).worker.Load()
		if w == nil || w.stats.Load() == nil {
			return false
		}
		return slices.ContainsFunc(w.stats.Load().Inputs, func(in wire.InputStats) bool { return in.Width == width })
	}
	h.until("the middle layer in a tile that fills the picture", func() bool { return seen(320) })
	for _, name := range []string{"ann", "bob", "cid"} { // four tiles of 152x84
		join(t, r, name)
	}
	h.until("the least layer in a fourth of it", func() bool { return seen(160) })
}

// publishLayers brings somebody on stage whose camera comes in layers of these sizes, without sound.
func publishLayers(t *testing.T, r *room.Room, sizes map[string]string) {
	t.Helper()
	p := &publisher{t: t, done: make(chan struct{})}
	var err error
	if p.peer, err = r.Connect(t.Context(), room.Identity{PeerID: "peer-layers", UserID: "layers", Role: policy.RoleBroadcaster}, mailbox{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.peer.Join(t.Context(), protocol.Join{Name: "layers"}); err != nil {
		t.Fatal(err)
	}
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	if err := webrtc.ConfigureSimulcastExtensionHeaders(&m); err != nil {
		t.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	if p.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(&m), webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.leave)
	type layer struct {
		local  *webrtc.TrackLocalStaticRTP
		frames [][]byte
		packer rtp.Packetizer
	}
	var layers []layer
	var tr *webrtc.RTPTransceiver
	for _, rid := range []string{"q", "h", "f"} {
		l, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "camera-layers", "stream-layers", webrtc.WithRTPStreamID(rid))
		if err != nil {
			t.Fatal(err)
		}
		if tr == nil {
			tr, err = p.pc.AddTransceiverFromTrack(l, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		} else {
			err = tr.Sender().AddEncoding(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		frames, err := vp8(sizes[rid], 300_000)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer{l, frames, rtp.NewPacketizer(1200, 0, 0, &codecs.VP8Payloader{EnablePictureID: true}, rtp.NewRandomSequencer(), 90000)})
	}
	p.tracks = map[string]protocol.Track{"camera-layers": {TrackID: "camera-layers", StreamID: "stream-layers", Kind: protocol.Video, Source: "regular"}}
	p.connect()
	ids := map[string]uint8{}
	for _, x := range tr.Sender().GetParameters().HeaderExtensions {
		ids[x.URI] = uint8(x.ID)
	}
	p.wg.Go(func() {
		tick := time.NewTicker(time.Second / 30)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-p.done:
				return
			case <-tick.C:
			}
			for _, l := range layers {
				for _, packet := range l.packer.Packetize(l.frames[n%len(l.frames)], 3000) {
					_ = packet.SetExtension(ids[sdp.SDESMidURI], []byte(tr.Mid()))
					_ = packet.SetExtension(ids[sdp.SDESRTPStreamIDURI], []byte(l.local.RID()))
					_ = l.local.WriteRTP(packet)
				}
			}
		}
	})
}
