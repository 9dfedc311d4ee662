package room

import (
	"encoding/json"
	"slices"
	"sync/atomic"

	"golang.org/x/time/rate"

	"amphi/server/protocol"
)

// past is what everybody in the session heard, as far back as those need it who
// were not there: people who join late are sent the end of the chat, and people
// whose socket was lost what they missed. Both get the frames that the others
// got, so that every client understands them. It belongs to the room's
// goroutine, but for last.
type past struct {
	events []pastEvent   // the oldest first, at most maxPast
	last   atomic.Uint64 // number of the newest; sockets read it
}

// maxPast bounds the memory of a room: so many frames, the longest of a chat
// message.
const maxPast = 256

// pastEvent is one frame that was sent.
type pastEvent struct {
	number uint64
	Frame  json.RawMessage `json:"frame"`
	To     audience        `json:"to"`
	Chat   bool            `json:"chat"` // those who join late are sent it
}

// audience says who hears of something; the zero one is everybody. It is asked
// again later, when somebody may have another role.
type audience struct {
	But         string   `json:"but,omitempty"`  // peer id of the sender
	Only        string   `json:"only,omitempty"` // peer id
	Roles       []string `json:"roles,omitempty"`
	PollReaders bool     `json:"poll_readers,omitempty"`
}

func (a *audience) has(p *Peer) bool {
	return p.ID != a.But && (a.Only == "" || p.ID == a.Only) &&
		(len(a.Roles) == 0 || slices.Contains(a.Roles, p.role.Name)) && (!a.PollReaders || p.readsPolls())
}

func (s *past) add(frame []byte, to audience, chat bool) {
	if len(s.events) == maxPast {
		s.events = append(s.events[:0], s.events[1:]...)
	}
	s.events = append(s.events, pastEvent{s.last.Add(1), frame, to, chat})
}

// tellRemembered is tell for what a peer must hear of even if its socket is lost
// at the moment.
func (r *Room) tellRemembered(method string, params any, to audience, chat bool) {
	frame := protocol.Notification(method, params)
	r.past.add(frame, to, chat)
	r.changed()
	last := r.past.last.Load()
	for _, p := range r.order {
		if to.has(p) {
			p.send(frame)
		}
		p.told.Store(last)
	}
}

// tellHistory sends somebody who joins the newest chat messages that are meant
// for them too.
func (r *Room) tellHistory(p *Peer) {
	var frames [][]byte
	for i := len(r.past.events) - 1; i >= 0 && len(frames) < r.registry.cfg.ChatHistory; i-- {
		if e := &r.past.events[i]; e.Chat && e.To.has(p) {
			frames = append(frames, e.Frame)
		}
	}
	for i := range frames {
		p.send(frames[len(frames)-1-i])
	}
}

// tellMissed sends somebody who is back what is not known to have arrived. What
// did, but could not be acknowledged before the socket broke, comes twice, with
// the same id: a message that is lost would be worse.
func (r *Room) tellMissed(p *Peer) {
	for i := range r.past.events {
		if e := &r.past.events[i]; e.number > p.heard.Load() && e.To.has(p) {
			p.send(e.Frame)
		}
	}
	p.told.Store(r.past.last.Load())
}

// Told is the number of the newest event of the past that the peer's [Sink] was
// given, or that was not meant for it. Whatever the sink is given after the call
// comes after that event.
func (p *Peer) Told() uint64 { return p.told.Load() }

// Heard says that the client has got all up to the event of a number that [Peer.Told]
// gave. That a frame came from the client does not say so: it may have been under way
// for long, while nothing came through the other way.
func (p *Peer) Heard(number uint64) {
	for {
		before := p.heard.Load()
		if number <= before || p.heard.CompareAndSwap(before, number) {
			return
		}
	}
}

// upToDate says that there is nothing of the past that the peer would have to be told.
func (p *Peer) upToDate() {
	last := p.room.past.last.Load()
	p.told.Store(last)
	p.Heard(last)
}

// Saying is a message as it is recorded. Messages to one peer are not.
type Saying struct {
	From  Stay // zero for the API
	Event protocol.BroadcastEvent
}

// What is recorded of one room is bounded, reactions apart from chat: a crowd
// sends more hearts than anybody will read.
const sayingsPerSecond, sayingBurst = 100, 2000

func newSayingLimiter() *rate.Limiter { return rate.NewLimiter(sayingsPerSecond, sayingBurst) }

// typeTranscript is the type of captions, which are not part of the chat (§3.7.6).
const typeTranscript = "hms_transcript"

// say sends a message to its audience and keeps it for those who are not there. from is
// nil for the API.
func (r *Room) say(from *Peer, event protocol.BroadcastEvent, to audience) {
	chat := event.Info.Type == "chat"
	if chat {
		r.tellRemembered(protocol.OnBroadcast, event, to, !event.Private)
	} else {
		r.tell(protocol.OnBroadcast, event, to.has)
	}
	s := Saying{Event: event}
	if from != nil {
		s.From = from.stay()
	}
	if to.Only == "" && len(to.Roles) == 0 {
		for _, fn := range r.listeners {
			fn(s)
		}
	}
	limit := r.reactions
	if chat {
		limit = r.sayings
	}
	o := r.registry.cfg.Observer
	if o == nil || event.Private || event.Info.Type == typeTranscript || !limit.Allow() {
		return
	}
	o.Said(r.Info(), s)
}
