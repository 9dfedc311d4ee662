package sfu

import (
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// TestFigures: a publisher that loses packets, a subscriber, and what is counted of both.
func TestFigures(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	a.loseOut.Store(oneOf(10))
	a.publish(webrtc.MimeTypeOpus, "stream", "audio")
	a.publish(webrtc.MimeTypeVP8, "stream", "video")
	b.subscribe(a.peer.Track("audio"), a.peer.Track("video"))

	if f := a.peer.Figures(); len(f.Tracks) != 2 || f.Tracks[0].ID != "audio" || f.Tracks[1].ID != "video" || f.Tracks[1].Codec != VP8 || len(f.Subscriptions) != 0 {
		t.Fatalf("%+v", f)
	}
	eventually(t, "the publisher's figures", func() bool {
		f := a.peer.Figures()
		for _, track := range f.Tracks {
			if len(track.Layers) != 1 || track.Subscribers != 1 {
				return false
			}
			l := track.Layers[0]
			if !l.Flowing || l.Packets < 100 || l.Bytes < l.Packets || l.Lost == 0 || l.Rates.Packets == 0 || l.Rates.Bits == 0 {
				return false
			}
			if track.Kind == Video && (l.Frames == 0 || l.NACKs == 0 || l.Retransmitted == 0 || l.Rates.Frames == 0) {
				return false
			}
		}
		return f.Publish == webrtc.PeerConnectionStateConnected && f.Up.Lost > 0
	})
	eventually(t, "the subscriber's figures", func() bool {
		f := b.peer.Figures()
		return f.Subscribe == webrtc.PeerConnectionStateConnected && len(f.Tracks) == 0 && len(f.Subscriptions) == 2 &&
			f.Subscriptions[0].TrackID == "audio" && f.Subscriptions[0].Packets > 50 && f.Subscriptions[0].Rates.Bits > 0 &&
			f.Subscriptions[1].Wanted && f.Subscriptions[1].Layer == 0 &&
			f.Line.Arrived > 50 && f.Line.Rate > 10_000 // by the client's transport-wide feedback
	})
	b.subscribe()
	eventually(t, "a subscription that ended is gone", func() bool { return len(b.peer.Figures().Subscriptions) == 0 })
}

func TestRates(t *testing.T) {
	start := time.Unix(1000, 0)
	key := new(int)
	seen := map[any]look{}
	at := func(after time.Duration, packets uint64) Rates {
		f := figures{now: start.Add(after), before: seen, seen: map[any]look{}}
		s := f.rate(key, Stream{Packets: packets})
		seen = f.seen
		return s.Rates
	}
	for _, c := range []struct {
		after   time.Duration
		packets uint64
		want    float64
	}{
		{0, 500, 0}, {500 * time.Millisecond, 600, 0}, {2 * time.Second, 700, 100}, {2500 * time.Millisecond, 5000, 100}, {4 * time.Second, 700, 0},
	} {
		if got := at(c.after, c.packets).Packets; got != c.want {
			t.Errorf("after %v: %v packets a second, want %v", c.after, got, c.want)
		}
	}
}
