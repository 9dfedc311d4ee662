package sfu

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// session is one subscribe connection. A downlink makes a new one when the
// client did. Its fields belong to the downlink's goroutine, apart from the
// atomic ones.
type session struct {
	down      *downlink
	pc        *webrtc.PeerConnection
	channel   *channel
	connected atomic.Bool   // DTLS is up: packets can be sent
	twcc      atomic.Uint32 // last transport-wide sequence number, 16 bits of it are sent

	subs   []*subscription
	lines  []*line
	tracks atomic.Pointer[map[string]*downTrack] // by track id, for the channel

	offer       string // the outstanding one, "" if none
	offeredAt   time.Time
	unanswered  bool // the delay was reported
	answered    bool // at least once
	answeredAt  time.Time
	cameUp      bool   // connected at least once
	remote      string // the client's session id and
	fingerprint string // its certificate's, from the first answer on
	candidates  int
	early       []webrtc.ICECandidateInit // that came before the first answer

	badSince    time.Time // not connected since, zero if connected
	lastRestart time.Time
	gaveUp      bool
	counted     bool
}

// subscription is a track on a session.
type subscription struct {
	down   *downTrack
	sender *webrtc.RTPSender // nil: the client cannot decode it, there is no section
	line   *line
	told   layerUpdate // what the client knows of the layer
}

// line is a media section of a session, kept for reuse.
type line struct {
	transceiver *webrtc.RTPTransceiver
	kind        Kind
	sub         *subscription // nil: free
	leaving     bool          // free only after the next answer
	dead        bool          // refused by the client with port 0: stays so (RFC 8843 §7)
}

func newSession(d *downlink) (*session, error) {
	s := d.peer.sfu
	pc, err := s.newConnection(s.subAPI)
	if err != nil {
		return nil, err
	}
	l := &session{down: d, pc: pc, badSince: time.Now()}
	l.tracks.Store(&map[string]*downTrack{})
	if l.channel, err = newChannel(l); err != nil {
		s.discard(pc)
		return nil, err
	}
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { d.stateChanged() })
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {}) // all are in the description, see settle
	return l, nil
}

func (l *session) close() {
	for _, sub := range l.subs {
		l.release(sub)
	}
	l.subs = nil
	l.connected.Store(false)
	l.count(false)
	l.down.peer.sfu.discard(l.pc)
}

// count keeps the gauge of connected sessions.
func (l *session) count(connected bool) {
	if l.counted == connected {
		return
	}
	l.counted = connected
	n := int64(-1)
	if connected {
		n = 1
	}
	l.down.peer.sfu.stats.subConnected.Add(n)
}

// release ends a subscription's packets.
func (l *session) release(sub *subscription) {
	sub.down.track.removeDown(sub.down)
	l.down.peer.sfu.stats.subscriptions.Add(-1)
}

// update makes subscriptions what is desired and reports whether the client
// has to be told.
func (l *session) update(desired []*Track, autoVideo bool) (changed bool) {
	want := make(map[*Track]bool, len(desired))
	for _, t := range desired {
		want[t] = true
	}
	var kept []*subscription
	for _, sub := range l.subs {
		if want[sub.down.track] {
			kept = append(kept, sub)
			delete(want, sub.down.track)
			continue
		}
		l.release(sub)
		changed = l.remove(sub) || changed
	}
	l.subs = kept
	for _, t := range desired {
		if want[t] {
			delete(want, t)
			changed = l.add(t, autoVideo) || changed
		}
	}
	byID := make(map[string]*downTrack, len(l.subs))
	for _, sub := range l.subs {
		byID[sub.down.track.info.ID] = sub.down
	}
	l.tracks.Store(&byID)
	return changed
}

// remove takes a subscription off its section.
func (l *session) remove(sub *subscription) (changed bool) {
	if sub.sender == nil {
		return false
	}
	if sub.line.dead {
		// The sender stays where it is, mute, so that pion does not take
		// the section for a free one.
		return false
	}
	if err := l.pc.RemoveTrack(sub.sender); err != nil {
		l.down.log.Debug("remove track", "error", err)
	}
	sub.line.sub = nil
	sub.line.leaving = true
	return true
}

