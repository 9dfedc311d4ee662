package client

import (
	"slices"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

func (r *reducer) tracksAdd(t *tx, p protocol.TrackEvent) {
	if p.Peer.PeerID != "" && p.Peer.PeerID != r.localID {
		r.register(t, p.Peer.PeerID, p.Tracks)
	}
}

func (r *reducer) tracksUpdate(t *tx, p protocol.TrackEvent) {
	id := p.Peer.PeerID
	if id == "" || id == r.localID {
		return
	}
	if _, known := t.Peers[id]; !known {
		t.setPeer(peerOf(p.Peer, Peer{}))
	}
	r.register(t, id, p.Tracks)
}

// register remembers metadata, and applies it to tracks that are visible.
func (r *reducer) register(t *tx, peerID string, tracks map[string]protocol.Track) {
	for _, id := range sortedKeys(tracks) {
		meta := trackMeta{Track: tracks[id], peerID: peerID}
		meta.TrackID = id
		r.meta[id] = meta
		track, visible := t.Tracks[id]
		if !visible {
			r.show(t, id)
			continue
		}
		if track.Enabled == meta.Mute {
			track.Enabled, track.DisplayEnabled = !meta.Mute, !meta.Mute
			t.setTrack(track)
			kind := NotifyTrackUnmuted
			if meta.Mute {
				kind = NotifyTrackMuted
			}
			t.notify(info(kind, track))
			r.visible(t, id)
		}
		if track.description != meta.Description {
			track.description = meta.Description
			t.setTrack(track)
			t.notify(info(NotifyTrackDescription, track))
		}
	}
}

// mediaAdded takes the media of a track; it shows when its metadata is there.
func (r *reducer) mediaAdded(t *tx, track *rtc.RemoteTrack) {
	r.media[track.ID] = track
	if _, visible := t.Tracks[track.ID]; visible {
		r.hook(t, func() { r.onMedia(track.ID, track.Kind, track) })
		r.visible(t, track.ID)
		return
	}
	r.show(t, track.ID)
}

func (r *reducer) showAll(t *tx, peerID string) {
	for _, id := range sortedKeys(r.meta) {
		if r.meta[id].peerID == peerID {
			r.show(t, id)
		}
	}
}

// show makes a track visible if all of it is there.
func (r *reducer) show(t *tx, id string) {
	meta, described := r.meta[id]
	media, arrived := r.media[id]
	peer, known := t.Peers[meta.peerID]
	if !described || !arrived || !known {
		return
	}
	track := Track{
		ID: id, Source: meta.Source, Type: media.Kind, Enabled: !meta.Mute, DisplayEnabled: !meta.Mute,
		PeerID: peer.ID, description: meta.Description,
	}
	if track.Source == "" {
		track.Source = protocol.SourceRegular
	}
	if track.Type == rtc.Audio {
		full := 100
		track.Volume = &full
	} else {
		track.Layer = layerNone
		track.LayerDefinitions = layerDefinitions(t.Roles[peer.RoleName], track.Source)
	}
	t.setTrack(track)
	t.setPeer(withTrack(peer, track))
	t.notify(info(NotifyTrackAdded, track))
	r.hook(t, func() { r.onMedia(id, media.Kind, media) })
	r.visible(t, id)
}

// withTrack gives a peer a track: the first of its kind becomes its microphone
// or camera, any other an auxiliary one.
func withTrack(p Peer, track Track) Peer {
	switch {
	case track.Source == protocol.SourceRegular && track.Type == rtc.Audio && (p.AudioTrack == "" || p.AudioTrack == track.ID):
		p.AudioTrack = track.ID
	case track.Source == protocol.SourceRegular && track.Type == rtc.Video && (p.VideoTrack == "" || p.VideoTrack == track.ID):
		p.VideoTrack = track.ID
	case !slices.Contains(p.AuxiliaryTracks, track.ID):
		p.AuxiliaryTracks = append(slices.Clone(p.AuxiliaryTracks), track.ID)
	}
	return p
}

func withoutTrack(p Peer, id string) Peer {
	if p.AudioTrack == id {
		p.AudioTrack = ""
	}
	if p.VideoTrack == id {
		p.VideoTrack = ""
	}
	p.AuxiliaryTracks = slices.DeleteFunc(slices.Clone(p.AuxiliaryTracks), func(other string) bool { return other == id })
	return p
}

func (r *reducer) removeTrack(t *tx, id string) {
	media := r.media[id]
	delete(r.meta, id)
	delete(r.media, id)
	track, visible := t.Tracks[id]
	if !visible || track.PeerID == r.localID {
		return
	}
	t.deleteTrack(id)
	if peer, known := t.Peers[track.PeerID]; known {
		t.setPeer(withoutTrack(peer, id))
	}
	t.notify(info(NotifyTrackRemoved, track))
	if media != nil {
		r.hook(t, func() { r.onMedia(id, media.Kind, nil) })
	}
	r.visible(t, id)
}

// hideUnseen takes away the tracks of peers that the role does not see: the
// server sends no more of them. What is known of them stays, for a role that
// does.
func (r *reducer) hideUnseen(t *tx, role policy.Role) {
	for _, id := range sortedKeys(r.meta) {
		meta := r.meta[id]
		if peer, known := t.Peers[meta.peerID]; known && !role.Sees(peer.RoleName) {
			r.removeTrack(t, id)
			r.meta[id] = meta
		}
	}
}

// forgetRemote drops all remote tracks and their metadata: the connection that
// they came on is gone (§7.9).
func (r *reducer) forgetRemote(t *tx) {
	for _, id := range sortedKeys(r.meta) {
		r.removeTrack(t, id)
	}
	clear(r.media)
}

func (r *reducer) hook(t *tx, fn func()) {
	if r.onMedia != nil {
		t.then(fn)
	}
}

func (r *reducer) visible(t *tx, id string) {
	if r.onVisible != nil {
		t.then(func() { r.onVisible(id) })
	}
}
