package client

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"amphi/server/policy"
	"amphi/server/protocol"
	"amphi/wasm/rtc"
)

// Notifications that the server may send and the protocol package has no name for.
const (
	onTrackLayer    = "on-track-layer-update"
	onRecordUpdate  = "on-record-update"
	onRTMPUpdate    = "on-rtmp-update"
	onTranscription = "on-transcription-update"
)

// reducer turns the server's notifications into changes of the state. It owns
// what is known of remote tracks but not visible yet: a track shows up when its
// metadata, its media and its peer are all there, in whatever order they come
// (§4.10). All of it is guarded by the store's mutex: methods run in update.
type reducer struct {
	localID string
	meta    map[string]trackMeta
	media   map[string]*rtc.RemoteTrack

	listed      bool // a peer-list has come: room-state says nothing new
	reconnected bool // from now on a peer-list is a complete statement to diff with

	// Hooks; nil in tests that do not look at them. They run after the update.
	onMedia   func(id string, kind rtc.Kind, track *rtc.RemoteTrack) // nil track: gone
	onVisible func(id string)                                        // added, muted, unmuted or gone
}

// trackMeta is what signalling says about a remote track.
type trackMeta struct {
	protocol.Track
	peerID string
}

func newReducer(localID string) *reducer {
	return &reducer{localID: localID, meta: map[string]trackMeta{}, media: map[string]*rtc.RemoteTrack{}}
}

// apply handles one notification that only changes the state. ok is false for
// methods that are not such.
func (r *reducer) apply(t *tx, method string, params json.RawMessage) (ok bool, err error) {
	switch method {
	case protocol.OnRoomState:
		err = decode(params, func(p protocol.RoomStateEvent) { r.roomState(t, p) })
	case protocol.OnPeerList:
		err = decode(params, func(p protocol.PeerList) { r.peerList(t, p) })
	case protocol.OnRoomInfo:
		err = decode(params, func(p protocol.RoomInfo) {
			t.setRoom(func(room *Room) {
				room.Name, room.Description, room.MaxSize = p.Name, p.Description, p.MaxSize
				room.IsLargeRoom = p.LargeRoomOptimization
			})
		})
	case protocol.OnSessionInfo:
		err = decode(params, func(p protocol.SessionInfo) {
			t.setRoom(func(room *Room) { room.SessionID, room.PeerCount = p.SessionID, &p.PeerCount })
		})
	case protocol.OnPeerJoin:
		err = decode(params, func(p protocol.Peer) { r.peerJoin(t, p) })
	case protocol.OnPeerLeave:
		err = decode(params, func(p protocol.Peer) { r.peerLeave(t, p.PeerID) })
	case protocol.OnPeerUpdate:
		err = decode(params, func(p protocol.Peer) { r.peerUpdate(t, p) })
	case protocol.OnTrackAdd:
		err = decode(params, func(p protocol.TrackEvent) { r.tracksAdd(t, p) })
	case protocol.OnTrackUpdate:
		err = decode(params, func(p protocol.TrackEvent) { r.tracksUpdate(t, p) })
	case protocol.OnTrackRemove:
		err = decode(params, func(p protocol.TrackEvent) {
			for _, id := range sortedKeys(p.Tracks) {
				r.removeTrack(t, id)
			}
		})
	case protocol.OnBroadcast:
		err = decode(params, func(p protocol.BroadcastEvent) { r.broadcast(t, p) })
	case protocol.OnHLSUpdate:
		err = decode(params, func(p protocol.HLSState) {
			t.setRoom(func(room *Room) { room.HLS = hlsState(p, false) })
		})
	case onRecordUpdate:
		err = decode(params, func(p recordUpdate) { r.recordUpdate(t, p) })
	case onRTMPUpdate:
		err = decode(params, func(p recordUpdate) { t.setRoom(func(room *Room) { room.RTMP = p.runState() }) })
	case onTranscription:
		err = decode(params, func(p struct {
			TranscriptionState
			Error *protocol.Error `json:"error"`
		}) {
			r.transcription(t, p)
		})
	case protocol.OnMetadataChange:
		err = decode(params, func(p protocol.MetadataChange) {
			for _, v := range p.Values {
				t.setShared(v.Key, v.Data)
			}
		})
	case protocol.OnPollStats:
		err = decode(params, func(p protocol.PollStatsEvent) {
			for _, result := range p.Polls {
				t.changePoll(result.PollID, NotifyPollVotes, func(p *Poll) { p.count(result) })
			}
		})
	case protocol.OnActiveSpeakers:
		err = decode(params, func(p protocol.ActiveSpeakers) { r.speakers(t, p) })
	case protocol.OnConnectionQuality:
		err = decode(params, func(p protocol.QualityUpdate) { r.qualities(t, p) })
	case onTrackLayer:
		err = decode(params, func(p layerUpdate) { r.layers(t, p) })
	default:
		return false, nil
	}
	return true, err
}

