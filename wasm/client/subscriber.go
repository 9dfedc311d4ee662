package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"amphi/server/protocol"
	"amphi/wasm/rtc"

	"github.com/google/uuid"
	"github.com/pion/webrtc/v4"
)

// Times and bounds of the data channel (§4.7).
const (
	preferTimeout  = 10 * time.Second
	preferTries    = 3
	maxRemoteSteps = 512 // offers and candidates that wait; more is nonsense, and dropped
)

// subscriber owns the connection that the client receives on. The server
// offers, one offer at a time; its data channel carries which layer of which
// video is wanted, and back who speaks.
type subscriber struct {
	s      *session
	steps  chan remoteStep
	cancel context.CancelFunc

	mu      sync.Mutex
	conn    *rtc.Conn
	open    bool                            // the data channel can send
	answers map[string]chan *protocol.Error // by request id; nil error: done
	views   map[string]view                 // by track
	wanted  map[string]preference           // last asked, by track
}

// remoteStep is an offer or a candidate of the server. They share a queue: a
// candidate means nothing before the offer that it follows.
type remoteStep struct {
	offer     string // SDP; empty for a candidate
	candidate webrtc.ICECandidateInit
}

// view is how large a track is seen, in device pixels; 0×0 not at all. A layer
// that is set wins over the size.
type view struct {
	width, height int
	layer         string
}

// preference is what was asked of the server for one track.
type preference struct {
	layer string // of video
	audio bool   // audio is subscribed
	seq   int    // newer requests make older ones obsolete
}

func newSubscriber(s *session) *subscriber {
	return &subscriber{
		s: s, steps: make(chan remoteStep, maxRemoteSteps),
		answers: map[string]chan *protocol.Error{}, views: map[string]view{}, wanted: map[string]preference{},
	}
}

// start makes the connection; offers of the server are answered from now on.
func (u *subscriber) start() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil {
		return nil
	}
	if err := u.s.ctx.Err(); err != nil {
		return err // close, which comes after it, has been
	}
	watch := newWatchdog(u.s, nil)
	conn, err := u.s.c.cfg.Engine.NewConn(u.s.rtcConfig, rtc.Handlers{
		Candidate: u.candidate,
		State: func(state webrtc.PeerConnectionState) {
			watch.state(state)
			u.s.connState("subscribe", state)
		},
		Track:   u.s.remoteTrack,
		Open:    u.opened,
		Message: u.message,
	})
	if err != nil {
		watch.stop()
		return newError(codeAnswerFailed, "JOIN", "%w", err)
	}
	ctx, cancel := context.WithCancel(u.s.ctx)
	u.conn = conn
	u.cancel = func() {
		cancel()
		watch.stop()
	}
	spawn(func() { u.negotiate(ctx, conn) })
	return nil
}

// offer takes an offer of the server; it must not block.
func (u *subscriber) offer(o protocol.SubscribeOffer) {
	if node := u.s.pub.node(); o.SFUNodeID != "" && node != "" && o.SFUNodeID != node {
		return // of an SFU that was left (§3.7.5)
	}
	u.put(remoteStep{offer: o.SDP})
}

// remoteCandidate takes a candidate of the server; it must not block.
func (u *subscriber) remoteCandidate(c webrtc.ICECandidateInit) { u.put(remoteStep{candidate: c}) }

func (u *subscriber) put(step remoteStep) {
	select {
	case u.steps <- step:
	default:
		u.s.c.log.Warn("subscribe connection: too many messages wait, one is dropped")
	}
}

// negotiate answers offers, one after the other.
func (u *subscriber) negotiate(ctx context.Context, conn *rtc.Conn) {
	for {
		var step remoteStep
		select {
		case step = <-u.steps:
		case <-ctx.Done():
			return
		}
		if step.offer == "" {
			if err := conn.AddCandidate(step.candidate); err != nil && ctx.Err() == nil {
				u.s.c.log.Debug("candidate not used", "err", err)
			}
			continue
		}
		sdp, err := conn.Answer(ctx, step.offer)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// The connection cannot be saved: there is no way to tell the server
			// which of its offers failed (§4.4).
			u.s.end(terminal(newError(codeAnswerFailed, "SUBSCRIBE", "%w", err)), "sdk request")
			return
		}
		u.s.link.notify(ctx, protocol.MethodAnswer, protocol.Answer{
			Desc: protocol.Description{Type: "answer", SDP: sdp}, SFUNodeID: u.s.pub.node(),
		})
	}
}

func (u *subscriber) candidate(init webrtc.ICECandidateInit) {
	u.s.link.notify(u.s.ctx, protocol.MethodTrickle, protocol.Trickle{
		Target: protocol.TargetSubscribe, SFUNodeID: u.s.pub.node(),
		Candidate: protocol.Candidate{
			Candidate: init.Candidate, SDPMid: init.SDPMid, SDPMLineIndex: init.SDPMLineIndex, UsernameFragment: init.UsernameFragment,
		},
	})
}

// Layers

// setView notes how a track is seen and asks for what fits.
func (u *subscriber) setView(trackID string, v view) {
	u.mu.Lock()
	if v == (view{}) {
		delete(u.views, trackID)
	} else {
		u.views[trackID] = v
	}
	u.mu.Unlock()
	u.refresh(trackID)
}

func (u *subscriber) viewOf(trackID string) view {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.views[trackID]
}

