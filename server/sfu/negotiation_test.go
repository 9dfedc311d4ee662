package sfu

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

func TestRemovedSectionsAreReused(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	keep := a.publish(webrtc.MimeTypeVP8, "s0", "keep")
	for round := range 4 {
		id := fmt.Sprintf("v%d", round)
		o := a.publish(webrtc.MimeTypeVP8, "stream-"+id, id)
		b.peer.Subscribe([]*Track{a.peer.Track("keep"), a.peer.Track(id)})
		b.in(id).more(t, 5)
		if got := b.in(id).stream; got != "stream-"+id {
			t.Errorf("stream %q of %s", got, id)
		}
		gone := a.peer.Track(id)
		o.remove()
		a.negotiate(nil)
		if a.peer.Track(id) != nil || !gone.Closed() {
			t.Error("the track is still there")
		}
		b.peer.Subscribe([]*Track{a.peer.Track("keep")})
		eventually(t, "an inactive section", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return strings.Count(b.offers[len(b.offers)-1], "a=inactive") == 1 && b.pending == 0
		})
	}
	b.mu.Lock()
	last := b.offers[len(b.offers)-1]
	overlap := b.overlap
	b.mu.Unlock()
	if n := strings.Count(last, "m=video"); n != 2 {
		t.Errorf("%d video sections after four rounds", n)
	}
	if overlap {
		t.Error("two offers at once")
	}
	b.in("keep").more(t, 5)
	if n := a.peer.Track("keep"); n == nil || keep.sent.Load() == 0 {
		t.Error("the other track did not survive")
	}
}

// Many wishes at once end in what was wished last, without two offers at a
// time and without a section for every wish.
func TestSubscriptionsRace(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	var tracks []*Track
	for i := range 4 {
		mime := webrtc.MimeTypeVP8
		if i%2 == 1 {
			mime = webrtc.MimeTypeOpus
		}
		id := fmt.Sprintf("t%d", i)
		a.publish(mime, "s-"+id, id)
		tracks = append(tracks, a.peer.Track(id))
	}
	b := joined(t, s, "b", true)
	// A pion client sets its receivers up after it answered, and loses one
	// that changes before.
	b.think.Store(int64(20 * time.Millisecond))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				b.peer.Subscribe(tracks[:rand.IntN(len(tracks)+1)])
				if rand.IntN(8) == 0 {
					b.peer.RestartICE()
				}
				time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
			}
		})
	}
	wg.Wait()
	a.publish(webrtc.MimeTypeVP8, "s-last", "last")
	b.peer.Subscribe(append(tracks, a.peer.Track("last")))
	b.in("last").more(t, 3)
	for _, track := range tracks {
		// By the server's book: see above for the client's.
		eventually(t, "packets of "+track.ID(), func() bool {
			d := (*b.peer.down.current.Load().tracks.Load())[track.ID()]
			return d != nil && d.tally.packets.Load() > 10
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.overlap {
		t.Error("two offers at once")
	}
	if n := strings.Count(b.offers[len(b.offers)-1], "m=video") + strings.Count(b.offers[len(b.offers)-1], "m=audio"); n > 2*len(tracks)+1 {
		t.Errorf("%d sections for %d tracks", n, len(tracks))
	}
}

func TestICERestarts(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	in := b.in("v")
	in.more(t, 5)
	track := a.peer.Track("v")
	a.negotiate(&webrtc.OfferOptions{ICERestart: true})
	in.more(t, 20)
	if a.peer.Track("v") != track {
		t.Error("another track after an ICE restart")
	}
	b.peer.RestartICE()
	eventually(t, "the restart", func() bool { return s.Stats().ICERestarts == 1 })
	in.more(t, 20)
	b.mu.Lock()
	defer b.mu.Unlock()
	first, last := b.offers[0], b.offers[len(b.offers)-1]
	if ufragOf(first) == ufragOf(last) {
		t.Error("the credentials are the same")
	}
}

func ufragOf(sdp string) string {
	_, rest, _ := strings.Cut(sdp, "a=ice-ufrag:")
	ufrag, _, _ := strings.Cut(rest, "\r\n")
	return ufrag
}

// When the path breaks, the subscribe side restarts by itself, with an offer.
func TestBrokenPathIsRestarted(t *testing.T) {
	t.Parallel()
	s := timedSFU(t, hastyTiming)
	a := joined(t, s, "a", false)
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b := joined(t, s, "b", true)
	b.peer.Subscribe([]*Track{a.peer.Track("a")})
	b.in("a").more(t, 3)
	b.mute.Store(true) // and the client is not to answer
	b.mu.Lock()
	sub, n := b.sub, len(b.offers)
	b.mu.Unlock()
	// Cut it: an agent that is gone answers no checks.
	sub.SCTP().Transport().ICETransport().Stop() //nolint:errcheck
	eventually(t, "a restart offer", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.offers) > n && ufragOf(b.offers[len(b.offers)-1]) != ufragOf(b.offers[0])
	})
	eventually(t, "giving up", func() bool { return b.lost(Subscribe) })
	if s.Stats().UnansweredOffers == 0 {
		t.Error("the unanswered offer was not counted")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.offers) != n+1 {
		t.Errorf("%d offers without an answer", len(b.offers)-n)
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	a.publish(webrtc.MimeTypeOpus, "s", "a")
	b := newClient(t, s, "b")
	b.mute.Store(true)
	b.negotiate(nil)
	b.peer.StartSubscribe(true)
	b.peer.Subscribe([]*Track{a.peer.Track("a")})
	eventually(t, "the first offer", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.offers) == 1 })
	b.mute.Store(false) // the socket was replaced
	b.peer.Resend()
	b.in("a").more(t, 3)
	b.mu.Lock()
	same := len(b.offers) > 1 && b.offers[0] == b.offers[1]
	sdp := b.sub.LocalDescription().SDP
	b.mu.Unlock()
	if !same {
		t.Error("not the same offer")
	}
	// The answer to the first one may come as well; nothing happens.
	if err := b.peer.Answer(sdp); !errors.Is(err, ErrUnexpectedAnswer) {
		t.Errorf("second answer: %v", err)
	}
	n := b.in("a")
	n.more(t, 5)
}

