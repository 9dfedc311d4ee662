package room

import (
	"context"
	"slices"
	"time"

	"amphi/server/protocol"
)

// RequestLeave removes another peer from the room.
func (p *Peer) RequestLeave(ctx context.Context, req protocol.PeerLeaveRequest) error {
	r := p.room
	return p.doJoined(ctx, func() error {
		if !p.role.Permissions.RemoveOthers {
			return errNotAllowed
		}
		target := r.visible(req.RequestedFor)
		if target == nil {
			return errNoPeer
		}
		r.expel(target, protocol.PeerLeaveEvent{RequestedBy: p.ID, Reason: req.Reason}, LeftKicked)
		return nil
	})
}

// expel tells a peer to leave and takes it out. Its id stays refused for a while,
// since a client that missed the message would just come back.
func (r *Room) expel(p *Peer, event protocol.PeerLeaveEvent, why string) {
	event.Reason = cut(event.Reason, r.limits.DataBytes)
	p.notify(protocol.OnPeerLeaveRequest, event)
	r.registry.removed.add(r.rec.RoomID, p.ID, event, r.limits.ForgetAfter)
	r.remove(p, Departure{Reason: why, Message: event.Reason})
}

// EndRoom ends the session for all others; the client itself leaves after the
// result. With lock the room admits nobody until it is enabled again.
func (p *Peer) EndRoom(ctx context.Context, req protocol.EndRoom) error {
	r := p.room
	err := p.doJoined(ctx, func() error {
		if !p.role.Permissions.EndRoom {
			r.refused(p.stay(), Refusal{Of: EndRefused, By: p.ID, Ending: Ending{By: p.ID, Lock: req.Lock, Reason: req.Reason},
				Code: errNotAllowed.Code, Message: errNotAllowed.Message})
			return errNotAllowed
		}
		r.end(p, req)
		return nil
	})
	if err != nil || !req.Lock {
		return err
	}
	return r.registry.cfg.Records.DisableRoom(ctx, r.rec.RoomID)
}

// end removes everybody but by, who ended the room and may be nil.
func (r *Room) end(by *Peer, req protocol.EndRoom) {
	r.log.Info("room ended", "reason", req.Reason, "locked", req.Lock)
	if req.Lock {
		r.disabled.Store(true) // at once; DisableRoom makes it last
	}
	event := protocol.PeerLeaveEvent{Reason: req.Reason, RoomEnd: true}
	if by != nil {
		event.RequestedBy = by.ID
	}
	ending := Ending{At: time.Now(), By: event.RequestedBy, Lock: req.Lock, Reason: req.Reason}
	r.journal.add("session ended", func(ctx context.Context) error {
		return r.registry.cfg.Records.SessionEnded(ctx, r.session, ending)
	})
	r.clear(by, event)
}

// clear removes everybody but one, who may be nil, and ends the live stream, so
// that nothing holds the session any more.
func (r *Room) clear(but *Peer, event protocol.PeerLeaveEvent) {
	for _, p := range r.peers {
		if p != but {
			r.expel(p, event, LeftRemoved)
		}
	}
	if s := r.registry.cfg.Streamer(); s != nil && r.hls.Enabled {
		go func() { _ = s.StopHLS(context.Background(), r, "") }() // nothing runs: nothing to stop
	}
}

// RequestMute asks another peer to mute or unmute one track. The client obeys a
// mute at once and asks its user about an unmute.
func (p *Peer) RequestMute(ctx context.Context, req protocol.TrackUpdateRequest) error {
	r := p.room
	return p.doJoined(ctx, func() error {
		if !p.mayMute(req.Mute) {
			return errNotAllowed
		}
		target := r.visible(req.RequestedFor)
		if target == nil {
			return errNoPeer
		}
		i := slices.IndexFunc(target.tracks, func(t *track) bool { return t.TrackID == req.TrackID })
		if i < 0 {
			return protocol.Errorf(protocol.CodeNotFound, "no such track")
		}
		r.askMute(target, target.tracks[i], p.ID, req.Mute)
		return nil
	})
}

// askMute asks a peer for one of its tracks. An encoder cannot be asked. by is a peer id, empty for the API.
func (r *Room) askMute(target *Peer, t *track, by string, mute bool) {
	if target.silent {
		target.muteTracks(mute, t)
		return
	}
	target.notify(protocol.OnTrackUpdateRequest, protocol.TrackUpdateRequest{RequestedBy: by, TrackID: t.TrackID, StreamID: t.StreamID, Mute: mute})
}

// RequestMuteAll asks every other peer, or those of some roles, to mute or unmute.
func (p *Peer) RequestMuteAll(ctx context.Context, req protocol.ChangeTrackMute) error {
	r := p.room
	if !p.chat.Allow() {
		return errTooFast
	}
	return p.doJoined(ctx, func() error {
		if !p.mayMute(req.Value) {
			return errNotAllowed
		}
		req.RequestedBy = p.ID
		meant := func(o *Peer) bool {
			return o != p && (len(req.Roles) == 0 || slices.Contains(req.Roles, o.role.Name))
		}
		r.tell(protocol.OnChangeTrackMute, req, meant)
		r.muteSilent(req, meant)
		return nil
	})
}

func (p *Peer) mayMute(mute bool) bool {
	if mute {
		return p.role.Permissions.Mute
	}
	return p.role.Permissions.Unmute
}
