package protocol

// Peer is the object P of §3.7 and PeerInfo of §3.6.7. Groups is never null on
// the wire, and Realtime is true for every peer that clients should keep.
type Peer struct {
	PeerID   string           `json:"peer_id"`
	Role     string           `json:"role"`
	Groups   []string         `json:"groups"`
	Realtime bool             `json:"realtime"`
	JoinedAt int64            `json:"joined_at,omitempty"`
	Info     PeerInfo         `json:"info"`
	Tracks   map[string]Track `json:"tracks,omitzero"` // only in peer-list and on-peer-join
}

// PeerInfo is what a peer says of itself. Data is its metadata, opaque.
type PeerInfo struct {
	Name   string `json:"name"`
	Data   string `json:"data"`
	UserID string `json:"user_id"`
	Type   string `json:"type"` // "regular"
}

// TrackKind is "audio" or "video".
type TrackKind string

// The kinds of media.
const (
	Audio TrackKind = "audio"
	Video TrackKind = "video"
)

// Sources of a track that the server treats specially; any other string is allowed.
const (
	SourceRegular = "regular" // microphone or camera
	SourceScreen  = "screen"
)

// Track is a track object (§3.6.3). TrackID equals its key in maps of tracks.
type Track struct {
	TrackID     string    `json:"track_id"`
	StreamID    string    `json:"stream_id"`
	Kind        TrackKind `json:"type"`
	Source      string    `json:"source"`
	Mute        bool      `json:"mute"`
	Description string    `json:"description"`
}

// TrackEvent is the params of on-track-add, on-track-update and on-track-remove.
type TrackEvent struct {
	Tracks map[string]Track `json:"tracks"`
	Peer   Peer             `json:"peer"`
}

// TrackUpdate is the params of track-update: only the tracks that changed.
type TrackUpdate struct {
	Tracks map[string]Track `json:"tracks"`
}

// PeerUpdate is the params of peer-update; a nil field is not changed.
type PeerUpdate struct {
	Name *string `json:"name,omitempty"`
	Data *string `json:"data,omitempty"`
}

// GroupChange is the params of group-join, group-leave (own peer, PeerID
// empty), group-add and group-remove.
type GroupChange struct {
	Name   string `json:"name"`
	PeerID string `json:"peer_id,omitempty"`
}

// GroupResult answers group-join and group-leave.
type GroupResult struct {
	Groups []string `json:"groups"`
}

// GetPeer is the params of get-peer; the result is a Peer.
type GetPeer struct {
	PeerID string `json:"peer_id"`
}