// A client whose publish connection was lost makes a new one.
func TestNewPublishConnection(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	o := a.publish(webrtc.MimeTypeVP8, "s", "v")
	b.publish(webrtc.MimeTypeOpus, "sb", "ab")
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	a.peer.Subscribe([]*Track{b.peer.Track("ab")})
	b.in("v").more(t, 5)
	a.in("ab").more(t, 5)
	track := a.peer.Track("v")
	o.halt()
	old := a.pub
	a.newPub()
	a.negotiate(nil)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	_ = old.GracefulClose()
	if !track.Closed() {
		t.Error("the first offer named no track, yet it lives")
	}
	b.peer.Subscribe([]*Track{a.peer.Track("v")})
	b.in("v").more(t, 5)
	a.mu.Lock()
	offers := len(a.offers)
	a.mu.Unlock()
	a.in("ab").more(t, 5)
	if offers > 2 {
		t.Errorf("%d offers: the subscribe side was to notice nothing", offers)
	}
}

// A new publish connection while the subscribe one comes up leaves that to come up: the client has answered with
// the one that it keeps, and is in the middle of its handshake.
func TestNewPublishConnectionAtOnce(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	b := joined(t, s, "b", false)
	b.publish(webrtc.MimeTypeOpus, "sb", "ab")
	var all []*client
	for i := range 8 {
		a := newClient(t, s, fmt.Sprint("a", i))
		a.peer.Subscribe([]*Track{b.peer.Track("ab")})
		a.negotiate(nil)
		a.peer.StartSubscribe(false)
		eventually(t, "an answer", func() bool { return a.answers.Load() == 1 })
		time.Sleep(time.Duration(i) * 3 * time.Millisecond) // into ICE, and into DTLS
		old := a.pub
		a.newPub()
		a.negotiate(nil)
		_ = old.GracefulClose()
		all = append(all, a)
	}
	for _, a := range all {
		a.in("ab").more(t, 5)
	}
}

