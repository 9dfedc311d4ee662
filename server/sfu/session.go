package sfu

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"amphi/server/sfu/transport"
)

// session is one subscribe connection. A downlink makes a new one when the
// client did. Its fields belong to the downlink's goroutine, apart from the
// atomic ones.
type session struct {
	down      *downlink
	transport *transport.Transport
	connected atomic.Bool // packets can be sent

	subs    []*subscription
	lines   []*line // section 0 is the data channel's, these follow
	id      uint64  // of the o= line
	version int
	tracks  atomic.Pointer[map[string]*downTrack] // by track id, for the channel
	streams atomic.Pointer[map[uint32]*downTrack] // by SSRC, for what the client reports

	offer       string // the outstanding one, "" if none
	offeredAt   time.Time
	unanswered  bool // the delay was reported
	answered    bool // at least once
	answeredAt  time.Time
	cameUp      bool   // connected at least once
	remote      string // the client's session id and
	fingerprint string // its certificate's, from the first answer on
	candidates  int

	badSince    time.Time // not connected since, zero if connected
	lastRestart time.Time
	gaveUp      bool
	counted     bool
	narrow      bool // not all that is wanted fits
	fixed       bool // a player's: it offered the lines, see player.go
}

// subscription is a track on a session.
type subscription struct {
	down *downTrack
	line *line
	told layerUpdate // what the client knows of the layer
}

// line is a media section of a session, kept for reuse.
type line struct {
	kind    Kind
	sub     *subscription // nil: free
	leaving bool          // free only after the next answer, which is to an offer where it is inactive
	dead    bool          // refused by the client with port 0: stays so (RFC 8843 §7)

	// Of a player's session: what the client offered, and where its stream goes on.
	mid           string
	takes         map[Codec]taken
	exts          map[string]uint8
	ssrc, rtxSSRC uint32
	munger        munger
	again         uint64
}

// newSession makes a session with a data channel of that label, if it has one.
func newSession(d *downlink, label string) *session {
	l := &session{down: d, badSince: time.Now(), id: rand.Uint64N(1 << 62)}
	l.index()
	l.transport = d.peer.sfu.port.New(label, l, d.log)
	return l
}

func (l *session) close() {
	for _, sub := range l.subs {
		l.release(sub)
	}
	l.subs = nil
	l.connected.Store(false)
	l.count(false)
	if l.narrow {
		l.narrow = false
		l.down.peer.sfu.stats.narrow.Add(-1)
	}
	l.down.peer.sfu.jobs.start(l.transport.Close) // it takes as long as a goodbye
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
	if sub.down.least.Swap(0) == withheld {
		l.down.peer.sfu.stats.withheld.Add(-1)
	}
	l.down.peer.sfu.stats.subscriptions.Add(-1)
}

// update makes subscriptions what is desired and reports whether the client
// has to be told.
func (l *session) update(desired []*Track, autoVideo bool) (changed bool) {
	want := make(map[*Track]bool, len(desired))
	for _, t := range desired {
		want[t] = true
	}
	before := len(l.subs)
	var kept []*subscription
	for _, sub := range l.subs {
		if want[sub.down.track] {
			kept = append(kept, sub)
			delete(want, sub.down.track)
			continue
		}
		l.release(sub)
		sub.line.sub = nil
		if !sub.line.dead {
			sub.line.leaving = true
			changed = true
		}
	}
	removed := len(kept) < before
	l.subs = kept
	added := false
	for _, t := range desired {
		if !want[t] {
			continue
		}
		delete(want, t)
		if n := l.free(t.info.Kind); n != nil {
			l.add(t, n, autoVideo)
			added = true
		}
	}
	if removed || added {
		l.index()
	}
	return changed || added
}

// index makes the maps of what there is.
func (l *session) index() {
	byID, bySSRC := make(map[string]*downTrack, len(l.subs)), make(map[uint32]*downTrack, len(l.subs))
	for _, sub := range l.subs {
		byID[sub.down.track.info.ID] = sub.down
		bySSRC[sub.down.ssrc] = sub.down
	}
	l.tracks.Store(&byID)
	l.streams.Store(&bySSRC)
}

