package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"amphi/server/poll"
	"amphi/server/protocol"
)

// A server that is restarted does not end the calls: clients try for a minute to
// come back, with the peer id and the token that they had, and expect to be in
// the room still (§7.7). So the state of a session is saved when it changes, and
// the next run makes the room again from it, with everybody in it and awaited.
// Media is not in it: clients are sent to a new node (§7.9).

// state is a session as it is saved.
type state struct {
	SessionID string                   `json:"session_id"`
	Started   time.Time                `json:"started"`
	Peers     []peerState              `json:"peers"` // in the order of joining
	Values    []protocol.MetadataValue `json:"values"`
	Past      []pastEvent              `json:"past"`
	Polls     []pollState              `json:"polls"`
}

type peerState struct {
	ID        string            `json:"id"`
	TokenHash []byte            `json:"token_hash"`
	Agent     string            `json:"agent"`
	Role      string            `json:"role"`
	Groups    []string          `json:"groups"`
	Info      protocol.PeerInfo `json:"info"`
	Joined    time.Time         `json:"joined"`
	Observed  []string          `json:"observed"`
	AutoVideo bool              `json:"auto_video"`
}

type pollState struct {
	poll.State
	Run *PollRun `json:"run,omitempty"` // of a linked poll
}

// savePause is the least time between two saves: more in a crowd, whose state is
// large. Who joined since the last one is not known after a crash.
func (r *Room) savePause() time.Duration {
	return 2*time.Second + time.Duration(len(r.order))*4*time.Millisecond
}

// changed has the state saved soon.
func (r *Room) changed() {
	if r.saving != nil {
		return
	}
	r.saving = r.after(r.savePause(), func() {
		r.saving = nil
		r.save(r.state())
	})
}

func (r *Room) save(s state) {
	r.journal.add("state", func(ctx context.Context) error {
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return r.registry.cfg.Records.SaveState(ctx, r.session, text)
	})
}

// state returns what is to be saved. Nothing in it changes afterwards.
func (r *Room) state() state {
	s := state{SessionID: r.session.ID, Started: r.session.Started, Past: append([]pastEvent(nil), r.past.events...)}
	for _, p := range r.order {
		saved := peerState{
			ID: p.ID, TokenHash: p.tokenHash[:], Agent: p.agent, Role: p.role.Name, Groups: p.groups, Info: p.info,
			Joined: p.joinedAt, AutoVideo: p.autoVideo,
		}
		saved.TokenHash = append([]byte(nil), saved.TokenHash...)
		for key := range p.observed {
			saved.Observed = append(saved.Observed, key)
		}
		s.Peers = append(s.Peers, saved)
	}
	for _, v := range r.store.values {
		s.Values = append(s.Values, v)
	}
	for _, lp := range r.polls {
		saved := pollState{State: lp.State()}
		if lp.record != nil {
			run := lp.record.run
			saved.Run = &run
		}
		s.Polls = append(s.Polls, saved)
	}
	return s
}

// Resume makes a room again from its saved state. Everybody in it has to come back
// as after a lost socket. Who has a role that the template no longer has is left out.
func (g *Registry) Resume(ctx context.Context, roomID string, saved []byte) error {
	var s state
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("saved state of room %s: %w", roomID, err)
	}
	rec, err := g.cfg.Records.LoadRoom(ctx, roomID)
	if err != nil {
		return err
	}
	r, err := g.resume(rec, &s)
	if err != nil {
		return err
	}
	r.Release() // a room without peers ends at once
	return nil
}

func (g *Registry) resume(rec Record, s *state) (*Room, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.rooms[rec.RoomID] != nil {
		return nil, errors.New("the room is live already")
	}
	r := newRoom(g, rec, Session{ID: s.SessionID, RoomID: rec.RoomID, CustomerID: rec.CustomerID, Started: s.Started})
	r.restore(s)
	r.disabled.Store(!rec.Enabled)
	r.refs = len(r.order) + 1
	g.rooms[rec.RoomID] = r
	g.wg.Go(r.run)
	return r, nil
}

// restore fills a room that does not run yet.
func (r *Room) restore(s *state) {
	r.resumed = true
	for _, p := range s.Peers {
		r.resumePeer(p)
	}
	for _, v := range s.Values {
		if r.store.values == nil {
			r.store.values = map[string]protocol.MetadataValue{}
		}
		r.store.values[v.Key] = v
		r.store.bytes += len(v.Data)
	}
	for _, e := range s.Past {
		r.past.add(e.Frame, e.To, e.Chat)
	}
	for _, p := range r.order {
		p.upToDate() // what was sent before the end has most likely arrived
	}
	for _, saved := range s.Polls {
		lp := &livePoll{Poll: poll.Restore(saved.State)}
		if saved.Run != nil {
			lp.record = &pollRecord{run: *saved.Run}
		}
		r.polls = append(r.polls, lp)
		r.schedule(lp)
	}
	r.grow()
}

// resumePeer puts somebody into the room who has to come back. The room does not
// run yet.
func (r *Room) resumePeer(saved peerState) {
	role := r.role(saved.Role)
	if role == nil || r.peers[saved.ID] != nil {
		return
	}
	r.joins++
	p := newPeer(r, Identity{PeerID: saved.ID, UserID: saved.Info.UserID, Agent: saved.Agent}, role)
	copy(p.tokenHash[:], saved.TokenHash)
	p.phase, p.info, p.joinedAt, p.joinNumber, p.autoVideo = joined, saved.Info, saved.Joined, r.joins, saved.AutoVideo
	p.moving = role.WebRTC()
	p.groups = append(p.groups, saved.Groups...)
	p.observed = make(map[string]bool, len(saved.Observed))
	for _, key := range saved.Observed {
		p.observed[key] = true
	}
	r.peers[p.ID] = p
	r.order = append(r.order, p)
	p.listed = r.deservesList(p)
	r.await(p, r.limits.HideAfter)
}
