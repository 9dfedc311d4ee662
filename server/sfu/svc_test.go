package sfu

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

// layerSize is the size, in bytes, of a spatial layer's frame in these tests.
const layerSize = 3000

// wholePictures has the frames of all spatial layers of a picture put together.
type wholePictures struct{ *codecs.VP9Packet }

// IsPartitionHead is part of rtp.Depacketizer: a picture begins with the lowest layer's frame.
func (wholePictures) IsPartitionHead(p []byte) bool {
	var d codecs.VP9Packet
	_, err := d.Unmarshal(p)
	return err == nil && d.B && d.SID == 0
}

// readLayers returns the number of a picture's highest layer; all of them must be there.
func readLayers(b []byte) (n int, key, ok bool) {
	if len(b) == 0 || len(b)%layerSize != 0 {
		return 0, false, false
	}
	picture := -1
	for sid := 0; len(b) > 0; sid, b = sid+1, b[layerSize:] {
		key = b[0] == 0x80
		if n, ok = readBody(b[1:layerSize]); !ok || n%10 != sid || picture >= 0 && n/10 != picture {
			return 0, false, false
		}
		picture = n / 10
	}
	return n, key, true
}

// spatial publishes the track v as VP9 of three spatial layers in one stream. Each layer's frame carries ten times its
// picture's number plus its layer. One in so many packets comes late, if that is not 0.
func (c *client) spatial(late int) {
	t := c.t
	t.Helper()
	local, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP9, ClockRate: 90000}, "v", "s")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := c.pub.AddTransceiverFromTrack(local, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		t.Fatal(err)
	}
	only := slices.DeleteFunc(tr.Sender().GetParameters().Codecs, func(p webrtc.RTPCodecParameters) bool {
		return p.MimeType != webrtc.MimeTypeVP9 || strings.Contains(p.SDPFmtpLine, "profile-id=2")
	})
	if err := tr.SetCodecPreferences(only); err != nil {
		t.Fatal(err)
	}
	c.infos = append(c.infos, TrackInfo{ID: "v", StreamID: "s", Kind: Video})
	c.negotiate(nil)
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		seq, ts := uint16(rand.Uint32()), rand.Uint32()
		var kept *rtp.Packet
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			ts += 900
			for sid := range 3 {
				for _, p := range layerPackets(n, sid, n%20 == 0) {
					seq++
					p.SequenceNumber, p.Timestamp = seq, ts
					if late > 0 && rand.IntN(late) == 0 && kept == nil {
						kept = p
						continue
					}
					_ = local.WriteRTP(p)
					if kept != nil && seq-kept.SequenceNumber > 2 {
						_ = local.WriteRTP(kept)
						kept = nil
					}
				}
			}
		}
	}()
}

// layerPackets are those of a layer of picture n (RFC 9628, 4.2).
func layerPackets(n, sid int, key bool) (packets []*rtp.Packet) {
	const (
		predicted, layers, begin, end, structure = 0x40, 0x20, 0x08, 0x04, 0x02
		perPacket                                = 1000
	)
	frame := append([]byte{0x80}, body(10*n+sid, layerSize-1-12)...)
	if !key {
		frame[0] = 0x84
	}
	for at := 0; at < len(frame); at += perPacket {
		flags := byte(layers)
		if !key {
			flags |= predicted
		}
		if at == 0 {
			flags |= begin
		}
		last := at+perPacket == len(frame)
		if last {
			flags |= end
		}
		head := []byte{flags, byte(sid<<1) | 1, byte(n)}
		if key && at == 0 && sid == 0 {
			head[0] |= structure
			head = append(head, 2<<5|1<<4, 0, 160, 0, 90, 1, 64, 0, 180, 2, 128, 1, 104) // three layers and their sizes
		}
		packets = append(packets, &rtp.Packet{
			Header: rtp.Header{Version: 2, Marker: last && sid == 2}, Payload: append(head, frame[at:at+perPacket]...),
		})
	}
	return packets
}

// Each subscriber, and each tap, gets the layer of a VP9 stream that it asks for, as if they were sent one by one.
func TestSpatialLayers(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b, c := joined(t, s, "a", false), joined(t, s, "b", false), joined(t, s, "c", false)
	a.spatial(0)
	track := a.peer.Track("v")
	tap := track.Tap(TapConfig{})
	defer tap.Close()
	tap.Want(300, 170)
	for _, x := range []*client{b, c} {
		x.peer.Subscribe([]*Track{track})
	}
	b.asks("low")
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
	b.whole()
	c.whole()
	for right := 0; right < 20; {
		select {
		case f := <-tap.Frames():
			// Two frames, and the index that says so.
			if n, _, ok := readLayers(f.Data[:min(2*layerSize, len(f.Data))]); len(f.Data) < 3*layerSize && ok && n%10 == 1 {
				right++
			}
		case <-time.After(patience):
			t.Fatal("no pictures of the size that is wanted")
		}
	}
	var layers []int
	for _, l := range a.peer.Figures().Tracks[0].Layers {
		if !l.Flowing || l.Within != (l.Rank > 0) {
			t.Errorf("%+v", l)
		}
		layers = append(layers, l.Rank)
	}
	if !slices.Equal(layers, []int{0, 1, 2}) {
		t.Errorf("layers %v", layers)
	}
}

// What comes late, and may belong to another layer, leaves no hole and tears nothing.
func TestSpatialLayersOutOfOrder(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	a.spatial(20)
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	for layer, name := range []string{"low", "medium", "high"} {
		b.asks(name)
		b.sees(layer)
	}
	b.whole()
}

// A part's numbers are consecutive where the stream's are, however far those jump.
func TestPartNumbers(t *testing.T) {
	part := &part{in: 99, out: 1000}
	for _, step := range []struct {
		ext  extSeq
		mine bool
		out  extSeq // 0: none
	}{
		{100, true, 1001}, {101, false, 0}, {102, true, 1002}, {102, true, 0}, {101, false, 0},
		{105, true, 1005}, {103, true, 1003}, {104, false, 1004}, {104, true, 0}, {106, true, 1006},
		{106 + 10*videoCache, true, 1006 + 10*videoCache},
		{105 + 10*videoCache, true, 1005 + 10*videoCache}, {107 + 9*videoCache, true, 1007 + 9*videoCache},
	} {
		if out, ok := part.number(step.ext, step.mine); out != step.out || ok != (out != 0) {
			t.Errorf("%d is %d, %v; want %d", step.ext, out, ok, step.out)
		}
	}
}
