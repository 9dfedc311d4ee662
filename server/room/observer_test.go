package room

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"amphi/server/protocol"
)

// witness is an Observer that keeps what it hears.
type witness struct {
	mu    sync.Mutex
	heard []string
}

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, fmt.Sprintf(format, args...))
}

func (w *witness) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.heard)
}

func (w *witness) Refused(_ context.Context, s Session, p Stay, f Refusal) error {
	w.note("%d %s %s as %s: %s (%d %q %+v)", f.Of, s.ID, p.PeerID, p.Role, f.Message, f.Code, f.Role, f.Ending)
	return nil
}

func (w *witness) TrackChanged(i Info, p Stay, c TrackChange) {
	w.note("track %d %s %s %s mute=%t", c.Of, i.RoomID, p.PeerID, c.Track.TrackID, c.Track.Mute)
}

func (w *witness) Said(i Info, s Saying) {
	w.note("%q says to %v: %s %q", s.From.Name, s.Event.Roles, s.Event.Info.Type, s.Event.Info.Message)
}

func (w *witness) Reported(i Info, p Stay, r protocol.Analytics) {
	w.note("%s %s says %s %s", i.SessionID, p.PeerID, r.Name, r.Info)
}

func TestObserverHearsRefusals(t *testing.T) {
	h := newHouse(t, Limits{})
	w := &witness{}
	h.cfg.Observer = w
	h.record.Template.Roles["broadcaster"].MaxPeerCount = 1
	ada, _ := h.join("ada", "broadcaster")

	r := h.Lookup("r1")
	connect := func(id, role, token string) (*Peer, error) {
		return r.Connect(t.Context(), Identity{PeerID: id, UserID: "u", Role: role, TokenHash: sha256.Sum256([]byte(token))}, &inbox{})
	}
	if _, err := connect("bo", "king", "bo"); err == nil {
		t.Error("a role that is not there")
	}
	if _, err := connect("ada", "broadcaster", "thief"); err == nil {
		t.Error("somebody else's peer id")
	}
	bo, err := connect("bo", "broadcaster", "bo")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bo.Join(t.Context(), protocol.Join{Name: "Bo"}); err == nil {
		t.Error("a role that is full")
	}
	if err := bo.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	cy, _ := h.join("cy", "hls-viewer")
	if err := cy.EndRoom(t.Context(), protocol.EndRoom{Reason: "bored"}); err == nil {
		t.Error("a viewer ended the room")
	}
	if err := ada.RequestRoleChange(t.Context(), protocol.RoleChangeRequest{RequestedFor: "cy", Role: "broadcaster", Force: true}); err == nil {
		t.Error("a role that is full")
	}
	if err := ada.Report(t.Context(), protocol.Analytics{Name: "disconnected", Info: []byte("{}")}); err != nil {
		t.Error(err)
	}
	h.Registry.Close()
	var refusals, others []string
	for _, line := range w.all() {
		if line[0] >= '0' && line[0] <= '9' {
			refusals = append(refusals, line)
		} else {
			others = append(others, line)
		}
	}
	none := fmt.Sprintf("%+v", Ending{})
	if want := []string{
		`0 s1 bo as king: role not allowed (0 "" ` + none + `)`,
		`0 s1 ada as broadcaster: duplicate peer id (0 "" ` + none + `)`,
		`0 s1 bo as broadcaster: role limit reached (0 "" ` + none + `)`,
		`1 s1 bo as broadcaster: Peer not joined (0 "" ` + none + `)`,
		`3 s1 cy as hls-viewer: your role does not permit this (403 "" ` + fmt.Sprintf("%+v", Ending{By: "cy", Reason: "bored"}) + `)`,
		`2 s1 cy as hls-viewer: role limit reached (0 "broadcaster" ` + none + `)`,
	}; !reflect.DeepEqual(refusals, want) {
		t.Errorf("got  %q\nwant %q", refusals, want)
	}
	if want := []string{"s1 ada says disconnected {}"}; !reflect.DeepEqual(others, want) {
		t.Errorf("got %q", others)
	}
}

// TestObserverIsNotFlooded: who tries again at once is told of for a while only.
func TestObserverIsNotFlooded(t *testing.T) {
	h := newHouse(t, Limits{})
	w := &witness{}
	h.cfg.Observer = w
	ada, _ := h.join("ada", "broadcaster")
	r := h.Lookup("r1")
	for range 10 * refusalBurst {
		_, _ = r.Connect(t.Context(), Identity{PeerID: "bo", Role: "king"}, &inbox{})
	}
	for range 10 * reportsPerMinute {
		_ = ada.Report(t.Context(), protocol.Analytics{Name: "x"})
	}
	eve, _ := h.join("eve", "broadcaster")
	for range 10 {
		_ = eve.Report(t.Context(), protocol.Analytics{Name: "x", Info: make([]byte, reportByteBurst/2)})
	}
	h.Registry.Close()
	large := 0
	for _, line := range w.all() {
		if len(line) > reportByteBurst/4 {
			large++
		}
	}
	if large < 2 || large > 4 {
		t.Errorf("heard %d large reports", large)
	}
	if n := len(w.all()); n < refusalBurst+reportsPerMinute || n > 2*(refusalBurst+reportsPerMinute) {
		t.Errorf("heard %d times", n)
	}
}

func TestObserverHearsOfTracks(t *testing.T) {
	h := newHouse(t, Limits{})
	w := &witness{}
	h.cfg.Observer = w
	ann, _, err := h.connect("ann", "broadcaster")
	if err != nil {
		t.Fatal(err)
	}
	pub := newPublisher(t)
	offer := pub.offer()
	answer, err := ann.Join(t.Context(), protocol.Join{Name: "Ann", Offer: &offer})
	if err != nil {
		t.Fatal(err)
	}
	pub.accept(answer)
	mic := pub.add("mic", protocol.Audio, protocol.SourceRegular)
	screen := pub.add("screen", protocol.Video, protocol.SourceScreen)
	publish := func(list ...protocol.Track) {
		t.Helper()
		answer, err := ann.Offer(t.Context(), protocol.Offer{Desc: pub.offer(), Tracks: tracks(list...)})
		if err != nil {
			t.Fatal(err)
		}
		pub.accept(answer)
	}
	publish(mic)
	publish(mic, screen)
	mic.Mute = true
	if err := ann.TrackUpdate(t.Context(), protocol.TrackUpdate{Tracks: tracks(mic)}); err != nil {
		t.Fatal(err)
	}
	publish(mic)
	if err := ann.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := w.all(), []string{
		"track 0 r1 ann mic mute=false", "track 0 r1 ann screen mute=false", "track 1 r1 ann mic mute=true",
		"track 2 r1 ann screen mute=false", "track 2 r1 ann mic mute=true",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
