package sfu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// Who gets a seat, packet by packet: 0 is silence, in dB above it.
func TestSeats(t *testing.T) {
	const n = 2
	tracks := make([]*Track, 4)
	for i := range tracks {
		tracks[i] = &Track{}
	}
	g := NewLoudest(n)
	g.Set(tracks)
	now := time.Unix(1000, 0)
	at := func(d time.Duration) { now = time.Unix(1000, 0).Add(d) }
	hears := func(who, loud int, want bool) {
		t.Helper()
		if got := g.admits(tracks[who].voice.Load(), uint8(silence-loud), now); got != want {
			t.Errorf("%d with %d dB after %v: %v", who, loud, now.Sub(time.Unix(1000, 0)), got)
		}
	}
	hears(0, 60, true) // there are seats
	hears(1, 50, true)
	hears(2, 0, false)
	hears(2, 55, false) // not clearly louder
	hears(2, 56, true)  // the beginning of a word
	hears(1, 50, false)
	hears(0, 60, true)
	hears(0, 0, true) // a pause
	at(keepSeat)
	hears(0, 0, true)
	hears(2, 70, true)
	hears(3, 65, false)
	at(keepSeat + time.Second) // 0 has faded by 10 dB, 2 has not
	hears(3, 55, false)
	hears(3, 56, true)
	hears(0, 56, false)
	hears(2, 0, true)
	at(time.Minute) // everybody is silent by now
	hears(2, 0, false)
	hears(3, 0, false)
	hears(0, 1, true)
	hears(1, 1, true)
	hears(2, 7, true)
	hears(0, 1, false)

	// A click does not get as loud as voices.
	hears(2, 120, true)
	hears(3, 70, true) // in the place of 1
	hears(1, 120, true)
	if l := tracks[1].voice.Load().loudness(now); l > 50 {
		t.Errorf("one packet of 120 dB counts for %v", l)
	}

	// Where there are no more members than seats everybody is heard, silence too.
	g.Set(tracks[:2])
	hears(0, 0, true)
	hears(1, 0, true)
	other := NewLoudest(0)
	old := tracks[0].voice.Load()
	other.Set(tracks[:1])
	g.Set(tracks[1:2])
	hears(1, 0, true)
	if other.admits(tracks[0].voice.Load(), 0, now) {
		t.Error("a seat where there are none")
	}
	if !g.admits(old, 0, now) {
		t.Error("who has left is held back")
	}
	other.Set(nil)
	if tracks[0].voice.Load() != nil {
		t.Error("a member of nothing")
	}
}

// firstSince waits for a frame from a number on, and returns it.
func (in *inbound) firstSince(t *testing.T, n int) (first int) {
	t.Helper()
	eventually(t, fmt.Sprintf("a frame from %d on", n), func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		i := slices.IndexFunc(in.frames, func(f int) bool { return f >= n })
		if i >= 0 {
			first = in.frames[i]
		}
		return i >= 0
	})
	return first
}

// Of three who speak two are heard, whole: whoever begins to speak with the first packet on.
func TestLoudest(t *testing.T) {
	s := testSFU(t)
	var tracks []*Track
	mics := map[string]*outbound{}
	for _, id := range []string{"a", "b", "c"} {
		c := joined(t, s, id, false)
		o := c.add(webrtc.MimeTypeOpus, "s", id)
		o.level.Store(40)
		c.negotiate(nil)
		mics[id] = o
		tracks = append(tracks, c.peer.Track(id))
	}
	group := NewLoudest(2)
	group.Set(tracks)
	lis := joined(t, s, "lis", true)
	lis.peer.Subscribe(tracks)
	tap := tracks[2].Tap(TapConfig{})
	defer tap.Close()
	for _, id := range []string{"a", "b"} {
		mics[id].start()
		lis.in(id).more(t, 5)
	}
	mics["c"].start()
	for heard := range 30 {
		select {
		case <-tap.Frames():
		case <-time.After(patience):
			t.Fatalf("the tap gets %d frames of who is held back", heard)
		}
	}
	if n := lis.in("c").count(); n > 0 || !tracks[2].held.Load() || s.Stats().HeldBack == 0 {
		t.Fatalf("%d frames of the third, %+v", n, s.Stats())
	}

	// speak has somebody get louder, and checks that who listens misses nothing of it.
	speak := func(id string, level int32) {
		t.Helper()
		o := mics[id]
		o.pause.Store(true)
		time.Sleep(3 * o.period)
		before := int(o.sent.Load())
		o.level.Store(level)
		o.pause.Store(false)
		// A loopback that loses packets is not ours; a word that begins late is later than this.
		if first := lis.in(id).firstSince(t, before); first > before+1 {
			t.Errorf("%s is heard from frame %d on, and spoke from %d on", id, first, before)
		}
		lis.in(id).more(t, 20)
	}
	speak("c", 20)
	eventually(t, "somebody to be held back", func() bool { return tracks[0].held.Load() != tracks[1].held.Load() })
	silenced := 0
	if tracks[1].held.Load() {
		silenced = 1
	}
	id := tracks[silenced].ID()
	time.Sleep(300 * time.Millisecond) // 30 packets that are not sent
	gone := lis.in(id).last()
	speak(id, 5)
	in := lis.in(id)
	in.mu.Lock()
	holes, last := in.holes(), in.lastFrame
	in.mu.Unlock()
	if holes > fewHoles || last < gone+20 {
		t.Errorf("%d sequence numbers are missing after a pause of ours from %d to %d", holes, gone, last)
	}

	// Levels that are not told are not judged.
	quiet := slices.IndexFunc(tracks, func(t *Track) bool { return t.held.Load() })
	mics[tracks[quiet].ID()].level.Store(0)
	lis.in(tracks[quiet].ID()).more(t, 10)
	mics[tracks[quiet].ID()].level.Store(120)
	eventually(t, "somebody to be held back", func() bool { return tracks[quiet].held.Load() })
	group.Set(nil)
	lis.in(tracks[quiet].ID()).more(t, 10)
}
