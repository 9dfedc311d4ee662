package room

import (
	"context"

	"amphi/server/sfu"
)

// AttendeeMedia is somebody in the room, and what is counted of their media.
type AttendeeMedia struct {
	Attendee
	Agent   string // what the client says of its software
	Via     string // WHIP or WHEP; empty: the client protocol
	Figures sfu.Figures
}

// Media returns everybody in the room with the figures of their media, in the
// order of joining.
func (r *Room) Media(ctx context.Context) ([]AttendeeMedia, error) {
	var list []AttendeeMedia
	var media []*connections
	err := r.do(ctx, func() error {
		for _, p := range r.order {
			if p.hidden {
				continue
			}
			list = append(list, AttendeeMedia{Attendee: p.attendee(), Agent: p.agent, Via: p.via()})
			media = append(media, p.media.Load())
		}
		return nil
	})
	// Reading the figures of a crowd takes time that the room's goroutine does not have.
	for i, m := range media {
		if m != nil {
			list[i].Figures = m.Figures()
		}
	}
	return list, err
}

// via is the protocol that a silent peer came by.
func (p *Peer) via() string {
	switch {
	case p.plays:
		return "WHEP"
	case p.silent:
		return "WHIP"
	}
	return ""
}
