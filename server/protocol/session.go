package protocol

// Description is an SDP session description.
type Description struct {
	Type string `json:"type"` // "offer" or "answer"
	SDP  string `json:"sdp"`
}

// Join is the params of join (§3.6.1). Offer is absent for roles without WebRTC.
type Join struct {
	Name              string       `json:"name"`
	Data              string       `json:"data"`
	DisableVidAutoSub bool         `json:"disableVidAutoSub"`
	ServerSubDegrade  bool         `json:"server_sub_degrade"`
	Simulcast         bool         `json:"simulcast"`
	OnDemandTracks    bool         `json:"onDemandTracks"`
	Offer             *Description `json:"offer,omitempty"`
}

// AnswerResult is the result of join and offer; empty but for the node id when
// join had no offer.
type AnswerResult struct {
	Type      string `json:"type,omitempty"`
	SDP       string `json:"sdp,omitempty"`
	SFUNodeID string `json:"sfu_node_id"`
}

// Offer is the params of the client's offer: Tracks is always the complete list
// of what the peer publishes, keyed by track id (§3.6.2).
type Offer struct {
	Desc      Description      `json:"desc"`
	Tracks    map[string]Track `json:"tracks"`
	SFUNodeID string           `json:"sfu_node_id,omitempty"`
}

// SubscribeOffer is the params of the server's offer: the description itself.
type SubscribeOffer struct {
	Type      string `json:"type"`
	SDP       string `json:"sdp"`
	SFUNodeID string `json:"sfu_node_id,omitempty"`
}

// Answer is the params of the client's answer to a subscribe offer.
type Answer struct {
	Desc      Description `json:"desc"`
	SFUNodeID string      `json:"sfu_node_id,omitempty"`
}

// Connections of a peer, as trickle's target names them.
const (
	TargetPublish   = 0
	TargetSubscribe = 1
)

// Trickle is the params of trickle, both ways.
type Trickle struct {
	Target    int       `json:"target"`
	Candidate Candidate `json:"candidate"`
	SFUNodeID string    `json:"sfu_node_id,omitempty"`
}

// Candidate is an RTCIceCandidateInit. An empty Candidate string ends the
// candidates in some browsers and is tolerated.
type Candidate struct {
	Candidate        string  `json:"candidate"`
	SDPMid           *string `json:"sdpMid"`
	SDPMLineIndex    *uint16 `json:"sdpMLineIndex"`
	UsernameFragment *string `json:"usernameFragment"`
}

// Ping is the params of ping and its result.
type Ping struct {
	Timestamp int64 `json:"timestamp"`
}

// Leave is the params of leave.
type Leave struct {
	ClientReason string `json:"client_reason"`
}

// PolicyChange is the params of on-policy-change (§5.1). Role is the template's
// role type, which this package does not know.
type PolicyChange[Role any] struct {
	Name       string            `json:"name"` // current role of the receiving peer
	KnownRoles map[string]Role   `json:"known_roles"`
	TemplateID string            `json:"template_id"`
	Plugins    map[string]any    `json:"plugins"`
	AppData    map[string]string `json:"app_data"`
}

// PeerList is the params of peer-list: everybody but the receiver (§3.7.2).
type PeerList struct {
	Peers map[string]Peer `json:"peers"`
	Room  RoomState       `json:"room"`
}

// RoomStateEvent is the params of room-state, for peers in preview.
type RoomStateEvent struct {
	PeerCount int             `json:"peer_count"`
	Room      RoomState       `json:"room"`
	Peers     map[string]Peer `json:"peers,omitzero"`
}

// RoomState is the room part of peer-list and room-state.
type RoomState struct {
	Name           string    `json:"name"`
	SessionID      string    `json:"session_id"`
	StartedAt      int64     `json:"started_at,omitempty"`
	Recording      Recording `json:"recording"`
	Streaming      Streaming `json:"streaming"`
	Transcriptions []any     `json:"transcriptions"`
}

// Recording says which recordings run.
type Recording struct {
	SFU     RunState `json:"sfu"`
	Browser RunState `json:"browser"`
	HLS     RunState `json:"hls"`
}

// Streaming says which live outputs run.
type Streaming struct {
	Enabled bool     `json:"enabled"`
	RTMP    RunState `json:"rtmp"`
	HLS     HLSState `json:"hls"`
}

// RunState is the state of one recording or RTMP push, and the params of
// on-rtmp-update.
type RunState struct {
	Enabled       bool   `json:"enabled"`
	State         string `json:"state,omitempty"`
	InitialisedAt int64  `json:"initialised_at,omitempty"`
	StartedAt     int64  `json:"started_at,omitempty"`
	Error         *Error `json:"error,omitempty"` // with StateFailed
}

// RoomInfo is the params of room-info.
type RoomInfo struct {
	RoomID                string `json:"room_id"`
	Name                  string `json:"name"`
	Description           string `json:"description"`
	MaxSize               int    `json:"max_size"`
	LargeRoomOptimization bool   `json:"large_room_optimization"`
}

// NodeInfo is the params of node-info: a client that knew another node makes its
// connections anew (§7.9).
type NodeInfo struct {
	SFUNodeID string `json:"sfu_node_id"`
}

// SessionInfo is the params of session-info.
type SessionInfo struct {
	SessionID  string `json:"session_id"`
	RoomID     string `json:"room_id"`
	PeerCount  int    `json:"peer_count"`
	TrackCount int    `json:"track_count"`
}

// Speaker is one entry of active-speakers, the loudest first.
type Speaker struct {
	PeerID  string `json:"peer_id"`
	TrackID string `json:"track_id"`
	Level   int    `json:"level"` // 0–100
}

// ActiveSpeakers is the params of active-speakers; every update replaces the last.
type ActiveSpeakers struct {
	Speakers []Speaker `json:"speaker-list"`
}

// QualityUpdate is the params of on-connection-quality-update.
type QualityUpdate struct {
	Peers []ConnectionQuality `json:"peers"`
}

// ConnectionQuality is one entry of it.
type ConnectionQuality struct {
	PeerID string `json:"peer_id"`
	Score  int    `json:"downlink_score"` // -1 unknown, 0 disconnected, 1 very bad … 5 good
}
