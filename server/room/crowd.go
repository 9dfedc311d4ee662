package room

import (
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
)

// In a large room not everybody is told of everybody (§7.10): clients list those
// on stage and those who raise a hand, count the rest, and look them up when
// need be. A room is large when its record says so, and from the moment that
// more than Limits.Listed people are in it. So who joins, leaves or renames in a
// crowd of n costs the server one frame, not n.

// deservesList says whether clients should know of the peer without asking.
func (r *Room) deservesList(p *Peer) bool {
	return !r.large || p.role.Level() == policy.Stage || slices.Contains(p.groups, protocol.HandRaiseGroup)
}

// announceJoin tells the others of the peer with what it publishes.
func (r *Room) announceJoin(p *Peer) {
	r.touchStage(p)
	if p.listed = r.deservesList(p); p.listed {
		r.tell(protocol.OnPeerJoin, p.wire(true), allBut(p))
	}
}

// announceLeave tells the others: tracks first, or their audio elements stay
// behind (trap 14).
func (r *Room) announceLeave(p *Peer) {
	r.touchStage(p)
	if len(p.tracks) > 0 {
		r.tell(protocol.OnTrackRemove, protocol.TrackEvent{Tracks: p.trackMap(), Peer: p.wire(false)}, allBut(p))
	}
	if p.listed {
		r.tell(protocol.OnPeerLeave, p.wire(false), allBut(p))
	}
	p.listed = false
}

// announceChange tells of a peer's new role, name, metadata or groups, and
// thereby puts it into clients' lists or takes it out. toSelf says whether the
// peer itself does not know yet.
func (r *Room) announceChange(p *Peer, toSelf bool) {
	before := p.listed
	p.listed = r.deservesList(p)
	switch {
	case p.listed || before:
		r.tell(protocol.OnPeerUpdate, p.wire(false), func(o *Peer) bool { return o != p || toSelf })
	case toSelf:
		p.notify(protocol.OnPeerUpdate, p.wire(false))
	}
}

// touchStage notes that what is published and who sees it may have changed.
func (r *Room) touchStage(p *Peer) {
	if p.role.Level() != policy.Gallery {
		r.stageDirty = true
	}
}

// grow makes the room large once it is. Who is listed by then stays so until the
// next change: 500 people who are all told of 500 would break their sockets.
func (r *Room) grow() {
	if !r.large && len(r.order) > r.limits.Listed {
		r.large = true
		r.log.Info("room is large now", "peers", len(r.order))
		r.tell(protocol.OnRoomInfo, r.info(), everybody)
	}
}

// countPause is the least time between two announcements of how many people
// there are: a second, and more in a crowd, as everybody is told.
func (r *Room) countPause() time.Duration {
	return time.Second + time.Duration(len(r.order))*time.Millisecond
}

// announceCount tells everybody how many they are, from time to time.
func (r *Room) announceCount() {
	if r.countTimer != nil || r.countVisible() == r.countSent {
		return
	}
	r.countSent = r.countVisible()
	r.tell(protocol.OnSessionInfo, r.sessionInfo(), everybody)
	r.countTimer = r.after(r.countPause(), func() { r.countTimer = nil })
}

// countVisible is how many people the others see.
func (r *Room) countVisible() int { return len(r.order) - r.hidden }