// decode reads params and hands them on; a message that does not fit its type
// changes nothing.
func decode[T any](params json.RawMessage, use func(T)) error {
	var p T
	if err := json.Unmarshal(params, &p); err != nil {
		return fmt.Errorf("params: %w", err)
	}
	use(p)
	return nil
}

// sortedKeys makes the order of notifications about a map's entries stable.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func peerOf(p protocol.Peer, old Peer) Peer {
	peer := old
	peer.ID, peer.RoleName = p.PeerID, p.Role
	peer.Groups, peer.IsHandRaised = p.Groups, slices.Contains(p.Groups, protocol.HandRaiseGroup)
	// Empty means "not said": metadata cannot be cleared (§3.7.3).
	if p.Info.Name != "" {
		peer.Name = p.Info.Name
	}
	if p.Info.Data != "" {
		peer.Metadata = p.Info.Data
	}
	if p.Info.UserID != "" {
		peer.CustomerUserID = p.Info.UserID
	}
	if p.JoinedAt != 0 {
		peer.JoinedAt = p.JoinedAt
	}
	if peer.Type = p.Info.Type; peer.Type == "" {
		peer.Type = "regular"
	}
	return peer
}

// Room level

func (r *reducer) roomState(t *tx, p protocol.RoomStateEvent) {
	if r.listed {
		return
	}
	r.applyRoom(t, p.Room)
	if p.Peers == nil && p.PeerCount != 0 {
		return // no statement about peers
	}
	for _, id := range slices.Clone(t.Room.Peers) {
		if _, there := p.Peers[id]; !there && id != r.localID {
			t.deletePeer(id)
		}
	}
	for _, id := range sortedKeys(p.Peers) {
		if id != r.localID {
			t.setPeer(peerOf(named(p.Peers[id], id), t.Peers[id]))
		}
	}
}

// named gives a peer of a map the id of its key, which is the one that counts.
func named(p protocol.Peer, id string) protocol.Peer {
	p.PeerID = id
	return p
}

func (r *reducer) applyRoom(t *tx, p protocol.RoomState) {
	t.setRoom(func(room *Room) {
		room.Name, room.SessionID, room.StartedAt = p.Name, p.SessionID, p.StartedAt
		room.Recording = Recording{
			Browser: runState(p.Recording.Browser), Server: runState(p.Recording.SFU), HLS: runState(p.Recording.HLS),
		}
		room.RTMP = runState(p.Streaming.RTMP)
		room.HLS = hlsState(p.Streaming.HLS, true)
	})
}

func runState(p protocol.RunState) RunState {
	s := RunState{Running: isRunning(p.State), State: p.State} // "enabled" does not count (§6.3)
	if s.Running {
		s.StartedAt = p.StartedAt
	}
	return s
}

// hlsState reads the two forms of the same thing: in the room's state "enabled"
// counts, in an update only the variants do (§6.2).
func hlsState(p protocol.HLSState, inRoomState bool) HLS {
	h := HLS{Variants: []HLSVariant{}}
	for _, v := range p.Variants {
		if isRunning(v.State) && (!inRoomState || v.State == protocol.StateInitialised) {
			h.Running = true
		}
		variant := HLSVariant{
			URL: v.URL, MeetingURL: v.MeetingURL, Metadata: v.Metadata, PlaylistType: v.PlaylistType,
			StreamType: v.StreamType, State: v.State, StartedAt: v.StartedAt, InitialisedAt: v.InitialisedAt,
		}
		if v.State == protocol.StateInitialised {
			variant.URL = "" // nothing to play yet
		}
		h.Variants = append(h.Variants, variant)
	}
	h.Running = h.Running || inRoomState && p.Enabled
	if p.Error != nil && p.Error.Code != 0 {
		h.Error = asError(p.Error, "NONE")
	}
	return h
}

