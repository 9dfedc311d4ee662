package room

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

func TestLine(t *testing.T) {
	var up, down sfu.Path
	var l line
	for i, step := range []struct {
		upLost, downLost uint64 // of 100 packets more
		rtt              time.Duration
		lost             bool
		want             score
	}{
		{0, 0, 0, false, 5},
		{0, 0, 400 * time.Millisecond, false, 4},
		{0, 0, 2 * time.Second, false, 1},
		{0, 2, 0, false, 5}, // once is not often
		{0, 10, 0, false, 3},
		{60, 0, 0, false, 1},
		{0, 0, 0, true, disconnected},
		{0, 0, 0, false, 3},
		{0, 0, 0, false, 3},
		{0, 0, 0, false, 4},
	} {
		up.Packets, down.Packets = up.Packets+100, down.Packets+100
		up.Lost, down.Lost, down.RTT = up.Lost+step.upLost, down.Lost+step.downLost, step.rtt
		l.take(up, down, step.lost)
		if l.score != step.want {
			t.Errorf("step %d: %d, want %d: %+v", i, l.score, step.want, l)
		}
	}
	was := l.score
	down.Packets, down.Lost = down.Packets+fewPackets-1, down.Lost+fewPackets-1
	if l.take(up, down, false); l.score != was {
		t.Errorf("a few packets changed %d to %d", was, l.score)
	}
	l = line{}
	if l.take(sfu.Path{}, sfu.Path{}, false); l.score.wire() != -1 {
		t.Errorf("a line without packets has %d", l.score.wire())
	}
	if l.take(sfu.Path{Packets: 100}, sfu.Path{}, false); l.score.wire() != 5 {
		t.Errorf("a line of one direction has %d", l.score.wire())
	}
	if disconnected.wire() != 0 {
		t.Error("disconnected is not 0")
	}
}

// Everybody is told of a bad line, once, and of a good one; who is not listed in a
// large room is told of its own.
func TestConnectionQuality(t *testing.T) {
	h := newHouse(t, Limits{QualityEvery: 50 * time.Millisecond})
	h.record.LargeRoom = true
	_, eveBox := h.join("eve", policy.RoleHLSViewer)
	bob, bobBox, err := h.connect("bob", policy.RoleViewerRealtime)
	if err != nil {
		t.Fatal(err)
	}
	bobPub := newPublisher(t)
	first := bobPub.offer()
	if _, err := bob.Join(t.Context(), protocol.Join{Name: "bob", Offer: &first}); err != nil {
		t.Fatal(err)
	}
	ann, _, err := h.connect("ann", policy.RoleBroadcaster)
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t)
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "mic", "stream")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pub.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
		t.Fatal(err)
	}
	first = pub.offer()
	result, err := ann.Join(t.Context(), protocol.Join{Name: "Ann", Offer: &first})
	if err != nil {
		t.Fatal(err)
	}
	pub.accept(result)
	mic := protocol.Track{TrackID: "mic", StreamID: "stream", Kind: protocol.Audio, Source: protocol.SourceRegular}
	if result, err = ann.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(mic)}); err != nil {
		t.Fatal(err)
	}
	pub.accept(result)

	packet := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: []byte{1, 2, 3}}
	talk := func(every uint16, want int) {
		t.Helper()
		var got []protocol.ConnectionQuality
		eventually(t, "another score of ann's line", func() bool {
			packet.SequenceNumber += every
			packet.Timestamp += 960
			_ = track.WriteRTP(&packet)
			for _, u := range all[protocol.QualityUpdate](t, eveBox, protocol.OnConnectionQuality) {
				got = u.Peers
			}
			return slices.ContainsFunc(got, func(q protocol.ConnectionQuality) bool { return q.PeerID == "ann" && q.Score == want })
		})
		if len(got) != 1 {
			t.Errorf("eve was told of others who are not listed: %+v", got)
		}
	}
	talk(2, 1)
	talk(1, 5)
	bobs := all[protocol.QualityUpdate](t, bobBox, protocol.OnConnectionQuality)
	if last := bobs[len(bobs)-1].Peers; len(last) != 2 || last[1].PeerID != "bob" {
		t.Errorf("bob was told %+v", last)
	}
	dan, danBox, err := h.connect("dan", policy.RoleHLSViewer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dan.Join(t.Context(), protocol.Join{Name: "dan"}); err != nil {
		t.Fatal(err)
	}
	if len(all[protocol.QualityUpdate](t, danBox, protocol.OnConnectionQuality)) == 0 {
		t.Error("who came later was not told")
	}
}