// Nothing helps a connection whose handshake failed but another one: the client is to be told at once.
func TestHandshakeFails(t *testing.T) {
	t.Parallel()
	a := newClient(t, testSFU(t), "a")
	a.foreign.Store(true)
	a.negotiate(nil)
	a.peer.StartSubscribe(false)
	eventually(t, "the word that it is lost", func() bool { return a.lost(Subscribe) })
}

// A client that lost everything makes two new connections (client protocol, migration).
func TestTwoNewConnections(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	b.publish(webrtc.MimeTypeOpus, "sb", "ab")
	a.peer.Subscribe([]*Track{b.peer.Track("ab")})
	a.in("ab").more(t, 5)
	for range 2 {
		a.mu.Lock()
		pub, sub := a.pub, a.sub
		a.mu.Unlock()
		_ = pub.GracefulClose()
		_ = sub.GracefulClose()
		eventually(t, "the server to notice", func() bool { return a.peer.State(Subscribe) == webrtc.PeerConnectionStateClosed })
		a.newPub()
		a.newSub()
		a.negotiate(nil)
		a.in("ab").more(t, 5)
	}
}

func TestRefusedTracks(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a := joined(t, s, "a", false)
	a.add(webrtc.MimeTypeVP8, "s", "allowed")
	a.add(webrtc.MimeTypeVP8, "s", "forbidden")
	a.mu.Lock()
	a.infos = a.infos[:1]
	a.mu.Unlock()
	answer := a.negotiate(nil)
	if n := strings.Count(answer, "a=inactive"); n != 1 {
		t.Errorf("%d sections refused:\n%s", n, answer)
	}
	if n := strings.Count(answer, "a=rtpmap"); n != 4 {
		t.Errorf("%d formats in the answer, want one codec and its RTX in each section:\n%s", n, answer)
	}
	if a.peer.Track("allowed") == nil || a.peer.Track("forbidden") != nil {
		t.Error("wrong tracks")
	}
	// Later it is allowed.
	a.mu.Lock()
	a.infos = append(a.infos, TrackInfo{ID: "forbidden", StreamID: "s", Kind: Video})
	a.mu.Unlock()
	if answer = a.negotiate(nil); strings.Contains(answer, "a=inactive") || a.peer.Track("forbidden") == nil {
		t.Error("still refused")
	}
}

// The client may give a running stream another id.
func TestTrackGetsAnotherID(t *testing.T) {
	t.Parallel()
	s := testSFU(t)
	a, b := joined(t, s, "a", false), joined(t, s, "b", true)
	a.publish(webrtc.MimeTypeVP8, "s", "v")
	first := a.peer.Track("v")
	b.peer.Subscribe([]*Track{first})
	b.in("v").more(t, 5)
	a.mu.Lock()
	a.infos = []TrackInfo{{ID: "other", StreamID: "s", Kind: Video}}
	a.mu.Unlock()
	a.negotiate(nil)
	if !first.Closed() || a.peer.Track("v") != nil {
		t.Error("the old id is still there")
	}
	b.peer.Subscribe([]*Track{a.peer.Track("other")})
	b.in("other").more(t, 5)
}

func TestPublisherLeavesWithoutAWord(t *testing.T) {
	t.Parallel()
	s := timedSFU(t, hastyTiming)
	a := joined(t, s, "a", false)
	o := a.publish(webrtc.MimeTypeOpus, "s", "x")
	eventually(t, "connected", func() bool {
		up := webrtc.PeerConnectionStateConnected
		return a.peer.State(Publish) == up && a.peer.State(Subscribe) == up
	})
	o.halt()
	_ = a.pub.GracefulClose()
	_ = a.sub.GracefulClose()
	eventually(t, "told of both", func() bool { return a.lost(Publish) && a.lost(Subscribe) })
	eventually(t, "counted", func() bool { st := s.Stats(); return st.PublishConnected == 0 && st.SubscribeConnected == 0 })
}
