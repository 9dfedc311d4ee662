//go:build !js

package rtc

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// side is one end of a connection in a test. Candidates wait while its gate is
// held, as they do for the messages of a real negotiation.
type side struct {
	*Conn
	gate     *sync.Mutex
	tracks   chan *RemoteTrack
	messages chan string
	open     chan struct{}
	states   chan webrtc.PeerConnectionState
}

// pair makes two ends whose candidates reach each other.
func pair(t *testing.T) (a, b *side) {
	t.Helper()
	engine := &Engine{Loopback: true}
	var mu, gate sync.Mutex
	ends := make([]*side, 2)
	for i := range ends {
		s := &side{
			gate:   &gate,
			tracks: make(chan *RemoteTrack, 8), messages: make(chan string, 8), open: make(chan struct{}, 1),
			states: make(chan webrtc.PeerConnectionState, 32),
		}
		conn, err := engine.NewConn(webrtc.Configuration{}, Handlers{
			Candidate: func(c webrtc.ICECandidateInit) {
				gate.Lock()
				defer gate.Unlock()
				mu.Lock()
				other := ends[1-i]
				mu.Unlock()
				_ = other.AddCandidate(c)
			},
			State:   func(st webrtc.PeerConnectionState) { s.states <- st },
			Track:   func(track *RemoteTrack) { s.tracks <- track },
			Open:    func() { s.open <- struct{}{} },
			Message: func(m []byte) { s.messages <- string(m) },
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Conn = conn
		mu.Lock()
		ends[i] = s
		mu.Unlock()
		t.Cleanup(func() { _ = conn.Close() })
	}
	return ends[0], ends[1]
}

func negotiate(t *testing.T, from, to *side, restart bool) {
	t.Helper()
	from.gate.Lock()
	defer from.gate.Unlock()
	ctx := context.Background()
	offer, err := from.Offer(ctx, restart)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := to.Answer(ctx, offer)
	if err != nil {
		t.Fatal(err)
	}
	if err := from.SetAnswer(ctx, answer); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came in 10 s")
	}
	return v
}

func TestPublishAndReceive(t *testing.T) {
	a, b := pair(t)
	ctx := context.Background()
	if err := a.CreateChannel("ion-sfu"); err != nil {
		t.Fatal(err)
	}
	capture := &Capture{Video: File("testdata/pattern.ivf"), Audio: File("testdata/tone.ogg")}
	stream := NewStream()
	for _, track := range []*LocalTrack{capture.Camera(stream, VideoConstraints{}), capture.Microphone(stream, AudioConstraints{})} {
		defer track.Close()
		if err := track.SetEnabled(ctx, true); err != nil {
			t.Fatal(err)
		}
		if err := a.Publish(ctx, track, nil); err != nil {
			t.Fatal(err)
		}
		negotiate(t, a, b, false)
		remote := receive(t, b.tracks)
		if remote.ID != track.ID || remote.StreamID != stream.ID || remote.Kind != track.Kind {
			t.Errorf("%s arrived with stream %q", remote, remote.StreamID)
		}
		for range 10 {
			if _, err := remote.ReadRTP(); err != nil {
				t.Fatal(err)
			}
		}
		if packets, bytes := remote.Received(); packets != 10 || bytes == 0 {
			t.Errorf("counted %d packets, %d bytes", packets, bytes)
		}
		remote.Discard()
	}
	receive(t, b.open)
	if err := b.Send([]byte("text")); err != nil {
		t.Error(err)
	}
	negotiate(t, a, b, true)
	for a.State() != webrtc.PeerConnectionStateConnected {
		receive(t, a.states)
	}
}

// TestUnanswered: after an offer that nobody answers the next one does what both were to do; whether or not the other side
// got it.
func TestUnanswered(t *testing.T) {
	a, b := pair(t)
	ctx := context.Background()
	if err := a.CreateChannel("ion-sfu"); err != nil {
		t.Fatal(err)
	}
	negotiate(t, a, b, false)
	for _, arrives := range []bool{false, true} {
		for a.State() != webrtc.PeerConnectionStateConnected {
			receive(t, a.states)
		}
		track := (&Capture{Audio: Silence}).Microphone(NewStream(), AudioConstraints{})
		defer track.Close()
		if err := errors.Join(track.SetEnabled(ctx, true), a.Publish(ctx, track, nil)); err != nil {
			t.Fatal(err)
		}
		a.gate.Lock()
		offer, err := a.Offer(ctx, true)
		if err == nil && arrives {
			_, err = b.Answer(ctx, offer)
		}
		if err := errors.Join(err, a.Rollback(ctx)); err != nil {
			t.Fatal(err)
		}
		a.gate.Unlock()
		negotiate(t, a, b, true)
		if remote := receive(t, b.tracks); remote.ID != track.ID {
			t.Errorf("%s came", remote)
		} else if _, err := remote.ReadRTP(); err != nil {
			t.Error(err)
		}
	}
	if err := a.SetAnswer(ctx, "v=0"); err == nil {
		t.Error("an answer to no offer was taken")
	}
}

// TestReusedSection: a track is heard of that gets the section of another one, however many offers later.
func TestReusedSection(t *testing.T) {
	a, b := pair(t)
	if err := a.CreateChannel("ion-sfu"); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	capture := &Capture{Audio: File("testdata/tone.ogg")}
	for i := range 3 {
		track := capture.Microphone(NewStream(), AudioConstraints{})
		defer track.Close()
		if err := track.SetEnabled(ctx, true); err != nil {
			t.Fatal(err)
		}
		var err error
		if i == 0 {
			err = a.Publish(ctx, track, nil)
		} else {
			_, err = a.pc.AddTrack(track.out) // which takes the section that is free
		}
		if err != nil {
			t.Fatal(err)
		}
		negotiate(t, a, b, false)
		if remote := receive(t, b.tracks); remote.ID != track.ID {
			t.Errorf("%s came instead of %s", remote, track.ID)
		}
		if err := a.pc.RemoveTrack(a.pc.GetSenders()[0]); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			negotiate(t, a, b, false)
		}
	}
	if n := len(b.pc.GetTransceivers()); n != 1 {
		t.Errorf("%d sections", n)
	}
}