// refresh asks the server for what is wanted of a track, if that is not what
// was asked last: video in the layer that fits its view, none while it is
// unseen or muted; audio unless it is muted or turned down (§4.7). Where video
// comes unasked, only a layer that is set counts.
func (u *subscriber) refresh(trackID string) {
	var track Track
	var visible bool
	u.s.c.store.read(func(st *State) { track, visible = st.Tracks[trackID] })
	u.mu.Lock()
	defer u.mu.Unlock()
	if !visible {
		// Its view stays: it may come back to the element that shows it.
		delete(u.wanted, trackID)
		return
	}
	if !u.open || track.PeerID == u.s.peerID {
		return
	}
	last, asked := u.wanted[trackID]
	want := last
	if track.Type == rtc.Video {
		v := u.views[trackID]
		switch {
		case v.layer != "":
			want.layer = v.layer
		case !u.s.autoVideo:
			want.layer = layerFor(track.LayerDefinitions, v.width, v.height)
		case !asked:
			return // it comes unasked
		default:
			want.layer = layerHigh
		}
		if !track.Enabled {
			want.layer = layerNone
		}
		if !asked && want.layer == layerNone || asked && want.layer == last.layer {
			return // nothing is sent until asked for
		}
	} else {
		want.audio = track.Enabled && (track.Volume == nil || *track.Volume > 0)
		if !asked && want.audio || asked && want.audio == last.audio {
			return // audio is sent until refused
		}
	}
	want.seq++
	u.wanted[trackID] = want
	conn := u.conn
	spawn(func() { u.ask(conn, trackID, track.Type, want) })
}

// refreshAll asks for everything anew.
func (u *subscriber) refreshAll() {
	var ids []string
	u.s.c.store.read(func(st *State) { ids = sortedKeys(st.Tracks) })
	for _, id := range ids {
		u.refresh(id)
	}
}

type preferVideo struct {
	MaxSpatialLayer string `json:"max_spatial_layer"`
	TrackID         string `json:"track_id"`
}

type preferAudio struct {
	Subscribed bool   `json:"subscribed"`
	TrackID    string `json:"track_id"`
}

var errUnanswered = errors.New("no answer on the data channel")

// ask sends one request and sees to its answer: the same bytes again when there
// is none, a new try when the server says that it may pass.
func (u *subscriber) ask(conn *rtc.Conn, trackID string, kind rtc.Kind, p preference) {
	obsolete := func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.conn != conn || u.wanted[trackID].seq != p.seq
	}
	id := uuid.NewString()
	var message []byte
	if kind == rtc.Video {
		message = protocol.Request(id, protocol.MethodPreferVideo, preferVideo{p.layer, trackID})
	} else {
		message = protocol.Request(id, protocol.MethodPreferAudio, preferAudio{p.audio, trackID})
	}
	answer := make(chan *protocol.Error, preferTries)
	u.mu.Lock()
	u.answers[id] = answer
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.answers, id)
		u.mu.Unlock()
	}()
	for range preferTries {
		if obsolete() {
			return
		}
		err := u.askOnce(conn, message, answer)
		var refused *protocol.Error
		switch {
		case err == nil:
			u.confirmed(trackID, kind, p)
			return
		case errors.As(err, &refused) && !isRetryable(err):
			if refused.Code != protocol.CodeNotFound { // gone meanwhile
				u.s.c.log.Warn("layer request refused", "track", trackID, "err", err)
			}
			return
		case errors.As(err, &refused):
			if !sleep(u.s.ctx, u.s.timing.retryMin) {
				return
			}
		}
	}
	u.s.c.log.Warn("layer request failed", "track", trackID)
}

func (u *subscriber) askOnce(conn *rtc.Conn, message []byte, answer chan *protocol.Error) error {
	if err := conn.Send(message); err != nil {
		return err
	}
	timer := time.NewTimer(preferTimeout)
	defer timer.Stop()
	select {
	case refused := <-answer:
		if refused != nil {
			return refused
		}
		return nil
	case <-timer.C:
		return errUnanswered
	case <-u.s.ctx.Done():
		return u.s.ctx.Err()
	}
}

func (u *subscriber) confirmed(trackID string, kind rtc.Kind, p preference) {
	if kind != rtc.Video {
		return
	}
	u.s.c.store.update(func(t *tx) {
		if track, ok := t.Tracks[trackID]; ok && track.Layer != p.layer {
			track.Layer = p.layer
			if p.layer != layerNone {
				track.PreferredLayer = p.layer
			}
			t.setTrack(track)
		}
	})
}

// opened: requests can be sent.
func (u *subscriber) opened() {
	u.mu.Lock()
	u.open = true
	u.mu.Unlock()
	u.refreshAll()
}

// message takes one text of the data channel: an answer, or a notification
// like those of the WebSocket.
func (u *subscriber) message(data []byte) {
	frame, err := parseFrame(data)
	if err != nil {
		u.s.c.log.Debug("data channel message dropped", "err", err)
		return
	}
	if frame.ID == "" {
		u.s.handle(frame.Method, json.RawMessage(frame.Params))
		return
	}
	u.mu.Lock()
	answer := u.answers[frame.ID]
	u.mu.Unlock()
	if answer == nil {
		return
	}
	select {
	case answer <- frame.Error:
	default: // the same bytes were answered more than once
	}
}

// close ends the connection.
func (u *subscriber) close() {
	u.mu.Lock()
	conn, cancel := u.conn, u.cancel
	u.conn, u.cancel, u.open = nil, nil, false
	clear(u.wanted)
	for len(u.steps) > 0 { // they were for this connection
		<-u.steps
	}
	u.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if conn != nil {
		if err := conn.Close(); err != nil {
			u.s.c.log.Debug("close subscribe connection", "err", fmt.Sprint(err))
		}
	}
}