// add subscribes to a track, on a section that is free. Its SSRC is always a
// new one: by that clients know that another track came.
func (l *session) add(t *Track, on *line, autoVideo bool) {
	d := newDownTrack(t, l, t.info.Kind == Audio || autoVideo)
	l.arrives(d)
	sub := &subscription{down: d, line: on}
	sub.line.sub = sub
	l.subs = append(l.subs, sub)
	l.down.peer.sfu.stats.subscriptions.Add(1)
	t.addDown(d)
}

// free is a free section of a kind, or a new one; nil if there are too many,
// which takes a client that refuses one after the other.
func (l *session) free(kind Kind) *line {
	for _, n := range l.lines {
		if n.sub == nil && n.kind == kind && !n.leaving && !n.dead {
			return n
		}
	}
	if len(l.lines)+1 == maxSections {
		return nil
	}
	n := &line{kind: kind}
	l.lines = append(l.lines, n)
	return n
}

// makeOffer makes the next offer. It becomes the outstanding one.
func (l *session) makeOffer(restart bool) {
	if restart {
		l.transport.Restart()
	}
	l.version++
	l.offer = l.describe()
	l.offeredAt, l.unanswered = time.Now(), false
}

// takeAnswer applies the answer to the outstanding offer. On an error nothing
// has changed.
func (l *session) takeAnswer(a *description) error {
	if l.offer == "" {
		return ErrUnexpectedAnswer
	}
	if err := l.check(a); err != nil {
		return err
	}
	if err := l.transport.SetRemote(transport.Remote{
		Credentials: transport.Credentials{Ufrag: a.ufrag, Password: a.pwd},
		Fingerprint: a.fingerprint, Passive: a.setup == "passive",
	}); err != nil {
		return badSDP("%v", err)
	}
	l.offer = ""
	l.answered, l.answeredAt = true, time.Now()
	l.remote, l.fingerprint = a.session, a.fingerprint
	for i, n := range l.lines {
		sec := a.sections[i+1]
		n.leaving = false
		n.dead = n.dead || sec.disabled || sec.refused
		if n.sub == nil {
			continue
		}
		if b := n.sub.down.settle(sec); b == nil {
			l.unsupported(n.sub)
		} else if n.sub.down.out.Load() == nil {
			n.sub.down.out.Store(b)
			n.sub.down.askKey()
		}
	}
	return nil
}

// unsupported notes that the client has no decoder for a track. The
// subscription stays, silent, until it is taken back.
func (l *session) unsupported(sub *subscription) {
	if sub.down.unsupported {
		return
	}
	sub.down.unsupported = true
	l.down.peer.sfu.stats.unsupported.Add(1)
	l.down.log.Info("subscriber lacks the codec", "track", sub.down.track.info.ID, "codec", sub.down.track.codec.String())
	sub.down.track.removeDown(sub.down)
}

// StateChanged is part of transport.Handler.
func (l *session) StateChanged() { l.down.stateChanged() }

// Moved is part of transport.Handler. Clients ask for key frames themselves, but they wait first for what is lost.
func (l *session) Moved() {
	l.down.log.Debug("subscriber is reached by another way")
	for _, d := range *l.streams.Load() {
		if d.track.info.Kind == Video && d.sent.Load() != noLayer {
			d.requestKey()
		}
	}
}