func TestMuteStopsSamples(t *testing.T) {
	capture := &Capture{Audio: Silence}
	track := capture.Microphone(NewStream(), AudioConstraints{})
	ctx := context.Background()
	for range 3 { // on and off again, each time from a fresh source
		if err := track.SetEnabled(ctx, true); err != nil {
			t.Fatal(err)
		}
		if err := track.SetEnabled(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	track.Close()
	missing := capture.Camera(NewStream(), VideoConstraints{})
	if err := missing.SetEnabled(ctx, true); !errors.Is(err, ErrNoDevice) {
		t.Errorf("a camera that is not there: %v", err)
	}
}

func TestCandidatesWaitForTheDescription(t *testing.T) {
	var b candidateBuffer
	if b.add(webrtc.ICECandidateInit{Candidate: "1"}) {
		t.Error("applied before the description")
	}
	for range 2 * maxWaitingCandidates {
		b.add(webrtc.ICECandidateInit{Candidate: "2"})
	}
	if got := b.open(); len(got) != maxWaitingCandidates || got[0].Candidate != "1" {
		t.Errorf("%d waited", len(got))
	}
	if !b.add(webrtc.ICECandidateInit{Candidate: "3"}) || len(b.open()) != 0 {
		t.Error("kept after the description")
	}
}

func TestQueueDropsWhenFull(t *testing.T) {
	block, started := make(chan struct{}), make(chan struct{})
	q := newEventQueue(func(run func()) { go run() })
	q.put(func() { close(started); <-block })
	<-started
	for range maxQueuedEvents + 7 {
		q.put(func() {})
	}
	if got := q.dropped.Load(); got != 7 {
		t.Errorf("%d dropped, want 7", got)
	}
	q.close()
	close(block)
	q.put(func() { t.Error("called after close") })
}

func TestClipsLoop(t *testing.T) {
	for name, count := range map[string]int{"testdata/pattern.ivf": 15, "testdata/tone.ogg": 0} {
		source, err := File(name)()
		if err != nil {
			t.Fatal(err)
		}
		first, err := source.Next()
		if err != nil || first.Duration <= 0 {
			t.Fatalf("%s: %v, duration %v", name, err, first.Duration)
		}
		c := source.(*clip)
		if count > 0 && len(c.samples) != count {
			t.Errorf("%s: %d samples", name, len(c.samples))
		}
		for range len(c.samples) - 1 {
			_, _ = source.Next()
		}
		again, _ := source.Next()
		if !bytes.Equal(again.Data, first.Data) {
			t.Errorf("%s does not start over", name)
		}
		_, _ = source.Next()
		source.KeyFrame()
		if again, _ = source.Next(); !bytes.Equal(again.Data, first.Data) {
			t.Errorf("%s: no key frame when asked", name)
		}
	}
	if _, err := File("rtc_test.go")(); err == nil {
		t.Error("a Go file is no clip")
	}
}
