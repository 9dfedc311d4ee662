package room

import (
	"context"
	"errors"
	"slices"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/server/sfu"
)

const (
	maxTrackIDBytes = 128 // browsers use UUIDs, Firefox with braces
	maxSourceBytes  = 64
)

// Offer renegotiates the publish connection. What the peer publishes afterwards
// is exactly req.Tracks; the others are told of the difference (§3.6.2).
func (p *Peer) Offer(ctx context.Context, req protocol.Offer) (protocol.AnswerResult, error) {
	r := p.room
	result := protocol.AnswerResult{Type: "answer"}
	var media *connections
	var infos []sfu.TrackInfo
	err := r.do(ctx, func() error {
		switch p.phase {
		case joined:
		case preview:
			// A client that reconnects sends an offer and no join (§7.7). This server
			// has forgotten it, most likely by a restart: it must start anew (trap 32).
			p.notify(protocol.OnError, errForgotten)
			return errForgotten
		default:
			return errLeft
		}
		if result.SFUNodeID = p.node; req.SFUNodeID != "" && req.SFUNodeID != p.node {
			return errStaleNode
		}
		// A demoted client renegotiates to unpublish, even when nothing is left to it.
		if !p.role.WebRTC() && p.media.Load() == nil {
			return errNotAllowed
		}
		if err := p.checkTracks(req.Tracks); err != nil {
			return err
		}
		p.forgetWithdrawn(req.Tracks)
		media, infos = p.openMedia(), trackInfos(req.Tracks, p.role)
		return nil
	})
	if err != nil {
		return result, err
	}

	result.SDP, err = media.Publish(ctx, req.Desc.SDP, infos)
	if p.media.Load() != media && !errors.Is(err, sfu.ErrBadSDP) {
		return result, errStaleNode // moved meanwhile, or gone
	}
	if err != nil {
		return result, mediaError(err)
	}

	return result, p.doJoined(ctx, func() error {
		if p.media.Load() != media {
			return errStaleNode
		}
		if p.moving {
			p.moving = false
			r.tellTracks(p)
		}
		// The role may have changed while the media was negotiated.
		for id, t := range req.Tracks {
			if !p.role.MayPublish(string(t.Kind), t.Source) {
				delete(req.Tracks, id)
				p.withdrawn[id] = true
			}
		}
		p.setTracks(req.Tracks, media)
		if p.role.WebRTC() && !p.silent {
			media.StartSubscribe(p.autoVideo)
		}
		r.stageDirty = true
		return nil
	})
}

// trackInfos is what the SFU needs to know of tracks that somebody of a role publishes. Without a role the
// client's order of codecs counts, as for encoders.
func trackInfos(tracks map[string]protocol.Track, role *policy.Role) []sfu.TrackInfo {
	var infos []sfu.TrackInfo
	for _, t := range tracks {
		kind := sfu.Audio
		if t.Kind == protocol.Video {
			kind = sfu.Video
		}
		infos = append(infos, sfu.TrackInfo{ID: t.TrackID, StreamID: t.StreamID, Kind: kind, Prefer: preferred(t, role)})
	}
	return infos
}

// preferred is the codec in which a track should come, 0 if that is the client's matter. VP8 is what templates say which
// say nothing, and no reason to turn away the H.264 of a phone that encodes it by hardware: everybody decodes both.
func preferred(t protocol.Track, role *policy.Role) sfu.Codec {
	if role == nil || t.Kind != protocol.Video {
		return 0
	}
	params := role.PublishParams.Video
	if t.Source == protocol.SourceScreen {
		params = role.PublishParams.Screen
	}
	if params == nil {
		return 0
	}
	if c := sfu.CodecNamed(params.Codec); c != sfu.VP8 {
		return c
	}
	return 0
}

// forgetWithdrawn keeps in mind only those of the tracks which a role change
// ended that the client still offers: it unpublishes one at a time and lists the
// others. What it has left out it may not list again. The SFU goes on taking the
// media meanwhile, for nobody: if the answer made a section inactive before the
// client does, the client would wait for ever for its own change to negotiate.
func (p *Peer) forgetWithdrawn(tracks map[string]protocol.Track) {
	for id := range p.withdrawn {
		if t, listed := tracks[id]; !listed || p.role.MayPublish(string(t.Kind), t.Source) {
			delete(p.withdrawn, id)
		}
	}
}

