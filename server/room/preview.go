package room

import (
	"time"

	"amphi/server/protocol"
)

// Who is in preview and whose role is allowed to is told from time to time what
// goes on in the room (§3.7.2), as the template's settings say.

const defaultStatePause = 10 * time.Second

// hearsState says whether the peer is told.
func (p *Peer) hearsState() bool {
	s := p.room.rec.Template.Settings.RoomState
	return (p.phase == preview || p.phase == joining) && p.role.Permissions.SendRoomState && (s == nil || s.Enabled)
}

// tellState tells all who are in preview, and goes on while there is anybody.
func (r *Room) tellState(to ...*Peer) {
	if len(to) == 0 {
		for _, p := range r.peers {
			if p.hearsState() {
				to = append(to, p)
			}
		}
	}
	if len(to) == 0 {
		return
	}
	event := protocol.RoomStateEvent{PeerCount: r.countVisible(), Room: r.shown()}
	if s := r.rec.Template.Settings.RoomState; s != nil && s.SendPeerList {
		event.Peers = r.peerList(nil).Peers
	}
	frame := protocol.Notification(protocol.OnRoomState, event)
	for _, p := range to {
		p.send(frame)
	}
	if r.previews == nil {
		r.previews = r.after(r.statePause(), func() {
			r.previews = nil
			r.tellState()
		})
	}
}

func (r *Room) statePause() time.Duration {
	if s := r.rec.Template.Settings.RoomState; s != nil && s.MessageInterval > 0 {
		return time.Duration(s.MessageInterval) * time.Second
	}
	return defaultStatePause
}
