package room

import (
	"context"
	"slices"

	"github.com/pion/webrtc/v4"

	"amphi/server/protocol"
	"amphi/server/sfu"
)

// Silent clients are encoders and players that came over WHIP (RFC 9725) and WHEP:
// one offer, one answer, and no socket. They hear nothing of the room, so nothing
// can be asked of them. What others ask their clients to do, the room does for
// them: a mute stops the forwarding. When their connection is lost, or nothing is
// left that they may publish or see, they leave.

// PublishOnly makes a silent peer, which Connect returned, visible to the others
// with tracks that come with its one offer: all of them or, on an error, none. It
// returns the answer.
func (p *Peer) PublishOnly(ctx context.Context, name, offer string, tracks map[string]protocol.Track) (answer string, err error) {
	result, err := p.join(ctx, protocol.Join{Name: name}, tracks, func(ctx context.Context, m *connections) (string, error) {
		return m.publishAll(ctx, offer, tracks)
	})
	return result.SDP, err
}

// PlayOnly makes a silent peer, which Connect returned, visible to the others as
// somebody who watches. It returns the answer to its one offer. What it sees the
// room directs, see program.
func (p *Peer) PlayOnly(ctx context.Context, name, offer string) (answer string, err error) {
	err = p.room.do(ctx, func() error {
		if len(p.role.SubscribeParams.SubscribeToRoles) == 0 {
			return errNotAllowed
		}
		p.plays = true
		return nil
	})
	if err != nil {
		return "", err
	}
	result, err := p.join(ctx, protocol.Join{Name: name}, nil, func(ctx context.Context, m *connections) (string, error) {
		return m.Play(ctx, offer)
	})
	return result.SDP, err
}

// Renegotiate answers another offer of a silent peer's: the same sections with
// other ICE credentials.
func (p *Peer) Renegotiate(ctx context.Context, offer string) (answer string, err error) {
	var tracks map[string]protocol.Track
	var player *connections
	if err := p.doJoined(ctx, func() error {
		tracks = p.trackMap()
		if p.plays {
			player = p.media.Load()
		}
		return nil
	}); err != nil {
		return "", err
	}
	if player != nil {
		answer, err := player.Play(ctx, offer)
		return answer, mediaError(err)
	}
	result, err := p.Offer(ctx, protocol.Offer{Desc: protocol.Description{Type: "offer", SDP: offer}, Tracks: tracks})
	return result.SDP, err
}

// Drop takes a silent peer out of the room; why is as in Departure.
func (p *Peer) Drop(why string) {
	_ = p.room.do(context.Background(), func() error { // a room that has ended has nobody in it
		p.room.remove(p, Departure{Reason: why})
		return nil
	})
}

// Came says whether the one connection of a silent peer is, or was, up. When it is
// lost for good, the peer leaves by itself.
func (p *Peer) Came() bool {
	m := p.media.Load()
	if m == nil {
		return false
	}
	target := sfu.Publish
	if p.plays {
		target = sfu.Subscribe
	}
	state := m.State(target)
	return state == webrtc.PeerConnectionStateConnected || state == webrtc.PeerConnectionStateDisconnected
}

// muteTracks does for a silent peer what another's client does when it is asked to.
func (p *Peer) muteTracks(mute bool, tracks ...*track) {
	changed := map[string]protocol.Track{}
	for _, t := range tracks {
		if t.Mute == mute {
			continue
		}
		t.Mute = mute
		if t.media != nil {
			t.media.Mute(mute)
		}
		p.tracksChanged(TrackUpdated, t)
		changed[t.TrackID] = t.Track
	}
	if len(changed) > 0 {
		p.room.tell(protocol.OnTrackUpdate, protocol.TrackEvent{Tracks: changed, Peer: p.wire(false)}, everybody)
		p.room.stageDirty = true
	}
}

// muteSilent does so for all silent peers that are meant.
func (r *Room) muteSilent(req protocol.ChangeTrackMute, meant func(*Peer) bool) {
	for _, p := range r.order {
		if !p.silent || !meant(p) {
			continue
		}
		p.muteTracks(req.Value, slices.DeleteFunc(slices.Clone(p.tracks), func(t *track) bool {
			return req.Kind != "" && req.Kind != t.Kind || req.Source != "" && req.Source != t.Source
		})...)
	}
}

// dropIfIdle takes a silent peer out that publishes nothing any more, or sees nobody.
func (p *Peer) dropIfIdle() {
	idle := len(p.tracks) == 0
	if p.plays {
		idle = len(p.role.SubscribeParams.SubscribeToRoles) == 0
	}
	if p.silent && idle {
		p.room.remove(p, Departure{Reason: LeftKicked})
	}
}
