package protocol

import (
	"encoding/json"
	"unicode/utf8"
)

// Message is the info of broadcast and on-broadcast.
type Message struct {
	Message string `json:"message"`
	Type    string `json:"type"` // "chat" when empty
}

// Broadcast is the params of broadcast (§3.6.4): PeerID for one peer, Roles for
// some roles, neither for all others.
type Broadcast struct {
	Info   Message  `json:"info"`
	Roles  []string `json:"roles,omitempty"`
	PeerID string   `json:"peer_id,omitempty"`
}

// BroadcastResult answers broadcast; the sender stores the message under this id.
type BroadcastResult struct {
	MessageID string `json:"message_id"`
	Timestamp int64  `json:"timestamp"`
}

// BroadcastEvent is the params of on-broadcast. Peer is nil for a message from
// the server.
type BroadcastEvent struct {
	Peer      *Peer    `json:"peer,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Private   bool     `json:"private"`
	MessageID string   `json:"message_id"`
	Timestamp int64    `json:"timestamp"`
	Info      Message  `json:"info"`
}

// RoleChangeRequest is the params of role-change-request: for one peer
// (RequestedFor) or for all who have one of Roles (always forced).
type RoleChangeRequest struct {
	RequestedFor string   `json:"requested_for,omitempty"`
	Roles        []string `json:"roles,omitempty"`
	Role         string   `json:"role"`
	Force        bool     `json:"force"`
}

// RoleChange is the params of role-change (the target accepts) and of
// on-role-change-request (the target is asked).
type RoleChange struct {
	RequestedBy string `json:"requested_by,omitempty"`
	Role        string `json:"role"`
	Token       string `json:"token"`
}

// PeerLeaveRequest is the params of peer-leave-request.
type PeerLeaveRequest struct {
	RequestedFor string `json:"requested_for"`
	Reason       string `json:"reason"`
}

// EndRoom is the params of end-room.
type EndRoom struct {
	Lock   bool   `json:"lock"`
	Reason string `json:"reason"`
}

// PeerLeaveEvent is the params of on-peer-leave-request: the receiver must leave.
type PeerLeaveEvent struct {
	RequestedBy string `json:"requested_by,omitempty"`
	Reason      string `json:"reason"`
	RoomEnd     bool   `json:"room_end"`
}

// TrackUpdateRequest is the params of track-update-request and, with
// RequestedBy instead of RequestedFor, of on-track-update-request.
type TrackUpdateRequest struct {
	RequestedFor string `json:"requested_for,omitempty"`
	RequestedBy  string `json:"requested_by,omitempty"`
	TrackID      string `json:"track_id"`
	StreamID     string `json:"stream_id"`
	Mute         bool   `json:"mute"`
}

// ChangeTrackMute is the params of change-track-mute-state-request and of its
// notification. Value true mutes.
type ChangeTrackMute struct {
	RequestedBy string    `json:"requested_by,omitempty"`
	Kind        TrackKind `json:"type,omitempty"`
	Source      string    `json:"source,omitempty"`
	Roles       []string  `json:"roles,omitempty"`
	Value       bool      `json:"value"`
}

// Streaming states (§6.1). British spelling, as the client compares it.
const (
	StateInitialised = "initialised"
	StateStarted     = "started"
	StateStopped     = "stopped"
	StateFailed      = "failed"
	StatePaused      = "paused" // of a recording, which leaves out what happens
	StateResumed     = "resumed"
)

// HLSStart is the params of hls-start; all optional.
type HLSStart struct {
	Variants  []HLSVariant  `json:"variants,omitempty"`
	Recording *HLSRecording `json:"hls_recording,omitempty"`
}

// RTMPStart is the params of rtmp-start: pushes to RTMPURLs, records, or both.
type RTMPStart struct {
	MeetingURL string      `json:"meeting_url,omitempty"`
	Record     bool        `json:"record"`
	RTMPURLs   []string    `json:"rtmp_urls,omitempty"`
	Resolution *Resolution `json:"resolution,omitempty"`
}

// Resolution is the size of a composed picture, in pixels.
type Resolution struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Kinds of recordings, as clients compare them.
const (
	RecordSFU     = "sfu"
	RecordBrowser = "Browser"
	RecordHLS     = "HLS"
)

// RecordUpdate is the params of on-record-update.
type RecordUpdate struct {
	Type string `json:"type"`
	RunState
}

// HLSRecording asks for recordings of the stream.
type HLSRecording struct {
	SingleFilePerLayer bool `json:"single_file_per_layer"`
	VOD                bool `json:"hls_vod"`
}

// HLSStop is the params of hls-stop.
type HLSStop struct {
	Variants   []HLSVariant `json:"variants,omitempty"`
	StopReason string       `json:"stop_reason,omitempty"`
}

// HLSMetadata is the params of hls-timed-metadata.
type HLSMetadata struct {
	Objects []TimedMetadata `json:"metadata_objs"`
}

// TimedMetadata is a payload that players of the stream get at its moment.
type TimedMetadata struct {
	Payload  string `json:"payload"`
	Duration int    `json:"duration"` // seconds
}

// Bounds of timed metadata.
const (
	MaxMetadataChars   = 100 // of a payload
	MaxMetadataSeconds = 3600
	MaxMetadataObjects = 10 // of one message
)

// Check says what is wrong with timed metadata.
func (m TimedMetadata) Check() error {
	switch {
	case m.Payload == "":
		return Errorf(CodeBadRequest, "payload is missing")
	case utf8.RuneCountInString(m.Payload) > MaxMetadataChars:
		return Errorf(CodeBadRequest, "payload longer than %d characters", MaxMetadataChars)
	case m.Duration < 1 || m.Duration > MaxMetadataSeconds:
		return Errorf(CodeBadRequest, "duration must be 1 to %d seconds", MaxMetadataSeconds)
	}
	return nil
}

// HLSState is the params of on-hls-update and room.streaming.hls (§6.2).
type HLSState struct {
	Enabled  bool         `json:"enabled"`
	Variants []HLSVariant `json:"variants"` // never null
	Error    *Error       `json:"error,omitempty"`
}

// HLSVariant is one stream of HLSState. A variant without State counts as not
// running.
type HLSVariant struct {
	URL           string `json:"url"`
	MeetingURL    string `json:"meeting_url,omitempty"`
	Metadata      string `json:"metadata,omitempty"`
	PlaylistType  string `json:"playlist_type,omitempty"` // "dvr" or "no-dvr"
	StreamType    string `json:"stream_type,omitempty"`   // "composite"
	State         string `json:"state,omitempty"`
	InitialisedAt int64  `json:"initialised_at,omitempty"`
	StartedAt     int64  `json:"started_at,omitempty"`
}

// SetMetadata is the params of set-metadata; absent Data deletes the key (§3.6.8).
type SetMetadata struct {
	Key  string          `json:"key"`
	Data json.RawMessage `json:"data,omitempty"`
}

// GetMetadata is the params of get-metadata.
type GetMetadata struct {
	Key string `json:"key"`
}

// ListenMetadata is the params of listen-metadata-change: the complete new set.
type ListenMetadata struct {
	Keys []string `json:"keys"`
}

// MetadataValue is one value of the session store.
type MetadataValue struct {
	Key           string          `json:"key"`
	Data          json.RawMessage `json:"data"` // null when deleted or never set
	UpdatedBy     string          `json:"updated_by,omitempty"`
	UpdatedAt     int64           `json:"updated_at"`
	ChangeVersion int             `json:"change_version"`
}

// MetadataChange is the params of on-metadata-change.
type MetadataChange struct {
	Values []MetadataValue `json:"values"`
}
