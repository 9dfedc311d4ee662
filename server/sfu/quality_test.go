package sfu

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// What gets lost on the way from a publisher, and to a subscriber, is known.
func TestQuality(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", false)
	a.loseOut.Store(oneOf(4))
	b.loseIn.Store(oneOf(10))
	a.publish(webrtc.MimeTypeOpus, "stream", "audio")
	a.publish(webrtc.MimeTypeVP8, "stream", "video")
	b.subscribe(a.peer.Track("audio"), a.peer.Track("video"))

	share := func(p Path) float64 { return float64(p.Lost) / float64(max(p.Packets, 1)) }
	eventually(t, "loss of what a sends", func() bool {
		up, _ := a.peer.Quality()
		return up.Packets > 200 && share(up) > 0.15 && share(up) < 0.35
	})
	eventually(t, "loss of what b gets", func() bool {
		_, down := b.peer.Quality()
		return down.Packets > 200 && share(down) > 0.05
	})
	eventually(t, "the time of a round trip", func() bool {
		_, down := b.peer.Quality()
		return down.RTT > 0 && down.RTT < patience
	})
	if up, _ := b.peer.Quality(); up != (Path{}) {
		t.Errorf("b sends nothing, and still %+v", up)
	}
}

func TestReception(t *testing.T) {
	var p path
	var r reception
	track := newTrack(&SFU{}, TrackInfo{Kind: Audio}, Opus)
	now := time.Now()
	take := func(highest, lost, jitter uint32) Path {
		t.Helper()
		r.take(&p, &rtcp.ReceptionReport{LastSequenceNumber: highest, TotalLost: lost, Jitter: jitter, LastSenderReport: 7, Delay: 1 << 15}, track, now)
		return p.read()
	}
	if got := take(1000, 5, 480); got != (Path{Jitter: 10 * time.Millisecond}) {
		t.Errorf("the first report says what was before: %+v", got)
	}
	r.sent(7<<16, now.Add(-time.Second))
	want := Path{Packets: 100, Lost: 3, Jitter: 10 * time.Millisecond, RTT: 500 * time.Millisecond}
	for range 2 { // it may come twice
		if got := take(1100, 8, 480); got != want {
			t.Errorf("got %+v", got)
		}
	}
	take(1<<31, 8, 480)              // nonsense
	take(1<<31+10, 0xfffffe, 480)    // duplicates make the loss negative
	take(1<<31+20, 0xfffffe+5, 4800) // 5 of 10
	want.Packets, want.Lost, want.Jitter = 120, 8, 100*time.Millisecond
	if got := p.read(); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestPace(t *testing.T) {
	var p path
	var src source
	at := time.UnixMilli(1_700_000_000_000)
	for i := range 500 {
		late := time.Duration(i%2) * 10 * time.Millisecond
		src.pace(&p, &packet{ts: uint32(i) * 960, at: at.Add(time.Duration(i)*20*time.Millisecond + late)}, 48000)
	}
	if got := p.read().Jitter.Round(time.Millisecond); got != 10*time.Millisecond {
		t.Errorf("jitter %v", got)
	}
}