// RTCP is part of transport.Handler: what the client reports about the
// streams. It goes to them at once, on the goroutine that reads the port.
func (l *session) RTCP(b []byte) {
	streams := *l.streams.Load()
	for len(b) > 0 {
		var h rtcp.Header
		if h.Unmarshal(b) != nil {
			return
		}
		n := (int(h.Length) + 1) * 4
		if n > len(b) {
			return
		}
		switch {
		case h.Type == rtcp.TypeReceiverReport:
			var p rtcp.ReceiverReport
			if p.Unmarshal(b[:n]) == nil {
				l.received(p.Reports)
			}
		case h.Type == rtcp.TypeSenderReport:
			var p rtcp.SenderReport
			if p.Unmarshal(b[:n]) == nil {
				l.received(p.Reports)
			}
		case h.Type == rtcp.TypeTransportSpecificFeedback && h.Count == rtcp.FormatTLN:
			var p rtcp.TransportLayerNack
			if d := streams[mediaSSRC(b[:n])]; d != nil && p.Unmarshal(b[:n]) == nil {
				d.repair(p.Nacks)
			}
		case h.Type == rtcp.TypePayloadSpecificFeedback && h.Count == rtcp.FormatPLI:
			if d := streams[mediaSSRC(b[:n])]; d != nil {
				d.pictureLost()
			}
		case h.Type == rtcp.TypePayloadSpecificFeedback && h.Count == rtcp.FormatREMB:
			var p rtcp.ReceiverEstimatedMaximumBitrate
			if p.Unmarshal(b[:n]) == nil {
				l.estimated(&p, time.Now())
			}
		case h.Type == rtcp.TypePayloadSpecificFeedback && h.Count == rtcp.FormatFIR:
			var p rtcp.FullIntraRequest
			if p.Unmarshal(b[:n]) != nil {
				break
			}
			for _, e := range p.FIR {
				if d := streams[e.SSRC]; d != nil {
					d.pictureLost()
				}
			}
		}
		b = b[n:]
	}
}

// received takes what the client says that arrived.
func (l *session) received(reports []rtcp.ReceptionReport) {
	streams, now := *l.streams.Load(), time.Now()
	for i := range reports {
		if d := streams[reports[i].SSRC]; d != nil {
			d.reception.take(&l.down.peer.received, &reports[i], d.track, now)
		}
	}
}

// mediaSSRC is what a feedback message is about, 0 if it is too short to say
// (RFC 4585, 6.1).
func mediaSSRC(b []byte) uint32 {
	if len(b) < 12 {
		return 0
	}
	return uint32(b[8])<<24 | uint32(b[9])<<16 | uint32(b[10])<<8 | uint32(b[11])
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
		if sub.down.waiting.Load() && sub.down.shown() {
			sub.down.requestKey()
		}
	}
	// 28 bytes each: 40 fit into a datagram with SRTCP's trailer.
	for len(reports) > 0 {
		n := min(len(reports), 40)
		compound, err := rtcp.Marshal(reports[:n])
		if err != nil {
			return // of our own making: cannot be
		}
		l.transport.SendRTCP(compound)
		reports = reports[n:]
	}
}

// tellLayers tells the client which layers it gets where that has changed.
func (l *session) tellLayers() {
	if l.fixed {
		return // there is no channel to tell it on
	}
	tracks := map[string]layerUpdate{}
	for _, sub := range l.subs {
		if now, ok := sub.down.update(sub.told); ok && sub.told != now && (now.Subscriber || sub.down.track.simulcast.Load() || sub.told.Subscriber) {
			sub.told = now
			tracks[now.TrackID] = now
		}
	}
	if len(tracks) > 0 {
		l.tell("on-track-layer-update", map[string]any{"tracks": tracks})
	}
}

// update is what there is to tell of the layer that is sent, if that is not about to change.
func (d *downTrack) update(told layerUpdate) (u layerUpdate, ok bool) {
	rank, least, wanted := d.sent.Load(), d.least.Load(), d.rank.Load()
	u = layerUpdate{TrackID: d.track.info.ID, Expected: layerNames[wanted]}
	switch {
	case d.track.info.Kind == Audio:
		return u, false
	case least == withheld:
		u.Current, u.Subscriber = layerNone, true
	case !d.wanted.Load():
		// It asks again once it knows that the picture fits.
		u.Current = u.Expected
		return u, told.Current == layerNone
	case rank == noLayer:
		return u, false
	case !d.track.simulcast.Load():
		u.Current = u.Expected // there is one only
	default:
		u.Current, u.Subscriber = layerNames[min(int(rank), len(layerNames)-1)], least > wanted && rank > wanted
	}
	return u, true
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