// checkTracks refuses a list of tracks that is malformed or that the role does
// not allow.
func (p *Peer) checkTracks(tracks map[string]protocol.Track) error {
	if len(tracks) > p.room.limits.TracksPerPeer {
		return protocol.Errorf(protocol.CodeTooLarge, "more than %d tracks", p.room.limits.TracksPerPeer)
	}
	for id, t := range tracks {
		switch {
		case id == "" || id != t.TrackID || len(id) > maxTrackIDBytes || len(t.StreamID) > maxTrackIDBytes:
			return protocol.Errorf(protocol.CodeBadRequest, "track ids must be the keys of tracks, and at most %d bytes", maxTrackIDBytes)
		case t.Kind != protocol.Audio && t.Kind != protocol.Video:
			return protocol.Errorf(protocol.CodeBadRequest, "track type must be audio or video")
		case len(t.Source) > maxSourceBytes || len(t.Description) > p.room.limits.NameBytes:
			return protocol.Errorf(protocol.CodeTooLarge, "track source or description too long")
		case !p.role.MayPublish(string(t.Kind), t.Source) && !p.withdrawn[id]:
			return protocol.Errorf(protocol.CodeForbidden, "role %s may not publish %s (%s)", p.role.Name, t.Kind, t.Source)
		}
	}
	return nil
}

// setTracks replaces the peer's published tracks and tells the others what went
// and what came.
func (p *Peer) setTracks(tracks map[string]protocol.Track, media *connections) {
	removed := map[string]protocol.Track{}
	p.tracks = slices.DeleteFunc(p.tracks, func(t *track) bool {
		if _, stays := tracks[t.TrackID]; stays {
			return false
		}
		p.tracksChanged(TrackRemoved, t)
		removed[t.TrackID] = t.Track
		return true
	})
	added := map[string]protocol.Track{}
	for id, info := range tracks {
		i := slices.IndexFunc(p.tracks, func(t *track) bool { return t.TrackID == id })
		if i >= 0 {
			p.tracks[i].media = media.Track(id) // a new connection brings new media
			continue
		}
		t := &track{Track: info, media: media.Track(id), started: time.Now()}
		p.tracks = append(p.tracks, t)
		p.tracksChanged(TrackAdded, t)
		added[id] = info
	}
	if len(removed) > 0 {
		p.room.tell(protocol.OnTrackRemove, protocol.TrackEvent{Tracks: removed, Peer: p.wire(false)}, allBut(p))
	}
	if len(added) > 0 {
		p.room.tell(protocol.OnTrackAdd, protocol.TrackEvent{Tracks: added, Peer: p.wire(false)}, allBut(p))
	}
}

// TrackUpdate takes over mute states and descriptions of the peer's own tracks.
// Tracks that it does not publish are ignored: a mute may cross a removal.
func (p *Peer) TrackUpdate(ctx context.Context, req protocol.TrackUpdate) error {
	return p.doJoined(ctx, func() error {
		changed := map[string]protocol.Track{}
		for _, t := range p.tracks {
			u, ok := req.Tracks[t.TrackID]
			if !ok || len(u.Description) > p.room.limits.NameBytes {
				continue
			}
			t.Mute, t.Description = u.Mute, u.Description
			p.tracksChanged(TrackUpdated, t)
			changed[t.TrackID] = t.Track
		}
		if len(changed) > 0 {
			p.room.tell(protocol.OnTrackUpdate, protocol.TrackEvent{Tracks: changed, Peer: p.wire(false)}, allBut(p))
			p.room.stageDirty = true
		}
		return nil
	})
}

// subscribeAll tells the SFU for every peer whom it may hear and see. Peers of
// one role differ only by themselves, so a role's list is made once.
func (r *Room) subscribeAll() {
	r.prefer()
	r.hear()
	lists := map[string][]*track{}
	owner := map[*track]*Peer{}
	for _, p := range r.order {
		m := p.media.Load()
		if m == nil {
			continue
		}
		if p.plays {
			m.Subscribe(r.program(p))
			continue
		}
		list, ok := lists[p.role.Name]
		if !ok {
			for _, o := range r.order {
				if o.hidden || !p.role.Sees(o.role.Name) {
					continue
				}
				for _, t := range o.tracks {
					if t.media != nil {
						list = append(list, t)
						owner[t] = o
					}
				}
			}
			lists[p.role.Name] = list
		}
		media := make([]*sfu.Track, 0, len(list))
		for _, t := range list {
			if owner[t] != p {
				media = append(media, t.media)
			}
		}
		m.Subscribe(media)
	}
}

func (p *Peer) trackMap() map[string]protocol.Track {
	m := make(map[string]protocol.Track, len(p.tracks))
	for _, t := range p.tracks {
		m[t.TrackID] = t.Track
	}
	return m
}
