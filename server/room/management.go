package room

import (
	"context"
	"slices"
	"strings"
	"time"

	"amphi/server/protocol"
)

// What customers' servers do to a live room. None of it asks for a permission:
// their token is the permission.

// Attendee is a joined peer as the server's API shows it.
type Attendee struct {
	PeerID string
	UserID string
	Name   string
	Role   string
	Data   string // metadata
	Joined time.Time
	Tracks []AttendeeTrack // in the order of publishing

	Groups  []string // such as those who raise a hand
	Quality int      // of the line, as clients are told: 1 to 5, 0 without a connection, -1 unknown
}

// AttendeeTrack is one of an attendee's published tracks.
type AttendeeTrack struct {
	protocol.Track
	Started time.Time
}

// Attendees returns everybody in the room, in the order of joining.
func (r *Room) Attendees(ctx context.Context) (list []Attendee, err error) {
	err = r.do(ctx, func() error {
		for _, p := range r.order {
			if !p.hidden {
				list = append(list, p.attendee())
			}
		}
		return nil
	})
	return list, err
}

// People says how many Attendees returns.
func (r *Room) People(ctx context.Context) (n int, err error) {
	err = r.do(ctx, func() error {
		for _, p := range r.order {
			if !p.hidden {
				n++
			}
		}
		return nil
	})
	return n, err
}

// Attendee returns the joined peer of that id.
func (r *Room) Attendee(ctx context.Context, peerID string) (a Attendee, err error) {
	err = r.do(ctx, func() error {
		p := r.visible(peerID)
		if p == nil {
			return errNoPeer
		}
		a = p.attendee()
		return nil
	})
	return a, err
}

func (p *Peer) attendee() Attendee {
	a := Attendee{PeerID: p.ID, UserID: p.info.UserID, Name: p.info.Name, Role: p.role.Name, Data: p.info.Data, Joined: p.joinedAt,
		Groups: slices.Clone(p.groups), Quality: p.quality().Score}
	for _, t := range p.tracks {
		a.Tracks = append(a.Tracks, AttendeeTrack{t.Track, t.started})
	}
	return a
}

// PeerChange is what can be changed of a peer. What is nil stays.
type PeerChange struct {
	Name *string
	Role *string
	Data *string // metadata
}

// ChangePeer changes all that is asked, or nothing. The peer itself hears of it
// too, unlike of its own changes.
func (r *Room) ChangePeer(ctx context.Context, peerID string, c PeerChange) (a Attendee, err error) {
	err = r.do(ctx, func() error {
		p := r.visible(peerID)
		if p == nil {
			return errNoPeer
		}
		if err := r.checkInfo(c.Name, c.Data); err != nil {
			return err
		}
		if c.Role != nil {
			role := r.role(*c.Role)
			if role == nil {
				return errNoRole
			}
			if err := r.setRole(p, role, ""); err != nil {
				return err
			}
		}
		r.setInfo(p, c.Name, c.Data)
		if c.Name != nil || c.Data != nil {
			r.announceChange(p, true)
		}
		a = p.attendee()
		return nil
	})
	return a, err
}

// checkInfo refuses names and metadata that are too long. Both may be nil.
func (r *Room) checkInfo(name, data *string) error {
	switch {
	case name != nil && len(*name) > r.limits.NameBytes:
		return protocol.Errorf(protocol.CodeTooLarge, "name longer than %d bytes", r.limits.NameBytes)
	case data != nil && len(*data) > r.limits.DataBytes:
		return protocol.Errorf(protocol.CodeTooLarge, "metadata longer than %d bytes", r.limits.DataBytes)
	}
	return nil
}

// setInfo changes a peer's name and metadata, as far as they are given.
func (r *Room) setInfo(p *Peer, name, data *string) {
	if data != nil {
		p.info.Data = *data
	}
	r.changed()
	if name == nil || *name == p.info.Name {
		return
	}
	p.info.Name = *name
	r.touchStage(p)
	stay := p.stay()
	r.journal.add("peer renamed", func(ctx context.Context) error {
		return r.registry.cfg.Records.PeerRenamed(ctx, r.session, stay)
	})
}

// Remove removes one peer, or all of a role when peerID is empty.
func (r *Room) Remove(ctx context.Context, peerID, role, reason string) error {
	return r.do(ctx, func() error {
		var targets []*Peer
		switch {
		case peerID != "":
			target := r.visible(peerID)
			if target == nil {
				return errNoPeer
			}
			targets = []*Peer{target}
		case r.role(role) == nil:
			return errNoRole
		default:
			targets = slices.DeleteFunc(slices.Clone(r.order), func(p *Peer) bool { return p.role.Name != role })
		}
		for _, p := range targets {
			r.expel(p, protocol.PeerLeaveEvent{Reason: reason}, LeftKicked)
		}
		return nil
	})
}

// Mute asks a peer to mute its tracks of a kind: the microphone, or camera and screen. An encoder, which cannot be asked,
// is muted here.
func (r *Room) Mute(ctx context.Context, peerID string, kind protocol.TrackKind) error {
	return r.do(ctx, func() error {
		target := r.visible(peerID)
		if target == nil {
			return errNoPeer
		}
		for _, t := range target.tracks {
			if t.Kind == kind && !t.Mute {
				r.askMute(target, t, "", true)
			}
		}
		return nil
	})
}

// End ends the session for everybody. With lock the room admits nobody until it
// is enabled again.
func (r *Room) End(ctx context.Context, req protocol.EndRoom) error {
	err := r.do(ctx, func() error {
		r.end(nil, req)
		return nil
	})
	if err != nil || !req.Lock {
		return err
	}
	return r.registry.cfg.Records.DisableRoom(ctx, r.rec.RoomID)
}

// Refresh brings a live room up to date with its record: whether it admits
// anybody, how many, and for how long. Its template stays that of the session's
// start, so that nobody's role changes under them.
func (g *Registry) Refresh(ctx context.Context, roomID string) error {
	r := g.Lookup(roomID)
	if r == nil {
		return nil
	}
	rec, err := g.cfg.Records.LoadRoom(ctx, roomID)
	if err != nil {
		return err
	}
	err = r.do(ctx, func() error {
		r.disabled.Store(!rec.Enabled)
		r.setBounds(rec)
		return nil
	})
	if err == ErrClosed {
		return nil
	}
	return err
}

// setBounds takes over the bounds that the record sets.
func (r *Room) setBounds(rec Record) {
	r.limits.Peers = r.registry.cfg.Limits.Peers
	if rec.MaxPeers > 0 {
		r.limits.Peers = rec.MaxPeers
	}
	length := r.limits.SessionLength
	if rec.MaxDuration > 0 {
		length = min(length, rec.MaxDuration)
	}
	if r.expiry != nil {
		r.expiry.Stop()
	}
	r.expiry = r.after(time.Until(r.session.Started.Add(length)), r.expire)
}

// expire ends a session that has lasted as long as it may.
func (r *Room) expire() {
	const reason = "max duration reached"
	r.log.Info("session expired", "lasted", time.Since(r.session.Started).Round(time.Second))
	r.clear(nil, protocol.PeerLeaveEvent{Reason: reason, RoomEnd: true})
}

// cut shortens a text to at most n bytes, whole characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
