package room

import (
	"time"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

// stayInFront is how long somebody who began to speak stays in front at least: a
// picture that changes with every word is hard to watch.
const stayInFront = 2 * time.Second

// front is who is in front of the players, which show one picture at a time: who
// spoke last. Owned by the room's goroutine.
type front struct {
	peer  string // id
	since time.Time
}

// direct puts the loudest of those who speak in front, and has players follow.
func (r *Room) direct(speakers []protocol.Speaker, now time.Time) {
	if len(speakers) == 0 || speakers[0].PeerID == r.front.peer || now.Sub(r.front.since) < stayInFront {
		return
	}
	r.front = front{speakers[0].PeerID, now}
	r.prefer()
	for _, p := range r.order {
		if m := p.media.Load(); p.plays && m != nil {
			m.Subscribe(r.program(p))
		}
	}
}

// prefer says whose pictures those get first who have little bandwidth: shared
// screens, then who is in front.
func (r *Room) prefer() {
	const others, inFront, screen = 0, 1, 2
	for _, p := range r.order {
		for _, t := range p.tracks {
			if t.media == nil || t.Kind != protocol.Video {
				continue
			}
			switch {
			case t.Source == protocol.SourceScreen:
				t.media.SetPriority(screen)
			case p.ID == r.front.peer:
				t.media.SetPriority(inFront)
			default:
				t.media.SetPriority(others)
			}
		}
	}
}

// program is what a player gets to see and hear, in the order of preference: a
// shared screen before the camera of who is in front, and that one before others;
// the microphone of who is in front before others, and the sound of screens last.
// What is muted comes after what is not.
func (r *Room) program(p *Peer) []*sfu.Track {
	const ranks = 8
	var byRank [ranks][]*sfu.Track
	for _, o := range r.order {
		if o == p || o.hidden || !p.role.Sees(o.role.Name) {
			continue
		}
		for _, t := range o.tracks {
			if t.media == nil {
				continue
			}
			rank := 3 // the sound of a screen
			switch shared := t.Source == protocol.SourceScreen; {
			case shared && t.Kind == protocol.Video:
				rank = 0
			case !shared && o.ID == r.front.peer:
				rank = 1
			case !shared:
				rank = 2
			}
			if t.Mute {
				rank += ranks / 2
			}
			byRank[rank] = append(byRank[rank], t.media)
		}
	}
	var list []*sfu.Track
	for _, tracks := range byRank {
		list = append(list, tracks...)
	}
	return list
}