// add subscribes to a track, on a free section of its kind or on a new one.
// Every video section names both codecs: pion can offer only those that some
// answer accepted, so a section with one codec alone would rule the other out
// for the whole connection. The one that is sent is the track's.
func (l *session) add(t *Track, autoVideo bool) (changed bool) {
	d := newDownTrack(t, l, t.info.Kind == Audio || autoVideo)
	sub := &subscription{down: d}
	l.subs = append(l.subs, sub)
	l.down.peer.sfu.stats.subscriptions.Add(1)
	var err error
	// pion takes the first section that is free by its own book, where dead
	// ones without a sender are too.
	free, dead := false, false
	for _, n := range l.lines {
		if n.sub == nil && n.kind == t.info.Kind {
			free = free || !n.leaving && !n.dead
			dead = dead || n.dead
		}
	}
	if free && !dead {
		sub.sender, err = l.pc.AddTrack(d)
	} else {
		var tr *webrtc.RTPTransceiver
		tr, err = l.pc.AddTransceiverFromTrack(d, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err == nil {
			sub.sender = tr.Sender()
		}
	}
	if err != nil {
		// Nothing of the client's is in this call; it is a bug if it fails.
		l.down.log.Warn("subscribe", "track", t.info.ID, "error", err)
		sub.sender = nil
		return false
	}
	// pion chose the transceiver, so look which one it is.
	for _, tr := range l.pc.GetTransceivers() {
		if tr.Sender() == sub.sender {
			sub.line = l.lineOf(tr, t.info.Kind)
		}
	}
	sub.line.sub = sub
	sender := sub.sender
	l.down.peer.sfu.jobs.start(func() { d.pumpRTCP(sender) })
	t.addDown(d)
	return true
}

func (l *session) lineOf(tr *webrtc.RTPTransceiver, kind Kind) *line {
	for _, n := range l.lines {
		if n.transceiver == tr {
			return n
		}
	}
	n := &line{transceiver: tr, kind: kind}
	l.lines = append(l.lines, n)
	return n
}

// makeOffer makes the next offer. It becomes the outstanding one.
func (l *session) makeOffer(restart bool) error {
	o, err := l.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return fmt.Errorf("sfu: subscribe offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(l.pc)
	if err := l.pc.SetLocalDescription(o); err != nil {
		return fmt.Errorf("sfu: subscribe offer: %w", err)
	}
	if err := settle(context.Background(), gathered); err != nil {
		return err
	}
	if l.offer, err = l.bury(l.pc.LocalDescription().SDP); err != nil {
		return err
	}
	l.offeredAt, l.unanswered = time.Now(), false
	return nil
}

// bury sets dead sections of an offer to port 0.
func (l *session) bury(offer string) (string, error) {
	dead := map[string]bool{}
	for _, n := range l.lines {
		if n.dead {
			dead[n.transceiver.Mid()] = true
		}
	}
	if len(dead) == 0 {
		return offer, nil
	}
	var s sdp.SessionDescription
	if err := s.UnmarshalString(offer); err != nil {
		return "", fmt.Errorf("sfu: own offer: %w", err)
	}
	for i, m := range s.MediaDescriptions {
		if mid, _ := m.Attribute(sdp.AttrKeyMID); dead[mid] {
			s.MediaDescriptions[i] = refuse(m, mid)
		}
	}
	for i, a := range s.Attributes {
		if a.Key == "group" {
			var group []string
			for _, f := range strings.Fields(a.Value) {
				if !dead[f] {
					group = append(group, f)
				}
			}
			s.Attributes[i].Value = strings.Join(group, " ")
		}
	}
	text, err := s.Marshal()
	if err != nil {
		return "", fmt.Errorf("sfu: own offer: %w", err)
	}
	return string(text), nil
}

// takeAnswer applies the answer to the outstanding offer.
func (l *session) takeAnswer(a *description) error {
	if l.offer == "" {
		return ErrUnexpectedAnswer
	}
	text, refused, err := answerFor(a, l.offer)
	if err != nil {
		return err
	}
	if err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: text}); err != nil {
		if l.pc.SignalingState() == webrtc.SignalingStateStable {
			l.offer = "" // it went wrong after the point of no return
		}
		return badSDP("%v", err)
	}
	l.offer = ""
	l.answered, l.answeredAt = true, time.Now()
	l.remote, l.fingerprint = a.session, a.fingerprint
	for _, n := range l.lines {
		n.leaving = false
		why := refused[n.transceiver.Mid()]
		if why == refusedSection {
			n.dead = true
		}
		if n.sub != nil && why&codecBit(n.sub.down.track.codec) != 0 {
			l.unsupported(n.sub)
		}
	}
	early := l.early
	l.early = nil
	for _, c := range early {
		l.addCandidate(c)
	}
	return nil
}

// unsupported notes that the client has no decoder for a track. The
// subscription stays, silent, until it is taken back.
func (l *session) unsupported(sub *subscription) {
	if sub.down.unsupported.Swap(true) {
		return
	}
	l.down.peer.sfu.stats.unsupported.Add(1)
	l.down.log.Info("subscriber lacks the codec", "track", sub.down.track.info.ID, "codec", sub.down.track.codec.String())
	sub.down.track.removeDown(sub.down)
}

func (l *session) addCandidate(c webrtc.ICECandidateInit) {
	if err := l.pc.AddICECandidate(c); err != nil {
		l.down.peer.sfu.stats.droppedCandidates.Add(1)
		l.down.log.Debug("subscribe candidate", "error", err)
	}
}

// sendReports sends the sender reports of what is being forwarded, and asks
// again for key frames that did not come.
func (l *session) sendReports(now time.Time) {
	if !l.connected.Load() {
		return
	}
	var reports []rtcp.Packet
	for _, sub := range l.subs {
		if r, ok := sub.down.report(now); ok {
			reports = append(reports, r)
		}
		if sub.down.waiting.Load() && sub.down.wanted.Load() {
			sub.down.requestKey()
		}
	}
	// 28 bytes each: 40 fit into a datagram with SRTCP's trailer.
	for len(reports) > 0 {
		n := min(len(reports), 40)
		if err := l.pc.WriteRTCP(reports[:n]); err != nil {
			return
		}
		reports = reports[n:]
	}
}

// tellLayers tells the client which layers it gets where that has changed.
func (l *session) tellLayers() {
	tracks := map[string]layerUpdate{}
	for _, sub := range l.subs {
		d := sub.down
		rank := d.sent.Load()
		if !d.track.simulcast.Load() || !d.wanted.Load() || rank == noLayer {
			continue
		}
		now := layerUpdate{
			TrackID: d.track.info.ID, Current: layerNames[min(int(rank), len(layerNames)-1)], Expected: layerNames[d.rank.Load()],
		}
		if sub.told != now {
			sub.told = now
			tracks[now.TrackID] = now
		}
	}
	if len(tracks) > 0 {
		l.channel.tell("on-track-layer-update", map[string]any{"tracks": tracks})
	}
}

// reportSoon is called on the packet path when a stream begins.
func (l *session) reportSoon() {
	l.down.reports.Store(true)
	l.down.kick()
}

// up is called when DTLS came up or ICE came back: whoever is watched has to
// start with a key frame.
func (l *session) up() {
	for _, sub := range l.subs {
		sub.down.askKey()
	}
}