type recordUpdate struct {
	Type      string          `json:"type"`
	State     string          `json:"state"`
	StartedAt int64           `json:"started_at"`
	Error     *protocol.Error `json:"error"`
}

func (p recordUpdate) runState() RunState {
	s := runState(protocol.RunState{State: p.State, StartedAt: p.StartedAt})
	if p.Error != nil && p.Error.Code != 0 {
		s.Error = asError(p.Error, "NONE")
	}
	return s
}

func (r *reducer) recordUpdate(t *tx, p recordUpdate) {
	t.setRoom(func(room *Room) {
		switch p.Type {
		case "sfu":
			room.Recording.Server = p.runState()
		case "HLS":
			room.Recording.HLS = p.runState()
		default:
			room.Recording.Browser = p.runState()
		}
	})
}

// policy takes the roles over and returns the local peer's role before and now.
func (r *reducer) policy(t *tx, p protocol.PolicyChange[policy.Role]) (before, now string) {
	t.Roles = p.KnownRoles
	if t.Roles == nil {
		t.Roles = map[string]policy.Role{}
	}
	t.markField(fieldRoles)
	t.TemplateAppData = p.AppData
	if t.TemplateAppData == nil {
		t.TemplateAppData = map[string]string{}
	}
	t.markField(fieldAppData)
	t.setRoom(func(room *Room) { room.TemplateID = p.TemplateID })
	local := t.Peers[r.localID]
	before, now = local.RoleName, p.Name
	if before != now {
		r.hideUnseen(t, t.Roles[now])
		local.RoleName = now
		t.setPeer(local)
	}
	return before, now
}

// Peers

func (r *reducer) peerList(t *tx, p protocol.PeerList) {
	r.listed = true
	r.applyRoom(t, p.Room)
	if r.reconnected {
		for _, id := range slices.Clone(t.Room.Peers) {
			if entry, there := p.Peers[id]; id != r.localID && (!there || !entry.Realtime) {
				r.peerLeave(t, id)
			}
		}
	}
	var added []Peer
	for _, id := range sortedKeys(p.Peers) {
		entry := named(p.Peers[id], id)
		switch _, known := t.Peers[id]; {
		case id == r.localID:
			continue
		case known && r.reconnected:
			r.updateKnown(t, entry)
			r.dropUnlisted(t, entry)
		case r.reconnected:
			if entry.Realtime {
				r.peerJoin(t, entry)
			}
			continue
		default:
			t.setPeer(peerOf(entry, t.Peers[id]))
			added = append(added, t.Peers[id])
		}
		r.register(t, id, entry.Tracks)
	}
	if len(added) > 0 {
		t.notify(info(NotifyPeerList, added))
	}
}

// dropUnlisted removes tracks of a peer that a peer-list no longer has.
func (r *reducer) dropUnlisted(t *tx, p protocol.Peer) {
	for _, id := range sortedKeys(r.meta) {
		if _, listed := p.Tracks[id]; r.meta[id].peerID == p.PeerID && !listed {
			r.removeTrack(t, id)
		}
	}
}

func (r *reducer) peerJoin(t *tx, p protocol.Peer) {
	if p.PeerID == "" || p.PeerID == r.localID {
		return
	}
	_, known := t.Peers[p.PeerID]
	t.setPeer(peerOf(p, t.Peers[p.PeerID]))
	if !known {
		t.notify(info(NotifyPeerJoined, t.Peers[p.PeerID]))
	}
	r.register(t, p.PeerID, p.Tracks)
}

func (r *reducer) peerLeave(t *tx, id string) {
	peer, known := t.Peers[id]
	if !known || id == r.localID {
		return
	}
	for _, track := range sortedKeys(r.meta) {
		if r.meta[track].peerID == id {
			r.removeTrack(t, track)
		}
	}
	t.deletePeer(id)
	t.notify(info(NotifyPeerLeft, peer))
}

func (r *reducer) peerUpdate(t *tx, p protocol.Peer) {
	_, known := t.Peers[p.PeerID]
	switch {
	case p.PeerID == "":
	case !known && !p.Realtime:
	case !known:
		t.setPeer(peerOf(p, Peer{}))
		if t.Peers[p.PeerID].IsHandRaised {
			t.notify(info(NotifyHandRaiseChanged, t.Peers[p.PeerID]))
		}
		r.showAll(t, p.PeerID)
	case !p.Realtime && p.PeerID != r.localID:
		r.peerLeave(t, p.PeerID) // out of sight in a large room
	default:
		r.updateKnown(t, p)
	}
}

func (r *reducer) updateKnown(t *tx, p protocol.Peer) {
	old := t.Peers[p.PeerID]
	peer := peerOf(p, old)
	if p.PeerID == r.localID {
		peer.RoleName = old.RoleName // the policy decides, and comes on its own
	}
	t.setPeer(peer)
	for _, changed := range []struct {
		is   bool
		kind NotificationType
	}{
		{peer.RoleName != old.RoleName, NotifyRoleUpdated},
		{peer.IsHandRaised != old.IsHandRaised, NotifyHandRaiseChanged},
		{peer.Name != old.Name, NotifyNameUpdated},
		{peer.Metadata != old.Metadata, NotifyMetadataUpdated},
	} {
		if changed.is {
			t.notify(info(changed.kind, peer))
		}
	}
}

// Messages and levels

func (r *reducer) broadcast(t *tx, p protocol.BroadcastEvent) {
	m := Message{
		ID: p.MessageID, Time: p.Timestamp, Type: p.Info.Type, Message: p.Info.Message, RecipientRoles: p.Roles,
	}
	if m.Type == "" {
		m.Type = "chat"
	}
	if m.Time == 0 {
		m.Time = time.Now().UnixMilli()
	}
	if p.Private {
		m.RecipientPeer = r.localID
	}
	if p.Peer != nil {
		m.Sender, m.SenderName, m.SenderRole, m.SenderUserID = p.Peer.PeerID, p.Peer.Info.Name, p.Peer.Role, p.Peer.Info.UserID
	}
	if m.ID == "" || t.ignored[m.Type] || strings.HasPrefix(m.Type, "hms_transcript") {
		m.Ignored = true // captions are told, not kept
	} else if slices.ContainsFunc(t.Messages, func(known Message) bool { return known.ID == m.ID }) {
		return // after a lost socket the server says again what may not have arrived
	} else {
		t.addMessage(m)
	}
	t.notify(info(NotifyNewMessage, m))
}

func (r *reducer) speakers(t *tx, p protocol.ActiveSpeakers) {
	t.Speakers = make(map[string]Speaker, len(p.Speakers))
	for _, s := range p.Speakers {
		t.Speakers[s.TrackID] = Speaker{PeerID: s.PeerID, TrackID: s.TrackID, AudioLevel: s.Level}
	}
	t.markField(fieldSpeakers)
}

func (r *reducer) qualities(t *tx, p protocol.QualityUpdate) {
	t.ConnectionQualities = make(map[string]ConnectionQuality, len(p.Peers))
	for _, q := range p.Peers {
		t.ConnectionQualities[q.PeerID] = ConnectionQuality{PeerID: q.PeerID, DownlinkQuality: q.Score}
	}
	t.markField(fieldQualities)
}

type layerUpdate struct {
	Tracks map[string]struct {
		CurrentLayer       string `json:"current_layer"`
		SubscriberDegraded bool   `json:"subscriber_degraded"`
		PublisherDegraded  bool   `json:"publisher_degraded"`
	} `json:"tracks"`
}

func (r *reducer) layers(t *tx, p layerUpdate) {
	for _, id := range sortedKeys(p.Tracks) {
		track, visible := t.Tracks[id]
		if !visible {
			continue
		}
		update := p.Tracks[id]
		was := track.Degraded
		track.Layer = update.CurrentLayer
		track.Degraded = track.Enabled && update.CurrentLayer == layerNone && (update.SubscriberDegraded || update.PublisherDegraded)
		t.setTrack(track)
		switch {
		case track.Degraded && !was:
			t.notify(info(NotifyTrackDegraded, track))
		case was && !track.Degraded:
			t.notify(info(NotifyTrackRestored, track))
		}
	}
}
